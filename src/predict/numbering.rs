//! Events become steps: everything that has a name gets a number.

use std::{hash::Hash, sync::Arc};

use hashbrown::HashMap;

use super::world::{Content, ContentId, Name, Step, What, World};
use crate::{
    events::{self, Event, Kind, ManifestSeen, Repository, Request},
    oci::{Digest, RepositoryName, Tag},
};

/// Gives numbers in the order in which things are first seen, so that the same events give the same numbers.
///
/// A request for an index counts as one for the image of it that is likely for its client: that of the platform which it, the
/// repository or anybody else asked for before. A request by digest counts as one by the tag under which that digest, or the index
/// that it belongs to, was last heard of in the same repository: container runtimes ask what a tag names, then go by digests.
#[derive(Debug, Default)]
pub struct Numbering {
    /// What the numbers stand for.
    pub world: World,
    /// The regions.
    pub regions: Vec<Arc<str>>,
    /// Whether requests are to this edge, whose region has the number 0, unless another edge has told of them.
    is_edge: bool,
    contents: HashMap<Digest, ContentId>,
    images: HashMap<Digest, u32>,
    indexes: HashMap<Digest, Box<[Child]>>,
    /// The index by which a manifest was last named, and for which platform.
    parents: HashMap<Digest, (Digest, u32)>,
    /// The tag under which a digest was last heard of, and what a tag named last.
    tagged: HashMap<(u32, Digest), u32>,
    named: HashMap<u32, Digest>,
    platforms: Platforms,
    region_numbers: HashMap<Arc<str>, u16>,
    customers: Numbers<Option<Arc<str>>>,
    clients: Numbers<u64>,
    repositories: Numbers<(Arc<str>, RepositoryName)>,
    all_repositories: Vec<Repository>,
    tags: Numbers<(u32, Tag)>,
    digests: Numbers<Digest>,
    platform_numbers: Numbers<String>,
}

#[derive(Debug, Clone, Copy)]
struct Child {
    manifest: Digest,
    platform: u32,
}

/// Who asked for which platform last.
#[derive(Debug, Default)]
struct Platforms {
    of_client: HashMap<u32, u32>,
    of_repository: HashMap<u32, u32>,
    of_anybody: Option<u32>,
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

impl Numbering {
    /// Of an edge in `region`: whatever its clients ask for is asked for there.
    pub fn at(region: Arc<str>) -> Self {
        let mut numbering = Self { is_edge: true, ..Self::default() };
        numbering.region(&region);
        numbering
    }

    /// Takes the next event. `None` for what nothing is learned from.
    pub fn take(&mut self, event: &Event) -> Option<Step> {
        let what = match &event.what {
            events::What::Request(request) => self.request(request)?,
            events::What::ManifestSeen(seen) => {
                self.manifest(seen);
                return None;
            }
            events::What::TagMoved { repository, tag, digest: Some(digest) } => {
                let (name, likely) = (self.tag(repository, tag, digest), self.likely(digest, None, Some(repository)));
                What::Moved { name, image: self.image(&likely) }
            }
            _ => return None,
        };
        Some(Step { at: event.at, what })
    }

    /// How many things have a number.
    pub fn len(&self) -> usize {
        let names = [self.clients.0.len(), self.repositories.0.len(), self.tags.0.len(), self.digests.0.len(), self.tagged.len()];
        self.contents.len() + self.images.len() + self.parents.len() + names.iter().sum::<usize>()
    }

    /// Whether nothing has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image that is likely meant by the digest of an index or of an image, if its layers are known.
    pub fn image(&self, digest: &Digest) -> Option<u32> {
        self.images.get(digest).copied()
    }

    /// The manifest that is likely asked for next by whoever asks for `digest`: of an index, the one for the platform of that
    /// client, of the repository, or of anybody else. Of anything else, itself.
    pub fn likely(&self, digest: &Digest, client: Option<u64>, repository: Option<&Repository>) -> Digest {
        let Some(children) = self.indexes.get(digest) else { return *digest };
        let client = client.and_then(|client| self.clients.0.get(&client));
        let number = |repository: &Repository| self.repositories.0.get(&(repository.route.clone(), repository.name.clone()));
        let repository = repository.and_then(number);
        let Platforms { of_client, of_repository, of_anybody } = &self.platforms;
        let wanted =
            [client.and_then(|one| of_client.get(one)), repository.and_then(|one| of_repository.get(one)), of_anybody.as_ref()];
        let of_platform = |platform: &u32| children.iter().find(|child| child.platform == *platform);
        wanted.into_iter().flatten().find_map(of_platform).map_or(*digest, |child| child.manifest)
    }

    /// Whether what a digest stands for is known: layers of an image, or manifests of an index.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.images.contains_key(digest) || self.indexes.contains_key(digest)
    }

