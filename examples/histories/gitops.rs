//! Home clusters whose images are pinned in public repositories: whether a customer adopts within a week what another one pins first.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    rc::Rc,
};

use harbinger::predict::learn::Stream;

use crate::{
    features::{DAY, Ewma, HOUR, Row, bucket, weekday},
    groups::{Group, Groups},
};

/// A customer pins an image.
#[derive(Debug, Clone)]
pub(crate) struct Pin {
    pub(crate) at: u64,
    pub(crate) customer: u8,
    pub(crate) image: u32,
    /// The registry and the owner of the image.
    pub(crate) owner: u32,
    pub(crate) version: Version,
}

/// A tag, and a digest if the pin has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub(crate) tag: Rc<str>,
    pub(crate) digest: Rc<str>,
}

/// What is known of a customer's use of an image.
#[derive(Debug, Clone)]
struct Use {
    version: Version,
    at: u64,
    pins: u32,
    rate: Ewma,
    /// Answers since the last yes.
    missed: u32,
    /// Logarithm of the seconds until it follows.
    lag: f32,
}

/// What is known of an image.
#[derive(Debug, Default)]
struct Image {
    uses: BTreeMap<u8, Use>,
    /// When new versions were seen.
    versions: VecDeque<u64>,
    seen: HashSet<Version>,
    /// How many took the version before, of how many.
    followers: (u32, u32),
}

#[derive(Debug, Default)]
struct Customer {
    pins: VecDeque<u64>,
    hours: [f32; 24],
    weekdays: [f32; 7],
}

/// The groups whose rates a question is compared with.
#[derive(Debug, Clone, Copy)]
struct Context {
    customer: u8,
    publisher: u8,
    image: u32,
    owner: u32,
    level: u8,
    relation: u8,
    recency: u8,
    missed: u8,
    cadence: u8,
    hour: u8,
    weekday: u8,
}

const HALF_YEAR: u64 = 180 * DAY;
const THREE_WEEKS: u64 = 21 * DAY;

/// How often versions are adopted.
const ADOPTED: &[Group<Context>] = &[
    Group { name: "all", half_life: HALF_YEAR, strength: 20.0, within: 0, key: |_| [0, 0, 0] },
    Group { name: "relation", half_life: HALF_YEAR, strength: 10.0, within: 0, key: |c| [c.relation.into(), 0, 0] },
    Group {
        name: "customer, relation",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 1,
        key: |c| [c.customer.into(), c.relation.into(), 0],
    },
    Group { name: "customer", half_life: HALF_YEAR, strength: 10.0, within: 0, key: |c| [c.customer.into(), 0, 0] },
    Group { name: "image", half_life: HALF_YEAR, strength: 3.0, within: 0, key: |c| [c.image, 0, 0] },
    Group { name: "image, this month", half_life: THREE_WEEKS, strength: 2.0, within: 0, key: |c| [c.image, 0, 0] },
    Group { name: "pair", half_life: HALF_YEAR, strength: 10.0, within: 0, key: |c| [c.publisher.into(), c.customer.into(), 0] },
    Group {
        name: "pair, relation",
        half_life: HALF_YEAR,
        strength: 5.0,
        within: 2,
        key: |c| [c.publisher.into(), c.customer.into(), c.relation.into()],
    },
    Group { name: "customer, image", half_life: HALF_YEAR, strength: 2.0, within: 3, key: |c| [c.customer.into(), c.image, 0] },
    Group { name: "customer, owner", half_life: HALF_YEAR, strength: 3.0, within: 2, key: |c| [c.customer.into(), c.owner, 0] },
    Group {
        name: "customer, image, relation",
        half_life: HALF_YEAR,
        strength: 2.0,
        within: 2,
        key: |c| [c.customer.into(), c.image, c.relation.into()],
    },
    Group {
        name: "pair, image",
        half_life: HALF_YEAR,
        strength: 2.0,
        within: 8,
        key: |c| [c.publisher.into(), c.customer.into(), c.image],
    },
    Group {
        name: "relation, recency",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 1,
        key: |c| [c.relation.into(), c.recency.into(), 0],
    },
    Group {
        name: "relation, missed",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 1,
        key: |c| [c.relation.into(), c.missed.into(), 0],
    },
    Group {
        name: "relation, recency, missed",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 12,
        key: |c| [c.relation.into(), c.recency.into(), c.missed.into()],
    },
    Group {
        name: "relation, level",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 1,
        key: |c| [c.relation.into(), c.level.into(), 0],
    },
    Group {
        name: "customer, relation, this month",
        half_life: THREE_WEEKS,
        strength: 5.0,
        within: 2,
        key: |c| [c.customer.into(), c.relation.into(), 0],
    },
    Group {
        name: "customer, level, relation",
        half_life: HALF_YEAR,
        strength: 5.0,
        within: 2,
        key: |c| [c.customer.into(), c.level.into(), c.relation.into()],
    },
    Group { name: "image, level", half_life: HALF_YEAR, strength: 3.0, within: 1, key: |c| [c.image, c.level.into(), 0] },
    Group { name: "image, relation", half_life: HALF_YEAR, strength: 3.0, within: 1, key: |c| [c.image, c.relation.into(), 0] },
    Group {
        name: "relation, cadence",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 1,
        key: |c| [c.relation.into(), c.cadence.into(), 0],
    },
    Group {
        name: "customer, weekday, relation",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 2,
        key: |c| [c.customer.into(), c.weekday.into(), c.relation.into()],
    },
    Group {
        name: "customer, hour, relation",
        half_life: HALF_YEAR,
        strength: 10.0,
        within: 2,
        key: |c| [c.customer.into(), u32::from(c.hour / 3), c.relation.into()],
    },
];

