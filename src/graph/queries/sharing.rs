//! What is shared, be it a layer or an image that was named.

use serde::{Deserialize, Serialize};

use super::{
    super::{Role, State, Viewer},
    Neighbours, Page, QuestionError, Shares, Subject, neighbours, shares,
};

/// What is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Sharing {
    /// A layer was named: the images that have it.
    Layer(Shares),
    /// An image was named: what it shares with others.
    Image(Neighbours),
}

/// The images that have a layer, or what an image shares with others.
///
/// # Errors
/// When there is no such layer or image.
pub fn sharing(
    state: &State,
    viewer: Viewer,
    subject: &Subject,
    platform: Option<&str>,
    page: Page,
) -> Result<Sharing, QuestionError> {
    let content = subject.content(state, viewer)?;
    match viewer.role(state, content) {
        Some(Role::Manifest | Role::Index) => neighbours(state, viewer, subject, platform, page).map(Sharing::Image),
        _ => shares(state, viewer, subject, page).map(Sharing::Layer),
    }
}
