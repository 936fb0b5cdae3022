//! Replays what happened against caches that did not exist: which policy and which prefetcher would have served it best.
//!
//! Deterministic: the same trace and the same settings give the same figures. A cache of one tier in one region is simulated;
//! manifests pass by and are learned from, layers are cached. What a policy or a prefetcher is told is what an edge would have
//! known at that moment; only those that are marked as bounds look ahead.

mod figures;
mod policy;
mod prefetcher;
mod simulator;
mod workload;

pub use figures::{Figures, Told};
pub use policy::policies;
pub use prefetcher::prefetchers;
pub use simulator::{Network, Settings, SettingsError, check, replay};
pub use workload::{Content, ContentId, Image, Name, Reader, Step, What, Workload, WorkloadError};

#[cfg(test)]
mod tests;