/// The history so far.
pub(crate) struct Adoptions {
    images: HashMap<u32, Image>,
    customers: BTreeMap<u8, Customer>,
    adopted: Groups<Context>,
    open: HashMap<(u8, u32, Version), Context>,
}

impl Adoptions {
    pub(crate) fn new() -> Self {
        Self { images: HashMap::new(), customers: BTreeMap::new(), adopted: Groups::new(ADOPTED, 0.22), open: HashMap::new() }
    }

    /// What the features are called.
    pub(crate) fn names(pin: &Pin) -> Vec<String> {
        let customer = Use { version: pin.version.clone(), at: pin.at, pins: 1, rate: Ewma::new(0.2), missed: 0, lag: 11.0 };
        Self::new().row(pin, 0, &Image::default(), &customer).names
    }

    fn context(pin: &Pin, customer: u8, image: &Image, own: &Use) -> Context {
        let publisher = image.uses.get(&pin.customer);
        // What the customer runs, seen from what the publisher leaves and what it takes up.
        let has_digest = |version: &Version| !version.digest.is_empty();
        let alike = has_digest(&own.version) == has_digest(&pin.version);
        let relation = match publisher {
            _ if !alike && own.version.tag == pin.version.tag => 0,
            _ if !alike => 1,
            Some(publisher) if publisher.version == own.version => 2,
            Some(publisher) if publisher.version.tag == own.version.tag => 3,
            _ if own.version.tag == pin.version.tag => 4,
            _ if level(&own.version.tag, &pin.version.tag) == 6 => 5,
            Some(_) => 6,
            None => 7,
        };
        Context {
            customer,
            publisher: pin.customer,
            image: pin.image,
            owner: pin.owner,
            level: level(&own.version.tag, &pin.version.tag),
            relation,
            recency: bucket(pin.at - own.at, &[DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 120 * DAY, 240 * DAY]),
            missed: bucket(own.missed.into(), &[1, 2, 3, 5, 10]),
            cadence: bucket(
                image.versions.back().map_or(u64::MAX, |at| pin.at - at),
                &[HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY],
            ),
            hour: (pin.at % DAY / HOUR) as u8,
            weekday: weekday(pin.at) as u8,
        }
    }

    fn row(&self, pin: &Pin, customer: u8, image: &Image, own: &Use) -> Row {
        let c = Self::context(pin, customer, image, own);
        let now = pin.at;
        let mut row = Row::default();
        row.rate("own, fast", own.rate.fast);
        row.rate("own, slow", own.rate.slow);
        row.put("own, last outcome", own.rate.last);
        row.log("own, answers", own.rate.count.into(), 1.0);

        self.adopted.put(&mut row, &c, now);
        row.one_hot("relation", c.relation.into(), 8);
        row.one_hot("level", c.level.into(), 7);
        row.one_hot("recency", c.recency.into(), 9);
        row.one_hot("missed", c.missed.into(), 6);
        row.log("since own pin", (now - own.at) as f64, HOUR as f64);
        row.log("own pins", own.pins.into(), 1.0);
        row.log("missed", own.missed.into(), 1.0);
        row.put("lag", own.lag / 11.0 - 1.0);
        for (name, days) in [("day", 1), ("week", 7), ("month", 30)] {
            let versions = image.versions.iter().filter(|at| **at + days * DAY >= now).count();
            row.log(&format!("versions this {name}"), versions as f64, 1.0);
        }
        row.log("since the version before", image.versions.back().map_or(365 * DAY, |at| now - at) as f64, HOUR as f64);
        row.put("followers of the one before", (image.followers.0 as f32 + 0.3) / (image.followers.1 as f32 + 1.0));
        row.log("users", image.uses.len() as f64, 1.0);
        let alike = image.uses.values().filter(|other| other.version == own.version).count();
        row.log("users of the same", alike as f64, 1.0);
        row.flag("publisher is new", !image.uses.contains_key(&pin.customer));
        row.log(
            "since publisher's pin",
            image.uses.get(&pin.customer).map_or(365 * DAY, |other| now - other.at) as f64,
            HOUR as f64,
        );
        row.flag("digest", !pin.version.digest.is_empty());
        row.flag("own digest", !own.version.digest.is_empty());
        let pins = self.customers.get(&customer);
        let count = |span: u64| pins.map_or(0, |customer| customer.pins.iter().filter(|at| **at + span >= now).count());
        row.log("customer's pins today", count(DAY) as f64, 1.0);
        row.log("customer's pins this week", count(7 * DAY) as f64, 1.0);
        row.log("customer's pins in a fortnight", count(14 * DAY) as f64, 1.0);
        row.log(
            "since customer's pin",
            pins.and_then(|customer| customer.pins.back()).map_or(60 * DAY, |at| now - at) as f64,
            HOUR as f64,
        );
        let share = |counts: &[f32], i: usize| {
            (counts[i] + 1.0) * counts.len() as f32 / (counts.iter().sum::<f32>() + counts.len() as f32)
        };
        row.put("customer's hour", pins.map_or(1.0, |customer| share(&customer.hours, c.hour.into())).ln());
        row.put("customer's weekday", pins.map_or(1.0, |customer| share(&customer.weekdays, c.weekday.into())).ln());
        (0..5).for_each(|who| row.flag(&format!("customer {who}"), who == c.customer));
        (0..5).for_each(|who| row.flag(&format!("publisher {who}"), who == c.publisher));
        row.clock(now);
        row
    }
}

