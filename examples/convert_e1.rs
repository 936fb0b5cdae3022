//! Makes a trace of a workload that was generated as CSV, for `harbinger replay`.
//!
//! ```sh
//! cargo run --release --example convert_e1 -- E1_DIR --data DATA_DIR [--duds SHARE] OUT.trace
//! ```
//!
//! In the generated workload every push is pulled. `--duds .3` adds pushes that nobody ever pulls, so that these are 30 % of all.
//!
//! `E1_DIR` holds `e1_trace.csv.gz` (requests: time, region, customer, class, node, `M` for a manifest or `L` for a layer, its number,
//! its size, the image's name, the cause) and `e1_pushes.csv.gz` (pushes of private images: time, customer, class, regions, repository,
//! tag, manifest, base image, layers with their sizes). `DATA_DIR` holds the history of public images that the workload was made of:
//! `docker_official_manifests.jsonl.gz`, `docker_official_layers.csv.gz` and `docker_official_tag_moves.csv.gz`.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use flate2::read::GzDecoder;
use harbinger::{
    events::{
        Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What,
        log::{Privacy, TraceHeader, TraceWriter},
    },
    oci::{Algorithm, Digest, MediaType},
};

/// Numbers of layers and manifests of pushes that nobody pulls begin here, far above all others.
const FIRST_OF_A_DUD: u64 = 1 << 40;

type Failure = Box<dyn Error>;

/// Layers of private images that were pushed, and public ones, by the number of their manifest: number and size.
type Layers = Arc<[(u64, u64)]>;

/// Something that happened.
enum Row {
    /// A request.
    Request {
        at: u64,
        region: Arc<str>,
        customer: Arc<str>,
        node: Arc<str>,
        is_manifest: bool,
        number: u64,
        size: u64,
        image: Arc<str>,
    },
    /// A tag was made to name a manifest.
    Moved { at: u64, image: Arc<str>, manifest: u64 },
}

/// Tells all events of a workload in order of time.
fn events(e1: &Path, data: &Path, duds: f64, tell: &mut dyn FnMut(Event)) -> Result<(), Failure> {
    let public = public_images(data)?;
    let (mut pushes, mut private) = pushes(&e1.join("e1_pushes.csv.gz"))?;
    add_duds(&mut pushes, &mut private, duds);
    let mut requests = requests(&e1.join("e1_trace.csv.gz"))?.peekable();
    let Some(Ok(Row::Request { at: begin, .. })) = requests.peek() else { return Err("there are no requests".into()) };
    let mut moves: Vec<Row> = tag_moves(&data.join("docker_official_tag_moves.csv.gz"))?
        .into_iter()
        .filter(|row| matches!(row, Row::Moved { at, .. } if at >= begin))
        .collect();
    moves.extend(pushes);
    moves.sort_by_key(|row| match row {
        Row::Moved { at, .. } | Row::Request { at, .. } => *at,
    });
    let mut moves = moves.into_iter().peekable();
    let mut converter = Converter { public, private, told: HashMap::new(), contents: HashMap::new(), tell };
    for request in requests {
        let request = request?;
        let Row::Request { at, .. } = request else { continue };
        while let Some(moved) = moves.next_if(|row| matches!(row, Row::Moved { at: moved, .. } if *moved <= at)) {
            converter.row(moved)?;
        }
        converter.row(request)?;
    }
    for moved in moves {
        converter.row(moved)?;
    }
    Ok(())
}

struct Converter<'a> {
    public: HashMap<u64, Layers>,
    private: HashMap<u64, Layers>,
    /// Manifests that have been told of, with their digests.
    told: HashMap<u64, Digest>,
    contents: HashMap<u64, Digest>,
    tell: &'a mut dyn FnMut(Event),
}

