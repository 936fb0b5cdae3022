//! Questions to the graph over HTTP: who may ask, what is answered, and what is never told.

use std::sync::Arc;

use harbinger::{
    events::{Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What},
    graph::Graph,
    oci::{Algorithm, Digest},
};
use serde_json::Value;

use crate::{
    client::{Answer, Ask, eventually, raw},
    proxy::{Proxy, Setup, mirror},
    upstream::Upstream,
};

const QUESTIONS: [&str; 7] = ["stats", "shares", "bases", "versions", "together", "top", "around"];

fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn layer(content: &str) -> Layer {
    let media_type = "application/vnd.oci.image.layer.v1.tar".parse().unwrap();
    Layer { digest: digest(content), size: content.len() as u64, media_type }
}

fn repository(route: &str, name: &str) -> Repository {
    Repository { route: route.into(), name: name.parse().unwrap(), private: route.is_empty() }
}

/// An image whose digest is that of its name and tag.
fn image(route: &str, name: &str, tag: &str, layers: &[&str]) -> [What; 2] {
    let repository = repository(route, name);
    let seen = ManifestSeen {
        repository: repository.clone(),
        manifest: layer(&format!("{name}:{tag}")),
        config: Some(layer(&format!("config of {name}:{tag}"))),
        layers: layers.iter().map(|content| layer(content)).collect(),
        manifests: None,
        subject: None,
        base: None,
        created: None,
    };
    let named = Some(seen.manifest.digest);
    [What::ManifestSeen(Arc::new(seen)), What::TagMoved { repository, tag: tag.parse().unwrap(), digest: named }]
}

fn pull(route: &str, name: &str, content: &str) -> What {
    What::Request(Arc::new(Request {
        customer: Some("hushed".into()),
        region: "eu".into(),
        client: 1,
        repository: repository(route, name),
        tag: None,
        digest: Some(digest(content)),
        kind: Kind::Blob,
        status: 200,
        bytes: 1,
        source: Source::Disk,
        first_byte: 1,
        total: 1,
        complete: true,
    }))
}

/// What a server finds in its folder: public images, and one that was pushed here on top of them.
async fn shelf(change: impl FnOnce(&mut harbinger::config::Config)) -> (Upstream, Proxy) {
    let upstream = Upstream::start().await;
    let setup = Setup::with_upstreams(vec![mirror("docker.io", &upstream)]).with(change);
    let what = [
        image("docker.io", "library/os", "12", &["rootfs"]),
        image("docker.io", "library/app", "1.0", &["rootfs", "runtime", "app one"]),
        image("docker.io", "library/app", "1.1", &["rootfs", "runtime", "app two"]),
        image("", "local/hidden", "2.0", &["rootfs", "runtime", "very own"]),
    ];
    let pulls = [pull("", "local/hidden", "very own"), pull("docker.io", "library/app", "runtime")];
    let events = what.into_iter().flatten().chain(pulls).map(Event::now).collect();
    let graph = Graph::at_rest_or_new(&setup.data().join("graph.redb")).unwrap();
    graph.apply(events).await.unwrap();
    graph.stop().await.unwrap();
    drop(graph);
    let proxy = setup.start().await;
    eventually("the graph is loaded", async || operator(&proxy, "stats").await.status != 503).await;
    (upstream, proxy)
}

fn ask(proxy: &Proxy, question: &str) -> Ask {
    proxy.ask("GET", &format!("/api/v1/graph/{question}"))
}

async fn operator(proxy: &Proxy, question: &str) -> Answer {
    let file: Value = serde_json::from_slice(&std::fs::read(proxy.data().join("admin.json")).unwrap()).unwrap();
    ask(proxy, question).header("Authorization", &format!("Bearer {}", file["token"].as_str().unwrap())).send().await
}

