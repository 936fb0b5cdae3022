//! The arrows between the rooms of the house point one way, and each third-party crate stays behind its fence.
//!
//! A room is a module below the crate's root. What a room uses is read from its source text: every path that begins with
//! `crate::`, in `use` declarations and elsewhere. Test modules may use what they like.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Which rooms a room may know besides itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("config", &["oci"]),
    ("telemetry", &["oci"]),
    ("coalesce", &["oci"]),
    ("customers", &["oci", "config"]),
    ("tiers", &["oci", "telemetry", "config"]),
    ("upstream", &["oci", "config", "telemetry", "coalesce"]),
    ("catalog", &["oci", "config", "telemetry"]),
    ("events", &["oci", "config", "telemetry"]),
    ("graph", &["events", "catalog", "oci", "config", "telemetry"]),
    ("fill", &["oci", "tiers", "upstream", "telemetry", "config", "coalesce"]),
    ("registry", &["fill", "tiers", "catalog", "upstream", "customers", "oci", "config", "telemetry", "coalesce", "events"]),
    (
        "api",
        &["registry", "events", "graph", "predict", "prefetch", "upstream", "tiers", "customers", "oci", "config", "telemetry"],
    ),
    ("predict", &["graph", "events", "tiers", "oci", "config", "telemetry"]),
    ("prefetch", &["predict", "upstream", "events", "oci", "config", "telemetry"]),
    ("replay", &["predict", "prefetch", "events", "tiers", "oci", "config", "telemetry"]),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
    ("lib", EVERYTHING),
    ("main", EVERYTHING),
];

/// The places (a room, or a folder in it) that may name a crate. A crate that is not here may be named anywhere.
const FENCES: &[(&str, &[&str])] = &[
    ("actix_http", &["api"]),
    ("actix_server", &["api"]),
    ("actix_service", &["api"]),
    ("actix_web", &["api"]),
    ("reqwest", &["upstream"]),
    ("http_auth", &["upstream"]),
    ("linfa", &["predict"]),
    ("linfa_elasticnet", &["predict"]),
    ("linfa_ftrl", &["predict"]),
    ("linfa_logistic", &["predict"]),
    ("ndarray", &["predict"]),
    ("petgraph", &["graph"]),
    ("redb", &["catalog", "graph", "predict"]),
    ("tract_onnx", &["predict"]),
    ("hyper", &["cli"]),
    ("hyper_util", &["cli"]),
    ("http_body_util", &["cli"]),
    ("object_store", &["tiers/object"]),
    ("aws_lc_rs", &["tiers/object"]),
    ("moka", &["tiers", "registry", "catalog", "upstream"]),
    ("indicatif", &["cli"]),
    ("clap", &["cli", "main"]),
    ("parquet", &["cli/log"]),
    ("oci_spec", &["oci"]),
    ("tokio_tungstenite", &["graph/live"]),
    ("utoipa", &["api", "graph/queries"]),
];

const EVERYTHING: &[&str] = &["*"];

#[test]
fn all_arrows_point_the_right_way_and_all_fences_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(files.len() > 20, "only {} files were found below {}", files.len(), root.display());
    let texts: Vec<_> = files
        .iter()
        .map(|file| {
            let place = file.strip_prefix(&root).unwrap().with_extension("").to_string_lossy().replace('\\', "/");
            (place, fs::read_to_string(file).unwrap())
        })
        .collect();
    let tests: Vec<_> = texts.iter().flat_map(|(place, text)| test_modules(place, text)).collect();
    let texts = texts.iter().filter(|(place, _)| !tests.iter().any(|test| is_within(place, test)));
    let faults: Vec<_> =
        texts.flat_map(|(place, text)| [wrong_arrows(place, text), broken_fences(place, text)].concat()).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let inside = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    inside.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The room of a place: `fill/spool` is in `fill`.
fn room(place: &str) -> &str {
    place.split('/').next().unwrap_or(place)
}

