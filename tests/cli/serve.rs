//! Starting up, pulling, and what the operator can look at.

use std::collections::BTreeSet;

use crate::{process::Serving, upstream::Upstream};

#[test]
fn it_says_where_it_is_and_pulls() {
    let upstream = Upstream::start();
    let serving = Serving::with_flags(&["--upstream", &format!("docker.io=http://{}", upstream.address)]);
    let welcome = serving.err.now();
    assert!(welcome.contains("and mirrors docker.io (the first is the default)"), "{welcome}");
    assert!(welcome.contains(&format!("\n[host.\"http://{}\"]\n", serving.address)), "{welcome}");

    let manifest = serving.get("/v2/library/app/manifests/1?ns=docker.io");
    assert_eq!((manifest.status, manifest.text()), (200, upstream.manifest.as_str()), "{}", manifest.head);
    assert_eq!(manifest.header("docker-content-digest"), upstream.manifest_digest);
    let first = serving.get(&upstream.layer_path());
    assert_eq!(first.header("cache-status"), "harbinger; fwd=uri-miss; stored; detail=absent");
    assert!(first.body == upstream.layer);
    let second = serving.landed(&upstream.layer_path());
    assert_eq!(second.header("cache-status"), "harbinger; hit; detail=disk");
    assert!(second.body == upstream.layer);
    assert_eq!(upstream.count("GET /v2/library/app/blobs/"), 1);
}

#[test]
fn health_and_metrics() {
    let upstream = Upstream::start();
    let serving = Serving::with_flags(&["--upstream", &format!("docker.io=http://{}", upstream.address)]);
    assert_eq!((serving.get("/healthz").status, serving.get("/readyz").status), (200, 200));
    assert_eq!(serving.get("/v2/").status, 200);
    for path in [&upstream.layer_path(), "/v2/library/app/manifests/1", "/v2/library/app/manifests/no", "/v2/a/b/tags/list"] {
        serving.get(path);
    }
    let answer = serving.get("/metrics");
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let samples = open_metrics(answer.text());
    let of = |start: &str| samples.iter().find(|(name, _)| name.starts_with(start)).map(|(_, value)| *value);
    let miss = "harbinger_requests_total{endpoint=\"blob\",status=\"200\",outcome=\"miss\",detail=\"absent\"}";
    assert_eq!(of(miss), Some(1.0), "{}", answer.text());
    // Beside the layer and the manifest, the bodies of errors.
    assert!(of("harbinger_sent_bytes_total{outcome=\"miss\"}") > Some((upstream.layer.len() + upstream.manifest.len()) as f64));
    assert_eq!(of("harbinger_upstream_bytes_total"), Some(upstream.layer.len() as f64));
    assert_eq!(of("harbinger_fills"), Some(0.0));
    // Whatever clients ask for, labels are words of ours and names of the configuration.
    assert!(!answer.text().contains("library") && !answer.text().contains("sha256"), "{}", answer.text());
}

/// The samples of an OpenMetrics text, which must keep to the format's rules of order and naming.
fn open_metrics(text: &str) -> Vec<(String, f64)> {
    let text = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let (mut families, mut samples, mut open) = (BTreeSet::new(), Vec::new(), ("", ""));
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match what {
                "HELP" => assert!(families.insert(name), "{name} comes twice"),
                "TYPE" => open = (name, rest),
                "UNIT" => assert!(name.ends_with(rest), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let suffix = name.strip_prefix(open.0).unwrap_or_else(|| panic!("{line} is not of {}", open.0));
        let suffixes: &[&str] = match open.1 {
            "counter" => &["_total"],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(name.starts_with("harbinger_"), "{line}");
        samples.push((sample.to_owned(), value.parse().unwrap_or_else(|error| panic!("{line}: {error}"))));
    }
    samples
}
