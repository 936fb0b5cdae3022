//! Whether the bytes of a file can be relied on without hashing them again.
//!
//! What this process has hashed is right for as long as nobody changes the file and its pages stay in the page cache. Pages
//! that come from the device again may have rotted there.

use std::{
    fs::{File, Metadata},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
};

/// Places of a file that are looked at to tell whether it is in the page cache.
const PROBES: u64 = 4;

/// Tells the states of a file apart; never 0. A change through the file system leaves another one.
pub(super) fn stamp(metadata: &Metadata) -> u32 {
    let mut hasher = DefaultHasher::new();
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
    (hasher.finish() as u32).max(1)
}

/// Whether the pages of a file seem to be in the page cache: it is probed in a few places. Where that cannot be told, yes.
pub(super) fn is_resident(file: &File, size: u64) -> bool {
    (0..PROBES).map(|probe| size.saturating_sub(1) / (PROBES - 1) * probe).all(|offset| is_cached(file, offset))
}

/// Asks the kernel to let go of the pages of a file, so that they come from the device again. It keeps those that are not
/// written yet, or mapped; and what the device itself remembers is beyond its reach. Where that cannot be asked, nothing.
#[cfg(target_os = "linux")]
pub(super) fn let_go(file: &File) {
    // A hint: the file can be read all the same.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Asks the kernel to let go of the pages of a file. Not on this platform.
#[cfg(not(target_os = "linux"))]
pub(super) fn let_go(_file: &File) {}

/// Whether a byte can be read without waiting for the disk. Where that cannot be told, yes.
#[cfg(target_os = "linux")]
pub fn is_cached(file: &File, offset: u64) -> bool {
    use rustix::io::{Errno, ReadWriteFlags};

    let mut byte = [0];
    let probe = rustix::io::preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    probe != Err(Errno::AGAIN)
}

/// Whether a byte can be read without waiting for the disk. Where that cannot be told, yes.
#[cfg(not(target_os = "linux"))]
pub fn is_cached(_file: &File, _offset: u64) -> bool {
    true
}

/// Tries something until it comes to something: on a busy machine the kernel holds on to pages for a moment.
#[cfg(all(test, target_os = "linux"))]
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let attempts = (0..500).find_map(|_| {
        let outcome = attempt();
        if outcome.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        outcome
    });
    attempts.expect("the kernel lets go of pages")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::FileExt, time::SystemTime};

    use super::*;

    #[test]
    fn a_changed_file_has_another_stamp() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"content", 0).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let before = stamp(&file.metadata().unwrap());
        assert_eq!(stamp(&file.metadata().unwrap()), before);
        file.write_all_at(b"k", 0).unwrap();
        assert_ne!(stamp(&file.metadata().unwrap()), before);
    }

    #[test]
    fn what_was_just_written_is_resident() {
        let file = tempfile::tempfile().unwrap();
        for size in [0, 1, 4096, 1 << 20] {
            file.write_all_at(&vec![1; size], 0).unwrap();
            assert!(is_resident(&file, size as u64), "{size}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_dropped_from_the_page_cache_is_not_resident() {
        // Not in the folder for temporary files, which may lie in memory.
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("resident-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all_at(&vec![1; 1 << 20], 0).unwrap();
        file.sync_all().unwrap();
        assert!(is_resident(&file, 1 << 20));
        patiently(|| {
            let_go(&file);
            (!is_resident(&file, 1 << 20)).then_some(())
        });
    }
}
