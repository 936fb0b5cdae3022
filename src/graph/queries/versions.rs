//! What came before and after: tags that move, and versions that follow each other.

use petgraph::{
    Direction::{self, Incoming, Outgoing},
    stable_graph::NodeIndex,
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, Seconds, State, Viewer},
    Budget, MOST_EXAMINED, Page, QuestionError, Subject, subject,
};

/// Versions that are told in each direction, at most.
const MOST_VERSIONS: usize = 20;

/// What came before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Versions {
    /// The tag or the content that was asked about.
    pub subject: String,
    /// How many namings there are.
    pub total: u64,
    /// Whether there is more, which was not looked at.
    pub cut: bool,
    /// What the tag names and named, or which tags name and named the content: the latest first, those of this page.
    pub history: Vec<Naming>,
    /// What tags named right before the content, or before what the tag names now: the latest first, those of this page.
    pub predecessors: Vec<Change>,
    /// What tags named right after it: the latest first, those of this page.
    pub successors: Vec<Change>,
    /// Tags of earlier versions in the series of this tag: at most 20, the nearest first.
    pub earlier: Vec<String>,
    /// Tags of later versions: at most 20, the nearest first.
    pub later: Vec<String>,
}

/// A tag named a content for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Naming {
    /// The tag.
    pub tag: String,
    /// What it named.
    pub digest: String,
    /// Since when, in seconds since the beginning of 1970.
    pub since: u32,
    /// Until when; null when it still does.
    pub until: Option<u32>,
}

/// A tag moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// The tag.
    pub tag: String,
    /// What it named before or after, as it was asked for.
    pub digest: String,
    /// When it moved, in seconds since the beginning of 1970.
    pub at: u32,
}

/// A naming by a tag.
#[derive(Debug, Clone, Copy)]
struct Named {
    since: Seconds,
    until: Seconds,
    tag: NodeIndex,
    content: NodeIndex,
}

/// What came before and after a tag or a content; [`MOST_EXAMINED`] namings are looked at.
///
/// # Errors
/// When there is no such tag or content.
pub fn versions(state: &State, viewer: Viewer, subject: &Subject, page: Page) -> Result<Versions, QuestionError> {
    let node = match subject {
        Subject::Repository(_) => subject.content(state, viewer)?,
        _ => subject.node(state, viewer)?,
    };
    let mut budget = Budget::new(MOST_EXAMINED);
    let (is_tag, mut cut) = (state.as_tag(node).is_some(), false);
    let mut history = if is_tag { by_tag(state, viewer, node) } else { Vec::new() };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    // A tag that names nothing any more has a history only.
    let current = if is_tag { history.iter().find(|named| named.until == 0).map(|named| named.content) } else { Some(node) };
    if let Some(content) = current {
        for tag in tags_of(state, viewer, content) {
            let course = by_tag(state, viewer, tag);
            cut |= !course.iter().all(|_| budget.take());
            if cut {
                break;
            }
            for (at, named) in course.iter().enumerate().filter(|(_, named)| named.content == content) {
                before.extend(at.checked_sub(1).and_then(|at| course.get(at)).map(|earlier| (named.since, *earlier)));
                after.extend(course.get(at + 1).map(|later| (later.since, *later)));
                if !is_tag {
                    history.push(*named);
                }
            }
        }
    }
    let total = history.len() as u64;
    let history = history.into_iter().map(|named| (named.since, named)).collect();
    Ok(Versions {
        subject: subject::name(state, node),
        total,
        cut,
        history: latest(state, history, page).into_iter().map(|(_, named)| naming(state, named)).collect(),
        predecessors: latest(state, before, page).into_iter().map(|change| moved(state, change)).collect(),
        successors: latest(state, after, page).into_iter().map(|change| moved(state, change)).collect(),
        earlier: series(state, viewer, node, Incoming),
        later: series(state, viewer, node, Outgoing),
    })
}

/// What a tag named, in the order of time.
fn by_tag(state: &State, viewer: Viewer, tag: NodeIndex) -> Vec<Named> {
    let namings = state.graph.edges(tag).filter_map(|edge| match *edge.weight() {
        Edge::Names { since, until } => Some(Named { since, until, tag, content: edge.target() }),
        _ => None,
    });
    let mut namings: Vec<_> = namings.filter(|named| viewer.sees(state, named.content)).collect();
    // What is named still is the last, whatever else began in the same second.
    namings.sort_unstable_by_key(|named| {
        (named.since, named.until == 0, named.until, super::image::digest_bytes(state, named.content))
    });
    namings
}

/// The tags that name or named a content.
fn tags_of(state: &State, viewer: Viewer, content: NodeIndex) -> Vec<NodeIndex> {
    let edges = state.graph.edges_directed(content, Incoming).filter(|edge| matches!(edge.weight(), Edge::Names { .. }));
    super::image::distinct(edges.map(|edge| edge.source()).filter(|&tag| viewer.sees(state, tag)).collect())
}

/// The tags before or after one in its series.
fn series(state: &State, viewer: Viewer, tag: NodeIndex, direction: Direction) -> Vec<String> {
    let mut tags = Vec::new();
    let mut at = tag;
    while tags.len() < MOST_VERSIONS {
        let mut edges = state.graph.edges_directed(at, direction);
        let Some(edge) = edges.find(|edge| *edge.weight() == Edge::NextVersion) else { break };
        at = if direction == Incoming { edge.source() } else { edge.target() };
        if !viewer.sees(state, at) {
            break;
        }
        tags.push(subject::name(state, at));
    }
    tags
}

/// The part of a page, the latest first.
fn latest(state: &State, mut all: Vec<(Seconds, Named)>, page: Page) -> Vec<(Seconds, Named)> {
    all.sort_unstable_by(|(a, one), (b, other)| {
        let tags = || subject::compare(state, one.tag, other.tag);
        let contents = || subject::compare(state, one.content, other.content);
        b.cmp(a).then_with(tags).then_with(contents)
    });
    page.of(&all).to_vec()
}

fn naming(state: &State, named: Named) -> Naming {
    let Named { since, until, tag, content } = named;
    let (tag, digest) = (subject::name(state, tag), subject::name(state, content));
    Naming { tag, digest, since, until: (until != 0).then_some(until) }
}

fn moved(state: &State, (at, named): (Seconds, Named)) -> Change {
    Change { tag: subject::name(state, named.tag), digest: subject::name(state, named.content), at }
}
