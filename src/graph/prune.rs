//! Forgetting, when the graph takes more memory than it may.
//!
//! History goes first: names that tags had long ago, and who asked for what and pulled what together but does not any more. Then
//! manifests go with whatever only they used, those first that are asked for least. What the catalog has stays, whatever that
//! takes. The graph is only held for a moment at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLockWriteGuard;
use petgraph::{
    Direction,
    stable_graph::{EdgeIndex, NodeIndex},
    visit::{EdgeRef, NodeIndexable},
};

use super::{
    handle::Shared,
    model::{Edge, Node, RepositoryNode, Seconds, State},
    rates::decayed,
};
use crate::{
    catalog::{self, Catalog, TagKey},
    events,
    oci::{Digest, Tag},
};

/// Names that tags had until then are history, in seconds.
const PAST: Seconds = 90 * 86_400;

/// What was done so often of late, halved every week, is not done any more.
const FADED: f32 = 0.1;

/// Nodes that are looked at while the graph is held.
const STRIDE: usize = 4096;

/// How long the graph is held to forget something, roughly.
const HOLD: Duration = Duration::from_millis(1);

/// When nothing more can be forgotten, it is tried again so much later.
const REST: Duration = Duration::from_secs(600);

/// What has been asked for is worth at least as much as what was heard of so long ago, in seconds.
const NEWS: f32 = 30.0 * 86_400.0;

/// Keeps a graph within its memory.
#[derive(Debug)]
pub(super) struct Pruner {
    limit: u64,
    catalog: Arc<Catalog>,
    rests_until: Option<Instant>,
}

impl Pruner {
    pub(super) const fn new(limit: u64, catalog: Arc<Catalog>) -> Self {
        Self { limit, catalog, rests_until: None }
    }

    /// Forgets down to nine tenths of the limit, if that is exceeded. Only the thread that changes the graph may call it.
    pub(super) fn prune(&mut self, shared: &Shared) {
        let before = shared.state.read().memory();
        if before <= self.limit || self.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let target = self.limit / 10 * 9;
        let now = (events::now() / 1000) as Seconds;
        let mut pass = Pass { shared, target, now, forgotten: 0, is_kept: |kept: Kept<'_>| is_kept(&self.catalog, kept) };
        pass.run();
        let after = shared.state.read().memory();
        shared.metrics.forgotten.inc_by(pass.forgotten);
        tracing::info!(
            before,
            after,
            limit = self.limit,
            forgotten = pass.forgotten,
            "the graph has forgotten what is worth least"
        );
        self.rests_until = (after > target).then(|| Instant::now() + REST);
        if after > self.limit {
            tracing::warn!(after, limit = self.limit, "the graph takes more than graph.memory for what the catalog has");
        }
    }
}

/// What may have to stay.
#[derive(Debug, Clone, Copy)]
enum Kept<'a> {
    Manifest(&'a RepositoryNode, &'a Digest),
    Tag(&'a RepositoryNode, &'a Tag),
}

/// Whether the catalog has it. When it cannot tell, it does.
fn is_kept(catalog: &Catalog, kept: Kept<'_>) -> bool {
    let (Kept::Manifest(repository, _) | Kept::Tag(repository, _)) = kept;
    let (route, name) = (repository.route.clone(), repository.name.clone());
    let mirror = catalog::Repository { route, name };
    let is_hosted = repository.route.is_empty();
    let found = match kept {
        Kept::Manifest(_, digest) if is_hosted => catalog.hosted_manifest(&mirror.name, digest).map(|found| found.is_some()),
        Kept::Manifest(_, digest) => catalog.link(&mirror, digest).map(|found| found.is_some()),
        Kept::Tag(_, tag) if is_hosted => catalog.hosted_tag(&mirror.name, tag).map(|found| found.is_some()),
        Kept::Tag(_, tag) => catalog.tag(&TagKey { repository: mirror, tag: tag.clone() }).map(|found| found.is_some()),
    };
    found.unwrap_or(true)
}

/// One time that something has to be forgotten.
struct Pass<'a, K> {
    shared: &'a Shared,
    target: u64,
    now: Seconds,
    forgotten: u64,
    is_kept: K,
}

