use std::{fs, time::Duration};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::config::Mode;

struct Case {
    folder: TempDir,
    sources: Sources,
}

/// A file `h.toml` with this text, and these variables.
fn case(text: &str, variables: &[(&str, &str)]) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.toml");
    fs::write(&path, text).unwrap();
    let environment = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Case { sources: Sources { file: Some(path), environment, flags: Flags::default() }, folder }
}

impl Case {
    fn load(&self) -> Config {
        load(self.sources.clone()).unwrap()
    }

    /// The error, with the folder cut off.
    fn error(&self) -> String {
        let text = load(self.sources.clone()).map(|_| ()).expect_err("must be refused").to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[test]
fn without_anything_the_well_known_registries_are_mirrored() {
    let config = case("", &[("XDG_DATA_HOME", "/data/home")]).load();
    let names: Vec<_> = config.upstream.iter().map(|upstream| upstream.name.as_str()).collect();
    let expected = ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io", "public.ecr.aws", "mcr.microsoft.com"];
    assert_eq!(names, expected);
    assert_eq!(config.upstream[0].url.as_ref().unwrap().as_str(), "https://registry-1.docker.io/");
    assert_eq!(config.upstream[1].url.as_ref().unwrap().as_str(), "https://ghcr.io/");
    assert_eq!(config.storage.data, PathBuf::from("/data/home/harbinger"));
}

#[test]
fn flags_beat_environment_beats_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\nregion = \"file\"\n[cache]\ntag_ttl = \"1s\"\n[storage]\ndata = \"/file\"";
    let variables = [
        ("HARBINGER_SERVER__LISTEN", "127.0.0.1:2"),
        ("HARBINGER_SERVER__REGION", "env"),
        ("HARBINGER_STORAGE__MEMORY__LIMIT", "1 MiB"),
        ("HARBINGER_LOGGING__JSON", "true"),
        ("HARBINGER_CACHE__MAX_FILLS", "7"),
        ("HARBINGER_CONFIG", "elsewhere.toml"),
    ];
    let mut case = case(text, &variables);
    case.sources.flags.listen = Some(([127, 0, 0, 1], 3).into());
    case.sources.flags.data = Some("/flag".into());
    let config = case.load();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.server.region, "env");
    assert_eq!(config.cache.tag_ttl, Duration::from_secs(1));
    assert_eq!(config.cache.max_fills, 7);
    assert_eq!(config.storage.data, PathBuf::from("/flag"));
    assert_eq!(config.storage.memory.limit.as_u64(), 1 << 20);
    assert!(config.logging.json);
}

#[test]
fn upstreams_are_set_by_slug_and_secrets_survive() {
    let text = "[[upstream]]\nname = \"a.io\"\nmode = \"shared\"\nusername = \"u\"\npassword = \"from-file\"\n\
                proxy = \"http://u:pw@127.0.0.1:3128\"\n[[upstream]]\nname = \"[::1]:5000\"";
    let variables = [
        ("HARBINGER_UPSTREAM__A_IO__ALIASES", "a, b"),
        ("HARBINGER_UPSTREAM_____1__5000__MODE", "shared"),
        ("HARBINGER_UPSTREAM_____1__5000__USERNAME", "v"),
        ("HARBINGER_UPSTREAM_____1__5000__PASSWORD", "from-env"),
    ];
    let config = case(text, &variables).load();
    assert_eq!(config.upstream[0].aliases, ["a", "b"]);
    let password = |at: usize| config.upstream[at].password.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!((password(0), password(1)), ("from-file".to_owned(), "from-env".to_owned()));
    assert_eq!(config.upstream[0].proxy.as_ref().unwrap().password(), Some("pw"));
    assert_eq!(config.upstream[1].mode, Mode::Shared);
    assert_eq!(config.upstream[1].url.as_ref().unwrap().as_str(), "https://[::1]:5000/");
    for printed in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
        assert!(!printed.contains("from-file") && !printed.contains("from-env") && !printed.contains(":pw@"), "{printed}");
        assert!(printed.contains("********"));
    }
}

#[test]
fn upstream_flags_replace_the_list() {
    let mut case = case("[[upstream]]\nname = \"a.io\"", &[("HARBINGER_UPSTREAM__DOCKER_IO__RETRIES", "5")]);
    let url: Url = "http://127.0.0.1:5001".parse().unwrap();
    case.sources.flags.upstreams = vec![("docker.io".to_owned(), url.clone()), ("b.io".to_owned(), url.clone())];
    let config = case.load();
    let found: Vec<_> =
        config.upstream.iter().map(|upstream| (upstream.name.as_str(), upstream.url.as_ref(), upstream.retries)).collect();
    assert_eq!(found, [("docker.io", Some(&url), 5), ("b.io", Some(&url), 2)]);
}

