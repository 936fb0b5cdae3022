//! A prophet at an edge: hears events, and says which contents are expected here.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;

use super::{
    expected::{Expected, Kind, Reason},
    forecast::Forecast,
    judge::Verdict,
    learn::{LearnError, Model, Pace, Store},
    numbering::Numbering,
    prophet::{Budget, Cache, Candidate, Prophet, Settings},
    scorer::Contribution,
    world::{Content, ContentId, Step, What},
};
use crate::{
    events::{self, Event, ManifestSeen, Millis, Repository},
    oci::{Digest, Tag},
};

/// Manifests that are waited for, at most.
const MOST_AWAITED: usize = 10_000;

/// How long a manifest is waited for when there are that many, in milliseconds.
const PATIENCE: Millis = 600_000;

/// What may wait for one manifest.
const MOST_WAITING: usize = 64;

/// What a manifest whose length is not known is taken to be, in bytes.
const MANIFEST_BYTES: u64 = 4096;

/// The number of this edge's region.
const HERE: u16 = 0;

/// Hears what happens, and says what is expected. All events of one edge, in their order, give the same expectations, apart from the
/// moment at which models that are fitted behind are ready.
#[derive(Debug)]
pub struct Foresight {
    numbering: Numbering,
    prophet: Prophet,
    forecast: Arc<Forecast>,
    places: Places,
    /// What is to be decided once it is known what a manifest names.
    awaited: HashMap<Digest, Vec<Awaited>>,
    found: Vec<Candidate>,
}

/// Where contents are, as far as events tell.
#[derive(Debug, Default)]
struct Places(Vec<Place>);

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    is_here: bool,
    was_here: bool,
}

/// What is thought of an image, or of one content.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// What was asked about.
    pub digest: Digest,
    /// The manifest of an index that is likely to be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Its configuration and layers, or the content itself.
    pub contents: Vec<ExplainedContent>,
}

/// What is thought of a content.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedContent {
    /// The content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is here, as far as events have told.
    pub is_here: bool,
    /// How many requests for it are expected within six hours: what is expected least leaves first.
    pub requests_in_six_hours: f64,
    /// What that goes by, the weightiest first.
    pub kept_because: Vec<Contribution>,
    /// What was thought when it was last expected before it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_expected: Option<Verdict>,
}

/// Something that happened to an image whose layers were not known.
#[derive(Debug, Clone)]
struct Awaited {
    step: Step,
    repository: Repository,
    customer: Option<Arc<str>>,
}

impl Cache for Places {
    fn was_here(&self, content: ContentId) -> bool {
        self.0.get(content as usize).is_some_and(|place| place.was_here)
    }

    fn is_here(&self, content: ContentId) -> bool {
        self.0.get(content as usize).is_some_and(|place| place.is_here)
    }
}

impl Places {
    fn set(&mut self, content: ContentId, is_here: bool) {
        let at = content as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, Place::default());
        }
        self.0[at] = Place { is_here, was_here: is_here || self.0[at].was_here };
    }
}

