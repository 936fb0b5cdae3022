//! Sizes as text that reads back as the same size.

use bytesize::ByteSize;
use serde::Serializer;

/// Writes a size in the largest unit that divides it: `64 MiB`, `1000 B`.
pub(super) fn exact<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = size.as_u64();
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|&(_, unit)| bytes >= unit && bytes.is_multiple_of(unit));
    let (name, unit) = unit.unwrap_or(("B", 1));
    serializer.collect_str(&format_args!("{} {name}", bytes / unit))
}
