use super::*;
use crate::{
    events::{Child, Layer, Millis, Source},
    oci::{Algorithm, MediaType},
};

fn digest(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

fn repository() -> Repository {
    Repository { route: "docker.io".into(), name: "library/x".parse().unwrap(), private: false }
}

fn layer(name: &str) -> Layer {
    Layer { digest: digest(name), size: 7, media_type: MediaType::OCI_MANIFEST.parse().unwrap() }
}

fn event(at: Millis, what: events::What) -> Event {
    Event { at, what }
}

fn seen(name: &str, layers: &[&str], children: Option<&[(&str, &str)]>) -> Event {
    let child = |(name, platform): &(&str, &str)| Child { manifest: layer(name), platform: Some((*platform).to_owned()) };
    event(
        0,
        events::What::ManifestSeen(Arc::new(ManifestSeen {
            repository: repository(),
            manifest: layer(name),
            config: None,
            layers: layers.iter().map(|name| layer(name)).collect(),
            manifests: children.map(|children| children.iter().map(child).collect()),
            subject: None,
            base: None,
            created: None,
        })),
    )
}

fn request(kind: Kind, client: u64, tag: Option<&str>, name: &str) -> Event {
    event(
        0,
        events::What::Request(Arc::new(Request {
            customer: None,
            region: "eu".into(),
            client,
            repository: repository(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: Some(digest(name)),
            kind,
            status: 200,
            bytes: 7,
            source: Source::Disk,
            first_byte: 0,
            total: 0,
            complete: true,
        })),
    )
}

fn image(step: Option<Step>) -> (Name, Option<u32>) {
    match step.unwrap().what {
        What::Image { name, image, .. } => (name, image),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_index_stands_for_the_image_of_the_clients_platform() {
    let mut numbering = Numbering::default();
    let platforms: &[_] = &[("amd", "linux/amd64"), ("arm", "linux/arm64")];
    for (name, layers, children) in [("amd", &["a"][..], None), ("arm", &["b"][..], None), ("index", &[][..], Some(platforms))] {
        assert!(numbering.take(&seen(name, layers, children)).is_none());
    }
    let (_, unknown) = image(numbering.take(&request(Kind::Manifest, 1, Some("1.0"), "index")));
    assert_eq!(unknown, None, "nobody has asked for a platform yet");
    let (_, arm) = image(numbering.take(&request(Kind::Manifest, 1, None, "arm")));
    let (_, amd) = image(numbering.take(&request(Kind::Manifest, 2, None, "amd")));
    assert!(arm.is_some() && amd.is_some() && arm != amd);
    assert_eq!(image(numbering.take(&request(Kind::Manifest, 1, Some("1.0"), "index"))).1, arm, "as it did before");
    assert_eq!(image(numbering.take(&request(Kind::Manifest, 3, Some("1.0"), "index"))).1, amd, "as the last one did");
}

#[test]
fn what_is_asked_for_by_digest_goes_by_its_tag() {
    let mut numbering = Numbering::default();
    numbering.take(&seen("amd", &["a"], None));
    numbering.take(&seen("index", &[], Some(&[("amd", "linux/amd64")])));
    assert!(numbering.take(&request(Kind::ManifestHead, 1, Some("1.0"), "index")).is_none());
    let (by_index, _) = image(numbering.take(&request(Kind::Manifest, 1, None, "index")));
    let (by_child, _) = image(numbering.take(&request(Kind::Manifest, 1, None, "amd")));
    let (by_tag, _) = image(numbering.take(&request(Kind::Manifest, 1, Some("1.0"), "index")));
    assert_eq!((by_index, by_child), (by_tag, by_tag));
    assert_eq!(numbering.named(&repository(), &"1.0".parse().unwrap()), Some(digest("index")));
    let (unnamed, _) = image(numbering.take(&request(Kind::Manifest, 1, None, "another")));
    assert_ne!(unnamed, by_tag);
}

#[test]
fn what_another_edge_tells_of_happens_in_its_region() {
    let mut numbering = Numbering::at("us".into());
    let region = |step: Option<Step>| match step.unwrap().what {
        What::Layer { region, .. } => region,
        other => panic!("{other:?}"),
    };
    let here = request(Kind::Blob, 1, None, "a");
    assert_eq!(region(numbering.take(&here)), 0, "by way of another edge, perhaps");
    let events::What::Request(request) = &here.what else { unreachable!() };
    let told = Request { source: Source::Elsewhere, ..(**request).clone() };
    assert_eq!(region(numbering.take(&event(0, events::What::Request(Arc::new(told))))), 1);
}

#[test]
fn a_part_of_a_content_says_less_of_its_size_than_the_whole() {
    let mut numbering = Numbering::default();
    assert_eq!([7, 900, 30].map(|size| numbering.content(&digest("x"), size)), [0, 0, 0]);
    assert_eq!(numbering.world.contents[0].size, 900);
}

#[test]
fn a_failure_teaches_nothing() {
    let mut numbering = Numbering::default();
    let events::What::Request(request) = request(Kind::Blob, 1, None, "a").what else { unreachable!() };
    let failed = Request { status: 404, ..(*request).clone() };
    assert!(numbering.take(&event(0, events::What::Request(Arc::new(failed)))).is_none());
    assert!(numbering.is_empty());
}
