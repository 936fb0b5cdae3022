//! Room on a disk that is left to those who need it more.

use std::{io, path::Path};

/// What can be done without leaves so much of a disk free, in bytes; of a small disk, a quarter.
const LEFT: u64 = 64 << 20;

/// Whether there is room in `folder` for what can be done without: the demand log, the graph. Pushes and the catalog get the rest.
///
/// # Errors
/// `StorageFull` when there is none. A disk that cannot be asked counts as one with room: writing will tell.
pub fn spare_room(folder: &Path) -> io::Result<()> {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let left = LEFT.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 4);
    if disk.f_bavail.saturating_mul(disk.f_frsize) >= left {
        return Ok(());
    }
    let message = "the disk is nearly full: what is free is left to what must be kept";
    Err(io::Error::new(io::ErrorKind::StorageFull, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_cannot_be_asked_counts_as_one_with_room() {
        assert!(spare_room(Path::new("/nonexistent")).is_ok());
        // No device, and no room.
        assert!(spare_room(Path::new("/proc")).is_ok());
    }
}
