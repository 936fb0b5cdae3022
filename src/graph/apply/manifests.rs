//! What is made of what, as manifests come and go.

use petgraph::{Direction, stable_graph::NodeIndex};

use super::super::model::{Edge, Role, Seconds, State};
use crate::{
    events::{Layer, ManifestSeen, Repository},
    oci::Digest,
};

impl State {
    pub(super) fn manifest_seen(&mut self, seen: &ManifestSeen, at: Seconds) {
        let repository = self.ensure_repository(&seen.repository);
        let manifest = self.ensure_content(&seen.manifest.digest, at);
        if self.linked(repository, manifest, Edge::Has).is_none() {
            self.link(repository, manifest, Edge::Has);
        }
        // A digest says the same for ever.
        if !self.is_known(manifest) {
            self.take_in(manifest, seen, at);
        }
    }

    pub(super) fn manifest_deleted(&mut self, repository: &Repository, digest: &Digest, at: Seconds) {
        let Some(manifest) = self.content(digest) else { return };
        let Some(node) = self.repository(&repository.route, &repository.name) else { return };
        if repository.route.is_empty() {
            self.close_names(node, manifest, at);
        }
        if let Some(edge) = self.linked(node, manifest, Edge::Has) {
            self.unlink(edge);
        }
        self.release(vec![manifest]);
    }

    /// Whether it is known what a manifest says.
    pub(in super::super) fn is_known(&self, manifest: NodeIndex) -> bool {
        self.as_content(manifest).is_some_and(|content| matches!(content.role, Role::Manifest | Role::Index))
    }

    /// Forgets contents that nothing holds any more, and what only they held. A manifest is held by a repository, a tag that
    /// names or named it, and an index; of one that is only mentioned elsewhere, what it says is forgotten.
    pub(in super::super) fn release(&mut self, mut contents: Vec<NodeIndex>) {
        let holds = |edge: &Edge| matches!(edge, Edge::Has | Edge::Names { .. } | Edge::Child { .. });
        let mentions =
            |edge: &Edge| matches!(edge, Edge::Contains { .. } | Edge::Configured | Edge::Refers | Edge::BasedOn { .. });
        while let Some(node) = contents.pop() {
            if self.as_content(node).is_none() {
                continue;
            }
            if self.is_known(node) {
                if self.is_entered(node, holds) {
                    continue;
                }
                contents.extend(self.forget_manifest(node));
            }
            if self.is_entered(node, |edge| mentions(edge) || holds(edge)) {
                let role = self.role_by_users(node);
                self.describe(node, |content| content.role = role);
            } else {
                self.remove(node);
            }
        }
    }

    /// Forgets what a manifest says. Returns what it named.
    pub(in super::super) fn forget_manifest(&mut self, manifest: NodeIndex) -> Vec<NodeIndex> {
        self.base_leaves(manifest);
        let named = self.unlink_where(manifest, Direction::Outgoing, |_| true);
        let role = self.role_by_users(manifest);
        self.describe(manifest, |content| content.role = role);
        self.measure_declared(manifest);
        named
    }

    /// What a content is for, by who names it. What is a layer counts as one, and as nothing else, for as long as it is: who has
    /// many users is not searched for others.
    fn role_by_users(&self, node: NodeIndex) -> Role {
        let Some(role) = self.as_content(node).map(|content| content.role) else { return Role::Unknown };
        let is_layer = || self.is_entered(node, |edge| matches!(edge, Edge::Contains { .. }));
        let is_config = || self.is_entered(node, |edge| matches!(edge, Edge::Configured));
        match role {
            Role::Unknown | Role::Blob => role,
            Role::Config if is_config() => Role::Config,
            Role::Layer | Role::Manifest | Role::Index if is_layer() => Role::Layer,
            Role::Layer | Role::Manifest | Role::Index if is_config() => Role::Config,
            Role::Config | Role::Layer | Role::Manifest | Role::Index => Role::Unknown,
        }
    }

    fn take_in(&mut self, manifest: NodeIndex, seen: &ManifestSeen, at: Seconds) {
        let media_type = self.names.intern(seen.manifest.media_type.as_str());
        let config = seen.config.as_ref().map(|config| self.ensure_named(config, Role::Config, at));
        let made = config.and_then(|config| self.as_content(config)).map_or(0, |config| config.created);
        let created = seen.created.map_or(made, |created| created.try_into().unwrap_or(Seconds::MAX));
        self.describe(manifest, |content| {
            content.size = seen.manifest.size;
            content.media_type = media_type;
            content.role = if seen.manifests.is_some() { Role::Index } else { Role::Manifest };
            content.created = created;
        });
        if let Some(config) = config {
            self.link(manifest, config, Edge::Configured);
        }
        for (position, layer) in seen.layers.iter().enumerate() {
            let layer = self.ensure_named(layer, Role::Layer, at);
            self.link(manifest, layer, Edge::Contains { position: position as u16 });
        }
        for (position, child) in seen.manifests.iter().flatten().enumerate() {
            let platform = self.names.intern(child.platform.as_deref().unwrap_or_default());
            let child = self.ensure_named(&child.manifest, Role::Unknown, at);
            self.link(manifest, child, Edge::Child { position: position as u16, platform });
        }
        if let Some(subject) = &seen.subject {
            let subject = self.ensure_content(subject, at);
            self.link(manifest, subject, Edge::Refers);
        }
        if let Some(base) = seen.base.as_ref().filter(|base| **base != seen.manifest.digest) {
            let base = self.ensure_content(base, at);
            let shared = self.shared(manifest, base);
            self.link(manifest, base, Edge::BasedOn { shared, declared: true });
        }
        self.base_arrived(manifest);
    }

    /// The node of a content that a manifest names, with what it says of it.
    fn ensure_named(&mut self, layer: &Layer, role: Role, at: Seconds) -> NodeIndex {
        let node = self.ensure_content(&layer.digest, at);
        let media_type = self.names.intern(layer.media_type.as_str());
        self.describe(node, |content| {
            if content.size == 0 {
                content.size = layer.size;
            }
            if content.media_type == super::Interned::NONE {
                content.media_type = media_type;
            }
            // What is a layer of one image and the configuration of another counts as a layer.
            let is_more = match content.role {
                Role::Unknown => true,
                Role::Blob => role != Role::Unknown,
                Role::Config => role == Role::Layer,
                Role::Layer | Role::Manifest | Role::Index => false,
            };
            if is_more {
                content.role = role;
            }
        });
        node
    }
}
