//! What a purge is going to forget.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{What, Which, name};
use crate::{
    catalog::{Catalog, CatalogError, Link, Repository, TagKey, TagRow},
    oci::Digest,
    registry::{RegistryError, RegistryErrorKind, proxied::lineage::brought_by, purge::Part},
};

/// Rows that one purge may forget. All of them are in memory meanwhile.
const MOST: usize = 1_000_000;

/// Manifests that are looked at for one content; with more, somebody is going to need it.
const USERS: usize = 1000;

/// All rows and contents that a purge is about.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tags: Vec<TagKey>,
    pub(super) links: Vec<(Repository, Digest, Link)>,
    pub(super) contents: BTreeMap<Digest, Content>,
    /// Whether the contents are to go from the bucket too, which other servers share.
    pub(super) is_everywhere: bool,
}

/// A content of which at least one link goes.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Its length in bytes, when a link knows it.
    pub(super) size: Option<u64>,
    /// Whether a link stays.
    pub(super) is_shared: bool,
}

impl Plan {
    /// Blocks.
    pub(super) fn make(catalog: &Catalog, what: What) -> Result<Self, RegistryError> {
        let mut plan = Self::default();
        let planned = match what {
            What::Content(digest) => plan.content_everywhere(catalog, &digest),
            What::Part(Which::One(repository), part) => plan.part(catalog, &repository, &part),
            What::Part(Which::Matching(pattern), part) => catalog.repositories(MOST).map_err(failed).and_then(|repositories| {
                let mut matching = repositories.iter().filter(|repository| pattern.matches(&name(repository)));
                matching.try_for_each(|repository| plan.part(catalog, repository, &part))
            }),
        };
        planned?;
        plan.find_sharers(catalog).map_err(failed)?;
        Ok(plan)
    }

    /// What something is taken out of.
    pub(super) fn repositories(&self) -> HashSet<&Repository> {
        let tagged = self.tags.iter().map(|tag| &tag.repository);
        tagged.chain(self.links.iter().map(|(repository, ..)| repository)).collect()
    }

    /// Hands the rows to the catalog; they are forgotten for good when the future ends.
    pub(super) fn forget(&self, catalog: &Catalog) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        let links: Vec<_> = self.links.iter().map(|(repository, digest, _)| (repository.clone(), *digest)).collect();
        let manifests = self.links.iter().filter(|(_, digest, link)| {
            link.media_type.is_some() && self.contents.get(digest).is_some_and(|content| !content.is_shared)
        });
        let manifests: BTreeSet<_> = manifests.map(|(_, digest, _)| *digest).collect();
        catalog.forget(&self.tags, &links, &manifests.into_iter().collect::<Vec<_>>())
    }

    fn part(&mut self, catalog: &Catalog, repository: &Repository, part: &Part) -> Result<(), RegistryError> {
        let tags = catalog.tags_in(repository, MOST).map_err(failed)?;
        let taken = match part {
            Part::All => {
                self.tags.extend(tags.into_iter().map(|(key, _)| key));
                for (digest, link) in catalog.links_in(repository, MOST).map_err(failed)? {
                    self.take(repository, digest, link);
                }
                return self.within_bounds();
            }
            Part::Tags(pattern) => {
                let is_meant = |(key, _): &(TagKey, TagRow)| pattern.matches(key.tag.as_str());
                let (meant, others): (Vec<_>, Vec<_>) = tags.into_iter().partition(is_meant);
                let roots: HashSet<_> = meant.iter().map(|(_, row)| row.digest).collect();
                self.tags.extend(meant.into_iter().map(|(key, _)| key));
                Taken { catalog, repository, roots: &roots, others: &digests(&others), are_roots_taken: false }.find()
            }
            Part::Content(digest) => {
                let (meant, others): (Vec<_>, Vec<_>) = tags.into_iter().partition(|(_, row)| row.digest == *digest);
                self.tags.extend(meant.into_iter().map(|(key, _)| key));
                let roots = HashSet::from([*digest]);
                Taken { catalog, repository, roots: &roots, others: &digests(&others), are_roots_taken: true }.find()
            }
        };
        for (digest, link) in taken.map_err(failed)? {
            self.take(repository, digest, link);
        }
        self.within_bounds()
    }

    /// Every link of a content, and every tag that names it.
    fn content_everywhere(&mut self, catalog: &Catalog, digest: &Digest) -> Result<(), RegistryError> {
        self.is_everywhere = true;
        self.contents.insert(*digest, Content::default());
        let mut found = Vec::new();
        let visited = catalog.visit_links(|linked| {
            if linked.digest == *digest {
                found.extend(linked.repository().map(|repository| (repository, linked.link)));
            }
        });
        visited.map_err(failed)?;
        let mut tags: HashSet<_> = catalog.tags_naming(digest, MOST).map_err(failed)?.into_iter().collect();
        for (repository, link) in found {
            // A catalog from before the rows that lead from a manifest to its tags has these all the same.
            let in_repository = catalog.tags_in(&repository, MOST).map_err(failed)?;
            tags.extend(in_repository.into_iter().filter(|(_, row)| row.digest == *digest).map(|(key, _)| key));
            self.take(&repository, *digest, link);
        }
        self.tags = tags.into_iter().collect();
        self.tags.sort_by_key(|key| (key.repository.route.clone(), key.repository.name.clone(), key.tag.clone()));
        self.within_bounds()
    }

    fn take(&mut self, repository: &Repository, digest: Digest, link: Link) {
        self.contents.entry(digest).or_default();
        self.links.push((repository.clone(), digest, link));
    }

    fn within_bounds(&self) -> Result<(), RegistryError> {
        if self.tags.len().max(self.links.len()) < MOST {
            return Ok(());
        }
        let message = format!("this is more than {MOST} tags or contents at once; purge smaller parts, one after the other");
        Err(RegistryError::new(RegistryErrorKind::Unsupported, message))
    }

    /// Looks through all links for those that stay, and for lengths.
    fn find_sharers(&mut self, catalog: &Catalog) -> Result<(), CatalogError> {
        if self.contents.is_empty() {
            return Ok(());
        }
        let going: HashSet<_> = self.links.iter().map(|(repository, digest, _)| (repository, *digest)).collect();
        let contents = &mut self.contents;
        catalog.visit_links(|linked| {
            let Some(content) = contents.get_mut(&linked.digest) else { return };
            content.size = content.size.or(linked.link.size);
            if let Some(repository) = linked.repository() {
                content.is_shared |= !going.contains(&(&repository, linked.digest));
            }
        })
    }
}