impl Converter<'_> {
    fn row(&mut self, row: Row) -> Result<(), Failure> {
        match row {
            Row::Moved { at, image, manifest } => {
                let (repository, tag) = name(&image)?;
                let Some(digest) = self.manifest(at, &repository, manifest) else { return Ok(()) };
                let what = What::TagMoved { repository, tag: tag.parse()?, digest: Some(digest) };
                (self.tell)(Event { at, what });
            }
            Row::Request { at, region, customer, node, is_manifest, number, size, image } => {
                let (repository, tag) = name(&image)?;
                let digest = if is_manifest {
                    self.manifest(at, &repository, number).unwrap_or_else(|| digest("manifest", number))
                } else {
                    *self.contents.entry(number).or_insert_with(|| digest("layer", number))
                };
                let client = Digest::of(Algorithm::Sha256, node.as_bytes());
                let client = client.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                let request = Request {
                    customer: Some(customer),
                    region,
                    client,
                    repository,
                    tag: Some(tag.parse()?).filter(|_| is_manifest),
                    digest: Some(digest),
                    kind: if is_manifest { Kind::Manifest } else { Kind::Blob },
                    status: 200,
                    bytes: size,
                    source: Source::None,
                    first_byte: 0,
                    total: 0,
                    complete: true,
                };
                (self.tell)(Event { at, what: What::Request(Arc::new(request)) });
            }
        }
        Ok(())
    }

    /// The digest of a manifest, which is told of when it is first named; `None` when its layers are not known.
    fn manifest(&mut self, at: u64, repository: &Repository, number: u64) -> Option<Digest> {
        if let Some(digest) = self.told.get(&number) {
            return Some(*digest);
        }
        let layers = self.private.get(&number).or_else(|| self.public.get(&number))?;
        let media_type: MediaType = MediaType::OCI_MANIFEST.parse().ok()?;
        let manifest = Layer { digest: digest("manifest", number), size: 600 + 350 * layers.len() as u64, media_type };
        let layer_type: MediaType = "application/vnd.oci.image.layer.v1.tar+gzip".parse().ok()?;
        let layers = layers.iter().map(|(number, size)| Layer {
            digest: *self.contents.entry(*number).or_insert_with(|| digest("layer", *number)),
            size: *size,
            media_type: layer_type.clone(),
        });
        let digest = manifest.digest;
        let layers = layers.collect();
        let seen = ManifestSeen {
            repository: repository.clone(),
            manifest,
            config: None,
            layers,
            manifests: None,
            subject: None,
            base: None,
            created: None,
        };
        (self.tell)(Event { at, what: What::ManifestSeen(Arc::new(seen)) });
        self.told.insert(number, digest);
        Some(digest)
    }
}

/// The digest that stands for a number.
fn digest(kind: &str, number: u64) -> Digest {
    Digest::of(Algorithm::Sha256, format!("{kind} {number}").as_bytes())
}

/// Repository and tag of an image. Those of customers, `c7/app1:v9`, are private.
fn name(image: &str) -> Result<(Repository, &str), Failure> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let private = name.starts_with('c') && name.contains("/app");
    let (route, name) = match (private, name.contains('/')) {
        (true, _) => ("private.example", name.to_owned()),
        (false, true) => ("docker.io", name.to_owned()),
        (false, false) => ("docker.io", format!("library/{name}")),
    };
    Ok((Repository { route: route.into(), name: name.parse()?, private }, tag))
}

fn lines(file: &Path) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, Failure> {
    let file = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(BufReader::with_capacity(1 << 20, GzDecoder::new(file)).lines())
}

fn fields<const N: usize>(line: &str) -> Result<[&str; N], Failure> {
    let fields: Vec<&str> = line.splitn(N, ',').collect();
    fields.try_into().map_err(|_| format!("not {N} fields: {line}").into())
}

fn requests(file: &Path) -> Result<impl Iterator<Item = Result<Row, Failure>> + use<>, Failure> {
    let mut texts: HashMap<String, Arc<str>> = HashMap::new();
    let mut shared = move |text: &str| match texts.get(text) {
        Some(shared) => shared.clone(),
        None => {
            let one: Arc<str> = text.into();
            texts.insert(text.to_owned(), one.clone());
            one
        }
    };
    Ok(lines(file)?.skip(1).map(move |line| {
        let line = line?;
        let [at, region, customer, _, node, kind, number, size, image, _] = fields::<10>(&line)?;
        Ok(Row::Request {
            at: at.parse()?,
            region: shared(region),
            customer: shared(customer),
            node: shared(node),
            is_manifest: kind == "M",
            number: number.parse()?,
            size: size.parse()?,
            image: shared(image),
        })
    }))
}

fn pushes(file: &Path) -> Result<(Vec<Row>, HashMap<u64, Layers>), Failure> {
    let (mut rows, mut images) = (Vec::new(), HashMap::new());
    for line in lines(file)?.skip(1) {
        let line = line?;
        let [at, _, _, _, repository, tag, manifest, _, layers] = fields::<9>(&line)?;
        let manifest = manifest.parse()?;
        let layers = layers.trim().split(';').map(|layer| {
            let (number, size) = layer.split_once(':').ok_or("a layer without a size")?;
            Ok::<_, Failure>((number.parse()?, size.parse()?))
        });
        images.insert(manifest, layers.collect::<Result<Layers, _>>()?);
        rows.push(Row::Moved { at: at.parse()?, image: format!("{repository}:{tag}").into(), manifest });
    }
    Ok((rows, images))
}

