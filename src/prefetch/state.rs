//! All that prefetching knows, and what follows from what happens. Without a clock, and without waiting for anything.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    budget::{ByteBudget, Spending},
    ledger::{Cost, Ledger, Pointless, Resolved, Verdict},
    metrics::{PrefetchMetrics, gauge},
    moves::Moves,
    plan::{Places, Standing, View, Why, plan},
    platforms::{self, Platforms},
    queue::{Added, Entry, Queue},
    rest::Rest,
    settings::Settings,
    warm::{WarmError, WarmErrorKind, Warmed},
};
use crate::{
    events::{Event, Kind as Asked, Layer, ManifestSeen, Millis, Request, What},
    oci::Digest,
    predict::{Expected, Kind},
    upstream::PullBudget,
};

/// Contents that wait at most.
const WAITING: usize = 4096;

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) ledger: Ledger,
    queue: Queue,
    under_way: HashMap<Digest, UnderWay>,
    bytes: ByteBudget,
    spending: Spending,
    moves: Moves,
    platforms: Platforms,
    /// Upstreams that have failed.
    rests: HashMap<Arc<str>, Rest>,
    /// The disks.
    storage: Rest,
    /// Why what waits was not begun when that was last decided.
    left: HashMap<Digest, Why>,
    metrics: PrefetchMetrics,
}

/// Something that is being fetched.
#[derive(Debug)]
struct UnderWay {
    entry: Entry,
    lane: Lane,
}

/// Among which transfers one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Those for what clients are about to ask for.
    Pulls,
    /// Those for what is expected.
    Rest,
    /// Those that somebody has ordered, and bounds.
    Orders,
}

impl State {
    pub(super) fn new(settings: Settings, metrics: PrefetchMetrics, now: Millis) -> Self {
        let bytes = ByteBudget::new(settings.prefetch.share, settings.prefetch.floor.as_u64());
        Self {
            ledger: Ledger::new(settings.region.clone(), metrics.clone(), now),
            settings,
            queue: Queue::new(WAITING),
            under_way: HashMap::new(),
            bytes,
            spending: Spending::default(),
            moves: Moves::default(),
            platforms: Platforms::default(),
            rests: HashMap::new(),
            storage: Rest::default(),
            left: HashMap::new(),
            metrics,
        }
    }

    /// Other settings from now on.
    pub(super) fn reconfigure(&mut self, settings: Settings) {
        self.bytes.set(settings.prefetch.share, settings.prefetch.floor.as_u64());
        self.settings = self.settings.followed_by(settings);
    }

    /// Something has happened. What has become known by that.
    pub(super) fn hear(&mut self, event: &Event) -> Option<Resolved> {
        let at = event.at;
        let resolved = match &event.what {
            // What another edge tells of was not asked for here.
            What::Request(request) if request.is_here() => self.asked(request, at),
            What::BlobEvicted { digest } => self.ledger.evicted(digest, at),
            What::ManifestSeen(seen) => {
                self.platforms.seen(seen);
                None
            }
            What::TagMoved { repository, tag, digest } => {
                if let Some(old) = self.moves.moved(repository, tag, *digest) {
                    let pointless = self.queue.remove_root(&old);
                    self.drop_all(pointless, Pointless::Moved, at);
                    self.ledger.superseded(old);
                }
                None
            }
            _ => None,
        };
        self.charge(at);
        resolved
    }

    fn asked(&mut self, request: &Request, at: Millis) -> Option<Resolved> {
        if request.succeeded() && matches!(request.kind, Asked::Blob | Asked::Manifest) {
            self.bytes.sent(request.bytes, at);
            let waiting = request.digest.and_then(|digest| self.queue.remove(&digest));
            self.drop_all(waiting, Pointless::Asked, at);
        }
        self.platforms.asked(request);
        self.ledger.asked(request, at)
    }

    /// What has become of no use by `now`.
    pub(super) fn sweep(&mut self, now: Millis) -> Vec<Resolved> {
        let wasted = self.ledger.sweep(now);
        self.charge(now);
        self.metrics.bytes_left.set(gauge(self.bytes.left(now)));
        wasted
    }

    /// What was fetched for a pull and not asked for is charged after all.
    fn charge(&mut self, at: Millis) {
        let uncharged = self.ledger.take_uncharged();
        if uncharged > 0 {
            self.bytes.spend(uncharged, at);
        }
    }

