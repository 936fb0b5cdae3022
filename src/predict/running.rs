//! What customers run now, as far as their pulls tell.

use hashbrown::HashMap;

use super::world::{ContentId, Name, Step, What, World};

/// A customer's image under a name. Versions of a private image follow each other under new tags, those of a public one under the
/// same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Running {
    pub(super) customer: u32,
    pub(super) repository: u32,
    pub(super) tag: Option<u32>,
}

impl Running {
    pub(super) fn new(customer: u32, name: Name) -> Self {
        Self { customer, repository: name.repository, tag: (!name.private).then_some(name.tag) }
    }
}

/// Which image each customer runs under each name in a region, and how many of these need a content.
///
/// A client that has asked for one image only may be a build that is gone already: it counts when it asks for a second one.
#[derive(Debug)]
pub struct Deployed {
    region: u16,
    running: HashMap<Running, u32>,
    uses: Vec<u32>,
    clients: HashMap<u32, Option<(Running, u32)>>,
}

impl Deployed {
    /// Nothing is known to run in a region yet.
    pub fn new(region: u16) -> Self {
        Self { region, running: HashMap::new(), uses: Vec::new(), clients: HashMap::new() }
    }

    /// How many images that are run need a content.
    pub fn uses(&self, content: ContentId) -> u32 {
        self.uses.get(content as usize).copied().unwrap_or(0)
    }

    /// Something happened. Returns what nobody needs any more.
    pub fn observe(&mut self, step: &Step, world: &World) -> Vec<ContentId> {
        let What::Image { region, customer, client, name, image: Some(image) } = step.what else { return Vec::new() };
        if region != self.region {
            return Vec::new();
        }
        let running = Running::new(customer, name);
        match self.clients.get_mut(&client) {
            None => {
                self.clients.insert(client, Some((running, image)));
                Vec::new()
            }
            Some(first) => {
                let mut gone = Vec::new();
                if let Some((running, image)) = first.take() {
                    gone = self.runs(running, image, world);
                }
                gone.extend(self.runs(running, image, world));
                gone
            }
        }
    }

    fn runs(&mut self, running: Running, image: u32, world: &World) -> Vec<ContentId> {
        let old = self.running.insert(running, image);
        if old == Some(image) {
            return Vec::new();
        }
        self.uses.resize(world.contents.len(), 0);
        for content in world.layers(image) {
            self.uses[content as usize] += 1;
        }
        let Some(old) = old else { return Vec::new() };
        let mut gone = Vec::new();
        for content in world.layers(old) {
            let uses = &mut self.uses[content as usize];
            *uses -= 1;
            if *uses == 0 {
                gone.push(content);
            }
        }
        gone
    }
}
