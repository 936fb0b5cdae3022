//! Tokens and passwords for the upstream: asked for once, and given to nobody else.

use std::{path::Path, sync::Arc};

use futures_util::future::join_all;
use harbinger::config::Mode;

use crate::{
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::*,
};

const NAME: &str = "library/demo";

/// The setup with credentials of the operator.
fn with_credentials(upstream: &Upstream) -> Setup {
    let setup = Setup::in_front_of(upstream);
    let password = setup.data().join("password");
    std::fs::write(&password, "s3cret\n").unwrap();
    with_password_file(setup, &password)
}

fn with_password_file(setup: Setup, file: &Path) -> Setup {
    setup.with(|config| {
        config.upstream[0].mode = Mode::Shared;
        config.upstream[0].username = Some("operator".to_owned());
        config.upstream[0].password_file = Some(file.to_owned());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_and_used() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[100 * KIB, 3 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token(Some(300));
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    let asked = upstream.asked("*", "/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].query("service").as_deref(), Some("fake"));
    assert_eq!(asked[0].query("scope").as_deref(), Some("repository:library/demo:pull"));
    assert_eq!(asked[0].header("Authorization"), None, "an anonymous token is asked for anonymously");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_for_many_clients() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[10 * KIB; 20]);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token(None);
    let gate = Gate::closed();
    upstream.when("*", "/token").once(stalled(&gate));
    let proxy = Arc::new(Proxy::in_front_of(&upstream).await);
    let clients = join_all(image.blobs.iter().cloned().map(|blob| {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move { proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes) })
    }));
    let opener = async {
        gate.reached(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        gate.open();
    };
    let (clients, ()) = tokio::join!(clients, opener);
    clients.into_iter().for_each(|client| client.unwrap());
    assert_eq!(upstream.count("*", "/token"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_per_repository() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image("library/one", "v1", &image);
    upstream.holds_image("library/two", "v1", &image);
    upstream.wants_token(Some(300));
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull("library/one", "v1", &image).await;
    proxy.pull("library/two", "v1", &image).await;
    let scopes: Vec<_> = upstream.asked("*", "/token").iter().filter_map(|request| request.query("scope")).collect();
    assert_eq!(scopes, ["repository:library/one:pull", "repository:library/two:pull"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_died_early_is_replaced() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[10 * KIB, 10 * KIB]);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token(Some(300));
    let proxy = Proxy::in_front_of(&upstream).await;
    for blob in &image.blobs {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
        upstream.revokes_tokens();
    }
    assert_eq!(upstream.count("*", "/token"), image.blobs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_lifetimes_of_tokens_are_no_reason_to_fail() {
    for expires_in in [Some(0), Some(1), Some(u64::MAX), None] {
        let upstream = Upstream::start().await;
        let image = Image::small(1);
        upstream.holds_image(NAME, "v1", &image);
        upstream.wants_token(expires_in);
        let proxy = Proxy::in_front_of(&upstream).await;
        proxy.pull(NAME, "v1", &image).await;
    }
}

/// A body that breaks after its token has died needs a new token for its rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_goes_on_with_a_new_token() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    upstream.wants_token(Some(300));
    let gate = Gate::closed();
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.head(&path).await;
    upstream.when("GET", &path).once(both(truncated(2 * MIB), stalled_after(MIB, &gate)));
    let mut client = proxy.open(&path).await;
    client.take(500 * KIB).await;
    gate.reached(1).await;
    upstream.revokes_tokens();
    gate.open();
    client.finish().await.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("*", "/token"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_never_good_enough_means_not_found() {
    let upstream = Upstream::start().await;
    upstream.wants_token(Some(300));
    let challenge = format!(r#"Bearer realm="{}",service="fake",scope="x""#, upstream.url("/token"));
    upstream.when("*", "/v2/*").always(status_with(401, "WWW-Authenticate", &challenge));
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[404]);
    assert!(upstream.count("*", "/v2/") <= 4, "{}", upstream.count("*", "/v2/"));
    assert!(upstream.count("*", "/token") <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_that_fails_is_an_error_of_the_upstream() {
    for fault in [status(500), html(), body("{}"), body(vec![b'x'; 10 * MIB]), truncated(3)] {
        let upstream = Upstream::start().await;
        let image = Image::small(1);
        upstream.holds_image(NAME, "v1", &image);
        upstream.wants_token(Some(300));
        upstream.when("*", "/token").always(fault);
        let proxy = Setup::in_front_of(&upstream).start().await;
        proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[502, 503, 504]);
        upstream.behaves();
        proxy.pull(NAME, "v1", &image).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_present_goes_nowhere() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token(Some(300));
    let proxy = Proxy::in_front_of(&upstream).await;
    for path in [manifest_path(NAME, "v1"), blob_path(NAME, &image.blobs[0])] {
        let ask = proxy.ask("GET", &path).header("Authorization", "Basic Y2xpZW50OnNlY3JldA==");
        assert_eq!(ask.header("Proxy-Authorization", "Basic Y2xpZW50OnNlY3JldA==").send().await.status, 200);
    }
    for request in upstream.requests() {
        assert!(!request.headers.iter().any(|(_, value)| value.contains("Y2xpZW50")), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_of_the_operator() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_basic("operator", "s3cret");
    with_credentials(&upstream).start().await.pull(NAME, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_operator_get_the_token() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token(Some(300));
    with_credentials(&upstream).start().await.pull(NAME, "v1", &image).await;
    for request in upstream.requests() {
        let presented = request.header("Authorization").unwrap_or_default();
        assert_eq!(presented.starts_with("Basic "), request.path == "/token", "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_the_operators_fault_and_not_a_challenge() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_basic("operator", "another");
    let proxy = with_credentials(&upstream).start().await;
    for path in [manifest_path(NAME, "v1"), blob_path(NAME, &image.blobs[0])] {
        proxy.get(&path).await.is_error(&[502, 503]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_without_credentials() {
    let (upstream, cdn) = (Upstream::start().await, Upstream::start().await);
    let image = Image::new(1, &[100 * KIB, 3 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token(Some(300));
    for blob in &image.blobs {
        let path = format!("/cdn/{}", blob.digest);
        cdn.holds_path(&path, &blob.bytes);
    }
    let proxy = Proxy::in_front_of(&upstream).await;
    // With a token in hand, so that there is something to leak.
    proxy.head(&manifest_path(NAME, "v1")).await;
    for blob in &image.blobs {
        upstream.when("GET", &blob_path(NAME, blob)).always(redirect_to(cdn.url(&format!("/cdn/{}?signature=1", blob.digest))));
        let answer = proxy.get(&blob_path(NAME, blob)).await;
        answer.is_exactly(&blob.bytes);
        assert_eq!(answer.header("Location"), None);
    }
    assert_eq!(cdn.requests().len(), image.blobs.len());
    for request in cdn.requests() {
        assert_eq!(request.header("Authorization"), None);
        assert_eq!(request.query("signature").as_deref(), Some("1"));
    }
    assert!(upstream.asked("GET", "/blobs/").iter().all(|request| request.header("Authorization").is_some()));
}

/// A signed URL dies with its request: the rest of a body needs a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_break_behind_a_redirect_asks_the_registry_again() {
    let (upstream, cdn) = (Upstream::start().await, Upstream::start().await);
    let blob = Blob::random(1, 3 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    for n in 1..=2 {
        cdn.holds_path(&format!("/signed/{n}"), &blob.bytes);
        upstream.when("GET", &path).once(redirect_to(cdn.url(&format!("/signed/{n}"))));
    }
    cdn.when("GET", "/signed/1").once(truncated(MIB));
    cdn.when("GET", "/signed/1").always(status(403));
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.get(&path).await.is_exactly(&blob.bytes);
    assert_eq!((upstream.count("GET", &path), cdn.count("GET", "/signed/2")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn relative_redirects_and_their_loops() {
    let upstream = Upstream::start().await;
    let (good, round) = (Blob::random(1, 10), Blob::random(2, 10));
    upstream.holds_path("/elsewhere", &good.bytes);
    upstream.when("GET", &blob_path(NAME, &good)).always(redirect_to("/elsewhere"));
    upstream.when("GET", &blob_path(NAME, &round)).always(redirect_to(blob_path(NAME, &round)));
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.get(&blob_path(NAME, &good)).await.is_exactly(&good.bytes);
    proxy.get(&blob_path(NAME, &round)).await.is_error(&[502, 503]);
    assert!(upstream.count("GET", &round.digest) <= 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_private_addresses_need_leave() {
    let (upstream, inside) = (Upstream::start().await, Upstream::start_on("127.0.0.2").await);
    let blob = Blob::random(1, 10);
    inside.holds_path("/inside", &blob.bytes);
    upstream.when("GET", &blob_path(NAME, &blob)).always(redirect_to(inside.url("/inside")));
    let setup = Setup::in_front_of(&upstream);
    let proxy = setup.with(|config| config.upstream[0].allow_private_addresses = false).start().await;
    proxy.get(&blob_path(NAME, &blob)).await.is_error(&[502, 503]);
    assert_eq!(inside.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_token_service_gets_nothing_unless_it_is_listed() {
    let (upstream, foreign) = (Upstream::start().await, Upstream::start_on("127.0.0.2").await);
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    upstream.wants_token_from(foreign.url("/token"), Some(300));
    foreign.wants_token(Some(300));
    let proxy = with_credentials(&upstream).start().await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_error(&[502, 503]);
    assert_eq!(foreign.requests().len(), 0);

    let setup = Setup::in_front_of(&upstream);
    let proxy = setup.with(|config| config.upstream[0].realms = vec!["127.0.0.2".to_owned()]).start().await;
    // Its tokens are not this upstream's, but it was asked.
    proxy.get(&manifest_path(NAME, "v1")).await;
    assert!(foreign.count("*", "/token") > 0);
}
