//! Links as transfers make them.

use std::sync::Arc;

use crate::{
    catalog::{Catalog, Link, Repository},
    fill::{Ledger, Source},
    oci::Digest,
};

/// Writes into the catalog what transfers tell.
#[derive(Debug)]
pub(super) struct Links {
    catalog: Arc<Catalog>,
}

impl Links {
    pub(super) fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// Nobody waits until it is durable: a link that a crash takes away is asked for again.
    fn put(&self, source: &Source, digest: &Digest, size: Option<u64>) {
        let repository = Repository { route: source.route.clone(), name: source.repository.clone() };
        drop(self.catalog.put_link(&repository, digest, Link { size, media_type: None }));
    }
}

impl Ledger for Links {
    fn granted(&self, source: &Source, digest: &Digest) {
        // What an upstream announces as the length is not to be relied on.
        self.put(source, digest, None);
    }

    fn verified(&self, source: &Source, digest: &Digest, size: u64) {
        self.put(source, digest, Some(size));
    }
}
