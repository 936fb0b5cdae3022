//! Blobs of hosted repositories.

use std::{fs::File, io, sync::Arc};

use bytes::Bytes;

use super::{Blob, Hosted, RegistryError, RegistryErrorKind, catalog_failed, storage_failed, upload::Upload, uploads::Landed};
use crate::{
    oci::{Digest, RepositoryName},
    telemetry::{CacheStatus, TierName},
};

impl Hosted {
    pub(in crate::registry) async fn blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Blob, RegistryError> {
        let size = self.blob_size(name, digest)?;
        self.content(digest, size).await.map(Blob::hit)
    }

    pub(in crate::registry) fn blob_head(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<(Option<u64>, CacheStatus), RegistryError> {
        Ok((Some(self.blob_size(name, digest)?), CacheStatus::Hit(TierName::Catalog)))
    }

    fn blob_size(&self, name: &RepositoryName, digest: &Digest) -> Result<u64, RegistryError> {
        let size = self.shared.catalog.hosted_blob(name, digest).map_err(catalog_failed)?;
        size.ok_or_else(|| RegistryError::unknown(RegistryErrorKind::BlobUnknown))
    }

    /// Makes a blob of a hosted repository, of `from` or of whichever, one of `name` too. False when it cannot be.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub async fn mount(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<bool, RegistryError> {
        let _claim = self.shared.claims.share(digest).await;
        self.shared.catalog.mount_hosted_blob(name, digest, from).await.map_err(catalog_failed)
    }

    /// Takes a blob out of a repository. Other repositories keep it.
    ///
    /// # Errors
    /// `BlobUnknown`.
    pub async fn delete_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<(), RegistryError> {
        match self.shared.catalog.unlink_hosted_blob(name, digest).await.map_err(catalog_failed)? {
            true => Ok(()),
            false => Err(RegistryError::unknown(RegistryErrorKind::BlobUnknown)),
        }
    }

    /// Makes a small content a blob: bytes and row, in one.
    pub(super) async fn land_inline(&self, upload: &Upload, content: Bytes, digest: &Digest) -> Result<(), RegistryError> {
        let (name, size) = (&upload.owner.repository, content.len() as u64);
        self.shared.catalog.link_hosted_blob(name, digest, size, Some(content)).await.map_err(catalog_failed)?;
        if let Some(id) = upload.recorded() {
            let hosted = self.clone();
            // Left behind, it would be begun again at the next start.
            let _ = blocking(move || {
                hosted.shared.uploads.staging.remove(&id);
                Ok(())
            })
            .await;
        }
        Ok(())
    }

    /// Makes the file of an upload a blob: bytes, name and row, each durable before the next. After a crash in between, the
    /// upload is as it was, or [`Self::recover`] completes it.
    pub(super) async fn land(&self, upload: &Upload, file: Arc<File>, digest: &Digest, size: u64) -> Result<(), RegistryError> {
        let _claim = self.shared.claims.share(digest).await;
        let (hosted, digest, id, recorded) = (self.clone(), *digest, upload.id.to_string(), upload.recorded());
        let adopting = blocking(move || {
            let staging = &hosted.shared.uploads.staging;
            file.sync_all()?;
            if let Some(id) = &recorded {
                staging.finishing(id, &digest)?;
            }
            let adopted = hosted.shared.tiers.hosted().adopt(&digest, &file, &staging.path(&id));
            if adopted.is_err() {
                // What could not be synced is not to be trusted again.
                staging.finished(&id, &digest);
                staging.remove(&id);
            }
            adopted
        });
        adopting.await.map_err(|error| storage_failed("keeping a blob", error))?;
        self.shared.catalog.link_hosted_blob(&upload.owner.repository, &digest, size, None).await.map_err(catalog_failed)?;
        if let Some(id) = upload.recorded() {
            let hosted = self.clone();
            // Left behind, it would be completed once more at the next start.
            let _ = blocking(move || {
                hosted.shared.uploads.staging.finished(&id, &digest);
                Ok(())
            })
            .await;
        }
        Ok(())
    }

    /// Completes what a crash has interrupted between name and row.
    pub(super) async fn recover(&self, landed: Vec<Landed>) -> Result<(), RegistryError> {
        for Landed { id, repository, digest } in landed {
            if let Some(found) = self.shared.tiers.lookup_hosted(&digest).await {
                tracing::info!(%repository, %digest, "a push that a crash had interrupted is completed");
                self.shared.catalog.link_hosted_blob(&repository, &digest, found.size, None).await.map_err(catalog_failed)?;
            }
            self.shared.uploads.staging.finished(&id, &digest);
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
