//! Which hosted repositories have a content.

use std::collections::BTreeSet;

use super::{BLOBS, MANIFESTS, after_prefix, digest_key, text};
use crate::{
    catalog::{Catalog, CatalogError},
    oci::Digest,
};

impl Catalog {
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