#[test]
fn the_usual_file_is_found_and_a_named_one_must_exist() {
    let mut case = case("", &[]);
    let usual = case.folder.path().join("harbinger");
    fs::create_dir(&usual).unwrap();
    fs::write(usual.join("harbinger.toml"), "[server]\nregion = \"usual\"").unwrap();
    let home = case.folder.path().display().to_string();
    case.sources.environment = vec![("XDG_CONFIG_HOME".to_owned(), home)];
    assert_eq!(case.load().server.region, "local");
    case.sources.file = None;
    assert_eq!(case.load().server.region, "usual");
    case.sources.file = Some(case.folder.path().join("absent.toml"));
    assert!(case.error().starts_with("absent.toml: cannot be read: "), "{}", case.error());
}

#[test]
fn variables_that_are_not_ours() {
    case(
        "",
        &[
            ("HARBINGER_SERVICE_HOST", "10.0.0.1"),
            ("HARBINGER_SERVICE_PORT_HTTP", "5000"),
            ("HARBINGER_PORT", "tcp://10.0.0.1:5000"),
            ("HARBINGER_MAIN_PORT_5000_TCP_ADDR", "10.0.0.1"),
            ("OTHER__THING", "x"),
        ],
    )
    .load();
}

#[test]
fn wrong_variables_are_named() {
    for (name, value, expected) in [
        ("HARBINGER_SERVER__LISTN", "x", "HARBINGER_SERVER__LISTN: no such key; did you mean HARBINGER_SERVER__LISTEN?"),
        ("HARBINGER_LISTEN_HERE", "x", "HARBINGER_LISTEN_HERE: no such key; docs/configuration.md lists them all"),
        ("HARBINGER_CACHE__MAX_FILLS", "x", "HARBINGER_CACHE__MAX_FILLS: cache.max_fills: must be a number, not 'x'"),
        ("HARBINGER_CACHE__MAX_FILLS", "0", "HARBINGER_CACHE__MAX_FILLS: cache.max_fills: must be at least 1"),
        ("HARBINGER_LOGGING__JSON", "yes", "HARBINGER_LOGGING__JSON: logging.json: must be true or false, not 'yes'"),
        (
            "HARBINGER_UPSTREAM__GHCR_IO__PASWORD",
            "x",
            "HARBINGER_UPSTREAM__GHCR_IO__PASWORD: no such key; did you mean HARBINGER_UPSTREAM__GHCR_IO__PASSWORD?",
        ),
        (
            "HARBINGER_UPSTREAM__A_IO__PASSWORD",
            "x",
            "HARBINGER_UPSTREAM__A_IO__PASSWORD: no upstream is configured that is spelled so; there are: DOCKER_IO, GHCR_IO, \
             QUAY_IO, REGISTRY_K8S_IO, GCR_IO, PUBLIC_ECR_AWS, MCR_MICROSOFT_COM",
        ),
    ] {
        assert_eq!(case("", &[(name, value)]).error(), expected);
    }
    let twins = "[[upstream]]\nname = \"a.io\"\n[[upstream]]\nname = \"a-io\"\nurl = \"http://a\"";
    let error = case(twins, &[("HARBINGER_UPSTREAM__A_IO__RETRIES", "1")]).error();
    assert_eq!(error, "HARBINGER_UPSTREAM__A_IO__RETRIES: means several upstreams: a.io, a-io; set the key in the file");
}