    /// Lets something wait that is expected. `root` is the manifest that led to it. True when it is on its way already, and in more
    /// of a hurry by now.
    pub(super) fn add(&mut self, expected: Expected, root: Option<Digest>, now: Millis) -> bool {
        if let Some(known) = self.under_way.get(&expected.digest) {
            return expected.reason.is_urgent() && known.lane != Lane::Pulls;
        }
        match self.queue.add(Entry { expected, since: now, root }) {
            Added::Instead(displaced) => self.drop_all([*displaced], Pointless::Displaced, now),
            Added::Full => self.metrics.left("full"),
            Added::New | Added::Upgraded | Added::Known => {}
        }
        self.measure();
        false
    }

    /// What to begin now, as begun. `demand` is the number of transfers that clients wait for, `told` what an upstream has said of
    /// its pulls.
    pub(super) fn next(&mut self, now: Millis, demand: usize, told: impl Fn(&str) -> Option<PullBudget>) -> Vec<Expected> {
        let expired = self.queue.remove_expired(now);
        self.drop_all(expired, Pointless::Expired, now);
        if self.queue.is_empty() || self.storage.is_resting(now) {
            return Vec::new();
        }
        let view = self.view(now, demand, told);
        if view.connections == 0 && view.pull_connections == 0 {
            return Vec::new();
        }
        let candidates = self.queue.candidates();
        let planned = plan(&candidates, &view);
        self.left = planned.left.iter().map(|(expected, why)| (expected.digest, *why)).collect();
        let begun: Vec<_> = planned.fetch.into_iter().cloned().collect();
        for expected in &begun {
            if let Some(entry) = self.queue.remove(&expected.digest) {
                let lane = if expected.reason.is_urgent() { Lane::Pulls } else { Lane::Rest };
                self.begin(entry, lane, now);
            }
        }
        begun
    }

    fn view(&self, now: Millis, demand: usize, told: impl Fn(&str) -> Option<PullBudget>) -> View {
        let in_lane = |lane| self.under_way.values().filter(|one| one.lane == lane).count();
        let on_its_way: u64 = self.under_way.values().map(|one| one.entry.expected.size).fold(0, u64::saturating_add);
        // While clients wait for transfers, one at a time goes on beside them.
        let parallel = if demand > 0 { 1 } else { self.settings.prefetch.parallel };
        let share = self.settings.prefetch.pulls_share;
        let mut pulls = HashMap::new();
        let mut customers = HashMap::new();
        for expected in self.queue.iter() {
            let route = &expected.repository.route;
            if expected.kind == Kind::Manifest && !pulls.contains_key(route) {
                pulls.insert(route.clone(), self.spending.pulls_left(route, told(route), share, now));
            }
            if !customers.contains_key(&expected.customer) {
                let (weight, spent) =
                    (self.settings.weight(expected.customer.as_ref()), self.spending.of(expected.customer.as_ref(), now));
                customers.insert(expected.customer.clone(), Standing { weight, spent });
            }
        }
        View {
            bytes: self.bytes.left(now),
            is_overdrawn: self.bytes.is_overdrawn(now),
            disk: self.settings.room().saturating_sub(self.ledger.unasked_bytes()).saturating_sub(on_its_way),
            pull_connections: self.settings.prefetch.pull_parallel.saturating_sub(in_lane(Lane::Pulls)),
            connections: parallel.saturating_sub(in_lane(Lane::Rest)),
            places: self.places(),
            pulls,
            resting: self.rests.iter().filter(|(_, rest)| rest.is_resting(now)).map(|(route, _)| route.clone()).collect(),
            present: self.under_way.keys().copied().collect(),
            customers,
        }
    }

