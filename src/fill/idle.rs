//! Threads for work that nobody waits for.
//!
//! Hashing and writing keep a processor for as long as the kernel lets them, and whoever wakes up meanwhile to answer a client waits
//! until that is over. Threads of the policy `SCHED_IDLE` (sched(7)) stop at once for any other, and run only when no other would.

use std::{io, pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::{runtime::Runtime, sync::oneshot, task::spawn_blocking};

/// One can wait for the disk while the other hashes.
const THREADS: usize = 2;

/// The threads, which end when this is dropped, each after what it is at.
#[derive(Debug)]
pub(super) struct IdleThreads {
    /// Only its threads for blocking work are used. `None` where it could not be had: work is then done among the rest.
    runtime: Option<Runtime>,
}

impl IdleThreads {
    pub(super) fn new() -> Self {
        let mut threads = tokio::runtime::Builder::new_current_thread();
        let runtime = threads.max_blocking_threads(THREADS).thread_name("fill-idle").on_thread_start(step_back).build();
        if let Err(error) = &runtime {
            tracing::warn!(%error, "no threads for what nobody waits for: it is written among the rest");
        }
        Self { runtime: runtime.ok() }
    }

    /// Has work done that blocks, unless `hurried` ends before it is begun: then it is done among the rest. On a busy machine it can
    /// be long before it is begun, and not once it is. Dropping this does not end it.
    ///
    /// # Errors
    /// When the work panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        hurried: impl Future<Output = ()>,
    ) -> io::Result<T> {
        let (sender, done) = oneshot::channel();
        let work = Arc::new(Mutex::new(Some(move || drop(sender.send(work())))));
        let offered = work.clone();
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn_blocking(move || take_up(&offered))),
            None => drop(spawn_blocking(move || take_up(&offered))),
        }
        let done = match select(done, pin!(hurried)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), done)) => {
                spawn_blocking(move || take_up(&work));
                done.await
            }
        };
        done.map_err(io::Error::other)
    }
}

/// Does work, unless somebody else has taken it.
fn take_up(work: &Mutex<Option<impl FnOnce()>>) {
    let taken = work.lock().take();
    if let Some(work) = taken {
        work();
    }
}

impl Drop for IdleThreads {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which must not be done where this may be dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets a thread run only when no other would. There is no way back without a privilege, which a server does not have.
#[cfg(target_os = "linux")]
fn step_back() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        thread_schedule_policy,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    // The niceness, which is set as well and means nothing to this policy, may not be the server's to change.
    if thread_schedule_policy() != Ok(idle) {
        tracing::debug!(?set, "what nobody waits for is written at the priority of the rest");
    }
}

/// Other systems have no such policy.
#[cfg(not(target_os = "linux"))]
const fn step_back() {}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::mpsc, thread};

    use super::*;

    /// The name of the thread that work is done on.
    fn place() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_run_when_no_other_would() {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};
        let policy = IdleThreads::new().run(thread_schedule_policy, pending()).await.unwrap();
        assert_eq!(policy, Ok(ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle)));
    }

    #[tokio::test]
    async fn what_is_hurried_before_it_is_begun_is_done_among_the_rest() {
        let threads = IdleThreads::new();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let wait = || {
            let gate = gate.clone();
            move || {
                let _ = gate.lock().recv();
            }
        };
        let (first, second) = (threads.run(wait(), pending()), threads.run(wait(), pending()));
        let mut taken = std::pin::pin!(futures_util::future::join(first, second));
        assert!(futures_util::poll!(&mut taken).is_pending(), "all are taken");
        let hurried = threads.run(place, async {}).await.unwrap();
        assert_ne!(hurried.as_deref(), Some("fill-idle"));
        drop(release);
        let (first, second) = taken.await;
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(threads.run(place, pending()).await.unwrap().as_deref(), Some("fill-idle"));
    }

    #[tokio::test]
    async fn what_is_hurried_once_it_is_begun_is_waited_for() {
        let threads = IdleThreads::new();
        let ((begun, begins), (release, gate)) = (tokio::sync::oneshot::channel(), mpsc::channel::<()>());
        let work = move || {
            let _ = begun.send(());
            let _ = gate.recv();
            place()
        };
        let hurried = async {
            begins.await.unwrap();
            drop(release);
        };
        assert_eq!(threads.run(work, hurried).await.unwrap().as_deref(), Some("fill-idle"));
    }

    #[tokio::test]
    async fn without_them_work_is_done_among_the_rest() {
        let place = IdleThreads { runtime: None }.run(place, pending()).await.unwrap();
        assert_ne!(place.as_deref(), Some("fill-idle"));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        assert!(IdleThreads::new().run(|| panic!("on purpose"), pending()).await.is_err());
    }
}
