//! Traces as a whole: what is written comes back, and damage takes no more along than it has to.

mod damage;
mod keeping;
mod made;
mod sample;

use proptest::prelude::*;

use super::{Losses, Privacy, TraceHeader, TraceReader, TraceWriter};
use crate::events::{Event, What};

const HEADER: TraceHeader = TraceHeader { privacy: Privacy::Full, begun: 1_700_000_000_000, counted_from: None };

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = TraceWriter::new(Vec::new(), HEADER).unwrap();
    events.iter().for_each(|event| writer.push(event).unwrap());
    writer.finish().unwrap()
}

/// What can be read, and what is known to be lost.
fn read(bytes: &[u8]) -> (Vec<Event>, Losses) {
    let mut reader = TraceReader::new(bytes).unwrap();
    assert_eq!(reader.header(), HEADER);
    let events = reader.by_ref().map(|event| event.unwrap()).collect();
    (events, reader.losses())
}

proptest! {
    #[test]
    fn all_events_come_back_as_they_were(events in proptest::collection::vec(made::event(), 0..60)) {
        let (found, losses) = read(&written(&events));
        prop_assert_eq!(found, events);
        prop_assert_eq!(losses, Losses::default());
    }
}

#[test]
fn many_blocks_and_eras_come_back() {
    // More digests than one era has.
    let events: Vec<_> = (0..300_000).map(|n| made::stored(n, n % 280_000)).collect();
    let bytes = written(&events);
    assert!(read(&bytes).0 == events);
    let wanted = 1_000_000_290_000..=1_000_000_290_099;
    let reader = TraceReader::new(&bytes[..]).unwrap().between(wanted);
    let found: Vec<_> = reader.map(|event| event.unwrap()).collect();
    assert_eq!(found, events[290_000..290_100]);
}

#[test]
fn a_request_of_a_pull_takes_few_bytes() {
    let pulls = |count: u32| -> Vec<_> { (0..count).map(made::of_a_pull).collect() };
    let (few, many) = (written(&pulls(10_000)).len(), written(&pulls(30_000)).len());
    let each = (many - few) as f64 / 20_000.0;
    assert!(each < 20.0, "{each} bytes");
}

#[test]
fn what_is_too_long_is_refused_and_leaves_no_trace() {
    let mut writer = TraceWriter::new(Vec::new(), HEADER).unwrap();
    let event = made::of_a_pull(1);
    writer.push(&event).unwrap();
    let What::Request(request) = made::of_a_pull(2).what else { unreachable!() };
    let mut request = (*request).clone();
    request.region = "x".repeat(70_000).into();
    let error = writer.push(&Event { at: 1, what: What::Request(request.into()) }).unwrap_err();
    assert_eq!(error.to_string(), "an event is too long for a trace");
    writer.push(&event).unwrap();
    assert_eq!(read(&writer.finish().unwrap()), (vec![event.clone(), event], Losses::default()));
}
