//! Events as the bytes of a block.

use std::sync::Arc;

use super::{
    dictionary::{Dictionary, ENOUGH_ENTRIES},
    frame::BlockHead,
    varint::{put, put_difference, put_text},
    writer::Refused,
};
use crate::{
    events::{Child, Event, Kind, Layer, ManifestSeen, Millis, Outcome, Repository, Request, Source, What},
    oci::{Algorithm, Digest, MediaType, Tag},
};

/// Bytes after which a block is closed.
pub(super) const ENOUGH_BYTES: usize = 256 << 10;

/// The longest event, in bytes: a manifest of 4 MiB is told in less.
const MOST_EVENT_BYTES: usize = 8 << 20;

/// The longest text, in bytes.
pub(super) const MOST_TEXT: usize = 64 << 10;

/// What an event is, in the low four bits of its first byte.
pub(super) mod code {
    pub(in super::super) const REQUEST: u8 = 0;
    pub(in super::super) const MANIFEST_SEEN: u8 = 1;
    pub(in super::super) const MANIFEST_DELETED: u8 = 2;
    pub(in super::super) const CONFIG_READ: u8 = 3;
    pub(in super::super) const TAG_MOVED: u8 = 4;
    pub(in super::super) const BLOB_STORED: u8 = 5;
    pub(in super::super) const BLOB_EVICTED: u8 = 6;
    pub(in super::super) const PREFETCHED: u8 = 7;
}

/// What is left out of a request, in the high four bits of its first byte.
pub(super) mod short {
    /// The answer was sent whole.
    pub(in super::super) const COMPLETE: u8 = 0x10;
    /// Customer and region are those of this client's last request in the block.
    pub(in super::super) const SAME_WHO: u8 = 0x20;
    /// Repository and tag are.
    pub(in super::super) const SAME_WHERE: u8 = 0x40;
    /// The status is 200.
    pub(in super::super) const OK: u8 = 0x80;
}

/// What is there, in the second byte of a manifest.
pub(super) mod part {
    pub(in super::super) const CONFIG: u8 = 1;
    pub(in super::super) const MANIFESTS: u8 = 2;
    pub(in super::super) const SUBJECT: u8 = 4;
    pub(in super::super) const BASE: u8 = 8;
    pub(in super::super) const CREATED: u8 = 16;
}

/// The order is the code.
pub(super) const KINDS: [Kind; 6] = [Kind::Manifest, Kind::ManifestHead, Kind::Blob, Kind::BlobHead, Kind::Push, Kind::Other];

/// The order is the code.
pub(super) const SOURCES: [Source; 11] = [
    Source::Memory,
    Source::Disk,
    Source::Object,
    Source::Hosted,
    Source::Catalog,
    Source::Revalidated,
    Source::Stale,
    Source::Joined,
    Source::Upstream,
    Source::None,
    Source::Elsewhere,
];

/// The order is the code.
pub(super) const OUTCOMES: [Outcome; 3] = [Outcome::Used, Outcome::Late, Outcome::Wasted];

/// A client's last request in a block. `0` of a tag or customer is none, `n` is number `n - 1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recent {
    /// In which block that was, counted from 1.
    pub(super) block: u32,
    pub(super) customer: u32,
    pub(super) region: u32,
    pub(super) repository: u32,
    pub(super) tag: u32,
}

