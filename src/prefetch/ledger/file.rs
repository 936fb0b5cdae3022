//! The ledger's file: one line that says what follows, and JSON. It is whole, or it is set aside.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    events::spare_room,
    oci::{Algorithm, Digest},
};

/// The version of what is in the file. Files of others are set aside.
const VERSION: u32 = 1;

/// Bytes of a file that is read at most; a full ledger takes a third of it.
const MOST: u64 = 128 << 20;

/// The file of an edge's ledger, in its data folder.
#[derive(Debug)]
pub(in crate::prefetch) struct LedgerFile {
    path: PathBuf,
    region: Arc<str>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    #[serde(flatten)]
    of: Option<Of>,
}

/// What other versions need not say.
#[derive(Serialize, Deserialize)]
struct Of {
    region: Arc<str>,
    /// Of all that follows.
    digest: Digest,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is damaged")]
    Damaged,
    #[error("it has version {0}, and this program writes version {VERSION}")]
    Version(u32),
    #[error("it is of the region {0}")]
    Region(Arc<str>),
}

impl LedgerFile {
    pub(in crate::prefetch) fn in_folder(data: &Path, region: Arc<str>) -> Self {
        Self { path: data.join("savings.json"), region }
    }

    /// What was kept; `None` when there is nothing. What cannot be read is set aside under another name, with a warning.
    pub(in crate::prefetch) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        match self.try_read() {
            Ok(kept) => kept,
            Err(error) => {
                let aside = self.path.with_extension("aside.json");
                tracing::warn!(%error, aside = %aside.display(), "what prefetching has saved so far is set aside: it is counted anew");
                if let Err(error) = fs::rename(&self.path, &aside) {
                    tracing::warn!(%error, file = %self.path.display(), "it cannot be set aside, and will be written over");
                }
                None
            }
        }
    }

    fn try_read<T: DeserializeOwned>(&self) -> Result<Option<T>, Unusable> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST {
            return Err(Unusable::Damaged);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Unusable::Damaged)?;
        let (head, body) = (&bytes[..end], &bytes[end + 1..]);
        let head: Head = serde_json::from_slice(head).map_err(|_| Unusable::Damaged)?;
        if head.version != VERSION {
            return Err(Unusable::Version(head.version));
        }
        let Of { region, .. } = head.of.filter(|of| of.digest == Digest::of(Algorithm::Sha256, body)).ok_or(Unusable::Damaged)?;
        if region != self.region {
            return Err(Unusable::Region(region));
        }
        serde_json::from_slice(body).map(Some).map_err(|_| Unusable::Damaged)
    }

    /// Keeps this instead of what was kept, in one step: it survives a crash once this returns. Readable by the owner only.
    ///
    /// # Errors
    /// When it cannot be written, or the disk is nearly full; then the last one is still there.
    pub(in crate::prefetch) fn write(&self, kept: &impl Serialize) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        spare_room(folder)?;
        let body = serde_json::to_vec(kept)?;
        let of = Of { region: self.region.clone(), digest: Digest::of(Algorithm::Sha256, &body) };
        let head = Head { version: VERSION, of: Some(of) };
        let unfinished = self.path.with_extension("json.new");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(&head)?)?;
        file.write_all(b"\n")?;
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(file: &LedgerFile) -> Option<Vec<u32>> {
        file.read()
    }

    #[test]
    fn what_was_written_last_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::in_folder(folder.path(), "eu".into());
        assert_eq!(read(&file), None);
        file.write(&[1, 2, 3]).unwrap();
        file.write(&[4, 5]).unwrap();
        assert_eq!(read(&file), Some(vec![4, 5]));
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_damaged_or_of_another_version_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::in_folder(folder.path(), "eu".into());
        let aside = folder.path().join("savings.aside.json");
        file.write(&[1, 2, 3]).unwrap();
        let whole = fs::read_to_string(&file.path).unwrap();
        let damages = [
            whole.replace("[1,2,3]", "[1,2,4]"),
            whole.replace("\"version\":1", "\"version\":2"),
            whole[..whole.len() - 1].to_owned(),
            whole.replace('\n', " "),
            String::new(),
        ];
        for damaged in damages {
            fs::write(&file.path, &damaged).unwrap();
            assert_eq!(read(&file), None, "{damaged}");
            assert_eq!(fs::read_to_string(&aside).unwrap(), damaged);
            assert!(!file.path.exists());
        }
        file.write(&[1]).unwrap();
        let elsewhere = LedgerFile::in_folder(folder.path(), "us".into());
        assert!(matches!(elsewhere.try_read::<Vec<u32>>(), Err(Unusable::Region(_))));
        fs::write(&file.path, "{\"version\":7}\nwhat a later version knows").unwrap();
        assert!(matches!(file.try_read::<Vec<u32>>(), Err(Unusable::Version(7))));
    }

    #[test]
    fn what_cannot_be_written_leaves_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = LedgerFile::in_folder(folder.path(), "eu".into());
        file.write(&[1]).unwrap();
        fs::create_dir(folder.path().join("savings.json.new")).unwrap();
        assert!(file.write(&[2]).is_err());
        assert_eq!(read(&file), Some(vec![1]));
    }
}
