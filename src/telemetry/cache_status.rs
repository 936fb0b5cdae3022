//! How an answer was found, and why it was not found nearer.

use std::fmt;

/// How an answer came to be. The same value feeds the `Cache-Status` header (RFC 9211), the access log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheStatus {
    /// It was in the cache and fresh.
    Hit(TierName),
    /// It was in the cache, its time was over, and the upstream said that it still holds.
    Revalidated,
    /// It was in the cache, its time was over, and it was served all the same.
    Stale(StaleReason),
    /// That it does not exist was in the cache.
    NegativeHit,
    /// It came from the upstream.
    Miss(MissReason),
    /// It came from an upstream transfer that somebody else had begun.
    Collapsed,
    /// It was answered without looking for anything.
    None,
}

/// Where a hit was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TierName {
    /// The memory tier.
    Memory,
    /// A disk tier whose class is not configured.
    Disk,
    /// A disk tier on flash.
    Ssd,
    /// A disk tier on spinning disks.
    Hdd,
    /// The object tier: a bucket that edges share.
    Object,
    /// What was pushed here.
    Hosted,
    /// The catalog: a row was enough.
    Catalog,
}

/// Why something stale was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StaleReason {
    /// The upstream failed, or its breaker is open.
    UpstreamError,
    /// The upstream answered 429.
    RateLimited,
    /// The upstream did not answer quickly enough; revalidation goes on behind.
    UpstreamSlow,
    /// The upstream has deleted it, and the policy is to keep.
    DeletedUpstream,
}

/// Why an answer had to come from the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissReason {
    /// It was not in the cache.
    Absent,
    /// A tag had moved, or its time was over and its manifest had changed.
    Changed,
    /// The bytes were there, but this repository had no link to them: the upstream was asked for its leave.
    Unlinked,
    /// The spool could not be written: the bytes were streamed through without being kept.
    SpoolFailed,
    /// Only the upstream can know (HEAD of a blob that is not cached).
    NotKept,
    /// The upstream said that there is no such thing, or that it is not for us.
    UpstreamRefused,
    /// The upstream failed, and there was nothing stale to serve.
    UpstreamFailed,
}

impl StaleReason {
    /// The reason as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamError => "upstream-error",
            Self::RateLimited => "rate-limited",
            Self::UpstreamSlow => "upstream-slow",
            Self::DeletedUpstream => "deleted-upstream",
        }
    }

    /// The reason that a word means, as another server of this kind wrote it.
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::UpstreamError, Self::RateLimited, Self::UpstreamSlow, Self::DeletedUpstream];
        all.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl TierName {
    /// The tier as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Ssd => "ssd",
            Self::Hdd => "hdd",
            Self::Object => "object",
            Self::Hosted => "hosted",
            Self::Catalog => "catalog",
        }
    }
}

impl CacheStatus {
    /// One word for the metric label: few values, whatever the detail.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Revalidated => "revalidated",
            Self::Stale(_) => "stale",
            Self::NegativeHit => "negative",
            Self::Miss(_) => "miss",
            Self::Collapsed => "collapsed",
            Self::None => "none",
        }
    }

    /// The tier, or the reason for anything but a hit.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Hit(tier) => tier.as_str(),
            Self::Stale(reason) => reason.as_str(),
            Self::Miss(reason) => match reason {
                MissReason::Absent => "absent",
                MissReason::Changed => "changed",
                MissReason::Unlinked => "unlinked",
                MissReason::SpoolFailed => "spool-failed",
                MissReason::NotKept => "not-kept",
                MissReason::UpstreamRefused => "upstream-refused",
                MissReason::UpstreamFailed => "upstream-failed",
            },
            Self::NegativeHit => "negative",
            Self::Revalidated => "revalidated",
            Self::Collapsed => "joined",
            Self::None => "none",
        }
    }
}

/// The value of the `Cache-Status` header (RFC 9211, section 2).
impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail();
        match self {
            Self::Hit(_) | Self::NegativeHit | Self::Stale(_) => write!(f, "harbinger; hit; detail={detail}"),
            Self::Revalidated => f.write_str("harbinger; fwd=stale; fwd-status=304"),
            Self::Miss(MissReason::Changed) => write!(f, "harbinger; fwd=stale; stored; detail={detail}"),
            Self::Miss(MissReason::Absent) => write!(f, "harbinger; fwd=uri-miss; stored; detail={detail}"),
            Self::Miss(_) => write!(f, "harbinger; fwd=uri-miss; detail={detail}"),
            Self::Collapsed => write!(f, "harbinger; fwd=uri-miss; collapsed; detail={detail}"),
            Self::None => f.write_str("harbinger"),
        }
    }
}
