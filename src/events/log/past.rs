//! Hearing again what happened before.

use std::{
    ops::{ControlFlow, RangeInclusive},
    path::Path,
};

use super::{reader::TraceReader, segments::Segments};
use crate::events::{Event, Millis};

/// Tells `hear` what the demand log in `folder` knows of `time`, in the order in which it was told, until it breaks off. Customers go
/// by the names that the log has for them. What cannot be read is passed over. Blocks for as long as the log is long: some seconds
/// for a million events.
///
/// Returns how many events were told.
pub fn recall(folder: &Path, time: &RangeInclusive<Millis>, mut hear: impl FnMut(&Event) -> ControlFlow<()>) -> u64 {
    let mut told = 0;
    for path in Segments::in_folder(folder).paths().unwrap_or_default() {
        let Ok(trace) = TraceReader::open(&path) else { continue };
        for event in trace.between(time.clone()).map_while(Result::ok) {
            if hear(&event).is_break() {
                return told;
            }
            told += 1;
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::{
        events::{
            What,
            log::{Privacy, TraceHeader, TraceWriter},
        },
        oci::{Algorithm, Digest},
    };

    fn segment(folder: &Path, begun: Millis, times: &[Millis]) {
        let header = TraceHeader { privacy: Privacy::Full, begun, counted_from: None };
        let file = File::create(folder.join(format!("{begun:013}.trace"))).unwrap();
        let mut writer = TraceWriter::new(file, header).unwrap();
        for at in times {
            let digest = Digest::of(Algorithm::Sha256, &at.to_be_bytes());
            writer.push(&Event { at: *at, what: What::BlobEvicted { digest } }).unwrap();
        }
        writer.finish().unwrap();
    }

    fn recalled(folder: &Path, time: RangeInclusive<Millis>, most: usize) -> (Vec<Millis>, u64) {
        let mut times = Vec::new();
        let told = recall(folder, &time, |event| {
            if times.len() == most {
                return ControlFlow::Break(());
            }
            times.push(event.at);
            ControlFlow::Continue(())
        });
        (times, told)
    }

    #[test]
    fn segments_are_told_in_order_and_what_is_no_trace_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        segment(folder.path(), 100, &[100, 110, 120]);
        fs::write(folder.path().join("0000000000150.trace"), [7; 500]).unwrap();
        segment(folder.path(), 200, &[200, 210]);
        assert_eq!(recalled(folder.path(), 0..=999, 99), (vec![100, 110, 120, 200, 210], 5));
        assert_eq!(recalled(folder.path(), 110..=200, 99), (vec![110, 120, 200], 3));
        assert_eq!(recalled(folder.path(), 0..=999, 4), (vec![100, 110, 120, 200], 4), "who breaks off is told no more");
        assert_eq!(recalled(&folder.path().join("none"), 0..=999, 99), (vec![], 0));
    }
}
