//! A complete answer under a digest is the right bytes, whatever the upstream does; and what is wrong is not kept.

use crate::{
    content::{Blob, Image, KIB, MIB, OCI_INDEX, OCI_MANIFEST},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::*,
};

const NAME: &str = "library/demo";

/// Small blobs are verified before the first byte, larger ones while they pass.
const LENGTHS: [usize; 4] = [100, MIB, MIB + 1, 3 * MIB];

/// A wrong answer to a GET: an error in time, or a cut connection. Never a good end. A body that was announced as a small
/// one is an error, not a cut.
async fn is_never_complete(proxy: &Proxy, path: &str) {
    // A connection that is cut before its head has left is cut all the same.
    let Ok(incoming) = proxy.ask("GET", path).open().await else { return };
    let answer = incoming.finish().await;
    if answer.status != 200 {
        return answer.is_error(&[502, 503, 504]);
    }
    assert!(!answer.complete, "a wrong body of {} bytes ended well", answer.body.len());
    let announced = answer.header("Content-Length").map_or(u64::MAX, |length| length.parse().unwrap());
    assert!(announced > MIB as u64, "a small body of {announced} bytes was begun and cut");
}

/// Each fault, done to every try: the bytes are never delivered, nothing is kept, and a good answer heals it.
async fn is_neither_delivered_nor_kept(fault: impl Fn() -> Fault) {
    for length in LENGTHS {
        let upstream = Upstream::start().await;
        let blob = Blob::random(1, length);
        let path = blob_path(NAME, &blob);
        upstream.holds_blob(NAME, &blob);
        upstream.when("GET", &path).always(fault());
        let proxy = Proxy::in_front_of(&upstream).await;
        is_never_complete(&proxy, &path).await;
        upstream.behaves();
        proxy.get(&path).await.is_exactly(&blob.bytes);
        upstream.goes_down();
        proxy.get(&path).await.is_exactly(&blob.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_bytes() {
    is_neither_delivered_nor_kept(corrupt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_the_content_has() {
    is_neither_delivered_nor_kept(|| with_junk_behind(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_the_content_has_without_a_length() {
    is_neither_delivered_nor_kept(|| both(with_junk_behind(10), framed(Framing::Chunked))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_length_than_the_content_has() {
    is_neither_delivered_nor_kept(|| framed(Framing::Claimed(50))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_all_measure() {
    is_neither_delivered_nor_kept(|| both(framed(Framing::Claimed(1 << 62)), truncated(60))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_another_digest() {
    is_neither_delivered_nor_kept(|| body(Blob::random(9, 5000).bytes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body() {
    is_neither_delivered_nor_kept(|| body("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_captive_portal() {
    is_neither_delivered_nor_kept(html).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_body() {
    is_neither_delivered_nor_kept(|| both(body(&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..]), header("Content-Encoding", "gzip"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_bodies() {
    is_neither_delivered_nor_kept(|| truncated(0)).await;
}

/// A client that asked for encodings must not have them passed on: the offsets and the digest would be those of others.
#[tokio::test(flavor = "multi_thread")]
async fn identity_is_asked_for_and_client_headers_stay_here() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    let path = blob_path(NAME, &image.blobs[1]);
    let ask = |path: &str| {
        let ask = proxy.ask("GET", path).header("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8").header("Cookie", "a=b");
        ask.header("Authorization", "Basic dXNlcjpwYXNz").header("X-Amz-Date", "now").header("If-None-Match", "\"x\"")
    };
    ask(&path).send().await.is_exactly(&image.blobs[1].bytes);
    ask(&manifest_path(NAME, "v1")).send().await.is_exactly(&image.manifest.bytes);
    for request in upstream.requests() {
        assert!(matches!(request.header("Accept-Encoding"), None | Some("identity")), "{request:?}");
        for name in ["Cookie", "Authorization", "X-Amz-Date", "If-None-Match", "Range"] {
            assert_eq!(request.header(name), None, "{request:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_upstream_stay_there() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let odd = both(header("Set-Cookie", "a=b"), both(header("X-Internal", "secret"), header("Keep-Alive", "timeout=5")));
    upstream.when("GET", &path).always(odd);
    let proxy = Proxy::in_front_of(&upstream).await;
    let answer = proxy.get(&path).await;
    answer.is_exactly(&blob.bytes);
    for name in ["Set-Cookie", "X-Internal", "Keep-Alive"] {
        assert_eq!(answer.header(name), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_is_healed_by_asking_for_the_rest() {
    for fault in [truncated(1_000_000), reset(1_000_000)] {
        let upstream = Upstream::start().await;
        let blob = Blob::random(1, 3 * MIB);
        let path = blob_path(NAME, &blob);
        upstream.holds_blob(NAME, &blob);
        upstream.when("GET", &path).once(fault);
        let proxy = Proxy::in_front_of(&upstream).await;
        proxy.get(&path).await.is_exactly(&blob.bytes);
        let asked = upstream.asked("GET", &path);
        assert_eq!(asked.len(), 2);
        // A reset may throw away what was under way.
        let start = asked[1].header("Range").unwrap().trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>();
        assert!(start.unwrap() <= 1_000_000);
        proxy.get(&path).await.is_exactly(&blob.bytes);
        assert_eq!(upstream.count("GET", &path), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_is_healed_without_ranges_too() {
    for length in LENGTHS {
        let upstream = Upstream::start().await;
        upstream.knows_no_ranges();
        let blob = Blob::random(1, length);
        let path = blob_path(NAME, &blob);
        upstream.holds_blob(NAME, &blob);
        upstream.when("GET", &path).once(truncated(length / 2));
        let proxy = Proxy::in_front_of(&upstream).await;
        proxy.get(&path).await.is_exactly(&blob.bytes);
        assert_eq!(upstream.count("GET", &path), 2);
    }
}

/// The hash goes over all pieces, also when one of them was wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_does_not_fit_is_never_a_complete_body() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(truncated(1_000_000));
    upstream.when("GET", &path).always(corrupt());
    let proxy = Proxy::in_front_of(&upstream).await;
    is_never_complete(&proxy, &path).await;
    upstream.behaves();
    proxy.get(&path).await.is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_another_place_is_never_taken_for_the_right_one() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(truncated(1_000_000));
    upstream.when("GET", &path).always(header("Content-Range", "bytes 5-3145727/3145728"));
    let proxy = Proxy::in_front_of(&upstream).await;
    let answer = proxy.get(&path).await;
    // It may also be healed, by asking anew for everything.
    assert!(!answer.complete || answer.body == blob.bytes);
    upstream.behaves();
    proxy.get(&path).await.is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_but_right_answers_are_good_answers() {
    let oddities: [Fault; 6] = [
        framed(Framing::Chunked),
        framed(Framing::Close),
        with_uncounted_junk_behind(10),
        no_header("Content-Type"),
        header("Content-Type", "text/plain; charset=utf-8"),
        dripping(16 * KIB),
    ];
    for fault in oddities {
        for length in LENGTHS {
            let upstream = Upstream::start().await;
            let blob = Blob::random(1, length);
            let path = blob_path(NAME, &blob);
            upstream.holds_blob(NAME, &blob);
            upstream.when("GET", &path).once(fault.clone());
            let proxy = Proxy::in_front_of(&upstream).await;
            proxy.get(&path).await.is_exactly(&blob.bytes);
            proxy.get(&path).await.is_exactly(&blob.bytes);
        }
    }
}

/// It may be taken for what it is or refused, but not for another part.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_nobody_asked_for() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    for fault in [unasked_206(), both(body(blob.bytes.slice(..MIB)), unasked_206())] {
        upstream.when("GET", &path).once(fault);
        let proxy = Proxy::in_front_of(&upstream).await;
        let answer = proxy.get(&path).await;
        assert!([200, 502, 503].contains(&answer.status), "{}", answer.status);
        assert!(answer.status != 200 || !answer.complete || answer.body == blob.bytes);
        proxy.get(&path).await.is_exactly(&blob.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digest_headers_are_computed_here() {
    let wrong = format!("sha256:{}", "a".repeat(64));
    let headers = [wrong.as_str(), "garbage", "", "SHA256:ABC", "sha256:../../etc/passwd"];
    let faults = headers.iter().map(|value| header("Docker-Content-Digest", value));
    let faults = faults.chain([no_header("Docker-Content-Digest"), second_header("Docker-Content-Digest", &wrong)]);
    for fault in faults {
        let upstream = Upstream::start().await;
        let image = Image::new(1, &[2 * MIB]);
        upstream.holds_image(NAME, "v1", &image);
        upstream.when("GET", "/v2/*").always(fault);
        let proxy = Proxy::in_front_of(&upstream).await;
        for path in [manifest_path(NAME, "v1"), manifest_path(NAME, &image.manifest.digest)] {
            let answer = proxy.get(&path).await;
            answer.is_exactly(&image.manifest.bytes);
            assert_eq!(answer.header("Docker-Content-Digest"), Some(image.manifest.digest.as_str()));
        }
        for blob in &image.blobs {
            let answer = proxy.get(&blob_path(NAME, blob)).await;
            answer.is_exactly(&blob.bytes);
            assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
        }
    }
}

/// A HEAD that does not say what it found (or says nonsense) is made good by a GET.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_a_usable_digest_is_made_good_by_a_get() {
    for fault in [header("Docker-Content-Digest", "garbage"), no_header("Docker-Content-Digest"), status(405)] {
        let upstream = Upstream::start().await;
        let image = Image::small(1);
        upstream.holds_image(NAME, "v1", &image);
        upstream.when("HEAD", "/v2/*").always(fault);
        let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
        for _ in 0..2 {
            let answer = proxy.head(&manifest_path(NAME, "v1")).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("Docker-Content-Digest"), Some(image.manifest.digest.as_str()));
            let length = image.manifest.bytes.len().to_string();
            assert_eq!(answer.header("Content-Length"), Some(length.as_str()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sha512() {
    for length in [0, 100, 3 * MIB] {
        let upstream = Upstream::start().await;
        let blob = Blob::random(1, length).by_sha512();
        upstream.holds_blob(NAME, &blob);
        let proxy = Proxy::in_front_of(&upstream).await;
        for _ in ["cold", "warm"] {
            let answer = proxy.get(&blob_path(NAME, &blob)).await;
            answer.is_exactly(&blob.bytes);
            assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
        }
        assert_eq!(upstream.count("GET", "/blobs/"), 1);
    }
    is_wrong_under_sha512().await;
}

async fn is_wrong_under_sha512() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB).by_sha512();
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).always(corrupt());
    let proxy = Proxy::in_front_of(&upstream).await;
    is_never_complete(&proxy, &path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_by_sha512_is_answered_under_sha512() {
    let upstream = Upstream::start().await;
    let manifest = Image::small(1).manifest.by_sha512();
    upstream.holds_manifest(NAME, "v1", &manifest, OCI_MANIFEST);
    let proxy = Proxy::in_front_of(&upstream).await;
    for _ in ["cold", "warm"] {
        let answer = proxy.get(&manifest_path(NAME, &manifest.digest)).await;
        answer.is_exactly(&manifest.bytes);
        assert_eq!(answer.header("Docker-Content-Digest"), Some(manifest.digest.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_empty_blob_and_the_empty_object() {
    for blob in [Blob::new(""), Blob::new("{}")] {
        let upstream = Upstream::start().await;
        upstream.holds_blob(NAME, &blob);
        let proxy = Proxy::in_front_of(&upstream).await;
        for _ in ["cold", "warm"] {
            proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
            let head = proxy.head(&blob_path(NAME, &blob)).await;
            let length = blob.bytes.len().to_string();
            assert_eq!((head.status, head.header("Content-Length")), (200, Some(length.as_str())));
        }
        assert_eq!(upstream.count("*", &blob.digest), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_right_behind_a_get_asks_nobody() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::in_front_of(&upstream).await;
    for seed in 0..50 {
        let blob = Blob::random(seed, 100);
        upstream.holds_blob(NAME, &blob);
        proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
        let head = proxy.head(&blob_path(NAME, &blob)).await;
        assert_eq!((head.status, head.header("Content-Length")), (200, Some("100")));
        assert_eq!(upstream.count("*", &blob.digest), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_manifests_are_an_error_and_not_kept() {
    let faults = [
        corrupt(),
        html(),
        body(""),
        truncated(20),
        with_junk_behind(1),
        body(Image::small(2).manifest.bytes),
        both(framed(Framing::Chunked), truncated(20)),
        both(body(&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..]), header("Content-Encoding", "gzip")),
        body(vec![b' '; 5 * MIB]),
    ];
    for fault in faults {
        let upstream = Upstream::start().await;
        let image = Image::small(1);
        upstream.holds_image(NAME, "v1", &image);
        upstream.when("GET", "/v2/*").always(fault);
        let proxy = Setup::in_front_of(&upstream).start().await;
        proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_error(&[502, 503, 504]);
        upstream.behaves();
        proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
    }
}

/// By tag nothing tells which bytes are right, but they must be a manifest.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_names_no_manifest_is_an_error() {
    for fault in [html(), body(""), body("[]"), body("{}"), body("{\"manifests\":[],\"layers\":[]}"), truncated(20)] {
        let upstream = Upstream::start().await;
        let image = Image::small(1);
        upstream.holds_image(NAME, "v1", &image);
        upstream.when("GET", "/v2/*").always(fault);
        let proxy = Setup::in_front_of(&upstream).start().await;
        proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[502, 503, 504]);
        upstream.behaves();
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_served_byte_by_byte_as_they_came() {
    let (layer, config) = (format!("sha256:{}", "b".repeat(64)), format!("sha256:{}", "c".repeat(64)));
    let image = format!(
        r#"{{"schemaVersion":2,"config":{{"size":2,"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}"}},
           "layers":[{{"digest":"{layer}","size":3,"mediaType":"x/y","urls":["http://x.invalid/"]}}]}}"#
    );
    let docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let odd = [
        (image.clone(), OCI_MANIFEST),
        (format!("\n\t {image}\r\n\n "), OCI_MANIFEST),
        (image.replace("\"size\":2", "\"zzz\":[1.0,1e3,\"\\u00e9\\/\"],\"size\":2,\"aaa\":null"), OCI_MANIFEST),
        (r#"{"manifests":[],"annotations":{"z":"1","a":"2","m":"3"},"schemaVersion":2}"#.to_owned(), OCI_INDEX),
        (r#"{ "schemaVersion" : 2 , "manifests" : [ ] , "x-own" : { "b" : 1 , "a" : 2 } }"#.to_owned(), docker_list),
        (
            format!(r#"{{"mediaType":"{OCI_INDEX}","schemaVersion":2,"manifests":[{{"platform":{{"os.version":"10"}}}}]}}"#),
            OCI_INDEX,
        ),
    ];
    for (text, media_type) in odd {
        let upstream = Upstream::start().await;
        let manifest = Blob::new(text);
        upstream.holds_manifest(NAME, "odd", &manifest, media_type);
        let proxy = Proxy::in_front_of(&upstream).await;
        for _ in ["cold", "warm"] {
            for reference in ["odd", &manifest.digest] {
                let answer = proxy.get(&manifest_path(NAME, reference)).await;
                answer.is_exactly(&manifest.bytes);
                assert_eq!(answer.header("Content-Type"), Some(media_type));
                let head = proxy.head(&manifest_path(NAME, reference)).await;
                assert_eq!(head.header("Content-Type"), Some(media_type));
                assert_eq!(head.header("Content-Length"), Some(manifest.bytes.len().to_string().as_str()));
                assert_eq!(head.header("Docker-Content-Digest"), Some(manifest.digest.as_str()));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_media_type_of_a_manifest_is_found_when_the_upstream_does_not_say_it() {
    for fault in [no_header("Content-Type"), header("Content-Type", "text/plain; charset=utf-8"), header("Content-Type", "")] {
        let upstream = Upstream::start().await;
        let manifest = Blob::new(r#"{"schemaVersion":2,"manifests":[]}"#);
        upstream.holds_index(NAME, "v1", &manifest);
        upstream.when("*", "/v2/*").always(fault);
        let proxy = Proxy::in_front_of(&upstream).await;
        let answer = proxy.get(&manifest_path(NAME, "v1")).await;
        answer.is_exactly(&manifest.bytes);
        assert_eq!(answer.header("Content-Type"), Some(OCI_INDEX));
    }
}

/// Whatever a client accepts: a manifest is what its tag names.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_accept_changes_nothing() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    for accept in ["application/vnd.docker.distribution.manifest.v1+json", "*/*;q=0", &"x/y, ".repeat(500)] {
        let ask = proxy.ask("GET", &manifest_path(NAME, "v1")).header("Accept", accept);
        ask.send().await.is_exactly(&image.manifest.bytes);
    }
    for request in upstream.asked("*", "/manifests/") {
        assert!(request.header("Accept").unwrap().contains(OCI_INDEX), "{request:?}");
    }
}

/// A tag that moves in the middle of a pull: what was announced can still be had.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_announced_can_be_had_after_its_tag_has_moved() {
    let upstream = Upstream::start().await;
    let (old, new) = (Image::small(1), Image::small(2));
    upstream.holds_image(NAME, "v1", &old);
    let proxy = Proxy::in_front_of(&upstream).await;
    let head = proxy.head(&manifest_path(NAME, "v1")).await;
    assert_eq!(head.header("Docker-Content-Digest"), Some(old.manifest.digest.as_str()));
    upstream.holds_image(NAME, "v1", &new);
    proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&old.manifest.bytes);
    proxy.get(&manifest_path(NAME, &old.manifest.digest)).await.is_exactly(&old.manifest.bytes);
}
