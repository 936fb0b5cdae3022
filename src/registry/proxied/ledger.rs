//! Links as transfers make them.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Observer, shared_records::SharedRecords};
use crate::{
    catalog::{Catalog, Link, Repository},
    fill::{Ledger, Source},
    oci::Digest,
};

/// Writes into the catalog what transfers tell.
#[derive(Debug)]
pub(super) struct Links {
    handle: Handle,
    catalog: Arc<Catalog>,
    records: Arc<SharedRecords>,
    observer: Observer,
}

impl Links {
    pub(super) fn new(handle: Handle, catalog: Arc<Catalog>, records: Arc<SharedRecords>, observer: Observer) -> Self {
        Self { handle, catalog, records, observer }
    }
}

fn repository(source: &Source) -> Repository {
    Repository { route: source.route.clone(), name: source.repository.clone() }
}

impl Ledger for Links {
    fn granted(&self, source: &Source, digest: &Digest) {
        // What an upstream announces as the length is not to be relied on. Nobody waits until the link is durable: one that a
        // crash takes away is asked for again.
        drop(self.catalog.put_link(&repository(source), digest, Link { size: None, media_type: None }));
    }

    fn verified(&self, source: &Source, digest: &Digest, size: u64) {
        // The upstream gave its leave at the beginning. A link that was purged since does not come back.
        let repository = repository(source);
        self.handle.spawn(self.catalog.size_link(&repository, digest, size));
        if matches!(self.catalog.link(&repository, digest), Ok(Some(_))) {
            self.records.put_link(&repository, digest, &Link { size: Some(size), media_type: None });
        }
    }

    fn kept(&self, digest: &Digest, size: u64) {
        self.observer.kept(digest, size);
    }
}
