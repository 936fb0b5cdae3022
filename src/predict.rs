//! What will be asked for next, here, and how likely.
//!
//! One thread hears what happens and keeps small numbers for everything that has a name; [`crate::replay`] runs the same code along a
//! trace. What it is told at a moment is what an edge knows at that moment.

mod expected;

pub use expected::{Expected, Kind, Reason};