impl<K: Fn(Kept<'_>) -> bool> Pass<'_, K> {
    fn run(&mut self) {
        let past = self.look(|state, node, found| state.past(node, self.now, found));
        self.forget(past, State::forget_edge);
        let mut contents = self.look(|state, node, found| found.extend(state.value(node, self.now).map(|value| (value, node))));
        contents.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        self.forget_contents(contents.into_iter().map(|(_, node)| node));
        let unused = self.look(|state, node, found| found.extend(state.is_unused(node).then_some(node)));
        self.forget(unused, State::remove);
    }

    /// What `find` finds among all nodes.
    fn look<T>(&self, find: impl Fn(&State, NodeIndex, &mut Vec<T>)) -> Vec<T> {
        let mut found = Vec::new();
        let slots = self.shared.state.read().graph.node_bound();
        for first in (0..slots).step_by(STRIDE) {
            let state = self.shared.state.read();
            for node in (first..slots.min(first + STRIDE)).map(NodeIndex::new) {
                if state.node(node).is_some() {
                    find(&state, node, &mut found);
                }
            }
        }
        found
    }

    /// Forgets one after the other until it is enough.
    fn forget<T>(&mut self, what: Vec<T>, forget: impl Fn(&mut State, T)) {
        let mut what = what.into_iter().peekable();
        while what.peek().is_some() {
            let mut state = self.shared.state.write();
            let begun = Instant::now();
            while let Some(one) = what.next_if(|_| begun.elapsed() < HOLD) {
                if state.memory() <= self.target {
                    return;
                }
                forget(&mut state, one);
                self.forgotten += 1;
            }
            RwLockWriteGuard::unlock_fair(state);
        }
    }

    /// As [`Self::forget`], but keeps what has to be kept. That is looked up while others may look too.
    fn forget_contents(&mut self, contents: impl Iterator<Item = NodeIndex>) {
        for content in contents {
            let state = self.shared.state.read();
            if state.memory() <= self.target {
                return;
            }
            if state.is_kept(content, &self.is_kept) {
                continue;
            }
            drop(state);
            let mut state = self.shared.state.write();
            state.forget_content(content);
            self.forgotten += 1;
            RwLockWriteGuard::unlock_fair(state);
        }
    }
}

impl State {
    /// The edges of a node that are history.
    fn past(&self, node: NodeIndex, now: Seconds, found: &mut Vec<EdgeIndex>) {
        match self.node(node) {
            Some(Node::Tag(_) | Node::Audience(_)) => {
                let past = self.graph.edges(node).filter(|edge| is_past(edge.weight(), now));
                found.extend(past.map(|edge| edge.id()));
            }
            // Its other edges are many.
            Some(Node::Repository(_)) => {
                let edges = self.co_pulled.get(&node).into_iter().flatten();
                found.extend(edges.filter(|&&edge| self.graph.edge_weight(edge).is_some_and(|edge| is_past(edge, now))));
            }
            Some(Node::Content(_)) | None => {}
        }
    }

    /// Forgets an edge that is history, unless it has gone with something else.
    pub(super) fn forget_edge(&mut self, edge: EdgeIndex) {
        let (Some((_, to)), Some(weight)) = (self.graph.edge_endpoints(edge), self.graph.edge_weight(edge)) else { return };
        match weight {
            Edge::Names { until, .. } if *until != 0 => {
                self.unlink(edge);
                self.release(vec![to]);
            }
            Edge::Wants { .. } | Edge::CoPulled { .. } => self.unlink(edge),
            // Its number was given to another one.
            _ => {}
        }
    }

    /// What it is worth to know a manifest, or a content that belongs to none: how often it was asked for of late, in all
    /// regions together, and whether a tag names it or it is news. None for what goes with the manifests that name it.
    fn value(&self, node: NodeIndex, now: Seconds) -> Option<f32> {
        let content = self.as_content(node)?;
        let belongs = |edge: &Edge| matches!(edge, Edge::Contains { .. } | Edge::Configured | Edge::Child { .. } | Edge::Refers);
        if !self.is_known(node) && self.is_entered(node, belongs) {
            return None;
        }
        let rates = || self.rates.values().filter_map(|rates| rates.get(&node));
        let asked: f32 = rates().map(|rates| rates.at(now)[2]).sum();
        let last = rates().map(|rates| rates.last()).max().unwrap_or_default().max(content.first_seen);
        let news = (-(now.saturating_sub(last) as f32) / NEWS).exp2();
        let is_named = self.is_entered(node, |edge| matches!(edge, Edge::Names { until: 0, .. }));
        Some(asked + news + f32::from(u8::from(is_named)))
    }

    /// Whether a repository that has a content, or a tag that names it, keeps it.
    fn is_kept(&self, content: NodeIndex, is_kept: &impl Fn(Kept<'_>) -> bool) -> bool {
        let Some(digest) = self.as_content(content).map(|content| content.digest()) else { return true };
        self.graph.edges_directed(content, Direction::Incoming).any(|edge| match edge.weight() {
            Edge::Has => self.as_repository(edge.source()).is_some_and(|repository| is_kept(Kept::Manifest(repository, &digest))),
            Edge::Names { until: 0, .. } => self.as_tag(edge.source()).is_some_and(|tag| {
                self.as_repository(tag.repository).is_some_and(|repository| is_kept(Kept::Tag(repository, &tag.tag)))
            }),
            _ => false,
        })
    }

    /// Forgets a content, who has, names and wants it, and whatever only it used. What is still mentioned is then known by its
    /// digest alone.
    pub(super) fn forget_content(&mut self, content: NodeIndex) {
        let now = self.unlink_where(content, Direction::Incoming, |edge| matches!(edge, Edge::Names { until: 0, .. }));
        now.iter().for_each(|&tag| self.version_leaves(tag));
        let past = self.unlink_where(content, Direction::Incoming, |edge| {
            matches!(edge, Edge::Names { .. } | Edge::Has | Edge::Wants { .. } | Edge::Succeeded { .. })
        });
        let mut unheld = if self.is_known(content) { self.forget_manifest(content) } else { Vec::new() };
        unheld.push(content);
        self.release(unheld);
        for node in now.into_iter().chain(past) {
            if self.is_unused(node) {
                self.remove(node);
            }
        }
    }

    /// Whether nothing is known of a tag, repository or audience.
    fn is_unused(&self, node: NodeIndex) -> bool {
        let mut edges = self.graph.edges(node).chain(self.graph.edges_directed(node, Direction::Incoming));
        match self.node(node) {
            Some(Node::Tag(_)) => edges.all(|edge| matches!(edge.weight(), Edge::Holds)),
            Some(Node::Repository(_) | Node::Audience(_)) => edges.next().is_none(),
            Some(Node::Content(_)) | None => false,
        }
    }
}

fn is_past(edge: &Edge, now: Seconds) -> bool {
    match *edge {
        Edge::Names { until, .. } => until != 0 && until.saturating_add(PAST) < now,
        Edge::Wants { weight, at } | Edge::CoPulled { weight, at } => decayed(weight, at, now) < FADED,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
