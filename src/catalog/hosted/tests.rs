use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::*;
use crate::oci::Algorithm;

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn digest(n: u32) -> Digest {
    Digest::of(Algorithm::Sha256, &n.to_be_bytes())
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn open() -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
    (folder, catalog)
}

fn manifest(at: &str, n: u32, subject: Option<u32>, tags: &[&str]) -> PutManifest {
    PutManifest {
        name: name(at),
        digest: digest(n),
        manifest: HostedManifest { media_type: MediaType::OCI_MANIFEST.parse().unwrap(), size: 7, subject: subject.map(digest) },
        content: Some(Bytes::from_static(b"content")),
        descriptor: n.to_string().into_bytes(),
        tags: tags.iter().map(|text| tag(text)).collect(),
    }
}

#[tokio::test]
async fn a_deleted_manifest_takes_its_own_tags_along() {
    let (_folder, catalog) = open();
    for put in [manifest("a", 1, None, &["x", "y"]), manifest("a", 2, None, &["y", "z"]), manifest("a/b", 1, None, &["x"])] {
        catalog.put_hosted_manifest(put).await.unwrap();
    }
    assert_eq!(catalog.hosted_tag(&name("a"), &tag("y")).unwrap().unwrap().0, digest(2), "the last push has moved it");
    assert!(catalog.delete_hosted_manifest(&name("a"), &digest(1)).await.unwrap());
    assert!(!catalog.delete_hosted_manifest(&name("a"), &digest(1)).await.unwrap());
    assert_eq!(catalog.hosted_tags(&name("a")).unwrap().unwrap(), ["y", "z"]);
    assert_eq!(catalog.hosted_tags(&name("a/b")).unwrap().unwrap(), ["x"], "another repository's are its own");
    assert_eq!(catalog.hosted_tags(&name("b")).unwrap(), None);
    assert!(catalog.delete_hosted_tag(&name("a"), &tag("y")).await.unwrap());
    assert!(catalog.hosted_manifest(&name("a"), &digest(2)).unwrap().is_some(), "a tag's end is not its manifest's");
}

#[tokio::test]
async fn referrers_come_and_go_with_their_manifests() {
    let (_folder, catalog) = open();
    for put in [manifest("a", 1, Some(9), &[]), manifest("a", 2, Some(9), &[]), manifest("a", 3, Some(8), &[])] {
        catalog.put_hosted_manifest(put).await.unwrap();
    }
    let mut found = catalog.hosted_referrers(&name("a"), &digest(9)).unwrap();
    found.sort();
    assert_eq!(found, [b"1", b"2"]);
    assert!(catalog.delete_hosted_manifest(&name("a"), &digest(1)).await.unwrap());
    assert_eq!(catalog.hosted_referrers(&name("a"), &digest(9)).unwrap(), [b"2"]);
    assert!(catalog.hosted_referrers(&name("b"), &digest(9)).unwrap().is_empty());
}

#[tokio::test]
async fn a_mount_needs_a_link_to_come_from() {
    let (_folder, catalog) = open();
    let one = digest(1);
    assert!(!catalog.mount_hosted_blob(&name("b"), &one, None).await.unwrap());
    catalog.link_hosted_blob(&name("a"), &one, 5, None).await.unwrap();
    assert!(!catalog.mount_hosted_blob(&name("b"), &one, Some(&name("c"))).await.unwrap());
    assert!(catalog.mount_hosted_blob(&name("b"), &one, Some(&name("a"))).await.unwrap());
    assert!(catalog.unlink_hosted_blob(&name("a"), &one).await.unwrap());
    assert_eq!(catalog.hosted_blob(&name("a"), &one).unwrap(), None);
    assert_eq!(catalog.hosted_blob(&name("b"), &one).unwrap(), Some(5));
    assert!(catalog.mount_hosted_blob(&name("c"), &one, None).await.unwrap());
    assert!(catalog.is_hosted(&one).unwrap() && !catalog.is_hosted(&digest(2)).unwrap());
}

#[tokio::test]
async fn contents_are_dropped_only_when_old_and_nobodys() {
    let (_folder, catalog) = open();
    let (one, now) = (digest(1), SystemTime::now);
    catalog.link_hosted_blob(&name("a"), &one, 3, Some(Bytes::from_static(b"abc"))).await.unwrap();
    let later = now() + Duration::from_secs(60);
    assert!(!catalog.drop_hosted_content(&one, later).await.unwrap(), "it has a link");
    catalog.unlink_hosted_blob(&name("a"), &one).await.unwrap();
    assert!(!catalog.drop_hosted_content(&one, now() - Duration::from_secs(60)).await.unwrap(), "it is new");
    assert_eq!(catalog.hosted_content(&one).unwrap().unwrap(), "abc");
    let contents = catalog.hosted_contents().unwrap();
    assert_eq!((contents.len(), contents[0].0, contents[0].1), (1, one, 3));
    assert!(catalog.drop_hosted_content(&one, later).await.unwrap());
    assert_eq!(catalog.hosted_content(&one).unwrap(), None);
    assert!(catalog.hosted_contents().unwrap().is_empty());
}

#[tokio::test]
async fn repositories_are_listed_in_pages() {
    let (_folder, catalog) = open();
    for at in ["b", "a/b", "a", "a-b"] {
        catalog.link_hosted_blob(&name(at), &digest(1), 1, None).await.unwrap();
    }
    assert_eq!(catalog.hosted_repositories("", 9).unwrap(), ["a", "a-b", "a/b", "b"]);
    assert_eq!(catalog.hosted_repositories("a", 2).unwrap(), ["a-b", "a/b"]);
    assert!(catalog.hosted_repositories("b", 2).unwrap().is_empty());
}

#[tokio::test]
async fn what_is_missing_is_found() {
    let (_folder, catalog) = open();
    catalog.link_hosted_blob(&name("a"), &digest(1), 5, None).await.unwrap();
    catalog.put_hosted_manifest(manifest("a", 2, None, &[])).await.unwrap();
    let wanted = |kind, n, size, may_be_missing| Wanted { kind, digest: digest(n), size, may_be_missing };
    let check = |wanted| catalog.first_missing(&name("a"), [wanted]).unwrap();
    assert_eq!(check(wanted(ContentKind::Blob, 1, 5, false)), None);
    assert_eq!(check(wanted(ContentKind::Manifest, 2, 7, false)), None);
    assert_eq!(check(wanted(ContentKind::Blob, 2, 7, false)), Some(Missing::Absent(digest(2))), "a manifest is no blob");
    assert_eq!(check(wanted(ContentKind::Blob, 3, 7, true)), None);
    assert_eq!(check(wanted(ContentKind::Blob, 1, 6, true)), Some(Missing::OfSize(digest(1), 5)));
}
