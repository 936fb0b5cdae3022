//! Learning what a registry has: manifests, and what tags name.

use std::{collections::HashSet, fmt, sync::Arc};

use futures_util::{Stream, StreamExt, future::BoxFuture};
use parking_lot::Mutex;

use super::sink::{Sink, SinkError};
use crate::{
    events::{Event, ManifestSeen, Repository, What},
    oci::{Digest, Reference},
    upstream::{Origin, UpstreamError, UpstreamErrorKind},
};

/// Images that are looked at at once.
const AT_ONCE: usize = 4;

/// Indexes within indexes that are followed.
const DEPTH: usize = 4;

/// A configuration that is larger is not fetched.
const CONFIG_BYTES: u64 = 1 << 20;

/// An image that is to be learned.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) origin: Arc<dyn Origin>,
    pub(super) repository: Repository,
    pub(super) reference: Reference,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Learned {
    /// Manifests that were fetched.
    pub(super) fetched: u64,
    /// Manifests that the registry names but does not have.
    pub(super) missing: u64,
}

/// An image, or why it, or a whole repository, cannot be asked for.
pub(super) type Found = Result<Image, String>;

/// Why an image was not learned.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    #[error("{0}")]
    Unusable(String),
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
    #[error("the registry sent other bytes than those of {0}")]
    Digest(Digest),
    #[error("{0} is no manifest: {1}")]
    Manifest(Digest, crate::oci::ManifestError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl WalkError {
    /// Whether it would be the same for all other images.
    pub(super) const fn ends_all(&self) -> bool {
        match self {
            Self::Sink(_) => true,
            Self::Upstream(error) => matches!(
                error.kind,
                UpstreamErrorKind::CredentialsRefused | UpstreamErrorKind::RateLimited | UpstreamErrorKind::BreakerOpen
            ),
            Self::Unusable(_) | Self::Digest(_) | Self::Manifest(..) => false,
        }
    }
}

/// Learns images, four at a time, in no order. Each is told by its name.
pub(super) fn learn<'a>(
    found: impl Stream<Item = Found> + Send + 'a,
    sink: &'a Sink,
    configs: bool,
) -> impl Stream<Item = (String, Result<Learned, WalkError>)> + Send + 'a {
    let claims = Arc::<Claims>::default();
    found
        .map(move |found| {
            let claims = claims.clone();
            async move {
                let image = match found {
                    Ok(image) => image,
                    Err(error) => return (String::new(), Err(WalkError::Unusable(error))),
                };
                let learned = Walk { image: &image, sink, claims: &claims, configs, learned: Learned::default() }.run().await;
                (image.to_string(), learned)
            }
        })
        .buffer_unordered(AT_ONCE)
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, reference, .. } = self;
        let separator = if matches!(reference, Reference::Digest(_)) { '@' } else { ':' };
        write!(f, "{}/{}{separator}{reference}", repository.route, repository.name)
    }
}

/// Manifests that are being learned: of two tags of one image, one does it.
#[derive(Debug, Default)]
struct Claims(Mutex<HashSet<(Repository, Digest)>>);

/// A manifest that nobody else learns meanwhile.
struct Claim<'a> {
    claims: &'a Claims,
    key: (Repository, Digest),
}

impl Claims {
    fn take(&self, repository: &Repository, digest: Digest) -> Option<Claim<'_>> {
        let key = (repository.clone(), digest);
        let is_free = self.0.lock().insert(key.clone());
        // Not made where it is not had: it would take away somebody else's.
        is_free.then(|| Claim { claims: self, key })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.0.lock().remove(&self.key);
    }
}

struct Walk<'a> {
    image: &'a Image,
    sink: &'a Sink,
    claims: &'a Claims,
    configs: bool,
    learned: Learned,
}

