//! Files that are being written.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file on its way to become an entry of the disk tier. Dropped before that, it is deleted.
///
/// It stays readable through [`Spool::file`] whatever happens to its name.
#[derive(Debug)]
pub struct Spool {
    file: Arc<File>,
    path: PathBuf,
    renamed: bool,
}

impl Spool {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { file: Arc::new(file), path, renamed: false })
    }

    /// The file, open for reading and writing by position.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Makes the content durable and gives the file its final name: from here on it is an entry. When that lies on another file
    /// system, the content is copied into a spool there, which `beside` opens. Blocks.
    ///
    /// The data are synced before the rename, so that a name never stands for bytes that a power cut could take away. The
    /// folder is not synced: a lost rename is a miss, nothing worse.
    pub(super) fn commit(mut self, to: &Path, beside: impl FnOnce() -> io::Result<Self>) -> io::Result<Arc<File>> {
        match self.land(to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut copy = beside()?;
                copy_file(&self.file, &copy.file)?;
                copy.land(to)
            }
            landed => landed,
        }
    }

    fn land(&mut self, to: &Path) -> io::Result<Arc<File>> {
        self.file.sync_data()?;
        std::fs::rename(&self.path, to)?;
        self.renamed = true;
        Ok(self.file.clone())
    }

    /// Gives the file to `take`, which moves it away; when that fails, the file is deleted.
    pub(super) fn hand_over(mut self, take: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        take(&self.path)?;
        self.renamed = true;
        Ok(())
    }

    /// Writes `bytes` at `offset`. Blocks.
    pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

/// Copies a file by position. (`std::io::copy` would move the cursor of a file that others read.)
fn copy_file(from: &File, to: &File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        match from.read_at(&mut buffer, offset)? {
            0 => return Ok(()),
            read => {
                to.write_all_at(&buffer[..read], offset)?;
                offset += read as u64;
            }
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot delete a spool file");
        }
    }
}
