//! What a manifest brings along, and who needs a content: walks along the catalog's rows, all of them bounded.

use std::collections::{HashSet, VecDeque};

use crate::{
    catalog::{Catalog, CatalogError},
    oci::Digest,
};

/// An index names manifests and these name layers; some name an index again. Nothing in use is deeper.
const DEPTH: usize = 8;

/// Contents that one walk looks at.
const WIDTH: usize = 10_000;

/// Contents that all walks of one search look at.
const STEPS: usize = 100_000;

/// Some manifests and all that they bring along, as far as it is known.
pub(super) fn brought_by(catalog: &Catalog, roots: impl IntoIterator<Item = Digest>) -> Result<Vec<Digest>, CatalogError> {
    let mut seen = HashSet::new();
    let mut brought: Vec<Digest> = roots.into_iter().filter(|root| seen.insert(*root)).collect();
    let mut level = 0..brought.len();
    for _ in 0..DEPTH {
        for at in level.clone() {
            for named in catalog.named_by(&brought[at])?.unwrap_or_default() {
                if brought.len() < WIDTH && seen.insert(named) {
                    brought.push(named);
                }
            }
        }
        level = level.end..brought.len();
    }
    Ok(brought)
}

/// What a manifest brings along that no tag needs, whichever repository it is of: the manifest itself as well.
pub(super) fn needed_by_no_tag(catalog: &Catalog, manifest: &Digest) -> Result<Vec<Digest>, CatalogError> {
    let mut search = Search { catalog, not_needed: HashSet::new(), steps: STEPS };
    let mut found = Vec::new();
    for digest in brought_by(catalog, [*manifest])? {
        if !search.is_needed(digest)? {
            found.push(digest);
        }
    }
    Ok(found)
}

struct Search<'a> {
    catalog: &'a Catalog,
    /// Neither these are tagged nor anything that uses them.
    not_needed: HashSet<Digest>,
    steps: usize,
}

impl Search<'_> {
    /// Whether a tag names a content, or something that uses it. What is not known within the bounds counts as needed.
    fn is_needed(&mut self, digest: Digest) -> Result<bool, CatalogError> {
        let (mut seen, mut waiting) = (HashSet::from([digest]), VecDeque::from([(digest, 0)]));
        while let Some((digest, depth)) = waiting.pop_front() {
            if self.not_needed.contains(&digest) {
                continue;
            }
            if self.steps == 0 || depth > DEPTH || !self.catalog.tags_naming(&digest, 1)?.is_empty() {
                return Ok(true);
            }
            self.steps -= 1;
            let users = self.catalog.users_of(&digest, WIDTH)?;
            if seen.len() + users.len() > WIDTH {
                return Ok(true);
            }
            waiting.extend(users.into_iter().filter(|user| seen.insert(*user)).map(|user| (user, depth + 1)));
        }
        self.not_needed.extend(seen);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        catalog::{Repository, TagKey, TagRow},
        oci::{Algorithm, MediaType},
    };

    fn digest(n: u32) -> Digest {
        Digest::of(Algorithm::Sha256, &n.to_be_bytes())
    }

    struct Case {
        catalog: Catalog,
        _folder: tempfile::TempDir,
    }

    impl Case {
        async fn new(manifests: &[(u32, &[u32])], tags: &[(&str, u32)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
            for (manifest, named) in manifests {
                catalog.put_uses(&digest(*manifest), named.iter().map(|&n| digest(n)).collect()).await.unwrap();
            }
            for (at, manifest) in tags {
                let (name, tag) = at.split_once(':').unwrap();
                let repository = Repository { route: "docker.io".into(), name: name.parse().unwrap() };
                let media_type = MediaType::OCI_INDEX.parse().unwrap();
                let row = TagRow { digest: digest(*manifest), media_type, size: 1, confirmed: SystemTime::now() };
                catalog.put_tag(&TagKey { repository, tag: tag.parse().unwrap() }, row).await.unwrap();
            }
            Self { catalog, _folder: folder }
        }

        #[track_caller]
        fn only(&self, manifest: u32, expected: &[u32]) {
            let mut found = needed_by_no_tag(&self.catalog, &digest(manifest)).unwrap();
            let mut expected: Vec<_> = expected.iter().map(|&n| digest(n)).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }

    /// An index 1 of images 10 and 11, which share the layer 101.
    const OLD: [(u32, &[u32]); 3] = [(1, &[10, 11]), (10, &[100, 101]), (11, &[101, 102])];

    #[tokio::test]
    async fn all_that_an_old_version_brought_and_nothing_else() {
        let case = Case::new(&[&OLD[..], &[(2, &[20]), (20, &[200])]].concat(), &[("a:1", 2)]).await;
        case.only(1, &[1, 10, 11, 100, 101, 102]);
        case.only(2, &[]);
        case.only(100, &[100]);
    }

    #[tokio::test]
    async fn what_the_new_version_shares_is_spared() {
        let new: [(u32, &[u32]); 2] = [(2, &[20, 11]), (20, &[200, 100])];
        let case = Case::new(&[&OLD[..], &new].concat(), &[("a:1", 2)]).await;
        case.only(1, &[1, 10]);
    }

    #[tokio::test]
    async fn what_another_repository_uses_is_spared() {
        let case = Case::new(&[&OLD[..], &[(30, &[102])]].concat(), &[("b:1", 30)]).await;
        case.only(1, &[1, 10, 11, 100, 101]);
    }

    #[tokio::test]
    async fn an_old_version_with_another_tag_stays_whole() {
        let case = Case::new(&OLD, &[("b:1", 1)]).await;
        case.only(1, &[]);
    }

    #[tokio::test]
    async fn what_only_untagged_versions_share_goes() {
        let case = Case::new(&[&OLD[..], &[(30, &[102])]].concat(), &[]).await;
        case.only(1, &[1, 10, 11, 100, 101, 102]);
    }

    #[tokio::test]
    async fn what_cannot_be_known_within_the_bounds_is_spared() {
        // Each names the next one.
        let chain: Vec<(u32, Vec<u32>)> = (0..30).map(|n| (n, vec![n + 1])).collect();
        let chain: Vec<(u32, &[u32])> = chain.iter().map(|(n, named)| (*n, &named[..])).collect();
        let case = Case::new(&chain, &[]).await;
        assert_eq!(brought_by(&case.catalog, [digest(0)]).unwrap().len(), DEPTH + 1);
        case.only(30, &[]);
        case.only(0, &(0..=DEPTH as u32).collect::<Vec<_>>());
        let users: Vec<(u32, Vec<u32>)> = (0..40).map(|n| (n, vec![99])).collect();
        let case = Case::new(&users.iter().map(|(n, named)| (*n, &named[..])).collect::<Vec<_>>(), &[]).await;
        let mut search = Search { catalog: &case.catalog, not_needed: HashSet::new(), steps: 39 };
        assert!(search.is_needed(digest(99)).unwrap());
        search.steps = 100;
        assert!(!search.is_needed(digest(99)).unwrap());
    }

    /// Rows are data: they may be wrong, and must not hang anybody.
    #[tokio::test]
    async fn a_circle_ends() {
        let case = Case::new(&[(1, &[2]), (2, &[1])], &[]).await;
        case.only(1, &[1, 2]);
    }
}
