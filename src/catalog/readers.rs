//! Which repositories may read a content.

use redb::ReadableTable;

use super::{Catalog, CatalogError, LINKS, keys::digest_key};
use crate::oci::Digest;

impl Catalog {
    /// The repositories that mirror an upstream and have a link to a content, as `route/name`: at most `limit`. Looks through
    /// all links, and blocks meanwhile: for people, not for pulls.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn mirrors_with(&self, digest: &Digest, limit: usize) -> Result<Vec<String>, CatalogError> {
        let content = digest_key(digest);
        self.reading(|transaction| {
            let mut found = Vec::new();
            for row in transaction.open_table(LINKS)?.iter()? {
                if found.len() == limit {
                    break;
                }
                found.extend(repository_in(row?.0.value(), &content));
            }
            Ok(found)
        })
    }
}

/// The repository of a link's key, if the key ends with this content.
fn repository_in(key: &[u8], content: &[u8]) -> Option<String> {
    let mut parts = key.strip_suffix(content)?.split(|byte| *byte == 0);
    let (route, name) = (parts.next()?, parts.next()?);
    // A longer digest may end like a shorter one's key.
    let is_whole = parts.next() == Some(&[]) && parts.next().is_none();
    is_whole.then(|| format!("{}/{}", String::from_utf8_lossy(route), String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};
    use crate::oci::Algorithm;

    #[tokio::test]
    async fn all_mirrors_of_a_content_are_found_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
        let repository = |name: &str| Repository { route: "docker.io".into(), name: name.parse().unwrap() };
        let digest = |n: u8| Digest::of(Algorithm::Sha256, &[n]);
        // Its key ends as the key of the shorter one does.
        let mut longer = [0; 64];
        longer[30] = 0;
        longer[31..].copy_from_slice(&digest_key(&digest(1)));
        let longer = Digest::from_bytes(Algorithm::Sha512, &longer).unwrap();
        for (name, digest) in [("a/b", digest(1)), ("a", digest(1)), ("c", digest(2)), ("d", longer)] {
            catalog.put_link(&repository(name), &digest, Link { size: None, media_type: None }).await.unwrap();
        }
        assert_eq!(catalog.mirrors_with(&digest(1), 10).unwrap(), ["docker.io/a", "docker.io/a/b"]);
        assert_eq!(catalog.mirrors_with(&digest(1), 1).unwrap(), ["docker.io/a"]);
        assert_eq!(catalog.mirrors_with(&longer, 10).unwrap(), ["docker.io/d"]);
        assert_eq!(catalog.mirrors_with(&digest(3), 10).unwrap(), [""; 0]);
    }
}
