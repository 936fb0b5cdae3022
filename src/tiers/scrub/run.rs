//! What a scrub has found so far.

use std::{sync::Arc, time::SystemTime};

use crate::oci::Digest;

/// Damaged files told at most; the further ones are only counted.
const TOLD: usize = 1000;

/// A scrub, under way or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrubRun {
    /// Whether it is under way.
    pub running: bool,
    /// When it began.
    pub began: SystemTime,
    /// Files that it is through with.
    pub checked: u64,
    /// Files that there were when it began.
    pub total: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Bytes that there were when it began.
    pub total_bytes: u64,
    /// What was damaged; at most 1,000 of them.
    pub damaged: Vec<Damage>,
    /// Number of all that were damaged.
    pub damaged_count: u64,
    /// Files and folders of which nothing can be said, because they could not be read for a reason that may not lie in them.
    pub unreadable: u64,
}

/// A file that was not what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The content it should have been.
    pub digest: Digest,
    /// The tier it was found on; `hosted` for what was pushed.
    pub tier: Arc<str>,
    /// Its length in bytes, as far as it could be read.
    pub size: u64,
    /// What was wrong.
    pub fault: Fault,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is shorter or longer than it was.
    Length,
    /// It has the right length, as far as that is known, and wrong bytes.
    Bytes,
    /// It cannot be read.
    Unreadable,
}

impl Fault {
    /// `wrong-length`, `wrong-bytes` or `unreadable`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Length => "wrong-length",
            Self::Bytes => "wrong-bytes",
            Self::Unreadable => "unreadable",
        }
    }
}

impl ScrubRun {
    pub(super) fn new() -> Self {
        Self {
            running: true,
            began: SystemTime::now(),
            checked: 0,
            total: 0,
            bytes: 0,
            total_bytes: 0,
            damaged: Vec::new(),
            damaged_count: 0,
            unreadable: 0,
        }
    }

    pub(super) fn note_damage(&mut self, damage: Damage) {
        self.damaged_count += 1;
        if self.damaged.len() < TOLD {
            self.damaged.push(damage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn however_much_is_damaged_what_is_told_is_bounded() {
        let mut run = ScrubRun::new();
        let damage = Damage { digest: Digest::of(Algorithm::Sha256, b""), tier: "disk".into(), size: 0, fault: Fault::Bytes };
        for _ in 0..TOLD + 5 {
            run.note_damage(damage.clone());
        }
        assert_eq!((run.damaged.len(), run.damaged_count), (TOLD, TOLD as u64 + 5));
    }
}
