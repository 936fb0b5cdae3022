use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::TryStreamExt;

use super::super::{
    Origin, UpstreamErrorKind,
    scripted::{Reply, Scripted, Seen, name, origin},
};
use crate::oci::{Algorithm, Digest, Reference};

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, b"hello")
}

/// Wants Basic, then redirects every request to `target`.
fn guarded_redirect(status: u16, target: String) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| match seen.header("authorization") {
        Some(_) => Reply::new(status).header("location", &target),
        None => Reply::new(401).header("www-authenticate", "Basic realm=r"),
    }
}

#[tokio::test]
async fn the_authorization_stays_with_its_origin() {
    for status in [301, 302, 303, 307, 308] {
        let storage = Scripted::start_at("127.0.0.2", |_| |_: &Seen| Reply::new(200).body("hello")).await;
        // The same host, but another port: another origin.
        let neighbour_target = format!("{}signed?X-Signature=s3cret", storage.url);
        let neighbour = Scripted::start(move |_| Reply::new(307).header("location", &neighbour_target)).await;
        let server = Scripted::start(guarded_redirect(status, format!("{}x", neighbour.url))).await;
        let mut config = server.config();
        config.allow_private_addresses = true;
        (config.username, config.password) = (Some("user".to_owned()), Some("pass".to_owned().into()));
        let blob = origin(&config).blob(&name(), &digest(), 0).await.unwrap();
        let bytes: Vec<_> = blob.body.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), b"hello");
        for seen in neighbour.seen().iter().chain(&storage.seen()) {
            assert_eq!(seen.header("authorization"), None, "{seen:?}");
        }
        assert_eq!((neighbour.seen().len(), storage.seen().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_redirect_at_home_keeps_the_authorization_and_head_stays_head() {
    let server = Scripted::start(|seen| match (seen.header("authorization"), seen.path()) {
        (None, _) => Reply::new(401).header("www-authenticate", "Basic realm=r"),
        (Some(_), "/elsewhere") => Reply::new(200).header("content-length", "5"),
        (Some(_), _) => Reply::new(303).header("location", "../../../../elsewhere"),
    })
    .await;
    let mut config = server.config();
    (config.username, config.password) = (Some("user".to_owned()), Some("pass".to_owned().into()));
    assert_eq!(origin(&config).blob_size(&name(), &digest()).await.unwrap(), Some(5));
    assert!(server.seen().iter().all(|seen| seen.method == "HEAD"));
}

#[tokio::test]
async fn an_authorization_is_not_picked_up_again_after_a_detour() {
    let back = Arc::new(OnceLock::<String>::new());
    let home = back.clone();
    let detour = Scripted::start(move |_| Reply::new(302).header("location", home.get().unwrap())).await;
    let away = detour.url.to_string();
    let server = Scripted::start(move |seen| match (seen.path(), seen.header("authorization")) {
        ("/back", _) => Reply::new(200).body("hello"),
        (_, None) => Reply::new(401).header("www-authenticate", "Basic realm=r"),
        (_, Some(_)) => Reply::new(307).header("location", &away),
    })
    .await;
    back.set(format!("{}back", server.url)).unwrap();
    let mut config = server.config();
    (config.username, config.password) = (Some("user".to_owned()), Some("pass".to_owned().into()));
    origin(&config).blob(&name(), &digest(), 0).await.unwrap();
    assert_eq!(detour.seen()[0].header("authorization"), None);
    let last = server.seen().pop().unwrap();
    assert_eq!((last.path(), last.header("authorization")), ("/back", None));
}

#[tokio::test]
async fn loops_and_redirects_to_nowhere_end() {
    let endless = Scripted::start(|seen| Reply::new(302).header("location", seen.path())).await;
    let error = endless.origin().blob(&name(), &digest(), 0).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::BadAnswer);
    assert_eq!(endless.seen().len(), 6, "the request and five redirects");
    for reply in [Reply::new(302), Reply::new(302).header("location", "http://"), Reply::new(304), Reply::new(300)] {
        let server = Scripted::start(move |_| reply.clone()).await;
        let error = server.origin().blob(&name(), &digest(), 0).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::BadAnswer);
    }
}

#[tokio::test]
async fn private_places_get_no_connection_and_the_key_is_named() {
    let inner = Scripted::start_at("127.0.0.2", |_| |_: &Seen| Reply::new(200).body("hello")).await;
    let port = inner.url.port().unwrap();
    for target in [
        format!("http://127.0.0.2:{port}/x?sig=s3cret"),
        format!("http://2130706434:{port}/x?sig=s3cret"),
        format!("http://0x7f.2:{port}/x?sig=s3cret"),
        format!("http://[::ffff:127.0.0.2]:{port}/x?sig=s3cret"),
        format!("http://localhost:{port}/x?sig=s3cret"),
        "http://169.254.169.254/latest/meta-data?sig=s3cret".to_owned(),
    ] {
        let location = target.clone();
        let server = Scripted::start(move |_| Reply::new(307).header("location", &location)).await;
        let error = server.origin().blob(&name(), &digest(), 0).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Forbidden, "{target}: {error}");
        assert!(error.message.contains("allow_private_addresses"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn odd_targets_are_refused() {
    for target in ["file:///etc/passwd", "ftp://x.example/", "data:text/plain,x", "http://user:s3cret@127.0.0.1/"] {
        let server = Scripted::start(move |_| Reply::new(307).header("location", target)).await;
        let error = server.origin().manifest(&name(), &"latest".parse::<Reference>().unwrap()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Forbidden, "{target}");
        assert!(!error.message.contains("s3cret"));
    }
}

#[tokio::test]
async fn a_signed_url_is_asked_for_anew_each_time_and_its_refusal_is_no_denial() {
    let asked = AtomicUsize::new(0);
    let storage = Scripted::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(403),
        _ => Reply::new(200).body("hello"),
    })
    .await;
    let target = format!("{}signed?sig=s3cret", storage.url);
    let server = Scripted::start(move |_| Reply::new(307).header("location", &target)).await;
    let origin = server.origin();
    let error = origin.blob(&name(), &digest(), 0).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("s3cret"));
    origin.blob(&name(), &digest(), 0).await.unwrap();
    assert_eq!((server.seen().len(), storage.seen().len()), (2, 2));
}

#[tokio::test]
async fn a_broken_signed_url_is_not_repeated_in_the_error() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Scripted::start(move |_| Reply::new(307).header("location", &format!("http://{nobody}/x?sig=s3cret"))).await;
    let error = server.origin().blob(&name(), &digest(), 0).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}
