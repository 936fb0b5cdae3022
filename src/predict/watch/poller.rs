//! Asks whom [`Watch`] wants asked, and whom somebody has given a hint about.

use std::{collections::HashMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot},
    task::AbortHandle,
    time::MissedTickBehavior,
};

use super::{Answer, Listed, Question, Settings, Subject, Watch, memory, metrics::WatchMetrics};
use crate::{
    events::{Millis, Repository, Subscription, now},
    telemetry::Metrics,
};

/// How often it is looked whom to ask.
const TICK: Duration = Duration::from_secs(1);

/// Questions under way at once.
const AT_ONCE: usize = 4;

/// Events that are taken in a row, so that questions come through.
const IN_A_ROW: usize = 10_000;

/// Hints that wait at most.
const MOST_WAITING: usize = 1024;

/// After a hint, the same tag is asked for again no sooner than this; hints in between count as one.
const BETWEEN_HINTS: Millis = 5_000;

/// Tags that there were hints about lately, at most; hints about more are dropped.
const MOST_HINTED: usize = 10_000;

/// Who asks upstreams.
pub trait Look: fmt::Debug + Send + Sync + 'static {
    /// Asks what a tag names by now. Keeps the pauses that the upstream has imposed.
    fn look(&self, subject: Subject) -> BoxFuture<'static, Answer>;

    /// Asks which tags a repository has by now, up to a bound. Keeps the pauses that the upstream has imposed.
    fn list(&self, repository: Repository) -> BoxFuture<'static, Listed>;
}

/// A task that asks. Dropping it ends it.
#[derive(Debug)]
pub struct Poller {
    orders: mpsc::Sender<Order>,
    task: AbortHandle,
}

/// Takes hints that tags may have moved. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hints(mpsc::Sender<Order>);

/// A hint could not be taken: too many are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many hints are waiting")]
pub struct TooMany;

#[derive(Debug)]
enum Order {
    Hint(Subject),
    Answered(Subject, Answer),
    Listed(Repository, Listed),
    Settings(Settings),
}

/// When a tag that there was a hint about may be asked for again, and whether there was another one.
#[derive(Debug)]
struct Hinted {
    not_before: Millis,
    again: bool,
}

#[derive(Debug)]
struct Task {
    watch: Watch,
    look: Arc<dyn Look>,
    events: Subscription,
    hinted: HashMap<Subject, Hinted>,
    /// Where answers are sent.
    orders: mpsc::WeakSender<Order>,
    places: Arc<Semaphore>,
    handle: Handle,
    metrics: WatchMetrics,
}

