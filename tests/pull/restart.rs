//! What a new process finds of an old one: everything that was right, nothing that was not.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, MIB},
    proxy::{FOR_EVER, Proxy, Setup, blob_path, manifest_path},
    upstream::{Gate, Upstream, stalled_after},
};

const NAME: &str = "library/demo";

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The file that holds exactly `blob`.
fn file_of(folder: &Path, blob: &Blob) -> Option<PathBuf> {
    let length = blob.bytes.len() as u64;
    let same_length = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.len() == length);
    files(folder).into_iter().filter(same_length).find(|path| fs::read(path).is_ok_and(|bytes| bytes == blob.bytes))
}

/// How much is on disk under names that are not the catalog's.
fn content_bytes(folder: &Path) -> u64 {
    let is_catalog = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "redb");
    files(folder)
        .iter()
        .filter(|path| !is_catalog(path))
        .map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
        .sum()
}

fn flip(path: &Path, offset: u64) {
    let file: File = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0xff], offset).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_still_there() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[0, 10 * KIB, 3 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    let setup = Setup::in_front_of(&upstream).with(|config| config.cache.tag_ttl = FOR_EVER);
    let proxy = setup.start().await;
    proxy.pull(NAME, "v1", &image).await;
    let setup = proxy.stop().await;
    upstream.goes_down();
    upstream.forgets_requests();
    let proxy = setup.start().await;
    proxy.pull(NAME, "v1", &image).await;
    let answer = proxy.get(&manifest_path(NAME, "v1")).await;
    answer.is_exactly(&image.manifest.bytes);
    assert_eq!(answer.header("Content-Type"), Some("application/vnd.oci.image.manifest.v1+json"));
    let setup = proxy.stop().await;
    setup.start().await.pull(NAME, "v1", &image).await;
}

/// Links are as durable as bytes.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_may_read_more_than_before() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    let proxy = proxy.stop().await.start().await;
    for blob in &image.blobs {
        proxy.get(&blob_path("library/other", blob)).await.is_error(&[404]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_cut_off_by_the_stop_begins_anew() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let gate = Gate::closed();
    upstream.when("GET", &path).once(stalled_after(MIB, &gate));
    let setup = Setup::in_front_of(&upstream).with(|config| {
        config.server.shutdown_grace = std::time::Duration::from_millis(100);
    });
    let proxy = setup.start().await;
    let mut client = proxy.open(&path).await;
    client.take(500 * KIB).await;
    let setup = proxy.stop().await;
    assert!(!client.finish().await.complete);
    gate.open();
    let proxy = setup.start().await;
    proxy.get(&path).await.is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_under_way_are_finished_before_the_stop() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let gate = Gate::closed();
    upstream.when("GET", &path).once(stalled_after(MIB, &gate));
    let proxy = Proxy::in_front_of(&upstream).await;
    let address = proxy.address();
    let mut client = proxy.open(&path).await;
    client.take(500 * KIB).await;
    let stopping = tokio::spawn(proxy.stop());
    eventually("a closed port", async || tokio::net::TcpStream::connect(address).await.is_err()).await;
    gate.open();
    client.finish().await.is_exactly(&blob.bytes);
    stopping.await.unwrap();
}

/// Whatever a killed process leaves half written is removed, and disturbs nobody.
#[tokio::test(flavor = "multi_thread")]
async fn half_written_files_are_removed() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let gate = Gate::closed();
    upstream.when("GET", &path).once(stalled_after(2 * MIB, &gate));
    let proxy = Proxy::in_front_of(&upstream).await;
    let mut client = proxy.open(&path).await;
    client.take(MIB).await;
    gate.reached(1).await;
    // The files as a kill would leave them in this moment.
    let killed = Setup::in_front_of(&upstream);
    let half_written: Vec<PathBuf> = copy(proxy.data(), killed.data());
    assert!(half_written.iter().any(|path| fs::metadata(path).unwrap().len() >= MIB as u64), "nothing is half written");
    gate.open();
    client.finish().await.is_exactly(&blob.bytes);
    let proxy = killed.start().await;
    eventually("the half-written file is gone", async || content_bytes(proxy.data()) < MIB as u64).await;
    proxy.get(&path).await.is_exactly(&blob.bytes);
}

/// Copies all files, and returns those that are not the catalog's.
fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for file in files(from) {
        let copied = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(&file, &copied).unwrap();
        if copied.extension().is_none_or(|extension| extension != "redb") {
            copies.push(copied);
        }
    }
    copies
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_limit_holds_from_the_start() {
    let upstream = Upstream::start().await;
    let blobs: Vec<_> = (1..=6).map(|seed| Blob::random(seed, 2 * MIB)).collect();
    let proxy = Proxy::in_front_of(&upstream).await;
    for blob in &blobs {
        upstream.holds_blob(NAME, blob);
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
    }
    eventually("all blobs on disk", async || content_bytes(proxy.data()) >= 12 * MIB as u64).await;
    let setup = proxy.stop().await.with(|config| config.storage.disk[0].limit = ByteSize::mib(5));
    let proxy = setup.start().await;
    eventually("less on disk", async || content_bytes(proxy.data()) <= 5 * MIB as u64).await;
    for blob in &blobs {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
    }
    eventually("not more on disk", async || content_bytes(proxy.data()) <= 5 * MIB as u64).await;
}

/// Without a limit that it fits in, a blob is passed through.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_larger_than_the_disk_tier_is_served_all_the_same() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 4 * MIB);
    upstream.holds_blob(NAME, &blob);
    let proxy = Setup::in_front_of(&upstream).with(|config| config.storage.disk[0].limit = ByteSize::mib(2)).start().await;
    for _ in 0..2 {
        proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
    }
}

/// A damaged file is never a complete body; it is fetched again.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_not_served() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 4] = [
        ("shorter", |path| File::options().write(true).open(path).unwrap().set_len(7).unwrap()),
        ("empty", |path| File::options().write(true).open(path).unwrap().set_len(0).unwrap()),
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("flipped", |path| flip(path, 5)),
    ];
    for (damage, damage_file) in damages {
        let upstream = Upstream::start().await;
        let image = Image::new(1, &[10 * KIB, 3 * MIB]);
        upstream.holds_image(NAME, "v1", &image);
        let proxy = Proxy::in_front_of(&upstream).await;
        proxy.pull(NAME, "v1", &image).await;
        let setup = proxy.stop().await;
        let (manifest, small, large) = (&image.manifest, &image.blobs[1], &image.blobs[2]);
        for content in [manifest, small] {
            damage_file(&file_of(setup.data(), content).unwrap_or_else(|| panic!("{} is not on disk", content.digest)));
        }
        if damage != "flipped" {
            damage_file(&file_of(setup.data(), large).unwrap());
        }
        let proxy = setup.start().await;
        for reference in ["v1", &manifest.digest] {
            proxy.get(&manifest_path(NAME, reference)).await.is_exactly(&manifest.bytes);
        }
        for blob in &image.blobs {
            proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
        }
    }
}

/// Files that nobody knows are not taken for content.
#[tokio::test(flavor = "multi_thread")]
async fn strange_files_disturb_nobody() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    let setup = proxy.stop().await;
    let beside = file_of(setup.data(), &image.blobs[1]).unwrap();
    for name in ["x", ".hidden", "lost+found", "sha256:abc", &"f".repeat(64)] {
        fs::write(beside.with_file_name(name), "strange").unwrap();
        fs::write(setup.data().join(name), "strange").unwrap();
    }
    setup.start().await.pull(NAME, "v1", &image).await;
}
