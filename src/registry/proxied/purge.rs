//! Forgetting a part of the cache: first a plan, which a dry run tells, then the rows, then the bytes.

mod plan;
mod telling;

use std::{collections::HashMap, sync::Arc};

use super::{Proxied, RegistryError, negative::Wanted};
use crate::{
    catalog::{Catalog, Repository},
    config::Pattern,
    oci::{Digest, Reference},
    registry::purge::{BytesFate, NAMED, Part, Purged, PurgedEntry, PurgedKind},
    tiers::Tiers,
};
use plan::Plan;

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum What {
    /// A content, wherever it is.
    Content(Digest),
    /// A part of repositories.
    Part(Which, Part),
}

/// Which repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Which {
    One(Repository),
    Matching(Pattern),
}

impl Proxied {
    /// See [`crate::registry::Registry::purge`].
    pub(in crate::registry) async fn purge(&self, what: What, dry_run: bool) -> Result<Purged, RegistryError> {
        let proxied = self.clone();
        let work = async move {
            let shared = &*proxied.shared;
            if !dry_run {
                shared.purges.begin();
            }
            let plan = plan(shared.catalog.clone(), what).await?;
            if !dry_run {
                proxied.forget_lately_asked(&plan);
                plan.tags.iter().for_each(|key| shared.records.forget_tag(key));
                plan.links.iter().for_each(|(repository, digest, _)| shared.records.forget_link(repository, digest));
                forget(&shared.catalog, &plan).await?;
                proxied.tell_forgotten(&plan);
            }
            let is_under_way = |digest: &Digest| shared.fills.is_under_way(digest);
            Ok(remove(&shared.tiers, &plan, is_under_way, dry_run).await)
        };
        self.shared.handle.spawn(work).await.map_err(|error| RegistryError::internal("a purge", error))?
    }

    /// What is remembered in memory of repositories that something is taken out of: absences and lists.
    fn forget_lately_asked(&self, plan: &Plan) {
        let (shared, repositories) = (&*self.shared, plan.repositories());
        shared.lists.forget(|repository| repositories.contains(repository));
        shared.negative.forget(|repository, wanted| match wanted {
            _ if repositories.contains(repository) => true,
            Wanted::Blob(digest) | Wanted::Manifest(Reference::Digest(digest)) => plan.contents.contains_key(digest),
            Wanted::Manifest(Reference::Tag(_)) => false,
        });
    }
}

/// Purges where nobody pulls.
pub(in crate::registry) async fn at_rest(
    catalog: Arc<Catalog>,
    tiers: &Tiers,
    what: What,
    dry_run: bool,
) -> Result<Purged, RegistryError> {
    let plan = plan(catalog.clone(), what).await?;
    if !dry_run {
        forget(&catalog, &plan).await?;
    }
    Ok(remove(tiers, &plan, |_| false, dry_run).await)
}

/// Looks for what is meant, among all rows that have been handed to the catalog.
async fn plan(catalog: Arc<Catalog>, what: What) -> Result<Plan, RegistryError> {
    catalog.settle().await.map_err(|error| RegistryError::internal("a purge", error))?;
    let planned = tokio::task::spawn_blocking(move || Plan::make(&catalog, what)).await;
    planned.map_err(|error| RegistryError::internal("a purge", error))?
}

async fn forget(catalog: &Catalog, plan: &Plan) -> Result<(), RegistryError> {
    plan.forget(catalog).await.map_err(|error| RegistryError::internal("a purge", error))
}

/// Removes the bytes, and tells all that was planned.
async fn remove(tiers: &Tiers, plan: &Plan, is_under_way: impl Fn(&Digest) -> bool, dry_run: bool) -> Purged {
    let mut purged = Purged { tags: plan.tags.len() as u64, ..Purged::default() };
    let mut fates = HashMap::with_capacity(plan.contents.len());
    for (digest, content) in &plan.contents {
        purged.under_way += u64::from(is_under_way(digest));
        let fate = match (content.is_shared, tiers.contains(digest).await) {
            (true, _) => BytesFate::Shared,
            (false, true) => BytesFate::Removed,
            (false, false) => BytesFate::Absent,
        };
        let mut size = content.size;
        if fate == BytesFate::Removed {
            if size.is_none() {
                size = tiers.lookup(digest, &crate::tiers::Wanted::default()).await.map(|found| found.size);
            }
            purged.removed += 1;
            purged.bytes += size.unwrap_or_default();
        }
        if !dry_run && plan.is_everywhere {
            tiers.forget_everywhere(digest).await;
        } else if !dry_run && !content.is_shared {
            tiers.remove(digest).await;
        }
        fates.insert(*digest, (fate, size));
    }
    for (_, _, link) in &plan.links {
        *(if link.media_type.is_some() { &mut purged.manifests } else { &mut purged.blobs }) += 1;
    }
    let tag = |name| PurgedEntry { kind: PurgedKind::Tag, name, size: None, bytes: None };
    let tags = plan.tags.iter().map(|key| tag(format!("{}:{}", name(&key.repository), key.tag)));
    let content = |kind, name, digest: &Digest| {
        let (bytes, size) = fates.get(digest).copied().unwrap_or((BytesFate::Absent, None));
        PurgedEntry { kind, name, size, bytes: Some(bytes) }
    };
    let links = plan.links.iter().map(|(repository, digest, link)| {
        let kind = if link.media_type.is_some() { PurgedKind::Manifest } else { PurgedKind::Blob };
        content(kind, format!("{}@{digest}", name(repository)), digest)
    });
    // Bytes that nobody may read are removed all the same.
    let homeless = plan.contents.keys().filter(|digest| plan.links.is_empty() && fates[digest].0 == BytesFate::Removed);
    let homeless = homeless.map(|digest| content(PurgedKind::Blob, digest.to_string(), digest));
    purged.entries = tags.chain(links).chain(homeless).take(NAMED).collect();
    purged
}

fn name(repository: &Repository) -> String {
    format!("{}/{}", repository.route, repository.name)
}
