//! What a question has in common with others.

use crate::{
    features::{DAY, HOUR, MINUTE},
    groups::Group,
};

/// The groups whose rates a question is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) app: u32,
    /// A version, a release, a commit, or anything else.
    pub(crate) class: u8,
    /// Where the other environment stands: not known, at this version, at the one before, elsewhere.
    pub(crate) sync: u8,
    /// How long ago the app's last release was.
    pub(crate) gap: u8,
    /// How many versions it goes ahead.
    pub(crate) step: u8,
    /// Local time.
    pub(crate) hour: u8,
    pub(crate) weekday: u8,
    /// What became of the app's last release so far: there is none, promoted, staged, neither.
    pub(crate) pending: u8,
    /// How many other apps have had a release in the last minutes.
    pub(crate) busy: u8,
    /// The number of the release in its burst.
    pub(crate) burst: u8,
    /// Five minutes of the morning, else the hour.
    pub(crate) slot: u8,
    /// Versions of the burst so far, this one included.
    pub(crate) versions: u8,
    /// Versions so far by those that are usual.
    pub(crate) left: u8,
    /// Versions that are older than the newest one of the burst and have not been seen in it.
    pub(crate) missing: u8,
}

impl Context {
    /// What is released, and where production stands.
    fn kind(&self) -> u32 {
        u32::from(self.class * 4 + self.sync)
    }
}

const QUARTER: u64 = 90 * DAY;

/// How often releases are promoted.
pub(crate) const PROMOTED: &[Group<Context>] = &[
    Group { name: "all", half_life: 30 * DAY, strength: 20.0, within: 0, key: |_| [0, 0, 0] },
    Group { name: "all, today", half_life: 6 * HOUR, strength: 5.0, within: 0, key: |_| [0, 0, 0] },
    Group { name: "class, sync", half_life: QUARTER, strength: 20.0, within: 0, key: |c| [c.kind(), 0, 0] },
    Group { name: "app", half_life: QUARTER, strength: 5.0, within: 0, key: |c| [c.app, 0, 0] },
    Group { name: "app, this week", half_life: 5 * DAY, strength: 2.0, within: 3, key: |c| [c.app, 0, 0] },
    Group { name: "app, class", half_life: QUARTER, strength: 5.0, within: 2, key: |c| [c.app, c.class.into(), 0] },
    Group { name: "app, class, sync", half_life: QUARTER, strength: 5.0, within: 5, key: |c| [c.app, c.kind(), 0] },
    Group { name: "weekday, hour", half_life: QUARTER, strength: 20.0, within: 0, key: |c| [c.weekday.into(), c.hour.into(), 0] },
    Group { name: "app, hour", half_life: QUARTER, strength: 8.0, within: 3, key: |c| [c.app, u32::from(c.hour / 2), 0] },
    Group {
        name: "class, sync, gap, pending",
        half_life: QUARTER,
        strength: 20.0,
        within: 2,
        key: |c| [c.kind(), c.gap.into(), c.pending.into()],
    },
    Group { name: "app, gap", half_life: QUARTER, strength: 8.0, within: 5, key: |c| [c.app, c.gap.into(), 0] },
    Group {
        name: "class, sync, step, gap",
        half_life: QUARTER,
        strength: 20.0,
        within: 2,
        key: |c| [c.kind(), c.step.into(), c.gap.into()],
    },
    Group { name: "app, step", half_life: QUARTER, strength: 8.0, within: 5, key: |c| [c.app, c.step.into(), 0] },
    Group {
        name: "class, sync, busy, hour",
        half_life: QUARTER,
        strength: 20.0,
        within: 2,
        key: |c| [c.kind(), c.busy.into(), c.hour.into()],
    },
    Group {
        name: "app, sync, pending",
        half_life: QUARTER,
        strength: 8.0,
        within: 6,
        key: |c| [c.app, c.sync.into(), c.pending.into()],
    },
    Group {
        name: "class, sync, missing, burst",
        half_life: QUARTER,
        strength: 15.0,
        within: 2,
        key: |c| [c.kind(), c.missing.into(), c.burst.into()],
    },
    Group {
        name: "class, sync, slot, missing",
        half_life: QUARTER,
        strength: 15.0,
        within: 2,
        key: |c| [c.kind(), c.slot.into(), c.missing.into()],
    },
    Group {
        name: "app, class, sync, missing",
        half_life: QUARTER,
        strength: 8.0,
        within: 6,
        key: |c| [c.app, c.kind(), c.missing.into()],
    },
];

/// How often a release is followed by the next one of its app within minutes.
pub(crate) const FOLLOWED: &[Group<Context>] = &[
    Group { name: "followed, class", half_life: QUARTER, strength: 10.0, within: 0, key: |c| [c.class.into(), 0, 0] },
    Group { name: "followed, now", half_life: 10 * MINUTE, strength: 4.0, within: 0, key: |_| [0, 0, 0] },
    Group { name: "followed, this hour", half_life: HOUR, strength: 4.0, within: 0, key: |_| [0, 0, 0] },
    Group { name: "followed, app", half_life: QUARTER, strength: 10.0, within: 0, key: |c| [c.app, 0, 0] },
    Group {
        name: "followed, slot, burst",
        half_life: QUARTER,
        strength: 10.0,
        within: 0,
        key: |c| [c.slot.into(), c.burst.into(), 0],
    },
    Group { name: "followed, app, burst", half_life: QUARTER, strength: 5.0, within: 3, key: |c| [c.app, c.burst.into(), 0] },
    Group { name: "followed, app, slot", half_life: QUARTER, strength: 5.0, within: 3, key: |c| [c.app, c.slot.into(), 0] },
    Group {
        name: "followed, step, burst, gap",
        half_life: QUARTER,
        strength: 10.0,
        within: 0,
        key: |c| [c.step.into(), c.burst.into(), c.gap.into()],
    },
    Group {
        name: "followed, left, slot",
        half_life: QUARTER,
        strength: 10.0,
        within: 4,
        key: |c| [c.left.into(), c.slot.into(), 0],
    },
    Group { name: "followed, app, left", half_life: QUARTER, strength: 5.0, within: 3, key: |c| [c.app, c.left.into(), 0] },
    Group {
        name: "followed, versions, slot",
        half_life: QUARTER,
        strength: 10.0,
        within: 4,
        key: |c| [c.versions.into(), c.slot.into(), 0],
    },
    Group {
        name: "followed, missing, burst, step",
        half_life: QUARTER,
        strength: 10.0,
        within: 4,
        key: |c| [c.missing.into(), c.burst.into(), c.step.into()],
    },
    Group {
        name: "followed, missing, slot",
        half_life: QUARTER,
        strength: 10.0,
        within: 4,
        key: |c| [c.missing.into(), c.slot.into(), 0],
    },
    Group { name: "followed, app, missing", half_life: QUARTER, strength: 5.0, within: 3, key: |c| [c.app, c.missing.into(), 0] },
    Group { name: "followed, missing, today", half_life: HOUR, strength: 3.0, within: 0, key: |c| [c.missing.into(), 0, 0] },
];
