//! What will be asked for again: what stays in a cache.
//!
//! Belady keeps what is asked for soonest. Here that is learned: from samples of what is held and of what is asked for, each with what
//! was known of it then, and whether it was asked for again soon.

mod features;

use hashbrown::HashMap;

use super::{
    learn::Labels,
    running::Deployed,
    scorer::{Contribution, Scorer},
    share::Decayed,
    world::{ContentId, Step, What, World},
};
use crate::{events::Millis, oci::Digest};
use features::Row;

/// The name under which what was learned is kept.
const NAME: &str = "asked for again";

/// A content is worth keeping that is asked for again within this time.
const HORIZON: Millis = 6 * 3_600_000;

/// Samples that wait for their answer, at most.
const MOST_OPEN: usize = 200_000;

/// One in so many requests is remembered, to see whether the same is asked for again.
const SAMPLED: u32 = 8;

/// The half-lives of the counts that are kept of each content.
const HALF_LIVES: [Millis; 4] = [3_600_000, 6 * 3_600_000, 48 * 3_600_000, 14 * 86_400_000];

/// Learns how soon contents are asked for again in one region.
#[derive(Debug)]
pub(super) struct Retention {
    region: u16,
    now: Millis,
    deployed: Deployed,
    contents: Vec<Known>,
    /// Contents by the beginning of their digest. Two that begin alike are taken for one: a forecast may be wrong.
    numbers: HashMap<u64, ContentId>,
    /// What is held, for samples.
    held: Vec<ContentId>,
    pub(super) model: Scorer,
    open: Labels<ContentId, Box<Row>>,
    random: fastrand::Rng,
}

/// What is known of a content.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    counts: [Decayed; HALF_LIVES.len()],
    /// When it was last asked for or taken in, and when it was first.
    last: Millis,
    first: Millis,
    requests: u32,
    /// Its place in the list of what is held, after 1; 0 when it is not.
    place: u32,
    size: u64,
    /// Whether an image that was run needed it and none does any more.
    superseded: bool,
}

impl Retention {
    /// Nothing is known yet.
    pub(super) fn new(region: u16) -> Self {
        Self {
            region,
            now: 0,
            deployed: Deployed::new(region),
            contents: Vec::new(),
            numbers: HashMap::new(),
            held: Vec::new(),
            model: Scorer::new(NAME, features::SCHEMA),
            open: Labels::new(MOST_OPEN),
            // Samples are the same in every run.
            random: fastrand::Rng::with_seed(1),
        }
    }

    /// Something happens.
    pub(super) fn observe(&mut self, step: &Step, world: &World) {
        self.now = self.now.max(step.at);
        for content in self.deployed.observe(step, world) {
            self.known(content, world).superseded = true;
        }
        self.learn();
        let What::Layer { region, content, .. } = step.what else { return };
        if region == self.region {
            self.asked_for(content, world);
        }
    }

    /// A content is held from now on.
    pub(super) fn kept(&mut self, content: ContentId, world: &World) {
        let (now, place) = (self.now, self.held.len() as u32 + 1);
        let known = self.known(content, world);
        if known.place != 0 {
            return;
        }
        (known.place, known.last) = (place, now);
        if known.first == 0 {
            known.first = now;
        }
        self.held.push(content);
    }

    /// A content is not held any more.
    pub(super) fn left(&mut self, content: ContentId) {
        let Some(known) = self.contents.get_mut(content as usize) else { return };
        let Some(place) = (std::mem::take(&mut known.place) as usize).checked_sub(1) else { return };
        self.held.swap_remove(place);
        if let Some(moved) = self.held.get(place) {
            self.contents[*moved as usize].place = place as u32 + 1;
        }
    }

    /// Binary logarithm of how many requests for a content are expected within [six hours](HORIZON); `None` when nothing is known of it.
    pub(super) fn log_rate(&self, digest: &Digest) -> Option<f32> {
        let content = *self.numbers.get(&key(digest))?;
        Some(rate(self.model.log_odds(&self.row(content))).log2() as f32)
    }

    /// How many requests for a content are expected, and what that goes by.
    pub(super) fn explain(&self, content: ContentId, now: Millis) -> (f64, Vec<Contribution>) {
        let known = self.contents.get(content as usize).copied().unwrap_or_default();
        let row = features::row(&known, self.deployed.uses(content), now);
        (rate(self.model.log_odds(&row)), self.model.explain(&row))
    }

    /// Forgets all contents. What was learned stays.
    pub(super) fn forget(&mut self) {
        let model = std::mem::replace(&mut self.model, Scorer::new(NAME, features::SCHEMA));
        *self = Self { model, ..Self::new(self.region) };
    }

