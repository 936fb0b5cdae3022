//! The object tier: a bucket that edges share, asked before an upstream and written behind.
//!
//! ```text
//! in the bucket
//!   <prefix>/blobs/sha256/3f/3f0a…            a content; verified by whoever wrote it and, again, by whoever reads it
//!   <prefix>/records/<key>                    a record: {"stamp": <milliseconds>, "record": …}; the newest stamp stays
//!
//! on disk
//!   <disk tier>/outbox/sha256-3f0a…           a content that waits for its upload: a second name of the tier's own file
//!   <data>/outbox/records/<digest of key>     a record that waits for its upload
//!   <data>/outbox/spool/17                    a content being read from the bucket; garbage once the process is gone
//! ```
//!
//! A bucket is not trusted, and not waited for. Reads have a short budget, and after one failure the bucket is left alone until
//! it answers in the background again. What is to be written is on disk before it is promised, so that
//! neither a crash nor eviction loses it, and it goes out when the bucket is there.

mod breaker;
mod bucket;
mod clients;
mod failure;
mod location;
mod metrics;
mod outbox;
mod pause;
mod reads;
mod record;
mod records;
mod stream;
mod tier;
mod upload;
mod writer;

pub use bucket::Bucket;
pub use clients::BucketError;
pub use location::{Cdn, Locations};
pub use stream::ObjectStream;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use moka::sync::Cache;
use tokio::runtime::Handle;
use url::Url;

use self::{
    breaker::Breaker, location::Signing, metrics::Figures, outbox::Outbox, pause::Pause, records::Records, upload::Uploader,
    writer::Writers,
};
use crate::{config::Object, oci::Digest, telemetry::Metrics};

/// Longest silence in the middle of a body.
const IDLE: Duration = Duration::from_secs(10);

/// What is known to be in the bucket is believed for this long: somebody else may delete it.
const KNOWN: Duration = Duration::from_secs(300);

/// What is not there may be there soon: other edges write too.
const ABSENT: Duration = Duration::from_secs(2);

/// Wrong bytes that could not be deleted are not asked for again for this long, unless they are written anew here.
const DISTRUST: Duration = Duration::from_secs(3600);

/// Contents of which the above is remembered.
const REMEMBERED: u64 = 100_000;

/// The shared bucket. Cheap to clone; clones are the same tier. When the last one is dropped, all work in the background ends;
/// what waits for its upload is found again by the next run.
#[derive(Debug, Clone)]
pub struct ObjectTier {
    shared: Arc<Shared>,
    writers: Arc<Writers>,
}

#[derive(Debug)]
struct Shared {
    bucket: Bucket,
    lookup_timeout: Duration,
    breaker: Breaker,
    /// After a failed write, further ones wait for this; reads go on.
    pause: Pause,
    known: Cache<Digest, u64>,
    absent: Cache<Digest, ()>,
    distrusted: Cache<Digest, ()>,
    locations: ArcSwap<Locations>,
    signing: Signing,
    uploader: Uploader,
    outbox: Outbox,
    records: Arc<Records>,
    figures: Figures,
    spools: PathBuf,
    next_spool: AtomicU64,
    runtime: Handle,
}

