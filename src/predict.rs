//! What will be asked for next, here, and how likely.
//!
//! One thread hears what happens and keeps small numbers for everything that has a name; [`crate::replay`] runs the same code along a
//! trace. What it is told at a moment is what an edge knows at that moment.

mod aliases;
mod clients;
mod expected;
mod followed;
mod forecast;
mod foresight;
mod given;
mod judge;
pub mod learn;
mod numbering;
mod predictor;
mod price;
mod prophet;
mod retention;
mod running;
mod scorer;
mod share;
pub mod watch;
mod world;

pub use expected::{Expected, Kind, Reason};
pub use forecast::Forecast;
pub use foresight::{ExplainedContent, Explanation, Foresight};
pub use given::{GivenError, given};
pub use judge::Verdict;
pub use numbering::Numbering;
pub use predictor::{Predictor, PredictorSettings};
pub use prophet::{Budget, Cache, Candidate, Prophet, Settings, Without};
pub use running::Deployed;
pub use scorer::Contribution;
pub use world::{Content, ContentId, Image, Name, Step, What, World};