/// The block that is being written, and the dictionaries of the era.
#[derive(Debug)]
pub(super) struct Encoder {
    texts: Dictionary<Arc<str>>,
    tags: Dictionary<Tag>,
    media_types: Dictionary<MediaType>,
    repositories: Dictionary<Repository>,
    digests: Dictionary<Digest>,
    clients: Dictionary<u64>,
    recent: Vec<Recent>,
    /// Counts blocks.
    block: u32,
    era: u32,
    events: Vec<u8>,
    count: u32,
    first: Millis,
    last: Millis,
    previous: Millis,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            texts: Dictionary::new(),
            tags: Dictionary::new(),
            media_types: Dictionary::new(),
            repositories: Dictionary::new(),
            digests: Dictionary::new(),
            clients: Dictionary::new(),
            recent: Vec::new(),
            block: 1,
            era: 0,
            events: Vec::new(),
            count: 0,
            first: Millis::MAX,
            last: 0,
            previous: 0,
        }
    }

    /// Events in the block.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes that the block has so far, about.
    pub(super) fn bytes(&self) -> usize {
        let fresh = self.texts.fresh_bytes() + self.tags.fresh_bytes() + self.media_types.fresh_bytes();
        fresh + self.repositories.fresh_bytes() + self.digests.fresh_bytes() + self.clients.fresh_bytes() + self.events.len()
    }

    /// Adds an event to the block. One that is refused leaves it as it was.
    pub(super) fn push(&mut self, event: &Event) -> Result<(), Refused> {
        check_length(&event.what)?;
        let Event { at, what } = event;
        match what {
            What::Request(request) => self.request(*at, request),
            What::ManifestSeen(seen) => self.manifest_seen(*at, seen),
            What::ManifestDeleted { repository, digest } => {
                self.begin(code::MANIFEST_DELETED, *at);
                self.repository(repository);
                self.digest(digest);
            }
            What::ConfigRead { digest, created } => {
                self.begin(code::CONFIG_READ, *at);
                self.digest(digest);
                put(&mut self.events, *created);
            }
            What::TagMoved { repository, tag, digest } => {
                self.begin(code::TAG_MOVED, *at);
                self.repository(repository);
                let tag = self.tag_number(tag);
                put(&mut self.events, u64::from(tag));
                self.digest_or_none(digest.as_ref());
            }
            What::BlobStored { digest, size } => {
                self.begin(code::BLOB_STORED, *at);
                self.digest(digest);
                put(&mut self.events, *size);
            }
            What::BlobEvicted { digest } => {
                self.begin(code::BLOB_EVICTED, *at);
                self.digest(digest);
            }
            What::Prefetched { digest, size, outcome } => {
                self.begin(code::PREFETCHED, *at);
                self.digest(digest);
                put(&mut self.events, *size);
                self.events.push(code_in(&OUTCOMES, outcome));
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Ends the block: its bytes, head and all. `None` when nothing is in it.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        if self.count == 0 {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.bytes() + BlockHead::LENGTH + 64);
        bytes.resize(BlockHead::LENGTH, 0);
        self.texts.flush(&mut bytes);
        self.tags.flush(&mut bytes);
        self.media_types.flush(&mut bytes);
        self.repositories.flush(&mut bytes);
        self.digests.flush(&mut bytes);
        self.clients.flush(&mut bytes);
        bytes.append(&mut self.events);
        let head = BlockHead {
            length: (bytes.len() - BlockHead::LENGTH) as u32,
            events: self.count,
            era: self.era,
            first: self.first,
            last: self.last,
            checksum: super::checksum::checksum(&bytes[BlockHead::LENGTH..]),
        };
        bytes[..BlockHead::LENGTH].copy_from_slice(&head.to_bytes());
        (self.count, self.first, self.last, self.previous) = (0, Millis::MAX, 0, 0);
        self.block = self.block.wrapping_add(1).max(1);
        let entries = [self.texts.len(), self.tags.len(), self.repositories.len(), self.digests.len(), self.clients.len()];
        if entries.iter().any(|&entries| entries >= ENOUGH_ENTRIES) {
            self.reset();
        }
        Some(bytes)
    }

    /// Forgets the block and all dictionaries: what comes now can be read without what came before.
    pub(super) fn reset(&mut self) {
        self.texts.clear();
        self.tags.clear();
        self.media_types.clear();
        self.repositories.clear();
        self.digests.clear();
        self.clients.clear();
        self.recent.clear();
        self.events.clear();
        self.era = self.era.wrapping_add(1);
        (self.count, self.first, self.last, self.previous) = (0, Millis::MAX, 0, 0);
    }

    /// The first byte, and the time since the event before.
    fn begin(&mut self, first: u8, at: Millis) {
        self.events.push(first);
        put_difference(&mut self.events, at.wrapping_sub(self.previous).cast_signed());
        self.previous = at;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    fn request(&mut self, at: Millis, request: &Request) {
        let client = self.clients.number(&request.client, |out| out.extend_from_slice(&request.client.to_le_bytes()));
        let now = Recent {
            block: self.block,
            customer: request.customer.as_ref().map_or(0, |customer| self.text_number(customer) + 1),
            region: self.text_number(&request.region),
            repository: self.repository_number(&request.repository),
            tag: request.tag.as_ref().map_or(0, |tag| self.tag_number(tag) + 1),
        };
        if self.recent.len() <= client as usize {
            self.recent.resize(client as usize + 1, Recent::default());
        }
        let before = std::mem::replace(&mut self.recent[client as usize], now);
        let is_known = before.block == now.block;
        let same_who = is_known && (before.customer, before.region) == (now.customer, now.region);
        let same_where = is_known && (before.repository, before.tag) == (now.repository, now.tag);
        let mut first = code::REQUEST;
        for (is_so, bit) in [
            (request.complete, short::COMPLETE),
            (same_who, short::SAME_WHO),
            (same_where, short::SAME_WHERE),
            (request.status == 200, short::OK),
        ] {
            first |= if is_so { bit } else { 0 };
        }
        self.begin(first, at);
        put(&mut self.events, u64::from(client));
        if !same_who {
            put(&mut self.events, u64::from(now.customer));
            put(&mut self.events, u64::from(now.region));
        }
        if !same_where {
            put(&mut self.events, u64::from(now.repository));
            put(&mut self.events, u64::from(now.tag));
        }
        self.digest_or_none(request.digest.as_ref());
        self.events.push(code_in(&KINDS, &request.kind) | code_in(&SOURCES, &request.source) << 4);
        if request.status != 200 {
            put(&mut self.events, u64::from(request.status));
        }
        put(&mut self.events, request.bytes);
        put(&mut self.events, u64::from(request.first_byte));
        put_difference(&mut self.events, i64::from(request.total) - i64::from(request.first_byte));
    }

    fn manifest_seen(&mut self, at: Millis, seen: &ManifestSeen) {
        let ManifestSeen { repository, manifest, config, layers, manifests, subject, base, created } = seen;
        self.begin(code::MANIFEST_SEEN, at);
        let mut parts = 0;
        for (is_there, bit) in [
            (config.is_some(), part::CONFIG),
            (manifests.is_some(), part::MANIFESTS),
            (subject.is_some(), part::SUBJECT),
            (base.is_some(), part::BASE),
            (created.is_some(), part::CREATED),
        ] {
            parts |= if is_there { bit } else { 0 };
        }
        self.events.push(parts);
        self.repository(repository);
        self.layer(manifest);
        if let Some(config) = config {
            self.layer(config);
        }
        put(&mut self.events, layers.len() as u64);
        layers.iter().for_each(|layer| self.layer(layer));
        if let Some(manifests) = manifests {
            put(&mut self.events, manifests.len() as u64);
            for Child { manifest, platform } in manifests {
                self.layer(manifest);
                let platform = platform.as_ref().map_or(0, |platform| self.text_number(&platform.as_str().into()) + 1);
                put(&mut self.events, u64::from(platform));
            }
        }
        subject.iter().chain(base).for_each(|digest| self.digest(digest));
        if let Some(created) = created {
            put(&mut self.events, *created);
        }
    }

    fn layer(&mut self, layer: &Layer) {
        self.digest(&layer.digest);
        put(&mut self.events, layer.size);
        let media_type = self.media_types.number(&layer.media_type, |out| put_text(out, layer.media_type.as_str()));
        put(&mut self.events, u64::from(media_type));
    }

    fn repository(&mut self, repository: &Repository) {
        let number = self.repository_number(repository);
        put(&mut self.events, u64::from(number));
    }

    fn digest(&mut self, digest: &Digest) {
        let number = self.digest_number(digest);
        put(&mut self.events, u64::from(number));
    }

    fn digest_or_none(&mut self, digest: Option<&Digest>) {
        let number = digest.map_or(0, |digest| self.digest_number(digest) + 1);
        put(&mut self.events, u64::from(number));
    }

    fn digest_number(&mut self, digest: &Digest) -> u32 {
        self.digests.number(digest, |out| {
            out.push(match digest.algorithm() {
                Algorithm::Sha256 => 1,
                Algorithm::Sha512 => 2,
            });
            out.extend_from_slice(digest.as_bytes());
        })
    }

    fn repository_number(&mut self, repository: &Repository) -> u32 {
        let texts = &mut self.texts;
        self.repositories.number(repository, |out| {
            let route = texts.number(&repository.route, |out| put_text(out, &repository.route));
            put(out, u64::from(route));
            out.push(repository.private.into());
            put_text(out, repository.name.as_str());
        })
    }

    fn tag_number(&mut self, tag: &Tag) -> u32 {
        self.tags.number(tag, |out| put_text(out, tag.as_str()))
    }

    fn text_number(&mut self, text: &Arc<str>) -> u32 {
        self.texts.number(text, |out| put_text(out, text))
    }
}

/// Refuses what no reader would take. Only texts and lists can be too long.
fn check_length(what: &What) -> Result<(), Refused> {
    let (texts, things) = match what {
        What::Request(request) => {
            let customer = request.customer.as_ref().map_or(0, |customer| customer.len());
            (customer.max(request.region.len()).max(request.repository.route.len()), 0)
        }
        What::ManifestSeen(seen) => {
            let children = seen.manifests.iter().flatten();
            let longest = children.clone().filter_map(|child| child.platform.as_ref()).map(String::len).max().unwrap_or(0);
            let texts: usize = children.filter_map(|child| child.platform.as_ref()).map(String::len).sum();
            // An algorithm, a digest, a length, a media type and their numbers.
            let things = (seen.layers.len() + seen.manifests.as_ref().map_or(0, Vec::len)) * 400 + texts;
            (longest.max(seen.repository.route.len()), things)
        }
        What::TagMoved { repository, .. } | What::ManifestDeleted { repository, .. } => (repository.route.len(), 0),
        _ => (0, 0),
    };
    if texts > MOST_TEXT || things > MOST_EVENT_BYTES { Err(Refused) } else { Ok(()) }
}

/// The place of a value among all that there are.
fn code_in<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|one| one == value).unwrap_or(all.len()) as u8
}