async fn told(proxy: &Proxy, question: &str) -> Value {
    let answer = operator(proxy, question).await;
    assert_eq!(answer.status, 200, "{question}: {}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_named_as_in_a_pull() {
    let (_upstream, proxy) = shelf(|_| ()).await;
    let own = digest("library/app:1.1").to_string();
    for name in ["app:1.1", "library/app:1.1", "docker.io/library/app:1.1", &format!("app@{own}"), &own] {
        let shares = told(&proxy, &format!("shares?of={name}")).await;
        assert_eq!((&shares["image"]["digest"], &shares["total"]), (&own.clone().into(), &3.into()), "{name}");
    }
    let hidden = told(&proxy, "shares?of=local/hidden:2.0").await;
    assert_eq!(hidden["neighbours"][0]["bytes"], "rootfsruntime".len());
    let layer = told(&proxy, &format!("shares?of={}&limit=1&offset=1", digest("runtime"))).await;
    assert_eq!((&layer["total"], layer["images"].as_array().unwrap().len()), (&3.into(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_is_answered() {
    let (_upstream, proxy) = shelf(|_| ()).await;
    assert_eq!(told(&proxy, "stats").await["nodes"]["manifest"], 4);
    assert_eq!(told(&proxy, "bases?of=app:1.0").await["bases"][0]["image"]["tags"][0], "docker.io/library/os:12");
    assert_eq!(told(&proxy, "versions?of=app:1.0").await["later"][0], "docker.io/library/app:1.1");
    assert_eq!(told(&proxy, "top?region=eu&sort=rate").await["total"], 2);
    assert_eq!(told(&proxy, "together?of=app").await["repository"], "docker.io/library/app");
    let around = told(&proxy, "around?of=os:12&depth=1&limit=3").await;
    assert_eq!(around["nodes"][0]["name"], "docker.io/library/os:12");
    let described = proxy.get("/api/v1/openapi.json").await.json();
    for question in QUESTIONS {
        assert!(described["paths"][format!("/api/v1/graph/{question}")]["get"].is_object(), "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_is_answered_unless_the_configuration_says_otherwise() {
    let (_upstream, proxy) = shelf(|_| ()).await;
    for question in QUESTIONS {
        let question = format!("{question}?of=app:1.0&region=eu");
        assert_eq!(ask(&proxy, &question).send().await.status, 401, "{question}");
        let wrong = ask(&proxy, &question).header("Authorization", "Bearer x").send().await;
        assert_eq!(wrong.status, 401, "{question}");
    }
    assert_eq!(proxy.ask("POST", "/api/v1/graph/stats").send().await.status, 405);

    let (_upstream, open) = shelf(|config| config.graph.public = true).await;
    for question in ["stats", "shares?of=app:1.0", "bases?of=app:1.0", "versions?of=app:1.0", "around?of=app:1.0"] {
        assert_eq!(ask(&open, question).send().await.status, 200, "{question}");
        let wrong = ask(&open, question).header("Authorization", "Bearer x").send().await;
        assert_eq!(wrong.status, 401, "{question}: a wrong token is not taken for none");
    }
    for question in ["together?of=app", "top?region=eu"] {
        assert_eq!(ask(&open, question).send().await.status, 401, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_never_hears_of_what_is_private() {
    let (_upstream, proxy) = shelf(|config| config.graph.public = true).await;
    let secret = |text: &str| {
        let own = digest("very own").to_string();
        [own.as_str(), &digest("local/hidden:2.0").to_string(), "hidden", "hushed"].iter().any(|part| text.contains(part))
    };
    let mut seen = 0;
    for subject in ["app", "app:1.0", "app:1.1", "os:12", &digest("rootfs").to_string(), &digest("runtime").to_string()] {
        for question in ["shares", "bases", "versions", "around"] {
            let answer = ask(&proxy, &format!("{question}?of={subject}&depth=4&limit=1000")).send().await;
            assert!(!secret(&answer.text()), "{question} {subject}: {}", answer.text());
            seen += usize::from(answer.status == 200);
        }
    }
    assert!(seen > 12, "only {seen} questions were answered");
    // What is hidden is answered like what is not there.
    for (there, nowhere) in [("local/hidden:2.0", "local/nowhere:2.0"), ("local/hidden", "local/nowhere")] {
        let [one, other] = [there, nowhere].map(|of| ask(&proxy, &format!("around?of={of}")).send());
        let (one, other) = (one.await, other.await);
        assert_eq!((one.status, one.text().replace("hidden", "nowhere")), (404, other.text()));
    }
    assert_eq!(ask(&proxy, &format!("shares?of={}", digest("very own"))).send().await.status, 404);
    assert_eq!(ask(&proxy, "stats").send().await.json()["nodes"]["manifest"], 3);
    assert_eq!(told(&proxy, "stats").await["nodes"]["manifest"], 4, "what the one is told is not told to the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_are_explained() {
    let (_upstream, proxy) = shelf(|_| ()).await;
    let layer = digest("runtime");
    for (question, status, expected) in [
        ("shares".to_owned(), 400, "the parameter 'of' is missing"),
        ("shares?of=".to_owned(), 400, "'of'"),
        ("shares?of=sha256:1".to_owned(), 400, "'of'"),
        ("shares?of=app:.x".to_owned(), 400, "'.x' is not a tag"),
        ("shares?of=quay.io/a/b".to_owned(), 400, "no upstream named 'quay.io' is configured here"),
        ("shares?of=app&of=os".to_owned(), 400, "'of' is given twice"),
        ("shares?of=app:1.0&limit=1001".to_owned(), 400, "'limit' is a number, 1000 at most"),
        ("shares?of=app:1.0&offset=-1".to_owned(), 400, "'offset' is a number, 5000 at most"),
        ("around?of=app&depth=5".to_owned(), 400, "'depth' is a number, 4 at most"),
        ("top".to_owned(), 400, "the parameter 'region' is missing"),
        ("top?region=eu&sort=smell".to_owned(), 400, "'sort' is bytes or rate"),
        ("top?region=moon".to_owned(), 404, "the graph does not know 'region moon'"),
        (format!("bases?of={layer}"), 400, "is a layer, and the question is about images"),
        (format!("together?of={layer}"), 400, "is a digest, and the question is about repositories"),
        ("shares?of=app:9".to_owned(), 404, "the graph does not know 'docker.io/library/app:9'"),
        ("bases?of=app:1.0&platform=plan9/mips".to_owned(), 200, ""),
        ("meaning".to_owned(), 404, "there is nothing at this path"),
        (String::new(), 404, "there is nothing at this path"),
    ] {
        let answer = operator(&proxy, &question).await;
        assert_eq!(answer.status, status, "{question}: {}", answer.text());
        assert!(answer.text().contains(expected), "{question}: {}", answer.text());
    }
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_graph_it_says_so() {
    let upstream = Upstream::start().await;
    let proxy = Setup::in_front_of(&upstream).with(|config| config.graph.enabled = false).start().await;
    let answer = operator(&proxy, "stats").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("graph.enabled is false"), "{}", answer.text());
    assert!(!proxy.data().join("graph.redb").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_pushes_a_layer_hears_who_has_it_already() {
    let (_upstream, proxy) = shelf(|_| ()).await;
    let push = async |image: &str, content: &str| {
        let length = content.len();
        let head =
            format!("POST /layer/upload?image={image} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}");
        let answer = raw(proxy.address(), format!("{head}\r\n\r\n{content}").as_bytes()).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        let layer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        layer["shared_with"].clone()
    };
    let public = serde_json::json!(["docker.io/library/app"]);
    assert_eq!(push("local/other", "runtime").await, public);
    assert_eq!(push("local/hidden", "runtime").await, serde_json::json!(["docker.io/library/app", "local/hidden"]));
    assert_eq!(push("local/other", "very own").await, serde_json::json!([]));
    assert_eq!(push("local/hidden", "very own").await, serde_json::json!(["local/hidden"]));
}