impl Walk<'_> {
    async fn run(mut self) -> Result<Learned, WalkError> {
        let Image { repository, reference, .. } = self.image;
        let digest = self.digest().await?;
        self.fetch_all(&[digest], DEPTH).await?;
        if let Reference::Tag(tag) = reference {
            let (repository, tag) = (repository.clone(), tag.clone());
            self.sink.send(vec![Event::now(What::TagMoved { repository, tag, digest: Some(digest) })]).await?;
        }
        Ok(self.learned)
    }

    /// What the reference names: by HEAD, which costs registries nothing, or else by fetching it.
    async fn digest(&self) -> Result<Digest, WalkError> {
        let Image { origin, repository, reference } = self.image;
        if let Reference::Digest(digest) = reference {
            return Ok(*digest);
        }
        if let Some(head) = origin.manifest_head(&repository.name, reference).await? {
            return Ok(head.digest);
        }
        let fetched = origin.manifest(&repository.name, reference).await?;
        Ok(Digest::of(crate::oci::Algorithm::Sha256, &fetched.bytes))
    }

    /// Fetches what is lacking of manifests, and of what they name, unless somebody else is about it.
    fn fetch_all<'b>(&'b mut self, digests: &'b [Digest], depth: usize) -> BoxFuture<'b, Result<(), WalkError>> {
        Box::pin(async move {
            let repository = &self.image.repository;
            let claims: Vec<_> = digests.iter().filter_map(|digest| self.claims.take(repository, *digest)).collect();
            let claimed: Vec<_> = claims.iter().map(|claim| claim.key.1).collect();
            if claimed.is_empty() {
                return Ok(());
            }
            for digest in self.sink.lacking(repository, &claimed).await? {
                self.fetch(digest, depth).await?;
            }
            Ok(())
        })
    }

    /// Fetches a manifest, and those that it names before it is told: whatever is known of it, they are known too.
    async fn fetch(&mut self, digest: Digest, depth: usize) -> Result<(), WalkError> {
        let Image { origin, repository, .. } = self.image;
        let fetched = match origin.manifest(&repository.name, &Reference::Digest(digest)).await {
            // An index may name what was never pushed.
            Err(error) if error.kind == UpstreamErrorKind::NotFound && depth < DEPTH => {
                self.learned.missing += 1;
                return Ok(());
            }
            fetched => fetched?,
        };
        if Digest::of(digest.algorithm(), &fetched.bytes) != digest {
            return Err(WalkError::Digest(digest));
        }
        let content_type = fetched.content_type.as_ref().map(crate::oci::MediaType::as_str);
        let seen = ManifestSeen::read(repository.clone(), digest, &fetched.bytes, content_type);
        let seen = seen.map_err(|error| WalkError::Manifest(digest, error))?;
        self.learned.fetched += 1;
        let children: Vec<_> = seen.manifests.iter().flatten().map(|child| child.manifest.digest).collect();
        if depth > 0 {
            self.fetch_all(&children, depth - 1).await?;
        }
        let config = seen.config.as_ref().filter(|config| self.configs && config.size <= CONFIG_BYTES);
        let config = config.map(|config| config.digest);
        let mut events = vec![Event::now(What::ManifestSeen(Arc::new(seen)))];
        if let Some(config) = config {
            events.extend(self.created(config).await?.map(|created| Event::now(What::ConfigRead { digest: config, created })));
        }
        Ok(self.sink.send(events).await?)
    }

    /// When an image was made, by its configuration. One that is no configuration says nothing.
    async fn created(&self, config: Digest) -> Result<Option<u64>, WalkError> {
        let Image { origin, repository, .. } = self.image;
        let mut stream = match origin.blob(&repository.name, &config, 0).await {
            Err(error) if error.kind == UpstreamErrorKind::NotFound => return Ok(None),
            stream => stream?.body,
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
            if bytes.len() as u64 > CONFIG_BYTES {
                return Ok(None);
            }
        }
        if Digest::of(config.algorithm(), &bytes) != config {
            return Err(WalkError::Digest(config));
        }
        let document = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
        let created = document.as_ref().and_then(|document| document.get("created")?.as_str());
        Ok(created.and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp().try_into().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn of_two_who_want_a_manifest_one_gets_it_until_it_lets_go() {
        let claims = Claims::default();
        let repository = |name: &str| Repository { route: "r".into(), name: name.parse().unwrap(), private: false };
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let first = claims.take(&repository("a"), digest).unwrap();
        assert!(claims.take(&repository("a"), digest).is_none());
        assert!(claims.take(&repository("a"), digest).is_none(), "the claim was lost to who did not get it");
        assert!(claims.take(&repository("b"), digest).is_some());
        drop(first);
        assert!(claims.take(&repository("a"), digest).is_some());
    }
}
