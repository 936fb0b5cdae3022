//! What edges tell each other through the bucket that they share: which repository may read what, and what tags name.
//!
//! ```text
//! links/<route>/<repository>/<algorithm>-<hex>   {"size": 5, "media_type": …}
//! tags/<route>/<repository>/<tag>                {"digest": …, "media_type": …, "size": 5, "confirmed": <milliseconds>}
//! ```
//!
//! A record is written when an upstream has given its leave, and `null` when that is not to be believed any more. It is looked for
//! only where this edge has no row of its own, and costs at most the bucket's short budget, for all who ask together.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use moka::sync::Cache;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;

use crate::{
    catalog::{Link, Repository, TagKey, TagRow},
    coalesce::Coalesce,
    oci::Digest,
    tiers::Tiers,
};

/// A record is not written again for this long, unless it says something else.
const WRITTEN: Duration = Duration::from_secs(600);

/// Records of which it is remembered that they were written.
const REMEMBERED: u64 = 50_000;

/// The record of what is not to be believed any more.
const NOTHING: &[u8] = b"null";

/// The records of the edges over one bucket. Without a bucket, nothing is written and nothing found.
#[derive(Debug)]
pub(super) struct SharedRecords {
    tiers: Arc<Tiers>,
    written: Cache<String, Bytes>,
    questions: Coalesce<String, Option<Bytes>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LinkRecord {
    size: Option<u64>,
    media_type: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TagRecord {
    digest: String,
    media_type: String,
    size: u64,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed: Option<u64>,
}

impl SharedRecords {
    pub(super) fn new(handle: Handle, tiers: Arc<Tiers>) -> Self {
        let written = Cache::builder().max_capacity(REMEMBERED).time_to_live(WRITTEN).build();
        Self { tiers, written, questions: Coalesce::new(handle) }
    }

    /// Tells that a content may be read in a repository.
    pub(super) fn put_link(&self, repository: &Repository, digest: &Digest, link: &Link) {
        let media_type = link.media_type.as_ref().map(|media_type| media_type.as_str().to_owned());
        let record = json(&LinkRecord { size: link.size, media_type });
        self.put(link_key(repository, digest), record.clone(), record, SystemTime::now());
    }

    /// Tells what a tag names. That it was confirmed once more is told now and then only.
    pub(super) fn put_tag(&self, key: &TagKey, row: &TagRow) {
        let record = |confirmed| {
            let (digest, media_type) = (row.digest.to_string(), row.media_type.as_str().to_owned());
            json(&TagRecord { digest, media_type, size: row.size, confirmed })
        };
        let confirmed = row.confirmed.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        self.put(tag_key(key), record(None), record(Some(confirmed)), row.confirmed);
    }

    /// Takes back what was told of a content.
    pub(super) fn forget_link(&self, repository: &Repository, digest: &Digest) {
        self.forget(link_key(repository, digest));
    }

    /// Takes back what was told of a tag.
    pub(super) fn forget_tag(&self, key: &TagKey) {
        self.forget(tag_key(key));
    }

    /// The link of a content as another edge has told it.
    pub(super) async fn link(&self, repository: &Repository, digest: &Digest) -> Option<Link> {
        let key = link_key(repository, digest);
        let record = self.find(key.clone()).await?;
        let LinkRecord { size, media_type } = parse(&record)?;
        let media_type = media_type.map(|text| text.parse()).transpose().ok()?;
        // It need not be told once more.
        self.written.insert(key, record);
        Some(Link { size, media_type })
    }

    /// What a tag names, as another edge has told it.
    pub(super) async fn tag(&self, key: &TagKey) -> Option<TagRow> {
        let TagRecord { digest, media_type, size, confirmed } = parse(&self.find(tag_key(key)).await?)?;
        let confirmed = UNIX_EPOCH.checked_add(Duration::from_millis(confirmed?))?;
        Some(TagRow { digest: digest.parse().ok()?, media_type: media_type.parse().ok()?, size, confirmed })
    }

    fn forget(&self, key: String) {
        let nothing = Bytes::from_static(NOTHING);
        self.put(key, nothing.clone(), nothing, SystemTime::now());
    }

    /// `gist` is what of the record has to differ for it to be written again soon; `known` is since when it is true.
    fn put(&self, key: String, gist: Bytes, record: Bytes, known: SystemTime) {
        let Some(object) = self.tiers.object() else { return };
        if self.written.get(&key).is_none_or(|written| written != gist) {
            object.put_record(&key, record, known);
            self.written.insert(key, gist);
        }
    }

    async fn find(&self, key: String) -> Option<Bytes> {
        if self.written.get(&key).is_some_and(|written| written == NOTHING) {
            // It was taken back, which the bucket may not know yet.
            return None;
        }
        let object = self.tiers.object()?.clone();
        let wanted = key.clone();
        let question = move || async move { object.record(&wanted).await };
        self.questions.run(key, question).await.ok()?.0
    }
}

/// Whoever can write to the bucket can write anything: what is no such record is none.
fn parse<T: DeserializeOwned>(record: &[u8]) -> Option<T> {
    serde_json::from_slice::<Option<T>>(record).ok()?
}

fn json(record: &impl Serialize) -> Bytes {
    // Strings and numbers cannot fail to be written as JSON.
    serde_json::to_vec(record).unwrap_or_default().into()
}

fn link_key(repository: &Repository, digest: &Digest) -> String {
    format!("links/{}/{}/{}-{}", repository.route, repository.name, digest.algorithm().as_str(), digest.hex())
}

fn tag_key(key: &TagKey) -> String {
    format!("tags/{}/{}/{}", key.repository.route, key.repository.name, key.tag)
}
