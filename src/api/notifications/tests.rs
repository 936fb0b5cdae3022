//! Notifications as their senders document them.

use serde_json::json;

use super::*;

fn told_by(document: &serde_json::Value) -> Result<Vec<Told>, ApiError> {
    read(&serde_json::to_vec(document).unwrap())
}

fn moved(registry: &str, repository: &str, tag: &str) -> Told {
    Told { registry: registry.to_owned(), repository: repository.to_owned(), tag: Some(tag.to_owned()), ..Told::default() }
}

#[test]
fn docker_hub() {
    let webhook = json!({
        "callback_url": "https://registry.hub.docker.com/u/svendowideit/testhook/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/",
        "push_data": {"pushed_at": 1417566161, "pusher": "trustedbuilder", "tag": "latest"},
        "repository": {"name": "testhook", "namespace": "svendowideit", "repo_name": "svendowideit/testhook", "status": "Active"}
    });
    assert_eq!(told_by(&webhook).unwrap(), [moved("docker.io", "svendowideit/testhook", "latest")]);
}

#[test]
fn github() {
    let package = |kind: &str| {
        json!({
            "name": "hello", "namespace": "Octo-Org", "ecosystem": kind, "package_type": kind,
            "package_version": {"version": "sha256:1", "container_metadata": {"tag": {"name": "v1", "digest": "sha256:1"}}}
        })
    };
    let published = json!({"action": "published", "registry_package": package("CONTAINER"), "repository": {"name": "hello"}});
    assert_eq!(told_by(&published).unwrap(), [moved("ghcr.io", "octo-org/hello", "v1")]);
    let older = json!({"action": "published", "package": package("container")});
    assert_eq!(told_by(&older).unwrap(), [moved("ghcr.io", "octo-org/hello", "v1")]);
    assert_eq!(told_by(&json!({"action": "published", "package": package("npm")})).unwrap(), []);
    assert_eq!(told_by(&json!({"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}})).unwrap(), []);
}

#[test]
fn harbor() {
    let webhook = |kind: &str| {
        json!({
            "type": kind, "occur_at": 1586922308, "operator": "admin",
            "event_data": {
                "resources": [
                    {"digest": "sha256:8a9e9863", "tag": "latest", "resource_url": "hub.harbor.com/test-webhook/debian:latest"},
                    {"digest": "sha256:8a9e9863", "resource_url": "hub.harbor.com/test-webhook/debian@sha256:8a9e9863"}
                ],
                "repository": {"name": "debian", "namespace": "test-webhook", "repo_full_name": "test-webhook/debian"}
            }
        })
    };
    assert_eq!(told_by(&webhook("PUSH_ARTIFACT")).unwrap(), [moved("hub.harbor.com", "test-webhook/debian", "latest")]);
    assert_eq!(told_by(&webhook("PULL_ARTIFACT")).unwrap(), []);
}

#[test]
fn distribution() {
    let digest = "sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf";
    let target = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "length": 708,
        "repository": "hello-world", "url": "http://192.168.100.227:5000/v2/hello-world/manifests/x", "tag": "latest"});
    let request = json!({"id": "6df24a34", "addr": "192.168.64.11:42961", "host": "192.168.100.227:5000", "method": "PUT"});
    let event = |action: &str| {
        json!({"id": "320678d8", "timestamp": "2016-03-09T14:44:26Z", "action": action,
        "target": target, "request": request, "actor": {}, "source": {"addr": "xtal.local:5000"}})
    };
    let told = told_by(&json!({"events": [event("push"), event("pull"), event("mount")]})).unwrap();
    assert_eq!(told, [Told { digest: Some(digest.to_owned()), ..moved("192.168.100.227:5000", "hello-world", "latest") }]);
}

#[test]
fn another_edge() {
    let digest = Digest::of(crate::oci::Algorithm::Sha256, b"");
    let request = Request {
        customer: Some("acme".into()),
        region: "dal".into(),
        client: 0xfeed,
        repository: events::Repository { route: "ghcr.io".into(), name: "acme/web".parse().unwrap(), private: true },
        tag: Some("v2".parse().unwrap()),
        digest: Some(digest),
        kind: Kind::Manifest,
        status: 200,
        bytes: 5,
        source: Source::Upstream,
        first_byte: 1,
        total: 2,
        complete: true,
    };
    let here = Event { at: 77, what: What::Request(Arc::new(request.clone())) };
    let notification = events::envelope::Notification::of(&here, "dal").unwrap();
    let told = told_by(&json!({"events": [notification]})).unwrap();
    let elsewhere = Elsewhere {
        region: "dal".to_owned(),
        at: 77,
        customer: Some("acme".to_owned()),
        client: Some("000000000000feed".to_owned()),
    };
    let expected = Told { digest: Some(digest.to_string()), pull: Some(elsewhere), ..moved("ghcr.io", "acme/web", "v2") };
    assert_eq!(told, [expected]);
    // What was told by another edge is not told again.
    let told_of = Request { source: Source::Elsewhere, ..request.clone() };
    let there = Event { at: 77, what: What::Request(Arc::new(told_of)) };
    assert_eq!(events::envelope::Notification::of(&there, "lon"), None);
    let head = Request { kind: Kind::ManifestHead, ..request };
    assert_eq!(events::envelope::Notification::of(&Event { at: 77, what: What::Request(Arc::new(head)) }, "dal"), None);
}

#[test]
fn anything_else_is_refused() {
    for text in ["", "{", "[]", "{}", "null", "{\"events\": 1}", "{\"push_data\": {}}", "{\"package\": 1}", "{\"type\": \"x\"}"] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
}