/// Lines of one upstream, the first of which is line 3.
#[test]
fn upstreams_that_make_no_sense() {
    for (lines, expected) in [
        ("url = \"ftp://a.io\"", "line 3: upstream[0].url: must begin with https:// or http:// and name a host"),
        ("url = \"https://u:secret@a.io\"", "line 3: upstream[0].url: must hold no user name or password; use the keys"),
        ("url = \"https://a.io?x\"", "line 3: upstream[0].url: must hold neither '?' nor '#'"),
        ("aliases = [\"x\",\n\"a/b\"]", "line 4: upstream[0].aliases[1]: 'a/b' must be a host name"),
        ("username = \"u\"", "line 3: upstream[0].username: needs a password"),
        ("password = \"p\"", "line 3: upstream[0].password: needs a username"),
        ("username = \"u\"\npassword = \"p\"\npassword_file = \"f\"", "line 5: upstream[0].password_file: is given beside"),
        (
            "username = \"u\"\npassword = \"p\"\ndocker_config = \"f\"",
            "line 5: upstream[0].docker_config: is given beside username",
        ),
        ("username = \"u\"\npassword = \"p\"", "line 3: upstream[0].username: credentials are configured, so private content"),
        ("credential_helper = \"../x\"", "line 3: upstream[0].credential_helper: must be the part after"),
        ("ca_file = \"/absent/ca.pem\"", "line 3: upstream[0].ca_file: /absent/ca.pem cannot be read: "),
        ("proxy = \"socks5://a\"", "line 3: upstream[0].proxy: must begin with http://"),
        ("idle_timeout = \"0s\"", "line 3: upstream[0].idle_timeout: must be longer than nothing"),
        ("connect_timeout = \"2h\"", "line 3: upstream[0].connect_timeout: must be an hour at most"),
        ("retries = 11", "line 3: upstream[0].retries: must be 10 at most"),
        ("max_concurrency = 0", "line 3: upstream[0].max_concurrency: must be at least 1"),
        ("[[upstream]]\nname = \"A.io:443\"", "line 1: upstream: 'a.io' means both upstream 'a.io' and upstream 'A.io:443'"),
        ("[[upstream]]\nname = \"hub\"", "line 3: upstream[1].url: 'hub' alone does not tell where it is"),
    ] {
        let error = case(&format!("[[upstream]]\nname = \"a.io\"\n{lines}"), &[]).error();
        assert!(error.starts_with(&format!("h.toml, {expected}")), "{error}");
        assert!(!error.contains("secret"));
    }
}

#[test]
fn sections_that_make_no_sense() {
    for (text, expected) in [
        ("[cache]\ntag_ttl = \"2years\"", "line 2: cache.tag_ttl: must be a year at most"),
        ("[cache]\nnegative_ttl = \"2h\"", "line 2: cache.negative_ttl: must be an hour at most"),
        ("[hosted]\nprefixes = [\"local\"]", "line 2: hosted.prefixes[0]: 'local' must be the beginning"),
        ("[hosted]\nprefixes = [\"a/\", \"Local/\"]", "line 2: hosted.prefixes[1]: 'Local/' must be the beginning"),
        (
            "[hosted]\nprefixes = [\"hub/x/\"]\n[[upstream]]\nname = \"docker.io\"\naliases = [\"hub\"]",
            "line 2: hosted.prefixes[0]: 'hub' is",
        ),
        ("[hosted]\nmissing_references = \"perhaps\"", "line 2: hosted.missing_references: "),
        ("[hosted]\nmax_uploads = 0", "line 2: hosted.max_uploads: must be at least 1"),
        ("[hosted]\nmax_upload_bytes = 0", "line 2: hosted.max_upload_bytes: must be more than nothing"),
        ("[storage.disk]\nlimit = 0", "line 2: storage.disk.limit: must be more than nothing"),
        ("[storage.memory]\nmax_entry = \"1 GiB\"", "line 2: storage.memory.max_entry: must not be larger"),
        ("[logging]\nlevel = \"verbose\"", "line 2: logging.level: 'verbose' is no level"),
        ("[logging]\nlevel = \"harbinger=loud\"", "line 2: logging.level: 'loud' is no level"),
        ("[server]\ncustomer_header = \"a b\"", "line 2: server.customer_header: must be the name of a header"),
        ("[server]\nregion = \"\"", "line 2: server.region: must be 1 to 64"),
        ("[server]\nmax_connections = 0", "line 2: server.max_connections: must be at least 1"),
    ] {
        let error = case(text, &[]).error();
        assert!(error.starts_with(&format!("h.toml, {expected}")), "{error}");
    }
}

#[test]
fn what_is_printed_loads_as_the_same() {
    let config = case("[storage.disk]\nlimit = 123456789\n[cache]\nstale_if_error = \"1h 30m\"", &[]).load();
    let printed = toml::to_string_pretty(&config).unwrap();
    let again = case(&printed, &[]).load();
    assert_eq!(toml::to_string_pretty(&again).unwrap(), printed);
    assert_eq!(again.storage.disk.limit.as_u64(), 123_456_789);
}

#[test]
fn the_example_loads() {
    let example = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/harbinger.toml"));
    load(Sources { file: Some(example), ..Sources::default() }).unwrap();
}
