//! Rules that know tags, pushes, regions and clients, and learn nothing.

use std::collections::{HashMap, HashSet};

use super::{Prefetcher, Setting, View, Wish};
use crate::{
    events::Millis,
    replay::workload::{ContentId, Name, Step, What, Workload},
};

/// Who has pulled within this time still follows.
const FOLLOWS: Millis = 30 * 86_400_000;

/// A set of rules for one region.
pub(super) struct Rule<'a> {
    workload: &'a Workload,
    region: u16,
    /// New images of tags and repositories that are pulled here.
    follow: bool,
    /// New images of private repositories, and what the same customer pulls in other regions.
    push_and_cross: bool,
    /// Only layers that were never here.
    novel: bool,
    /// On a manifest, all layers.
    on_manifest: bool,
    /// On a manifest, the layers that its client has not had from here.
    clients: Option<HashMap<u32, HashSet<ContentId>>>,
    /// When a public tag was last pulled here.
    tags: HashMap<(u32, u32), Millis>,
    /// When a customer last pulled a private repository here; and who pulls it here.
    customers: HashMap<(u32, u32), Millis>,
    repositories: HashMap<u32, Millis>,
}

impl<'a> Rule<'a> {
    /// Tags, pushes, and what is pulled in other regions.
    pub(super) fn new(setting: &Setting<'a>) -> Self {
        Self { push_and_cross: true, novel: true, ..Self::tags(setting) }
    }

    /// New images of public tags.
    pub(super) fn tags(setting: &Setting<'a>) -> Self {
        Self { follow: true, ..Self::nothing(setting) }
    }

    /// All layers of any image that is asked for.
    pub(super) fn manifests(setting: &Setting<'a>) -> Self {
        Self { on_manifest: true, ..Self::nothing(setting) }
    }

    /// Remembers what each client has.
    pub(super) fn with_clients(self) -> Self {
        Self { clients: Some(HashMap::new()), ..self }
    }

    fn nothing(setting: &Setting<'a>) -> Self {
        Self {
            workload: setting.workload,
            region: setting.region,
            follow: false,
            push_and_cross: false,
            novel: false,
            on_manifest: false,
            clients: None,
            tags: HashMap::new(),
            customers: HashMap::new(),
            repositories: HashMap::new(),
        }
    }

    fn wish(&self, image: u32, cache: &dyn View, wishes: &mut Vec<Wish>) {
        let layers = self.workload.world.images[image as usize].iter().copied();
        let layers = layers.filter(|layer| !self.novel || !cache.was_here(*layer));
        wishes.extend(layers.map(|content| Wish { content, urgent: true }));
    }

    fn pulled(&mut self, at: Millis, is_here: bool, customer: u32, name: Name) {
        if !is_here {
            return;
        }
        if name.private {
            self.customers.insert((customer, name.repository), at);
            self.repositories.insert(name.repository, at);
        } else {
            self.tags.insert((name.repository, name.tag), at);
        }
    }
}

/// Whether a time is recent enough.
fn is_recent(last: Option<&Millis>, now: Millis) -> bool {
    last.is_some_and(|last| now.saturating_sub(*last) <= FOLLOWS)
}

impl Prefetcher for Rule<'_> {
    fn observe(&mut self, step: &Step, cache: &dyn View, wishes: &mut Vec<Wish>) {
        match step.what {
            What::Layer { region, client, content } if region == self.region => {
                if let Some(clients) = &mut self.clients {
                    clients.entry(client).or_default().insert(content);
                }
            }
            What::Image { region, customer, client, name, image } => {
                let is_here = region == self.region;
                self.pulled(step.at, is_here, customer, name);
                let Some(image) = image else { return };
                let elsewhere = self.push_and_cross && !is_here && name.private;
                if elsewhere && is_recent(self.customers.get(&(customer, name.repository)), step.at) {
                    self.wish(image, cache, wishes);
                }
                if is_here && self.on_manifest {
                    self.wish(image, cache, wishes);
                }
                if is_here && let Some(clients) = &self.clients {
                    let had = clients.get(&client);
                    let layers = self.workload.world.images[image as usize].iter().copied();
                    let lacking = layers.filter(|layer| !had.is_some_and(|had| had.contains(layer)));
                    wishes.extend(lacking.map(|content| Wish { content, urgent: true }));
                }
            }
            _ => {}
        }
    }

    fn discover(&mut self, step: &Step, now: Millis, cache: &dyn View, wishes: &mut Vec<Wish>) {
        let What::Moved { name, image: Some(image) } = step.what else { return };
        let last = if !self.follow {
            None
        } else if !name.private {
            self.tags.get(&(name.repository, name.tag))
        } else if self.push_and_cross {
            self.repositories.get(&name.repository)
        } else {
            None
        };
        if is_recent(last, now) {
            self.wish(image, cache, wishes);
        }
    }
}
