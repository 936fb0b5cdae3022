//! Writing to an upload, and making a blob of it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;

use super::{
    Hosted, INLINE, RegistryError, RegistryErrorKind as Kind, storage_failed,
    upload::{Chunk, Incomplete, Progress, State, Upload},
};
use crate::oci::{Algorithm, Digest, Hasher};

/// A request that writes to an upload. Dropped before [`Self::keep`] or [`Self::finish`], it leaves the upload as it was if
/// it was to bring a certain chunk or the end, and what it has brought so far otherwise.
#[derive(Debug)]
pub struct Writing {
    hosted: Hosted,
    upload: Arc<Upload>,
    state: OwnedMutexGuard<State>,
    /// What to go back to.
    before: (u64, Option<Hasher>),
    chunk: Option<Chunk>,
    incomplete: Incomplete,
    turn: u64,
}

impl Writing {
    pub(super) fn new(
        hosted: Hosted,
        upload: Arc<Upload>,
        state: OwnedMutexGuard<State>,
        chunk: Option<Chunk>,
        incomplete: Incomplete,
    ) -> Self {
        let before = (state.received, state.hasher.clone());
        let turn = *upload.turn.lock();
        Self { hosted, upload, state, before, chunk, incomplete, turn }
    }

    /// Prepares for `length` bytes that have been announced.
    ///
    /// # Errors
    /// `TooLarge` when they are more than the customer may hold.
    pub fn expect(&self, length: u64) -> Result<(), RegistryError> {
        let most = self.most();
        if self.hosted.shared.uploads.accounts.has_room(&self.upload.owner.customer, length, most) {
            return Ok(());
        }
        Err(too_large(most))
    }

    fn most(&self) -> u64 {
        self.hosted.shared.policy.load().max_upload_bytes.as_u64()
    }

    /// Appends `bytes`, in order. Cancelling it loses the writing.
    ///
    /// # Errors
    /// `SizeInvalid` beyond the end of the chunk; `TooLarge` beyond what the customer may hold; `UploadUnknown` when the
    /// upload was given up meanwhile; `StorageFull`.
    pub async fn write(&mut self, bytes: Vec<Bytes>) -> Result<(), RegistryError> {
        let length: u64 = bytes.iter().map(|bytes| bytes.len() as u64).sum();
        if self.upload.ended.load(Ordering::Acquire) {
            return Err(RegistryError::unknown(Kind::UploadUnknown));
        }
        if self.chunk.is_some_and(|chunk| self.written() + length > chunk.length) {
            return Err(RegistryError::new(Kind::SizeInvalid, "the body is longer than its Content-Range"));
        }
        let most = self.most();
        if !self.hosted.shared.uploads.accounts.add(&self.upload.owner.customer, length, most) {
            return Err(too_large(most));
        }
        self.state.charged += length;
        if self.may_hold(length) {
            self.hold(&bytes);
            return Ok(());
        }
        self.put(bytes).await
    }

    /// Whether `length` more bytes need no file: they are forgotten when this request comes to nothing, and it begins with
    /// nothing.
    fn may_hold(&self, length: u64) -> bool {
        let is_whole = self.incomplete == Incomplete::Drop && self.chunk.is_none() && self.before.0 == 0;
        is_whole && self.state.file.is_none() && self.state.received + length <= INLINE
    }

    fn hold(&mut self, bytes: &[Bytes]) {
        let state = &mut *self.state;
        let held = state.held.get_or_insert_default();
        for piece in bytes {
            held.extend_from_slice(piece);
            if let Some(hasher) = &mut state.hasher {
                hasher.update(piece);
            }
            state.received += piece.len() as u64;
        }
    }

