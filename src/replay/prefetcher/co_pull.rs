//! A client that comes to life: when it has asked for two of the images that its customer runs, it will ask for others.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Prefetcher, Setting, View, Wish, rule::Rule};
use crate::{
    events::Millis,
    replay::{
        deployed::Running,
        workload::{Step, What, Workload},
    },
};

/// How long after its first request a client still comes to life.
const YOUNG: Millis = 300_000;

/// Share of the images that were expected of its customer's clients and that these asked for, below which nothing is fetched.
const WORTH_IT: f64 = 0.2;

/// Share of its customer's clients that asked for a second image, above which a client is believed to when it asks for its first.
const LIVELY: f64 = 0.5;

/// `graph-rule`, and what else a customer runs when one of its clients comes to life.
pub(super) struct CoPull<'a> {
    workload: &'a Workload,
    region: u16,
    rule: Rule<'a>,
    customers: HashMap<u32, Customer>,
    clients: HashMap<u32, Client>,
}

#[derive(Default)]
struct Customer {
    /// What it runs.
    running: BTreeMap<Running, u32>,
    /// Clients, and those that asked for a second image.
    clients: Share,
    /// Images that were expected of young clients, and those that they asked for.
    expected: Share,
}

/// A share that is learned: so many of so many.
#[derive(Default)]
struct Share {
    of: f64,
    were: f64,
}

impl Share {
    /// The share, between what was believed before (`prior` with the weight of `weight` cases) and what was seen.
    fn estimate(&self, prior: f64, weight: f64) -> f64 {
        (self.were + prior * weight) / (self.of + weight)
    }
}

/// A client asks for an image.
struct Pull {
    at: Millis,
    customer: u32,
    client: u32,
    running: Running,
    image: u32,
}

struct Client {
    since: Millis,
    asked_for: Vec<(Running, u32)>,
    announced: bool,
}

impl<'a> CoPull<'a> {
    pub(super) fn new(setting: &Setting<'a>) -> Self {
        Self {
            workload: setting.workload,
            region: setting.region,
            rule: Rule::new(setting).with_clients().with_smallest_first(),
            customers: HashMap::new(),
            clients: HashMap::new(),
        }
    }

    fn announce(&self, customer: &Customer, client: &Client, wishes: &mut Vec<Wish>) {
        let layers = customer.others(client).flat_map(|image| self.workload.images[image as usize].iter().copied());
        let mut seen = HashSet::new();
        let from = wishes.len();
        wishes.extend(layers.filter(|layer| seen.insert(*layer)).map(|content| Wish { content, urgent: false }));
        wishes[from..].sort_by_key(|wish| self.workload.contents[wish.content as usize].size);
    }

    fn pulled(&mut self, pull: Pull, wishes: &mut Vec<Wish>) {
        let mut customer = self.customers.remove(&pull.customer).unwrap_or_default();
        let mut client = self.clients.remove(&pull.client).unwrap_or_else(|| Client::new(pull.at));
        let is_young = pull.at - client.since <= YOUNG;
        if client.announced && is_young {
            customer.expected.were += 1.0;
        }
        customer.learn(&mut client, pull.running, pull.image);
        let is_alive = match client.asked_for.len() {
            1 => customer.running.contains_key(&pull.running) && customer.clients.estimate(0.5, 1.0) > LIVELY,
            images => images == 2,
        };
        if is_young && is_alive && !client.announced {
            client.announced = true;
            if customer.expected.estimate(0.33, 3.0) >= WORTH_IT {
                self.announce(&customer, &client, wishes);
            }
            customer.expected.of += customer.others(&client).count() as f64;
        }
        self.customers.insert(pull.customer, customer);
        self.clients.insert(pull.client, client);
    }
}

impl Customer {
    /// A client asks for an image. Who asks for one only may be a build that is gone already: its image is run when it asks for
    /// another one.
    fn learn(&mut self, client: &mut Client, running: Running, image: u32) {
        let is_new = !client.has_asked_for(&running);
        if is_new {
            client.asked_for.push((running, image));
        }
        match client.asked_for.as_slice() {
            [_] => self.clients.of += if is_new { 1.0 } else { 0.0 },
            [first, second] if is_new => {
                self.clients.were += 1.0;
                self.running.extend([*first, *second]);
            }
            _ => drop(self.running.insert(running, image)),
        }
    }

    /// What it runs that a client has not asked for.
    fn others(&self, client: &Client) -> impl Iterator<Item = u32> {
        self.running.iter().filter(|(running, _)| !client.has_asked_for(running)).map(|(_, image)| *image)
    }
}

impl Client {
    fn new(since: Millis) -> Self {
        Self { since, asked_for: Vec::new(), announced: false }
    }

    fn has_asked_for(&self, running: &Running) -> bool {
        self.asked_for.iter().any(|(other, _)| other == running)
    }
}

impl Prefetcher for CoPull<'_> {
    fn observe(&mut self, step: &Step, cache: &dyn View, wishes: &mut Vec<Wish>) {
        self.rule.observe(step, cache, wishes);
        if let What::Image { region, customer, client, name, image: Some(image) } = step.what
            && region == self.region
        {
            let running = Running::new(customer, name);
            self.pulled(Pull { at: step.at, customer, client, running, image }, wishes);
        }
    }

    fn discover(&mut self, step: &Step, now: Millis, cache: &dyn View, wishes: &mut Vec<Wish>) {
        self.rule.discover(step, now, cache, wishes);
    }
}
