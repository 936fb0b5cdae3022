//! Files whose bytes are wrong: kept aside for a while, so that an operator can look at them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::oci::Digest;

/// Files kept at most; the oldest go first.
const MOST: usize = 64;

/// A file above this size is deleted instead: it would take the room of what is right.
const LARGEST: u64 = 256 << 20;

/// The folder of one disk tier that holds what was found wrong there.
#[derive(Debug)]
pub(super) struct Quarantine {
    folder: PathBuf,
    files: AtomicU64,
}

impl Quarantine {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, files: AtomicU64::new(0) }
    }

    /// How many files it holds, as far as is known.
    pub(super) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Counts what earlier runs have left. Blocks.
    pub(super) fn recover(&self) {
        // That there is no such folder is the rule.
        let count = fs::read_dir(&self.folder).map_or(0, |files| files.flatten().count());
        self.files.store(count as u64, Ordering::Relaxed);
    }

    /// Takes a file away from its place. Blocks.
    pub(super) fn take(&self, digest: &Digest, file: &Path) {
        match self.keep(digest, file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%digest, %error, "a file with wrong bytes cannot be kept aside: it is deleted");
                if let Err(error) = delete(file) {
                    tracing::error!(%digest, %error, "a file with wrong bytes cannot be deleted");
                }
            }
        }
    }

    fn keep(&self, digest: &Digest, file: &Path) -> io::Result<()> {
        if fs::metadata(file)?.len() > LARGEST {
            return fs::remove_file(file);
        }
        fs::create_dir_all(&self.folder)?;
        let place = self.folder.join(format!("{}-{}", digest.algorithm().as_str(), digest.hex()));
        // Of what was wrong more than once, the last is kept; a folder would not give way by itself.
        if let Err(error) = delete(&place)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        fs::rename(file, place)?;
        self.shrink()
    }

    fn shrink(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            files.push((file.metadata()?.modified()?, file.path()));
        }
        files.sort();
        for (_, path) in files.iter().rev().skip(MOST) {
            delete(path)?;
        }
        self.files.store(files.len().min(MOST) as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Deletes a file, or a folder that stood in the place of one.
fn delete(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn what_is_wrong_is_kept_aside_within_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::new(folder.path().join("quarantine"));
        for n in 0..100_u8 {
            let digest = Digest::of(Algorithm::Sha256, &[n]);
            let file = folder.path().join("file");
            fs::write(&file, [n]).unwrap();
            quarantine.take(&digest, &file);
            assert!(!file.exists());
            let kept = folder.path().join(format!("quarantine/sha256-{}", digest.hex()));
            assert_eq!(fs::read(kept).unwrap(), [n]);
        }
        assert_eq!(fs::read_dir(folder.path().join("quarantine")).unwrap().count(), MOST);
        assert_eq!(quarantine.files(), MOST as u64);
        let restarted = Quarantine::new(folder.path().join("quarantine"));
        restarted.recover();
        assert_eq!(restarted.files(), MOST as u64);
        quarantine.take(&Digest::of(Algorithm::Sha256, b"gone"), &folder.path().join("gone"));
    }

    #[test]
    fn where_nothing_can_be_kept_it_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("quarantine"), "a file in the way").unwrap();
        let (quarantine, file) = (Quarantine::new(folder.path().join("quarantine")), folder.path().join("file"));
        fs::write(&file, "wrong").unwrap();
        quarantine.take(&Digest::of(Algorithm::Sha256, b"right"), &file);
        assert!(!file.exists());
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_taken_away_too() {
        let folder = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::new(folder.path().join("quarantine"));
        let digest = Digest::of(Algorithm::Sha256, b"right");
        let file = folder.path().join("file");
        for times in 1..3 {
            fs::create_dir(&file).unwrap();
            fs::write(file.join("inside"), "?").unwrap();
            quarantine.take(&digest, &file);
            assert!(!file.exists());
            assert_eq!(quarantine.files(), 1, "{times}");
        }
    }
}
