//! A cache of one region, its policy and its prefetcher, along a workload.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufWriter},
    path::PathBuf,
    sync::Arc,
};

use super::{
    figures::Figures,
    policy::{self, Policy},
    prefetcher::{self, Prefetcher, View, Wish},
    workload::{Content, ContentId, Step, What, Workload},
};
use crate::{
    events::Millis,
    predict::{Prophet, learn::Model},
};

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region.
    pub region: u16,
    /// Bytes that the cache may hold.
    pub capacity: u64,
    /// The name of the policy.
    pub policy: String,
    /// The name of the prefetcher.
    pub prefetch: String,
    /// From a tag's move until a prefetcher can act on it, in milliseconds.
    pub discovery: Millis,
    /// How far away things are.
    pub network: Network,
    /// Who says what is likely, instead of what the prefetcher learns.
    pub model: Option<Arc<dyn Model>>,
    /// A file to write what the prefetcher learns from to, a line for each answer.
    pub rows: Option<PathBuf>,
}

/// How far away things are.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// Round trip to the upstream, in milliseconds.
    pub round_trip: f64,
    /// Bytes per millisecond from the upstream.
    pub rate: f64,
    /// Until the first byte from the cache, in milliseconds.
    pub first_byte: f64,
    /// Bytes per millisecond from the cache.
    pub cache_rate: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self { round_trip: 80.0, rate: 60e3, first_byte: 0.1, cache_rate: 2e6 }
    }
}

/// Why nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no such policy.
    #[error("there is no policy '{0}'; there are {1}")]
    Policy(String, String),
    /// There is no such prefetcher.
    #[error("there is no prefetcher '{0}'; there are {1}")]
    Prefetcher(String, String),
    /// A model or rows are of no use to it.
    #[error("the prefetcher '{0}' does not learn: it needs no model and has no rows; use 'model'")]
    LearnsNothing(String),
    /// What is learned from cannot be written.
    #[error("{}: rows cannot be written: {}", .0.display(), .1)]
    Rows(PathBuf, io::Error),
}

/// Whether there are a policy and a prefetcher of these names.
///
/// # Errors
/// When one is missing; the error lists those that there are.
pub fn check(policy: &str, prefetch: &str) -> Result<(), SettingsError> {
    let workload = Workload::default();
    make_policy(policy, &policy::Setting { workload: &workload, region: 0, capacity: 0 })?;
    make_prefetcher(prefetch, &prefetcher::Setting { workload: &workload, region: 0 }).map(drop)
}

fn make_policy<'a>(name: &str, setting: &policy::Setting<'a>) -> Result<Box<dyn Policy + 'a>, SettingsError> {
    policy::make(name, setting).ok_or_else(|| SettingsError::Policy(name.to_owned(), listed(policy::policies())))
}

fn make_prefetcher<'a>(name: &str, setting: &prefetcher::Setting<'a>) -> Result<Box<dyn Prefetcher + 'a>, SettingsError> {
    prefetcher::make(name, setting).ok_or_else(|| SettingsError::Prefetcher(name.to_owned(), listed(prefetcher::prefetchers())))
}

fn listed(all: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    all.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// Simulates. `progress` is told how many steps are done, now and then.
///
/// # Errors
/// As [`check`].
pub fn replay(workload: &Workload, settings: &Settings, mut progress: impl FnMut(usize)) -> Result<Figures, SettingsError> {
    let Settings { region, capacity, discovery, network, .. } = *settings;
    let policy = make_policy(&settings.policy, &policy::Setting { workload, region, capacity })?;
    let mut prefetcher = make_prefetcher(&settings.prefetch, &prefetcher::Setting { workload, region })?;
    let unwritten = |error| SettingsError::Rows(settings.rows.clone().unwrap_or_default(), error);
    if settings.model.is_some() || settings.rows.is_some() {
        let prophet = prefetcher.prophet().ok_or_else(|| SettingsError::LearnsNothing(settings.prefetch.clone()))?;
        settings.model.iter().for_each(|model| prophet.give(model.clone()));
        let write = |rows| prophet.write_rows(Box::new(BufWriter::new(File::create(rows)?)));
        settings.rows.as_ref().map_or(Ok(()), write).map_err(unwritten)?;
    }
    // The tiers choose among a sample.
    fastrand::seed(1);
    let mut simulator = Simulator::new(workload, region, capacity, network, policy);
    simulator.run(&mut *prefetcher, discovery, &mut progress);
    prefetcher.prophet().map_or(Ok(()), Prophet::finish_rows).map_err(unwritten)?;
    Ok(simulator.figures)
}

struct Simulator<'a> {
    workload: &'a Workload,
    region: u16,
    policy: Box<dyn Policy + 'a>,
    network: Network,
    capacity: u64,
    bytes: u64,
    state: Vec<State>,
    /// Prefetches by when they arrive.
    arriving: BinaryHeap<Reverse<(Millis, ContentId)>>,
    /// When the line for prefetches is free again, in milliseconds.
    line: f64,
    /// The same for those that are not urgent.
    patient_line: f64,
    wishes: Vec<Wish>,
    figures: Figures,
}

