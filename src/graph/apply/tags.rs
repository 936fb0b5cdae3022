//! What tags name, and named.

use petgraph::{
    Direction,
    stable_graph::{EdgeIndex, NodeIndex},
    visit::EdgeRef,
};

use super::super::model::{Edge, Seconds, State};
use crate::{
    events::Repository,
    oci::{Digest, Tag},
};

/// Names of one tag that are remembered, the present one included.
const HISTORY: usize = 64;

/// Clocks are set back a little. What is told so late, in seconds, is the newest all the same; anything older is history.
const SLACK: Seconds = 60;

/// One name of a tag.
#[derive(Debug, Clone, Copy)]
struct Name {
    edge: EdgeIndex,
    manifest: NodeIndex,
    since: Seconds,
    until: Seconds,
}

impl State {
    pub(super) fn tag_moved(&mut self, repository: &Repository, tag: &Tag, digest: Option<&Digest>, at: Seconds) {
        let Some(digest) = digest else {
            let repository = self.repository(&repository.route, &repository.name);
            let tag = repository.and_then(|repository| self.tag(repository, tag));
            tag.into_iter().for_each(|tag| self.tag_deleted(tag, at));
            return;
        };
        let repository = self.ensure_repository(repository);
        let tag = self.ensure_tag(repository, tag);
        let manifest = self.ensure_content(digest, at);
        let names = self.names_of(tag);
        let last = names.iter().map(|name| name.since.max(name.until)).max().unwrap_or_default();
        if at.saturating_add(SLACK) < last {
            self.named_once(tag, manifest, at, &names);
        } else {
            self.names_now(tag, manifest, at.max(last), &names);
        }
        self.trim(tag);
    }

    /// Closes the present names of a repository's tags for a manifest, which is about to go.
    pub(super) fn close_names(&mut self, repository: NodeIndex, manifest: NodeIndex, at: Seconds) {
        let tags = self.graph.edges_directed(manifest, Direction::Incoming).filter_map(|edge| match edge.weight() {
            Edge::Names { until: 0, .. } => Some(edge.source()),
            _ => None,
        });
        let tags: Vec<_> = tags.filter(|&tag| self.as_tag(tag).is_some_and(|tag| tag.repository == repository)).collect();
        for tag in tags {
            self.tag_deleted(tag, at);
        }
    }

    /// What a tag names.
    pub(in super::super) fn named(&self, tag: NodeIndex) -> Option<NodeIndex> {
        self.names_of(tag).into_iter().find(|name| name.until == 0).map(|name| name.manifest)
    }

    fn names_of(&self, tag: NodeIndex) -> Vec<Name> {
        let edges = self.graph.edges(tag).filter_map(|edge| match edge.weight() {
            &Edge::Names { since, until } => Some(Name { edge: edge.id(), manifest: edge.target(), since, until }),
            _ => None,
        });
        edges.collect()
    }

    fn names_now(&mut self, tag: NodeIndex, manifest: NodeIndex, at: Seconds, names: &[Name]) {
        match names.iter().find(|name| name.until == 0) {
            Some(now) if now.manifest == manifest => return,
            Some(now) => {
                self.close(now, at);
                match self.linked(now.manifest, manifest, Edge::Succeeded { at: 0 }) {
                    Some(edge) => self.relabel(edge, Edge::Succeeded { at }),
                    None => drop(self.link(now.manifest, manifest, Edge::Succeeded { at })),
                }
            }
            None => {}
        }
        self.link(tag, manifest, Edge::Names { since: at, until: 0 });
        self.version_arrived(tag);
    }

    /// A tag named a manifest, until the next name that is known.
    fn named_once(&mut self, tag: NodeIndex, manifest: NodeIndex, at: Seconds, names: &[Name]) {
        let is_known = names.iter().any(|name| name.manifest == manifest && name.since == at);
        let next = names.iter().flat_map(|name| [name.since, name.until]).filter(|&other| other > at).min();
        match next {
            Some(until) if !is_known => drop(self.link(tag, manifest, Edge::Names { since: at, until })),
            _ => self.release(vec![manifest]),
        }
    }

    fn tag_deleted(&mut self, tag: NodeIndex, at: Seconds) {
        let names = self.names_of(tag);
        if let Some(now) = names.iter().find(|name| name.until == 0 && name.since <= at.saturating_add(SLACK)) {
            self.close(now, at);
            self.version_leaves(tag);
        }
    }

    fn close(&mut self, name: &Name, at: Seconds) {
        // 0 would say that it is named still.
        self.relabel(name.edge, Edge::Names { since: name.since, until: at.max(name.since).max(1) });
    }

    /// Forgets the oldest names when there are too many.
    fn trim(&mut self, tag: NodeIndex) {
        let mut past = self.names_of(tag);
        let Some(surplus) = past.len().checked_sub(HISTORY).filter(|&surplus| surplus > 0) else { return };
        past.retain(|name| name.until != 0);
        let digest = |node| self.as_content(node).map(|content| content.digest());
        past.sort_by_cached_key(|name| (name.since, name.until, digest(name.manifest)));
        for name in &past[..surplus.min(past.len())] {
            self.unlink(name.edge);
            self.release(vec![name.manifest]);
        }
    }
}
