//! Small numbers for everything that has a name, and what happens to them.

use crate::{events::Millis, oci::Digest};

/// The number of a content.
pub type ContentId = u32;

/// What is known of contents and images, by their numbers.
#[derive(Debug, Default)]
pub struct World {
    /// All layers that were asked for or named.
    pub contents: Vec<Content>,
    /// All images whose layers are known.
    pub images: Vec<Image>,
}

impl World {
    /// The layers of an image.
    pub(super) fn layers(&self, image: u32) -> impl Iterator<Item = ContentId> + Clone {
        self.images[image as usize].iter().copied()
    }

    /// The length of a content in bytes.
    pub fn size(&self, content: ContentId) -> u64 {
        self.contents[content as usize].size
    }
}

/// A layer.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// The layers of an image, lowest first.
pub type Image = Box<[ContentId]>;

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When.
    pub at: Millis,
    /// What.
    pub what: What,
}

/// What happened. All numbers are the workload's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A client asked for a layer.
    Layer {
        /// Where.
        region: u16,
        /// Who.
        client: u32,
        /// Which one.
        content: ContentId,
    },
    /// A client asked for an image.
    Image {
        /// Where.
        region: u16,
        /// For whom.
        customer: u32,
        /// Who.
        client: u32,
        /// By which name.
        name: Name,
        /// The image, if its layers are known by then.
        image: Option<u32>,
    },
    /// A tag was made to name an image.
    Moved {
        /// The tag.
        name: Name,
        /// The image, if its layers are known by then.
        image: Option<u32>,
    },
}

/// The name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The repository.
    pub repository: u32,
    /// The tag of that repository; for a request by digest, the image.
    pub tag: u32,
    /// Whether the repository is private.
    pub private: bool,
}
