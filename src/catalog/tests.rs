use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::*;
use crate::oci::Algorithm;

fn repository(name: &str) -> Repository {
    Repository { route: "docker.io".into(), name: name.parse().unwrap() }
}

fn digest(n: u32) -> Digest {
    Digest::of(Algorithm::Sha256, &n.to_be_bytes())
}

fn blob(size: u64) -> Link {
    Link { size: Some(size), media_type: None }
}

fn row(n: u32) -> TagRow {
    TagRow {
        digest: digest(n),
        media_type: crate::oci::MediaType::OCI_INDEX.parse().unwrap(),
        size: 7,
        confirmed: SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567),
    }
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.redb");
    (folder, file)
}

#[tokio::test]
async fn rows_survive_a_restart() {
    let (_folder, file) = file();
    let (a, tag) = (repository("library/a"), "latest".parse().unwrap());
    let key = TagKey { repository: a.clone(), tag };
    let manifest = Link { size: None, media_type: Some(crate::oci::MediaType::OCI_MANIFEST.parse().unwrap()) };
    {
        let catalog = Catalog::open(&file).unwrap();
        assert_eq!(catalog.link(&a, &digest(1)).unwrap(), None);
        catalog.put_link(&a, &digest(1), blob(5)).await.unwrap();
        catalog.put_link(&a, &digest(2), manifest.clone()).await.unwrap();
        catalog.put_link(&a, &digest(3), blob(9)).await.unwrap();
        catalog.remove_link(&a, &digest(3)).await.unwrap();
        catalog.put_tag(&key, row(1)).await.unwrap();
    }
    let catalog = Catalog::open(&file).unwrap();
    assert_eq!(catalog.link(&a, &digest(1)).unwrap(), Some(blob(5)));
    assert_eq!(catalog.link(&a, &digest(2)).unwrap(), Some(manifest));
    assert_eq!(catalog.link(&a, &digest(3)).unwrap(), None);
    assert_eq!(catalog.tag(&key).unwrap(), Some(row(1)));
    catalog.remove_tag(&key).await.unwrap();
    assert_eq!(catalog.tag(&key).unwrap(), None);
}

#[tokio::test]
async fn a_link_holds_for_one_repository_of_one_route() {
    let (_folder, file) = file();
    let catalog = Catalog::open(&file).unwrap();
    catalog.put_link(&repository("a/b"), &digest(1), blob(5)).await.unwrap();
    let elsewhere = Repository { route: "ghcr.io".into(), ..repository("a/b") };
    for other in [repository("a"), repository("a/b/c"), repository("b"), elsewhere] {
        assert_eq!(catalog.link(&other, &digest(1)).unwrap(), None);
    }
}

#[tokio::test]
async fn a_length_is_written_into_links_that_are_there_and_takes_none_away() {
    let (_folder, file) = file();
    let catalog = Catalog::open(&file).unwrap();
    let (a, without) = (repository("a"), Link { size: None, media_type: None });
    for n in [1, 2] {
        catalog.put_link(&a, &digest(n), without.clone()).await.unwrap();
    }
    catalog.remove_link(&a, &digest(2)).await.unwrap();
    // One whose row could not be written, on a full disk.
    catalog.links.insert((a.clone(), digest(3)), without.clone());
    for (n, then) in [(1, Some(blob(5))), (2, None), (3, Some(without)), (4, None)] {
        catalog.size_link(&a, &digest(n), 5).await.unwrap();
        assert_eq!(catalog.link(&a, &digest(n)).unwrap(), then, "{n}");
    }
}

#[tokio::test]
async fn many_writes_at_once_are_all_made() {
    let (_folder, file) = file();
    let catalog = Arc::new(Catalog::open(&file).unwrap());
    let a = repository("a");
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let (catalog, a) = (catalog.clone(), a.clone());
        writes.spawn(async move { catalog.put_link(&a, &digest(n), blob(u64::from(n))).await });
    }
    while let Some(result) = writes.join_next().await {
        result.unwrap().unwrap();
    }
    drop(catalog);
    let catalog = Catalog::open(&file).unwrap();
    for n in 0..2000 {
        assert_eq!(catalog.link(&a, &digest(n)).unwrap(), Some(blob(u64::from(n))));
    }
}

#[tokio::test]
async fn it_opens_again_with_all_rows() {
    let (_folder, file) = file();
    let catalog = Catalog::open(&file).unwrap();
    catalog.put_link(&repository("a"), &digest(1), blob(5)).await.unwrap();
    catalog.links.invalidate_all();
    catalog.store.reopen().unwrap();
    assert_eq!(catalog.link(&repository("a"), &digest(1)).unwrap(), Some(blob(5)));
    catalog.put_link(&repository("a"), &digest(2), blob(6)).await.unwrap();
}

#[tokio::test]
async fn a_catalog_in_use_is_refused_with_the_reason() {
    let (_folder, file) = file();
    let _first = Catalog::open(&file).unwrap();
    assert!(matches!(Catalog::open(&file), Err(CatalogError::InUse)));
}

#[tokio::test]
async fn a_closed_catalog_can_be_opened_by_somebody_else() {
    let (_folder, file) = file();
    let first = Catalog::open(&file).unwrap();
    drop(first.put_link(&repository("a"), &digest(1), blob(5)));
    first.close().await;
    let second = Catalog::open(&file).unwrap();
    assert_eq!(second.link(&repository("a"), &digest(1)).unwrap(), Some(blob(5)));
    assert!(first.put_link(&repository("a"), &digest(2), blob(5)).await.is_err());
    assert!(first.link(&repository("a"), &digest(3)).is_err());
}

#[test]
fn a_tag_confirmed_in_the_future_has_no_age() {
    let future = TagRow { confirmed: SystemTime::now() + Duration::from_secs(1000), ..row(1) };
    assert_eq!(future.age(), None);
    assert!(row(1).age().is_some());
}
