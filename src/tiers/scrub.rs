//! Looking for damage before anybody asks: every file on disk is read from the device and hashed.
//!
//! One scrub at a time. The *background* scrub goes through everything at a bounded rate, again and again, with a pause. An
//! operator's goes as fast as the disks do, resting between pieces while clients are served; a background scrub gives way to
//! it, and counts as done when it has ended.
//!
//! What is wrong on a disk tier is taken away and told to whoever can bring it back. What was pushed is told of, and stays: it
//! may be the only copy. Contents that the catalog holds itself are not looked at; the catalog has checksums of its own.

mod place;
mod reading;
mod run;

pub use run::{Damage, Fault, ScrubRun};

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    ContentStore, Counts, Disk, blocking,
    pace::{Demand, Pace},
};
use crate::oci::Digest;
use place::{Entry, Place, Shard};
use reading::Reading;

/// The first background scrub begins this long after the start, when others have started too.
const FIRST: Duration = Duration::from_secs(300);

/// How often it is looked whether a disk has been listed.
const TICK: Duration = Duration::from_millis(20);

/// What a file costs at least: a seek takes as long as reading so many bytes.
const LEAST_COST: u64 = 64 << 10;

/// When so many files of a place in a row cannot be read, it is the device that fails, and the rest is left alone.
const FAILING: u32 = 8;

/// Whoever brings contents back that were found damaged. Must not block.
pub type Heal = Arc<dyn Fn(Vec<Digest>) + Send + Sync>;

/// How a background scrub goes about it.
#[derive(Debug, Clone, Copy)]
pub struct ScrubSettings {
    /// Bytes per second; 0 for no background scrub.
    pub rate: u64,
    /// From the beginning of one to the beginning of the next.
    pub interval: Duration,
}

impl ScrubSettings {
    /// No scrub in the background.
    pub const NEVER: Self = Self { rate: 0, interval: Duration::ZERO };
}

/// The scrubs of one server.
#[derive(Debug)]
pub struct Scrubber {
    shared: Arc<Shared>,
    started: AtomicBool,
}

struct Shared {
    places: Vec<Place>,
    settings: ScrubSettings,
    demand: Demand,
    counts: Arc<Counts>,
    runs: Mutex<Runs>,
    /// Whether [`Runs::wanted`] says something; looked at often.
    is_wanted: AtomicBool,
    is_over: AtomicBool,
    woken: Arc<Notify>,
    heal: OnceLock<Heal>,
}

#[derive(Debug, Default)]
struct Runs {
    /// The last one that an operator asked for.
    asked: Option<ScrubRun>,
    background: Option<ScrubRun>,
    /// The rate of one that has been asked for and has not begun.
    wanted: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Asked,
    Background,
}

/// A scrub has to end before its end.
struct Interrupted;

impl Scrubber {
    pub(super) fn new(
        disks: &[Disk],
        hosted: &ContentStore,
        settings: ScrubSettings,
        demand: Demand,
        counts: Arc<Counts>,
    ) -> Self {
        let places = disks.iter().cloned().map(Place::Disk).chain([Place::Hosted(hosted.clone())]).collect();
        let (is_wanted, is_over) = <(AtomicBool, AtomicBool)>::default();
        let (runs, woken, heal) = (Mutex::default(), Arc::default(), OnceLock::new());
        let shared = Shared { places, settings, demand, counts, runs, is_wanted, is_over, woken, heal };
        Self { shared: Arc::new(shared), started: AtomicBool::new(false) }
    }

    /// Starts to scrub when that is due or wanted, on `handle`, for as long as this value exists. A second call does nothing.
    pub fn start(&self, handle: &Handle) {
        if !self.started.swap(true, Ordering::Relaxed) {
            handle.spawn(run(Arc::downgrade(&self.shared)));
        }
    }

    /// Tells `heal` from now on what was found damaged on a disk tier, once it has been taken away. A second call does nothing.
    pub fn heal_by(&self, heal: Heal) {
        // The first stays.
        let _ = self.shared.heal.set(heal);
    }

    /// Begins a scrub for an operator, at `rate` bytes per second, or joins the one that another has begun. Returns at once.
    pub fn request(&self, rate: u64) -> ScrubRun {
        let mut runs = self.shared.runs.lock();
        if let Some(asked) = runs.asked.as_ref().filter(|asked| asked.running) {
            return asked.clone();
        }
        runs.wanted = Some(rate);
        self.shared.is_wanted.store(true, Ordering::Relaxed);
        self.shared.woken.notify_one();
        runs.asked.insert(ScrubRun::new()).clone()
    }

