//! A trace as version 1 is: the bytes never change.

use std::sync::Arc;

use super::{HEADER, Losses, read, written};
use crate::{
    events::{Child, Event, Kind, Layer, ManifestSeen, Outcome, Repository, Request, Source, What},
    oci::{Algorithm, Digest, MediaType},
};

/// One event of each kind, and two requests of one client.
fn events() -> Vec<Event> {
    let digest = |n: u8| Digest::of(Algorithm::Sha256, &[n]);
    let long = Digest::of(Algorithm::Sha512, b"x");
    let repository = Repository { route: "docker.io".into(), name: "library/nginx".parse().unwrap(), private: false };
    let private = Repository { route: "".into(), name: "local/app".parse().unwrap(), private: true };
    let layer = |digest, size, media_type: &str| Layer { digest, size, media_type: media_type.parse().unwrap() };
    let request = |kind, digest, bytes| Request {
        customer: Some("acme".into()),
        region: "eu".into(),
        client: 0x0123_4567_89ab_cdef,
        repository: repository.clone(),
        tag: Some("1.27".parse().unwrap()),
        digest: Some(digest),
        kind,
        status: 200,
        bytes,
        source: Source::Upstream,
        first_byte: 1500,
        total: 2500,
        complete: true,
    };
    let image = ManifestSeen {
        repository: repository.clone(),
        manifest: layer(digest(1), 500, MediaType::OCI_MANIFEST),
        config: Some(layer(digest(2), 60, "application/vnd.oci.image.config.v1+json")),
        layers: vec![layer(digest(3), 7_000_000, "application/vnd.oci.image.layer.v1.tar+gzip")],
        manifests: None,
        subject: Some(long),
        base: Some(digest(4)),
        created: Some(1_699_000_000),
    };
    let index = ManifestSeen {
        repository: private.clone(),
        manifest: layer(long, 900, MediaType::OCI_INDEX),
        config: None,
        layers: Vec::new(),
        manifests: Some(vec![Child {
            manifest: layer(digest(1), 500, MediaType::OCI_MANIFEST),
            platform: Some("linux/arm64/v8".to_owned()),
        }]),
        subject: None,
        base: None,
        created: None,
    };
    let not_found = Request {
        customer: None,
        client: 1,
        tag: None,
        digest: None,
        kind: Kind::Other,
        status: 404,
        source: Source::None,
        total: 1499,
        complete: false,
        ..request(Kind::Blob, digest(3), 0)
    };
    let whats = vec![
        What::Request(Arc::new(request(Kind::Manifest, digest(1), 500))),
        What::ManifestSeen(Arc::new(image)),
        What::Request(Arc::new(request(Kind::Blob, digest(3), 7_000_000))),
        What::Request(Arc::new(not_found)),
        What::ManifestSeen(Arc::new(index)),
        What::TagMoved { repository: private.clone(), tag: "latest".parse().unwrap(), digest: Some(long) },
        What::TagMoved { repository: private.clone(), tag: "latest".parse().unwrap(), digest: None },
        What::ManifestDeleted { repository: private, digest: long },
        What::ConfigRead { digest: digest(2), created: 1_699_000_000 },
        What::BlobStored { digest: digest(3), size: 7_000_000 },
        What::Prefetched { digest: digest(3), size: 7_000_000, outcome: Outcome::Late },
        What::BlobEvicted { digest: digest(3) },
    ];
    // The clock was set back once.
    let time = |n: usize| if n == 6 { 1_700_000_000_000 } else { 1_700_000_000_500 + n as u64 };
    whats.into_iter().enumerate().map(|(n, what)| Event { at: time(n), what }).collect()
}

/// As hexadecimal digits.
const SAMPLE: &str = "
    484254524143450a010002000068e5cf8b0100000000000000000000aab439b04842424c550200000c000000000000000068e5cf8b010000ff69e5cf8b010000333b5ef9
    0ed5cab600050461636d6502657509646f636b65722e696f000e6c696e75782f61726d36342f7638000204312e3237066c617465737400042a617070
    6c69636174696f6e2f766e642e6f63692e696d6167652e6d616e69666573742e76312b6a736f6e286170706c69636174696f6e2f766e642e6f63692e
    696d6167652e636f6e6669672e76312b6a736f6e2b6170706c69636174696f6e2f766e642e6f63692e696d6167652e6c617965722e76312e7461722b
    677a6970276170706c69636174696f6e2f766e642e6f63692e696d6167652e696e6465782e76312b6a736f6e000202000d6c6962726172792f6e6769
    6e780301096c6f63616c2f6170700005014bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a01dbc1b4c900ffe48d575b
    5da5c638040125f65db0fe3e24494b76ea986457d98601084fed08b978af4d7d196a7446a86b58009e636b611db16211b65a9aadff29c502a4abd444
    8c49562d828115d13a1fccea927f52b4d5459297f8b43e42da89238bc13626e43dcb38ddb082488927ec904fb42057443983e88585179d50551afe62
    01e52d9c508c502347344d8c07ad91cbd6068afc75ff6292f062a09ca381c89e710002efcdab8967452301010000000000000090e8a7abfef9620001
    0100010180f403dc0bd00f01021d0000f40300013c010102c09fab03020304c0dd92aa06f002000382c09fab03dc0bd00f0002010001000000959403
    00dc0b010102020103840703000100f4030005040201010404f10701010002f6070103030201c0dd92aa06050202c09fab03070202c09fab03010602
    02";

#[test]
fn version_1_is_as_it_was() {
    let bytes: Vec<_> = SAMPLE.split_whitespace().flat_map(str::as_bytes).copied().collect();
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
    let bytes: Vec<_> = bytes.chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect();
    assert_eq!(read(&bytes), (events(), Losses::default()));
    assert!(written(&events()) == bytes, "what is written has changed: it needs another version");
    assert_eq!(bytes[..8], *b"HBTRACE\n");
    assert_eq!(HEADER.begun, 1_700_000_000_000);
}
