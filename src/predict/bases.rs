//! Public images that others are built on: when one moves, those are rebuilt, and will need what is new in it.

use std::collections::HashMap;

use super::world::{ContentId, Name, World};

/// What public tags named last.
#[derive(Debug, Default)]
pub(super) struct Bases(HashMap<Name, u32>);

impl Bases {
    /// A tag names an image. Returns the top layer of the one that it named before: what is built on that has it too.
    pub(super) fn moved(&mut self, name: Name, image: u32, world: &World) -> Option<ContentId> {
        if name.private {
            return None;
        }
        let before = self.0.insert(name, image).filter(|before| *before != image)?;
        world.layers(before).last()
    }
}
