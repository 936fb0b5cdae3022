//! What an import has still to fetch.

use std::collections::{HashSet, VecDeque};

use petgraph::visit::EdgeRef;

use super::{Edge, State};
use crate::{events::Repository, oci::Digest};

impl State {
    /// Which manifests of a repository it is not known of what they say: of `digests`, and of those that the indexes among them
    /// name. Of an index that is known itself, only those are lacking that the repository is not known to have. No more than
    /// `most` are told, and not many more looked at.
    pub fn lacking(&self, repository: &Repository, digests: &[Digest], most: usize) -> Vec<Digest> {
        let (mut lacking, mut seen) = (Vec::new(), HashSet::new());
        let mut open: VecDeque<Digest> = digests.iter().copied().collect();
        while let Some(digest) = open.pop_front() {
            if lacking.len() >= most || seen.len() >= 10 * most {
                break;
            }
            if !seen.insert(digest) {
                continue;
            }
            let Some(node) = self.content(&digest).filter(|_| self.has_manifest(repository, &digest)) else {
                lacking.push(digest);
                continue;
            };
            let children = self.graph.edges(node).filter(|edge| matches!(edge.weight(), Edge::Child { .. }));
            open.extend(children.filter_map(|edge| self.as_content(edge.target())).map(|content| content.digest()));
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        events::{Child, Event, ManifestSeen, What},
        graph::apply::tests::{digest, image, layer, repository},
    };

    #[test]
    fn what_is_known_of_another_repository_or_named_by_an_index_only_is_lacking() {
        let mut state = State::default();
        let child = |name: &str| Child { manifest: layer(name), platform: None };
        let manifests = Some(vec![child("a"), child("b")]);
        let index = ManifestSeen { manifest: layer("i"), manifests, layers: Vec::new(), config: None, ..image("x", "i") };
        for seen in [image("x", "a"), image("y", "b"), index] {
            state.apply(&Event { at: 1_000, what: What::ManifestSeen(Arc::new(seen)) });
        }
        let lacking = |name: &str, of: &[&str], most: usize| {
            let digests: Vec<_> = of.iter().map(|name| digest(name)).collect();
            state.lacking(&repository(name), &digests, most)
        };
        assert_eq!(lacking("x", &["a"], 9), []);
        assert_eq!(lacking("x", &["i"], 9), [digest("b")]);
        assert_eq!(lacking("x", &["new", "b", "new"], 9), [digest("new"), digest("b")]);
        assert_eq!(lacking("y", &["i", "a", "b"], 9), [digest("i"), digest("a")]);
        assert_eq!(lacking("nobody", &["a", "b"], 1), [digest("a")]);
    }
}
