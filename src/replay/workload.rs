//! A trace in memory, with small numbers for everything that has a name.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use crate::{
    events::{self, Event, Kind, Millis},
    oci::{Digest, RepositoryName, Tag},
};

/// The number of a content.
pub type ContentId = u32;

/// What happened, in order of time.
#[derive(Debug, Default)]
pub struct Workload {
    /// In order of time.
    pub steps: Vec<Step>,
    /// All layers that were asked for or named, by their number.
    pub contents: Vec<Content>,
    /// All images whose layers are known, by their number.
    pub images: Vec<Image>,
    /// The regions.
    pub regions: Vec<Arc<str>>,
    /// From when on requests are counted.
    pub counted_from: Millis,
}

/// A layer.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// The layers of an image, lowest first.
pub type Image = Box<[ContentId]>;

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// When.
    pub at: Millis,
    /// What.
    pub what: What,
}

/// What happened. All numbers are the workload's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A client asked for a layer.
    Layer {
        /// Where.
        region: u16,
        /// Who.
        client: u32,
        /// Which one.
        content: ContentId,
    },
    /// A client asked for an image.
    Image {
        /// Where.
        region: u16,
        /// For whom.
        customer: u32,
        /// Who.
        client: u32,
        /// By which name.
        name: Name,
        /// The image, if its layers are known by then.
        image: Option<u32>,
    },
    /// A tag was made to name an image.
    Moved {
        /// The tag.
        name: Name,
        /// The image, if its layers are known by then.
        image: Option<u32>,
    },
}

/// The name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The repository.
    pub repository: u32,
    /// The tag of that repository; for a request by digest, the image.
    pub tag: u32,
    /// Whether the repository is private.
    pub private: bool,
}

/// Why a trace cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// Nobody asked for anything.
    #[error("there is no request for a layer in the trace")]
    Empty,
    /// Nobody in that region did.
    #[error("there is no request in the region '{0}'; there are some in: {1}")]
    Region(String, String),
}

/// Puts a workload together, event by event.
#[derive(Debug, Default)]
pub struct Reader {
    workload: Workload,
    contents: HashMap<Digest, ContentId>,
    images: HashMap<Digest, u32>,
    regions: HashMap<Arc<str>, u16>,
    customers: Numbers<Option<Arc<str>>>,
    clients: Numbers<u64>,
    repositories: Numbers<(Arc<str>, RepositoryName)>,
    tags: Numbers<(u32, Tag)>,
    digests: Numbers<Digest>,
}

/// Numbers in the order in which things are first seen.
#[derive(Debug)]
struct Numbers<T>(HashMap<T, u32>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Numbers<T> {
    fn of(&mut self, one: T) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(one).or_insert(next)
    }
}

impl Reader {
    /// Takes the next event. What a cache does not learn from is left out.
    pub fn take(&mut self, event: &Event) {
        let what = match &event.what {
            events::What::Request(request) => self.request(request),
            events::What::ManifestSeen(seen) => {
                self.manifest(seen);
                None
            }
            events::What::TagMoved { repository, tag, digest: Some(digest) } => {
                Some(What::Moved { name: self.name(repository, Some(tag), digest), image: self.images.get(digest).copied() })
            }
            _ => None,
        };
        if let Some(what) = what {
            self.workload.steps.push(Step { at: event.at, what });
        }
    }

    /// The times of the first and the last event.
    pub fn span(&self) -> (Millis, Millis) {
        let times = self.workload.steps.iter().map(|step| step.at);
        (times.clone().min().unwrap_or(0), times.max().unwrap_or(0))
    }

    /// The whole workload. Requests count from `counted_from` on.
    ///
    /// # Errors
    /// When there is no request for a layer.
    pub fn finish(mut self, counted_from: Millis) -> Result<Workload, WorkloadError> {
        if !self.workload.steps.iter().any(|step| matches!(step.what, What::Layer { .. })) {
            return Err(WorkloadError::Empty);
        }
        // Several logs may overlap.
        self.workload.steps.sort_by_key(|step| step.at);
        self.workload.counted_from = counted_from;
        Ok(self.workload)
    }

