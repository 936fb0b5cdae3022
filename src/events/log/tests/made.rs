//! Events for tests: any there can be, and such as there are.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*};

use super::super::encoder::{KINDS, OUTCOMES, SOURCES};
use crate::{
    events::{Child, Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What},
    oci::{Algorithm, Digest, MediaType, Tag},
};

/// A content is stored: `n` milliseconds after the beginning, one of many.
pub(super) fn stored(n: u64, digest: u64) -> Event {
    let mut raw = [7; 32];
    raw[..8].copy_from_slice(&digest.to_be_bytes());
    let digest = Digest::from_bytes(Algorithm::Sha256, &raw).unwrap();
    Event { at: 1_000_000_000_000 + n, what: What::BlobStored { digest, size: n } }
}

/// A request among many pulls of ten layers each, by a hundred clients of three customers.
pub(super) fn of_a_pull(n: u32) -> Event {
    let (pull, step) = (n / 10, n % 10);
    let image = pull * 7919 % 1000;
    let repository = Repository { route: "docker.io".into(), name: format!("team/app-{image}").parse().unwrap(), private: false };
    let size = if step == 0 { 1500 } else { 1 << (10 + (n * 31) % 16) };
    let request = Request {
        customer: Some(format!("customer-{}", pull % 3).into()),
        region: "eu-central".into(),
        client: u64::from(pull % 100).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        repository,
        tag: Some("1.27".parse().unwrap()),
        digest: Some(Digest::of(Algorithm::Sha256, &(image * 10 + step).to_be_bytes())),
        kind: if step == 0 { Kind::Manifest } else { Kind::Blob },
        status: 200,
        bytes: size,
        source: Source::Disk,
        first_byte: 200 + n % 77,
        total: 400 + n % 777,
        complete: true,
    };
    Event { at: 1_700_000_000_000 + u64::from(n) * 13, what: What::Request(request.into()) }
}

/// Any event.
pub(super) fn event() -> impl Strategy<Value = Event> {
    let at = prop_oneof![1_700_000_000_000_u64..1_700_000_100_000, any::<u64>()];
    (at, what()).prop_map(|(at, what)| Event { at, what })
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        5 => request().prop_map(|request| What::Request(Arc::new(request))),
        2 => manifest_seen().prop_map(|seen| What::ManifestSeen(Arc::new(seen))),
        1 => (repository(), digest()).prop_map(|(repository, digest)| What::ManifestDeleted { repository, digest }),
        1 => (digest(), any::<u64>()).prop_map(|(digest, created)| What::ConfigRead { digest, created }),
        2 => (repository(), tag(), option::of(digest()))
            .prop_map(|(repository, tag, digest)| What::TagMoved { repository, tag, digest }),
        1 => (digest(), any::<u64>()).prop_map(|(digest, size)| What::BlobStored { digest, size }),
        1 => digest().prop_map(|digest| What::BlobEvicted { digest }),
        1 => (digest(), any::<u64>(), 0..OUTCOMES.len())
            .prop_map(|(digest, size, outcome)| What::Prefetched { digest, size, outcome: OUTCOMES[outcome] }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let who = (option::of("[a-z]{1,3}"), "[a-c]{0,2}", any::<u64>().prop_map(|client| client % 5));
    let subject = (repository(), option::of(tag()), option::of(digest()));
    let outcome = (0..KINDS.len(), 0..SOURCES.len(), prop_oneof![Just(200), any::<u16>()], any::<u64>());
    (who, subject, outcome, any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
        |((customer, region, client), (repository, tag, digest), (kind, source, status, bytes), first_byte, total, complete)| {
            Request {
                customer: customer.map(Into::into),
                region: region.into(),
                client,
                repository,
                tag,
                digest,
                kind: KINDS[kind],
                status,
                bytes,
                source: SOURCES[source],
                first_byte,
                total,
                complete,
            }
        },
    )
}

fn manifest_seen() -> impl Strategy<Value = ManifestSeen> {
    let child = (layer(), option::of("[a-z/]{0,9}")).prop_map(|(manifest, platform)| Child { manifest, platform });
    let image = (option::of(layer()), vec(layer(), 0..6), option::of(vec(child, 0..4)));
    let more = (option::of(digest()), option::of(digest()), option::of(any::<u64>()));
    (repository(), layer(), image, more).prop_map(
        |(repository, manifest, (config, layers, manifests), (subject, base, created))| ManifestSeen {
            repository,
            manifest,
            config,
            layers,
            manifests,
            subject,
            base,
            created,
        },
    )
}

fn layer() -> impl Strategy<Value = Layer> {
    let media_type = prop_oneof![Just(MediaType::OCI_MANIFEST), Just("application/x")];
    (digest(), any::<u64>(), media_type).prop_map(|(digest, size, media_type)| Layer {
        digest,
        size,
        media_type: media_type.parse().unwrap(),
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    (0..40_u8, any::<bool>()).prop_map(|(n, long)| Digest::of(if long { Algorithm::Sha512 } else { Algorithm::Sha256 }, &[n]))
}

fn repository() -> impl Strategy<Value = Repository> {
    ("[a-b]{0,2}", "[a-c]{1,2}/[a-c]", any::<bool>()).prop_map(|(route, name, private)| Repository {
        route: route.into(),
        name: name.parse().unwrap(),
        private,
    })
}

fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9_][a-z.-]{0,3}".prop_map(|text| text.parse().unwrap())
}
