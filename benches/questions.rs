//! How long the graph is held for one question, by how much it knows: what is asked of a neighbourhood is to take no longer in a
//! large graph than in a small one.
//!
//! `cargo bench --bench questions [-- MANIFESTS]`; a million unless told.

use std::{hint::black_box, sync::Arc, time::Instant};

use harbinger::{
    events::{Event, Layer, ManifestSeen, Repository, What},
    graph::{
        State, Viewer,
        queries::{self, Bounds, Page, Place, Subject, Survey},
    },
    oci::{Algorithm, Digest, MediaType},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Images that stand on the same lowest layer; the first one carries a tenth of all.
const SYSTEMS: u64 = 200;

/// Versions of one repository.
const VERSIONS: u64 = 50;

fn main() -> Outcome {
    let arguments = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let most: u64 = arguments.unwrap_or(1_000_000);
    for manifests in [most / 100, most / 10, most] {
        ask(manifests.max(1000))?;
    }
    Ok(())
}

fn ask(manifests: u64) -> Outcome {
    let begun = Instant::now();
    let mut state = State::default();
    for n in 0..manifests {
        image(n)?.iter().for_each(|event| state.apply(event));
    }
    println!("{manifests} manifests, built in {:.1} s; the graph is held for, in microseconds:", begun.elapsed().as_secs_f64());
    let page = Page::default();
    let image = |n: u64| Subject::Content(digest("manifest", n * 97 % manifests));
    let hub = Subject::Content(digest("system", 0));
    for viewer in [Viewer::Operator, Viewer::Public] {
        println!("  {viewer:?}");
        tell("around an image, one edge", |n| black_box(queries::around(&state, viewer, &image(n), Bounds::USUAL, 0)).is_ok());
        let wide = Bounds { depth: 2, nodes: 500 };
        tell("around an image, two edges, 500 nodes", |n| black_box(queries::around(&state, viewer, &image(n), wide, 0)).is_ok());
        tell("around the largest hub, 500 nodes", |_| black_box(queries::around(&state, viewer, &hub, wide, 0)).is_ok());
        tell("what an image shares", |n| black_box(queries::neighbours(&state, viewer, &image(n), None, page)).is_ok());
        tell("who has the largest hub", |_| black_box(queries::shares(&state, viewer, &hub, page)).is_ok());
        tell("bases", |n| black_box(queries::bases(&state, viewer, &image(n), None)).is_ok());
        let tag = |n: u64| -> Option<Subject> {
            let n = n * 97 % manifests;
            let place = Place { route: "docker.io".into(), name: name(n).parse().ok()? };
            Some(Subject::Tag(place, format!("1.{}", n % VERSIONS).parse().ok()?))
        };
        tell("versions", |n| tag(n).is_some_and(|tag| black_box(queries::versions(&state, viewer, &tag, page)).is_ok()));
        let mut survey = Survey::new(viewer);
        let begun = Instant::now();
        tell_times(
            "a step of the statistics",
            std::iter::from_fn(|| {
                let begun = Instant::now();
                survey.step(&state).then(|| begun.elapsed().as_nanos() as u32)
            })
            .collect(),
        );
        println!("    {:<44} {:>8.0} ms", "statistics in all", begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

fn tell(what: &str, ask: impl Fn(u64) -> bool) {
    let times = (0..500).map(|n| {
        let begun = Instant::now();
        assert!(ask(n), "{what}: there is no answer");
        begun.elapsed().as_nanos() as u32
    });
    tell_times(what, times.collect());
}

fn tell_times(what: &str, mut nanoseconds: Vec<u32>) {
    nanoseconds.sort_unstable();
    let at = |share: usize| f64::from(nanoseconds.get(nanoseconds.len() * share / 100).copied().unwrap_or_default()) / 1e3;
    let most = f64::from(nanoseconds.last().copied().unwrap_or_default()) / 1e3;
    println!("    {what:<44} p50 {:>8.1}  p99 {:>8.1}  max {most:>8.1}", at(50), at(99));
}

fn digest(what: &str, n: u64) -> Digest {
    Digest::of(Algorithm::Sha256, format!("{what} {n}").as_bytes())
}

fn name(n: u64) -> String {
    format!("team/service{}", n / VERSIONS)
}

/// An image of eight layers is seen and named.
fn image(n: u64) -> Result<[Event; 2], Box<dyn std::error::Error>> {
    let media_type: MediaType = "application/vnd.oci.image.layer.v1.tar+gzip".parse()?;
    let layer = |digest, size| Layer { digest, size, media_type: media_type.clone() };
    let repository = Repository { route: "docker.io".into(), name: name(n).parse()?, private: false };
    let system = if n.is_multiple_of(10) { 0 } else { n / VERSIONS % SYSTEMS };
    let mut layers = vec![layer(digest("system", system), 30_000_000)];
    layers.extend((0..4).map(|part| layer(digest("middle", n / VERSIONS * 4 + part), 5_000_000)));
    layers.extend((0..3).map(|part| layer(digest("top", n * 3 + part), 100_000)));
    let seen = ManifestSeen {
        repository: repository.clone(),
        manifest: Layer { digest: digest("manifest", n), size: 1500, media_type: MediaType::OCI_MANIFEST.parse()? },
        config: Some(layer(digest("config", n), 7000)),
        layers,
        manifests: None,
        subject: None,
        base: None,
        created: None,
    };
    let (tag, named) = (format!("1.{}", n % VERSIONS).parse()?, Some(seen.manifest.digest));
    let moved = What::TagMoved { repository, tag, digest: named };
    Ok([What::ManifestSeen(Arc::new(seen)), moved].map(|what| Event { at: 1_700_000_000_000 + n * 1000, what }))
}
