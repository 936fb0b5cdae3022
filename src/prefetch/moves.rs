//! Which manifests tags have ceased to name.

use std::collections::HashMap;

use crate::{
    events::Repository,
    oci::{Digest, Tag},
};

/// Tags that are remembered.
const MOST: usize = 100_000;

/// What tags name, as far as it was told.
#[derive(Debug, Default)]
pub(super) struct Moves {
    names: HashMap<(Repository, Tag), Digest>,
    /// By how many tags a manifest is named.
    named: HashMap<Digest, u32>,
}

impl Moves {
    /// A tag names something else. The manifest that no tag names any more because of that, if it is known.
    pub(super) fn moved(&mut self, repository: &Repository, tag: &Tag, new: Option<Digest>) -> Option<Digest> {
        let key = (repository.clone(), tag.clone());
        let old = match new {
            Some(new) if self.names.len() < MOST || self.names.contains_key(&key) => {
                *self.named.entry(new).or_default() += 1;
                self.names.insert(key, new)
            }
            _ => self.names.remove(&key),
        }?;
        let count = self.named.get_mut(&old)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.named.remove(&old);
        Some(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn a_manifest_is_given_up_by_its_last_tag() {
        let repository = Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false };
        let digest = |n: u8| Digest::of(Algorithm::Sha256, &[n]);
        let mut moves = Moves::default();
        let mut moved = |tag: &str, new: Option<u8>| moves.moved(&repository, &tag.parse().unwrap(), new.map(digest));
        assert_eq!(moved("1", Some(1)), None);
        assert_eq!(moved("latest", Some(1)), None);
        assert_eq!(moved("1", Some(1)), None, "told twice");
        assert_eq!(moved("1", Some(2)), None, "latest names it");
        assert_eq!(moved("latest", Some(2)), Some(digest(1)));
        assert_eq!(moved("latest", None), None);
        assert_eq!(moved("1", None), Some(digest(2)));
        assert_eq!(moved("1", None), None);
        assert!(moves.names.is_empty() && moves.named.is_empty());
    }
}