    fn asked_for(&mut self, content: ContentId, world: &World) {
        let now = self.now;
        let known = self.known(content, world);
        for (count, half_life) in known.counts.iter_mut().zip(HALF_LIVES) {
            count.add(now, half_life, 1.0);
        }
        known.last = now;
        if known.first == 0 {
            known.first = now;
        }
        known.requests += 1;
        for resolved in self.open.happen(&content, now) {
            self.model.learn(&*resolved.item, resolved.came_true);
        }
        if self.random.u32(..SAMPLED) == 0 {
            self.sample(content);
        }
        if !self.held.is_empty() && self.random.bool() {
            let held = self.held[self.random.usize(..self.held.len())];
            self.sample(held);
        }
    }

    fn sample(&mut self, content: ContentId) {
        let row = Box::new(self.row(content));
        // With too many open, one less is no loss.
        drop(self.open.ask(content, self.now + HORIZON, row));
    }

    fn learn(&mut self) {
        while let Some(resolved) = self.open.expire(self.now) {
            self.model.learn(&*resolved.item, false);
        }
    }

    fn row(&self, content: ContentId) -> Row {
        let known = self.contents.get(content as usize).copied().unwrap_or_default();
        features::row(&known, self.deployed.uses(content), self.now)
    }

    fn known(&mut self, content: ContentId, world: &World) -> &mut Known {
        let place = content as usize;
        for number in self.contents.len()..=place {
            self.numbers.insert(key(&world.contents[number].digest), number as ContentId);
            self.contents.push(Known::default());
        }
        let known = &mut self.contents[place];
        known.size = world.contents[place].size;
        known
    }
}

/// Requests of which at least one comes with the probability that has these log-odds: `-ln(1 - p)`.
fn rate(log_odds: f64) -> f64 {
    log_odds.min(500.0).exp().ln_1p()
}

fn key(digest: &Digest) -> u64 {
    digest.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oci::Algorithm,
        predict::world::{Content, Name},
    };

    const HOUR: Millis = 3_600_000;

    fn digest(number: u32) -> Digest {
        Digest::of(Algorithm::Sha256, &number.to_be_bytes())
    }

    fn world(contents: u32, images: &[&[ContentId]]) -> World {
        let content = |number| Content { digest: digest(number), size: 1_000_000 };
        World { contents: (0..contents).map(content).collect(), images: images.iter().map(|layers| (*layers).into()).collect() }
    }

    #[test]
    fn it_learns_what_is_asked_for_again() {
        // Number 0 is asked for every ten minutes, all others once.
        let world = world(4_000, &[]);
        let mut retention = Retention::new(0);
        for number in 1..4_000 {
            let at = u64::from(number) * HOUR / 6;
            for content in [number, 0] {
                retention.observe(&Step { at, what: What::Layer { region: 0, client: number, content } }, &world);
                retention.kept(content, &world);
            }
        }
        let (often, once) = (retention.log_rate(&digest(0)).unwrap(), retention.log_rate(&digest(3_990)).unwrap());
        assert!(often > once + 3.0, "{often} {once}");
        assert_eq!(retention.log_rate(&digest(9_999)), None, "nothing is known of it");
        let (rate, because) = retention.explain(0, retention.now);
        assert!(rate > 1.0 && because[0].contribution.abs() >= because[1].contribution.abs());
    }

    #[test]
    fn only_what_a_superseded_image_needed_is_marked() {
        let world = world(3, &[&[0, 1], &[0, 2]]);
        let mut retention = Retention::new(0);
        let name = |repository| Name { repository, tag: 0, private: true };
        let pull = |at, repository, image| Step {
            at,
            what: What::Image { region: 0, customer: 1, client: 1, name: name(repository), image: Some(image) },
        };
        for step in [pull(1, 1, 0), pull(2, 2, 1), pull(3, 1, 1)] {
            retention.observe(&step, &world);
        }
        let superseded: Vec<_> =
            (0..3).map(|content| retention.contents.get(content).is_some_and(|known| known.superseded)).collect();
        assert_eq!(superseded, [false, true, false]);
    }

    #[test]
    fn what_has_left_is_not_sampled_and_what_was_learned_outlives_the_contents() {
        let world = world(3, &[]);
        let mut retention = Retention::new(0);
        for content in 0..3 {
            retention.kept(content, &world);
        }
        retention.left(0);
        retention.left(0);
        assert_eq!(retention.held, [2, 1]);
        assert_eq!(retention.contents[2].place, 1);
        retention.forget();
        assert!(retention.held.is_empty() && retention.contents.is_empty());
    }
}
