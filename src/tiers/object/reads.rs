//! Questions to the bucket: short, and never again after one that failed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use object_store::{GetOptions, GetRange, ObjectStoreExt};
use tokio::time::timeout;

use super::{
    Bucket, ObjectStream, Shared,
    breaker::Probe,
    failure::{Failure, explain},
    record,
};
use crate::oci::Digest;

/// Longest time for the first question of a probe: connection and credentials may have to be had first.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// What the bucket says.
pub(super) enum Answer<T> {
    Yes(T),
    No,
    /// It did not say.
    Unknown,
}

impl Shared {
    pub(super) async fn open(self: Arc<Self>, digest: &Digest, from: u64) -> Option<ObjectStream> {
        let ends_before = from > 0 && self.known.get(digest).is_some_and(|size| size <= from);
        if ends_before || self.is_absent(digest) {
            return None;
        }
        let (store, path) = (self.bucket.reads.clone(), self.bucket.blob(digest));
        let range = (from > 0).then_some(GetRange::Offset(from));
        let options = GetOptions { range, ..GetOptions::default() };
        let answer = self.ask(async move { store.get_opts(&path, options).await }).await;
        if from > 0 && matches!(answer, Answer::No) {
            // Perhaps it is only shorter.
            self.known.invalidate(digest);
            return None;
        }
        let result = self.remember_absence(digest, answer)?;
        let size = result.meta.size;
        if result.range != (from..size) {
            tracing::warn!(%digest, from, size, range = ?result.range, "the bucket answers with another part than it was asked for");
            return None;
        }
        self.known.insert(*digest, size);
        Some(ObjectStream::new(from, size, result.into_stream(), self))
    }

    pub(super) async fn size(self: &Arc<Self>, digest: &Digest) -> Option<u64> {
        if self.is_absent(digest) {
            return None;
        }
        if let Some(size) = self.known.get(digest) {
            return Some(size);
        }
        let (store, path) = (self.bucket.reads.clone(), self.bucket.blob(digest));
        let answer = self.ask(async move { store.head(&path).await }).await;
        let size = self.remember_absence(digest, answer)?.size;
        self.known.insert(*digest, size);
        Some(size)
    }

    pub(super) async fn record(self: Arc<Self>, key: &str) -> Option<Bytes> {
        let path = self.bucket.record(key)?;
        let store = self.bucket.reads.clone();
        let answer = self.ask(async move { record::read(store.as_ref(), &path).await }).await;
        let Answer::Yes(present) = answer else { return None };
        let record = present.record?;
        self.figures.read_bytes.inc_by(record.body.len() as u64);
        Some(record.body)
    }

    pub(super) fn distrust(self: &Arc<Self>, digest: &Digest) {
        self.figures.distrusted.inc();
        self.distrusted.insert(*digest, ());
        self.known.invalidate(digest);
        tracing::warn!(%digest, "the bucket holds wrong bytes under a digest; they are deleted there");
        let (shared, digest) = (self.clone(), *digest);
        self.runtime.spawn(async move { shared.delete(&digest).await });
    }

    /// Deletes a content of the bucket; one that cannot be deleted is said in the log.
    pub(super) async fn delete(&self, digest: &Digest) {
        self.known.invalidate(digest);
        if let Err(error) = self.bucket.writes.delete(&self.bucket.blob(digest)).await
            && Failure::of(&error) != Failure::Absent
        {
            tracing::warn!(%digest, error = explain(&error), "cannot delete from the bucket");
        }
    }

    /// Puts a question within the budget. It is a task of its own: when the one who asks goes away, it is still noted how the
    /// bucket fared, and connections do not belong to a thread that serves clients.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Answer<T> {
        if self.breaker.is_open() {
            self.figures.looked_up("skipped");
            return Answer::Unknown;
        }
        let shared = self.clone();
        let asked = self.runtime.spawn(async move {
            let answer = timeout(shared.lookup_timeout, question).await;
            shared.judge(answer.ok())
        });
        asked.await.unwrap_or(Answer::Unknown)
    }

    fn judge<T>(&self, answer: Option<object_store::Result<T>>) -> Answer<T> {
        let failed = |why: &str| {
            self.figures.looked_up("failed");
            self.breaker.trip(why);
            Answer::Unknown
        };
        match answer {
            None => failed("no answer within storage.object.lookup_timeout"),
            Some(Ok(yes)) => {
                self.figures.looked_up("hit");
                Answer::Yes(yes)
            }
            Some(Err(error)) if Failure::of(&error).is_fault() => failed(&explain(&error)),
            Some(Err(error)) => {
                if Failure::of(&error) != Failure::Absent {
                    tracing::warn!(error = explain(&error), "the bucket refuses a question");
                }
                self.figures.looked_up("absent");
                Answer::No
            }
        }
    }

    /// Whether it is known not to be there, or not to be right.
    fn is_absent(&self, digest: &Digest) -> bool {
        self.distrusted.contains_key(digest) || self.absent.contains_key(digest)
    }

    fn remember_absence<T>(&self, digest: &Digest, answer: Answer<T>) -> Option<T> {
        match answer {
            Answer::Yes(yes) => Some(yes),
            Answer::No => {
                self.known.invalidate(digest);
                self.absent.insert(*digest, ());
                None
            }
            Answer::Unknown => None,
        }
    }

    /// Notes that a right content of this size is in the bucket.
    pub(super) fn remember_presence(&self, digest: &Digest, size: u64) {
        self.distrusted.invalidate(digest);
        self.absent.invalidate(digest);
        self.known.insert(*digest, size);
    }
}

/// Looks whether the bucket answers, and soon enough for clients once there is a connection.
pub(super) fn probe(bucket: Bucket, budget: Duration) -> Probe {
    Arc::new(move || {
        let (store, path) = (bucket.reads.clone(), bucket.prefix.clone().join("blobs").join("probe"));
        async move {
            for budget in [FIRST_LOOK.max(budget), budget] {
                match timeout(budget, store.head(&path)).await {
                    Err(_) => return Err(format!("no answer within {budget:?}")),
                    Ok(Err(error)) if Failure::of(&error).is_fault() => return Err(explain(&error)),
                    // Whatever it says, it answers.
                    Ok(_) => {}
                }
            }
            Ok(())
        }
        .boxed()
    })
}
