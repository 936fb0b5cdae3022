//! What is known of manifests: on which lowest layer an image stands, and how large it is.

use std::collections::HashMap;

use super::subject::short;
use crate::events::ManifestSeen;

/// Manifests that are known at most, twice.
const MOST: usize = 20_000;

/// Of manifests, the lowest layer and the size. The oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Anatomy {
    recent: HashMap<u64, Known>,
    older: HashMap<u64, Known>,
    /// The index that a manifest belongs to, until it is seen.
    parents: HashMap<u64, u64>,
}

/// What is known of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    /// Its lowest layer.
    pub(super) family: u64,
    /// The bytes of all its layers.
    pub(super) bytes: u64,
}

impl Anatomy {
    /// Notes what a manifest says.
    pub(super) fn seen(&mut self, seen: &ManifestSeen) {
        let manifest = short(&seen.manifest.digest);
        if let Some(children) = &seen.manifests {
            if self.parents.len() > MOST {
                self.parents.clear();
            }
            // Attestations are no images.
            let images =
                children.iter().filter(|child| child.platform.as_deref().is_none_or(|name| !name.starts_with("unknown")));
            for child in images.map(|child| short(&child.manifest.digest)) {
                match self.of(child) {
                    Some(known) => self.note(manifest, known),
                    None => drop(self.parents.insert(child, manifest)),
                }
            }
        } else if let Some(lowest) = seen.layers.first() {
            let bytes = seen.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
            let known = Known { family: short(&lowest.digest), bytes };
            self.note(manifest, known);
            // One platform stands for all: they are built together.
            if let Some(index) = self.parents.remove(&manifest).filter(|index| self.of(*index).is_none()) {
                self.note(index, known);
            }
        }
    }

    /// What is known of a manifest or index.
    pub(super) fn of(&self, manifest: u64) -> Option<Known> {
        self.recent.get(&manifest).or_else(|| self.older.get(&manifest)).copied()
    }

    fn note(&mut self, manifest: u64, known: Known) {
        if self.recent.len() >= MOST {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(manifest, known);
    }
}
