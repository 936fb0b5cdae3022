//! What an image shares with each of its neighbours.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use petgraph::stable_graph::NodeIndex;
use serde::{Deserialize, Serialize};

use super::{
    super::{State, Viewer},
    Budget, Image, MOST_EXAMINED, Page, QuestionError, Subject,
    image::{distinct, layers},
    shares::having,
    subject,
};

/// What an image shares with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Neighbours {
    /// The image.
    pub image: Image,
    /// How many images share a layer with it.
    pub total: u64,
    /// Whether there are more, or some share more than is told: not everything was looked at, the highest layers first.
    pub cut: bool,
    /// Those of this page: the one with most shared bytes first.
    pub neighbours: Vec<Neighbour>,
}

/// An image that shares layers with another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Neighbour {
    /// The neighbour.
    pub image: Image,
    /// How many layers both have.
    pub layers: u32,
    /// Their bytes: what one does not cost where the other is.
    pub bytes: u64,
}

/// What both have.
#[derive(Debug, Clone, Copy, Default)]
struct Common {
    layers: u32,
    bytes: u64,
}

/// What an image shares with others; [`MOST_EXAMINED`] uses of its layers are looked at.
///
/// # Errors
/// When there is no such image.
pub fn neighbours(
    state: &State,
    viewer: Viewer,
    of: &Subject,
    platform: Option<&str>,
    page: Page,
) -> Result<Neighbours, QuestionError> {
    let image = of.image(state, viewer, platform)?;
    let (found, cut) = common(state, viewer, image);
    let mut budget = Budget::new(MOST_EXAMINED);
    let told = page.of(&found).iter().map(|&(neighbour, Common { layers, bytes })| Neighbour {
        image: Image::of(state, viewer, neighbour, &mut budget),
        layers,
        bytes,
    });
    let neighbours = told.collect();
    let mut budget = Budget::new(MOST_EXAMINED);
    let image = Image::of(state, viewer, image, &mut budget);
    Ok(Neighbours { image, total: found.len() as u64, cut, neighbours })
}

/// All neighbours, the one with most bytes first, and whether the search was cut.
fn common(state: &State, viewer: Viewer, image: NodeIndex) -> (Vec<(NodeIndex, Common)>, bool) {
    let mut found: HashMap<NodeIndex, Common> = HashMap::new();
    let mut budget = Budget::new(MOST_EXAMINED);
    let (mut cut, mut looked_at) = (false, HashSet::new());
    // What lies high is shared by few: when it has to be cut, it is among those who share the lowest alone.
    for layer in layers(state, viewer, image).into_iter().rev() {
        if !looked_at.insert(layer) {
            continue;
        }
        let size = state.as_content(layer).map_or(0, |layer| layer.size);
        let (others, more) = having(state, viewer, layer, &mut budget);
        cut |= more;
        for other in distinct(others).into_iter().filter(|&other| other != image) {
            let common = found.entry(other).or_default();
            common.layers += 1;
            common.bytes += size;
        }
    }
    let keyed = found
        .into_iter()
        .map(|(other, common)| (Reverse(common.bytes), Reverse(common.layers), subject::key(state, other), other));
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_unstable_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)).then_with(|| subject::compare(state, a.3, b.3)));
    let found = keyed.into_iter().map(|(Reverse(bytes), Reverse(layers), _, other)| (other, Common { layers, bytes })).collect();
    (found, cut)
}