/// Whether a place is another one, or below it.
fn is_within(place: &str, whole: &str) -> bool {
    place.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The places of the test modules that the text at `place` declares and that have files of their own.
fn test_modules(place: &str, text: &str) -> Vec<String> {
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.split_once(';'));
    let names = declared.filter_map(|(declaration, _)| declaration.rsplit_once("mod ")).map(|(_, name)| name);
    let names = names.filter(|name| name.chars().all(|next| next.is_alphanumeric() || next == '_'));
    let folder = if place == "lib" { String::new() } else { format!("{place}/") };
    names.map(|name| format!("{folder}{name}")).collect()
}

/// The rooms that `text`, which stands at `place`, may not know but does.
fn wrong_arrows(place: &str, text: &str) -> Vec<String> {
    let from = room(place);
    let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == from) else {
        return vec![format!("src/{place}.rs: the room '{from}' has no line in the table of arrows")];
    };
    let known = rooms_used(&code(text));
    let forbidden = known.iter().filter(|to| *to != from && !allowed.contains(&"*") && !allowed.contains(&to.as_str()));
    forbidden.map(|to| format!("src/{place}.rs: '{from}' may not know '{to}'")).collect()
}

/// The crates that `text` names although their fence does not stand around `place`.
fn broken_fences(place: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let outside = |inside: &&[&str]| !inside.iter().any(|fence| is_within(place, fence));
    let broken = FENCES.iter().filter(|(name, inside)| outside(inside) && names_crate(&code, name));
    broken.map(|(name, inside)| format!("src/{place}.rs: the crate '{name}' belongs in {inside:?} only")).collect()
}

/// The text without comments and the test module at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    text.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// A line up to its comment. Slashes inside a string are none, and neither are those of a URL.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let bytes = line.as_bytes();
    for at in 0..bytes.len() {
        match bytes[at] {
            b'"' if at == 0 || bytes[at - 1] != b'\\' => quoted = !quoted,
            b'/' if !quoted && bytes.get(at + 1) == Some(&b'/') => return &line[..at],
            _ => {}
        }
    }
    line
}

/// The first words of all paths that begin with `crate::`, those of `use crate::{a, b::c}` included.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let path = &code[at + start.len()..];
        match path.strip_prefix('{') {
            Some(group) => rooms.extend(first_words(group)),
            None => rooms.extend(word(path)),
        }
    }
    // `crate::Thing` is something of the root itself.
    rooms.retain(|room| room.starts_with(|first: char| first.is_lowercase()));
    rooms
}

/// The first word of each path of a group, up to the brace that closes it.
fn first_words(group: &str) -> Vec<String> {
    let (mut words, mut depth, mut expected) = (Vec::new(), 1, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => expected = true,
            _ if expected && !character.is_whitespace() => {
                words.extend(word(&group[at..]));
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    words
}

/// The identifier at the beginning of a text.
fn word(text: &str) -> Option<String> {
    let end = text.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Whether a path in the code begins with the name of a crate.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let inside_a_word = before.is_some_and(|before| before.is_alphanumeric() || before == '_');
        let inside_a_path = code[..at].ends_with("::") && !code[..at].trim_end_matches("::").ends_with([' ', '\n', '(', '<']);
        let after = &code[at + name.len()..];
        let imported = code[..at].ends_with("use ") && after.starts_with([';', ' ']);
        !inside_a_word && !inside_a_path && (after.starts_with("::") || imported)
    })
}

#[test]
fn a_wrong_arrow_is_found_however_it_is_written() {
    for text in [
        "use crate::registry::Registry;",
        "pub(crate) use crate::registry::Registry;",
        "use crate::{oci::Digest, registry::{Registry, RegistryError}};",
        "use crate::{\n    oci::{Digest, Tag},\n    registry,\n};",
        "fn f() -> crate::registry::Registry { todo() }",
        "fn f(x: Vec<crate::registry::Blob>) {}",
        "fn f() { let url = \"http://x\"; crate::registry::f() }",
    ] {
        let found = wrong_arrows("tiers/disk", text);
        assert_eq!(found, ["src/tiers/disk.rs: 'tiers' may not know 'registry'"], "{text}");
    }
    assert_eq!(wrong_arrows("oci", "use crate::{config::Config, telemetry::Metrics};").len(), 2);
    assert_eq!(wrong_arrows("oci/digest", "use crate::upstream::Origin;").len(), 1);
    assert_eq!(wrong_arrows("upstream/http", "use crate::api;").len(), 1);
    assert_eq!(wrong_arrows("attic", "").len(), 1, "a room without a line in the table");
}