    /// Writes what was held so far, and `bytes` after it.
    async fn put(&mut self, bytes: Vec<Bytes>) -> Result<(), RegistryError> {
        let file = self.file().await?;
        let held = self.state.held.take().unwrap_or_default();
        let length = held.len() as u64 + bytes.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        let (mut hasher, mut offset) = (self.state.hasher.take(), self.state.received);
        let (turn, own) = (self.upload.turn.clone(), self.turn);
        let into = file.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let turn = turn.lock();
            if *turn != own {
                return Err(io::Error::other("the request has ended"));
            }
            into.write_all_at(&held, offset - held.len() as u64)?;
            for piece in bytes {
                into.write_all_at(&piece, offset)?;
                if let Some(hasher) = &mut hasher {
                    hasher.update(&piece);
                }
                offset += piece.len() as u64;
            }
            Ok((hasher, offset))
        });
        let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (hasher, offset) = written.map_err(|error| storage_failed("writing an upload", error))?;
        (self.state.hasher, self.state.received) = (hasher, offset);
        if let Err(error) = self.state.writeback.wrote(length, &file).await {
            return Err(self.abandon(error));
        }
        if self.incomplete == Incomplete::Keep {
            self.upload.received.store(offset, Ordering::Release);
        }
        Ok(())
    }

    /// The request has come to its end; more may follow in others.
    ///
    /// # Errors
    /// `SizeInvalid` when it brought less than its chunk; `UploadUnknown` when the upload was given up meanwhile.
    pub fn keep(mut self) -> Result<Progress, RegistryError> {
        self.check_length()?;
        if self.upload.ended.load(Ordering::Acquire) {
            return Err(RegistryError::unknown(Kind::UploadUnknown));
        }
        self.incomplete = Incomplete::Keep;
        self.upload.touch();
        let received = self.state.received;
        self.upload.received.store(received, Ordering::Release);
        Ok(Progress { id: self.upload.id, received })
    }

    /// The upload has come to its end and becomes a blob of the repository: durable and linked when this returns. The caller
    /// may leave; it goes on.
    ///
    /// # Errors
    /// `DigestInvalid` and `SizeInvalid`, with the upload as it was before this request; `StorageFull`.
    pub async fn finish(mut self, digest: Digest) -> Result<(), RegistryError> {
        self.check_length()?;
        let hosted = self.hosted.clone();
        let finishing = async move {
            if self.digest(digest.algorithm()).await? != digest {
                let message = "the bytes that were received do not match the digest";
                return Err(RegistryError::new(Kind::DigestInvalid, message));
            }
            if self.upload.ended.swap(true, Ordering::AcqRel) {
                return Err(RegistryError::unknown(Kind::UploadUnknown));
            }
            let landed = match self.small().await {
                Ok(Some(content)) => self.hosted.land_inline(&self.upload, content, &digest).await,
                Ok(None) => self.land(&digest).await,
                Err(error) => Err(error),
            };
            if landed.is_ok() || self.state.received > INLINE {
                self.hosted.shared.uploads.forget(&self.upload, self.state.charged);
            } else {
                // Nothing has become of it.
                self.upload.ended.store(false, Ordering::Release);
            }
            landed
        };
        hosted.detached(finishing).await
    }

    /// Bytes that the upload has by now.
    pub fn received(&self) -> u64 {
        self.state.received
    }

    /// The digest of what was received: hashed as it came or, when that cannot be, from the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest, RegistryError> {
        let known = self.state.hasher.clone().map(Hasher::finish).filter(|digest| digest.algorithm() == algorithm);
        if let Some(digest) = known {
            return Ok(digest);
        }
        if let Some(held) = &self.state.held {
            return Ok(Digest::of(algorithm, held));
        }
        if self.state.received == 0 {
            return Ok(Digest::of(algorithm, b""));
        }
        let (file, size) = (self.file().await?, self.state.received);
        let hashing = tokio::task::spawn_blocking(move || hash(&file, algorithm, size)).await;
        hashing.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| storage_failed("reading an upload", error))
    }

    async fn land(&mut self, digest: &Digest) -> Result<(), RegistryError> {
        if let Err(error) = self.state.writeback.end().await {
            return Err(self.abandon(error));
        }
        let file = self.file().await?;
        self.hosted.land(&self.upload, file, digest, self.state.received).await
    }

    /// All that was received, if that is little enough for the catalog.
    async fn small(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let size = self.state.received;
        if size > INLINE {
            return Ok(None);
        }
        if size == 0 || self.state.held.is_some() {
            return Ok(Some(self.state.held.take().unwrap_or_default().freeze()));
        }
        let file = self.file().await?;
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, 0).map(|()| Some(bytes.into()))
        });
        reading
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| storage_failed("reading an upload", error))
    }

    async fn file(&mut self) -> Result<Arc<File>, RegistryError> {
        if let Some(file) = &self.state.file {
            return Ok(file.clone());
        }
        let (hosted, id) = (self.hosted.clone(), self.upload.id.to_string());
        let opening = tokio::task::spawn_blocking(move || hosted.shared.uploads.staging.file(&id)).await;
        let file = opening.unwrap_or_else(|error| Err(io::Error::other(error)));
        let file = file.map_err(|error| storage_failed("opening an upload", error))?;
        self.state.file = Some(file.clone());
        Ok(file)
    }

    /// The bytes could not be made durable, and may be lost in part without a further word: they are not to be trusted again.
    fn abandon(&self, error: io::Error) -> RegistryError {
        self.upload.ended.store(true, Ordering::Release);
        let uploads = &self.hosted.shared.uploads;
        uploads.forget(&self.upload, self.state.charged);
        uploads.staging.remove(&self.upload.id.to_string());
        storage_failed("syncing an upload", error)
    }

    fn written(&self) -> u64 {
        self.state.received - self.before.0
    }

    fn check_length(&self) -> Result<(), RegistryError> {
        match self.chunk {
            Some(chunk) if chunk.length != self.written() => {
                Err(RegistryError::new(Kind::SizeInvalid, "the body is shorter than its Content-Range"))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.upload.touch();
        if self.upload.ended.load(Ordering::Acquire) {
            return;
        }
        if !self.upload.is_recorded {
            self.hosted.shared.uploads.discard(&self.upload, &self.state);
            return;
        }
        if self.incomplete == Incomplete::Drop {
            self.state.held = None;
            (self.state.received, self.state.hasher) = (self.before.0, self.before.1.take());
        }
        let received = self.state.received;
        self.hosted.shared.uploads.accounts.release(&self.upload.owner.customer, self.state.charged - received);
        self.state.charged = received;
        // A write that is still under way ends before the next request's turn.
        *self.upload.turn.lock() += 1;
        // What lies beyond would count as received after a restart.
        if let Some(file) = &self.state.file
            && let Err(error) = file.metadata().and_then(|now| if now.len() > received { file.set_len(received) } else { Ok(()) })
        {
            tracing::warn!(upload = %self.upload.id, %error, "an upload cannot be cut back");
        }
    }
}

fn too_large(most: u64) -> RegistryError {
    RegistryError::new(Kind::TooLarge, format!("more than {most} bytes in uploads under way (hosted.max_upload_bytes)"))
}

fn hash(file: &File, algorithm: Algorithm, size: u64) -> io::Result<Digest> {
    let (mut hasher, mut buffer, mut offset) = (algorithm.hasher(), vec![0; 1 << 20], 0);
    while offset < size {
        let wanted = buffer.len().min((size - offset) as usize);
        file.read_exact_at(&mut buffer[..wanted], offset)?;
        hasher.update(&buffer[..wanted]);
        offset += wanted as u64;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_up_to_its_size() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes = vec![7; (1 << 20) + 5];
        io::Write::write_all(&mut file, &bytes).unwrap();
        for size in [0, 1, 1 << 20, bytes.len()] {
            let expected = Digest::of(Algorithm::Sha512, &bytes[..size]);
            assert_eq!(hash(&file, Algorithm::Sha512, size as u64).unwrap(), expected);
        }
        assert!(hash(&file, Algorithm::Sha512, bytes.len() as u64 + 1).is_err());
    }
}
