//! The bytes of a block as events. Nothing in them is trusted: they may be anybody's.

use std::sync::Arc;

use super::{
    dictionary::{Fault, Table},
    encoder::{KINDS, MOST_TEXT, OUTCOMES, Recent, SOURCES, code, part, short},
    varint::{Cursor, Malformed},
};
use crate::{
    events::{Child, Event, Layer, ManifestSeen, Millis, Repository, Request, What},
    oci::{Algorithm, Digest, MediaType, RepositoryName, Tag},
};

/// The dictionaries of an era, and where the block stands.
#[derive(Debug)]
pub(super) struct Decoder {
    texts: Table<Arc<str>>,
    tags: Table<Tag>,
    media_types: Table<MediaType>,
    repositories: Table<Repository>,
    digests: Table<Digest>,
    clients: Table<u64>,
    recent: Vec<Recent>,
    block: u32,
    era: Option<u32>,
    previous: Millis,
}

/// A request as numbers, before it is known what they stand for.
struct Numbers {
    who: Recent,
    client: u32,
    digest: u32,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self {
            texts: Table::new(),
            tags: Table::new(),
            media_types: Table::new(),
            repositories: Table::new(),
            digests: Table::new(),
            clients: Table::new(),
            recent: Vec::new(),
            block: 0,
            era: None,
            previous: 0,
        }
    }

    /// Reads what a block adds to the dictionaries of its era; its events are left.
    pub(super) fn begin(&mut self, era: u32, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        if self.era != Some(era) {
            self.forget();
            self.era = Some(era);
        }
        self.block = self.block.wrapping_add(1).max(1);
        self.previous = 0;
        self.texts.load(cursor, |cursor| Ok(Some(cursor.text(MOST_TEXT)?.into())))?;
        self.tags.load(cursor, |cursor| Ok(cursor.text(MOST_TEXT)?.parse().ok()))?;
        self.media_types.load(cursor, |cursor| Ok(cursor.text(MOST_TEXT)?.parse().ok()))?;
        let texts = &self.texts;
        self.repositories.load(cursor, |cursor| repository(texts, cursor))?;
        self.digests.load(cursor, digest)?;
        self.clients.load(cursor, |cursor| Ok(Some(u64::from_le_bytes(array(cursor.take(8)?)))))
    }

    /// Forgets all dictionaries: what comes next cannot be told by what came before.
    pub(super) fn forget(&mut self) {
        self.texts.clear();
        self.tags.clear();
        self.media_types.clear();
        self.repositories.clear();
        self.digests.clear();
        self.clients.clear();
        self.recent.clear();
        self.era = None;
    }

    /// The next event of the block. After [`Fault::Lost`] the one behind it can be read.
    pub(super) fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<Event, Fault> {
        let first = cursor.byte()?;
        let at = self.previous.wrapping_add(cursor.difference()?.cast_unsigned());
        self.previous = at;
        if first & 15 == code::REQUEST {
            return Ok(Event { at, what: What::Request(Arc::new(self.request(first, cursor)?)) });
        }
        let what = match first {
            code::MANIFEST_SEEN => What::ManifestSeen(Arc::new(self.manifest_seen(cursor)?)),
            code::MANIFEST_DELETED => {
                let (repository, digest) = (cursor.small()?, cursor.small()?);
                What::ManifestDeleted { repository: self.repository(repository)?, digest: self.digest(digest)? }
            }
            code::CONFIG_READ => {
                let (digest, created) = (cursor.small()?, cursor.number()?);
                What::ConfigRead { digest: self.digest(digest)?, created }
            }
            code::TAG_MOVED => {
                let (repository, tag, digest) = (cursor.small()?, cursor.small()?, cursor.small()?);
                let (repository, tag) = (self.repository(repository)?, self.tags.get(tag)?.clone());
                What::TagMoved { repository, tag, digest: self.digest_or_none(digest)? }
            }
            code::BLOB_STORED => {
                let (digest, size) = (cursor.small()?, cursor.number()?);
                What::BlobStored { digest: self.digest(digest)?, size }
            }
            code::BLOB_EVICTED => What::BlobEvicted { digest: self.digest(cursor.small()?)? },
            code::PREFETCHED => {
                let (digest, size, outcome) = (cursor.small()?, cursor.number()?, cursor.byte()?);
                let outcome = *OUTCOMES.get(usize::from(outcome)).ok_or(Malformed)?;
                What::Prefetched { digest: self.digest(digest)?, size, outcome }
            }
            _ => return Err(Fault::Malformed),
        };
        Ok(Event { at, what })
    }

    /// All is read before anything is looked up: an event that is lost ends where it would have.
    fn request(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<Request, Fault> {
        let Numbers { who, client, digest } = self.numbers(first, cursor)?;
        let word = cursor.byte()?;
        let kind = *KINDS.get(usize::from(word & 15)).ok_or(Malformed)?;
        let source = *SOURCES.get(usize::from(word >> 4)).ok_or(Malformed)?;
        let status = if first & short::OK == 0 { cursor.small()?.try_into().map_err(|_| Malformed)? } else { 200 };
        let (bytes, first_byte) = (cursor.number()?, cursor.small()?);
        let total = i64::from(first_byte).checked_add(cursor.difference()?).and_then(|total| total.try_into().ok());
        let total = total.ok_or(Malformed)?;
        Ok(Request {
            customer: who.customer.checked_sub(1).map(|number| self.texts.get(number).cloned()).transpose()?,
            region: self.texts.get(who.region)?.clone(),
            client: *self.clients.get(client)?,
            repository: self.repository(who.repository)?,
            tag: who.tag.checked_sub(1).map(|number| self.tags.get(number).cloned()).transpose()?,
            digest: self.digest_or_none(digest)?,
            kind,
            status,
            bytes,
            source,
            first_byte,
            total,
            complete: first & short::COMPLETE != 0,
        })
    }

    fn numbers(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<Numbers, Malformed> {
        let client = cursor.small()?;
        if client as usize >= self.clients.len() {
            return Err(Malformed);
        }
        if self.recent.len() <= client as usize {
            self.recent.resize(self.clients.len(), Recent::default());
        }
        let recent = &mut self.recent[client as usize];
        if first & (short::SAME_WHO | short::SAME_WHERE) != 0 && recent.block != self.block {
            return Err(Malformed);
        }
        recent.block = self.block;
        if first & short::SAME_WHO == 0 {
            (recent.customer, recent.region) = (cursor.small()?, cursor.small()?);
        }
        if first & short::SAME_WHERE == 0 {
            (recent.repository, recent.tag) = (cursor.small()?, cursor.small()?);
        }
        Ok(Numbers { who: *recent, client, digest: cursor.small()? })
    }

    fn manifest_seen(&self, cursor: &mut Cursor<'_>) -> Result<ManifestSeen, Fault> {
        let mut lost = false;
        let mut there = |found: Result<Option<Layer>, Malformed>| -> Result<Option<Layer>, Malformed> {
            let found = found?;
            lost |= found.is_none();
            Ok(found)
        };
        let (parts, repository) = (cursor.byte()?, cursor.small()?);
        let manifest = there(self.layer(cursor))?;
        let config = if parts & part::CONFIG == 0 { None } else { there(self.layer(cursor))? };
        // A layer takes three bytes at least.
        let count = cursor.small()? as usize;
        let mut layers = Vec::with_capacity(count.min(cursor.left() / 3));
        for _ in 0..count {
            layers.extend(there(self.layer(cursor))?);
        }
        let mut manifests = None;
        if parts & part::MANIFESTS != 0 {
            let count = cursor.small()? as usize;
            let mut children = Vec::with_capacity(count.min(cursor.left() / 4));
            for _ in 0..count {
                let (manifest, platform) = (there(self.layer(cursor))?, cursor.small()?);
                let platform = platform.checked_sub(1).map(|number| self.texts.get(number));
                children.push((manifest, platform));
            }
            manifests = Some(children);
        }
        let number = |bit, cursor: &mut Cursor<'_>| if parts & bit == 0 { Ok(None) } else { cursor.number().map(Some) };
        let (subject, base) = (number(part::SUBJECT, cursor)?, number(part::BASE, cursor)?);
        let created = number(part::CREATED, cursor)?;
        let (Some(manifest), false) = (manifest, lost) else { return Err(Fault::Lost) };
        let children = manifests.map(|children| {
            let children = children.into_iter().map(|(manifest, platform)| {
                let platform = platform.transpose()?.map(|platform| platform.to_string());
                Ok(Child { manifest: manifest.ok_or(Fault::Lost)?, platform })
            });
            children.collect::<Result<Vec<_>, Fault>>()
        });
        let named = |number: Option<u64>| {
            let number = number.map(|number| u32::try_from(number).map_err(|_| Fault::Malformed)).transpose()?;
            number.map(|number| self.digest(number)).transpose()
        };
        Ok(ManifestSeen {
            repository: self.repository(repository)?,
            manifest,
            config,
            layers,
            manifests: children.transpose()?,
            subject: named(subject)?,
            base: named(base)?,
            created,
        })
    }

    /// `None` when it is lost.
    fn layer(&self, cursor: &mut Cursor<'_>) -> Result<Option<Layer>, Malformed> {
        let (digest, size, media_type) = (cursor.small()?, cursor.number()?, cursor.small()?);
        match (self.digests.get(digest), self.media_types.get(media_type)) {
            (Ok(digest), Ok(media_type)) => Ok(Some(Layer { digest: *digest, size, media_type: media_type.clone() })),
            (Err(Fault::Malformed), _) | (_, Err(Fault::Malformed)) => Err(Malformed),
            _ => Ok(None),
        }
    }

    fn repository(&self, number: u32) -> Result<Repository, Fault> {
        self.repositories.get(number).cloned()
    }

    fn digest(&self, number: u32) -> Result<Digest, Fault> {
        self.digests.get(number).copied()
    }

    fn digest_or_none(&self, number: u32) -> Result<Option<Digest>, Fault> {
        number.checked_sub(1).map(|number| self.digest(number)).transpose()
    }
}

fn repository(texts: &Table<Arc<str>>, cursor: &mut Cursor<'_>) -> Result<Option<Repository>, Malformed> {
    let (route, private, name) = (cursor.small()?, cursor.byte()? != 0, cursor.text(RepositoryName::MAX_LEN)?);
    let found = texts.get(route).cloned().ok().zip(name.parse().ok());
    Ok(found.map(|(route, name)| Repository { route, name, private }))
}

fn digest(cursor: &mut Cursor<'_>) -> Result<Option<Digest>, Malformed> {
    let algorithm = match cursor.byte()? {
        1 => Algorithm::Sha256,
        2 => Algorithm::Sha512,
        _ => return Err(Malformed),
    };
    Ok(Digest::from_bytes(algorithm, cursor.take(algorithm.digest_len())?))
}

/// Eight bytes, of as many.
fn array(bytes: &[u8]) -> [u8; 8] {
    std::array::from_fn(|i| bytes[i])
}
