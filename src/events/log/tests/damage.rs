//! Damaged, cut and hostile traces.

use proptest::prelude::*;

use super::{
    super::{
        TraceError, TraceReader,
        checksum::checksum,
        frame::{BlockHead, TraceHeader},
    },
    HEADER, Losses, made, read,
};
use crate::events::Event;

/// Blocks of ten events each, as a log has them that is written once a second.
fn blocks(count: u32) -> (Vec<u8>, Vec<usize>, Vec<Event>) {
    let mut encoder = super::super::encoder::Encoder::new();
    let (mut bytes, mut ends) = (HEADER.to_bytes().to_vec(), Vec::new());
    let events: Vec<_> = (0..count * 10).map(made::of_a_pull).collect();
    for ten in events.chunks(10) {
        ten.iter().for_each(|event| encoder.push(event).unwrap());
        bytes.extend(encoder.finish().unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends, events)
}

#[test]
fn a_trace_that_ends_anywhere_gives_all_whole_blocks() {
    let (bytes, ends, events) = blocks(4);
    for end in TraceHeader::LENGTH..=bytes.len() {
        let (found, losses) = read(&bytes[..end]);
        let whole = ends.iter().filter(|&&at| at <= end).count();
        assert!(found == events[..whole * 10], "cut at {end}");
        let at_an_end = end == TraceHeader::LENGTH || ends.contains(&end);
        assert_eq!((losses.is_cut, losses.damaged), (!at_an_end, 0), "cut at {end}");
    }
}

#[test]
fn a_damaged_block_loses_itself_and_what_refers_to_it() {
    let (mut bytes, ends, events) = blocks(6);
    // In the middle of what the second block holds.
    let middle = (ends[0] + BlockHead::LENGTH + ends[1]) / 2;
    bytes[middle] ^= 0x40;
    let (found, losses) = read(&bytes);
    // Of the others, those are lost too whose customer only the second one has named: every third pull.
    let expected: Vec<_> = events.chunks(10).enumerate().filter(|(n, _)| n % 3 != 1).flat_map(|(_, ten)| ten).cloned().collect();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
    assert_eq!(losses, Losses { damaged: 1, events: 20, is_cut: false });
}

#[test]
fn a_damaged_head_is_passed_over_up_to_the_next_block() {
    let (mut bytes, ends, events) = blocks(3);
    bytes[ends[0] + 5] ^= 1;
    let (found, losses) = read(&bytes);
    assert!(found == [&events[..10], &events[20..]].concat());
    // How many it held, nobody knows.
    assert_eq!(losses, Losses { damaged: 1, events: 0, is_cut: false });
}

#[test]
fn what_is_no_trace_is_told_apart() {
    let mut newer = HEADER.to_bytes();
    newer[8] = 9;
    for (bytes, message) in [
        (&b""[..], "this is no trace: it does not begin like one"),
        (&[0; 500], "this is no trace: it does not begin like one"),
        (&HEADER.to_bytes()[..23], "this is no trace: it does not begin like one"),
        (&newer, "the trace has version 9 of the format, and only version 1 can be read here: use a newer program"),
    ] {
        let error = TraceReader::new(bytes).map(drop).map_err(|error: TraceError| error.to_string());
        assert_eq!(error, Err(message.to_owned()));
    }
}

/// A block of anything, rightly sealed.
fn sealed(events: u32, content: &[u8]) -> Vec<u8> {
    let (length, checksum) = (content.len() as u32, checksum(content));
    let head = BlockHead { length, events, era: 0, first: 0, last: u64::MAX, checksum };
    [&HEADER.to_bytes()[..], &head.to_bytes(), content].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_bytes_do_any_harm(content in proptest::collection::vec(any::<u8>(), 0..300), count in any::<u32>()) {
        // Dictionaries first, so that events are come to.
        let with_dictionaries = [&[0, 1, 1, b'a', 0, 1, 1, b't', 0, 1, 3, b'a', b'/', b'b', 0, 1, 0, 0, 1, b'r'][..],
            &[0, 1, 1], &[5; 32], &[0, 1], &[9; 8], &content].concat();
        for content in [content, with_dictionaries] {
            let bytes = sealed(count, &content);
            let mut reader = TraceReader::new(&bytes[..]).unwrap();
            let found = reader.by_ref().count() as u64;
            prop_assert!(found <= content.len() as u64 / 3);
            prop_assert!(reader.losses().events + found <= u64::from(count));
        }
    }

    #[test]
    fn any_damage_leaves_only_what_was_there(at in 32..4_000_usize, bit in 0..8_u32) {
        let (mut bytes, ends, events) = blocks(8);
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 1 << bit;
        let (found, losses) = read(&bytes);
        prop_assert!(losses.damaged > 0 || losses.is_cut);
        prop_assert!(found.iter().all(|event| events.contains(event)));
        // A block, and what refers to it: the first one names what all others use.
        prop_assert!(at < ends[0] || found.len() >= 50, "{} are left", found.len());
    }
}
