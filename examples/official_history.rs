//! Builds the layer graph of a history of images, and prints what it knows: how much of an image survives when its tag moves, and
//! how far a new layer of an operating system reaches.
//!
//! ```text
//! cargo run --release --example official_history -- FOLDER
//! ```
//!
//! The folder holds three files, such as can be made of the commits of `docker-library/repo-info`, which tell what every tag of
//! Docker's official images named from August 2016 on:
//!
//! | file | what |
//! |---|---|
//! | `docker_official_tag_moves.csv.gz` | `commit_unix,image_tag,event,top_digest,amd64_manifest_id`; event A (added), M (moved) or D (deleted) |
//! | `docker_official_manifests.jsonl.gz` | `{"manifest_id":0,"digest":"sha256:…","image_id":"sha256:…","layers":[0,1]}`, lowest layer first |
//! | `docker_official_layers.csv.gz` | `layer_id,digest,size_bytes,last_modified_unix` |
//!
//! What is told as *following* is meant like this: a tag of an image that is no operating system moved to an image with another
//! lowest layer, and a tag of an operating system had named an image with that lowest layer before. What moved in the same second
//! moved in the order of the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use flate2::read::GzDecoder;
use harbinger::{
    events::{Event, Layer, ManifestSeen, Repository, What},
    graph::{
        State, Viewer,
        queries::{Place, Statistics, Subject, Survey, layers},
    },
    oci::{Digest, Tag},
};
use serde::Deserialize;

/// Official images that others are built on and that are built on nothing.
const SYSTEMS: [&str; 15] = [
    "alpine",
    "amazonlinux",
    "busybox",
    "centos",
    "cirros",
    "clearlinux",
    "crux",
    "debian",
    "fedora",
    "mageia",
    "opensuse",
    "oraclelinux",
    "photon",
    "sl",
    "ubuntu",
];

/// What a history shows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Tags that began to name another image.
    pub(crate) moves: u64,
    /// The sum of the shares of the new image's layers that the old one has.
    pub(crate) kept_layers: f64,
    /// The same of their bytes.
    pub(crate) kept_bytes: f64,
    /// Moves to an image that has no layer of the old one.
    pub(crate) kept_nothing: u64,
    /// Moves of what is no operating system to an image with another lowest layer.
    pub(crate) base_changes: u64,
    /// Those of them to a layer that is the lowest of an operating system, at some time.
    pub(crate) onto_a_system: u64,
    /// Those of them that followed the operating system.
    pub(crate) followed: u64,
    /// By lowest layer of an operating system: how many tags changed to it.
    pub(crate) reach: Vec<u64>,
    /// What the graph is in the end.
    pub(crate) statistics: Statistics,
}

#[derive(Deserialize)]
struct Manifest {
    manifest_id: u32,
    digest: Digest,
    image_id: Option<Digest>,
    layers: Vec<u32>,
}

/// A tag names a manifest, or none any more.
struct Naming {
    at: u64,
    repository: Repository,
    tag: Tag,
    manifest: Option<u32>,
}

