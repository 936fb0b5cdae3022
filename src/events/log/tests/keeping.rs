//! The thread that keeps the log.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use bytesize::ByteSize;

use super::{
    super::{DemandLog, DemandLogSettings, Privacy, Pseudonyms, Segment, Segments, TraceReader},
    made,
};
use crate::{
    config,
    events::{Bus, Event, InProcess, What},
    telemetry::Metrics,
};

fn settings(data: &Path, privacy: config::Privacy) -> DemandLogSettings {
    let folder = DemandLogSettings::folder_in(data);
    let pseudonyms = Pseudonyms::kept_in(&folder).unwrap();
    DemandLogSettings { folder, config: config::DemandLog { privacy, ..config::DemandLog::default() }, pseudonyms }
}

/// Keeps a log of events, and stops.
fn keep(settings: &DemandLogSettings, events: impl Iterator<Item = Event>) {
    let bus = InProcess::default();
    let log = DemandLog::keep(settings.clone(), bus.subscribe("demand-log", 100_000), &Metrics::new()).unwrap();
    events.for_each(|event| bus.publish(event));
    log.stop();
}

fn kept(data: &Path) -> Vec<Event> {
    let paths = Segments::in_folder(&DemandLogSettings::folder_in(data)).paths().unwrap();
    paths.iter().flat_map(|path| TraceReader::open(path).unwrap()).map(|event| event.unwrap()).collect()
}

fn customers(events: &[Event]) -> Vec<String> {
    let customer = |event: &Event| match &event.what {
        What::Request(request) => request.customer.as_ref().unwrap().to_string(),
        _ => unreachable!(),
    };
    events.iter().map(customer).collect()
}

#[test]
fn what_is_told_before_the_stop_is_kept_and_every_run_has_its_own_segment() {
    let data = tempfile::tempdir().unwrap();
    let settings = settings(data.path(), config::Privacy::Full);
    keep(&settings, (0..500).map(made::of_a_pull));
    keep(&settings, (500..700).map(made::of_a_pull));
    keep(&settings, std::iter::empty());
    let all: Vec<_> = (0..700).map(made::of_a_pull).collect();
    assert_eq!(kept(data.path()), all);
    let paths = Segments::in_folder(&settings.folder).paths().unwrap();
    let segments: Vec<_> = paths.iter().map(|path| Segment::look_at(path).unwrap()).collect();
    assert_eq!(segments.iter().map(|segment| segment.events).collect::<Vec<_>>(), [500, 200]);
    assert_eq!(segments[1].times, Some((all[500].at, all[699].at)));
    assert!(segments.iter().all(|segment| segment.rest == 0 && segment.header.privacy == Privacy::Full));
}

#[test]
fn customers_are_hidden_unless_they_may_be_named() {
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [hashed, full] = [config::Privacy::Hashed, config::Privacy::Full].map(|privacy| {
        let data = &data[usize::from(privacy == config::Privacy::Full)];
        let settings = settings(data.path(), privacy);
        keep(&settings, (0..30).map(made::of_a_pull));
        (customers(&kept(data.path())), settings)
    });
    assert_eq!(full.0[..1], ["customer-0"]);
    let expected: Vec<_> = full.0.iter().map(|name| hashed.1.pseudonyms.customer(name).to_string()).collect();
    assert_eq!(hashed.0, expected);
    let bytes = fs::read(&Segments::in_folder(&hashed.1.folder).paths().unwrap()[0]).unwrap();
    assert!(!bytes.windows(8).any(|part| part == b"customer"));
    let mode = fs::metadata(hashed.1.folder.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn segments_are_ended_by_size_and_the_oldest_go() {
    let data = tempfile::tempdir().unwrap();
    let mut settings = settings(data.path(), config::Privacy::Full);
    settings.config.segment_size = ByteSize::kib(256);
    settings.config.max_size = ByteSize::kib(800);
    // Blocks are closed at 256 KiB: each is a segment, and a little longer than that.
    keep(&settings, (0..70_000).map(made::of_a_pull));
    let paths = Segments::in_folder(&settings.folder).paths().unwrap();
    let bytes: u64 = paths.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(paths.len() >= 2 && bytes <= 810 << 10, "{} segments, {bytes} bytes", paths.len());
    // Each can be read without the others, and the latest are there.
    let found = kept(data.path());
    let first = usize::try_from((found[0].at - made::of_a_pull(0).at) / 13).unwrap();
    assert!(first > 0);
    assert!(found.iter().enumerate().all(|(n, event)| *event == made::of_a_pull((first + n) as u32)));
    assert_eq!(first + found.len(), 70_000);
}

#[test]
fn what_cannot_be_written_is_lost_and_counted_and_the_rest_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let settings = settings(data.path(), config::Privacy::Full);
    let (bus, metrics) = (InProcess::default(), Metrics::new());
    let log = DemandLog::keep(settings.clone(), bus.subscribe("demand-log", 100), &metrics).unwrap();
    // No segment can be made where there is no folder.
    let aside = data.path().join("aside");
    fs::rename(&settings.folder, &aside).unwrap();
    bus.publish(made::of_a_pull(1));
    let is_lost = || metrics.encode().contains("demand_log_lost_total 1");
    while !is_lost() {
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::rename(&aside, &settings.folder).unwrap();
    bus.publish(made::of_a_pull(2));
    log.stop();
    assert_eq!(kept(data.path()), [made::of_a_pull(2)]);
    assert!(is_lost());
}

#[test]
fn what_was_told_is_on_disk_soon_without_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let settings = settings(data.path(), config::Privacy::Full);
    let bus = InProcess::default();
    let _log = DemandLog::keep(settings, bus.subscribe("demand-log", 100), &Metrics::new()).unwrap();
    bus.publish(made::of_a_pull(1));
    while kept(data.path()).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(kept(data.path()), [made::of_a_pull(1)]);
}
