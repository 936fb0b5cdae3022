//! Files that have changed where they lie: never a complete wrong body, and healed by the next request at the latest.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, MIB},
    proxy::{FOR_EVER, Proxy, Setup, blob_path, manifest_path},
    upstream::Upstream,
};

const NAME: &str = "library/demo";

/// Verified before the first byte, and while it passes.
const LENGTHS: [usize; 2] = [300 * KIB, 2 * MIB + 1];

/// What happens to a file of this length.
type Damage = fn(&Path, u64);

const DAMAGES: [(&str, Damage); 6] = [
    ("flipped at the start", |path, _| flip(path, 3)),
    ("flipped at the end", |path, length| flip(path, length - 1)),
    ("zeroed", |path, length| write(path, &[0; 4096], length / 2)),
    ("cut", |path, length| set_length(path, length / 2)),
    ("extended", |path, length| write(path, b"more", length)),
    ("swapped", |path, length| fs::write(path, Blob::random(99, length as usize).bytes).unwrap()),
];

fn flip(path: &Path, offset: u64) {
    let mut byte = [0];
    File::open(path).unwrap().read_exact_at(&mut byte, offset).unwrap();
    write(path, &[byte[0] ^ 1], offset);
}

fn write(path: &Path, bytes: &[u8], offset: u64) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

