//! Manifests: stored and served as the bytes that came, under the type that was said.

use serde_json::json;

use crate::{
    content::{Blob, Image, OCI_INDEX, OCI_MANIFEST, sha256},
    documents::{EMPTY_JSON, bare, empty_json, image_of, index_of, written},
    hosted::{ONE, TWO},
    proxy::{Proxy, Setup, manifest_path},
};

const LIMIT: usize = 4 << 20;

/// A server whose repository has the empty configuration.
async fn with_config() -> Proxy {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    proxy
}

/// A manifest of exactly this length.
fn of_length(length: usize) -> Blob {
    let mut document = image_of(&empty_json(), &[]);
    document["annotations"] = json!({ "x": "" });
    let room = length - document.to_string().len();
    document["annotations"]["x"] = json!("y".repeat(room));
    written(&document)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_by_tag() {
    let proxy = Proxy::hosted().await;
    let image = Image::new(1, &[0, 100, 100_000]);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.has_manifest(ONE, "v1", &image.manifest).await;
    proxy.pull(ONE, "v1", &image).await;
    let answer = proxy.get(&manifest_path(ONE, "v1")).await;
    assert_eq!(answer.header("Content-Type"), Some(OCI_MANIFEST));
    assert_eq!(answer.header("OCI-Subject"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_pushed_by_digest() {
    let proxy = with_config().await;
    for manifest in [bare(1), bare(2).by_sha512()] {
        let answer = proxy.push_manifest(ONE, &manifest.digest, &manifest).await;
        assert!(answer.headers_named("OCI-Tag").is_empty());
        proxy.has_manifest(ONE, &manifest.digest, &manifest).await;
    }
    // It has no name but its digest.
    let listed = proxy.get("/v2/local/one/tags/list").await;
    assert_eq!(listed.is(200).json()["tags"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_not_its_digest_is_refused() {
    let proxy = with_config().await;
    let (manifest, other) = (bare(1), bare(2));
    let hex = &manifest.digest[7..];
    for digest in [
        other.digest.clone(),
        other.by_sha512().digest,
        format!("sha512:{hex}"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{}", hex.to_uppercase()),
        "sha256:baddigeststring".to_owned(),
        format!("md5:{hex}"),
        format!("blake3:{hex}"),
    ] {
        proxy.put_manifest(ONE, &digest, &manifest, OCI_MANIFEST).await.refuses(400, "DIGEST_INVALID");
    }
    proxy.lacks_manifest(ONE, &manifest.digest).await;
}

/// Spaces, order, escapes, numbers, unknown fields: a manifest is what it hashes to.
#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_kept() {
    let proxy = with_config().await;
    let digest = empty_json().digest;
    let descriptor = format!(r#"{{ "size":2,"mediaType" : "{EMPTY_JSON}", "digest":"{digest}","x": [1.0, 1e2 ,{{}}] }}"#);
    let texts = [
        format!(
            "{{\n\t\"z\": 1,\r\n \"layers\" : [ ], \"config\":{descriptor},\"schemaVersion\":2, \"mediaType\":\"{OCI_MANIFEST}\"}}\n"
        ),
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{descriptor},"layers":[{descriptor},{descriptor}]}}  "#
        ),
        format!(
            r#"{{"schemaVersion":2,"config":{descriptor},"layers":[],"annotations":{{"é":"\u00e9\ud83d\udc33","b":"2","a":"1"}},"org.example":{{"deep":[[[[null]]]]}},"n":123456789012345678901234567890}}"#
        ),
        format!(
            r#"{{"mediaType":"{OCI_MANIFEST}","schemaVersion":2,"config":{descriptor},"layers":[],"laYersx":"another key"}}"#
        ),
    ];
    for text in texts {
        let manifest = Blob::new(text);
        proxy.put_manifest(ONE, "odd", &manifest, OCI_MANIFEST).await.is(201);
        proxy.has_manifest(ONE, "odd", &manifest).await;
        proxy.has_manifest(ONE, &manifest.digest, &manifest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_media_type_is_kept_exactly() {
    let proxy = with_config().await;
    let types = [
        OCI_MANIFEST,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.example.thing.v1+json",
        "application/vnd.cncf.something",
    ];
    for media_type in types {
        let mut document = image_of(&empty_json(), &[]);
        document["mediaType"] = json!(media_type);
        let manifest = written(&document);
        proxy.put_manifest(ONE, "typed", &manifest, media_type).await.is(201);
        for method in ["GET", "HEAD"] {
            let answer = proxy.ask(method, &manifest_path(ONE, "typed")).send().await;
            assert_eq!(answer.header("Content-Type"), Some(media_type));
        }
    }
    // The type that was said, where the document says none.
    let document = json!({ "schemaVersion": 2, "config": empty_json().descriptor(EMPTY_JSON), "layers": [] });
    for media_type in types {
        proxy.put_manifest(ONE, "untyped", &written(&document), media_type).await.is(201);
        let answer = proxy.get(&manifest_path(ONE, "untyped")).await;
        answer.is_exactly(&written(&document).bytes);
    }
    let indexes = [OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"];
    for media_type in indexes {
        let mut document = index_of(&[]);
        document["mediaType"] = json!(media_type);
        proxy.put_manifest(ONE, "list", &written(&document), media_type).await.is(201);
        assert_eq!(proxy.get(&manifest_path(ONE, "list")).await.header("Content-Type"), Some(media_type));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_contradicts_the_document_is_refused() {
    let proxy = with_config().await;
    let index = written(&index_of(&[]));
    for (manifest, media_type) in [
        (&bare(1), OCI_INDEX),
        (&bare(1), "application/vnd.docker.distribution.manifest.v2+json"),
        (&index, OCI_MANIFEST),
        (&index, "application/vnd.docker.distribution.manifest.list.v2+json"),
    ] {
        proxy.put_manifest(ONE, "v1", manifest, media_type).await.refuses(400, "MANIFEST_INVALID");
    }
    proxy.lacks_manifest(ONE, "v1").await;
}

/// Whatever is made of it, no parameter and no second type is ever served.
#[tokio::test(flavor = "multi_thread")]
async fn odd_content_types() {
    let proxy = with_config().await;
    let long = format!("application/{}", "x".repeat(4096));
    let with_charset = format!("{OCI_MANIFEST}; charset=utf-8");
    let two = format!("{OCI_MANIFEST}, {OCI_INDEX}");
    for media_type in [with_charset.as_str(), &two, &long, "", "x", "application/", "text/html", "\"", "a/b/c"] {
        let answer = proxy.put_manifest(ONE, "odd", &bare(1), media_type).await;
        assert!([201, 400, 431].contains(&answer.status), "{media_type}: {} {}", answer.status, answer.text());
        if answer.status == 201 {
            assert_eq!(proxy.get(&manifest_path(ONE, "odd")).await.header("Content-Type"), Some(OCI_MANIFEST));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_manifest_is_refused() {
    let proxy = with_config().await;
    let good = bare(1);
    let text = String::from_utf8(good.bytes.to_vec()).unwrap();
    let digest = empty_json().digest;
    let with_layer = |layer: serde_json::Value| {
        let mut document = image_of(&empty_json(), &[]);
        document["layers"] = json!([layer]);
        document.to_string()
    };
    let documents: Vec<Vec<u8>> = [
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "7".to_owned(),
        "\"x\"".to_owned(),
        "<html></html>".to_owned(),
        format!("\u{feff}{text}"),
        format!("{text}x"),
        format!("{text}{text}"),
        text[..text.len() - 1].to_owned(),
        text.replace("\"schemaVersion\":2", "\"schemaVersion\":3"),
        text.replace("\"schemaVersion\":2", "\"schemaVersion\":\"2\""),
        text.replace("\"layers\":[]", "\"layers\":{}"),
        text.replace("\"layers\":[]", "\"layers\":[null]"),
        text.replace("\"layers\":[]", "\"layers\":[[]]"),
        text.replace("\"layers\":[]", "\"layers\":[],\"layers\":[]"),
        text.replace("\"layers\":[]", "\"layers\":[],\"manifests\":[]"),
        text.replace("\"layers\":[]", "\"layers\":[],\"Layers\":[]"),
        text.replace("\"config\":{", "\"config\":[{").replace("},\"layers\"", "}],\"layers\""),
        with_layer(json!({ "mediaType": "a/b", "digest": digest, "size": -1 })),
        with_layer(json!({ "mediaType": "a/b", "digest": digest, "size": "2" })),
        with_layer(json!({ "mediaType": "a/b", "digest": digest, "size": 2.5 })),
        with_layer(json!({ "mediaType": "a/b", "digest": digest })),
        with_layer(json!({ "mediaType": "a/b", "size": 2 })),
        with_layer(json!({ "mediaType": "a/b", "digest": "", "size": 2 })),
        with_layer(json!({ "mediaType": "a/b", "digest": "sha256:x", "size": 2 })),
        with_layer(json!({ "mediaType": "a/b", "digest": digest.to_uppercase(), "size": 2 })),
        with_layer(json!({ "mediaType": "a/b", "digest": "sha256:../../etc/passwd", "size": 2 })),
        with_layer(json!({ "mediaType": 7, "digest": digest, "size": 2 })),
        "[".repeat(200_000),
        format!("{{\"schemaVersion\":2,\"layers\":[],\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000)),
        json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": null, "layers": null, "manifests": [{}] }).to_string(),
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain([b"\xff\xfe{\0}\0".to_vec(), b"{\"layers\":[],\"x\":\"\xff\"}".to_vec(), vec![0; 1000]])
    .collect();
    for document in documents {
        let shown = String::from_utf8_lossy(&document[..document.len().min(200)]).into_owned();
        let manifest = Blob::new(document);
        for reference in ["v1", &manifest.digest] {
            let answer = proxy.put_manifest(ONE, reference, &manifest, OCI_MANIFEST).await;
            assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
            assert_eq!(answer.error_code(), "MANIFEST_INVALID", "{shown}: {}", answer.text());
        }
    }
    proxy.lacks_manifest(ONE, "v1").await;
    let index = index_of(&[json!({ "mediaType": OCI_MANIFEST, "digest": "sha256:x", "size": 2 })]);
    proxy.put_manifest(ONE, "v1", &written(&index), OCI_INDEX).await.refuses(400, "MANIFEST_INVALID");
    let mut subject = image_of(&empty_json(), &[]);
    subject["subject"] = json!({ "mediaType": OCI_MANIFEST, "digest": "sha256:x", "size": 2 });
    proxy.put_manifest(ONE, "v1", &written(&subject), OCI_MANIFEST).await.refuses(400, "MANIFEST_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_schema_is_not_supported() {
    let proxy = with_config().await;
    for (document, media_type) in [
        (json!({ "schemaVersion": 1, "fsLayers": [], "history": [] }), "application/vnd.docker.distribution.manifest.v1+json"),
        (
            json!({ "schemaVersion": 1, "fsLayers": [], "history": [], "signatures": [] }),
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ),
        (json!({ "schemaVersion": 1, "fsLayers": [] }), "application/json"),
    ] {
        proxy.put_manifest(ONE, "old", &written(&document), media_type).await.refuses(400, "UNSUPPORTED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_mebibytes_and_no_more() {
    let proxy = with_config().await;
    let (largest, larger) = (of_length(LIMIT), of_length(LIMIT + 1));
    proxy.push_manifest(ONE, "large", &largest).await;
    proxy.has_manifest(ONE, "large", &largest).await;
    let put = |reference: &str| proxy.request("PUT", &manifest_path(ONE, reference)).header("Content-Type", OCI_MANIFEST);
    for reference in ["larger", &larger.digest] {
        put(reference).body(larger.bytes.clone()).send().await.is_error(&[413]);
        put(reference).chunked(larger.bytes.chunks(100_000)).send().await.is_error(&[413]);
    }
    // A head that announces too much is refused before the body comes; a stream that goes on and on is cut.
    put("larger").begin(1 << 40).await.answer().await.is_error(&[413]);
    let mut endless = put("larger").begin_chunked().await;
    for _ in 0..60 {
        endless.chunk(&[b' '; 100_000]).await;
    }
    endless.answer().await.is_error(&[413]);
    proxy.lacks_manifest(ONE, "larger").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_may_come_as_a_stream() {
    let proxy = with_config().await;
    let manifest = bare(1);
    let put = proxy.request("PUT", &manifest_path(ONE, "v1")).header("Content-Type", OCI_MANIFEST);
    put.chunked(manifest.bytes.chunks(10)).send().await.is(201);
    proxy.has_manifest(ONE, "v1", &manifest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_descriptors_and_no_more() {
    let proxy = Setup::hosted().setting("missing_references", "allow").start().await;
    let layer = empty_json();
    let image = |layers: usize| written(&image_of(&layer, &vec![&layer; layers]));
    proxy.push_manifest(ONE, "many", &image(9_999)).await;
    proxy.put_manifest(ONE, "more", &image(10_001), OCI_MANIFEST).await.refuses(400, "MANIFEST_INVALID");
    let index = written(&index_of(&vec![layer.descriptor(OCI_MANIFEST); 10_001]));
    proxy.put_manifest(ONE, "more", &index, OCI_INDEX).await.refuses(400, "MANIFEST_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_the_client_has_is_not_sent_again() {
    let proxy = with_config().await;
    let manifest = bare(1);
    proxy.push_manifest(ONE, "v1", &manifest).await;
    let tag = format!("\"{}\"", manifest.digest);
    for reference in ["v1", &manifest.digest] {
        let path = manifest_path(ONE, reference);
        for method in ["GET", "HEAD"] {
            let answer = proxy.ask(method, &path).header("If-None-Match", &tag).send().await;
            assert_eq!((answer.status, answer.body.len()), (304, 0));
        }
        proxy.ask("GET", &path).header("If-None-Match", "\"x\"").send().await.is_exactly(&manifest.bytes);
        // Parts of manifests are not served.
        proxy.ask("GET", &path).range("bytes=0-3").send().await.is_exactly(&manifest.bytes);
    }
    // A moved tag is another manifest.
    proxy.push_manifest(ONE, "v1", &bare(2)).await;
    let answer = proxy.ask("GET", &manifest_path(ONE, "v1")).header("If-None-Match", &tag).send().await;
    answer.is_exactly(&bare(2).bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_pushed_is_not_there() {
    let proxy = with_config().await;
    proxy.push_manifest(ONE, "v1", &bare(1)).await;
    for name in [ONE, TWO, "local/never"] {
        proxy.lacks_manifest(name, "v2").await;
        proxy.lacks_manifest(name, &bare(9).digest).await;
        proxy.lacks_manifest(name, &sha256(b"")).await;
    }
    proxy.get(&manifest_path(ONE, "sha256:baddigeststring")).await.refuses(400, "DIGEST_INVALID");
    proxy.get(&manifest_path(ONE, ".INVALID_MANIFEST_NAME")).await.refuses(404, "MANIFEST_UNKNOWN");
}
