//! An event becomes knowledge.
//!
//! What is derived (bases, neighbouring versions) is kept as it would be if it were found anew in what is there; only history
//! (past names of tags, who asked, what was pulled together) depends on the past. Times may run back.

mod demand;
mod manifests;
mod tags;

use std::sync::Arc;

use petgraph::stable_graph::NodeIndex;

use super::{
    model::{Audience, Content, Edge, Node, RepositoryNode, Role, Seconds, State, TagNode},
    names::Interned,
};
use crate::{
    events::{Event, Millis, Repository, What},
    oci::{Digest, Tag},
};

impl State {
    /// Takes in what happened. The same events in the same order lead to the same state.
    pub fn apply(&mut self, event: &Event) {
        self.sequence += 1;
        let at = seconds(event.at);
        match &event.what {
            What::ManifestSeen(seen) => self.manifest_seen(seen, at),
            What::ManifestDeleted { repository, digest } => self.manifest_deleted(repository, digest, at),
            What::ConfigRead { digest, created } => self.config_read(digest, *created, at),
            What::TagMoved { repository, tag, digest } => self.tag_moved(repository, tag, digest.as_ref(), at),
            What::Request(request) => self.requested(request, at),
            What::BlobStored { digest, size } => self.blob_stored(digest, *size),
            // Where bytes lie is the tiers' business.
            What::BlobEvicted { .. } | What::Prefetched { .. } => {}
        }
    }

    /// How many events have been applied, ever: those before the last start, as far as they were kept, included.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The length of a content that is known is known.
    fn blob_stored(&mut self, digest: &Digest, size: u64) {
        if let Some(node) = self.content(digest) {
            self.describe(node, |content| {
                if content.size == 0 {
                    content.size = size;
                }
            });
        }
    }

    /// When an image was made is known of its configuration, and of the images that have it and do not say it themselves.
    fn config_read(&mut self, digest: &Digest, created: u64, at: Seconds) {
        let created = created.try_into().unwrap_or(Seconds::MAX);
        let config = self.ensure_content(digest, at);
        self.describe(config, |content| {
            content.created = created;
            if content.role == Role::Unknown {
                content.role = Role::Config;
            }
        });
        let images = self.graph.edges_directed(config, petgraph::Direction::Incoming);
        let images = images.filter(|edge| matches!(edge.weight(), Edge::Configured));
        let images: Vec<_> = images.map(|edge| petgraph::visit::EdgeRef::source(&edge)).collect();
        for image in images {
            self.describe(image, |content| {
                if content.created == 0 {
                    content.created = created;
                }
            });
        }
    }

    /// Changes what is known of a content.
    fn describe(&mut self, node: NodeIndex, change: impl FnOnce(&mut Content)) {
        let Some(Node::Content(content)) = self.graph.node_weight_mut(node) else { return };
        let before = (content.size, content.created, content.media_type, content.role);
        change(content);
        if before != (content.size, content.created, content.media_type, content.role) {
            self.touched.node(node);
        }
    }

    fn ensure_content(&mut self, digest: &Digest, at: Seconds) -> NodeIndex {
        match self.content(digest) {
            Some(node) => node,
            None => self.add(Node::Content(Content::new(digest, at))),
        }
    }

    fn ensure_repository(&mut self, repository: &Repository) -> NodeIndex {
        let Repository { route, name, private } = repository;
        let Some(node) = self.repository(route, name) else {
            let (route, name, private) = (route.clone(), name.clone(), *private);
            return self.add(Node::Repository(Box::new(RepositoryNode { route, name, private })));
        };
        if let Some(Node::Repository(known)) = self.graph.node_weight_mut(node)
            && known.private != *private
        {
            known.private = *private;
            self.touched.node(node);
        }
        node
    }

    fn ensure_tag(&mut self, repository: NodeIndex, tag: &Tag) -> NodeIndex {
        if let Some(node) = self.tag(repository, tag) {
            return node;
        }
        let node = self.add(Node::Tag(Box::new(TagNode { repository, tag: tag.clone() })));
        self.link(repository, node, Edge::Holds);
        node
    }

    fn ensure_audience(&mut self, customer: Option<&Arc<str>>, region: Interned) -> NodeIndex {
        match self.audience(customer, region) {
            Some(node) => node,
            None => self.add(Node::Audience(Box::new(Audience { customer: customer.cloned(), region }))),
        }
    }
}

fn seconds(at: Millis) -> Seconds {
    (at / 1000).try_into().unwrap_or(Seconds::MAX)
}

#[cfg(test)]
pub(super) mod tests;
