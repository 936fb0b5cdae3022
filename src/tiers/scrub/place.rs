//! Where the files lie that a scrub hashes, and what becomes of those that are wrong.

use std::{
    fs, io,
    os::unix::fs::DirEntryExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::super::{ContentStore, Disk, Tier, file_state};
use crate::{
    oci::{Algorithm, Digest},
    telemetry::TierName,
};

/// A disk tier, or what was pushed. Cheap to clone. Everything here blocks.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A cache: what is wrong is taken away, and fetched again.
    Disk(Disk),
    /// The only copy: what is wrong is told of, and stays.
    Hosted(ContentStore),
}

/// The files whose digests begin alike.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) algorithm: Algorithm,
    path: PathBuf,
}

/// A file that is named by a digest.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
}

impl Place {
    /// What it is called in metrics and reports.
    pub(super) fn label(&self) -> Arc<str> {
        match self {
            Self::Disk(disk) => disk.label().clone(),
            Self::Hosted(_) => TierName::Hosted.as_str().into(),
        }
    }

    /// Number of files and their bytes.
    pub(super) fn usage(&self) -> io::Result<(u64, u64)> {
        match self {
            Self::Disk(disk) => {
                let usage = disk.usage();
                Ok((usage.entries, usage.bytes))
            }
            Self::Hosted(store) => {
                store.visit(|_| {})?;
                Ok(store.usage())
            }
        }
    }

    /// All shards, in order.
    pub(super) fn shards(&self) -> io::Result<Vec<Shard>> {
        let root = match self {
            Self::Disk(disk) => disk.blobs(),
            Self::Hosted(store) => store.folder(),
        };
        let mut shards = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for shard in fs::read_dir(root.join(algorithm.as_str()))? {
                shards.push(Shard { algorithm, path: shard?.path() });
            }
        }
        shards.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(shards)
    }

    /// The length that a content should have, where that is known.
    pub(super) fn known_size(&self, digest: &Digest) -> Option<u64> {
        match self {
            Self::Disk(disk) => disk.index().lock().size(digest),
            Self::Hosted(_) => None,
        }
    }

    /// A file that was hashed in this state is right.
    pub(super) fn approve(&self, digest: &Digest, stamp: u32) {
        if let Self::Disk(disk) = self {
            disk.approve(digest, stamp);
        }
    }

    /// A file in this state is wrong. False when it has gone or been replaced meanwhile, which is no fault.
    pub(super) fn condemn(&self, entry: &Entry, stamp: u32) -> bool {
        match self {
            Self::Disk(disk) => disk.condemn(&entry.digest, stamp),
            Self::Hosted(_) => state(&entry.path) == Some(stamp),
        }
    }
}

impl Shard {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What lies in it, in the order in which it is likely to lie on the device. Strangers are left out.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            let name = file.file_name();
            let digest = name.to_str().and_then(|hex| format!("{}:{hex}", self.algorithm.as_str()).parse().ok());
            entries.extend(digest.map(|digest| (file.ino(), Entry { digest, path: file.path() })));
        }
        entries.sort_by_key(|(inode, _)| *inode);
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }
}

/// The state of what lies at a path; `None` when that cannot be told.
pub(super) fn state(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| file_state::stamp(&metadata))
}