impl Foresight {
    /// For an edge in `region`. Nothing is known yet. What is learned of what will be asked for again is told to `forecast`.
    pub fn new(region: Arc<str>, budget: Budget, forecast: Arc<Forecast>) -> Self {
        Self {
            numbering: Numbering::at(region.clone()),
            prophet: Prophet::new(Settings { region: HERE, name: region, budget, without: None, pace: Pace::Behind }),
            forecast,
            places: Places::default(),
            awaited: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// Lets a model that was trained elsewhere say how likely things are, whatever is learned here.
    pub fn give(&mut self, model: Arc<dyn Model>) {
        self.prophet.give(model);
    }

    /// What may be fetched from now on.
    pub fn set_budget(&mut self, budget: Budget) {
        self.prophet.set_budget(budget);
    }

    /// Takes the next event. Returns what is expected because of it, what is most urgent first.
    pub fn hear(&mut self, event: &Event) -> Vec<Expected> {
        let at = event.at;
        match &event.what {
            events::What::BlobStored { digest, size } => self.stored(digest, *size),
            events::What::BlobEvicted { digest } => self.evicted(digest),
            events::What::Request(request) => {
                let here = request.is_here();
                return self.step(event, &request.repository, request.customer.as_ref(), request.digest.as_ref(), here);
            }
            events::What::TagMoved { repository, digest, .. } => {
                return self.step(event, repository, None, digest.as_ref(), false);
            }
            events::What::ManifestSeen(seen) => {
                self.numbering.take(event);
                return self.seen(seen, at);
            }
            _ => {}
        }
        Vec::new()
    }

    /// How many things it remembers: the measure of its memory.
    pub fn len(&self) -> usize {
        self.numbering.len()
    }

    /// Whether it remembers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a tag of a repository, or a digest, is thought to be asked for at `now`, and why: content by content, if it is an image.
    /// `None` when it was never heard of.
    pub fn explain(
        &self,
        repository: Option<&Repository>,
        tag: Option<&Tag>,
        digest: Option<&Digest>,
        now: Millis,
    ) -> Option<Explanation> {
        let numbering = &self.numbering;
        let named = repository.zip(tag).and_then(|(repository, tag)| numbering.named(repository, tag));
        let digest = digest.copied().or(named)?;
        let manifest = numbering.likely(&digest, None, repository);
        let contents = match numbering.image(&manifest) {
            Some(image) => numbering.world.layers(image).collect(),
            None => vec![numbering.known_content(&digest)?],
        };
        let contents = contents.into_iter().map(|content| self.explained(content, now)).collect();
        Some(Explanation { digest, manifest: (manifest != digest).then_some(manifest), contents })
    }

    fn explained(&self, content: ContentId, now: Millis) -> ExplainedContent {
        let Content { digest, size } = self.numbering.world.contents[content as usize];
        let (requests, kept_because) = self.forecast.explain(content, now);
        ExplainedContent {
            digest,
            size,
            is_here: self.places.is_here(content),
            requests_in_six_hours: requests,
            kept_because,
            last_expected: self.prophet.explain(content),
        }
    }

    /// Takes over what was learned before, if that is from more answers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(&mut self, store: &Store) -> Result<(), LearnError> {
        self.prophet.load(store)?;
        self.forecast.load(store)
    }

    /// Keeps what has been learned.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn save(&self, store: &Store) -> Result<(), LearnError> {
        self.prophet.save(store)?;
        self.forecast.save(store)
    }

    /// Takes over what another one has learned, which is of no use any more then, and its budget; not what it remembers.
    pub fn take_over(&mut self, other: &mut Self) {
        self.prophet.take_over(&mut other.prophet);
        self.forecast.forget();
    }

    fn stored(&mut self, digest: &Digest, size: u64) {
        let content = self.numbering.content(digest, size);
        self.places.set(content, true);
        self.forecast.kept(content, &self.numbering.world);
    }

    fn evicted(&mut self, digest: &Digest) {
        if let Some(content) = self.numbering.known_content(digest) {
            self.places.set(content, false);
            self.forecast.left(content);
        }
    }

    fn step(
        &mut self,
        event: &Event,
        repository: &Repository,
        customer: Option<&Arc<str>>,
        digest: Option<&Digest>,
        here: bool,
    ) -> Vec<Expected> {
        let Some(step) = self.numbering.take(event) else { return Vec::new() };
        if let What::Layer { content, .. } = step.what
            && here
        {
            self.places.set(content, true);
        }
        self.forecast.observe(&step, &self.numbering.world);
        self.observe(&step);
        let expected = self.expected(repository, customer);
        let (Some(digest), true) = (digest, has_no_image(&step)) else { return expected };
        // What it names is not known. Where it matters, it is fetched to be read.
        if !here && !self.prophet.follows(&step) {
            return expected;
        }
        let client = if let events::What::Request(request) = &event.what { Some(request.client) } else { None };
        let likely = self.numbering.likely(digest, client, Some(repository));
        self.wait(likely, Awaited { step, repository: repository.clone(), customer: customer.cloned() });
        // A client that has asked for an image has been given its manifest; after that of an index, it asks for another one.
        if here && likely == *digest {
            return expected;
        }
        vec![manifest(&likely, repository, customer, reason_for(&step), step.at)]
    }

