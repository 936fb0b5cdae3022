//! A pull never fails because a cache did: a full disk degrades to passing through.

use std::path::Path;

use crate::{
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path},
    small_disk::{SmallDisk, mount},
    upstream::{Upstream, corrupt, no_header, truncated, with_junk_behind},
};

const NAME: &str = "library/demo";

async fn pulls_with_other_pulls_beside(proxy: &Proxy, blob: &Blob) {
    let path = blob_path(NAME, blob);
    let (first, second, part) =
        tokio::join!(proxy.get(&path), proxy.get(&path), proxy.ask("GET", &path).range("bytes=100-").send());
    first.is_exactly(&blob.bytes);
    second.is_exactly(&blob.bytes);
    assert!(part.complete && part.body == blob.bytes[100..], "{}", part.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_larger_than_the_disk() {
    let upstream = Upstream::start().await;
    let setup = Setup::in_front_of(&upstream);
    let folder = setup.data().to_owned();
    let Some(disk) = SmallDisk::mount(&folder, "size=12m") else { return };
    let (large, small) = (Blob::random(1, 24 * MIB), Image::new(2, &[10 * KIB, 300 * KIB]));
    upstream.holds_blob(NAME, &large);
    upstream.holds_image(NAME, "v1", &small);
    let proxy = setup.start().await;
    for _ in 0..2 {
        pulls_with_other_pulls_beside(&proxy, &large).await;
        proxy.pull(NAME, "v1", &small).await;
    }
    // With room again it is a cache again, without a restart.
    disk.grow("128m");
    proxy.get(&blob_path(NAME, &large)).await.is_exactly(&large.bytes);
    upstream.goes_down();
    proxy.get(&blob_path(NAME, &large)).await.is_exactly(&large.bytes);
    let _folder_to_be_removed = proxy.stop().await;
    drop(disk);
}

/// Bytes that are passed through are as right as those that are kept.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_while_the_disk_is_full() {
    let upstream = Upstream::start().await;
    let setup = Setup::in_front_of(&upstream);
    let folder = setup.data().to_owned();
    let Some(disk) = SmallDisk::mount(&folder, "size=12m") else { return };
    let blob = Blob::random(1, 24 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let proxy = setup.start().await;
    for fault in [corrupt(), truncated(4 * MIB), with_junk_behind(1)] {
        // The first transfer fills the disk; what comes after it is passed through.
        upstream.when("GET", &path).once(no_header("X-None"));
        upstream.when("GET", &path).always(fault);
        let answer = proxy.get(&path).await;
        assert!(!answer.complete || answer.body == blob.bytes, "a wrong body of {} bytes ended well", answer.body.len());
        upstream.behaves();
        proxy.get(&path).await.is_exactly(&blob.bytes);
    }
    let _folder_to_be_removed = proxy.stop().await;
    drop(disk);
}

/// The same when a file cannot even be made.
#[tokio::test(flavor = "multi_thread")]
async fn no_file_can_be_made() {
    let upstream = Upstream::start().await;
    let setup = Setup::in_front_of(&upstream);
    let folder = setup.data().to_owned();
    let Some(disk) = SmallDisk::mount(&folder, "size=64m") else { return };
    let (first, second) = (Blob::random(1, 3 * MIB), Blob::random(2, 10 * KIB));
    let image = Image::small(3);
    upstream.holds_blob(NAME, &first);
    upstream.holds_blob(NAME, &second);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = setup.start().await;
    assert!(mount(&["-o", "remount,nr_inodes=1"], &folder) || fill_inodes(&folder));
    for blob in [&first, &second] {
        pulls_with_other_pulls_beside(&proxy, blob).await;
    }
    proxy.pull(NAME, "v1", &image).await;
    let _folder_to_be_removed = proxy.stop().await;
    drop(disk);
}

/// Uses up the files that may be made, where their number cannot be set below what is in use.
fn fill_inodes(folder: &Path) -> bool {
    let used = walk(folder);
    mount(&["-o", &format!("remount,nr_inodes={}", used + 1)], folder)
        && (0..10).any(|n| std::fs::write(folder.join(format!("filler-{n}")), "").is_err())
}

fn walk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { 1 + walk(&path) } else { 1 }).sum()
}