impl ObjectTier {
    /// Starts the tier over `bucket`, with the limits of `config` and its own files below the folder `data`. Work in the
    /// background runs on `runtime`. Returns at once: what earlier runs left is listed on a thread.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn start(bucket: Bucket, config: &Object, data: &Path, metrics: &Metrics, runtime: Handle) -> io::Result<Self> {
        let spools = data.join("outbox/spool");
        match fs::remove_dir_all(&spools) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&spools)?,
        }
        let figures = Figures::register(metrics);
        let probe = reads::probe(bucket.clone(), config.lookup_timeout);
        let breaker = Breaker::new(config.breaker_pause, figures.breaker_open.clone(), runtime.clone(), probe.clone());
        let remembered = |time| Cache::builder().max_capacity(REMEMBERED).time_to_live(time).build();
        let shared = Arc::new(Shared {
            lookup_timeout: config.lookup_timeout,
            breaker,
            pause: Pause::new(config.breaker_pause),
            known: Cache::builder().max_capacity(REMEMBERED).time_to_live(KNOWN).build(),
            absent: remembered(ABSENT),
            distrusted: remembered(DISTRUST),
            locations: ArcSwap::default(),
            signing: Signing::new(&bucket),
            uploader: Uploader::new(&bucket, config, runtime.clone()),
            outbox: Outbox::new(config.queue_entries, config.queue_limit.as_u64(), figures.clone()),
            records: Records::open(&data.join("outbox/records"), config.queue_entries, figures.clone())?,
            figures,
            spools,
            next_spool: AtomicU64::new(0),
            runtime,
            bucket,
        });
        let first_look = shared.clone();
        shared.runtime.spawn(async move {
            // A bucket that is dead from the start costs no client anything either.
            if let Err(why) = probe().await {
                first_look.breaker.trip(&why);
            }
        });
        let writers = Arc::new(Writers::start(&shared, config.max_uploads));
        Ok(Self { shared, writers })
    }

    /// Opens a content from byte `from` on. `None`: it is not there, or the bucket cannot be asked now. That is known within the
    /// lookup timeout; dropped before that, nothing is lost.
    ///
    /// The bytes are **not verified**: whoever reads them to the end verifies, and calls [`Self::distrust`] when they are wrong.
    pub async fn open(&self, digest: &Digest, from: u64) -> Option<ObjectStream> {
        self.shared.clone().open(digest, from).await
    }

    /// The length of a content in the bucket, from memory or within the lookup timeout. `None` as for [`Self::open`].
    pub async fn size(&self, digest: &Digest) -> Option<u64> {
        self.shared.size(digest).await
    }

    /// The bucket's bytes under this digest are wrong. They are deleted behind, and not asked for again until they have been
    /// written anew.
    pub async fn distrust(&self, digest: &Digest) {
        self.shared.distrust(digest);
    }

    /// A URL under which a client can read a content of `size` bytes without credentials, for as long as [`Locations`] says.
    /// `None`: it is not in the bucket, not with this size, or the bucket cannot be shown to clients.
    pub async fn location(&self, digest: &Digest, size: u64) -> Option<Url> {
        self.shared.location(digest, size).await
    }

    /// From now on, clients are sent to such places.
    pub fn set_locations(&self, locations: Locations) {
        self.shared.locations.store(Arc::new(locations));
    }

    /// Has a verified content of a disk tier uploaded: its file at `<disk tier>/blobs/<algorithm>/<shard>/<hex>` gets a second
    /// name in the outbox of that tier. When this returns, a crash or an eviction cannot lose it. It is dropped, counted and
    /// said in the log when the queue is full, or when the name cannot be made. Blocks for some microseconds.
    pub fn offer(&self, digest: &Digest, file: &Path, size: u64) {
        if self.shared.known.get(digest) != Some(size) {
            self.shared.outbox.offer(digest, file, size);
        }
    }

    /// Number of contents that wait for their upload, and their bytes.
    pub fn waiting(&self) -> (u64, u64) {
        self.shared.outbox.waiting()
    }

    /// Takes up what earlier runs left in the outboxes of these disk tiers. Returns at once.
    ///
    /// # Errors
    /// When no thread can be started for it.
    pub fn recover(&self, disk_tiers: &[PathBuf]) -> io::Result<()> {
        let (shared, folders) = (self.shared.clone(), disk_tiers.to_vec());
        std::thread::Builder::new().name("outbox-listing".to_owned()).spawn(move || shared.outbox.recover(&folders))?;
        Ok(())
    }

    /// Has a record uploaded: a small JSON text for other edges. Of several with one key, the one with the newest stamp stays,
    /// here and in the bucket. Never waits: on disk a moment later, and dropped, counted and logged if too many wait.
    pub fn put_record(&self, key: &str, body: Bytes, stamp: SystemTime) {
        if self.shared.bucket.record(key).is_none() {
            tracing::warn!(key, "a record's key is too long or has empty parts; other edges will not see the record");
            self.shared.figures.recorded("dropped");
            return;
        }
        self.shared.records.put(key, &body, stamp);
    }

    /// A record, as an edge has written it. `None`: there is none, it cannot be read, or the bucket cannot be asked now.
    pub async fn record(&self, key: &str) -> Option<Bytes> {
        self.shared.clone().record(key).await
    }

    /// Stops the work in the background, within some seconds. What waits for its upload stays on disk.
    pub async fn close(&self) {
        self.writers.stop().await;
        self.shared.uploader.aborted().await;
    }
}

#[cfg(test)]
mod tests;