    /// The last scrub that an operator has asked for, and the last in the background.
    pub fn runs(&self) -> (Option<ScrubRun>, Option<ScrubRun>) {
        let runs = self.shared.runs.lock();
        (runs.asked.clone(), runs.background.clone())
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.woken.notify_one();
    }
}

async fn run(scrubs: Weak<Shared>) {
    let Some(ScrubSettings { rate, interval }) = scrubs.upgrade().map(|shared| shared.settings) else { return };
    let mut due = Instant::now() + interval.min(FIRST);
    loop {
        let Some(shared) = scrubs.upgrade() else { return };
        let began = Instant::now();
        if let Some(rate) = shared.take_wanted() {
            shared.scrub(Kind::Asked, rate).await;
            due = began + interval;
        } else if rate > 0 && began >= due {
            shared.scrub(Kind::Background, rate).await;
            due = began + interval;
        } else {
            let woken = shared.woken.clone();
            drop(shared);
            if rate > 0 {
                tokio::select! {
                    () = woken.notified() => {}
                    () = sleep_until(due) => {}
                }
            } else {
                woken.notified().await;
            }
        }
    }
}

impl Shared {
    fn take_wanted(&self) -> Option<u64> {
        self.is_wanted.store(false, Ordering::Relaxed);
        self.runs.lock().wanted.take()
    }

    /// Goes through everything once.
    async fn scrub(&self, kind: Kind, rate: u64) {
        if kind == Kind::Background {
            self.runs.lock().background = Some(ScrubRun::new());
        }
        let pace = Pace::new(rate, self.demand.clone());
        let is_complete = self.go_through(kind, &pace).await.is_ok();
        self.note(kind, |run| {
            run.running = false;
            let ScrubRun { checked, bytes, damaged_count: damaged, unreadable, .. } = run;
            if is_complete {
                tracing::info!(background = kind == Kind::Background, checked, bytes, damaged, unreadable, "scrubbed");
            }
        });
    }

    fn note(&self, kind: Kind, change: impl FnOnce(&mut ScrubRun)) {
        let mut runs = self.runs.lock();
        let run = match kind {
            Kind::Asked => &mut runs.asked,
            Kind::Background => &mut runs.background,
        };
        run.as_mut().map(change);
    }

    /// Whether a scrub goes on: neither has everything come to its end, nor does a background one stand in an operator's way.
    fn goes_on(&self, kind: Kind) -> Result<(), Interrupted> {
        let gives_way = kind == Kind::Background && self.is_wanted.load(Ordering::Relaxed);
        if gives_way || self.is_over.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }

