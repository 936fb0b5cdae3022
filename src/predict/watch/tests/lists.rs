//! Repositories that release under new tags.

use super::*;

fn private(repository: &str, tag: &str) -> Subject {
    let mut subject = subject(repository, tag);
    subject.repository.private = true;
    subject
}

fn tags(names: &[&str]) -> Listed {
    Listed::Tags(names.iter().map(|name| name.parse().unwrap()).collect())
}

/// A watch at an edge where these tags are pulled often.
fn pulled(subjects: &[Subject]) -> Watch {
    let mut watch = Watch::new(settings(60));
    for subject in subjects {
        for _ in 0..100 {
            watch.hear(&pull(subject, START, "first", Source::Upstream));
        }
    }
    watch.due(START);
    watch
}

fn versions(names: &[&str]) -> Vec<Subject> {
    names.iter().map(|name| private("acme/app", name)).collect()
}

/// Whether a list is asked for within so long. Tags have not moved.
fn asks_for_a_list(watch: &mut Watch, from: Millis, until: Millis) -> bool {
    let mut asked = false;
    for now in (from..until).step_by(MINUTE as usize) {
        for question in watch.due(now) {
            match question {
                Question::Tag(subject) => watch.answered(&subject, now, Answer::Same),
                Question::List(_) => asked = true,
            }
        }
    }
    asked
}

/// What is due of new tags.
fn new(watch: &mut Watch, now: Millis) -> Vec<String> {
    let due = watch.due(now);
    let tags = due.into_iter().filter_map(|question| match question {
        Question::Tag(subject) if !watch.follows(&subject) => Some(subject.tag.to_string()),
        _ => None,
    });
    tags.collect()
}

#[test]
fn lists_are_asked_for_where_ever_new_tags_are_pulled() {
    let several = versions(&["1.0.1", "1.0.2", "1.1.0"]);
    assert!(asks_for_a_list(&mut pulled(&several), START, START + 2 * HOUR));
    let commits = versions(&["main-3f9ac1d2", "main-77e01ab9", "main-0a1b2c3d"]);
    assert!(asks_for_a_list(&mut pulled(&commits), START, START + 2 * HOUR));
    let public: Vec<_> = ["1.0.1", "1.0.2", "1.1.0"].map(|tag| subject("library/app", tag)).into();
    let different = versions(&["1.0.1", "1.0.2", "2.0", "latest", "edge", "nightly"]);
    let signatures = versions(&["sha256-11111111.sig", "sha256-22222222.sig", "sha256-33333333.sig"]);
    for others in [public, different, signatures] {
        assert!(!asks_for_a_list(&mut pulled(&others), START, START + 2 * DAY), "{others:?}");
    }
    let mut off = pulled(&several);
    off.reconfigure(Settings { tag_lists: false, ..settings(60) });
    assert!(!asks_for_a_list(&mut off, START, START + 2 * DAY));
    let mut watch = pulled(&several);
    watch.answered(&several[0], START + DAY, Answer::Gone);
    assert!(!asks_for_a_list(&mut watch, START + DAY, START + 2 * DAY), "two are not several");
}

#[test]
fn the_first_list_tells_nothing_and_what_is_new_in_the_next_is_looked_at() {
    let subjects = versions(&["1.0.1", "1.0.2", "1.1.0"]);
    let repository = subjects[0].repository.clone();
    let mut watch = pulled(&subjects);
    assert!(asks_for_a_list(&mut watch, START, START + HOUR));
    let now = START + HOUR;
    assert_eq!(watch.listed(&repository, now, tags(&["1.0.1", "1.0.2", "1.1.0", "1.0.9"])), 0);
    assert!(asks_for_a_list(&mut watch, now, now + HOUR));
    let list = ["1.0.1", "1.0.9", "1.1.0", "1.1.1", "1.2.0", "1.10.0", "1.9.0", "1.8.0", "1.9.0-alpine", "latest", "2.0"];
    assert_eq!(watch.listed(&repository, now + HOUR, tags(&list)), 4);
    assert_eq!(new(&mut watch, now + HOUR), ["1.2.0", "1.8.0", "1.9.0", "1.10.0"], "the newest of those that are alike");
    assert!(new(&mut watch, now + HOUR + MINUTE).is_empty(), "once");
    watch.answered(&private("acme/app", "1.10.0"), now + HOUR, Answer::Failed);
    watch.answered(&private("acme/app", "1.9.0"), now + HOUR, Answer::Names(digest("new")));
    assert_eq!(watch.listed(&repository, now + 2 * HOUR, tags(&list)), 1);
    assert_eq!(new(&mut watch, now + 2 * HOUR), ["1.10.0"], "it could not be looked at");
}

#[test]
fn what_is_of_no_use_is_left_alone_for_a_day_and_what_has_failed_for_a_while() {
    let subjects = versions(&["1.0.1", "1.0.2", "1.1.0"]);
    let repository = subjects[0].repository.clone();
    let mut watch = pulled(&subjects);
    assert!(asks_for_a_list(&mut watch, START, START + HOUR));
    let mut now = START + HOUR;
    assert!(!asks_for_a_list(&mut watch, now, now + DAY), "one at a time");
    watch.listed(&repository, now, Listed::Failed);
    assert!(asks_for_a_list(&mut watch, now, now + HOUR));
    watch.listed(&repository, now, Listed::Useless);
    assert!(!asks_for_a_list(&mut watch, now, now + DAY - MINUTE));
    now += DAY;
    assert!(asks_for_a_list(&mut watch, now, now + HOUR));
    watch.listed(&repository, now, Listed::Limited(Duration::from_secs(7200)));
    assert!(watch.due(now + HOUR).is_empty(), "nor for anything else");
    assert!(asks_for_a_list(&mut watch, now + 2 * HOUR, now + 3 * HOUR));
    watch.listed(&repository, now, tags(&[]));
    watch.listed(&repository, now, tags(&["1.1.1"]));
    assert_eq!(new(&mut watch, now + 4 * HOUR), ["1.1.1"]);
    watch.answered(&private("acme/app", "1.1.1"), now + 4 * HOUR, Answer::Fixed);
    assert!(!asks_for_a_list(&mut watch, now + 4 * HOUR, now + 20 * HOUR), "looking at new tags costs pulls there");
}
