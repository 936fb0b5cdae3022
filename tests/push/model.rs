//! What a registry must answer, in a few maps. It shares nothing with the server but the specification.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::content::{Blob, sha256};

/// A manifest as the model knows it: what it needs to be there, and what it refers to.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) blob: Blob,
    pub(crate) media_type: &'static str,
    pub(crate) needs_blobs: Vec<String>,
    pub(crate) needs_manifests: Vec<String>,
    pub(crate) subject: Option<String>,
}

/// What a repository holds.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// Whether anything was ever pushed to it.
    pub(crate) is_known: bool,
    pub(crate) blobs: BTreeSet<String>,
    pub(crate) manifests: BTreeMap<String, Document>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An upload, open or not any more.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) location: String,
    pub(crate) repository: &'static str,
    pub(crate) customer: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_open: bool,
}

/// Everything there is.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) repositories: BTreeMap<&'static str, Repository>,
    pub(crate) uploads: Vec<Upload>,
}

impl Model {
    pub(crate) fn repository(&mut self, name: &'static str) -> &mut Repository {
        self.repositories.entry(name).or_default()
    }

    /// Whether some repository could give a blob to another one.
    pub(crate) fn has_anywhere(&self, digest: &str) -> bool {
        self.repositories.values().any(|repository| repository.blobs.contains(digest))
    }

    /// Takes bytes into a repository: the status of a push of all bytes at once.
    pub(crate) fn push(&mut self, name: &'static str, bytes: &[u8], digest: &str) -> u16 {
        if sha256(bytes) != digest {
            return 400;
        }
        let repository = self.repository(name);
        repository.is_known = true;
        repository.blobs.insert(digest.to_owned());
        201
    }
}

impl Upload {
    /// Whether who asks there finds this upload.
    pub(crate) fn answers(&self, repository: &str, customer: &str) -> bool {
        self.is_open && self.repository == repository && self.customer == customer
    }

    /// The `Range` that is told.
    pub(crate) fn range(&self) -> String {
        format!("0-{}", self.bytes.len().saturating_sub(1))
    }
}

impl Repository {
    /// Takes a manifest in, under a tag or only under its digest: the status.
    pub(crate) fn push_manifest(&mut self, reference: &str, document: &Document) -> u16 {
        let has_blobs = document.needs_blobs.iter().all(|digest| self.blobs.contains(digest));
        let has_manifests = document.needs_manifests.iter().all(|digest| self.manifests.contains_key(digest));
        if !has_blobs || !has_manifests {
            return 400;
        }
        self.is_known = true;
        self.manifests.insert(document.blob.digest.clone(), document.clone());
        if reference != document.blob.digest {
            self.tags.insert(reference.to_owned(), document.blob.digest.clone());
        }
        201
    }

    /// The bytes under a tag or digest.
    pub(crate) fn manifest(&self, reference: &str) -> Option<Bytes> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        Some(self.manifests.get(digest)?.blob.bytes.clone())
    }

    pub(crate) fn delete_manifest(&mut self, reference: &str) -> u16 {
        if self.tags.remove(reference).is_some() {
            return 202;
        }
        if self.manifests.remove(reference).is_none() {
            return 404;
        }
        self.tags.retain(|_, digest| digest != reference);
        202
    }

    /// The digests of what refers to a digest.
    pub(crate) fn referrers(&self, digest: &str) -> BTreeSet<String> {
        let refers = |document: &&Document| document.subject.as_deref() == Some(digest);
        self.manifests.values().filter(refers).map(|document| document.blob.digest.clone()).collect()
    }
}
