//! What is told about the work: logs, metrics, and the one enum of reasons that feeds header, log and metric.

mod cache_status;
mod logs;
mod metrics;

pub use cache_status::{CacheStatus, MissReason, StaleReason, TierName};
pub use logs::{LogError, Logs};
pub use metrics::{Metrics, OutcomeLabels, RequestLabels, UpstreamLabels, UpstreamName};