    fn request(&mut self, request: &Request) -> Option<What> {
        if !request.succeeded() {
            return None;
        }
        let digest = request.digest?;
        if request.kind == Kind::ManifestHead {
            if let Some(tag) = &request.tag {
                self.tag(&request.repository, tag, &digest);
            }
            return None;
        }
        let is_here = self.is_edge && request.is_here();
        let region = if is_here { 0 } else { self.region(&request.region) };
        let client = self.clients.of(request.client);
        match request.kind {
            Kind::Blob => Some(What::Layer { region, client, content: self.content(&digest, request.bytes) }),
            Kind::Manifest => {
                let customer = self.customers.of(request.customer.clone());
                let name = match &request.tag {
                    Some(tag) => self.tag(&request.repository, tag, &digest),
                    None => self.name_of(&request.repository, &digest),
                };
                if let Some((_, platform)) = self.parents.get(&digest) {
                    self.platforms.note(client, name.repository, *platform);
                }
                let likely = self.likely(&digest, Some(request.client), Some(&request.repository));
                Some(What::Image { region, customer, client, name, image: self.image(&likely) })
            }
            _ => None,
        }
    }

    fn manifest(&mut self, seen: &ManifestSeen) {
        let digest = seen.manifest.digest;
        if self.knows(&digest) {
            return;
        }
        if let Some(manifests) = &seen.manifests {
            let children = manifests.iter().filter_map(|child| {
                let platform = self.platform_numbers.of(child.platform.clone()?);
                self.parents.insert(child.manifest.digest, (digest, platform));
                Some(Child { manifest: child.manifest.digest, platform })
            });
            let children = children.collect();
            self.indexes.insert(digest, children);
            return;
        }
        let contents = seen.config.iter().chain(&seen.layers).map(|layer| self.content(&layer.digest, layer.size)).collect();
        self.images.insert(digest, self.world.images.len() as u32);
        self.world.images.push(contents);
    }

    /// The number of a content of `size` bytes.
    pub fn content(&mut self, digest: &Digest, size: u64) -> ContentId {
        let next = self.world.contents.len() as ContentId;
        let number = *self.contents.entry(*digest).or_insert(next);
        match self.world.contents.get_mut(number as usize) {
            // A range, or an answer that was cut, is less than the whole.
            Some(content) => content.size = content.size.max(size),
            None => self.world.contents.push(Content { digest: *digest, size }),
        }
        number
    }

    /// The number of a content, if it has one.
    pub fn known_content(&self, digest: &Digest) -> Option<ContentId> {
        self.contents.get(digest).copied()
    }

    /// The repository of a name.
    pub fn repository_of(&self, name: Name) -> Option<Repository> {
        self.all_repositories.get(name.repository as usize).cloned()
    }

    /// What a tag of a repository named last.
    pub fn named(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        let repository = self.repositories.0.get(&(repository.route.clone(), repository.name.clone()))?;
        let tag = self.tags.0.get(&(*repository, tag.clone()))?;
        self.named.get(&(tag << 1)).copied()
    }

    fn region(&mut self, region: &Arc<str>) -> u16 {
        if let Some(number) = self.region_numbers.get(region) {
            return *number;
        }
        let number = u16::try_from(self.regions.len()).unwrap_or(u16::MAX);
        self.regions.push(region.clone());
        self.region_numbers.insert(region.clone(), number);
        number
    }

    fn repository(&mut self, repository: &Repository) -> u32 {
        let number = self.repositories.of((repository.route.clone(), repository.name.clone()));
        if number as usize == self.all_repositories.len() {
            self.all_repositories.push(repository.clone());
        }
        number
    }

    /// The name of what a tag names.
    fn tag(&mut self, repository: &Repository, tag: &Tag, digest: &Digest) -> Name {
        let private = repository.private;
        let repository = self.repository(repository);
        let tag = self.tags.of((repository, tag.clone())) << 1;
        self.tagged.insert((repository, *digest), tag);
        self.named.insert(tag, *digest);
        Name { repository, tag, private }
    }

    /// The name of what was asked for by digest.
    fn name_of(&mut self, repository: &Repository, digest: &Digest) -> Name {
        let private = repository.private;
        let repository = self.repository(repository);
        let index = self.parents.get(digest).map(|(index, _)| *index);
        let tag = [Some(*digest), index].into_iter().flatten().find_map(|digest| self.tagged.get(&(repository, digest)).copied());
        let tag = tag.unwrap_or_else(|| self.digests.of(*digest) << 1 | 1);
        Name { repository, tag, private }
    }
}

impl Platforms {
    fn note(&mut self, client: u32, repository: u32, platform: u32) {
        self.of_client.insert(client, platform);
        self.of_repository.insert(repository, platform);
        self.of_anybody = Some(platform);
    }
}

#[cfg(test)]
mod tests;
