//! All uploads under way.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    Hosted, RegistryError, RegistryErrorKind as Kind,
    accounts::Accounts,
    storage_failed,
    upload::{Chunk, Incomplete, Owner, Progress, State, Upload, UploadId},
    writeback::Writeback,
    writing::Writing,
};
use crate::{
    customers::Customer,
    oci::{Algorithm, Digest, RepositoryName},
    tiers::{Staged, Staging},
};

/// How long a request waits for another one that writes to the same upload: its connection may have broken a moment ago.
const PATIENCE: Duration = Duration::from_secs(2);

/// The table of uploads; those of earlier runs are in it.
#[derive(Debug)]
pub(super) struct Uploads {
    pub(super) staging: Staging,
    pub(super) accounts: Accounts,
    table: Mutex<HashMap<UploadId, Arc<Upload>>>,
}

/// An upload whose bytes have become a content that no row names yet.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) id: String,
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
}

/// What is recorded of an upload beside its bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    repository: String,
    /// Absent for a customer without a name.
    customer: Option<String>,
    /// The algorithm of its digest, as far as the client told.
    algorithm: String,
}

impl Hosted {
    /// Begins an upload. `algorithm` is what its digest will be of; a wrong guess costs reading the bytes once more.
    ///
    /// # Errors
    /// `TooMany` beyond what the customer may have under way; `StorageFull`.
    pub async fn begin(&self, owner: Owner, algorithm: Option<Algorithm>) -> Result<Progress, RegistryError> {
        let upload = self.admit(owner, algorithm, true)?;
        let (id, record) = (upload.id, serde_json::to_vec(&Record::of(&upload)).unwrap_or_default());
        let hosted = self.clone();
        let creating = async move {
            let staging = hosted.clone();
            let created =
                tokio::task::spawn_blocking(move || staging.shared.uploads.staging.create(&id.to_string(), &record)).await;
            let uploads = &hosted.shared.uploads;
            if let Err(error) = created.unwrap_or_else(|error| Err(io::Error::other(error))) {
                uploads.accounts.close(&upload.owner.customer, 0);
                return Err(storage_failed("beginning an upload", error));
            }
            uploads.table.lock().insert(id, Arc::new(upload));
            Ok(Progress { id, received: 0 })
        };
        self.detached(creating).await
    }

    /// Begins an upload that is finished by the same request, or never: nobody is told of it.
    ///
    /// # Errors
    /// `TooMany`, as [`Self::begin`].
    pub fn receive(&self, owner: Owner, algorithm: Option<Algorithm>) -> Result<Writing, RegistryError> {
        let upload = Arc::new(self.admit(owner, algorithm, false)?);
        // Nobody else has ever held it.
        let state = upload.state.clone().try_lock_owned().map_err(|error| RegistryError::internal("an upload", error))?;
        Ok(Writing::new(self.clone(), upload, state, None, Incomplete::Drop))
    }

    fn admit(&self, owner: Owner, algorithm: Option<Algorithm>, is_recorded: bool) -> Result<Upload, RegistryError> {
        if !self.shared.uploads.accounts.open(&owner.customer, self.shared.policy.load().max_uploads) {
            let message = "too many uploads under way (hosted.max_uploads): finish or cancel some";
            return Err(RegistryError::new(Kind::TooMany, message));
        }
        let algorithm = algorithm.unwrap_or(Algorithm::Sha256);
        Ok(Upload::new(UploadId::new(), owner, algorithm, 0, SystemTime::now(), is_recorded))
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// `UploadUnknown`, also when it is somebody else's.
    pub fn progress(&self, owner: &Owner, id: &str) -> Result<Progress, RegistryError> {
        let upload = self.shared.uploads.find(owner, id)?;
        Ok(Progress { id: upload.id, received: upload.received.load(Ordering::Acquire) })
    }

    /// Writes to an upload, once nobody else does. With `chunk`, what comes has to be exactly that and follow what is there.
    /// `closing` tells that the upload will be finished with this.
    ///
    /// # Errors
    /// `UploadUnknown`; `UploadBusy` when somebody else goes on writing; `OutOfOrder` when the chunk does not follow.
    pub async fn write(&self, owner: &Owner, id: &str, chunk: Option<Chunk>, closing: bool) -> Result<Writing, RegistryError> {
        let upload = self.shared.uploads.find(owner, id)?;
        let state = tokio::time::timeout(PATIENCE, upload.state.clone().lock_owned()).await;
        let Ok(state) = state else {
            return Err(RegistryError::new(Kind::UploadBusy, "another request is writing to this upload"));
        };
        if upload.ended.load(Ordering::Acquire) {
            return Err(RegistryError::unknown(Kind::UploadUnknown));
        }
        let received = state.received;
        if chunk.is_some_and(|chunk| chunk.start != received) {
            let message = format!("the chunk does not follow what was received: the next byte is at {received}");
            return Err(RegistryError::new(Kind::OutOfOrder { received }, message));
        }
        let incomplete = if closing || chunk.is_some() { Incomplete::Drop } else { Incomplete::Keep };
        Ok(Writing::new(self.clone(), upload, state, chunk, incomplete))
    }

    /// Gives an upload up. Who is writing to it is told at the next write.
    ///
    /// # Errors
    /// `UploadUnknown`.
    pub async fn cancel(&self, owner: &Owner, id: &str) -> Result<(), RegistryError> {
        let upload = self.shared.uploads.find(owner, id)?;
        if upload.ended.swap(true, Ordering::AcqRel) {
            return Err(RegistryError::unknown(Kind::UploadUnknown));
        }
        let hosted = self.clone();
        self.detached(async move {
            hosted.shared.uploads.give_up(&upload).await;
            Ok(())
        })
        .await
    }
}

impl Uploads {
    /// Takes up what earlier runs have left. Tells which of it has only to be completed.
    pub(super) fn open(staging: Staging) -> io::Result<(Self, Vec<Landed>)> {
        let uploads = Self { staging, accounts: Accounts::default(), table: Mutex::default() };
        let mut landed = Vec::new();
        for staged in uploads.staging.list()? {
            match (Upload::restore(&staged), staged.landed) {
                (Some(upload), Some(digest)) => {
                    landed.push(Landed { id: staged.id, repository: upload.owner.repository, digest });
                }
                (Some(upload), None) => {
                    uploads.accounts.open(&upload.owner.customer, usize::MAX);
                    uploads.accounts.add(&upload.owner.customer, staged.size, u64::MAX);
                    uploads.table.lock().insert(upload.id, Arc::new(upload));
                }
                (None, landed) => {
                    // After a power cut a record may be empty.
                    tracing::warn!(upload = %staged.id, "the record of an upload cannot be read: it is given up");
                    if let Some(digest) = landed {
                        uploads.staging.finished(&staged.id, &digest);
                    }
                    uploads.staging.remove(&staged.id);
                }
            }
        }
        Ok((uploads, landed))
    }

