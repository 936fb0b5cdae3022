//! Questions about small histories, and what the public learns from random ones.

mod histories;
mod privacy;

use super::*;
use crate::graph::{State, Viewer, queries::Sharing};
use histories::{History, digest};

const OPERATOR: Viewer = Viewer::Operator;

/// A history of a mirror: a base, two images on it that share one more layer, and their tags.
fn shelf() -> State {
    let mut history = History::default();
    history.image("hub", "library/os", 1, &[10]).tag("hub", "library/os", "12", 1);
    history.image("hub", "library/app", 2, &[10, 11, 12]).tag("hub", "library/app", "1.0", 2);
    history.image("hub", "library/app", 3, &[10, 11, 13]).tag("hub", "library/app", "1.1", 3);
    history.tag("hub", "library/app", "latest", 2).tag("hub", "library/app", "latest", 3);
    history.index("hub", "library/app", 9, &[3, 2]).tag("hub", "library/app", "multi", 9);
    history.state()
}

fn subject(text: &str) -> Subject {
    histories::subject(text)
}

#[test]
fn the_images_of_a_layer_are_told_with_their_names() {
    let state = shelf();
    let Ok(Sharing::Layer(shares)) = sharing(&state, OPERATOR, &Subject::Content(digest(11)), None, Page::default()) else {
        panic!("a layer was named")
    };
    assert_eq!((shares.size, shares.total, shares.cut), (11, 2, false));
    let tags: Vec<_> = shares.images.iter().flat_map(|image| image.tags.clone()).collect();
    for tag in ["hub/library/app:1.0", "hub/library/app:1.1", "hub/library/app:latest", "hub/library/app:multi"] {
        assert!(tags.contains(&tag.to_owned()), "{tags:?}");
    }
    let second = Page { offset: 1, limit: 5 };
    let rest = super::shares(&state, OPERATOR, &Subject::Content(digest(11)), second).unwrap();
    assert_eq!(rest.images, shares.images[1..]);
}

#[test]
fn neighbours_come_with_what_is_saved_and_most_first() {
    let state = shelf();
    let found = neighbours(&state, OPERATOR, &subject("hub/library/app:1.1"), None, Page::default()).unwrap();
    let told: Vec<_> = found.neighbours.iter().map(|one| (one.image.digest.clone(), one.layers, one.bytes)).collect();
    assert_eq!(told, [(digest(2).to_string(), 2, 21), (digest(1).to_string(), 1, 10)]);
    assert_eq!((found.image.layers, found.image.bytes), (3, 34));
}

#[test]
fn an_index_stands_for_one_of_its_images() {
    let state = shelf();
    let of = |platform| {
        let found = neighbours(&state, OPERATOR, &subject("hub/library/app:multi"), platform, Page::default());
        found.map(|found| found.image.digest)
    };
    assert_eq!(of(None), Ok(digest(3).to_string()), "the first one");
    assert_eq!(of(Some("linux/p1")), Ok(digest(2).to_string()));
    assert!(matches!(of(Some("plan9/mips")), Err(QuestionError::Unknown(_))));
}

#[test]
fn bases_are_told_from_the_nearest_on() {
    let mut history = History::default();
    history.image("hub", "os", 1, &[10]).image("hub", "mid", 2, &[10, 11]).image("hub", "app", 3, &[10, 11, 12]);
    history.image("hub", "mid", 4, &[10, 11]).image("hub", "else", 5, &[11, 12]);
    let state = history.state();
    let found = bases(&state, OPERATOR, &Subject::Content(digest(3)), None).unwrap();
    let told: Vec<_> = found.bases.iter().map(|base| (base.image.digest.clone(), base.shared, base.declared)).collect();
    let least = digest(2).to_string().min(digest(4).to_string());
    assert_eq!(told, [(least, 2, false), (digest(1).to_string(), 1, false)]);
}

#[test]
fn a_tag_tells_its_history_and_its_versions() {
    let state = shelf();
    let found = versions(&state, OPERATOR, &subject("hub/library/app:latest"), Page::default()).unwrap();
    let history: Vec<_> = found.history.iter().map(|naming| (naming.digest.clone(), naming.until.is_none())).collect();
    assert_eq!(history, [(digest(3).to_string(), true), (digest(2).to_string(), false)]);
    assert_eq!(found.predecessors.iter().map(|change| change.digest.clone()).collect::<Vec<_>>(), [digest(2).to_string()]);
    assert!(found.successors.is_empty());
    let next = versions(&state, OPERATOR, &subject("hub/library/app:1.0"), Page::default()).unwrap();
    assert_eq!(next.later, ["hub/library/app:1.1"]);
    assert_eq!(next.successors.len(), 1, "latest went on from what 1.0 names");
    let image = versions(&state, OPERATOR, &Subject::Content(digest(2)), Page::default()).unwrap();
    assert_eq!(image.total, 2);
}

