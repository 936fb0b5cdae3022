//! Which hosted repositories have a content.

use std::collections::BTreeSet;

use super::{BLOBS, HostedManifest, MANIFESTS, after_prefix, digest_key, text};
use crate::{
    catalog::{
        Catalog, CatalogError,
        keys::{content_key, split_digest},
    },
    oci::{Digest, RepositoryName},
};

impl Catalog {
    /// At most `limit` manifests of hosted repositories after `last`, by digest and then by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn hosted_manifests(
        &self,
        last: Option<&(Digest, RepositoryName)>,
        limit: usize,
    ) -> Result<Vec<(RepositoryName, Digest, HostedManifest)>, CatalogError> {
        // The least key that is greater than that of `last`.
        let from = last.map(|(digest, name)| [content_key(digest, name), vec![0]].concat()).unwrap_or_default();
        self.reading(|transaction| {
            let mut found = Vec::new();
            for row in transaction.open_table(MANIFESTS)?.range(&from[..]..)?.take(limit) {
                let (key, value) = row?;
                let manifest = split_digest(key.value()).and_then(|(digest, name)| {
                    Some((text(name).parse().ok()?, digest, HostedManifest::from_value(value.value())?))
                });
                found.extend(manifest);
            }
            Ok(found)
        })
    }

    /// The names of hosted repositories that have a content, as a blob or as a manifest: at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn hosted_with(&self, digest: &Digest, limit: usize) -> Result<Vec<String>, CatalogError> {
        let first = digest_key(digest);
        let end = after_prefix(&first);
        self.reading(|transaction| {
            let mut names = BTreeSet::new();
            for row in transaction.open_table(BLOBS)?.range(&first[..]..&end[..])?.take(limit) {
                names.insert(text(&row?.0.value()[first.len()..]));
            }
            for row in transaction.open_table(MANIFESTS)?.range(&first[..]..&end[..])?.take(limit) {
                names.insert(text(&row?.0.value()[first.len()..]));
            }
            Ok(names.into_iter().take(limit).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[tokio::test]
    async fn all_that_have_a_content_are_found_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
        let digest = |n: u8| Digest::of(Algorithm::Sha256, &[n]);
        for (name, n) in [("local/b", 1), ("local/a", 1), ("local/c", 2)] {
            catalog.link_hosted_blob(&name.parse().unwrap(), &digest(n), 1, None).await.unwrap();
        }
        assert_eq!(catalog.hosted_with(&digest(1), 10).unwrap(), ["local/a", "local/b"]);
        assert_eq!(catalog.hosted_with(&digest(1), 1).unwrap(), ["local/a"]);
        assert_eq!(catalog.hosted_with(&digest(3), 10).unwrap(), [""; 0]);
    }
}
