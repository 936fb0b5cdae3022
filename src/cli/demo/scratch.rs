//! A folder that is gone when the demonstration is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A new folder among the system's temporary files; removed with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made, or the name is taken.
    pub(super) fn new() -> io::Result<Self> {
        let name = format!("harbinger-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_behind() {
        let scratch = Scratch::new().unwrap();
        let folder = scratch.path().to_owned();
        fs::create_dir(folder.join("blobs")).unwrap();
        fs::write(folder.join("blobs/x"), b"x").unwrap();
        drop(scratch);
        assert!(!folder.exists());
    }
}
