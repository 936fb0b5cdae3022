//! Whose upload it is, how long it lasts, and what a new process finds of it.

use std::{collections::BTreeSet, fs, time::Duration};

use crate::{
    client::eventually,
    content::{Blob, sha256},
    hosted::{ONE, TWO, bytes_below, closing, files, last_byte, uploads_path},
    proxy::{Proxy, Setup},
    wire::Request,
};

/// All that can be asked of an upload, with a body where there is one.
fn verbs(proxy: &Proxy, location: &str) -> Vec<Request> {
    let close = closing(location, &sha256(b"abc"));
    vec![
        proxy.request("GET", location),
        proxy.request("PATCH", location).body("abc"),
        proxy.request("PATCH", location).content_range(0, 2).body("abc"),
        proxy.request("PATCH", location).chunked([&b"abc"[..]]),
        proxy.request("PUT", &close).body("abc"),
        proxy.request("PUT", &close),
        proxy.request("DELETE", location),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repositorys_upload_does_not_exist() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, b"abc").await.is(202);
    for stranger in [TWO, "local/on", "local/one/more", "local/never"] {
        for request in verbs(&proxy, &location.replace(ONE, stranger)) {
            request.send().await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
    proxy.holds(&location, 3).await;
    proxy.close(&location, &sha256(b"abc"), b"").await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_customers_upload_does_not_exist() {
    let proxy = Proxy::hosted().await;
    for owner in ["acme", ""] {
        let answer = proxy.request("POST", &uploads_path(ONE)).customer(owner).send().await;
        let location = answer.opens_upload(ONE);
        proxy.request("PATCH", &location).customer(owner).body("abc").send().await.is(202);
        for stranger in ["acm", "ACME", "globex", if owner.is_empty() { "anonymous2" } else { "" }] {
            for request in verbs(&proxy, &location) {
                request.customer(stranger).send().await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
            }
        }
        let found = proxy.request("GET", &location).customer(owner).send().await;
        assert_eq!(last_byte(found.is(204)), 2);
        let close = proxy.request("PUT", &closing(&location, &sha256(b"abc")));
        close.customer(owner).send().await.is(201);
    }
}

/// An upload of others cannot be told from one that never was.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_nothing() {
    let proxy = Proxy::hosted().await;
    let answer = proxy.request("POST", &uploads_path(ONE)).customer("acme").send().await;
    let (location, id) = (answer.opens_upload(ONE), answer.header("Docker-Upload-UUID").unwrap().to_owned());
    let nowhere = "01234567-89ab-4def-8123-456789abcdef";
    let nothing = location.replace(&id, nowhere);
    for (theirs, none) in verbs(&proxy, &location).into_iter().zip(verbs(&proxy, &nothing)) {
        let (theirs, none) = (theirs.customer("globex").send().await, none.customer("globex").send().await);
        let text = |answer: &crate::client::Answer| answer.text().replace(&id, "ID").replace(nowhere, "ID");
        assert_eq!((theirs.status, text(&theirs)), (none.status, text(&none)));
        let names = |answer: &crate::client::Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
        assert_eq!(names(&theirs), names(&none));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_ids_are_unknown() {
    let proxy = Proxy::hosted().await;
    let answer = proxy.request("POST", &uploads_path(ONE)).send().await;
    let (location, id) = (answer.opens_upload(ONE), answer.header("Docker-Upload-UUID").unwrap().to_owned());
    let upper = id.to_uppercase();
    let ids = [
        "x".to_owned(),
        "..".to_owned(),
        id[1..].to_owned(),
        format!("{id}0"),
        format!("{id}.json"),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{id}%00"),
        format!("..%2f{id}"),
        id.replace('-', ""),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "a".repeat(1024),
    ];
    let has_letters = upper != id;
    for malformed in ids.into_iter().chain(has_letters.then_some(upper)) {
        for request in verbs(&proxy, &location.replace(&id, &malformed)) {
            let answer = request.send().await;
            answer.is_error(&[400, 404]);
            // What is no path of an upload may be told to be no path of anything.
            if malformed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                answer.refuses(404, "BLOB_UPLOAD_UNKNOWN");
            }
        }
    }
    proxy.holds(&location, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_restart() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 5000);
    let answer = proxy.request("POST", &uploads_path(ONE)).customer("acme").send().await;
    let location = answer.opens_upload(ONE);
    proxy.request("PATCH", &location).customer("acme").body(blob.bytes.slice(..2000)).send().await.is(202);
    let fresh = proxy.request("POST", &uploads_path(TWO)).send().await.opens_upload(TWO);
    let proxy = proxy.stop().await.start().await;
    for request in verbs(&proxy, &location) {
        request.send().await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let found = proxy.request("GET", &location).customer("acme").send().await;
    assert_eq!(last_byte(found.is(204)), 1999);
    let gap = proxy.request("PATCH", &location).customer("acme").content_range(2001, 3000);
    gap.body(blob.bytes.slice(2001..3001)).send().await.refuses(416, "BLOB_UPLOAD_INVALID");
    let next = proxy.request("PATCH", &location).customer("acme").content_range(2000, 2999);
    next.body(blob.bytes.slice(2000..3000)).send().await.is(202);
    let proxy = proxy.stop().await.start().await;
    let close = proxy.request("PUT", &closing(&location, &blob.digest)).customer("acme");
    close.body(blob.bytes.slice(3000..)).send().await.is(201);
    proxy.has_blob(ONE, &blob).await;
    proxy.holds(&fresh, 0).await;
    proxy.close(&fresh, &blob.digest, &blob.bytes).await.is(201);
    let proxy = proxy.stop().await.start().await;
    proxy.knows_no_upload(&fresh).await;
}

/// Also of one that is closed by SHA-512: what was hashed before the restart is hashed again.
#[tokio::test(flavor = "multi_thread")]
async fn any_algorithm_closes_an_upload_after_a_restart() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 5000).by_sha512();
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes[..2500]).await.is(202);
    let proxy = proxy.stop().await.start().await;
    proxy.close(&location, &sha256(b"other"), &blob.bytes[2500..]).await.refuses(400, "DIGEST_INVALID");
    proxy.close(&location, &blob.digest, &blob.bytes[2500..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_a_writer_finish() {
    let proxy = Proxy::hosted().await;
    let (address, blob) = (proxy.address(), Blob::random(1, 40_000));
    let location = proxy.begin_upload(ONE).await;
    let other = proxy.begin_upload(ONE).await;
    let mut writer = proxy.request("PATCH", &location).begin(1000).await;
    let mut closer = proxy.request("PUT", &closing(&other, &blob.digest)).begin(40_000).await;
    writer.write(&blob.bytes[..500]).await;
    closer.write(&blob.bytes[..20_000]).await;
    let file = |location: &str| proxy.data().join("uploads").join(location.rsplit('/').next().unwrap());
    let has = |location: &str, length| fs::metadata(file(location)).is_ok_and(|metadata| metadata.len() == length);
    eventually("the server is at it", async || has(&location, 500) && has(&other, 20_000)).await;
    let stopping = tokio::spawn(proxy.stop());
    eventually("a closed port", async || tokio::net::TcpStream::connect(address).await.is_err()).await;
    writer.write(&blob.bytes[500..1000]).await;
    writer.answer().await.is(202);
    closer.write(&blob.bytes[20_000..]).await;
    closer.answer().await.is(201);
    let proxy = stopping.await.unwrap().start().await;
    proxy.has_blob(ONE, &blob).await;
    proxy.holds(&location, 1000).await;
    proxy.close(&location, &blob.digest, &blob.bytes[1000..]).await.is(201);
}

/// What had arrived when the time to finish was over is a part of the upload, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_stop_cuts_off_goes_on() {
    let proxy = Setup::hosted().with(|config| config.server.shutdown_grace = Duration::from_millis(50)).start().await;
    let blob = Blob::random(1, 2000);
    let location = proxy.begin_upload(ONE).await;
    let mut writer = proxy.request("PATCH", &location).begin(2000).await;
    writer.write(&blob.bytes[..700]).await;
    eventually("the server is at it", async || last_byte(&proxy.get(&location).await) == 699).await;
    let proxy = proxy.stop().await.start().await;
    writer.break_off();
    proxy.holds(&location, 700).await;
    proxy.close(&location, &blob.digest, &blob.bytes[700..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_and_finished_uploads_do_not_come_back() {
    let proxy = Proxy::hosted().await;
    let (finished, cancelled) = (proxy.begin_upload(ONE).await, proxy.begin_upload(ONE).await);
    for location in [&finished, &cancelled] {
        proxy.append(location, b"abc").await.is(202);
    }
    proxy.close(&finished, &sha256(b"abc"), b"").await.is(201);
    proxy.delete(&cancelled).await.is(204);
    let proxy = proxy.stop().await.start().await;
    proxy.knows_no_upload(&finished).await;
    proxy.knows_no_upload(&cancelled).await;
}

/// The folder as a kill would leave it after what was answered.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill() {
    let proxy = Proxy::hosted().await;
    let (blob, done) = (Blob::random(1, 5000), Blob::random(2, 5000));
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes[..2000]).await.is(202);
    proxy.push_blob(ONE, &done).await;
    let killed = Setup::hosted();
    for file in files(proxy.data()) {
        let copied = killed.data().join(file.strip_prefix(proxy.data()).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(&file, &copied).unwrap();
    }
    let proxy = killed.start().await;
    proxy.has_blob(ONE, &done).await;
    proxy.holds(&location, 2000).await;
    proxy.close(&location, &blob.digest, &blob.bytes[2000..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

/// Files of uploads that nothing can be made of are no reason not to start.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_uploads_are_unknown_ones() {
    let proxy = Proxy::hosted().await;
    let mut locations = Vec::new();
    for _ in 0..3 {
        let location = proxy.begin_upload(ONE).await;
        proxy.append(&location, &[1; 1000]).await.is(202);
        locations.push(location);
    }
    let setup = proxy.stop().await;
    let folder = setup.data().join("uploads");
    let file = |location: &str, end: &str| folder.join(location.rsplit('/').next().unwrap().to_owned() + end);
    fs::write(file(&locations[0], ".json"), "{").unwrap();
    fs::remove_file(file(&locations[1], ".json")).unwrap();
    fs::write(folder.join("stranger"), "x").unwrap();
    fs::write(folder.join("stranger.json"), "null").unwrap();
    let proxy = setup.start().await;
    for location in &locations[..2] {
        proxy.knows_no_upload(location).await;
    }
    proxy.holds(&locations[2], 1000).await;
    proxy.close(&locations[2], &sha256(&[1; 1000]), b"").await.is(201);
}

/// Fewer bytes than were acknowledged can be found after a power cut; the client asks, and goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_file_is_a_shorter_upload() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 5000);
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes[..3000]).await.is(202);
    let setup = proxy.stop().await;
    let file = setup.data().join("uploads").join(location.rsplit('/').next().unwrap());
    fs::File::options().write(true).open(file).unwrap().set_len(1000).unwrap();
    let proxy = setup.start().await;
    let answer = proxy.get(&location).await;
    if answer.status == 404 {
        proxy.knows_no_upload(&location).await;
        return;
    }
    proxy.holds(&location, 1000).await;
    proxy.append_at(&location, 3000, &blob.bytes[3000..]).await.refuses(416, "BLOB_UPLOAD_INVALID");
    proxy.append_at(&location, 1000, &blob.bytes[1000..]).await.is(202);
    proxy.close(&location, &blob.digest, b"").await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_upload_ends() {
    let setup = Setup::hosted().setting("upload_ttl", "400ms");
    let proxy = setup.start().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &[7; 1000]).await;
    // Asking is not writing.
    eventually("the end of the upload", async || proxy.get(&location).await.status == 404).await;
    proxy.knows_no_upload(&location).await;
    eventually("the bytes are gone", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_abandoned_before_a_restart_ends_after_it() {
    let setup = Setup::hosted().setting("upload_ttl", "1h");
    let proxy = setup.start().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &[7; 1000]).await.is(202);
    let setup = proxy.stop().await.setting("upload_ttl", "100ms");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let proxy = setup.start().await;
    eventually("the end of the upload", async || proxy.get(&location).await.status == 404).await;
    eventually("the bytes are gone", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_written_to_lives_on() {
    let setup = Setup::hosted().setting("upload_ttl", "2s");
    let proxy = setup.start().await;
    let location = proxy.begin_upload(ONE).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        proxy.append(&location, b"x").await.is(202);
    }
    proxy.close(&location, &sha256(b"xxxxxx"), b"").await.is(201);
}