fn main() -> ExitCode {
    let Some(folder) = env::args().nth(1) else {
        eprintln!("usage: official_history FOLDER, with docker_official_{{tag_moves.csv,manifests.jsonl,layers.csv}}.gz in it");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    match facts(Path::new(&folder)) {
        Ok(facts) => {
            print!("{facts}");
            println!("read, built and asked in {:.1?}", start.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the history in {folder} cannot be read: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the graph of the history in a folder, and watches what happens in it.
pub(crate) fn facts(folder: &Path) -> Result<Facts, Box<dyn Error>> {
    let layers = read_layers(folder)?;
    let manifests = read_manifests(folder, &layers)?;
    let mut watch = Watch::default();
    for Naming { at, repository, tag, manifest } in read_namings(folder)? {
        let digest =
            manifest.map(|manifest| manifests.get(&manifest).ok_or("a tag names a manifest that is not there")).transpose()?;
        watch.next(at, &repository, &tag, digest);
    }
    Ok(watch.finish())
}

/// The graph as it grows, and what is seen meanwhile.
#[derive(Default)]
struct Watch {
    state: State,
    facts: Facts,
    /// By lowest layer of an operating system.
    systems: BTreeSet<Digest>,
    /// Lowest layers that tags changed to, by layer, with the tags.
    reached: BTreeMap<Digest, BTreeSet<String>>,
    /// Base changes to what no operating system had named, by lowest layer.
    ahead: BTreeMap<Digest, u64>,
}

impl Watch {
    fn next(&mut self, at: u64, repository: &Repository, tag: &Tag, manifest: Option<&ManifestSeen>) {
        let place = Place { route: repository.route.clone(), name: repository.name.clone() };
        let subject = Subject::Tag(place, tag.clone());
        let before = self.layers(&subject);
        let at = at * 1000;
        if let Some(seen) = manifest {
            let seen = ManifestSeen { repository: repository.clone(), ..seen.clone() };
            self.state.apply(&Event { at, what: What::ManifestSeen(Arc::new(seen)) });
        }
        let digest = manifest.map(|seen| seen.manifest.digest);
        let moved = What::TagMoved { repository: repository.clone(), tag: tag.clone(), digest };
        self.state.apply(&Event { at, what: moved });
        let after = self.layers(&subject);
        let is_system = SYSTEMS.iter().any(|system| repository.name.as_str() == format!("library/{system}"));
        if is_system && let Some((_, lowest)) = after.as_ref().and_then(|image| image.1.first()) {
            self.systems.insert(*lowest);
        }
        if let (Some(before), Some(after)) = (before, after)
            && before.0 != after.0
        {
            self.moved(&before.1, &after.1, is_system, &subject);
        }
    }

    /// What a tag names now, and its layers: lengths and digests, lowest first. None when it names nothing.
    fn layers(&self, tag: &Subject) -> Option<(Digest, Vec<(u64, Digest)>)> {
        let image = tag.content(&self.state, Viewer::Operator).ok()?;
        let layers = layers(&self.state, Viewer::Operator, image);
        let layers = layers.into_iter().filter_map(|layer| self.state.as_content(layer)).map(|one| (one.size, one.digest()));
        Some((self.state.as_content(image)?.digest(), layers.collect()))
    }

    fn moved(&mut self, before: &[(u64, Digest)], after: &[(u64, Digest)], is_system: bool, tag: &Subject) {
        let (before_set, after_set): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
        let kept: Vec<_> = after_set.intersection(&before_set).collect();
        let bytes: u64 = after_set.iter().map(|(size, _)| size).sum();
        let kept_bytes: u64 = kept.iter().map(|(size, _)| size).sum();
        let facts = &mut self.facts;
        facts.moves += 1;
        facts.kept_layers += kept.len() as f64 / after_set.len().max(1) as f64;
        facts.kept_bytes += kept_bytes as f64 / bytes.max(1) as f64;
        facts.kept_nothing += u64::from(kept.is_empty());
        let (Some((_, old)), Some((_, new))) = (before.first(), after.first()) else { return };
        if is_system || old == new {
            return;
        }
        facts.base_changes += 1;
        self.reached.entry(*new).or_default().insert(tag.to_string());
        if self.systems.contains(new) {
            facts.followed += 1;
        } else {
            *self.ahead.entry(*new).or_default() += 1;
        }
    }

    fn finish(self) -> Facts {
        let Self { state, mut facts, systems, reached, ahead } = self;
        let ahead = ahead.iter().filter(|(layer, _)| systems.contains(*layer)).map(|(_, changes)| changes).sum::<u64>();
        facts.onto_a_system = facts.followed + ahead;
        let reach = reached.iter().filter(|(layer, _)| systems.contains(*layer)).map(|(_, tags)| tags.len() as u64);
        facts.reach = reach.collect();
        facts.reach.sort_unstable();
        let mut survey = Survey::new(Viewer::Operator);
        while survey.step(&state) {}
        facts.statistics = survey.finish();
        facts
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: f64, whole: u64| 100.0 * part / whole.max(1) as f64;
        let Self { moves, base_changes, onto_a_system, followed, reach, statistics, .. } = self;
        writeln!(f, "tags moved to another image {moves} times; on average the new image had from the old one")?;
        let (layers, bytes) = (percent(self.kept_layers, *moves), percent(self.kept_bytes, *moves));
        writeln!(f, "  {layers:.1} % of its layers and {bytes:.1} % of its bytes")?;
        writeln!(f, "  {:.1} % of the moves kept nothing", percent(self.kept_nothing as f64, *moves))?;
        let at = |share: usize| reach.get(reach.len() * share / 100).copied().unwrap_or_default();
        let most = reach.last().copied().unwrap_or_default();
        writeln!(f, "the lowest layer of an operating system reached p50 {}, p90 {}, at most {most} tags", at(50), at(90))?;
        writeln!(f, "dependent tags changed their lowest layer {base_changes} times, {onto_a_system} times to a system's:")?;
        let (of_all, of_these) = (percent(*followed as f64, *base_changes), percent(*followed as f64, *onto_a_system));
        writeln!(f, "  {followed} followed a move of the system's tag: {of_all:.2} % of all, {of_these:.2} % of these")?;
        let Statistics { nodes, edges, dedup_ratio, fan_out, .. } = statistics;
        writeln!(f, "the graph has {} nodes and {} edges", nodes.values().sum::<u64>(), edges.values().sum::<u64>())?;
        let kinds: Vec<_> = nodes.iter().map(|(kind, number)| format!("{kind} {number}")).collect();
        writeln!(f, "  {}", kinds.join(", "))?;
        writeln!(f, "  sharing pays {dedup_ratio:.2} times; a layer is in at most {} images", fan_out.max)
    }
}

fn read_layers(folder: &Path) -> Result<BTreeMap<u32, Layer>, Box<dyn Error>> {
    let mut layers = BTreeMap::new();
    for line in lines(&folder.join("docker_official_layers.csv.gz"))?.skip(1) {
        let line = line?;
        let [id, digest, size, _] = fields(&line)?;
        let media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip".parse()?;
        layers.insert(id.parse()?, Layer { digest: digest.parse()?, size: size.parse()?, media_type });
    }
    Ok(layers)
}

fn read_manifests(folder: &Path, layers: &BTreeMap<u32, Layer>) -> Result<BTreeMap<u32, ManifestSeen>, Box<dyn Error>> {
    let mut manifests = BTreeMap::new();
    for line in lines(&folder.join("docker_official_manifests.jsonl.gz"))? {
        let manifest: Manifest = serde_json::from_str(&line?)?;
        let of = |digest, media_type: &str| {
            // The history does not tell their lengths.
            media_type.parse().map(|media_type| Layer { digest, size: 0, media_type })
        };
        let named = manifest.layers.iter().map(|layer| layers.get(layer).cloned());
        let named: Option<Vec<_>> = named.collect();
        manifests.insert(
            manifest.manifest_id,
            ManifestSeen {
                repository: repository("unknown")?,
                manifest: of(manifest.digest, "application/vnd.docker.distribution.manifest.v2+json")?,
                config: manifest.image_id.map(|id| of(id, "application/vnd.docker.container.image.v1+json")).transpose()?,
                layers: named.ok_or("a manifest names a layer that is not there")?,
                manifests: None,
                subject: None,
                base: None,
                created: None,
            },
        );
    }
    Ok(manifests)
}

/// In the order of time.
fn read_namings(folder: &Path) -> Result<Vec<Naming>, Box<dyn Error>> {
    let mut namings = Vec::new();
    for line in lines(&folder.join("docker_official_tag_moves.csv.gz"))?.skip(1) {
        let line = line?;
        let [at, image, event, _, manifest] = fields(&line)?;
        let (name, tag) = image.split_once(':').ok_or("a tag has no ':'")?;
        let manifest = match event {
            "D" => None,
            // The tag names nothing for this platform.
            _ if manifest.is_empty() => continue,
            _ => Some(manifest.parse()?),
        };
        namings.push(Naming { at: at.parse()?, repository: repository(name)?, tag: tag.parse()?, manifest });
    }
    namings.sort_by_key(|naming| naming.at);
    Ok(namings)
}

fn repository(name: &str) -> Result<Repository, Box<dyn Error>> {
    Ok(Repository { route: "docker.io".into(), name: format!("library/{name}").parse()?, private: false })
}

fn lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufReader::new(GzDecoder::new(file)).lines())
}

fn fields<const COUNT: usize>(line: &str) -> Result<[&str; COUNT], Box<dyn Error>> {
    let fields: Vec<_> = line.split(',').collect();
    fields.try_into().map_err(|_| format!("'{line}' does not have {COUNT} fields").into())
}
