use std::time::SystemTime;

use super::*;
use crate::{
    catalog::{LINKS, Link, Repository},
    oci::{Algorithm, MediaType},
};

fn digest(n: u32) -> Digest {
    Digest::of(Algorithm::Sha256, &n.to_be_bytes())
}

fn long_digest(n: u32) -> Digest {
    Digest::of(Algorithm::Sha512, &n.to_be_bytes())
}

fn key(route: &str, name: &str, tag: &str) -> TagKey {
    let repository = Repository { route: route.into(), name: name.parse().unwrap() };
    TagKey { repository, tag: tag.parse().unwrap() }
}

fn row(digest: Digest) -> TagRow {
    let media_type = MediaType::OCI_MANIFEST.parse().unwrap();
    TagRow { digest, media_type, size: 7, confirmed: SystemTime::now() }
}

fn sorted(mut digests: Vec<Digest>) -> Vec<Digest> {
    digests.sort_unstable();
    digests
}

fn catalog() -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
    (folder, catalog)
}

#[tokio::test]
async fn what_names_what_is_known_in_both_directions() {
    let (_folder, catalog) = catalog();
    catalog.put_uses(&digest(1), vec![digest(10), long_digest(11)]).await.unwrap();
    catalog.put_uses(&long_digest(2), vec![digest(10)]).await.unwrap();
    catalog.put_uses(&digest(3), vec![]).await.unwrap();
    assert_eq!(catalog.named_by(&digest(1)).unwrap(), Some(vec![digest(10), long_digest(11)]));
    assert_eq!(catalog.named_by(&digest(3)).unwrap(), Some(vec![]));
    assert_eq!(catalog.named_by(&digest(10)).unwrap(), None, "a layer");
    assert_eq!(sorted(catalog.users_of(&digest(10), 9).unwrap()), sorted(vec![digest(1), long_digest(2)]));
    assert_eq!(catalog.users_of(&long_digest(11), 9).unwrap(), [digest(1)]);
    assert_eq!(catalog.users_of(&digest(10), 1).unwrap().len(), 1);
    assert_eq!(catalog.users_of(&digest(1), 9).unwrap(), []);
    catalog.forget(&[], &[], &[digest(1)]).await.unwrap();
    assert_eq!(catalog.named_by(&digest(1)).unwrap(), None);
    assert_eq!(catalog.users_of(&digest(10), 9).unwrap(), [long_digest(2)]);
    assert_eq!(catalog.users_of(&long_digest(11), 9).unwrap(), []);
}

#[tokio::test]
async fn more_than_an_image_can_name_is_not_noted() {
    let (_folder, catalog) = catalog();
    catalog.put_uses(&digest(0), (1..=MOST_NAMED as u32 + 5).map(digest).collect()).await.unwrap();
    assert_eq!(catalog.named_by(&digest(0)).unwrap().unwrap().len(), MOST_NAMED);
    assert_eq!(catalog.users_of(&digest(MOST_NAMED as u32 + 1), 9).unwrap(), []);
}

#[tokio::test]
async fn the_tags_of_a_manifest_follow_every_move() {
    let (_folder, catalog) = catalog();
    let (a, b, c) = (key("docker.io", "a", "1"), key("ghcr.io", "a", "1"), key("docker.io", "a", "2"));
    for key in [&a, &b, &c] {
        catalog.put_tag(key, row(digest(1))).await.unwrap();
    }
    assert_eq!(catalog.tags_naming(&digest(1), 9).unwrap(), [a.clone(), c.clone(), b.clone()]);
    assert_eq!(catalog.tags_naming(&digest(1), 2).unwrap().len(), 2);
    catalog.put_tag(&a, row(digest(2))).await.unwrap();
    catalog.put_tag(&c, row(digest(1))).await.unwrap();
    assert_eq!(catalog.tags_naming(&digest(1), 9).unwrap(), [c.clone(), b.clone()]);
    assert_eq!(catalog.tags_naming(&digest(2), 9).unwrap(), std::slice::from_ref(&a));
    catalog.remove_tag(&b).await.unwrap();
    catalog.forget(std::slice::from_ref(&c), &[], &[]).await.unwrap();
    assert_eq!(catalog.tags_naming(&digest(1), 9).unwrap(), []);
    assert_eq!(catalog.tag(&c).unwrap(), None);
    assert_eq!(catalog.tag(&a).unwrap().unwrap().digest, digest(2));
}

/// A catalog of an earlier version has neither the tables nor the rows.
#[tokio::test]
async fn a_catalog_without_these_rows_opens_and_gets_them_with_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.redb");
    let a = key("docker.io", "a", "1");
    {
        let catalog = Catalog::open(&file).unwrap();
        catalog.put_tag(&a, row(digest(1))).await.unwrap();
        catalog.put_link(&a.repository, &digest(5), Link { size: Some(3), media_type: None }).await.unwrap();
    }
    {
        let database = redb::Database::open(&file).unwrap();
        let transaction = database.begin_write().unwrap();
        assert!(transaction.delete_table(NAMED).unwrap());
        assert!(transaction.delete_table(USES).unwrap());
        assert!(transaction.delete_table(TAGGED).unwrap());
        transaction.commit().unwrap();
    }
    let catalog = Catalog::open(&file).unwrap();
    assert_eq!(catalog.tags_naming(&digest(1), 9).unwrap(), []);
    assert_eq!(catalog.tag(&a).unwrap().unwrap().digest, digest(1));
    assert_eq!(catalog.named_by(&digest(1)).unwrap(), None);
    catalog.put_tag(&a, row(digest(1))).await.unwrap();
    assert_eq!(catalog.tags_naming(&digest(1), 9).unwrap(), std::slice::from_ref(&a));
    assert!(catalog.reading(|transaction| Ok(transaction.open_table(LINKS).is_ok())).unwrap());
}
