//! What may not be pushed, and the reason that is given.

use super::*;

#[test]
fn what_is_not_one_json_object_is_malformed() {
    let image = image().to_string();
    let utf16: Vec<u8> = image.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = |depth| format!(r#"{{"x":{}{},{}"#, "[".repeat(depth), "]".repeat(depth), &image[1..]);
    for text in [
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        br#"[2,null,[]]"#.to_vec(),
        br#""{}""#.to_vec(),
        b"7".to_vec(),
        b"<html>".to_vec(),
        utf16,
        format!("\u{feff}{image}").into_bytes(),
        format!("{image} x").into_bytes(),
        format!("{image}{image}").into_bytes(),
        format!("{image}\0").into_bytes(),
        image.as_bytes()[..image.len() - 1].to_vec(),
        deep(128).into_bytes(),
        deep(200_000).into_bytes(),
        "[".repeat(200_000).into_bytes(),
        r#"{"x":"#.repeat(200_000).into_bytes(),
    ]
    .into_iter()
    .chain(
        ["1e400", "NaN", "/**/1", r#""\ud800""#, "01", "'x'", "\"\u{1}\""]
            .map(|x| format!(r#"{{"x":{x},{}"#, &image[1..]).into_bytes()),
    )
    .chain([[br#"{"x":""#.as_slice(), b"\xff", br#"","#, &image.as_bytes()[1..]].concat()])
    {
        malformed(text);
    }
    for text in [deep(126), format!(r#"{{"x":[{}0],{}"#, "9".repeat(300), &image[1..]), format!(" \r\n\t{image}\n")] {
        PushedManifest::read(text.as_bytes(), None).unwrap();
    }
}

#[test]
fn the_limit_is_4_mib_exactly() {
    let mut text = image().to_string();
    text.push_str(&" ".repeat(MAX_MANIFEST_BYTES - text.len()));
    PushedManifest::read(text.as_bytes(), None).unwrap();
    text.push(' ');
    assert_eq!(PushedManifest::read(text.as_bytes(), Some(",")).unwrap_err(), ManifestError::TooLarge);
    let long = format!(r#"{{"schemaVersion":"{}"}}"#, "\u{e9}".repeat(1_000_000));
    let reason = malformed(long);
    assert_begins(&reason, "schemaVersion: invalid type: string");
    assert!(reason.chars().count() <= MAX_REASON_CHARS + 1);
}

#[test]
fn schema_version_is_2() {
    for (value, reason) in [
        (json!("2"), "schemaVersion: invalid type: string \"2\""),
        (json!(2.0), "schemaVersion: invalid type: floating point"),
        (json!(3), "schemaVersion: it must be 2, not 3"),
        (json!(-2), "schemaVersion: invalid value"),
        (json!([2]), "schemaVersion: invalid type: sequence"),
        (Value::Null, "schemaVersion: 'application/vnd.oci.image.manifest.v1+json' needs the field"),
    ] {
        assert_begins(&malformed(with(image(), "schemaVersion", value).to_string()), reason);
    }
    let reason = malformed(without(index(), "schemaVersion").to_string());
    assert_begins(&reason, "schemaVersion: 'application/vnd.oci.image.index.v1+json' needs");
    let reason = malformed(json!({"mediaType": ARTIFACT, "schemaVersion": 3}).to_string());
    assert_begins(&reason, "schemaVersion: it must be 2, not 3");
}

#[test]
fn schema_1_is_told_from_any_of_its_marks() {
    let jws = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (document, content_type) in [
        (with(image(), "schemaVersion", 1), Some(MediaType::OCI_MANIFEST)),
        (with(image(), "fsLayers", json!([{"blobSum": "sha256:0"}])), None),
        (json!({"schemaVersion": 1, "name": "a/b", "tag": "c", "fsLayers": [], "history": [], "signatures": [{}]}), Some(jws)),
        (json!({"fsLayers": null}), Some(MediaType::DOCKER_MANIFEST)),
        (image(), Some(jws)),
        (without(image(), "mediaType"), Some("application/vnd.docker.distribution.manifest.V1+json")),
        (with(image(), "mediaType", jws), None),
    ] {
        assert_eq!(read(&document, content_type).unwrap_err(), ManifestError::Schema1, "{document} {content_type:?}");
    }
}

#[test]
fn the_media_types_must_agree() {
    for (document, content_type) in [
        (image(), MediaType::OCI_INDEX),
        (image(), MediaType::DOCKER_MANIFEST),
        (image(), "application/json"),
        (image(), "Application/vnd.oci.image.manifest.v1+json"),
        (index(), MediaType::OCI_MANIFEST),
    ] {
        let own = document["mediaType"].as_str().unwrap().parse().unwrap();
        let error = read(&document, Some(content_type)).unwrap_err();
        assert_eq!(error, ManifestError::MediaTypeMismatch { sent_as: content_type.parse().unwrap(), own });
        assert!(error.to_string().contains(content_type) && error.to_string().contains("of the document is 'application/vnd"));
    }
    let list = format!("{}, {}", MediaType::OCI_MANIFEST, MediaType::OCI_INDEX);
    let list_after_parameter = format!("{}; q=1, {}", MediaType::OCI_MANIFEST, MediaType::OCI_INDEX);
    let long = format!("{}; x={}", MediaType::OCI_MANIFEST, "y".repeat(4096));
    for content_type in ["", "json", "a/b c", &list, &list_after_parameter, &long, &format!("a/{}", "b".repeat(300))] {
        let error = read(&image(), Some(content_type)).unwrap_err();
        assert_begins(&error.to_string(), "the Content-Type header must name one media type");
    }
    for own in ["", "json", "a/b, c/d", "application/json; charset=utf-8", " application/json", "text/html"] {
        assert_begins(&malformed(with(image(), "mediaType", own).to_string()), "mediaType: ");
    }
    assert_begins(&malformed(with(image(), "mediaType", 7).to_string()), "mediaType: invalid type: integer `7`");
}

#[test]
fn two_readings_are_refused() {
    let both = |media_type: &str| with(with(image(), "manifests", index()["manifests"].clone()), "mediaType", media_type);
    for (document, reason) in [
        (both(MediaType::OCI_MANIFEST), "it has both 'manifests' and 'config'"),
        (both("application/vnd.acme.v1"), "it has both 'manifests' and 'config'"),
        (with(index(), "layers", json!([])), "it has both 'manifests' and 'layers'"),
        (with(index(), "config", descriptor(CONFIG, "c")), "it has both 'manifests' and 'config'"),
        (with(index(), "blobs", json!([])), "it has both 'manifests' and 'blobs'"),
        (
            with(image(), "mediaType", MediaType::OCI_INDEX),
            "its media type 'application/vnd.oci.image.index.v1+json' is an index's, but it has 'config'",
        ),
        (
            with(image(), "mediaType", "application/vnd.OCI.image.index.v1+json"),
            "its media type 'application/vnd.OCI.image.index.v1+json' is an index's, but it has 'config'",
        ),
        (
            with(index(), "mediaType", MediaType::DOCKER_MANIFEST),
            "its media type 'application/vnd.docker.distribution.manifest.v2+json' is an image's, but it has 'manifests'",
        ),
        (with(image(), "Layers", json!([])), "the key 'Layers' differs from 'layers' only in case"),
        (with(image(), "MANIFESTS", json!([])), "the key 'MANIFESTS' differs from 'manifests' only in case"),
        (with(image(), "layer\u{17f}", Value::Null), "the key 'layerſ' differs from 'layers' only in case"),
        (with(image(), "mediatype", "x/y"), "the key 'mediatype' differs from 'mediaType' only in case"),
        (with(image(), "Subject", 7), "the key 'Subject' differs from 'subject' only in case"),
        (with(image(), "FSLayers", 7), "the key 'FSLayers' differs from 'fsLayers' only in case"),
        (with_layer("Digest", "x"), "layers: item 0: the key 'Digest' differs from 'digest' only in case"),
        (with_layer("URLs", json!([])), "layers: item 0: the key 'URLs' differs from 'urls' only in case"),
        (with(image(), "config", with(descriptor(CONFIG, "c"), "SIZE", 1)), "config: the key 'SIZE' differs from 'size'"),
    ] {
        assert_begins(&ambiguous(document.to_string()), reason);
    }
    for (text, reason) in [
        (image().to_string().replacen('{', r#"{"layers":[],"#, 1), "the key 'layers' stands twice"),
        (image().to_string().replacen('{', r#"{"l\u0061yers":null,"#, 1), "the key 'layers' stands twice"),
        (index().to_string().replacen('{', r#"{"mediaType":"a/b","#, 1), "the key 'mediaType' stands twice"),
        (index().to_string().replace("\"size\":5", r#""size":5,"size":6"#), "manifests: item 1: the key 'size' stands twice"),
        (image().to_string().replace("\"size\":6", r#""data":"","size":6,"data":"x""#), "config: the key 'data' stands twice"),
    ] {
        assert_eq!(ambiguous(text), reason);
    }
    let layers = vec![with(descriptor(LAYER, "one"), "digest", digest("config").to_string())];
    assert!(
        ambiguous(with(image(), "layers", layers).to_string())
            .ends_with("stands in it twice, with another size or as another kind")
    );
    let two_kinds = vec![descriptor(MediaType::OCI_MANIFEST, "x"), descriptor(LAYER, "x")];
    assert_begins(&ambiguous(with(index(), "manifests", two_kinds).to_string()), "manifests: item 1: sha256:2d711642b726b044");
}

#[test]
fn fields_are_missing_or_of_another_type() {
    for (document, reason) in [
        (json!({}), "it names no media type and has neither"),
        (json!({"schemaVersion": 2}), "it names no media type and has neither"),
        (json!({"schemaVersion": 2, "layers": [descriptor(LAYER, "one")]}), "config: an image manifest needs the field"),
        (with(image(), "config", Value::Null), "config: an image manifest needs the field"),
        (json!({"schemaVersion": 2, "mediaType": MediaType::DOCKER_MANIFEST}), "config: an image manifest needs the field"),
        (with(index(), "manifests", Value::Null), "manifests: an index needs the field"),
        (with(index(), "manifests", json!({})), "manifests: invalid type: map, expected a list of descriptors"),
        (with(image(), "config", json!([])), "config: invalid type: sequence, expected a descriptor"),
        (with(image(), "config", json!({})), "config: mediaType: a descriptor needs the field"),
        (with(image(), "layers", json!([null])), "layers: item 0: invalid type: null, expected a descriptor"),
        (with(image(), "subject", digest("x").to_string()), "subject: invalid type: string"),
        (with(image(), "subject", json!({"mediaType": "a/b", "size": 1})), "subject: digest: a descriptor needs the field"),
        (with(image(), "subject", with(descriptor("a/b", "x"), "digest", "sha256:0")), "subject: digest: the digest value"),
        (with(image(), "artifactType", 7), "artifactType: invalid type"),
        (with(image(), "annotations", json!([])), "annotations: invalid type"),
        (with(image(), "annotations", json!({"a": 7})), "annotations: invalid type"),
        (with(image(), "annotations", json!({"a": null})), "annotations: invalid type"),
        (with_layer("annotations", json!({"a": {}})), "layers: item 0: annotations: invalid type"),
        (with_layer("urls", "https://example.org"), "layers: item 0: urls: invalid type"),
        (with_layer("mediaType", Value::Null), "layers: item 0: mediaType: a descriptor needs the field"),
        (with_layer("mediaType", 7), "layers: item 0: mediaType: invalid type"),
        (with_layer("size", Value::Null), "layers: item 0: size: a descriptor needs the field"),
        (with_layer("size", -1), "layers: item 0: size: invalid value: integer `-1`"),
        (with_layer("size", 1_u64 << 63), "layers: item 0: size: 9223372036854775808 is not below 2^63"),
        (with_layer("size", 1e3), "layers: item 0: size: invalid type: floating point"),
        (with_layer("size", 1e30), "layers: item 0: size: invalid type: floating point"),
        (with_layer("size", "12"), "layers: item 0: size: invalid type: string \"12\""),
        (with_layer("digest", ""), "layers: item 0: digest: a digest has the form algorithm:value"),
        (with_layer("digest", "sha256:../../etc/passwd"), "layers: item 0: digest: the digest value is not 64 lower-case"),
        (with_layer("digest", digest("x").to_string().to_uppercase()), "layers: item 0: digest: the digest algorithm"),
        (
            with_layer("digest", format!("sha1:{}", "0".repeat(40))),
            "layers: item 0: digest: the digest algorithm is not supported; use sha256 or sha512",
        ),
        (
            with_layer("digest", format!("sha256:{}", digest("x").hex().to_uppercase())),
            "layers: item 0: digest: the digest value is not 64",
        ),
    ] {
        assert_begins(&malformed(document.to_string()), reason);
    }
}
