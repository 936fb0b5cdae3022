//! Nothing of the future is known: four tests that would tell if it were, and one that they can.

use crate::predict::learn::{Ftrl, FtrlSettings, Learner, Model, Prediction, RateTable, Stream, run, scores::auc};

const HOUR: u64 = 3_600;
const HORIZON: u64 = 4 * HOUR;

/// A release, or a deployment of one.
#[derive(Debug, Clone, Copy)]
enum Event {
    Released { at: u64, number: u64, is_version: bool, app: u8 },
    Deployed { at: u64, number: u64 },
}

impl Event {
    const fn at(&self) -> u64 {
        match *self {
            Self::Released { at, .. } | Self::Deployed { at, .. } => at,
        }
    }
}

/// A release every twenty minutes, from six apps. A version is deployed nine times of ten, anything else two times of ten, after one
/// to three hours.
fn history(seed: u64, releases: u64) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut events = Vec::new();
    for number in 0..releases {
        let (at, is_version) = (number * HOUR / 3, random.bool());
        events.push(Event::Released { at, number, is_version, app: random.u8(0..6) });
        if random.f64() < if is_version { 0.9 } else { 0.2 } {
            events.push(Event::Deployed { at: at + random.u64(HOUR..3 * HOUR), number });
        }
    }
    events.sort_by_key(Event::at);
    events
}

/// Asks of each release whether it is deployed.
struct Releases {
    /// How often what each app releases is deployed.
    rates: RateTable<u8>,
    apps: std::collections::HashMap<u64, u8>,
    /// What is deployed sometime: a leak, for the tests to find.
    future: Option<Vec<u64>>,
}

impl Releases {
    fn honest() -> Self {
        Self { rates: RateTable::new(86_400.0, 1.0, 100), apps: Default::default(), future: None }
    }

    fn clairvoyant(events: &[Event]) -> Self {
        let deployed = |event: &Event| match *event {
            Event::Deployed { number, .. } => Some(number),
            Event::Released { .. } => None,
        };
        Self { future: Some(events.iter().filter_map(deployed).collect()), ..Self::honest() }
    }
}

impl Stream for Releases {
    type Event = Event;
    type Key = u64;

    fn horizon(&self) -> u64 {
        HORIZON
    }

    fn time(event: &Event) -> u64 {
        event.at()
    }

    fn questions(&self, event: &Event, ask: &mut dyn FnMut(u64, Box<[f32]>)) {
        if let Event::Released { at, number, is_version, app } = *event {
            let seen = self.future.as_ref().map_or(0.0, |future| f32::from(u8::from(future.contains(&number))));
            ask(number, [f32::from(u8::from(is_version)), self.rates.rate(&app, at, 0.5), seen].into());
        }
    }

    fn answers(&self, event: &Event) -> Option<u64> {
        match *event {
            Event::Deployed { number, .. } => Some(number),
            Event::Released { .. } => None,
        }
    }

    fn take_in(&mut self, event: &Event) {
        if let Event::Released { number, app, .. } = *event {
            self.apps.insert(number, app);
        }
    }

    fn learn(&mut self, number: &u64, _row: &[f32], _asked: u64, came_true: bool, now: u64) {
        if let Some(app) = self.apps.remove(number) {
            self.rates.add(app, now, came_true);
        }
    }
}

/// Learns online.
struct Online(Ftrl);

impl Learner for Online {
    fn predict(&mut self, row: &[f32], _heard: &[f64], _now: u64) -> f64 {
        self.0.score(row)
    }

    fn learn(&mut self, row: &[f32], _said: &[f64], came_true: bool, _now: u64) {
        self.0.learn(row, came_true);
    }
}

fn predictions(mut stream: Releases, events: &[Event]) -> Vec<Prediction> {
    run(&mut stream, &mut [Box::new(Online(Ftrl::new(3, FtrlSettings::default()).unwrap()))], events)
}

/// What was said before `end`, bit by bit.
fn said_before(end: u64, predictions: &[Prediction]) -> Vec<(u64, u64)> {
    let before = predictions.iter().filter(|prediction| prediction.at < end);
    before.map(|prediction| (prediction.at, prediction.said[0].to_bits())).collect()
}

/// The skill of the second half: the first one is for learning.
fn skill(predictions: &[Prediction]) -> f64 {
    let late = &predictions[predictions.len() / 2..];
    auc(&late.iter().filter_map(|prediction| Some((prediction.said[0], prediction.came_true?))).collect::<Vec<_>>())
}

/// The events before `end`.
fn truncated(events: &[Event], end: u64) -> Vec<Event> {
    events.iter().copied().filter(|event| event.at() < end).collect()
}