#[test]
fn what_a_region_asks_for_is_ranked() {
    let mut history = History::default();
    history.image("hub", "a", 1, &[10, 200]);
    for content in [10, 10, 10, 200] {
        history.pull("hub", "a", content);
    }
    let state = history.state();
    let top = |order, page| {
        let mut ranking = Ranking::new(OPERATOR, "eu", order, page, history.now()).unwrap();
        while ranking.step(&state).unwrap() {}
        ranking.finish(&state).unwrap().layers.into_iter().map(|layer| layer.digest).collect::<Vec<_>>()
    };
    let (small, large) = (digest(10).to_string(), digest(200).to_string());
    assert_eq!(top(Order::Bytes, Page::default()), [large.clone(), small.clone()]);
    assert_eq!(top(Order::Rate, Page::default()), [small, large.clone()]);
    assert_eq!(top(Order::Rate, Page { offset: 1, limit: 1 }), [large]);
    let unknown = Ranking::new(OPERATOR, "moon", Order::Rate, Page::default(), 0).unwrap().step(&state);
    assert!(matches!(unknown, Err(QuestionError::Unknown(_))));
    assert_eq!(Ranking::new(Viewer::Public, "eu", Order::Rate, Page::default(), 0).unwrap_err(), QuestionError::OperatorOnly);
}

#[test]
fn what_is_counted_is_what_is_there() {
    let state = shelf();
    let mut survey = Survey::new(OPERATOR);
    while survey.step(&state) {}
    let counted = survey.finish();
    assert_eq!((counted.nodes["layer"], counted.nodes["manifest"], counted.nodes["index"]), (4, 3, 1));
    assert_eq!((counted.edges["contains"], counted.edges["child"]), (7, 2));
    // 10 three times, 11 twice, 12 and 13 once.
    assert_eq!((counted.bytes_referred, counted.bytes_once), (77, 46));
    assert_eq!((counted.fan_out.p50, counted.fan_out.max), (1, 3));
}

#[test]
fn a_neighbourhood_ends_where_it_is_told_to() {
    let state = shelf();
    let look = |depth, nodes| around(&state, OPERATOR, &subject("hub/library/os:12"), Bounds { depth, nodes }, 0).unwrap();
    let near = look(1, 100);
    assert_eq!(
        near.nodes.iter().map(|node| (&*node.kind, node.depth)).collect::<Vec<_>>(),
        [("tag", 0), ("repository", 1), ("manifest", 1)]
    );
    let kinds: Vec<_> = near.edges.iter().map(|edge| (edge.from, edge.to, &*edge.kind)).collect();
    assert_eq!(kinds, [(0, 2, "names"), (1, 0, "holds"), (1, 2, "has")]);
    assert!(!near.cut && look(1, 2).cut && look(1, 2).nodes.len() == 2);
    assert_eq!(look(0, 100).nodes.len(), 1);
    assert!(look(4, 100).nodes.len() > look(2, 100).nodes.len());
}

#[test]
fn what_is_not_there_is_not_known() {
    let state = shelf();
    for text in ["hub/library/app:9", "hub/library/none", "elsewhere/x:1"] {
        let error = subject(text).node(&state, OPERATOR).unwrap_err();
        assert_eq!(error, QuestionError::Unknown(text.to_owned()));
    }
    let of = |place: &str, content| Subject::read(&format!("{place}@{}", digest(content)), histories::place).unwrap();
    assert!(of("hub/library/os", 10).node(&state, OPERATOR).is_ok());
    assert!(of("hub/library/os", 11).node(&state, OPERATOR).is_err(), "it has no such layer");
    let layer = neighbours(&state, OPERATOR, &Subject::Content(digest(11)), None, Page::default()).unwrap_err();
    assert!(matches!(layer, QuestionError::WrongKind { .. }));
}

#[test]
fn what_is_too_much_is_cut_and_says_so() {
    let mut state = State::default();
    let images = MOST_EXAMINED as u32 + 10;
    for image in 0..images {
        state.apply(&histories::image_on(digest(10), image));
    }
    let hub = Subject::Content(digest(10));
    let found = shares(&state, OPERATOR, &hub, Page { offset: 0, limit: 3 }).unwrap();
    assert_eq!((found.total, found.cut, found.images.len()), (MOST_EXAMINED as u64, true, 3));
    let last = shares(&state, OPERATOR, &hub, Page { offset: MOST_EXAMINED - 1, limit: 3 }).unwrap();
    assert_eq!(last.images.len(), 1);
    let one = Subject::Content(histories::image_digest(7));
    let found = neighbours(&state, OPERATOR, &one, None, Page::default()).unwrap();
    assert!(found.cut && found.neighbours.iter().all(|neighbour| neighbour.bytes == 10));
    let found = around(&state, OPERATOR, &hub, Bounds::WIDEST, 0).unwrap();
    assert_eq!((found.nodes.len(), found.cut), (Bounds::WIDEST.nodes, true));
    let mut survey = Survey::new(OPERATOR);
    let mut steps = 1;
    while survey.step(&state) {
        steps += 1;
    }
    assert!(steps > 2, "nobody holds the graph for long");
    assert_eq!(survey.finish().fan_out.max, images);
}