#[test]
fn right_arrows_are_left_alone() {
    for (place, text) in [
        ("registry", "use crate::{fill::Fills, tiers::Body, catalog::Catalog, upstream::Routes, oci::Digest};"),
        ("registry/error", "use crate::upstream::UpstreamError; use crate::registry::Registry;"),
        ("tiers/disk", "//! Not known to crate::registry.\n// crate::api\nuse crate::oci::Digest; // crate::api"),
        ("tiers/disk", "let text = mycrate::registry::f();"),
        ("tiers/disk", "use crate::oci::Digest;\n#[cfg(test)]\nmod tests {\n use crate::registry::Registry;\n}"),
        ("cli/serve", "use crate::{app::App, config::Config, api, catalog};"),
        ("app", "use crate::{api, registry, upstream, tiers, catalog};"),
        ("oci/name", "use crate::Thing; use super::config;"),
    ] {
        assert_eq!(wrong_arrows(place, text), Vec::<String>::new(), "{place}: {text}");
    }
}

#[test]
fn a_broken_fence_is_found() {
    for (place, text) in [
        ("registry", "use actix_web::HttpRequest;"),
        ("registry", "fn f(x: &actix_web::HttpRequest) {}"),
        ("api/blobs", "use reqwest::Client;"),
        ("tiers/disk", "use redb::Database;"),
        ("tiers", "pub(crate) use redb;"),
        ("api/serve", "use hyper::Request;"),
        ("client", "use hyper::Request;"),
        ("fill", "let cache = moka::sync::Cache::new(1);"),
        ("fill", "let cache = ::moka::sync::Cache::new(1);"),
        ("config", "#[derive(clap::Parser)]"),
        ("app", "use indicatif::ProgressBar;"),
    ] {
        assert_eq!(broken_fences(place, text).len(), 1, "{place}: {text}");
    }
}

#[test]
fn crates_behind_their_fences_are_left_alone() {
    for (place, text) in [
        ("api/blobs", "use actix_web::{HttpRequest, web};"),
        ("upstream/http", "use reqwest::Client; use moka::sync::Cache;"),
        ("cli/demo", "use hyper::Request;"),
        ("cli/demo/hub", "use hyper::Request; use clap::Parser;"),
        ("registry", "// Only upstream knows reqwest::Client.\n/// Not `actix_web::App`.\nlet redb = 1;"),
        ("registry", "use super::reqwest_like::Client; fn my_reqwest() {}"),
        ("telemetry/logs", "const FILTER: &str = \"x\"; let hyper = 1;"),
    ] {
        assert_eq!(broken_fences(place, text), Vec::<String>::new(), "{place}: {text}");
    }
}

#[test]
fn test_modules_with_files_of_their_own_are_known() {
    let text = "#[cfg(test)]\nmod contract;\n#[cfg(test)]\npub(crate) mod fake;\nmod disk;\n#[cfg(test)]\nmod tests {\n use x; }";
    assert_eq!(test_modules("tiers", text), ["tiers/contract", "tiers/fake"]);
    assert_eq!(test_modules("lib", "#[cfg(test)]\nmod testing;"), ["testing"]);
    assert!(is_within("tiers/fake/disk", "tiers/fake") && !is_within("tiers/faker", "tiers/fake"));
    assert_eq!(wrong_arrows("tiers", "#[cfg(test)]\nmod fake;\nuse crate::registry::Registry;").len(), 1);
}