    /// Decides on a step again once it is known what `digest` names.
    fn wait(&mut self, digest: Digest, awaited: Awaited) {
        let now = awaited.step.at;
        if self.awaited.len() >= MOST_AWAITED {
            self.awaited.retain(|_, waiting| waiting.iter().any(|one| now.saturating_sub(one.step.at) < PATIENCE));
        }
        if self.awaited.len() < MOST_AWAITED {
            let waiting = self.awaited.entry(digest).or_default();
            if waiting.len() < MOST_WAITING {
                waiting.push(awaited);
            }
        }
    }

    /// It is known now what a manifest names.
    fn seen(&mut self, seen: &ManifestSeen, now: Millis) -> Vec<Expected> {
        let Some(waiting) = self.awaited.remove(&seen.manifest.digest) else { return Vec::new() };
        let mut expected = Vec::new();
        for Awaited { mut step, repository, customer } in waiting {
            let likely = self.numbering.likely(&seen.manifest.digest, None, Some(&repository));
            let image = self.numbering.image(&likely);
            match &mut step.what {
                What::Image { image: unknown, .. } | What::Moved { image: unknown, .. } => *unknown = image,
                What::Layer { .. } => continue,
            }
            if image.is_some() {
                self.understand(&step, now);
                expected.extend(self.expected(&repository, customer.as_ref()));
            } else if likely != seen.manifest.digest {
                // An index: the manifest for the likely platform comes next.
                expected.push(manifest(&likely, &repository, customer.as_ref(), reason_for(&step), now));
                self.wait(likely, Awaited { step, repository, customer });
            }
        }
        expected
    }

    /// Appends to `found` what is expected because of a step that happens.
    fn observe(&mut self, step: &Step) {
        let Self { numbering, prophet, places, found, .. } = self;
        match step.what {
            What::Moved { .. } => prophet.discover(step, step.at, &numbering.world, places, found),
            _ => prophet.observe(step, &numbering.world, places, found),
        }
    }

    /// Appends to `found` what is expected because of a step that has happened, now that its image is known.
    fn understand(&mut self, step: &Step, now: Millis) {
        let Self { numbering, prophet, places, found, .. } = self;
        prophet.understand(step, now, &numbering.world, places, found);
    }

    /// Takes out what was found, with its names.
    fn expected(&mut self, repository: &Repository, customer: Option<&Arc<str>>) -> Vec<Expected> {
        let Self { numbering, found, .. } = self;
        let expected = found.drain(..).filter_map(|candidate| {
            let content = numbering.world.contents[candidate.content as usize];
            Some(Expected {
                digest: content.digest,
                size: content.size,
                kind: Kind::Blob,
                repository: if candidate.reason == Reason::CoPull {
                    numbering.repository_of(candidate.name)?
                } else {
                    repository.clone()
                },
                customer: customer.cloned(),
                reason: candidate.reason,
                probability: candidate.probability,
                due: candidate.due,
            })
        });
        expected.collect()
    }
}

fn manifest(digest: &Digest, repository: &Repository, customer: Option<&Arc<str>>, reason: Reason, now: Millis) -> Expected {
    Expected {
        digest: *digest,
        size: MANIFEST_BYTES,
        kind: Kind::Manifest,
        repository: repository.clone(),
        customer: customer.cloned(),
        reason,
        probability: 0.5,
        due: now,
    }
}

fn has_no_image(step: &Step) -> bool {
    matches!(step.what, What::Image { image: None, .. } | What::Moved { image: None, .. })
}

/// Why what a step names is expected here.
const fn reason_for(step: &Step) -> Reason {
    match step.what {
        What::Moved { .. } => Reason::Moved,
        What::Image { region: HERE, .. } | What::Layer { .. } => Reason::Pull,
        What::Image { .. } => Reason::Elsewhere,
    }
}