/// The events before `end`, and others after it.
fn poisoned(events: &[Event], end: u64) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(666);
    let mut poisoned: Vec<Event> = events.to_vec();
    for event in poisoned.iter_mut().filter(|event| event.at() >= end) {
        *event = match *event {
            Event::Released { at, number, .. } => Event::Released { at, number, is_version: random.bool(), app: random.u8(..) },
            Event::Deployed { at, .. } => Event::Deployed { at, number: random.u64(0..3_000) },
        };
    }
    poisoned
}

/// Each release meets the fate of the one that follows it by the horizon.
fn shifted(events: &[Event]) -> Vec<Event> {
    let later = HORIZON / (HOUR / 3);
    let shift = |event: &Event| match *event {
        Event::Deployed { at, number } if number >= later => Some(Event::Deployed { at: at - HORIZON, number: number - later }),
        Event::Deployed { .. } => None,
        released @ Event::Released { .. } => Some(released),
    };
    let mut shifted: Vec<Event> = events.iter().filter_map(shift).collect();
    shifted.sort_by_key(Event::at);
    shifted
}

#[test]
fn what_is_said_does_not_depend_on_whether_there_is_a_future() {
    let events = history(1, 3_000);
    let end = 400 * HOUR;
    let whole = said_before(end, &predictions(Releases::honest(), &events));
    assert_eq!(whole.len(), 1_200);
    assert_eq!(whole, said_before(end, &predictions(Releases::honest(), &truncated(&events, end))));
}

#[test]
fn what_is_said_does_not_depend_on_what_the_future_is() {
    let events = history(2, 3_000);
    let end = 400 * HOUR;
    let whole = predictions(Releases::honest(), &events);
    let other = predictions(Releases::honest(), &poisoned(&events, end));
    assert_eq!(said_before(end, &whole), said_before(end, &other));
    assert_ne!(said_before(u64::MAX, &whole), said_before(u64::MAX, &other), "the poison did nothing");
}

#[test]
fn labels_of_another_time_leave_no_skill() {
    let events = history(3, 6_000);
    let right = skill(&predictions(Releases::honest(), &events));
    let wrong = skill(&predictions(Releases::honest(), &shifted(&events)));
    assert!(right > 0.8 && (wrong - 0.5).abs() < 0.04, "{right} {wrong}");
}

#[test]
fn who_sees_the_future_is_seen() {
    let events = history(4, 3_000);
    let honest = skill(&predictions(Releases::honest(), &events));
    let clairvoyant = skill(&predictions(Releases::clairvoyant(&events), &events));
    assert!(clairvoyant > 0.99 && honest < 0.95, "{honest} {clairvoyant}");
}

#[test]
fn a_leak_is_found_by_the_first_two_tests() {
    let events = history(5, 3_000);
    let end = 400 * HOUR;
    let whole = said_before(end, &predictions(Releases::clairvoyant(&events), &events));
    for other in [truncated(&events, end), poisoned(&events, end)] {
        assert_ne!(whole, said_before(end, &predictions(Releases::clairvoyant(&other), &other)));
    }
}

#[test]
fn a_no_is_learned_at_the_end_of_its_time_and_a_yes_at_once() {
    #[derive(Default)]
    struct Diary(std::rc::Rc<std::cell::RefCell<Vec<(u64, bool)>>>);
    impl Learner for Diary {
        fn predict(&mut self, _row: &[f32], _heard: &[f64], _now: u64) -> f64 {
            0.5
        }
        fn learn(&mut self, _row: &[f32], said: &[f64], came_true: bool, now: u64) {
            assert_eq!(said, [0.5]);
            self.0.borrow_mut().push((now, came_true));
        }
    }
    let diary = Diary::default();
    let pages = diary.0.clone();
    let released = |at, number| Event::Released { at, number, is_version: true, app: 0 };
    let deployed = |at, number| Event::Deployed { at, number };
    let events = [
        released(0, 0),
        released(10, 1),
        // In the same moment as its release: that is not after it.
        released(20, 2),
        deployed(20, 2),
        deployed(HORIZON, 0),
        released(HORIZON + 10, 3),
        released(HORIZON + 11, 4),
        released(HORIZON + 21, 5),
    ];
    let predictions = run(&mut Releases::honest(), &mut [Box::new(diary)], &events);
    assert_eq!(*pages.borrow(), [(HORIZON, true), (HORIZON + 11, false), (HORIZON + 21, false)]);
    let came_true: Vec<_> = predictions.iter().map(|prediction| prediction.came_true).collect();
    assert_eq!(came_true, [Some(true), Some(false), Some(false), None, None, None]);
}