/// What goes with some manifests of a repository.
struct Taken<'a> {
    catalog: &'a Catalog,
    repository: &'a Repository,
    roots: &'a HashSet<Digest>,
    /// What the tags name that stay.
    others: &'a HashSet<Digest>,
    /// Whether the roots go whoever else needs them.
    are_roots_taken: bool,
}

impl Taken<'_> {
    /// The roots and what they bring along, but for what the repository still needs: what a tag names that stays, and what a
    /// manifest names that the repository has beside them. What these bring along stays as well.
    fn find(&self) -> Result<Vec<(Digest, Link)>, CatalogError> {
        let brought = brought_by(self.catalog, self.roots.iter().copied())?;
        let inside: HashSet<_> = brought.iter().copied().collect();
        let mut needed = Vec::new();
        for digest in &brought {
            if !(self.are_roots_taken && self.roots.contains(digest)) && self.is_needed(digest, &inside)? {
                needed.push(*digest);
            }
        }
        let staying: HashSet<_> = brought_by(self.catalog, needed)?.into_iter().collect();
        let mut taken = Vec::new();
        for digest in brought {
            let is_forced = self.are_roots_taken && self.roots.contains(&digest);
            if (is_forced || !staying.contains(&digest))
                && let Some(link) = self.catalog.link(self.repository, &digest)?
            {
                taken.push((digest, link));
            }
        }
        Ok(taken)
    }

    fn is_needed(&self, digest: &Digest, inside: &HashSet<Digest>) -> Result<bool, CatalogError> {
        if self.others.contains(digest) {
            return Ok(true);
        }
        let users = self.catalog.users_of(digest, USERS)?;
        if users.len() == USERS {
            return Ok(true);
        }
        for user in users.iter().filter(|user| !inside.contains(user)) {
            if self.catalog.link(self.repository, user)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn digests(tags: &[(TagKey, TagRow)]) -> HashSet<Digest> {
    tags.iter().map(|(_, row)| row.digest).collect()
}

fn failed(error: CatalogError) -> RegistryError {
    RegistryError::internal("a purge", error)
}
