//! Which images share a layer.

use petgraph::{Direction::Incoming, stable_graph::NodeIndex, visit::EdgeRef};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, Role, State, Viewer},
    Budget, Image, MOST_EXAMINED, Page, Place, QuestionError, Subject,
    image::distinct,
    subject,
};
use crate::oci::Digest;

/// The images that have a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Shares {
    /// The layer.
    pub layer: String,
    /// Its length in bytes.
    pub size: u64,
    /// How many images have it.
    pub total: u64,
    /// Whether there are more, which were not looked at.
    pub cut: bool,
    /// Those of this page, by digest.
    pub images: Vec<Image>,
}

/// The images that have a layer, of which [`MOST_EXAMINED`] are looked at.
///
/// # Errors
/// When there is no such layer, or it is no layer.
pub fn shares(state: &State, viewer: Viewer, of: &Subject, page: Page) -> Result<Shares, QuestionError> {
    let layer = of.content(state, viewer)?;
    let wrong = |is| QuestionError::WrongKind { what: of.to_string(), is, wanted: "layers" };
    match viewer.role(state, layer) {
        Some(Role::Manifest | Role::Index) => return Err(wrong("an image")),
        Some(Role::Unknown) | None => return Err(QuestionError::Unknown(of.to_string())),
        Some(Role::Blob | Role::Config | Role::Layer) => {}
    }
    let mut budget = Budget::new(MOST_EXAMINED);
    let (images, cut) = having(state, viewer, layer, &mut budget);
    let mut images = distinct(images);
    subject::sort(state, &mut images);
    let mut budget = Budget::new(MOST_EXAMINED);
    let told = page.of(&images).iter().map(|&image| Image::of(state, viewer, image, &mut budget));
    Ok(Shares {
        images: told.collect(),
        layer: subject::name(state, layer),
        size: state.as_content(layer).map_or(0, |layer| layer.size),
        total: images.len() as u64,
        cut,
    })
}

/// The manifests that have a layer, and whether there are more. One that has it twice is there twice.
pub(super) fn having(state: &State, viewer: Viewer, layer: NodeIndex, budget: &mut Budget) -> (Vec<NodeIndex>, bool) {
    let mut images = Vec::new();
    for edge in state.graph.edges_directed(layer, Incoming) {
        let shown = matches!(edge.weight(), Edge::Contains { .. } | Edge::Configured) && viewer.reads(state, edge.source());
        if !if shown { budget.take() } else { budget.pass() } {
            return (images, true);
        }
        if shown {
            images.push(edge.source());
        }
    }
    (images, false)
}

/// The repositories whose images have a layer already: public ones, and `own`; at most 20, by name. What is told to whoever pushes
/// it there.
pub fn shared_with(state: &State, layer: &Digest, own: &Place) -> Vec<String> {
    const MOST: usize = 20;
    let Some(layer) = state.content(layer) else { return Vec::new() };
    let own = state.repository(&own.route, &own.name);
    let mut budget = Budget::new(MOST_EXAMINED);
    let mut repositories = Vec::new();
    for edge in state.graph.edges_directed(layer, Incoming).filter(|edge| matches!(edge.weight(), Edge::Contains { .. })) {
        let owners = state.graph.edges_directed(edge.source(), Incoming).filter(|edge| *edge.weight() == Edge::Has);
        let shown = |&owner: &NodeIndex| Some(owner) == own || Viewer::Public.sees(state, owner);
        repositories.extend(owners.map(|edge| edge.source()).filter(shown));
        if !budget.take() {
            break;
        }
    }
    let mut names: Vec<_> = distinct(repositories).into_iter().map(|owner| subject::name(state, owner)).collect();
    names.sort_unstable();
    names.truncate(MOST);
    names
}