    fn request(&mut self, request: &events::Request) -> Option<What> {
        if !request.succeeded() {
            return None;
        }
        let digest = request.digest?;
        let region = self.region(&request.region);
        let client = self.clients.of(request.client);
        match request.kind {
            Kind::Blob => {
                let content = self.content(&digest, request.bytes);
                Some(What::Layer { region, client, content })
            }
            Kind::Manifest => {
                let customer = self.customers.of(request.customer.clone());
                let name = self.name(&request.repository, request.tag.as_ref(), &digest);
                Some(What::Image { region, customer, client, name, image: self.images.get(&digest).copied() })
            }
            _ => None,
        }
    }

    fn manifest(&mut self, seen: &events::ManifestSeen) {
        if seen.manifests.is_some() || self.images.contains_key(&seen.manifest.digest) {
            return;
        }
        let layers = seen.layers.iter().map(|layer| self.content(&layer.digest, layer.size)).collect();
        self.images.insert(seen.manifest.digest, self.workload.images.len() as u32);
        self.workload.images.push(layers);
    }

    fn content(&mut self, digest: &Digest, size: u64) -> ContentId {
        let next = self.workload.contents.len() as ContentId;
        let number = *self.contents.entry(*digest).or_insert(next);
        match self.workload.contents.get_mut(number as usize) {
            // A range, or an answer that was cut, is less than the whole.
            Some(content) => content.size = content.size.max(size),
            None => self.workload.contents.push(Content { digest: *digest, size }),
        }
        number
    }

    fn region(&mut self, region: &Arc<str>) -> u16 {
        if let Some(number) = self.regions.get(region) {
            return *number;
        }
        let number = u16::try_from(self.workload.regions.len()).unwrap_or(u16::MAX);
        self.workload.regions.push(region.clone());
        self.regions.insert(region.clone(), number);
        number
    }

    fn name(&mut self, repository: &events::Repository, tag: Option<&Tag>, digest: &Digest) -> Name {
        let private = repository.private;
        let repository = self.repositories.of((repository.route.clone(), repository.name.clone()));
        let tag = match tag {
            Some(tag) => self.tags.of((repository, tag.clone())) << 1,
            None => self.digests.of(*digest) << 1 | 1,
        };
        Name { repository, tag, private }
    }
}

impl Workload {
    /// The number of a region.
    ///
    /// # Errors
    /// When nothing happened there.
    pub fn region(&self, name: &str) -> Result<u16, WorkloadError> {
        let place = self.regions.iter().position(|region| &**region == name);
        place
            .and_then(|place| u16::try_from(place).ok())
            .ok_or_else(|| WorkloadError::Region(name.to_owned(), self.regions.join(", ")))
    }

    /// The region with most requests for layers.
    pub fn busiest_region(&self) -> u16 {
        let mut requests = vec![0_u64; self.regions.len()];
        for step in &self.steps {
            if let What::Layer { region, .. } = step.what {
                requests[usize::from(region)] += 1;
            }
        }
        let busiest = (0..self.regions.len()).max_by_key(|region| (requests[*region], std::cmp::Reverse(*region)));
        busiest.map_or(0, |region| region as u16)
    }

    /// Bytes of all layers that are asked for in a region: what a cache that holds everything would hold.
    pub fn footprint(&self, region: u16) -> u64 {
        let mut seen = vec![false; self.contents.len()];
        let mut bytes = 0;
        for step in &self.steps {
            if let What::Layer { region: place, content, .. } = step.what
                && place == region
                && !std::mem::replace(&mut seen[content as usize], true)
            {
                bytes += self.contents[content as usize].size;
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn a_part_of_a_content_says_less_of_its_size_than_the_whole() {
        let (mut reader, digest) = (Reader::default(), Digest::of(Algorithm::Sha256, b"x"));
        assert_eq!([7, 900, 30].map(|size| reader.content(&digest, size)), [0, 0, 0]);
        assert_eq!(reader.workload.contents[0].size, 900);
    }
}
