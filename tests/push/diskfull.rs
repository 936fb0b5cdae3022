//! A push that does not fit is refused, leaves nothing half visible, and hurts nobody else.

use crate::{
    client::{Answer, eventually},
    content::{Blob, Image, KIB, MIB},
    hosted::{ONE, TWO, bytes_below, closing, uploads_path},
    proxy::{Proxy, Setup, blob_path},
    small_disk::SmallDisk,
};

/// It was refused because of the disk, in words that do not tell where the disk is.
#[track_caller]
fn does_not_fit(answer: &Answer) {
    answer.is_error(&[507]);
    assert!(!answer.text().contains("/tmp"), "{}", answer.text());
}

/// All ways of pushing what is too large.
async fn nothing_large_fits(proxy: &Proxy, large: &Blob) {
    let at_once = proxy.request("POST", &closing(&uploads_path(ONE), &large.digest));
    does_not_fit(&at_once.body(large.bytes.clone()).send().await);
    let location = proxy.begin_upload(ONE).await;
    does_not_fit(&proxy.close(&location, &large.digest, &large.bytes).await);
    does_not_fit(&proxy.append(&location, &large.bytes).await);
    does_not_fit(&proxy.request("PATCH", &location).chunked(large.bytes.chunks(MIB)).send().await);
    proxy.get(&location).await.is(204);
    proxy.delete(&location).await.is(204);
    proxy.lacks_blob(ONE, large).await;
    eventually("no bytes are left", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_larger_than_the_disk() {
    let setup = Setup::hosted();
    let folder = setup.data().to_owned();
    let Some(disk) = SmallDisk::mount(&folder, "size=24m") else { return };
    let (large, image) = (Blob::random(1, 40 * MIB), Image::new(2, &[10 * KIB, 300 * KIB]));
    let proxy = setup.start().await;
    proxy.push_image(ONE, "v1", &image).await;
    for _ in 0..2 {
        nothing_large_fits(&proxy, &large).await;
        // What is small still fits, and what was there is there.
        proxy.push_image(TWO, "v1", &image).await;
        proxy.pull(ONE, "v1", &image).await;
    }
    // With room again it fits, without a restart.
    disk.grow("160m");
    proxy.push_blob(ONE, &large).await;
    proxy.has_blob(ONE, &large).await;
    let proxy = proxy.stop().await.start().await;
    proxy.has_blob(ONE, &large).await;
    proxy.pull(ONE, "v1", &image).await;
    drop(proxy.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_with_layers() {
    fills_up(700 * KIB, "24m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_with_small_things() {
    fills_up(10 * KIB, "8m").await;
}

/// Pushes until nothing goes any more: what was acknowledged is there, also after a restart.
async fn fills_up(length: usize, size: &str) {
    let setup = Setup::hosted().setting("gc_grace", "0s");
    let folder = setup.data().to_owned();
    let Some(disk) = SmallDisk::mount(&folder, &format!("size={size}")) else { return };
    let proxy = setup.start().await;
    let (mut kept, mut refused) = (Vec::new(), 0);
    let mut blobs = (0..).map(|seed| Blob::random(seed, length));
    while refused < 12 {
        let blob = blobs.next().unwrap();
        let target = closing(&uploads_path(ONE), &blob.digest);
        let answer = proxy.request("POST", &target).body(blob.bytes.clone()).send().await;
        if answer.status == 201 {
            kept.push(blob);
        } else {
            does_not_fit(&answer);
            proxy.lacks_blob(ONE, &blob).await;
            refused += 1;
        }
    }
    assert!(kept.len() > 10, "only {} kept", kept.len());
    for blob in &kept {
        proxy.has_blob(ONE, blob).await;
    }
    // Room is made by deleting, on the full disk.
    let (gone, kept) = kept.split_at(5);
    for blob in gone {
        let answer = proxy.delete(&blob_path(ONE, blob)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    assert_eq!(proxy.collect("").await.len(), gone.len());
    let again = proxy.request("POST", &closing(&uploads_path(TWO), &gone[0].digest));
    again.body(gone[0].bytes.clone()).send().await.is(201);
    disk.grow("64m");
    let proxy = proxy.stop().await.start().await;
    for blob in kept {
        proxy.has_blob(ONE, blob).await;
    }
    for blob in gone {
        proxy.lacks_blob(ONE, blob).await;
    }
    proxy.has_blob(TWO, &gone[0]).await;
    drop(proxy.stop().await);
}
