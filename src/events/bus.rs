//! The bus: from the request path to whoever learns, without ever waiting.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

use parking_lot::RwLock;

use super::Event;

/// Brings events to subscribers. At most a hint: an event may be dropped (which is counted), come twice, or come late.
pub trait Bus: fmt::Debug + Send + Sync {
    /// Tells all subscribers, as far as they keep up. Never waits, and takes less than a microsecond.
    fn publish(&self, event: Event);

    /// Whether anybody would be told: what nobody hears need not be put together.
    fn has_subscribers(&self) -> bool;

    /// A subscriber that is told of what happens from now on, and can be behind by `capacity` events. `name` is what it is
    /// called where dropped events are counted.
    fn subscribe(&self, name: &'static str, capacity: usize) -> Subscription;
}

/// A bus within this process.
#[derive(Debug, Default)]
pub struct InProcess {
    subscribers: RwLock<Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    queue: Arc<SyncSender<Item>>,
    dropped: Arc<Dropped>,
}

/// An event, or nothing: then somebody only wants the subscriber to look up.
type Item = Option<Event>;

/// Events that a subscriber has not been told of.
#[derive(Debug)]
struct Dropped {
    name: &'static str,
    count: AtomicU64,
}

/// The receiving end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    queue: Receiver<Item>,
    waker: Waker,
    dropped: Arc<Dropped>,
}

/// Ends the patience of whoever waits for an event. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waker(Weak<SyncSender<Item>>);

impl Waker {
    /// [`Subscription::next`] returns `None` at once, or has events anyway. Without effect when the subscription or the bus is
    /// gone.
    pub fn wake(&self) {
        if let Some(queue) = self.0.upgrade() {
            // Whoever has a full queue is awake.
            let _ = queue.try_send(None);
        }
    }
}

impl Bus for InProcess {
    fn publish(&self, event: Event) {
        let subscribers = self.subscribers.read();
        let Some((last, others)) = subscribers.split_last() else { return };
        for subscriber in others {
            subscriber.tell(event.clone());
        }
        last.tell(event);
    }

    fn has_subscribers(&self) -> bool {
        !self.subscribers.read().is_empty()
    }

    fn subscribe(&self, name: &'static str, capacity: usize) -> Subscription {
        let (queue, events) = sync_channel(capacity);
        let queue = Arc::new(queue);
        let waker = Waker(Arc::downgrade(&queue));
        let dropped = Arc::new(Dropped { name, count: AtomicU64::new(0) });
        let mut subscribers = self.subscribers.write();
        // Whoever has gone holds no end of the counter any more.
        subscribers.retain(|subscriber| Arc::strong_count(&subscriber.dropped) > 1);
        subscribers.push(Subscriber { queue, dropped: dropped.clone() });
        Subscription { queue: events, waker, dropped }
    }
}

impl InProcess {
    /// How many events each subscriber has not been told of.
    pub fn dropped(&self) -> Vec<(&'static str, u64)> {
        let subscribers = self.subscribers.read();
        subscribers.iter().map(|one| (one.dropped.name, one.dropped.count.load(Ordering::Relaxed))).collect()
    }
}

impl Subscriber {
    fn tell(&self, event: Event) {
        if self.queue.try_send(Some(event)).is_err() {
            self.dropped.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscription {
    /// The next event; `None` when there was none for `patience`, or somebody ended it with a [`Waker`].
    ///
    /// # Errors
    /// When the bus is gone and all events have been taken.
    pub fn next(&self, patience: Duration) -> Result<Option<Event>, Closed> {
        match self.queue.recv_timeout(patience) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Closed),
        }
    }

    /// An event that waits already.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn try_next(&self) -> Result<Option<Event>, Closed> {
        loop {
            match self.queue.try_recv() {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(Closed),
            }
        }
    }

    /// What ends the patience of [`Self::next`] from elsewhere.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Events that this subscriber was not told of, because it was behind.
    pub fn dropped(&self) -> u64 {
        self.dropped.count.load(Ordering::Relaxed)
    }
}

/// The bus is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event bus is closed")]
pub struct Closed;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::What,
        oci::{Algorithm, Digest},
    };

    fn event(at: u64) -> Event {
        Event { at, what: What::BlobEvicted { digest: Digest::of(Algorithm::Sha256, b"x") } }
    }

    fn times(subscription: &Subscription) -> Vec<u64> {
        std::iter::from_fn(|| subscription.try_next().ok().flatten()).map(|event| event.at).collect()
    }

    #[test]
    fn all_subscribers_are_told_in_order() {
        let bus = InProcess::default();
        assert!(!bus.has_subscribers());
        bus.publish(event(0));
        let (a, b) = (bus.subscribe("a", 8), bus.subscribe("b", 8));
        assert!(bus.has_subscribers());
        (1..=3).for_each(|at| bus.publish(event(at)));
        assert_eq!((times(&a), times(&b)), (vec![1, 2, 3], vec![1, 2, 3]));
        assert_eq!(a.next(Duration::ZERO), Ok(None));
    }

    #[test]
    fn who_is_behind_loses_and_the_loss_is_counted() {
        let bus = InProcess::default();
        let (slow, quick) = (bus.subscribe("slow", 2), bus.subscribe("quick", 8));
        (0..5).for_each(|at| bus.publish(event(at)));
        assert_eq!((times(&slow), slow.dropped()), (vec![0, 1], 3));
        assert_eq!((times(&quick).len(), quick.dropped()), (5, 0));
        assert_eq!(bus.dropped(), [("slow", 3), ("quick", 0)]);
        bus.publish(event(5));
        assert_eq!(times(&slow), [5]);
    }

    #[test]
    fn patience_can_be_ended() {
        let bus = InProcess::default();
        let subscription = bus.subscribe("a", 2);
        subscription.waker().wake();
        assert_eq!(subscription.next(Duration::from_secs(3600)), Ok(None));
        let waker = subscription.waker();
        waker.wake();
        bus.publish(event(1));
        assert_eq!((times(&subscription), subscription.dropped()), (vec![1], 0));
        drop(bus);
        waker.wake();
        assert_eq!(subscription.next(Duration::from_secs(3600)), Err(Closed));
    }

    #[test]
    fn whoever_has_gone_is_forgotten_and_a_bus_that_has_gone_is_told() {
        let bus = InProcess::default();
        drop(bus.subscribe("gone", 1));
        bus.publish(event(0));
        let left = bus.subscribe("left", 1);
        assert_eq!(bus.dropped(), [("left", 0)]);
        bus.publish(event(1));
        drop(bus);
        assert_eq!(times(&left), [1]);
        assert_eq!(left.next(Duration::from_secs(9)), Err(Closed));
    }
}
