//! Clients: what each has had from here, and whether it is just coming to life.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::{
    running::Running,
    share::Share,
    world::{ContentId, Name, World},
};
use crate::events::Millis;

/// How long after its first request a client still comes to life.
const YOUNG: Millis = 300_000;

/// Share of its customer's clients that asked for a second image, above which a client is believed to when it asks for its first.
const LIVELY: f32 = 0.5;

/// Clients and their customers.
#[derive(Debug, Default)]
pub(super) struct Clients {
    clients: HashMap<u32, Client>,
    customers: HashMap<u32, Customer>,
}

#[derive(Debug)]
struct Client {
    since: Millis,
    asked_for: Vec<(Running, u32)>,
    names: Vec<Name>,
    had: HashSet<ContentId>,
    /// What it was expected to ask for when it came to life.
    expected: Option<Vec<Running>>,
}

#[derive(Debug, Default)]
pub(super) struct Customer {
    /// What it runs.
    pub(super) running: BTreeMap<Running, Deployment>,
    /// Clients, and those that asked for a second image.
    clients: Share,
    /// Images that were expected of young clients, and those that they asked for.
    expected: Share,
}

/// An image that a customer runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deployment {
    pub(super) image: u32,
    pub(super) name: Name,
    /// How often it was expected of a young client, and how often that asked for it.
    pub(super) expected: Share,
}

/// A client asks for an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pull {
    pub(super) at: Millis,
    pub(super) customer: u32,
    pub(super) client: u32,
    pub(super) name: Name,
    pub(super) image: u32,
}

/// What a client that comes to life is expected to ask for.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) name: Name,
    pub(super) image: u32,
    /// Of the cases in which this was expected of a client of this customer, in how many it came.
    pub(super) share: f32,
}

impl Clients {
    /// A client has been given a content.
    pub(super) fn given(&mut self, at: Millis, client: u32, content: ContentId) {
        self.clients.entry(client).or_insert_with(|| Client::new(at)).had.insert(content);
    }

    /// What of an image a client has not had from here.
    pub(super) fn lacking<'a>(&'a self, client: u32, image: u32, world: &'a World) -> impl Iterator<Item = ContentId> + 'a {
        let had = self.clients.get(&client).map(|client| &client.had);
        world.layers(image).filter(move |layer| !had.is_some_and(|had| had.contains(layer)))
    }

    /// A client asks for an image. Returns what else it is expected to ask for, once: when it comes to life.
    pub(super) fn pulled(&mut self, pull: Pull) -> Vec<Announced> {
        let customer = self.customers.entry(pull.customer).or_default();
        let client = self.clients.entry(pull.client).or_insert_with(|| Client::new(pull.at));
        let running = Running::new(pull.customer, pull.name);
        // A pull that waited for its manifest to be read is older than what its client has asked for since.
        let is_young = pull.at.saturating_sub(client.since) <= YOUNG;
        if let Some(expected) = &mut client.expected
            && is_young
            && let Some(place) = expected.iter().position(|one| *one == running)
        {
            expected.swap_remove(place);
            customer.expected.were += 1.0;
            if let Some(deployment) = customer.running.get_mut(&running) {
                deployment.expected.were += 1.0;
            }
        }
        customer.learn(client, running, &pull);
        let comes_to_life = match client.asked_for.len() {
            1 => customer.running.contains_key(&running) && customer.clients.estimate(0.5, 1.0) > LIVELY,
            images => images == 2,
        };
        if !is_young || !comes_to_life || client.expected.is_some() {
            return Vec::new();
        }
        let share = customer.expected.estimate(0.33, 3.0);
        let others: Vec<Running> = customer.running.keys().filter(|one| !client.has_asked_for(one)).copied().collect();
        customer.expected.of += others.len() as f32;
        let announced = others.iter().filter_map(|running| {
            let deployment = customer.running.get_mut(running)?;
            let likely = deployment.expected.estimate(share, 2.0);
            deployment.expected.of += 1.0;
            Some(Announced { name: deployment.name, image: deployment.image, share: likely })
        });
        let announced = announced.collect();
        client.expected = Some(others);
        announced
    }
}

impl Customer {
    /// A client asks for an image. Who asks for one only may be a build that is gone already: its image is run when it asks for
    /// another one.
    fn learn(&mut self, client: &mut Client, running: Running, pull: &Pull) {
        let is_new = !client.has_asked_for(&running);
        if is_new {
            client.asked_for.push((running, pull.image));
            client.names.push(pull.name);
        }
        match client.asked_for.len() {
            1 => self.clients.of += if is_new { 1.0 } else { 0.0 },
            2 if is_new => {
                self.clients.were += 1.0;
                let (first, second) = (client.asked_for[0], client.asked_for[1]);
                self.runs(first.0, client.names[0], first.1);
                self.runs(second.0, client.names[1], second.1);
            }
            _ => self.runs(running, pull.name, pull.image),
        }
    }

    fn runs(&mut self, running: Running, name: Name, image: u32) {
        let deployment = self.running.entry(running).or_insert(Deployment { image, name, expected: Share::default() });
        (deployment.image, deployment.name) = (image, name);
    }
}

impl Client {
    fn new(since: Millis) -> Self {
        Self { since, asked_for: Vec::new(), names: Vec::new(), had: HashSet::new(), expected: None }
    }

    fn has_asked_for(&self, running: &Running) -> bool {
        self.asked_for.iter().any(|(other, _)| other == running)
    }
}