    fn find(&self, owner: &Owner, id: &str) -> Result<Arc<Upload>, RegistryError> {
        let id = id.parse::<UploadId>().ok();
        let found = id.and_then(|id| self.table.lock().get(&id).cloned()).filter(|upload| upload.owner == *owner);
        found.ok_or_else(|| RegistryError::unknown(Kind::UploadUnknown))
    }

    /// Gives up what nobody has written to for `ttl`.
    pub(super) async fn expire(&self, ttl: Duration) {
        let is_old = |upload: &Upload| upload.touched.lock().elapsed().is_ok_and(|idle| idle >= ttl);
        let old: Vec<_> = self.table.lock().values().filter(|upload| is_old(upload)).cloned().collect();
        for upload in old {
            // Whoever is writing has only been slow.
            let is_free = upload.state.try_lock().is_ok();
            if is_free && !upload.ended.swap(true, Ordering::AcqRel) {
                tracing::info!(upload = %upload.id, repository = %upload.owner.repository, "an upload is given up: its time is over");
                self.give_up(&upload).await;
            }
        }
    }

    /// Deletes an upload that has ended, once its writer has noticed.
    async fn give_up(&self, upload: &Arc<Upload>) {
        self.table.lock().remove(&upload.id);
        let charged = match tokio::time::timeout(PATIENCE, upload.state.lock()).await {
            Ok(state) => state.charged,
            Err(_) => upload.received.load(Ordering::Acquire),
        };
        self.forget(upload, charged);
        self.staging.remove(&upload.id.to_string());
    }

    /// Gives up an upload that nobody was told of.
    pub(super) fn discard(&self, upload: &Upload, state: &State) {
        self.forget(upload, state.charged);
        if state.file.is_some() {
            self.staging.remove(&upload.id.to_string());
        }
    }

    /// Takes an upload that has ended off the table and, once, off its customer's account.
    pub(super) fn forget(&self, upload: &Upload, charged: u64) {
        if !upload.closed.swap(true, Ordering::AcqRel) {
            self.table.lock().remove(&upload.id);
            self.accounts.close(&upload.owner.customer, charged);
        }
    }
}

impl Upload {
    fn new(id: UploadId, owner: Owner, algorithm: Algorithm, received: u64, touched: SystemTime, is_recorded: bool) -> Self {
        let hasher = (received == 0).then(|| algorithm.hasher());
        let state = State { received, charged: received, hasher, file: None, held: None, writeback: Writeback::default() };
        Self {
            id,
            owner,
            algorithm,
            state: Arc::new(tokio::sync::Mutex::new(state)),
            received: AtomicU64::new(received),
            touched: Mutex::new(touched),
            ended: AtomicBool::new(false),
            turn: Arc::default(),
            closed: AtomicBool::new(false),
            is_recorded,
        }
    }

    /// Its name in the staging area, if something of it lies there.
    pub(super) fn recorded(&self) -> Option<String> {
        self.is_recorded.then(|| self.id.to_string())
    }

    fn restore(staged: &Staged) -> Option<Self> {
        let record: Record = serde_json::from_slice(&staged.record).ok()?;
        let customer = Customer::from_header(record.customer.as_deref());
        let owner = Owner { repository: record.repository.parse().ok()?, customer };
        Some(Self::new(staged.id.parse().ok()?, owner, record.algorithm.parse().ok()?, staged.size, staged.written, true))
    }
}

impl Record {
    fn of(upload: &Upload) -> Self {
        Self {
            repository: upload.owner.repository.to_string(),
            customer: upload.owner.customer.name().map(str::to_owned),
            algorithm: upload.algorithm.as_str().to_owned(),
        }
    }
}
