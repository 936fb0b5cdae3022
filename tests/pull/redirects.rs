//! Clients that are sent to the bucket: which, for what, and never before they may read it.

use bytes::Bytes;
use harbinger::config::{CdnSigning, Config, RedirectMode};
use secrecy::SecretString;

use crate::{
    client::{Answer, Ask, eventually, raw},
    content::{Blob, KIB},
    parents::by_way_of,
    proxy::{Proxy, Setup, blob_path, mirror},
    upstream::{Upstream, both, header, status},
};

const NAME: &str = "library/demo";

/// A registry and a bucket, both scripted, and a blob that is in both.
struct Stage {
    upstream: Upstream,
    bucket: Upstream,
    blob: Blob,
    path: String,
}

impl Stage {
    async fn set() -> Self {
        let (upstream, bucket) = (Upstream::start().await, Upstream::start_on("127.0.0.2").await);
        let blob = Blob::random(1, 10 * KIB);
        upstream.holds_blob(NAME, &blob);
        let path = blob_path(NAME, &blob);
        let stage = Self { upstream, bucket, blob, path };
        stage.keeps(&stage.blob, &stage.blob.bytes);
        let date = header("Last-Modified", "Mon, 23 Nov 2026 00:00:00 GMT");
        stage.bucket.when("HEAD", "/box/*").always(both(date.clone(), header("ETag", "\"x\"")));
        stage.bucket.when("GET", "/box/*").always(both(date, header("ETag", "\"x\"")));
        stage
    }

    /// The bucket has `bytes` under the name of `blob`.
    fn keeps(&self, blob: &Blob, bytes: &Bytes) {
        self.bucket.holds_path(&key(blob), bytes);
    }

    fn setup(&self) -> Setup {
        let (endpoint, secret) = (self.bucket.url("/").parse().unwrap(), SecretString::from("secret"));
        Setup::in_front_of(&self.upstream).with(|config| {
            let object = &mut config.storage.object;
            object.url = "s3://box".to_owned();
            object.endpoint = Some(endpoint);
            object.access_key_id = Some("key".to_owned());
            object.secret_access_key = Some(secret);
            // These tests are not about a bucket that is slow, and the machine may be.
            object.lookup_timeout = std::time::Duration::from_secs(10);
            config.redirect.mode = RedirectMode::Always;
        })
    }

    /// A proxy that has the blob, and whose clients are sent elsewhere for it: as soon as its length is known to be right.
    async fn warm(&self, setup: Setup) -> Proxy {
        let proxy = setup.start().await;
        proxy.get(&self.path).await.is_exactly(&self.blob.bytes);
        eventually("clients are sent elsewhere", async || proxy.get(&self.path).await.status == 307).await;
        proxy
    }
}

/// Where a blob lies in the bucket.
fn key(blob: &Blob) -> String {
    let hex = blob.digest.trim_start_matches("sha256:");
    format!("/box/blobs/sha256/{}/{hex}", &hex[..2])
}

