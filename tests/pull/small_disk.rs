//! A disk that is soon full.

use std::{path::Path, process::Command};

/// A small file system in memory, for as long as this lives.
pub(crate) struct SmallDisk<'a> {
    folder: &'a Path,
}

impl<'a> SmallDisk<'a> {
    /// Mounts it. `None`, and a line that says so, where that is not allowed.
    pub(crate) fn mount(folder: &'a Path, options: &str) -> Option<Self> {
        let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], folder);
        if !mounted {
            println!("skipped: mounting a small file system needs root");
        }
        mounted.then_some(Self { folder })
    }

    pub(crate) fn grow(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], self.folder));
    }
}

/// Mounts as the command of that name does. False where it is not allowed.
pub(crate) fn mount(arguments: &[&str], folder: &Path) -> bool {
    Command::new("mount").args(arguments).arg(folder).output().is_ok_and(|output| output.status.success())
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // The catalog may still be open: let it go when its last user has gone.
        let _ = Command::new("umount").arg("-l").arg(self.folder).output();
    }
}