    /// Waits, unless something comes up.
    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.woken.notified() => {}
        }
    }

    async fn go_through(&self, kind: Kind, pace: &Pace) -> Result<(), Interrupted> {
        for place in &self.places {
            if let Place::Disk(disk) = place {
                while !disk.is_listed() {
                    self.goes_on(kind)?;
                    sleep(TICK).await;
                }
            }
            let place = place.clone();
            let (files, bytes) = blocking(move || place.usage()).await.unwrap_or_default();
            self.note(kind, |run| {
                run.total += files;
                run.total_bytes += bytes;
            });
        }
        for place in &self.places {
            let listed = place.clone();
            let shards = match blocking(move || listed.shards()).await {
                Ok(shards) => shards,
                Err(error) => {
                    self.note_unlisted(kind, place, &error);
                    continue;
                }
            };
            self.go_through_place(kind, pace, place, shards).await?;
        }
        Ok(())
    }

    async fn go_through_place(&self, kind: Kind, pace: &Pace, place: &Place, shards: Vec<Shard>) -> Result<(), Interrupted> {
        let mut failures = 0;
        for shard in shards {
            let path = shard.path().to_owned();
            let entries = match blocking(move || shard.entries()).await {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a folder cannot be scrubbed");
                    self.note(kind, |run| run.unreadable += 1);
                    continue;
                }
            };
            for entry in entries {
                match self.check(kind, pace, place, &entry).await? {
                    Checked::Read => failures = 0,
                    Checked::NotRead => failures += 1,
                }
                if failures >= FAILING {
                    tracing::error!(tier = %place.label(), "file after file cannot be read: the rest of the tier is not scrubbed");
                    self.note(kind, |run| run.unreadable += 1);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn note_unlisted(&self, kind: Kind, place: &Place, error: &io::Error) {
        tracing::warn!(tier = %place.label(), %error, "a tier cannot be scrubbed");
        self.note(kind, |run| run.unreadable += 1);
    }
}

/// How hashing one file ended.
enum Checked {
    /// With a judgement, or because it has gone.
    Read,
    /// It could not be read.
    NotRead,
}

impl Shared {
    async fn check(&self, kind: Kind, pace: &Pace, place: &Place, entry: &Entry) -> Result<Checked, Interrupted> {
        let (judgement, checked) = match self.read(kind, pace, place, entry).await? {
            Ok(read) => (judge(place, entry, read).await, Checked::Read),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Checked::Read),
            Err(error) => (self.judge_unreadable(kind, place, entry, &error).await, Checked::NotRead),
        };
        self.counts.scrubbed(&place.label(), judgement.is_some());
        self.note(kind, |run| run.checked += 1);
        if let Some(damage) = judgement {
            self.tell(kind, place, damage);
        }
        Ok(checked)
    }

    /// Hashes a file, piece by piece.
    async fn read(&self, kind: Kind, pace: &Pace, place: &Place, entry: &Entry) -> Result<io::Result<Reading>, Interrupted> {
        let (path, algorithm) = (entry.path.clone(), entry.digest.algorithm());
        let mut reading = match blocking(move || Reading::open(&path, algorithm)).await {
            Ok(reading) => reading,
            Err(error) => return Ok(Err(error)),
        };
        let label = place.label();
        let mut least = LEAST_COST;
        loop {
            self.goes_on(kind)?;
            let advanced = blocking(move || {
                let mut reading = reading;
                let read = reading.advance()?;
                Ok((reading, read))
            });
            let read;
            (reading, read) = match advanced.await {
                Ok(advanced) => advanced,
                Err(error) => return Ok(Err(error)),
            };
            if read == 0 {
                return Ok(Ok(reading));
            }
            self.counts.scrubbed_bytes(&label, read);
            self.note(kind, |run| run.bytes += read);
            self.rest(pace.price(read.max(least))).await;
            least = 0;
        }
    }

    /// A file that cannot be read is damaged, unless the reason lies elsewhere.
    async fn judge_unreadable(&self, kind: Kind, place: &Place, entry: &Entry, error: &io::Error) -> Option<Damage> {
        tracing::warn!(digest = %entry.digest, tier = %place.label(), %error, "a file cannot be read");
        if is_of_the_process(error) {
            self.note(kind, |run| run.unreadable += 1);
            return None;
        }
        let (place, entry) = (place.clone(), entry.clone());
        let judged = blocking(move || {
            let condemned = place::state(&entry.path).is_some_and(|stamp| place.condemn(&entry, stamp));
            let damage = Damage { digest: entry.digest, tier: place.label(), size: 0, fault: Fault::Unreadable };
            Ok(condemned.then_some(damage))
        });
        judged.await.ok().flatten()
    }

    fn tell(&self, kind: Kind, place: &Place, damage: Damage) {
        let Damage { digest, tier, fault, .. } = &damage;
        tracing::warn!(%digest, %tier, fault = fault.as_str(), "a file is damaged");
        if let (Place::Disk(_), Some(heal)) = (place, self.heal.get()) {
            heal(vec![*digest]);
        }
        self.note(kind, |run| run.note_damage(damage));
    }
}

/// Compares what was read with what should have been.
async fn judge(place: &Place, entry: &Entry, reading: Reading) -> Option<Damage> {
    let (place, entry) = (place.clone(), entry.clone());
    let judged = blocking(move || {
        let stamp = reading.stamp;
        let (digest, size) = reading.finish();
        if digest == entry.digest {
            place.approve(&digest, stamp);
            return Ok(None);
        }
        let is_as_long = place.known_size(&entry.digest).is_none_or(|known| known == size);
        let fault = if is_as_long { Fault::Bytes } else { Fault::Length };
        let damage = Damage { digest: entry.digest, tier: place.label(), size, fault };
        Ok(place.condemn(&entry, stamp).then_some(damage))
    });
    judged.await.ok().flatten()
}

/// Whether it is this process that cannot open anything more.
fn is_of_the_process(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| own.contains(&code))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("places", &self.places).field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