/// Where an answer leads; it must be a redirect as it should be.
#[track_caller]
fn led(answer: &Answer, blob: &Blob) -> url::Url {
    assert_eq!(answer.status, 307, "{}", answer.text());
    assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
    assert_eq!((answer.header("Cache-Control"), answer.header("ETag")), (Some("no-store"), None));
    assert_eq!((answer.header("Content-Length"), answer.body.len()), (Some("0"), 0));
    assert_eq!(answer.header("Cache-Status"), Some("harbinger; hit; detail=object"));
    answer.header("Location").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_sent_to_the_bucket_and_finds_the_blob_there() {
    let stage = Stage::set().await;
    let proxy = stage.warm(stage.setup()).await;
    let location = led(&proxy.get(&stage.path).await, &stage.blob);
    assert_eq!((location.host_str(), location.path()), (Some("127.0.0.2"), key(&stage.blob).as_str()));
    let expires = location.query_pairs().find(|(name, _)| name == "X-Amz-Expires").unwrap().1.into_owned();
    assert_eq!(expires, "900");
    assert!(location.query_pairs().any(|(name, _)| name == "X-Amz-Signature"));
    let target = format!("{}?{}", location.path(), location.query().unwrap());
    Ask::new(stage.bucket.address(), "GET", &target).send().await.is_exactly(&stage.blob.bytes);
    let part = led(&proxy.ask("GET", &stage.path).range("bytes=5-9").send().await, &stage.blob);
    assert_eq!(part.path(), location.path());
    led(&proxy.get(&format!("/layer/request?image={NAME}&layerHash={}", stage.blob.digest)).await, &stage.blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_what_the_client_has_already_are_answered_here() {
    let stage = Stage::set().await;
    let proxy = stage.warm(stage.setup()).await;
    let head = proxy.head(&stage.path).await;
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("10240")));
    let tag = format!("\"{}\"", stage.blob.digest);
    assert_eq!(proxy.ask("GET", &stage.path).header("If-None-Match", &tag).send().await.status, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_decline() {
    let stage = Stage::set().await;
    let proxy = stage.warm(stage.setup()).await;
    let ask = |value| proxy.ask("GET", &stage.path).header("X-Harbinger-No-Redirect", value).send();
    ask("1").await.is_exactly(&stage.blob.bytes);
    led(&ask("0").await, &stage.blob);
    // A server below takes what its parent has from the parent.
    let below = Setup::with_upstreams(vec![by_way_of(proxy.address(), "docker.io")]).start().await;
    below.get(&stage.path).await.is_exactly(&stage.blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn size_upstream_and_network_decide() {
    let stage = Stage::set().await;
    let length = stage.blob.bytes.len() as u64;
    type Change = fn(&mut Config, u64);
    let cases: [(bool, Change); 8] = [
        (false, |config, _| config.redirect.mode = RedirectMode::Never),
        (false, |config, length| {
            config.redirect.mode = RedirectMode::Large;
            config.redirect.above = bytesize::ByteSize::b(length);
        }),
        (true, |config, length| {
            config.redirect.mode = RedirectMode::Large;
            config.redirect.above = bytesize::ByteSize::b(length - 1);
        }),
        (false, |config, _| config.upstream[0].redirect = Some(RedirectMode::Never)),
        (false, |config, _| config.upstream[0].redirect = Some(RedirectMode::Large)),
        (true, |config, _| {
            config.redirect.mode = RedirectMode::Never;
            config.upstream[0].redirect = Some(RedirectMode::Always);
        }),
        (false, |config, _| config.redirect.clients = vec!["10.0.0.0/8".parse().unwrap()]),
        (true, |config, _| config.redirect.clients = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()]),
    ];
    let proxy = stage.warm(stage.setup()).await;
    for (case, (goes, change)) in cases.into_iter().enumerate() {
        // Each of these takes effect without a restart.
        proxy.reload(|config| change(config, length));
        let answer = proxy.get(&stage.path).await;
        assert_eq!(answer.status == 307, goes, "case {case}: {}", answer.status);
        if !goes {
            answer.is_exactly(&stage.blob.bytes);
        }
    }
}

/// What is in the bucket carries no rights, as anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_anywhere_without_leave() {
    let stage = Stage::set().await;
    let proxy = stage.warm(stage.setup()).await;
    proxy.get(&blob_path("library/other", &stage.blob)).await.is_error(&[404]);
    stage.upstream.holds_blob("library/third", &stage.blob);
    let asked = stage.upstream.count("*", "/v2/library/third/");
    let first = proxy.get(&blob_path("library/third", &stage.blob)).await;
    first.is_exactly(&stage.blob.bytes);
    assert_eq!((asked, stage.upstream.count("HEAD", "/v2/library/third/")), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_is_served_from_here() {
    let stage = Stage::set().await;
    let proxy = stage.warm(stage.setup()).await;
    let (address, digest, length) = (proxy.address(), &stage.blob.digest, stage.blob.bytes.len());
    let head = format!(
        "POST /v2/local/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
         Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n"
    );
    assert!(raw(address, &[head.as_bytes(), &stage.blob.bytes].concat()).await.starts_with(b"HTTP/1.1 201"));
    for _ in 0..2 {
        proxy.get(&blob_path("local/app", &stage.blob)).await.is_exactly(&stage.blob.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_lacks_it_lies_or_fails_harms_nobody() {
    for case in ["absent", "of another length", "failing", "dead"] {
        let stage = Stage::set().await;
        let other = Blob::random(2, 10 * KIB);
        stage.upstream.holds_blob(NAME, &other);
        match case {
            "of another length" => stage.keeps(&other, &Bytes::from_static(b"short")),
            "failing" => {
                stage.bucket.behaves();
                stage.bucket.when("*", "/box/*").always(status(500));
            }
            "dead" => stage.bucket.goes_down(),
            _ => {}
        }
        let proxy = stage.setup().start().await;
        for _ in 0..2 {
            proxy.get(&blob_path(NAME, &other)).await.is_exactly(&other.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cdn_stands_before_the_bucket() {
    let stage = Stage::set().await;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "0123456789abcdef\n").unwrap();
    let with_url = |config: &mut Config| config.redirect.cdn_url = Some("https://cdn.example/eu".parse().unwrap());
    let with_key = |config: &mut Config| {
        with_url(config);
        config.redirect.cdn_signing = CdnSigning::Hmac;
        config.redirect.cdn_key_file = Some(key_file.clone());
    };
    let proxy = stage.warm(stage.setup().with(with_url)).await;
    let signed = led(&proxy.get(&stage.path).await, &stage.blob);
    assert_eq!((signed.host_str(), signed.path()), (Some("cdn.example"), format!("/eu{}", key(&stage.blob)).as_str()));
    assert!(signed.query_pairs().any(|(name, _)| name == "X-Amz-Signature"));

    proxy.reload(with_key);
    let verified = led(&proxy.get(&stage.path).await, &stage.blob);
    let path = key(&stage.blob);
    assert_eq!(verified.path(), format!("/eu{}", path.trim_start_matches("/box")));
    assert!(verified.query().unwrap().starts_with("verify="), "{verified}");

    // A key that has gone is an error of the reload, and nothing changes.
    std::fs::remove_file(&key_file).unwrap();
    let error = proxy.try_reload(with_key).unwrap_err();
    assert!(error.contains("cdn_key_file"), "{error}");
    led(&proxy.get(&stage.path).await, &stage.blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bucket_everything_comes_from_here() {
    let stage = Stage::set().await;
    let setup = Setup::with_upstreams(vec![mirror("docker.io", &stage.upstream)]);
    let proxy = setup.with(|config| config.redirect.mode = RedirectMode::Always).start().await;
    proxy.get(&stage.path).await.is_exactly(&stage.blob.bytes);
    proxy.get(&stage.path).await.is_exactly(&stage.blob.bytes);
    assert_eq!(stage.bucket.requests().len(), 0);
}
