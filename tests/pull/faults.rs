//! What clients hear when the upstream fails: the truth in time, or something stale that says so.

use std::time::Duration;

use crate::{
    client::{Answer, eventually},
    content::{Blob, Image, KIB, MIB, index},
    proxy::{FOR_EVER, Proxy, Setup, blob_path, manifest_path},
    upstream::*,
};

const NAME: &str = "library/demo";

async fn with_image() -> (Upstream, Image) {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    (upstream, image)
}

/// What the upstream says to everything, what clients may hear, and the code that goes with it, if there is only one.
const STATUSES: [(u16, &[u16], &str); 12] = [
    (404, &[404], "UNKNOWN"),
    (403, &[403], "DENIED"),
    (401, &[403, 404, 502, 503], ""),
    (429, &[429], "TOOMANYREQUESTS"),
    (500, &[502, 503], ""),
    (502, &[502, 503], ""),
    (503, &[502, 503], ""),
    (504, &[502, 503, 504], ""),
    (304, &[502, 503], ""),
    (416, &[416, 502, 503], ""),
    (418, &[404, 502, 503], ""),
    (206, &[502, 503], ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_status_has_its_answer() {
    for (said, heard, code) in STATUSES {
        let (upstream, image) = with_image().await;
        upstream.when("*", "/v2/*").always(status(said));
        let proxy = Setup::in_front_of(&upstream).start().await;
        let paths = [manifest_path(NAME, "v1"), manifest_path(NAME, &image.manifest.digest), blob_path(NAME, &image.blobs[0])];
        for path in &paths {
            let answer = proxy.get(path).await;
            answer.is_error(heard);
            assert!(answer.error_code().ends_with(code), "{said}: {}", answer.text());
            let head = proxy.head(path).await;
            // A part of nothing is not a thing that a HEAD can fail with.
            assert!(heard.contains(&head.status) || said == 206 || said == 416, "HEAD, {said}: {}", head.status);
            assert_eq!(head.header("WWW-Authenticate"), None);
        }
        proxy.still_answers().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_upstream_is_said_to_be_dead() {
    let (upstream, image) = with_image().await;
    let proxy = Proxy::in_front_of(&upstream).await;
    upstream.goes_down();
    proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[502, 503]);
    proxy.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[502, 503]);
    upstream.behaves();
    proxy.pull(NAME, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout() {
    let (upstream, image) = with_image().await;
    let gate = Gate::closed();
    upstream.when("*", "/v2/*").always(stalled(&gate));
    let setup = Setup::in_front_of(&upstream);
    let proxy = setup.with(|config| config.upstream[0].first_byte_timeout = Duration::from_millis(100)).start().await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[504]);
    proxy.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[504]);
    gate.open();
    upstream.behaves();
    proxy.pull(NAME, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_in_the_middle_of_a_body_is_a_break() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let gate = Gate::closed();
    upstream.when("GET", &path).once(stalled_after(MIB, &gate));
    let setup = Setup::in_front_of(&upstream);
    let proxy = setup.with(|config| config.upstream[0].idle_timeout = Duration::from_millis(100)).start().await;
    proxy.get(&path).await.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("GET", &path), 2);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again() {
    for fault in [status(503), reset(0)] {
        let (upstream, image) = with_image().await;
        upstream.when("GET", "/v2/library/demo/manifests/*").once(fault.clone());
        upstream.when("GET", "/v2/library/demo/blobs/*").once(fault);
        let proxy = Setup::in_front_of(&upstream).with_retries().start().await;
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
        proxy.get(&blob_path(NAME, &image.blobs[1])).await.is_exactly(&image.blobs[1].bytes);
        assert_eq!(upstream.count("GET", "/blobs/"), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_pass_is_not_tried_again() {
    for code in [403, 404, 429] {
        let (upstream, image) = with_image().await;
        upstream.when("*", "/v2/*").always(status(code));
        let proxy = Setup::in_front_of(&upstream).with_retries().start().await;
        proxy.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[code]);
        assert_eq!(upstream.count("*", "/v2/"), 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_are_few() {
    let (upstream, image) = with_image().await;
    upstream.when("*", "/v2/*").always(status(503));
    let proxy = Setup::in_front_of(&upstream).with_retries().start().await;
    proxy.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[502, 503]);
    assert!(upstream.count("*", "/v2/") <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_passed_on_within_reason() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(50));
    for (said, least, most) in
        [(Some("40"), 1, 40), (Some(date.as_str()), 1, 50), (Some("-1"), 0, 300), (Some("1000000000"), 1, 3600), (None, 0, 300)]
    {
        let (upstream, image) = with_image().await;
        let limited = said.map_or_else(|| status(429), |said| status_with(429, "Retry-After", said));
        upstream.when("*", "/v2/*").always(limited);
        let proxy = Proxy::in_front_of(&upstream).await;
        for path in [manifest_path(NAME, "v1"), blob_path(NAME, &image.blobs[0])] {
            let answer = proxy.get(&path).await;
            answer.is_error(&[429]);
            let heard = answer.header("Retry-After").map(|text| text.parse::<u64>().unwrap());
            assert!(said.is_none_or(|_| heard.is_some() || least == 0), "{said:?} was not passed on");
            assert!(heard.is_none_or(|heard| (least..=most).contains(&heard)), "{said:?}: {heard:?}");
        }
    }
}

#[track_caller]
fn is_stale(answer: &Answer, bytes: &[u8], reason: &str) {
    answer.is_exactly(bytes);
    let status = answer.header("Cache-Status").unwrap();
    assert!(status.contains(reason), "{status}");
    assert!(answer.header("Age").unwrap().parse::<u64>().is_ok());
    assert!(answer.header("Warning").unwrap().starts_with("299 - \""), "{:?}", answer.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_tag_outlives_its_upstream() {
    for (fault, reason) in [(Some(status(500)), "upstream-error"), (Some(status(429)), "rate-limited"), (None, "upstream-error")]
    {
        let (upstream, image) = with_image().await;
        let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
        proxy.pull(NAME, "v1", &image).await;
        match fault {
            Some(fault) => upstream.when("*", "/v2/*").always(fault),
            None => upstream.goes_down(),
        }
        for _ in 0..2 {
            is_stale(&proxy.get(&manifest_path(NAME, "v1")).await, &image.manifest.bytes, reason);
            let head = proxy.head(&manifest_path(NAME, "v1")).await;
            assert_eq!(head.header("Docker-Content-Digest"), Some(image.manifest.digest.as_str()));
        }
        for blob in &image.blobs {
            let answer = proxy.get(&blob_path(NAME, blob)).await;
            answer.is_exactly(&blob.bytes);
            assert_eq!(answer.header("Warning"), None, "content by digest is never stale");
        }
        upstream.behaves();
        eventually("fresh answers again", async || proxy.get(&manifest_path(NAME, "v1")).await.header("Warning").is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staleness_has_an_end() {
    let (upstream, image) = with_image().await;
    let setup = Setup::in_front_of(&upstream).always_revalidating();
    let proxy = setup.with(|config| config.cache.stale_if_error = Duration::ZERO).start().await;
    proxy.pull(NAME, "v1", &image).await;
    upstream.goes_down();
    // Ages are counted in time that has passed.
    eventually("no stale answers any more", async || proxy.get(&manifest_path(NAME, "v1")).await.status != 200).await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[502, 503]);
    proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_revalidation_is_not_waited_for_but_goes_on() {
    let (upstream, old) = with_image().await;
    let setup = Setup::in_front_of(&upstream).always_revalidating();
    let proxy = setup.with(|config| config.cache.stale_patience = Duration::from_millis(50)).start().await;
    proxy.pull(NAME, "v1", &old).await;
    let new = Image::small(2);
    upstream.holds_image(NAME, "v1", &new);
    let gate = Gate::closed();
    upstream.when("HEAD", "/v2/*").once(stalled(&gate));
    upstream.forgets_requests();
    is_stale(&proxy.get(&manifest_path(NAME, "v1")).await, &old.manifest.bytes, "upstream-slow");
    gate.open();
    eventually("the new manifest", async || proxy.get(&manifest_path(NAME, "v1")).await.body == new.manifest.bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tag_is_gone_or_kept_as_configured() {
    use harbinger::config::OnDelete;
    for policy in [OnDelete::Follow, OnDelete::Keep] {
        let (upstream, image) = with_image().await;
        let setup = Setup::in_front_of(&upstream).always_revalidating();
        let proxy = setup.with(|config| config.cache.on_delete = policy).start().await;
        proxy.pull(NAME, "v1", &image).await;
        upstream.loses_tag(NAME, "v1");
        let answer = proxy.get(&manifest_path(NAME, "v1")).await;
        match policy {
            OnDelete::Follow => answer.is_error(&[404]),
            OnDelete::Keep => is_stale(&answer, &image.manifest.bytes, "deleted-upstream"),
        }
        proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_and_fails_is_left_alone() {
    let (upstream, image) = with_image().await;
    upstream.when("*", "/v2/*").always(status(500));
    let setup = Setup::in_front_of(&upstream).with(|config| {
        config.upstream[0].breaker_failures = 3;
        config.upstream[0].breaker_pause = FOR_EVER;
    });
    let proxy = setup.start().await;
    for seed in 10..20 {
        proxy.get(&blob_path(NAME, &Blob::random(seed, 10))).await.is_error(&[502, 503]);
    }
    assert_eq!(upstream.count("*", "/v2/"), 3);
    upstream.behaves();
    proxy.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[502, 503]);
    assert_eq!(upstream.count("*", "/v2/"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_recovers_is_noticed() {
    let (upstream, image) = with_image().await;
    upstream.when("*", "/v2/*").always(status(500));
    let setup = Setup::in_front_of(&upstream).with(|config| {
        config.upstream[0].breaker_failures = 3;
        config.upstream[0].breaker_pause = Duration::from_millis(50);
    });
    let proxy = setup.start().await;
    for seed in 10..15 {
        proxy.get(&blob_path(NAME, &Blob::random(seed, 10))).await.is_error(&[502, 503]);
    }
    upstream.behaves();
    let path = blob_path(NAME, &image.blobs[0]);
    eventually("an answer", async || proxy.get(&path).await.status == 200).await;
    proxy.pull(NAME, "v1", &image).await;
}

/// 404s are answers, not failures.
#[tokio::test(flavor = "multi_thread")]
async fn asking_for_what_is_not_there_opens_no_breaker() {
    let (upstream, image) = with_image().await;
    let proxy = Setup::in_front_of(&upstream).with(|config| config.upstream[0].breaker_failures = 2).start().await;
    for seed in 10..20 {
        proxy.get(&blob_path(NAME, &Blob::random(seed, 10))).await.is_error(&[404]);
    }
    proxy.pull(NAME, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_found_is_remembered_and_forgotten() {
    let (upstream, image) = with_image().await;
    let path = manifest_path(NAME, "soon");
    let proxy = Setup::in_front_of(&upstream).with(|config| config.cache.negative_ttl = FOR_EVER).start().await;
    proxy.get(&path).await.is_error(&[404]);
    upstream.forgets_requests();
    for _ in 0..3 {
        proxy.get(&path).await.is_error(&[404]);
        assert_eq!(proxy.head(&path).await.status, 404);
    }
    assert_eq!(upstream.requests().len(), 0);

    let setup = Setup::in_front_of(&upstream);
    let proxy = setup.with(|config| config.cache.negative_ttl = Duration::from_millis(200)).start().await;
    proxy.get(&path).await.is_error(&[404]);
    upstream.holds_image(NAME, "soon", &image);
    eventually("the tag", async || proxy.get(&path).await.status == 200).await;
}

/// Only "not found" is remembered: no other answer says that there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_not_found_is_remembered() {
    for code in [403, 500, 503] {
        let (upstream, image) = with_image().await;
        upstream.when("*", "/v2/*").always(status(code));
        let setup = Setup::in_front_of(&upstream);
        let proxy = setup.with(|config| config.cache.negative_ttl = FOR_EVER).start().await;
        assert_ne!(proxy.get(&manifest_path(NAME, "v1")).await.status, 200);
        assert_ne!(proxy.get(&blob_path(NAME, &image.blobs[0])).await.status, 200);
        upstream.behaves();
        proxy.pull(NAME, "v1", &image).await;
    }
}

/// What an index names exists, or will in a moment.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_has_announced_is_never_remembered_as_absent() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_index(NAME, "v1", &index(&[&image.manifest]));
    let proxy = Setup::in_front_of(&upstream).with(|config| config.cache.negative_ttl = FOR_EVER).start().await;
    assert_eq!(proxy.get(&manifest_path(NAME, "v1")).await.status, 200);
    proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_error(&[404]);
    upstream.holds_image(NAME, "other", &image);
    proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drip_is_served_as_it_comes() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, MIB + 300 * KIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(dripping(2 * KIB));
    let proxy = Proxy::in_front_of(&upstream).await;
    let mut client = proxy.open(&path).await;
    client.take(1).await;
    client.finish().await.is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_heads_are_refused() {
    let (upstream, image) = with_image().await;
    upstream.when("*", "/v2/*").always(header("X-Long", &"x".repeat(10 * MIB)));
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[502, 503]);
    proxy.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[502, 503]);
}
