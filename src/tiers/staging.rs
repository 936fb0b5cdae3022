//! Files of pushes under way: they survive a restart.
//!
//! ```text
//! <folder>/uploads/<id>                  the bytes so far
//! <folder>/uploads/<id>.json             whose they are
//! <folder>/uploads/<id>.sha256-3f0a…     the same, once the bytes are on their way to become that content
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::oci::Digest;

/// The folder of all pushes under way. Everything here blocks.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
}

/// A push that an earlier run has left.
#[derive(Debug)]
pub struct Staged {
    /// Its name.
    pub id: String,
    /// What was recorded of it.
    pub record: Vec<u8>,
    /// Its bytes so far.
    pub size: u64,
    /// When it was last written to.
    pub written: SystemTime,
    /// The content that its bytes have become: they are not here any more.
    pub landed: Option<Digest>,
}

impl Staging {
    /// Opens the staging area below `folder`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = folder.join("uploads");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// What earlier runs have left. Bytes without a record belong to nobody, and are deleted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Staged>> {
        let (mut staged, mut bytes) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            match path.extension() {
                Some(extension) => staged.extend(self.staged(&path, &extension.to_string_lossy())?),
                None => bytes.push(path),
            }
        }
        for path in bytes {
            if !staged.iter().any(|staged| path.ends_with(&staged.id)) {
                fs::remove_file(path)?;
            }
        }
        Ok(staged)
    }

    fn staged(&self, record: &Path, extension: &str) -> io::Result<Option<Staged>> {
        let Some(id) = record.file_stem().and_then(|stem| stem.to_str()) else { return Ok(None) };
        let finishing = extension.split_once('-').and_then(|(algorithm, hex)| format!("{algorithm}:{hex}").parse().ok());
        if finishing.is_none() && extension != "json" {
            return Ok(None);
        }
        let bytes = fs::metadata(self.path(id)).ok();
        let landed = if bytes.is_none() { finishing } else { None };
        if finishing.is_some() && landed.is_none() {
            // It did not come to that: the push goes on where it was.
            fs::rename(record, self.record(id))?;
        }
        let path = if landed.is_some() { record } else { &self.record(id) };
        let written = match &bytes {
            Some(bytes) => bytes.modified()?,
            None => fs::metadata(path)?.modified()?,
        };
        let size = bytes.map_or(0, |bytes| bytes.len());
        Ok(Some(Staged { id: id.to_owned(), record: fs::read(path)?, size, written, landed }))
    }

    /// Records a new push.
    ///
    /// # Errors
    /// When it cannot be written; nothing stays then.
    pub fn create(&self, id: &str, record: &[u8]) -> io::Result<()> {
        let path = self.record(id);
        fs::write(&path, record).inspect_err(|_| {
            // What was written of it is worth nothing.
            let _ = fs::remove_file(&path);
        })
    }

    /// The bytes of a push, for reading and writing.
    ///
    /// # Errors
    /// When the file cannot be opened or made.
    pub fn file(&self, id: &str) -> io::Result<Arc<fs::File>> {
        fs::File::options().read(true).write(true).create(true).truncate(false).open(self.path(id)).map(Arc::new)
    }

    /// Where the bytes of a push lie.
    pub fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// Notes that the bytes of a push are about to become a content.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub fn finishing(&self, id: &str, digest: &Digest) -> io::Result<()> {
        fs::rename(self.record(id), self.note(id, digest))
    }

    /// Takes the note back: the bytes did not become that content.
    ///
    /// # Errors
    /// When it cannot be taken back.
    pub fn unfinished(&self, id: &str, digest: &Digest) -> io::Result<()> {
        fs::rename(self.note(id, digest), self.record(id))
    }

    /// Forgets a push whose bytes have become a content.
    pub fn finished(&self, id: &str, digest: &Digest) {
        delete(&self.note(id, digest));
    }

    /// Forgets a push, and deletes its bytes.
    pub fn remove(&self, id: &str) {
        // The record first: without it, the bytes are deleted at the next start.
        delete(&self.record(id));
        delete(&self.path(id));
    }

    fn record(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn note(&self, id: &str, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{id}.{}-{}", digest.algorithm().as_str(), digest.hex()))
    }
}

fn delete(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot delete a file of an upload");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_is_listed_and_strays_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        staging.create("empty", b"{}").unwrap();
        staging.create("some", b"{\"a\":1}").unwrap();
        fs::write(staging.path("some"), "12345").unwrap();
        fs::write(staging.path("stray"), "12345").unwrap();
        let mut listed: Vec<_> = staging.list().unwrap().into_iter().map(|one| (one.id, one.record, one.size)).collect();
        listed.sort();
        assert_eq!(listed, [("empty".to_owned(), b"{}".to_vec(), 0), ("some".to_owned(), b"{\"a\":1}".to_vec(), 5)]);
        assert!(!staging.path("stray").exists());
        for id in ["empty", "some"] {
            staging.remove(id);
        }
        assert_eq!(fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
    }

    #[test]
    fn a_push_that_was_finishing_has_landed_or_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        let digest = Digest::of(crate::oci::Algorithm::Sha256, b"12345");
        for id in ["here", "gone"] {
            staging.create(id, b"{}").unwrap();
            fs::write(staging.path(id), "12345").unwrap();
            staging.finishing(id, &digest).unwrap();
        }
        fs::remove_file(staging.path("gone")).unwrap();
        for _ in 0..2 {
            let mut listed: Vec<_> = staging.list().unwrap().into_iter().map(|one| (one.id, one.size, one.landed)).collect();
            listed.sort();
            assert_eq!(listed, [("gone".to_owned(), 0, Some(digest)), ("here".to_owned(), 5, None)]);
        }
        staging.finished("gone", &digest);
        staging.finishing("here", &digest).unwrap();
        staging.unfinished("here", &digest).unwrap();
        assert_eq!(staging.list().unwrap().len(), 1);
    }

    #[test]
    fn opening_a_file_keeps_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        fs::write(staging.path("a"), "12345").unwrap();
        assert_eq!(staging.file("a").unwrap().metadata().unwrap().len(), 5);
        assert_eq!(staging.file("b").unwrap().metadata().unwrap().len(), 0);
    }
}
