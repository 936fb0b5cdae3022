//! What the graph knows of what the catalog says.

use petgraph::visit::EdgeRef;

use super::model::{Edge, State};
use crate::{
    events::Repository,
    oci::{Digest, Tag},
};

impl State {
    /// Whether it is known that a repository has a manifest, and what that says.
    pub fn has_manifest(&self, repository: &Repository, digest: &Digest) -> bool {
        let (Some(node), Some(manifest)) = (self.repository(&repository.route, &repository.name), self.content(digest)) else {
            return false;
        };
        let is_private = self.as_repository(node).is_some_and(|known| known.private);
        is_private == repository.private && self.is_known(manifest) && self.linked(node, manifest, Edge::Has).is_some()
    }

    /// What a tag names, as far as is known.
    pub fn named_by(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        let tag = self.tag(self.repository(&repository.route, &repository.name)?, tag)?;
        let named = self.graph.edges(tag).find(|edge| matches!(edge.weight(), Edge::Names { until: 0, .. }))?;
        Some(self.as_content(named.target())?.digest())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        events::{Event, ManifestSeen, What},
        oci::Algorithm,
    };

    #[test]
    fn what_was_told_is_known_and_what_was_taken_back_is_not() {
        let repository = Repository { route: "docker.io".into(), name: "a/b".parse().unwrap(), private: false };
        let manifest = json!({"schemaVersion": 2, "layers": [], "config":
            {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(Algorithm::Sha256, b"c").to_string(), "size": 1}});
        let bytes = manifest.to_string();
        let digest = Digest::of(Algorithm::Sha256, bytes.as_bytes());
        let tag: Tag = "1".parse().unwrap();
        let mut state = State::default();
        let mut apply = |what| state.apply(&Event { at: 1_700_000_000_000, what });
        apply(What::TagMoved { repository: repository.clone(), tag: tag.clone(), digest: Some(digest) });
        assert_eq!((state.has_manifest(&repository, &digest), state.named_by(&repository, &tag)), (false, Some(digest)));
        let seen = ManifestSeen::read(repository.clone(), digest, bytes.as_bytes(), None).unwrap();
        let mut apply = |what| state.apply(&Event { at: 1_700_000_001_000, what });
        apply(What::ManifestSeen(seen.into()));
        apply(What::TagMoved { repository: repository.clone(), tag: tag.clone(), digest: None });
        assert_eq!((state.has_manifest(&repository, &digest), state.named_by(&repository, &tag)), (true, None));
        assert!(!state.has_manifest(&Repository { private: true, ..repository }, &digest), "it has become private");
    }
}
