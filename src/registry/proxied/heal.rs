//! Fetching a damaged content again.

use super::{Proxied, blobs::source};
use crate::{
    catalog::{Link, Repository},
    fill::Leave,
    oci::Digest,
    upstream::{Routes, Target},
};

impl Proxied {
    /// Fetches a content for one of `holders`, repositories that have a link to it: from the bucket that edges share, or from the
    /// upstream. True when it is here again.
    pub(in crate::registry) async fn heal(&self, routes: &Routes, digest: &Digest, holders: Vec<(Repository, Link)>) -> bool {
        let shared = &*self.shared;
        for (repository, link) in holders {
            if shared.tiers.contains(digest).await {
                return true;
            }
            let Some(route) = routes.iter().find(|route| route.name == repository.route) else { continue };
            let target = Target { route: route.clone(), repository: repository.name.clone() };
            let fetched = if link.media_type.is_some() {
                self.fetch(&target, &repository, digest, None).await.map(drop)
            } else {
                let source = source(&target, Leave::Given { size: link.size });
                shared.fills.join(digest, source).finished().await.map_err(Into::into)
            };
            match fetched {
                Ok(()) => return true,
                Err(error) => tracing::info!(%digest, ?repository, %error, "a damaged content cannot be fetched again"),
            }
        }
        false
    }
}
