//! What learning and deciding cost: everything that an edge does with what it hears, apart from hearing it.
//!
//! `cargo bench --bench predict [-- TRACE…]`; without a trace, machines of some customers pull images of their own and public ones,
//! day and night, and new versions are released. Counts the processor time of all threads, fits behind included.

use std::{env, fs, path::PathBuf, sync::Arc, time::Instant};

use harbinger::{
    events::{Event, Kind, Layer, ManifestSeen, Millis, Repository, Request, Source, What, log::TraceReader},
    oci::{Algorithm, Digest, MediaType},
    predict::{Budget, Forecast, Foresight},
};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Requests a second at which the share of a processor is told.
const RATE: f64 = 1_000.0;

const HOUR: Millis = 3_600_000;

fn main() -> Outcome {
    let traces: Vec<PathBuf> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(Into::into).collect();
    let mut foresight = Foresight::new("dal".into(), Budget::default(), Arc::new(Forecast::new(0)));
    let (mut requests, mut events, mut expected) = (0_u64, 0_u64, 0_usize);
    let (begun, before) = (Instant::now(), processor_seconds()?);
    let mut spent_elsewhere = 0.0;
    let mut hear = |event: &Event| {
        events += 1;
        requests += u64::from(matches!(event.what, What::Request(_)));
        expected += foresight.hear(event).len();
    };
    if traces.is_empty() {
        let workload: Vec<_> = Workload::new().collect();
        spent_elsewhere = processor_seconds()? - before;
        workload.iter().for_each(&mut hear);
    }
    for trace in &traces {
        // Reading is a small part of the whole, and counted.
        for event in TraceReader::open(trace)? {
            hear(&event?);
        }
    }
    let each = (processor_seconds()? - before - spent_elsewhere) / requests as f64;
    println!("{events} events, {requests} requests, {expected} contents expected, in {:.1?}", begun.elapsed());
    println!("{:.2} us of a processor each request: {:.2} % of one at {RATE} requests a second", each * 1e6, each * RATE * 100.0);
    Ok(())
}

/// What this process has used of processors, all threads together.
fn processor_seconds() -> Outcome<f64> {
    /// Ticks a second, on every Linux.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat has another form")?;
    let fields: Vec<_> = fields.split(' ').collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS)
}

/// Machines that pull what is new, and images that get new versions.
struct Workload {
    random: fastrand::Rng,
    now: Millis,
    versions: Vec<u32>,
    ready: std::vec::IntoIter<Event>,
    /// Hours that are left.
    left: u32,
}

const CUSTOMERS: u32 = 40;
const IMAGES: u32 = 10;
const MACHINES: u32 = 25;
const LAYERS: u32 = 8;
const HOURS: u32 = 30 * 24;

impl Workload {
    fn new() -> Self {
        let versions = vec![0; (CUSTOMERS * IMAGES) as usize];
        Self { random: fastrand::Rng::with_seed(3), now: 400_000 * HOUR, versions, ready: Vec::new().into_iter(), left: HOURS }
    }

    /// What happens in an hour: releases, and machines that come to life and pull all that their customer runs.
    fn hour(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for image in 0..self.versions.len() as u32 {
            if self.random.u8(..24) == 0 {
                self.versions[image as usize] += 1;
                events.push(self.seen(image));
                events.push(self.moved(image));
            }
        }
        for customer in 0..CUSTOMERS {
            let machine = customer * MACHINES + self.random.u32(..MACHINES);
            for image in customer * IMAGES..(customer + 1) * IMAGES {
                events.push(self.request(machine, image, None));
                for layer in 0..LAYERS {
                    events.push(self.request(machine, image, Some(layer)));
                }
            }
        }
        self.now += HOUR;
        events
    }

    /// The lower layers are the same in all versions, the lowest two in all images of a customer.
    fn layer(&self, image: u32, layer: u32) -> Digest {
        let of = match layer {
            0 | 1 => (image / IMAGES, u32::MAX),
            2..=4 => (image, u32::MAX),
            _ => (image, self.versions[image as usize]),
        };
        Digest::of(Algorithm::Sha256, format!("{of:?} {layer}").as_bytes())
    }

    fn manifest(&self, image: u32) -> Digest {
        Digest::of(Algorithm::Sha256, format!("{image} {}", self.versions[image as usize]).as_bytes())
    }

    fn repository(image: u32) -> Repository {
        let name = format!("team{}/app{image}", image / IMAGES);
        Repository { route: "docker.io".into(), name: name.parse().expect("a good name"), private: true }
    }

    fn seen(&self, image: u32) -> Event {
        let of = |digest, size, media_type: &str| Layer { digest, size, media_type: media_type.parse().expect("a good type") };
        let layers = (0..LAYERS).map(|layer| of(self.layer(image, layer), 3_000_000, MediaType::OCTET_STREAM)).collect();
        let seen = ManifestSeen {
            repository: Self::repository(image),
            manifest: of(self.manifest(image), 2_000, MediaType::OCI_MANIFEST),
            config: None,
            layers,
            manifests: None,
            subject: None,
            base: None,
            created: None,
        };
        Event { at: self.now, what: What::ManifestSeen(Arc::new(seen)) }
    }

    fn moved(&self, image: u32) -> Event {
        let (repository, tag) = (Self::repository(image), "stable".parse().expect("a good tag"));
        Event { at: self.now, what: What::TagMoved { repository, tag, digest: Some(self.manifest(image)) } }
    }

    fn request(&self, machine: u32, image: u32, layer: Option<u32>) -> Event {
        let request = Request {
            customer: Some(format!("team{}", image / IMAGES).into()),
            region: "dal".into(),
            client: u64::from(machine),
            repository: Self::repository(image),
            tag: layer.is_none().then(|| "stable".parse().expect("a good tag")),
            digest: Some(layer.map_or_else(|| self.manifest(image), |layer| self.layer(image, layer))),
            kind: if layer.is_none() { Kind::Manifest } else { Kind::Blob },
            status: 200,
            bytes: 3_000_000,
            source: Source::Disk,
            first_byte: 1,
            total: 2,
            complete: true,
        };
        Event { at: self.now, what: What::Request(Arc::new(request)) }
    }
}

impl Iterator for Workload {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.next() {
                return Some(event);
            }
            self.left = self.left.checked_sub(1)?;
            self.ready = self.hour().into_iter();
        }
    }
}