impl Stream for Adoptions {
    type Event = Pin;
    type Key = (u8, u32, Version);

    fn horizon(&self) -> u64 {
        7 * DAY
    }

    fn time(event: &Pin) -> u64 {
        event.at
    }

    fn questions(&self, event: &Pin, ask: &mut dyn FnMut(Self::Key, Box<[f32]>)) {
        let Some(image) = self.images.get(&event.image) else { return };
        if image.seen.contains(&event.version) {
            return;
        }
        for (&customer, own) in image.uses.iter().filter(|(customer, _)| **customer != event.customer) {
            ask((customer, event.image, event.version.clone()), self.row(event, customer, image, own).values.into());
        }
    }

    fn answers(&self, event: &Pin) -> Option<Self::Key> {
        Some((event.customer, event.image, event.version.clone()))
    }

    fn take_in(&mut self, event: &Pin) {
        let now = event.at;
        let image = self.images.entry(event.image).or_default();
        if image.seen.insert(event.version.clone()) {
            for (&customer, own) in image.uses.iter().filter(|(customer, _)| **customer != event.customer) {
                let context = Self::context(event, customer, image, own);
                self.open.insert((customer, event.image, event.version.clone()), context);
            }
            image.followers = (0, image.uses.len() as u32);
            image.versions.push_back(now);
            if image.versions.len() > 200 {
                image.versions.pop_front();
            }
        }
        let prior = Use { version: event.version.clone(), at: now, pins: 0, rate: Ewma::new(0.2), missed: 0, lag: 11.0 };
        let own = image.uses.entry(event.customer).or_insert(prior);
        own.version = event.version.clone();
        own.at = now;
        own.pins += 1;
        let customer = self.customers.entry(event.customer).or_default();
        customer.pins.push_back(now);
        while customer.pins.front().is_some_and(|at| *at + 14 * DAY < now) {
            customer.pins.pop_front();
        }
        let fade = |counts: &mut [f32], i: usize| {
            counts.iter_mut().for_each(|count| *count *= 0.998);
            counts[i] += 1.0;
        };
        fade(&mut customer.hours, (now % DAY / HOUR) as usize);
        fade(&mut customer.weekdays, weekday(now));
    }

    fn learn(&mut self, key: &Self::Key, _row: &[f32], asked: u64, came_true: bool, now: u64) {
        if let Some(image) = self.images.get_mut(&key.1) {
            image.followers.0 += u32::from(came_true);
            if let Some(own) = image.uses.get_mut(&key.0) {
                own.rate.add(came_true);
                own.missed = if came_true { 0 } else { own.missed + 1 };
                if came_true {
                    own.lag += 0.3 * (((now - asked).max(60) as f32).ln() - own.lag);
                }
            }
        }
        if let Some(context) = self.open.remove(key) {
            self.adopted.add(&context, now, came_true);
        }
    }
}

/// Which part of a version changes: 0 none, 1 to 4 the first to the fourth number, 5 what follows them, 6 back, or something else.
fn level(from: &str, to: &str) -> u8 {
    if from == to {
        return 0;
    }
    let (from, to) = (numbers(from), numbers(to));
    if from.is_empty() || to.is_empty() {
        return 6;
    }
    match from.iter().zip(&to).position(|(a, b)| a != b) {
        Some(i) if to[i] > from[i] => i.min(3) as u8 + 1,
        Some(_) => 6,
        None => 5,
    }
}

fn numbers(tag: &str) -> Vec<u64> {
    tag.split(|next: char| !next.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}
