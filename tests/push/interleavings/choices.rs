//! What a walk may choose between.

use super::{CUSTOMERS, TAGS, Walker};
use crate::{
    content::{Blob, OCI_INDEX, OCI_MANIFEST},
    documents::{bare, empty_json, image_of, index_of, referring, written},
    model::Document,
};

impl Walker {
    pub(super) fn repository(&mut self) -> &'static str {
        self.names[self.rng.usize(..self.names.len())]
    }

    pub(super) fn customer(&mut self) -> &'static str {
        CUSTOMERS[self.rng.usize(..CUSTOMERS.len())]
    }

    pub(super) fn tag(&mut self) -> &'static str {
        TAGS[self.rng.usize(..TAGS.len())]
    }

    pub(super) fn content(&mut self) -> Blob {
        self.contents[self.rng.usize(..self.contents.len())].clone()
    }

    pub(super) fn document(&mut self) -> Document {
        self.documents[self.rng.usize(..self.documents.len())].clone()
    }

    /// Mostly an upload of late, asked for as its owner does; sometimes by a stranger, or through the other repository.
    pub(super) fn somebodys_upload(&mut self) -> Option<(usize, &'static str, &'static str, String)> {
        let last = self.model.uploads.len().checked_sub(1)?;
        let at = last - self.rng.usize(0..=last.min(4));
        let upload = self.model.uploads[at].clone();
        let (mut name, mut customer) = (upload.repository, upload.customer);
        match self.rng.u32(0..10) {
            0 => name = self.repository(),
            1 => customer = self.customer(),
            _ => {}
        }
        Some((at, name, customer, upload.location.replace(upload.repository, name)))
    }

    /// The contents that an upload can still become.
    pub(super) fn futures(&self, bytes: &[u8]) -> Vec<Blob> {
        self.contents.iter().filter(|content| content.bytes.starts_with(bytes)).cloned().collect()
    }

    /// Some more bytes: mostly such that a content can come of it.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let rest = self.rest(bytes);
        let end = self.rng.usize(0..=rest.len());
        rest[..end].to_vec()
    }

    /// What is missing to a content; something or other, when none is possible any more.
    pub(super) fn rest(&mut self, bytes: &[u8]) -> Vec<u8> {
        let futures = self.futures(bytes);
        if futures.is_empty() || self.rng.u32(0..15) == 0 {
            return vec![self.rng.u8(..); self.rng.usize(0..50)];
        }
        futures[self.rng.usize(..futures.len())].bytes[bytes.len()..].to_vec()
    }
}

/// Manifests that need different things.
pub(super) fn documents(contents: &[Blob]) -> Vec<Document> {
    let digests = |blobs: &[&Blob]| blobs.iter().map(|blob| blob.digest.clone()).collect::<Vec<_>>();
    let image = |config: &Blob, layers: &[&Blob]| Document {
        blob: written(&image_of(config, layers)),
        media_type: OCI_MANIFEST,
        needs_blobs: digests(&[&[config], layers].concat()),
        needs_manifests: Vec::new(),
        subject: None,
    };
    let images = [
        Document { blob: bare(1), needs_blobs: digests(&[&empty_json()]), ..image(&empty_json(), &[]) },
        image(&contents[1], &[&contents[0], &contents[2]]),
        image(&contents[3], &[&contents[4], &contents[5], &contents[4]]),
    ];
    let index = Document {
        blob: written(&index_of(&[images[0].blob.descriptor(OCI_MANIFEST), images[1].blob.descriptor(OCI_MANIFEST)])),
        media_type: OCI_INDEX,
        needs_blobs: Vec::new(),
        needs_manifests: digests(&[&images[0].blob, &images[1].blob]),
        subject: None,
    };
    let referrers = [("x/a", &images[0].blob), ("x/b", &images[0].blob), ("x/a", &index.blob)].map(|(kind, subject)| Document {
        blob: referring(subject, kind, serde_json::json!({})),
        subject: Some(subject.digest.clone()),
        ..image(&empty_json(), &[])
    });
    images.into_iter().chain([index]).chain(referrers).collect()
}
