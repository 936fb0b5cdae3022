//! Tags and repositories, in byte order and in pages.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    client::Answer,
    content::Image,
    documents::bare,
    hosted::{ONE, TWO},
    proxy::{Proxy, Setup, manifest_path},
    upstream::Upstream,
};

const TAGS: &str = "/v2/local/one/tags/list";

async fn with_tags(tags: &[&str]) -> Proxy {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    for tag in tags {
        proxy.push_manifest(ONE, tag, &bare(1)).await;
    }
    proxy
}

#[track_caller]
fn lists(answer: &Answer, field: &str, entries: &[&str]) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("Content-Type").unwrap().starts_with("application/json"));
    assert_eq!(answer.json()[field], json!(entries));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_listed_by_their_bytes() {
    let proxy = with_tags(&["v10", "v2", "Z", "a", "v1", "_x", "0", "v1", "v1.0", "v1-0"]).await;
    let answer = proxy.get(TAGS).await;
    lists(&answer, "tags", &["0", "Z", "_x", "a", "v1", "v1-0", "v1.0", "v10", "v2"]);
    assert_eq!(answer.json()["name"], json!(ONE));
    assert_eq!(answer.next(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_come_in_pages() {
    let all = ["a", "b", "c", "d", "e"];
    let proxy = with_tags(&all).await;
    let cases: [(&str, &[&str], bool); 14] = [
        ("", &all, false),
        ("?n=2", &all[..2], true),
        ("?n=5", &all, false),
        ("?n=9", &all, false),
        ("?n=4", &all[..4], true),
        ("?n=0", &[], false),
        ("?last=b", &all[2..], false),
        ("?last=bb", &all[2..], false),
        ("?last=A", &all, false),
        ("?last=e", &[], false),
        ("?n=2&last=a", &all[1..3], true),
        ("?n=2&last=c", &all[3..], false),
        ("?n=1000000000", &all, false),
        ("?n=3&last=~&unknown=1", &[], false),
    ];
    for (query, tags, more) in cases {
        let answer = proxy.get(&format!("{TAGS}{query}")).await;
        lists(&answer, "tags", tags);
        assert_eq!(answer.next().is_some(), more, "{query}");
    }
    for (size, pages) in [(1, 5), (2, 3), (3, 2)] {
        let (mut found, mut count, mut next) = (Vec::new(), 0, Some(format!("{TAGS}?n={size}")));
        while let Some(path) = next {
            let answer = proxy.get(&path).await;
            let page: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
            found.extend(page);
            count += 1;
            next = answer.next();
        }
        assert_eq!((found.as_slice(), count), (&all.map(str::to_owned)[..], pages));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_pages_are_refused() {
    let proxy = with_tags(&["a"]).await;
    for path in [TAGS, "/v2/_catalog", "/v2/local/never/tags/list"] {
        for query in ["?n=-1", "?n=abc", "?n=1e9", "?n=", "?n=1&n=2", "?n=%00", "?n=+1", "?last=a&last=b"] {
            proxy.get(&format!("{path}{query}")).await.is_error(&[400]);
        }
        for query in [format!("?last={}", "a".repeat(6000)), "?last=..%2f..%2f".to_owned(), "?last=%00".to_owned()] {
            let answer = proxy.get(&format!("{path}{query}")).await;
            assert!([200, 400, 404].contains(&answer.status), "{query}: {}", answer.status);
        }
        for n in ["2147483648", "18446744073709551615", "18446744073709551616"] {
            let answer = proxy.get(&format!("{path}?n={n}")).await;
            assert!([200, 400, 404].contains(&answer.status), "{n}: {}", answer.status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_tags() {
    let proxy = with_tags(&[]).await;
    let mut expected = BTreeSet::new();
    let manifest = bare(1);
    for hundred in 0..25 {
        let tags: Vec<_> = (0..100).map(|n| format!("t{}", hundred * 100 + n)).collect();
        let query = tags.iter().map(|tag| format!("tag={tag}")).collect::<Vec<_>>().join("&");
        proxy.push_manifest(ONE, &format!("{}?{query}", manifest.digest), &manifest).await;
        expected.extend(tags);
    }
    let all: Vec<String> = serde_json::from_value(proxy.get(TAGS).await.is(200).json()["tags"].clone()).unwrap();
    assert!(all.iter().eq(&expected));
    let page = proxy.get(&format!("{TAGS}?n=1234")).await;
    assert_eq!(page.json()["tags"].as_array().unwrap().len(), 1234);
    assert!(page.next().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_never_pushed_to_has_no_list() {
    let proxy = with_tags(&["a"]).await;
    for name in ["local/never", "local/on", "local/one/more"] {
        proxy.get(&format!("/v2/{name}/tags/list")).await.refuses(404, "NAME_UNKNOWN");
    }
    proxy.get("/v2/local/UPPER/tags/list").await.refuses(400, "NAME_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_follow_every_push_and_delete_at_once() {
    let proxy = with_tags(&["a", "b"]).await;
    lists(&proxy.get(TAGS).await, "tags", &["a", "b"]);
    proxy.push_manifest(ONE, "aa", &bare(2)).await;
    lists(&proxy.get(TAGS).await, "tags", &["a", "aa", "b"]);
    proxy.delete(&manifest_path(ONE, "a")).await.is(202);
    lists(&proxy.get(TAGS).await, "tags", &["aa", "b"]);
    proxy.delete(&manifest_path(ONE, &bare(1).digest)).await.is(202);
    lists(&proxy.get(TAGS).await, "tags", &["aa"]);
    proxy.push_manifest(ONE, "a", &bare(2)).await;
    lists(&proxy.get(TAGS).await, "tags", &["a", "aa"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_listed_by_their_bytes_and_in_pages() {
    let proxy = Proxy::hosted().await;
    lists(&proxy.get("/v2/_catalog").await, "repositories", &[]);
    let all = ["local/a", "local/a-b", "local/a/b", "local/a0", "local/b", "local/z/z"];
    for name in all.iter().rev() {
        proxy.push_empty_json(name).await;
        proxy.push_manifest(name, "v1", &bare(1)).await;
    }
    let cases: [(&str, &[&str], bool); 7] = [
        ("", &all, false),
        ("?n=2", &all[..2], true),
        ("?n=6", &all, false),
        ("?n=0", &[], false),
        ("?last=local/a/b", &all[3..], false),
        ("?n=2&last=local%2Fa0", &all[4..], false),
        ("?n=2&last=local/a", &all[1..3], true),
    ];
    for (query, names, more) in cases {
        let answer = proxy.get(&format!("/v2/_catalog{query}")).await;
        lists(&answer, "repositories", names);
        assert_eq!(answer.next().is_some(), more, "{query}");
    }
    let (mut found, mut next) = (Vec::new(), Some("/v2/_catalog?n=1".to_owned()));
    while let Some(path) = next {
        let answer = proxy.get(&path).await;
        found.extend(serde_json::from_value::<Vec<String>>(answer.json()["repositories"].clone()).unwrap());
        next = answer.next();
    }
    assert_eq!(found, all);
}

/// What was pulled, or asked for in vain, is nobody's repository here.
#[tokio::test(flavor = "multi_thread")]
async fn only_hosted_repositories_are_listed() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image("library/demo", "v1", &image);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.pull("library/demo", "v1", &image).await;
    proxy.lacks_manifest("local/never", "v1").await;
    lists(&proxy.get("/v2/_catalog").await, "repositories", &[]);
    proxy.push_image(TWO, "v1", &image).await;
    lists(&proxy.get("/v2/_catalog").await, "repositories", &[TWO]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_repositories_is_only_read() {
    let proxy = Proxy::hosted().await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        for path in ["/v2/_catalog", TAGS, "/v2/", "/v2/local/one/referrers/sha256:x"] {
            let answer = proxy.request(method, path).send().await;
            assert!([404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
}
