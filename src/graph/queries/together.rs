//! What is pulled together.

use std::cmp::Reverse;

use petgraph::{
    Direction::{self, Incoming, Outgoing},
    stable_graph::NodeIndex,
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, Seconds, State, Viewer, rates::decayed},
    Budget, MOST_EXAMINED, Page, QuestionError, Subject, subject,
};

/// What is pulled together with a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Together {
    /// The repository.
    pub repository: String,
    /// Whether there is more, which was not looked at.
    pub cut: bool,
    /// What the same clients pulled soon after it: the most frequent first, those of this page.
    pub after: Vec<Companion>,
    /// What they pulled soon before it: the most frequent first, those of this page.
    pub before: Vec<Companion>,
}

/// A repository that is pulled together with another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Companion {
    /// The repository.
    pub repository: String,
    /// How often, each time halved every week, as of now.
    pub weight: f32,
    /// When this last happened, in seconds since the beginning of 1970.
    pub last: u32,
}

/// What is pulled together with the repository of a subject, as of `now`; [`MOST_EXAMINED`] companions are looked at.
///
/// # Errors
/// When there is no such repository, or the viewer is not the operator.
pub fn together(state: &State, viewer: Viewer, subject: &Subject, page: Page, now: Seconds) -> Result<Together, QuestionError> {
    if viewer != Viewer::Operator {
        return Err(QuestionError::OperatorOnly);
    }
    let place = match subject {
        Subject::Repository(place) | Subject::Tag(place, _) | Subject::Of(place, _) => place,
        Subject::Content(digest) => {
            let (what, is, wanted) = (digest.to_string(), "a digest", "repositories");
            return Err(QuestionError::WrongKind { what, is, wanted });
        }
    };
    let repository = Subject::Repository(place.clone()).node(state, viewer)?;
    let (after, more_after) = companions(state, repository, Outgoing, page, now);
    let (before, more_before) = companions(state, repository, Incoming, page, now);
    Ok(Together { repository: subject::name(state, repository), cut: more_after || more_before, after, before })
}

fn companions(state: &State, repository: NodeIndex, direction: Direction, page: Page, now: Seconds) -> (Vec<Companion>, bool) {
    let mut budget = Budget::new(MOST_EXAMINED);
    let (mut found, mut cut) = (Vec::new(), false);
    for edge in state.graph.edges_directed(repository, direction) {
        if !budget.take() {
            cut = true;
            break;
        }
        if let Edge::CoPulled { weight, at } = *edge.weight() {
            let other = if direction == Incoming { edge.source() } else { edge.target() };
            found.push((Reverse(decayed(weight, at, now).to_bits()), subject::name(state, other), at));
        }
    }
    found.sort_unstable();
    let told = page.of(&found).iter().map(|(Reverse(weight), repository, last)| Companion {
        repository: repository.clone(),
        weight: f32::from_bits(*weight),
        last: *last,
    });
    (told.collect(), cut)
}
