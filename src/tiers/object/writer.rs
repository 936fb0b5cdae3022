//! The workers that upload what waits.

use std::{fs::File, io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{
    Shared,
    failure::{Failure, explain},
    outbox::Entry,
    record::{self, Outcome},
    records::Kept,
    upload::{Source, UploadError, Uploaded},
};
use crate::{oci::Digest, tiers::blocking};

/// Workers for records: they are small.
const RECORD_WORKERS: usize = 2;

/// An upload that is refused is tried so often, then given up.
const TRIES: u32 = 10;

/// Longest pause between two tries of one upload.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long a shutdown waits for workers in the middle of file work.
const GOODBYE: Duration = Duration::from_secs(2);

/// The workers. Dropped or stopped, they end at once; what they were doing never happened.
#[derive(Debug)]
pub(super) struct Writers {
    stop: watch::Sender<bool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Writers {
    pub(super) fn start(shared: &Arc<Shared>, uploads: usize) -> Self {
        let stop = watch::Sender::new(false);
        let contents = (0..uploads).map(|_| spawn(shared, &stop, upload_contents(shared.clone())));
        let records = (0..RECORD_WORKERS).map(|_| spawn(shared, &stop, upload_records(shared.clone())));
        let workers = contents.chain(records).collect();
        Self { stop, workers: Mutex::new(workers) }
    }

    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let workers = std::mem::take(&mut *self.workers.lock());
        for worker in workers {
            // One that does not end in time ends with the process.
            let _ = timeout(GOODBYE, worker).await;
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn spawn(shared: &Arc<Shared>, stop: &watch::Sender<bool>, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let mut stopped = stop.subscribe();
    shared.runtime.spawn(async move {
        tokio::select! {
            biased;
            // An error means that nobody can stop it any more: the tier is gone.
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = work => {}
        }
    })
}

async fn upload_contents(shared: Arc<Shared>) {
    loop {
        shared.may_write().await;
        let entry = shared.outbox.take().await;
        // It may have waited for long.
        shared.may_write().await;
        let outcome = shared.upload_entry(&entry).await;
        shared.settle(entry, outcome).await;
    }
}

async fn upload_records(shared: Arc<Shared>) {
    loop {
        shared.may_write().await;
        let kept = shared.records.take().await;
        shared.may_write().await;
        shared.upload_record(kept).await;
    }
}

impl Shared {
    /// Waits until the bucket is there and takes writes.
    async fn may_write(&self) {
        while self.breaker.is_open() || !self.pause.is_over() {
            self.breaker.closed().await;
            self.pause.over().await;
        }
    }

    async fn upload_entry(&self, entry: &Entry) -> Result<Uploaded, UploadError> {
        let path = entry.path.clone();
        let file = blocking(move || File::open(path)).await.map_err(UploadError::File)?;
        let anew = self.distrusted.contains_key(&entry.digest);
        self.uploader.upload(&entry.digest, Source::File(Arc::new(file)), entry.size, anew).await
    }

    /// Draws the consequences of an upload.
    async fn settle(self: &Arc<Self>, entry: Entry, outcome: Result<Uploaded, UploadError>) {
        let error = match outcome {
            Ok(uploaded) => {
                self.note(uploaded, &entry.digest, entry.size);
                return self.finish(entry).await;
            }
            Err(error) => error,
        };
        match &error {
            UploadError::Wrong => {
                tracing::warn!(digest = %entry.digest, "a file that waited for its upload is damaged; it is not uploaded");
                self.figures.uploaded("wrong");
                return self.finish(entry).await;
            }
            UploadError::File(cause) if cause.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(digest = %entry.digest, "a file that waited for its upload is gone");
                self.figures.uploaded("dropped");
                return self.finish(entry).await;
            }
            _ => self.write_failed(&error),
        }
        let refused = matches!(&error, UploadError::Bucket(error) if Failure::of(error) == Failure::Refused);
        if refused && entry.tries + 1 >= TRIES {
            tracing::warn!(digest = %entry.digest, %error, "the bucket refuses a content again and again; it is given up");
            self.figures.uploaded("dropped");
            return self.finish(entry).await;
        }
        self.figures.uploaded("failed");
        let pause = backoff(entry.tries);
        self.outbox.put_back(Entry { tries: entry.tries + 1, ..entry }, pause);
    }

    /// What an upload that succeeded means for later questions.
    pub(super) fn note(&self, uploaded: Uploaded, digest: &Digest, size: u64) {
        self.pause.end();
        self.remember_presence(digest, size);
        match uploaded {
            Uploaded::Stored => {
                self.figures.uploaded("stored");
                self.figures.upload_bytes.inc_by(size);
            }
            Uploaded::Present => self.figures.uploaded("present"),
        }
    }

    /// What an upload that failed means for others: a bucket that cannot be reached cannot be read either; one that takes no
    /// writes may be.
    pub(super) fn write_failed(&self, error: &UploadError) {
        let failure = match error {
            UploadError::Bucket(error) => Failure::of(error),
            UploadError::Hangs | UploadError::Lost { .. } => Failure::Unwell,
            UploadError::Wrong | UploadError::File(_) => return,
        };
        match failure {
            Failure::Unreachable => self.breaker.trip(&error.to_string()),
            _ if failure.is_fault() => {
                if self.pause.begin() {
                    tracing::warn!(%error, "the bucket takes no writes; they wait on disk");
                }
            }
            _ => tracing::warn!(%error, "an upload fails; it is tried again"),
        }
    }

    async fn finish(self: &Arc<Self>, entry: Entry) {
        let shared = self.clone();
        let finished = blocking(move || {
            shared.outbox.finish(&entry);
            Ok(())
        });
        if let Err(error) = finished.await {
            tracing::warn!(%error, "cannot end an upload");
        }
    }

    async fn upload_record(self: &Arc<Self>, kept: Kept) {
        let Some(path) = self.bucket.record(&kept.key) else {
            // Only a file that somebody else put there has such a key.
            return self.forget_record(kept).await;
        };
        let outcome = match record::write(self.bucket.writes.as_ref(), &path, &kept.record).await {
            Ok(outcome) => {
                self.pause.end();
                outcome
            }
            Err(error) => {
                if Failure::of(&error) == Failure::Refused && kept.tries + 1 >= TRIES {
                    tracing::warn!(key = kept.key, error = explain(&error), "the bucket refuses a record; it is given up");
                    self.figures.recorded("dropped");
                    return self.forget_record(kept).await;
                }
                self.write_failed(&UploadError::Bucket(error));
                self.figures.recorded("failed");
                let pause = backoff(kept.tries);
                return self.records.put_back(kept, pause);
            }
        };
        self.figures.recorded(match outcome {
            Outcome::Stored => "stored",
            Outcome::Superseded => "superseded",
        });
        self.forget_record(kept).await;
    }

    async fn forget_record(self: &Arc<Self>, kept: Kept) {
        let records = self.records.clone();
        let forgotten = blocking(move || {
            records.finish(kept);
            Ok(())
        });
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "cannot forget a record that is uploaded");
        }
    }
}

/// One second, doubling.
fn backoff(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(16)).min(LONGEST_PAUSE)
}
