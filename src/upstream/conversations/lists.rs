use serde_json::{Value, json};

use super::super::{
    ListBounds, Origin, UpstreamErrorKind,
    scripted::{Reply, Scripted, Seen, name},
};
use crate::oci::{Algorithm, Digest, Tag};

const LIST: &str = "/v2/team/app/tags/list";

fn subject() -> Digest {
    Digest::of(Algorithm::Sha256, b"subject")
}

fn referrers_path() -> String {
    format!("/v2/team/app/referrers/{}", subject())
}

fn index(descriptors: &[&str]) -> String {
    let descriptors: Vec<_> = descriptors.iter().map(|name| json!({ "name": name })).collect();
    json!({ "schemaVersion": 2, "manifests": descriptors }).to_string()
}

fn names(descriptors: &[Value]) -> Vec<&str> {
    descriptors.iter().map(|descriptor| descriptor["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_tags_are_merged_in_order() {
    let server = Scripted::start_at("127.0.0.1", |home| {
        let absolute = format!("<{home}v2/team/app/tags/list?last=c>; rel=\"next\"");
        move |seen: &Seen| match seen.target.strip_prefix(LIST) {
            Some("") => Reply::new(200).header("link", &format!("<{LIST}?last=b>; rel=next")).body(r#"{"tags":["b","a"]}"#),
            Some("?last=b") => Reply::new(200).header("link", &absolute).body(r#"{"name":"x","tags":["c"]}"#),
            Some("?last=c") => Reply::new(200).body(r#"{"name":"x","tags":null}"#),
            _ => Reply::new(500),
        }
    })
    .await;
    assert_eq!(server.origin().tags(&name()).await.unwrap(), ["b", "a", "c"]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_missing_list_of_tags_is_empty_and_junk_is_an_error() {
    for body in [r#"{"name":"x"}"#, r#"{"tags":[]}"#, r#"{"tags":null}"#] {
        let server = Scripted::start(move |_| Reply::new(200).body(body)).await;
        assert!(server.origin().tags(&name()).await.unwrap().is_empty());
    }
    for body in ["<html>", "[]", r#"{"tags":{}}"#, r#"{"tags":[1]}"#, ""] {
        let server = Scripted::start(move |_| Reply::new(200).body(body)).await;
        assert_eq!(server.origin().tags(&name()).await.unwrap_err().kind, UpstreamErrorKind::BadAnswer, "{body}");
    }
}

#[tokio::test]
async fn the_repositories_of_a_registry_are_asked_for_with_leave_for_all_of_them() {
    let server = Scripted::start_at("127.0.0.1", |home| {
        let challenge = format!("Bearer realm=\"{home}token\",service=\"x\"");
        move |seen: &Seen| match (seen.path(), seen.header("authorization")) {
            ("/token", _) if seen.target.contains("scope=registry%3Acatalog%3A*") => Reply::new(200).body(r#"{"token":"t"}"#),
            ("/v2/_catalog", None) => Reply::new(401).header("www-authenticate", &challenge),
            ("/v2/_catalog", Some("Bearer t")) if seen.target.contains("last=b") => {
                Reply::new(200).body(r#"{"repositories":["c"]}"#)
            }
            ("/v2/_catalog", Some("Bearer t")) => {
                Reply::new(200).header("link", "</v2/_catalog?last=b>; rel=next").body(r#"{"repositories":["a","b"]}"#)
            }
            _ => Reply::new(500),
        }
    })
    .await;
    assert_eq!(server.origin().repositories().await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn endless_and_straying_lists_are_refused() {
    let circle =
        Scripted::start(|_| Reply::new(200).header("link", &format!("<{LIST}?a>; rel=next")).body(r#"{"tags":["a"]}"#)).await;
    assert_eq!(circle.origin().tags(&name()).await.unwrap_err().kind, UpstreamErrorKind::BadAnswer);
    assert_eq!(circle.seen().len(), 2);

    let big = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(9 << 20));
    let heavy =
        Scripted::start(move |seen| Reply::new(200).header("link", &format!("<{}x>; rel=next", seen.target)).body(big.clone()))
            .await;
    assert_eq!(heavy.origin().tags(&name()).await.unwrap_err().kind, UpstreamErrorKind::BadAnswer);
    assert_eq!(heavy.seen().len(), 2);

    let many = format!(r#"{{"tags":[{}"x"]}}"#, r#""x","#.repeat(60_000));
    let long =
        Scripted::start(move |seen| Reply::new(200).header("link", &format!("<{}x>; rel=next", seen.target)).body(many.clone()))
            .await;
    assert_eq!(long.origin().tags(&name()).await.unwrap_err().kind, UpstreamErrorKind::BadAnswer);

    let straying =
        Scripted::start(|_| Reply::new(200).header("link", "<http://127.0.0.2/x>; rel=next").body(r#"{"tags":[]}"#)).await;
    assert_eq!(straying.origin().tags(&name()).await.unwrap_err().kind, UpstreamErrorKind::Forbidden);
}

#[tokio::test]
async fn pages_of_referrers_are_merged() {
    let path = referrers_path();
    let server = Scripted::start(move |seen| match seen.target.strip_prefix(path.as_str()) {
        Some("") => Reply::new(200).header("link", &format!("<{path}?page=2>; rel=next")).body(index(&["a"])),
        Some("?page=2") => Reply::new(200).body(index(&["b"])),
        _ => Reply::new(500),
    })
    .await;
    let found = server.origin().referrers(&name(), &subject()).await.unwrap();
    assert_eq!(names(&found), ["a", "b"]);
}

#[tokio::test]
async fn without_the_api_the_tag_tells() {
    let tag_path = format!("/v2/team/app/manifests/{}", Tag::of_referrers(&subject()));
    for reply in [
        Reply::new(404),
        Reply::new(405),
        Reply::new(400),
        Reply::new(501),
        Reply::new(200).header("content-type", "text/html").body("<html>welcome</html>"),
        Reply::new(200).body("[]"),
        Reply::new(200).body("{}"),
        Reply::new(200).body(r#"{"manifests":"x"}"#),
    ] {
        let (path, answer) = (tag_path.clone(), reply.clone());
        let server =
            Scripted::start(move |seen| if seen.path() == path { Reply::new(200).body(index(&["t"])) } else { answer.clone() })
                .await;
        assert_eq!(names(&server.origin().referrers(&name(), &subject()).await.unwrap()), ["t"], "{reply:?}");
        let path = tag_path.clone();
        let server = Scripted::start(move |seen| if seen.path() == path { Reply::new(404) } else { reply.clone() }).await;
        assert!(server.origin().referrers(&name(), &subject()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_empty_index_is_believed_and_a_failure_is_not_taken_for_one() {
    for body in [r#"{"schemaVersion":2,"manifests":[]}"#, r#"{"schemaVersion":2,"manifests":null}"#] {
        let server = Scripted::start(move |_| Reply::new(200).body(body)).await;
        assert!(server.origin().referrers(&name(), &subject()).await.unwrap().is_empty());
        assert_eq!(server.seen().len(), 1);
    }
    for (status, kind) in
        [(500, UpstreamErrorKind::Unavailable), (403, UpstreamErrorKind::Denied), (429, UpstreamErrorKind::RateLimited)]
    {
        let server = Scripted::start(move |_| Reply::new(status)).await;
        assert_eq!(server.origin().referrers(&name(), &subject()).await.unwrap_err().kind, kind);
    }
}

#[tokio::test]
async fn a_list_is_read_up_to_the_bounds_that_are_set() {
    let server = Scripted::start(|seen| {
        let reply = Reply::new(200).body(r#"{"tags":["a","b"]}"#);
        if seen.target.ends_with("xx") { reply } else { reply.header("link", &format!("<{}x>; rel=next", seen.target)) }
    })
    .await;
    let bounds = ListBounds { pages: 3, entries: 6, bytes: 1000 };
    assert_eq!(server.origin().tags_within(&name(), bounds).await.unwrap().len(), 6);
    for bounds in [ListBounds { pages: 2, ..bounds }, ListBounds { entries: 5, ..bounds }, ListBounds { bytes: 50, ..bounds }] {
        let asked = server.seen().len();
        let error = server.origin().tags_within(&name(), bounds).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::BadAnswer, "{bounds:?}");
        assert!(server.seen().len() - asked <= 3);
    }
}
