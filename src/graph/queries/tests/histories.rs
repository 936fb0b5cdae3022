//! Histories of small things: a content is a number, its length is that number.

use std::sync::Arc;

use crate::{
    events::{Child, Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What},
    graph::{
        Seconds, State,
        queries::{Place, Subject},
    },
    oci::{Algorithm, Digest, InvalidName, MediaType},
};

/// Events, a second apart.
#[derive(Debug, Default, Clone)]
pub(super) struct History {
    pub(super) events: Vec<Event>,
}

pub(super) fn digest(content: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[content])
}

fn layer(content: u8) -> Layer {
    let media_type: MediaType = "application/vnd.oci.image.layer.v1.tar".parse().unwrap();
    Layer { digest: digest(content), size: u64::from(content), media_type }
}

/// What is called `secret…` is private.
fn repository(route: &str, name: &str) -> Repository {
    Repository { route: route.into(), name: name.parse().unwrap(), private: route.starts_with("secret") }
}

/// The name of a repository begins with its route.
pub(super) fn place(text: &str) -> Result<Place, InvalidName> {
    let (route, name) = text.split_once('/').unwrap_or_default();
    Ok(Place { route: route.into(), name: name.parse()? })
}

pub(super) fn subject(text: &str) -> Subject {
    Subject::read(text, place).unwrap()
}

impl History {
    pub(super) fn now(&self) -> Seconds {
        1_000 + self.events.len() as Seconds
    }

    pub(super) fn add(&mut self, what: What) -> &mut Self {
        let at = u64::from(self.now()) * 1000;
        self.events.push(Event { at, what });
        self
    }

    /// A manifest of layers is seen, whose configuration is the number above it.
    pub(super) fn image(&mut self, route: &str, name: &str, manifest: u8, layers: &[u8]) -> &mut Self {
        self.manifest(route, name, manifest, layers, None, None)
    }

    pub(super) fn manifest(
        &mut self,
        route: &str,
        name: &str,
        manifest: u8,
        layers: &[u8],
        base: Option<u8>,
        subject: Option<u8>,
    ) -> &mut Self {
        self.add(What::ManifestSeen(Arc::new(ManifestSeen {
            repository: repository(route, name),
            manifest: layer(manifest),
            config: Some(layer(manifest + 100)),
            layers: layers.iter().map(|&content| layer(content)).collect(),
            manifests: None,
            subject: subject.map(digest),
            base: base.map(digest),
            created: None,
        })))
    }

    /// An index is seen, with manifests for `linux/p0`, `linux/p1` and so on.
    pub(super) fn index(&mut self, route: &str, name: &str, index: u8, manifests: &[u8]) -> &mut Self {
        let children = manifests
            .iter()
            .enumerate()
            .map(|(place, &manifest)| Child { manifest: layer(manifest), platform: Some(format!("linux/p{place}")) });
        self.add(What::ManifestSeen(Arc::new(ManifestSeen {
            repository: repository(route, name),
            manifest: layer(index),
            config: None,
            layers: Vec::new(),
            manifests: Some(children.collect()),
            subject: None,
            base: None,
            created: None,
        })))
    }

    pub(super) fn tag(&mut self, route: &str, name: &str, tag: &str, manifest: u8) -> &mut Self {
        self.tag_moved(route, name, tag, Some(manifest))
    }

    pub(super) fn tag_moved(&mut self, route: &str, name: &str, tag: &str, manifest: Option<u8>) -> &mut Self {
        let (repository, tag) = (repository(route, name), tag.parse().unwrap());
        self.add(What::TagMoved { repository, tag, digest: manifest.map(digest) })
    }

    pub(super) fn deleted(&mut self, route: &str, name: &str, manifest: u8) -> &mut Self {
        self.add(What::ManifestDeleted { repository: repository(route, name), digest: digest(manifest) })
    }

    /// A blob is pulled in the region `eu`, by a customer.
    pub(super) fn pull(&mut self, route: &str, name: &str, content: u8) -> &mut Self {
        self.add(What::Request(Arc::new(Request {
            customer: Some("hush".into()),
            region: "eu".into(),
            client: u64::from(content % 2),
            repository: repository(route, name),
            tag: None,
            digest: Some(digest(content)),
            kind: if content < 10 { Kind::Manifest } else { Kind::Blob },
            status: 200,
            bytes: u64::from(content),
            source: Source::Disk,
            first_byte: 1,
            total: 1,
            complete: true,
        })))
    }

    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        self.events.iter().for_each(|event| state.apply(event));
        state
    }

    /// The same without what happened in private repositories.
    pub(super) fn public(&self) -> Self {
        let is_private = |event: &Event| match &event.what {
            What::Request(request) => request.repository.private,
            What::ManifestSeen(seen) => seen.repository.private,
            What::ManifestDeleted { repository, .. } | What::TagMoved { repository, .. } => repository.private,
            _ => false,
        };
        Self { events: self.events.iter().filter(|event| !is_private(event)).cloned().collect() }
    }
}

/// The digest of one of very many images.
pub(super) fn image_digest(image: u32) -> Digest {
    Digest::of(Algorithm::Sha256, &image.to_le_bytes())
}

/// One of very many images is seen: it has a layer in common with the others, and one of its own.
pub(super) fn image_on(common: Digest, image: u32) -> Event {
    let own = Digest::of(Algorithm::Sha256, format!("own {image}").as_bytes());
    let layer = |digest| Layer { digest, ..layer(10) };
    let what = What::ManifestSeen(Arc::new(ManifestSeen {
        repository: repository("hub", "many"),
        manifest: layer(image_digest(image)),
        config: None,
        layers: vec![layer(common), layer(own)],
        manifests: None,
        subject: None,
        base: None,
        created: None,
    }));
    Event { at: 1_000_000, what }
}
