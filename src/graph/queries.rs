//! Questions to the graph, one file each.
//!
//! All of them are about what a [`Viewer`](super::Viewer) may see, and all stop somewhere: an answer says so when it was cut. Those that look at
//! a neighbourhood are functions of the state, and hold it for a moment; those that look at everything ([`Survey`], [`Ranking`])
//! go over it in steps, between which it changes. Nothing depends on the order in which events came: what is equally good is
//! in the order of its name.

mod around;
mod bases;
mod image;
mod neighbours;
mod page;
mod shares;
mod sharing;
mod statistics;
mod subject;
mod together;
mod top;
mod versions;
mod visibility;

pub use around::{Around, Bounds, EdgeFound, NodeFound, around};
pub use bases::{Base, Bases, bases};
pub use image::{Image, layers};
pub use neighbours::{Neighbour, Neighbours, neighbours};
pub use page::Page;
pub use shares::{Shares, shared_with, shares};
pub use sharing::{Sharing, sharing};
pub use statistics::{FanOut, Statistics, Survey};
pub use subject::{InvalidSubject, Place, Subject};
pub use together::{Companion, Together, together};
pub use top::{Order, Ranking, Top, Valuable};
pub use versions::{Change, Naming, Versions, versions};

use petgraph::{stable_graph::NodeIndex, visit::NodeIndexable};

use super::State;

/// Edges that a question looks at, at most; what lies beyond is not in the answer, which says so.
pub const MOST_EXAMINED: usize = 5_000;

/// Nodes and edges that a step of a sweep looks at, but for the last node of it.
const STEP: usize = 2_048;

/// A question that was asked well, but has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// There is no such thing, or it is not to be seen.
    #[error("the graph does not know '{0}'")]
    Unknown(String),
    /// The question is about something else than what was named.
    #[error("'{what}' is {is}, and the question is about {wanted}")]
    WrongKind {
        /// What was named.
        what: String,
        /// What it is.
        is: &'static str,
        /// What the question is about.
        wanted: &'static str,
    },
    /// It tells who asks for what.
    #[error("this question is for the operator only: it tells what is asked for")]
    OperatorOnly,
}

/// What is left of the work that a question may cause.
#[derive(Debug)]
struct Budget {
    /// In eighths of an edge that is shown.
    left: usize,
}

impl Budget {
    const fn new(most: usize) -> Self {
        Self { left: most.saturating_mul(8) }
    }

    /// Takes an edge that is shown; false when there is none left.
    const fn take(&mut self) -> bool {
        self.spend(8)
    }

    /// Passes an edge that is not shown: cheaper, so that what the public is told hardly depends on what it is not.
    const fn pass(&mut self) -> bool {
        self.spend(1)
    }

    const fn spend(&mut self, eighths: usize) -> bool {
        match self.left.checked_sub(eighths) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// Goes over all nodes in steps, between which the graph may change.
#[derive(Debug, Default)]
struct Sweep {
    next: usize,
}

impl Sweep {
    /// Shows nodes and what they are to `look`, which tells how many edges it looked at, until that is enough for one step.
    /// False when these were the last nodes.
    fn step(&mut self, state: &State, mut look: impl FnMut(NodeIndex) -> usize) -> bool {
        let end = state.graph.node_bound();
        let mut left = STEP;
        while self.next < end && left > 0 {
            let node = NodeIndex::new(self.next);
            self.next += 1;
            let edges = if state.node(node).is_some() { look(node) } else { 0 };
            left = left.saturating_sub(1 + edges);
        }
        self.next < end
    }
}

#[cfg(test)]
mod tests;