fn set_length(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn file_of(proxy: &Proxy, blob: &Blob) -> PathBuf {
    let hex = blob.digest.trim_start_matches("sha256:");
    proxy.data().join("blobs/sha256").join(&hex[..2]).join(hex)
}

/// Everything lies on disk and nowhere else.
fn setup(upstream: &Upstream) -> Setup {
    Setup::in_front_of(upstream).with(|config| {
        config.storage.memory.max_entry = ByteSize::b(0);
        config.cache.tag_ttl = FOR_EVER;
    })
}

/// A proxy that has pulled `blob`, and whose file of it is damaged: while it runs, or before it was started again.
async fn with_damage(upstream: &Upstream, blob: &Blob, damage: Damage, restarted: bool) -> Proxy {
    upstream.holds_blob(NAME, blob);
    let mut proxy = setup(upstream).start().await;
    proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
    let file = file_of(&proxy, blob);
    eventually("the file", async || file.exists()).await;
    damage(&file, blob.bytes.len() as u64);
    if restarted {
        proxy = proxy.stop().await.start().await;
    }
    proxy
}

/// Whether a GET of the blob, or of its last bytes, is answered rightly. If not, it is seen to have failed.
async fn is_right(proxy: &Proxy, blob: &Blob, suffix: Option<usize>) -> bool {
    let mut ask = proxy.ask("GET", &blob_path(NAME, blob));
    if let Some(length) = suffix {
        ask = ask.range(&format!("bytes=-{length}"));
    }
    // A connection that is cut before its head has left is cut all the same.
    let Ok(incoming) = ask.open().await else { return false };
    let answer = incoming.finish().await;
    let expected = suffix.map_or(&blob.bytes[..], |length| &blob.bytes[blob.bytes.len() - length..]);
    let right = matches!(answer.status, 200 | 206) && answer.complete;
    assert!(!right || answer.body == expected, "a complete wrong body");
    right
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_blobs_are_healed() {
    for (n, (what, damage)) in DAMAGES.into_iter().enumerate() {
        for length in LENGTHS {
            let upstream = Upstream::start().await;
            let blob = Blob::random(1, length);
            let proxy = with_damage(&upstream, &blob, damage, n % 2 == 0).await;
            let suffix = (n > 2).then_some(100);
            let healed_at_once = is_right(&proxy, &blob, suffix).await;
            assert!(healed_at_once || length > MIB, "{what}: nothing of a small one had been sent");
            assert!(healed_at_once || is_right(&proxy, &blob, suffix).await, "{what}, {length}: one retry heals it");
            assert!(upstream.count("GET", &blob.digest) <= 2, "{what}, {length}");
            upstream.goes_down();
            proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_blobs_are_not_served_while_the_upstream_is_down() {
    for (n, (what, damage)) in DAMAGES.into_iter().enumerate() {
        for length in LENGTHS {
            let upstream = Upstream::start().await;
            let blob = Blob::random(1, length);
            let proxy = with_damage(&upstream, &blob, damage, n % 2 == 1).await;
            upstream.goes_down();
            for suffix in [None, Some(100), None] {
                assert!(!is_right(&proxy, &blob, suffix).await, "{what}, {length}: where should it come from?");
            }
            upstream.behaves();
            proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_manifests_are_healed_within_the_request() {
    for (n, (what, damage)) in DAMAGES.into_iter().enumerate() {
        let upstream = Upstream::start().await;
        let image = Image::new(1, &[500; 40]);
        upstream.holds_image(NAME, "v1", &image);
        let mut proxy = setup(&upstream).start().await;
        let manifest = &image.manifest;
        for reference in ["v1", &manifest.digest] {
            proxy.get(&manifest_path(NAME, reference)).await.is_exactly(&manifest.bytes);
            damage(&file_of(&proxy, manifest), manifest.bytes.len() as u64);
            if n % 2 == 0 {
                proxy = proxy.stop().await.start().await;
            }
            upstream.goes_down();
            let answer = proxy.get(&manifest_path(NAME, reference)).await;
            assert!(answer.status != 200, "{what}: where should it come from?");
            upstream.behaves();
            proxy.get(&manifest_path(NAME, reference)).await.is_exactly(&manifest.bytes);
        }
        upstream.goes_down();
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&manifest.bytes);
    }
}

/// What an earlier process left is hashed once; it was a hit all the same, and stays one.
#[tokio::test(flavor = "multi_thread")]
async fn right_files_of_an_earlier_run_are_hits() {
    for length in LENGTHS {
        let upstream = Upstream::start().await;
        let blob = Blob::random(1, length);
        let proxy = with_damage(&upstream, &blob, |_, _| {}, true).await;
        upstream.goes_down();
        let path = blob_path(NAME, &blob);
        let (whole, part) = tokio::join!(proxy.get(&path), proxy.ask("GET", &path).range("bytes=-100").send());
        whole.is_exactly(&blob.bytes);
        assert!(part.complete && part.body == blob.bytes[length - 100..]);
        for answer in [whole, part, proxy.get(&path).await] {
            assert_eq!(answer.header("Cache-Status"), Some("harbinger; hit; detail=disk"));
        }
        assert_eq!(upstream.count("GET", &blob.digest), 1);
    }
}

/// A file that was found wrong is kept aside, for whoever wants to know why.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_kept_aside() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 2 * MIB);
    let proxy = with_damage(&upstream, &blob, |path, _| flip(path, 0), true).await;
    // Whether it is cut or fetched anew at once depends on who is quicker.
    is_right(&proxy, &blob, None).await;
    let kept = proxy.data().join("quarantine").join(blob.digest.replace(':', "-"));
    assert_eq!(fs::metadata(kept).unwrap().len(), 2 * MIB as u64);
}

/// What a scrub finds is fetched again before anybody asks for it: blobs and manifests, for a repository that may read them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_scrub_finds_is_healed() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[300 * KIB, 2 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = setup(&upstream).start().await;
    proxy.pull(NAME, "v1", &image).await;
    let damaged = [&image.manifest, &image.blobs[1], &image.blobs[2]];
    for content in damaged {
        eventually("the file", async || file_of(&proxy, content).exists()).await;
        flip(&file_of(&proxy, content), 5);
    }
    let operator: serde_json::Value = serde_json::from_slice(&fs::read(proxy.data().join("admin.json")).unwrap()).unwrap();
    let token = format!("Bearer {}", operator["token"].as_str().unwrap());
    let answer = proxy.ask("POST", "/api/v1/scrub").header("Authorization", &token).send().await;
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
    let is_right = |blob: &Blob| fs::read(file_of(&proxy, blob)).is_ok_and(|bytes| bytes == blob.bytes);
    eventually("right files", async || damaged.into_iter().all(is_right)).await;
    upstream.goes_down();
    proxy.pull(NAME, "v1", &image).await;
}
