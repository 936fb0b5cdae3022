//! What an image is built on.

use std::{cmp::Reverse, collections::BTreeMap};

use petgraph::{stable_graph::NodeIndex, visit::EdgeRef};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, State, Viewer},
    Budget, Image, MOST_EXAMINED, QuestionError, Subject,
    image::{digest_bytes, layers},
};

/// Images that are looked at to find bases, at most.
const MOST_BASES: usize = 1_000;

/// What an image is built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Bases {
    /// The image.
    pub image: Image,
    /// Whether there is more, which was not looked at.
    pub cut: bool,
    /// The image that it is built on, the one that that is built on, and so on.
    pub bases: Vec<Base>,
}

/// An image that others are built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Base {
    /// The image.
    pub image: Image,
    /// How many layers of it the image that was asked about begins with.
    pub shared: u32,
    /// Whether the image says so itself, in the annotation `org.opencontainers.image.base.digest`; otherwise its layers do.
    pub declared: bool,
}

/// What an image is built on: what it says itself, and the images whose layers it begins with, the longest first; of several with
/// the same layers, the one with the least digest.
///
/// # Errors
/// When there is no such image.
pub fn bases(state: &State, viewer: Viewer, subject: &Subject, platform: Option<&str>) -> Result<Bases, QuestionError> {
    let image = subject.image(state, viewer, platform)?;
    let layers = layers(state, viewer, image);
    let declared = declared(state, viewer, image);
    // By length: the least digest that is seen.
    let mut found: BTreeMap<Reverse<usize>, NodeIndex> = BTreeMap::new();
    let mut budget = Budget::new(MOST_BASES);
    let mut cut = false;
    state.beginnings(&layers, |length, base| {
        let shown = viewer.reads(state, base);
        cut = !if shown { budget.take() } else { budget.pass() };
        if shown && !cut {
            let least = found.entry(Reverse(length)).or_insert(base);
            if digest_bytes(state, base) < digest_bytes(state, *least) || Some(base) == declared {
                *least = base;
            }
        }
        !cut
    });
    let mut chain: Vec<(NodeIndex, usize)> = found.into_iter().map(|(Reverse(length), base)| (base, length)).collect();
    if let Some(said) = declared
        && !chain.iter().any(|&(base, _)| base == said)
    {
        chain.insert(0, (said, common(state, viewer, &layers, said)));
    }
    let mut budget = Budget::new(MOST_EXAMINED);
    let mut told = |node| Image::of(state, viewer, node, &mut budget);
    let image = told(image);
    let bases = chain.into_iter().map(|(base, shared)| Base {
        image: told(base),
        shared: shared as u32,
        declared: Some(base) == declared,
    });
    Ok(Bases { image, cut, bases: bases.collect() })
}

/// The image that an image says it is built on; of an index, the one that shares most with it.
fn declared(state: &State, viewer: Viewer, image: NodeIndex) -> Option<NodeIndex> {
    if !viewer.reads(state, image) {
        return None;
    }
    let said = |edge: &Edge| matches!(edge, Edge::BasedOn { declared: true, .. });
    let base = state.graph.edges(image).find(|edge| said(edge.weight()))?.target();
    if !viewer.sees(state, base) {
        return None;
    }
    let own = layers(state, viewer, image);
    let children = state.graph.edges(base).filter(|edge| matches!(edge.weight(), Edge::Child { .. }));
    let mut children: Vec<_> = children.filter(|edge| viewer.sees_edge(state, *edge)).map(|edge| edge.target()).collect();
    children.sort_unstable_by_key(|&child| (Reverse(common(state, viewer, &own, child)), digest_bytes(state, child)));
    Some(children.first().copied().unwrap_or(base))
}

/// How many of the lowest layers are those of an image.
fn common(state: &State, viewer: Viewer, own: &[NodeIndex], image: NodeIndex) -> usize {
    own.iter().zip(layers(state, viewer, image)).take_while(|(one, other)| **one == *other).count()
}
