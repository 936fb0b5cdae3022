//! One piece of work per key, whoever asks for it.

use std::{collections::HashMap, fmt, future::Future, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::watch};

/// Runs at most one piece of work per key at a time; everyone who asks while it runs waits for the same result.
///
/// Nothing is remembered: the entry of a key goes when its work ends, and the next caller starts anew.
pub struct Coalesce<K, V> {
    flights: Arc<Flights<K, V>>,
    handle: Handle,
}

type Flights<K, V> = Mutex<HashMap<K, watch::Receiver<Option<V>>>>;

/// The work ended without a result: it panicked, or its runtime is shutting down. The next caller starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work that was waited for ended without a result")]
pub struct Panicked;

/// Takes the entry out when the work ends, in whatever way.
struct Departure<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Departure<K, V> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl<K, V> Coalesce<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Work will run on `handle`'s runtime.
    pub fn new(handle: Handle) -> Self {
        Self { flights: Arc::default(), handle }
    }

    /// Joins the work that runs for `key`, or starts it; the flag tells whether somebody else's work was joined.
    ///
    /// The work runs detached: a caller that leaves cancels nothing, not even when it was the one that started it.
    ///
    /// # Errors
    /// [`Panicked`], for everyone who waited.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Result<(V, bool), Panicked>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (mut result, start) = {
            let mut flights = self.flights.lock();
            match flights.get(&key) {
                Some(result) => (result.clone(), None),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    flights.insert(key.clone(), receiver.clone());
                    (receiver, Some(sender))
                }
            }
        };
        let joined = start.is_none();
        if let Some(sender) = start {
            let departure = Departure { flights: self.flights.clone(), key };
            let work = work();
            self.handle.spawn(async move {
                let value = work.await;
                drop(departure);
                // Without receivers, nobody wants the result any more.
                let _ = sender.send(Some(value));
            });
        }
        let value = result.wait_for(Option::is_some).await.map_err(|_| Panicked)?;
        value.clone().map(|value| (value, joined)).ok_or(Panicked)
    }
}

impl<K, V> fmt::Debug for Coalesce<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesce").field("under_way", &self.flights.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Semaphore;

    use super::*;

    fn coalesce() -> Coalesce<&'static str, usize> {
        Coalesce::new(Handle::current())
    }

    #[tokio::test]
    async fn many_callers_share_one_piece_of_work() {
        let (coalesce, runs) = (coalesce(), Arc::new(AtomicUsize::new(0)));
        let callers = (0..10).map(|_| {
            let runs = runs.clone();
            coalesce.run("key", move || async move {
                tokio::task::yield_now().await;
                runs.fetch_add(1, Ordering::SeqCst)
            })
        });
        let results = join_all(callers).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(results.iter().filter(|result| **result == Ok((0, false))).count(), 1);
        assert_eq!(results.iter().filter(|result| **result == Ok((0, true))).count(), 9);
    }

    #[tokio::test]
    async fn keys_do_not_share_and_ended_work_is_not_remembered() {
        let coalesce = coalesce();
        assert_eq!(coalesce.run("a", || async { 1 }).await, Ok((1, false)));
        assert_eq!(coalesce.run("b", || async { 2 }).await, Ok((2, false)));
        assert_eq!(coalesce.run("a", || async { 3 }).await, Ok((3, false)));
        assert!(coalesce.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_leaving_caller_cancels_nothing() {
        let (coalesce, gate) = (coalesce(), Arc::new(Semaphore::new(0)));
        let waiting = gate.clone();
        let first = coalesce.run("key", move || async move {
            waiting.acquire().await.unwrap().forget();
            7
        });
        assert!(first.now_or_never().is_none());
        gate.add_permits(1);
        assert_eq!(coalesce.run("key", || async { 0 }).await, Ok((7, true)));
    }

    #[tokio::test]
    async fn a_panic_reaches_everyone_who_waits_and_the_next_caller_starts_anew() {
        let coalesce = coalesce();
        let work = || async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        let (first, second) = tokio::join!(coalesce.run("key", work), coalesce.run("key", || async { 1 }));
        assert_eq!((first, second), (Err(Panicked), Err(Panicked)));
        assert_eq!(coalesce.run("key", || async { 2 }).await, Ok((2, false)));
    }
}