/// Adds versions of private images that nobody pulls, within an hour after others of the same repository, of which they have all layers
/// but the one or two on top. They become `share` of all pushes.
fn add_duds(rows: &mut Vec<Row>, images: &mut HashMap<u64, Layers>, share: f64) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut next = FIRST_OF_A_DUD;
    let each = share / (1.0 - share);
    for at in 0..rows.len() {
        if random.f64() >= each {
            continue;
        }
        let Row::Moved { at, image, manifest } = &rows[at] else { continue };
        let (Some(layers), Some((repository, _))) = (images.get(manifest), image.rsplit_once(':')) else { continue };
        let own = layers.len().saturating_sub(random.usize(1..=2));
        let layers: Layers = layers
            .iter()
            .enumerate()
            .map(|(place, (number, size))| if place < own { (*number, *size) } else { (next + place as u64, *size) })
            .collect();
        let dud =
            Row::Moved { at: at + random.u64(..3_600_000), image: format!("{repository}:dud{next}").into(), manifest: next };
        next += 1 + layers.len() as u64;
        if let Row::Moved { manifest, .. } = dud {
            images.insert(manifest, layers);
        }
        rows.push(dud);
    }
}

fn tag_moves(file: &Path) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for line in lines(file)?.skip(1) {
        let line = line?;
        let [at, image, event, _, manifest] = fields::<5>(&line)?;
        if event != "D" && !manifest.trim().is_empty() {
            rows.push(Row::Moved { at: at.parse::<u64>()? * 1000, image: image.into(), manifest: manifest.trim().parse()? });
        }
    }
    Ok(rows)
}

fn public_images(data: &Path) -> Result<HashMap<u64, Layers>, Failure> {
    let mut sizes = HashMap::new();
    for line in lines(&data.join("docker_official_layers.csv.gz"))?.skip(1) {
        let line = line?;
        let [number, _, size, _] = fields::<4>(&line)?;
        sizes.insert(number.parse::<u64>()?, size.parse::<u64>()?.max(32));
    }
    #[derive(serde::Deserialize)]
    struct Image {
        manifest_id: u64,
        layers: Vec<u64>,
    }
    let mut images = HashMap::new();
    for line in lines(&data.join("docker_official_manifests.jsonl.gz"))? {
        let image: Image = serde_json::from_str(&line?)?;
        let layers = image.layers.iter().map(|number| (*number, sizes.get(number).copied().unwrap_or(0)));
        images.insert(image.manifest_id, layers.collect());
    }
    Ok(images)
}

/// The first weeks fill the caches.
const WARM_UP: u64 = 28 * 86_400_000;

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let place = arguments.iter().position(|argument| argument == "--data");
    let data = place.filter(|place| place + 1 < arguments.len()).map(|place| arguments.drain(place..place + 2).nth(1));
    let place = arguments.iter().position(|argument| argument == "--duds");
    let duds = place.filter(|place| place + 1 < arguments.len()).and_then(|place| arguments.drain(place..place + 2).nth(1));
    let duds = duds.map_or(Ok(0.0), |share| share.parse::<f64>())?;
    let (Some(Some(data)), [e1, out], true) = (data, arguments.as_slice(), (0.0..=0.5).contains(&duds)) else {
        return Err("usage: convert_e1 E1_DIR --data DATA_DIR [--duds SHARE] OUT.trace; a share is from 0 to .5".into());
    };
    let mut first = None;
    requests(&Path::new(e1).join("e1_trace.csv.gz"))?.next().transpose()?.into_iter().for_each(|row| {
        if let Row::Request { at, .. } = row {
            first = Some(at);
        }
    });
    // The generator begins at midnight, which is when its weeks begin.
    let begun = first.ok_or("there are no requests")? / 86_400_000 * 86_400_000;
    let header = TraceHeader { privacy: Privacy::Unknown, begun, counted_from: Some(begun + WARM_UP) };
    let mut writer = TraceWriter::new(File::create(out).map_err(|error| format!("{out}: {error}"))?, header)?;
    let (mut count, mut failed) = (0_u64, None);
    events(Path::new(e1), Path::new(&data), duds, &mut |event| {
        count += 1;
        if let Err(error) = writer.push(&event) {
            failed.get_or_insert(error);
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    writer.finish()?.sync_all()?;
    println!("{count} events in {out}");
    Ok(())
}
