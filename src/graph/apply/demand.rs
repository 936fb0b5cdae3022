//! Who asks for what.

use petgraph::stable_graph::NodeIndex;

use super::super::{
    model::{Edge, Node, Role, Seconds, State},
    names::Interned,
    rates::decayed,
};
use crate::events::{Kind, Request};

/// Repositories that are remembered as pulled after one.
const TOGETHER: usize = 32;

impl State {
    pub(super) fn requested(&mut self, request: &Request, at: Seconds) {
        if !request.succeeded() {
            return;
        }
        match request.kind {
            Kind::Blob => self.blob_requested(request, at),
            Kind::Manifest | Kind::ManifestHead => self.manifest_requested(request, at),
            Kind::BlobHead | Kind::Push | Kind::Other => {}
        }
    }

    fn blob_requested(&mut self, request: &Request, at: Seconds) {
        let Some(digest) = &request.digest else { return };
        let region = self.names.intern(&request.region);
        let blob = self.ensure_content(digest, at);
        let is_whole = request.complete && request.status == 200;
        self.describe(blob, |content| {
            if content.role == Role::Unknown {
                content.role = Role::Blob;
            }
            if content.size == 0 && is_whole {
                content.size = request.bytes;
            }
        });
        self.count(region, blob, at);
    }

    /// Who only looks whether a tag has moved wants the tag; who fetches a manifest wants that too.
    fn manifest_requested(&mut self, request: &Request, at: Seconds) {
        let region = self.names.intern(&request.region);
        let repository = self.ensure_repository(&request.repository);
        let audience = self.ensure_audience(request.customer.as_ref(), region);
        if let Some(tag) = &request.tag {
            let tag = self.ensure_tag(repository, tag);
            self.wants(audience, tag, at);
        }
        if let (Some(digest), Kind::Manifest) = (&request.digest, request.kind) {
            let manifest = self.ensure_content(digest, at);
            self.wants(audience, manifest, at);
            self.count(region, manifest, at);
        }
        for before in self.clients.pulled(request.client, repository, at) {
            self.pulled_together(before, repository, at);
        }
    }

    fn count(&mut self, region: Interned, content: NodeIndex, at: Seconds) {
        self.rates.entry(region).or_default().entry(content).or_default().add(at);
        self.touched.node(content);
    }

    fn wants(&mut self, audience: NodeIndex, what: NodeIndex, now: Seconds) {
        let found = self.linked(audience, what, Edge::Wants { weight: 0.0, at: 0 });
        match found.and_then(|edge| Some((edge, self.graph.edge_weight(edge).copied()?))) {
            Some((edge, Edge::Wants { weight, at })) => {
                self.relabel(edge, Edge::Wants { weight: decayed(weight, at, now) + 1.0, at: at.max(now) });
            }
            _ => drop(self.link(audience, what, Edge::Wants { weight: 1.0, at: now })),
        }
    }

    fn pulled_together(&mut self, before: NodeIndex, after: NodeIndex, now: Seconds) {
        let found = self.linked(before, after, Edge::CoPulled { weight: 0.0, at: 0 });
        if let Some(edge) = found
            && let Some(&Edge::CoPulled { weight, at }) = self.graph.edge_weight(edge)
        {
            self.relabel(edge, Edge::CoPulled { weight: decayed(weight, at, now) + 1.0, at: at.max(now) });
            return;
        }
        if self.co_pulled.get(&before).is_some_and(|edges| edges.len() >= TOGETHER) {
            self.forget_rarest(before, now);
        }
        self.link(before, after, Edge::CoPulled { weight: 1.0, at: now });
    }

    /// Forgets what is pulled most rarely after a repository.
    fn forget_rarest(&mut self, repository: NodeIndex, now: Seconds) {
        let edges = self.co_pulled.get(&repository).into_iter().flatten();
        let weighed = edges.filter_map(|&edge| {
            let &Edge::CoPulled { weight, at } = self.graph.edge_weight(edge)? else { return None };
            let Node::Repository(other) = self.graph.node_weight(self.graph.edge_endpoints(edge)?.1)? else { return None };
            Some((decayed(weight, at, now), &other.route, &other.name, edge))
        });
        let least = weighed.min_by(|one, other| one.0.total_cmp(&other.0).then_with(|| (one.1, one.2).cmp(&(other.1, other.2))));
        if let Some(edge) = least.map(|(.., edge)| edge) {
            self.unlink(edge);
        }
    }
}