impl Poller {
    /// Begins to learn from `events`, and to ask by `look`, on `handle`, once what the demand log in the folder `log` tells of
    /// earlier runs has been heard. Hints are acted on meanwhile.
    pub fn start(
        handle: &Handle,
        settings: Settings,
        log: Option<PathBuf>,
        events: Subscription,
        look: Arc<dyn Look>,
        metrics: &Metrics,
    ) -> Self {
        let recalled = memory::recall(log, settings.clone());
        let (orders, taken) = mpsc::channel(MOST_WAITING);
        let task = Task {
            watch: Watch::new(settings),
            look,
            events,
            hinted: HashMap::new(),
            orders: orders.downgrade(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            handle: handle.clone(),
            metrics: WatchMetrics::register(metrics),
        };
        Self { orders, task: handle.spawn(task.run(taken, recalled)).abort_handle() }
    }

    /// What takes hints.
    pub fn hints(&self) -> Hints {
        Hints(self.orders.clone())
    }

    /// Takes over other settings, unless it is too busy; then the old ones stay.
    pub fn reconfigure(&self, settings: Settings) {
        if self.orders.try_send(Order::Settings(settings)).is_err() {
            tracing::warn!("the settings of [watch] could not be taken over: too many hints are waiting; reload again");
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hints {
    /// A tag may have moved: it is asked for at once, or within seconds when it has just been because of another hint. A hint moves
    /// nothing: what counts is what the upstream says.
    ///
    /// # Errors
    /// [`TooMany`]
    pub fn hint(&self, subject: Subject) -> Result<(), TooMany> {
        self.0.try_send(Order::Hint(subject)).map_err(|_| TooMany)
    }
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>, mut recalled: oneshot::Receiver<Watch>) {
        let mut is_recalling = true;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Hint(subject)) => self.hinted(subject),
                    Some(Order::Answered(subject, answer)) => self.answered(&subject, answer),
                    Some(Order::Listed(repository, listed)) => self.listed(&repository, listed),
                    Some(Order::Settings(settings)) => self.watch.reconfigure(settings),
                    None => return,
                },
                watch = &mut recalled, if is_recalling => {
                    is_recalling = false;
                    self.remembers(watch.ok());
                }
                _ = ticks.tick() => {
                    self.take_up_hints();
                    if !is_recalling && !self.tick() { return }
                }
            }
        }
    }

    /// What is known from earlier runs, if anything is.
    fn remembers(&mut self, recalled: Option<Watch>) {
        let Some(mut recalled) = recalled else { return };
        // They may have changed meanwhile.
        recalled.reconfigure(self.watch.settings.clone());
        self.watch = recalled;
    }

    /// Learns what has happened, and asks. False when nothing happens any more.
    fn tick(&mut self) -> bool {
        for _ in 0..IN_A_ROW {
            match self.events.try_next() {
                Ok(Some(event)) => self.watch.hear(&event),
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        for question in self.watch.due(now()) {
            self.ask(question);
        }
        self.metrics.tags.set(self.watch.len() as i64);
        true
    }

    /// Acts on hints that came too soon after others.
    fn take_up_hints(&mut self) {
        let time = now();
        let again = self.hinted.iter().filter(|(_, hinted)| hinted.again && hinted.not_before <= time);
        for subject in again.map(|(subject, _)| subject.clone()).collect::<Vec<_>>() {
            self.hinted(subject);
        }
        self.hinted.retain(|_, hinted| hinted.again || hinted.not_before > time);
    }

    fn hinted(&mut self, subject: Subject) {
        let time = now();
        if let Some(hinted) = self.hinted.get_mut(&subject)
            && hinted.not_before > time
        {
            hinted.again = true;
            return;
        }
        if self.hinted.len() >= MOST_HINTED && !self.hinted.contains_key(&subject) {
            return;
        }
        self.hinted.insert(subject.clone(), Hinted { not_before: time + BETWEEN_HINTS, again: false });
        self.metrics.hints.inc();
        self.ask(Question::Tag(subject));
    }

    fn ask(&self, question: Question) {
        let (look, places, orders) = (self.look.clone(), self.places.clone(), self.orders.clone());
        self.handle.spawn(async move {
            // It is never closed.
            let _place = places.acquire_owned().await;
            let answered = match question {
                Question::Tag(subject) => Order::Answered(subject.clone(), look.look(subject).await),
                Question::List(repository) => Order::Listed(repository.clone(), look.list(repository).await),
            };
            if let Some(orders) = orders.upgrade() {
                // Without a receiver, nobody wants to know any more.
                let _ = orders.send(answered).await;
            }
        });
    }

    fn answered(&mut self, subject: &Subject, answer: Answer) {
        self.metrics.answered(answer);
        self.watch.answered(subject, now(), answer);
    }

    fn listed(&mut self, repository: &Repository, listed: Listed) {
        self.metrics.listed(&listed);
        let new = self.watch.listed(repository, now(), listed);
        self.metrics.new_tags.inc_by(new as u64);
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        events::{Bus, InProcess},
        oci::{Algorithm, Digest},
    };

    /// Remembers who was asked for.
    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<Subject>>);

    impl Look for Arc<Asked> {
        fn look(&self, subject: Subject) -> BoxFuture<'static, Answer> {
            self.0.lock().push(subject);
            Box::pin(async { Answer::Names(Digest::of(Algorithm::Sha256, b"")) })
        }

        fn list(&self, _: Repository) -> BoxFuture<'static, Listed> {
            Box::pin(async { Listed::Useless })
        }
    }

    fn subject(tag: &str) -> Subject {
        let repository = Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false };
        Subject { repository, tag: tag.parse().unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_asks_at_once_and_many_for_one_tag_count_as_one() {
        let (bus, asked) = (InProcess::default(), Arc::new(Asked::default()));
        let events = bus.subscribe("watch", 16);
        let look = Arc::new(asked.clone());
        let poller = Poller::start(&Handle::current(), Settings::default(), None, events, look, &Metrics::new());
        let hints = poller.hints();
        for _ in 0..10 {
            hints.hint(subject("one")).unwrap();
        }
        hints.hint(subject("other")).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(*asked.0.lock(), [subject("one"), subject("other")]);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_hints_are_refused() {
        let bus = InProcess::default();
        let look = Arc::new(Arc::new(Asked::default()));
        let events = bus.subscribe("watch", 16);
        let poller = Poller::start(&Handle::current(), Settings::default(), None, events, look, &Metrics::new());
        let hints = poller.hints();
        // Nobody takes them, since this task does not let the other one run.
        let taken = (0..2 * MOST_WAITING).filter(|number| hints.hint(subject(&format!("t{number}"))).is_ok()).count();
        assert_eq!(taken, MOST_WAITING);
    }
}
