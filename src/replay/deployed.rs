//! What customers run now, as far as their pulls tell.

use std::collections::HashMap;

use super::workload::{ContentId, Name, Step, What, Workload};

/// Which image each customer runs under each name, and how many of these need a content.
///
/// A client that has asked for one image only may be a build that is gone already: it counts when it asks for a second one.
pub(super) struct Deployed<'a> {
    workload: &'a Workload,
    region: u16,
    running: HashMap<Running, u32>,
    uses: Vec<u32>,
    clients: HashMap<u32, Option<(Running, u32)>>,
}

/// A customer's image under a name. Versions of a private image follow each other under new tags, those of a public one under the
/// same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Running {
    customer: u32,
    repository: u32,
    tag: Option<u32>,
}

impl Running {
    pub(super) fn new(customer: u32, name: Name) -> Self {
        Self { customer, repository: name.repository, tag: (!name.private).then_some(name.tag) }
    }
}

impl<'a> Deployed<'a> {
    pub(super) fn new(workload: &'a Workload, region: u16) -> Self {
        let uses = vec![0; workload.contents.len()];
        Self { workload, region, running: HashMap::new(), uses, clients: HashMap::new() }
    }

    /// How many images that are run need a content.
    pub(super) fn uses(&self, content: ContentId) -> u32 {
        self.uses[content as usize]
    }

    /// Something happened. Returns what nobody needs any more.
    pub(super) fn observe(&mut self, step: &Step) -> Vec<ContentId> {
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
                    gone = self.runs(running, image);
                }
                gone.extend(self.runs(running, image));
                gone
            }
        }
    }

    fn runs(&mut self, running: Running, image: u32) -> Vec<ContentId> {
        let old = self.running.insert(running, image);
        if old == Some(image) {
            return Vec::new();
        }
        for content in &self.workload.images[image as usize] {
            self.uses[*content as usize] += 1;
        }
        let Some(old) = old else { return Vec::new() };
        let mut gone = Vec::new();
        for content in &self.workload.images[old as usize] {
            let uses = &mut self.uses[*content as usize];
            *uses -= 1;
            if *uses == 0 {
                gone.push(*content);
            }
        }
        gone
    }
}