/// What is known of a content.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    place: Place,
    was_here: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Absent,
    /// On its way, and when it will be here.
    Coming(Millis),
    Here {
        /// It was prefetched, and nobody has asked for it yet.
        unused: bool,
    },
}

/// How often the progress is told.
const TELL: usize = 1 << 16;

impl<'a> Simulator<'a> {
    fn new(workload: &'a Workload, region: u16, capacity: u64, network: Network, policy: Box<dyn Policy + 'a>) -> Self {
        Self {
            workload,
            region,
            policy,
            network,
            capacity,
            bytes: 0,
            state: vec![State::default(); workload.world.contents.len()],
            arriving: BinaryHeap::new(),
            line: 0.0,
            patient_line: 0.0,
            wishes: Vec::new(),
            figures: Figures::default(),
        }
    }

    fn run(&mut self, prefetcher: &mut dyn Prefetcher, discovery: Millis, progress: &mut impl FnMut(usize)) {
        let mut moves = self.workload.steps.iter().filter(|step| matches!(step.what, What::Moved { .. })).peekable();
        for (number, step) in self.workload.steps.iter().enumerate() {
            if number % TELL == 0 {
                progress(number);
            }
            self.land(step.at);
            while let Some(moved) = moves.next_if(|moved| moved.at + discovery <= step.at) {
                let at = moved.at + discovery;
                prefetcher.discover(moved, at, &self.state.as_slice(), &mut self.wishes);
                self.send_for(at);
                self.land(step.at);
            }
            self.policy.observe(step);
            prefetcher.observe(step, &self.state.as_slice(), &mut self.wishes);
            self.send_for(step.at);
            if let What::Layer { region, content, .. } = step.what
                && region == self.region
            {
                self.request(step, content);
            }
        }
        progress(self.workload.steps.len());
    }

    fn counts(&self, at: Millis) -> bool {
        at >= self.workload.counted_from
    }

    fn content(&self, content: ContentId) -> Content {
        self.workload.world.contents[content as usize]
    }

    /// Prefetches that have arrived.
    fn land(&mut self, now: Millis) {
        while let Some(&Reverse((at, content))) = self.arriving.peek()
            && at <= now
        {
            self.arriving.pop();
            if self.state[content as usize].place == Place::Coming(at) {
                self.state[content as usize].place = Place::Absent;
                self.insert(content, true, at);
            }
        }
    }

    /// Sends for what is wished for, one after the other on a line of its own; what is urgent does not wait for the rest.
    fn send_for(&mut self, now: Millis) {
        for Wish { content, urgent } in std::mem::take(&mut self.wishes) {
            if self.state[content as usize].place != Place::Absent {
                continue;
            }
            let size = self.content(content).size;
            let begin = if urgent { self.line } else { self.line.max(self.patient_line) }.max(now as f64);
            let end = begin + size as f64 / self.network.rate;
            *if urgent { &mut self.line } else { &mut self.patient_line } = end;
            let at = (end + self.network.round_trip).ceil() as Millis;
            self.state[content as usize].place = Place::Coming(at);
            self.arriving.push(Reverse((at, content)));
            if self.counts(now) {
                self.figures.prefetch(size);
            }
        }
    }

    fn request(&mut self, step: &Step, content: ContentId) {
        let (counts, size) = (self.counts(step.at), self.content(content).size);
        let Network { round_trip, rate, first_byte, cache_rate } = self.network;
        let fetched = round_trip + size as f64 / rate;
        match self.state[content as usize].place {
            Place::Here { unused } => {
                if counts {
                    self.figures.hit(size, unused, first_byte + size as f64 / cache_rate);
                }
                self.state[content as usize].place = Place::Here { unused: false };
                self.policy.hit(content);
            }
            Place::Coming(at) => {
                if counts {
                    self.figures.late(size, fetched.min(at.saturating_sub(step.at) as f64));
                }
                self.state[content as usize].place = Place::Absent;
                self.take_in(content, step.at);
            }
            Place::Absent => {
                if counts {
                    self.figures.miss(size, fetched);
                }
                self.take_in(content, step.at);
            }
        }
    }

    fn take_in(&mut self, content: ContentId, now: Millis) {
        if self.policy.admits(content) {
            self.insert(content, false, now);
        }
    }

    fn insert(&mut self, content: ContentId, unused: bool, now: Millis) {
        let size = self.content(content).size;
        if size > self.capacity {
            return;
        }
        while self.bytes + size > self.capacity {
            let Some(victim) = self.policy.evict() else { break };
            let size = self.content(victim).size;
            self.bytes -= size;
            let place = std::mem::take(&mut self.state[victim as usize].place);
            debug_assert!(matches!(place, Place::Here { .. }), "a policy let go of what was not here");
            if place == (Place::Here { unused: true }) && self.counts(now) {
                self.figures.waste(size);
            }
        }
        self.bytes += size;
        self.state[content as usize] = State { place: Place::Here { unused }, was_here: true };
        self.policy.insert(content);
    }
}

impl View for &[State] {
    fn was_here(&self, content: ContentId) -> bool {
        self[content as usize].was_here
    }

    fn is_here(&self, content: ContentId) -> bool {
        self[content as usize].place != Place::Absent
    }
}