    /// Places that are left at each upstream.
    fn places(&self) -> HashMap<Arc<str>, Places> {
        let mut places: HashMap<_, _> = self.settings.places().map(|(route, places)| (route.clone(), places)).collect();
        for UnderWay { entry, lane } in self.under_way.values() {
            if let Some(Places { pulls, rest }) = places.get_mut(&entry.expected.repository.route) {
                let taken = if *lane == Lane::Pulls { pulls } else { rest };
                *taken = taken.saturating_sub(1);
            }
        }
        places
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// The manifest that led to something that is under way.
    pub(super) fn root_of(&self, digest: &Digest) -> Option<Digest> {
        self.under_way.get(digest)?.entry.root
    }

    /// Somebody's order has cost counted pulls.
    pub(super) fn pulled(&mut self, route: &Arc<str>, pulls: u64, now: Millis) {
        (0..pulls).for_each(|_| self.spending.pulled(route, now));
    }

    /// Whether so many bytes that somebody has asked to be fetched may be.
    pub(super) fn may_spend(&self, bytes: u64, now: Millis) -> bool {
        bytes <= self.bytes.left(now)
    }

    /// Something is being fetched. False when it is already: whoever began it tells when it has ended.
    pub(super) fn begin(&mut self, entry: Entry, lane: Lane, now: Millis) -> bool {
        let expected = &entry.expected;
        if self.under_way.contains_key(&expected.digest) {
            return false;
        }
        if !expected.reason.is_urgent() {
            self.bytes.spend(expected.size, now);
            self.spending.had(expected.customer.as_ref(), expected.size, now);
        }
        self.queue.remove(&expected.digest);
        self.ledger.begun(expected, entry.root, now);
        self.under_way.insert(expected.digest, UnderWay { entry, lane });
        self.measure();
        true
    }

    /// Fetching something that was begun has ended. What has become of it already.
    pub(super) fn ended(&mut self, digest: &Digest, outcome: &Result<Warmed, WarmError>, now: Millis) -> Option<Resolved> {
        let UnderWay { entry: Entry { expected, .. }, .. } = self.under_way.remove(digest)?;
        self.measure();
        let cost = match outcome {
            Ok(Warmed::Fetched { bytes, pulls }) => Cost { bytes: *bytes, pulls: *pulls },
            _ => Cost::default(),
        };
        self.pulled(&expected.repository.route, cost.pulls, now);
        if !expected.reason.is_urgent() {
            self.bytes.give_back(expected.size, now);
            self.bytes.spend(cost.bytes, now);
        }
        match outcome {
            Ok(warmed) => {
                self.rests.remove(&expected.repository.route);
                match warmed {
                    Warmed::Fetched { .. } => return self.ledger.landed(digest, cost, now),
                    Warmed::Here => self.ledger.given_up(digest, Verdict::Here, cost, now),
                    Warmed::Joined => self.ledger.given_up(digest, Verdict::Joined, cost, now),
                }
            }
            Err(error) => {
                self.ledger.given_up(digest, Verdict::Failed, cost, now);
                self.rest(&expected.repository.route, error, now);
            }
        }
        None
    }

    fn rest(&mut self, route: &Arc<str>, error: &WarmError, now: Millis) {
        let rest = match error.kind {
            WarmErrorKind::Refused => return,
            WarmErrorKind::Upstream => self.rests.entry(route.clone()).or_default(),
            WarmErrorKind::Storage => &mut self.storage,
        };
        if rest.failed(error.retry_after, now) {
            tracing::info!(%route, %error, "nothing is fetched before it is asked for, for a while");
        }
    }

    /// What a manifest leads to: of an index, the manifests that are likely to be pulled; of an image, the rest of it.
    pub(super) fn led_to(&self, expected: &Expected, seen: &ManifestSeen) -> Vec<Expected> {
        let platforms = self.platforms.likely(&expected.repository);
        led_to(expected, seen, &platforms)
    }

    /// The platforms that are pulled of a repository.
    pub(super) fn platforms(&self, seen: &ManifestSeen) -> Vec<String> {
        self.platforms.likely(&seen.repository)
    }

    fn drop_all(&mut self, entries: impl IntoIterator<Item = Entry>, why: Pointless, now: Millis) {
        for entry in entries {
            let verdict = match self.left.remove(&entry.expected.digest) {
                Some(left) if why == Pointless::Expired => Verdict::Left(left),
                _ => Verdict::Pointless(why),
            };
            self.metrics.left(match verdict {
                Verdict::Left(left) => left.as_str(),
                _ => why.as_str(),
            });
            self.ledger.left(&entry.expected, verdict, now);
        }
        self.measure();
    }

    fn measure(&self) {
        self.metrics.waiting.set(gauge(self.queue.len() as u64));
        self.metrics.under_way.set(gauge(self.under_way.len() as u64));
    }
}

/// What a manifest leads to for `platforms`, each as likely and as urgent as itself.
pub(super) fn led_to(expected: &Expected, seen: &ManifestSeen, platforms: &[String]) -> Vec<Expected> {
    let of = |layer: &Layer, kind| Expected { digest: layer.digest, size: layer.size, kind, ..expected.clone() };
    let mut named = HashSet::new();
    let all = match &seen.manifests {
        Some(children) => {
            let chosen = platforms::chosen(children, platforms);
            chosen.into_iter().map(|child| of(&child.manifest, Kind::Manifest)).collect()
        }
        None => seen.config.iter().chain(&seen.layers).map(|layer| of(layer, Kind::Blob)).collect::<Vec<_>>(),
    };
    all.into_iter().filter(|expected| named.insert(expected.digest)).collect()
}

#[cfg(test)]
mod tests;
