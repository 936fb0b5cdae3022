use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;

use super::super::{
    Origin, UpstreamErrorKind,
    scripted::{Reply, Scripted, Seen, name, origin},
};
use crate::oci::Reference;

const MANIFEST: &str = "/v2/team/app/manifests/latest";

fn latest() -> Reference {
    "latest".parse().unwrap()
}

fn challenge(realm: &str) -> Reply {
    let value = format!(r#"Bearer realm="{realm}",service="svc",scope="repository:evil/other:pull,push""#);
    Reply::new(401).header("www-authenticate", &value)
}

/// An upstream and its token service on one server: `/token` issues `t1`, `t2`, … by `token`; everything else wants the
/// token that `accepts` likes.
async fn guarded(
    token: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    accepts: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Scripted {
    let issued = AtomicUsize::new(0);
    Scripted::start_at("127.0.0.1", |url| {
        let realm = format!("{url}token");
        move |seen: &Seen| {
            if seen.path() == "/token" {
                return token(issued.fetch_add(1, Ordering::SeqCst) + 1, seen);
            }
            match seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
                Some(token) if accepts(token) => Reply::new(200).body("{}"),
                _ => challenge(&realm),
            }
        }
    })
    .await
}

fn issue(number: usize, _: &Seen) -> Reply {
    Reply::new(200).body(format!(r#"{{"token":"t{number}","expires_in":300}}"#))
}

#[tokio::test]
async fn a_token_is_fetched_for_our_own_scope_and_sent_ahead_from_then_on() {
    let server = guarded(issue, |_| true).await;
    let origin = server.origin();
    for _ in 0..3 {
        origin.manifest(&name(), &latest()).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 5, "401, token, and one request each: {seen:?}");
    assert_eq!(seen[1].target, "/token?service=svc&scope=repository%3Ateam%2Fapp%3Apull");
    assert_eq!(seen[1].header("authorization"), None);
    assert!(seen[2..].iter().all(|seen| seen.header("authorization") == Some("Bearer t1")));
}

#[tokio::test]
async fn many_callers_make_one_token_request() {
    let slow = |number, seen: &Seen| issue(number, seen).after(Duration::from_millis(100));
    let server = guarded(slow, |_| true).await;
    let origin = server.origin();
    let (name, latest) = (name(), latest());
    let results = join_all((0..20).map(|_| origin.manifest(&name, &latest))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.count("/token"), 1);
}

#[tokio::test]
async fn tokens_are_kept_by_repository() {
    let server = guarded(issue, |_| true).await;
    let origin = server.origin();
    origin.manifest(&name(), &latest()).await.unwrap();
    origin.manifest(&"team/other".parse().unwrap(), &latest()).await.unwrap();
    assert_eq!(server.count("/token"), 2);
    assert_eq!(server.seen().last().unwrap().header("authorization"), Some("Bearer t2"));
}

#[tokio::test]
async fn an_expired_token_is_renewed_without_a_refusal() {
    let server =
        guarded(|number, _| Reply::new(200).body(format!(r#"{{"access_token":"t{number}","expires_in":1}}"#)), |_| true).await;
    let origin = server.origin();
    origin.manifest(&name(), &latest()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    origin.manifest(&name(), &latest()).await.unwrap();
    assert_eq!(server.count("/token"), 2);
    assert_eq!(server.count(MANIFEST), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_early_is_replaced_once() {
    let server = guarded(issue, |token| token == "t2").await;
    let origin = server.origin();
    // The first token is refused at once: hidden. The second call begins anew and is let in.
    assert_eq!(origin.manifest(&name(), &latest()).await.unwrap_err().kind, UpstreamErrorKind::NotFound);
    origin.manifest(&name(), &latest()).await.unwrap();
    assert_eq!(server.count("/token"), 2);
}

#[tokio::test]
async fn an_endless_401_is_hidden_after_one_more_try_and_never_relayed() {
    let server = guarded(issue, |_| false).await;
    let origin = server.origin();
    for _ in 0..2 {
        let error = origin.manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::NotFound);
        assert!(!error.message.contains("realm") && !error.message.contains("t1"), "{error}");
    }
    assert_eq!(server.count(MANIFEST), 4, "two each");
}

#[tokio::test]
async fn credentials_go_to_the_token_service_and_not_to_the_registry() {
    let server = guarded(issue, |_| true).await;
    let mut config = server.config();
    (config.username, config.password) = (Some("user".to_owned()), Some("pass".to_owned().into()));
    origin(&config).manifest(&name(), &latest()).await.unwrap();
    for seen in server.seen() {
        assert_eq!(seen.header("authorization") == Some("Basic dXNlcjpwYXNz"), seen.path() == "/token", "{seen:?}");
    }
}

#[tokio::test]
async fn credentials_that_the_token_service_refuses_are_not_sent_twice() {
    let server = guarded(|_, _| Reply::new(401), |_| true).await;
    let mut config = server.config();
    (config.username, config.password) = (Some("user".to_owned()), Some("s3cret".to_owned().into()));
    let error = origin(&config).manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::CredentialsRefused);
    assert!(!error.message.contains("s3cret"));
    assert_eq!(server.count("/token"), 1);
    let anonymous = server.origin().manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!(anonymous.kind, UpstreamErrorKind::NotFound);
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let server = guarded(issue, |_| true).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let host = format!("127.0.0.1:{}", server.url.port().unwrap());
    fs::write(&file, format!(r#"{{"auths":{{"{host}":{{"identitytoken":"idt"}}}}}}"#)).unwrap();
    let mut config = server.config();
    config.docker_config = Some(file);
    origin(&config).manifest(&name(), &latest()).await.unwrap();
    let seen = server.seen();
    let asked = seen.iter().find(|seen| seen.path() == "/token").unwrap();
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("POST", None));
    assert!(asked.body.contains("grant_type=refresh_token") && asked.body.contains("refresh_token=idt"));
}

#[tokio::test]
async fn a_realm_that_nobody_vouched_for_gets_no_connection() {
    let thief = Arc::new(Scripted::start_at("127.0.0.2", |_| |seen: &Seen| issue(1, seen)).await);
    let realm = format!("{}token", thief.url);
    let server = Scripted::start(move |_| challenge(&realm)).await;
    let mut config = server.config();
    (config.username, config.password) = (Some("user".to_owned()), Some("pass".to_owned().into()));
    let error = origin(&config).manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Forbidden);
    assert!(error.message.contains("'realms'") && error.message.contains("127.0.0.2"), "{error}");

    config.realms = vec!["127.0.0.2".to_owned()];
    let error = origin(&config).manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Forbidden);
    assert!(error.message.contains("allow_private_addresses"), "{error}");
    assert!(thief.seen().is_empty());

    config.allow_private_addresses = true;
    let error = origin(&config).manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::NotFound);
    assert_eq!(thief.count("/token"), 1);
}

#[tokio::test]
async fn basic_is_met_with_the_password_and_sent_ahead_from_then_on() {
    let server = Scripted::start(|seen| match seen.header("authorization") {
        Some("Basic dXNlcjpwYXNz") => Reply::new(200).body("{}"),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"r\""),
    })
    .await;
    let mut config = server.config();
    (config.username, config.password) = (Some("user".to_owned()), Some("pass".to_owned().into()));
    let good = origin(&config);
    for _ in 0..2 {
        good.manifest(&name(), &latest()).await.unwrap();
    }
    assert_eq!(server.seen().len(), 3);
    config.password = Some("wrong".to_owned().into());
    for config in [&config, &server.config()] {
        let error = origin(config).manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::CredentialsRefused, "{error}");
    }
}

#[tokio::test]
async fn a_token_service_that_misbehaves_is_an_error_of_its_kind() {
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(10 << 20));
    for (reply, kind) in [
        (Reply::new(500), UpstreamErrorKind::Unavailable),
        (Reply::new(200).body("<html>"), UpstreamErrorKind::BadAnswer),
        (Reply::new(200).body("{}"), UpstreamErrorKind::BadAnswer),
        (Reply::new(200).body(r#"{"token":"a\r\nb"}"#), UpstreamErrorKind::BadAnswer),
        (Reply::new(200).body(huge), UpstreamErrorKind::BadAnswer),
        (Reply::new(302).header("location", "http://127.0.0.1/"), UpstreamErrorKind::BadAnswer),
        (Reply::new(429).header("retry-after", "7"), UpstreamErrorKind::RateLimited),
        (Reply::silence(), UpstreamErrorKind::Timeout),
    ] {
        let server = guarded(move |_, _| reply.clone(), |_| true).await;
        let mut config = server.config();
        config.first_byte_timeout = Duration::from_secs(1);
        let error = origin(&config).manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[tokio::test]
async fn a_401_that_asks_for_nothing_is_a_bad_answer() {
    for header in ["", "garbage,,=\"", "Bearer realm=\"not a url\""] {
        let server = Scripted::start(move |_| Reply::new(401).header("www-authenticate", header)).await;
        let error = server.origin().manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::BadAnswer);
    }
}

#[tokio::test]
async fn every_request_tells_who_asks_and_wants_identity() {
    let server = guarded(issue, |_| true).await;
    server.origin().manifest(&name(), &latest()).await.unwrap();
    for seen in server.seen() {
        assert_eq!(seen.header("via"), Some("1.1 harbinger-test"));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert!(seen.header("user-agent").unwrap().starts_with("harbinger/"));
        assert_eq!(seen.header("cookie"), None);
    }
}

#[tokio::test]
async fn what_is_open_to_everyone_is_had_without_a_password() {
    let server = Scripted::start(|seen| match (seen.path().contains("/open/"), seen.header("authorization")) {
        (true, None) | (false, Some(_)) => Reply::new(200).body("{}"),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=r"),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let key = format!("127.0.0.1:{}/team", server.url.port().unwrap());
    fs::write(&file, format!(r#"{{"auths":{{"{key}":{{"username":"u","password":"p"}}}}}}"#)).unwrap();
    let mut config = server.config();
    config.docker_config = Some(file);
    let origin = origin(&config);
    origin.manifest(&name(), &latest()).await.unwrap();
    origin.manifest(&"open/app".parse().unwrap(), &latest()).await.unwrap();
    let error = origin.manifest(&"closed/app".parse().unwrap(), &latest()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::CredentialsRefused);
}
