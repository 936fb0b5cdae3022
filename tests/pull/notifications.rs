//! Registries tell that tags have moved, and edges tell each other what is pulled.

use std::time::Duration;

use harbinger::{
    config::{Config, Notify},
    events::{Event, Kind, Source, Subscription, What},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    client::Answer,
    content::{Image, KIB},
    proxy::{FOR_EVER, Proxy, Setup, manifest_path},
    upstream::Upstream,
};

const NAME: &str = "library/demo";
const SECRET: &str = "a secret of sixteen characters and more";
const PATH: &str = "/api/v1/notifications";

fn listening(config: &mut Config) {
    config.notifications.secret = Some(SecretString::from(SECRET));
    config.cache.tag_ttl = FOR_EVER;
}

async fn notify(proxy: &Proxy, secret: &str, notification: &Value) -> Answer {
    let ask = proxy.ask("POST", PATH).header("Authorization", &format!("Bearer {secret}"));
    ask.body(notification.to_string()).send().await
}

fn of_docker_hub(tag: &str) -> Value {
    json!({"push_data": {"tag": tag}, "repository": {"repo_name": NAME}})
}

/// The next event that fits.
fn wait_for<T>(events: &Subscription, mut fits: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        let event = events.next(Duration::from_secs(20)).unwrap().expect("an event within twenty seconds");
        if let Some(found) = fits(event) {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_makes_a_tag_be_asked_for_and_what_the_upstream_says_counts() {
    let upstream = Upstream::start().await;
    let (old, new) = (Image::new(1, &[KIB]), Image::new(2, &[KIB]));
    upstream.holds_image(NAME, "v1", &old);
    let proxy = Setup::in_front_of(&upstream).with(listening).start().await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&old.manifest.bytes);
    let events = proxy.events();
    upstream.holds_image(NAME, "v1", &new);
    // The tag is fresh for ever: without being told, nobody asks.
    proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&old.manifest.bytes);
    let answer = notify(&proxy, SECRET, &of_docker_hub("v1")).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"hints": 1, "pulls": 0, "ignored": 0})));
    let named = wait_for(&events, |event| match event.what {
        What::TagMoved { tag, digest, .. } if tag.as_str() == "v1" => Some(digest),
        _ => None,
    });
    assert_eq!(named.unwrap().to_string(), new.manifest.digest);
    proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&new.manifest.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_listened_to_without_the_secret_and_nothing_malformed_is_taken() {
    let upstream = Upstream::start().await;
    let proxy = Setup::in_front_of(&upstream).with(listening).start().await;
    assert_eq!(notify(&proxy, "another secret of that length", &of_docker_hub("v1")).await.status, 401);
    assert_eq!(proxy.ask("POST", PATH).body("{}").send().await.status, 401);
    assert_eq!(notify(&proxy, SECRET, &json!({"a": 1})).await.status, 400);
    assert_eq!(proxy.get(PATH).await.status, 405);
    let elsewhere =
        json!({"events": [{"action": "push", "target": {"repository": "a/b", "tag": "x"}, "request": {"host": "no.such"}}]});
    assert_eq!(notify(&proxy, SECRET, &elsewhere).await.json(), json!({"hints": 0, "pulls": 0, "ignored": 1}));
    let deaf = Setup::in_front_of(&upstream).start().await;
    assert_eq!(notify(&deaf, SECRET, &of_docker_hub("v1")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_tells_another_one_of_a_pull_and_of_a_move() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[KIB]);
    upstream.holds_image(NAME, "v1", &image);
    let lon = Setup::in_front_of(&upstream).with(listening).with(|config| config.server.region = "lon".to_owned()).start().await;
    let url = format!("http://{}{PATH}", lon.address()).parse().unwrap();
    let dal = Setup::in_front_of(&upstream).with(|config| {
        config.server.region = "dal".to_owned();
        config.notify = vec![Notify { url, secret: Some(SecretString::from(SECRET)) }];
    });
    let dal = dal.start().await;
    let events = lon.events();
    let ask = dal.ask("GET", &manifest_path(NAME, "v1")).header("X-Harbinger-Customer", "acme");
    ask.send().await.is_exactly(&image.manifest.bytes);
    // The move and the pull are told in one letter; what dal has found out of the tag is looked at here too, meanwhile.
    let (mut request, mut moved) = (None, None);
    let (request, tag) = wait_for(&events, |event| {
        match event.what {
            What::Request(told) if told.source == Source::Elsewhere => request = Some(told),
            What::TagMoved { tag, .. } => moved = Some(tag),
            _ => {}
        }
        request.clone().zip(moved.clone())
    });
    assert_eq!((&*request.region, request.kind, request.customer.as_deref()), ("dal", Kind::Manifest, Some("acme")));
    assert_eq!(request.repository.name.as_str(), NAME);
    assert_eq!(request.digest.unwrap().to_string(), image.manifest.digest);
    assert_eq!(tag.as_str(), "v1");
}
