use std::{fs, time::Duration};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::config::{Cloud, Mode};

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

#[test]
fn the_secret_of_the_bucket_is_masked_and_survives() {
    let text = "[storage.object]\nurl = \"s3://b\"\naccess_key_id = \"k\"\nsecret_access_key = \"from-file\"";
    let case = case(text, &[("HARBINGER_STORAGE__OBJECT__REGION", "eu-1"), ("HARBINGER_STORAGE__OBJECT__PATH_STYLE", "false")]);
    let object = case.load().storage.object;
    assert_eq!((object.region.as_deref(), object.path_style), (Some("eu-1"), Some(false)));
    assert_eq!(object.secret_access_key.as_ref().unwrap().expose_secret(), "from-file");
    for printed in [format!("{object:?}"), toml::to_string(&object).unwrap()] {
        assert!(!printed.contains("from-file"), "{printed}");
    }
    let variables = [("HARBINGER_STORAGE__OBJECT__SECRET_ACCESS_KEY", "from-env")];
    let object = self::case(text, &variables).load().storage.object;
    assert_eq!(object.secret_access_key.unwrap().expose_secret(), "from-env");
}

/// Lines of the section, the first of which is line 3; the last line tells the bucket.
#[test]
fn buckets_that_make_no_sense() {
    let s3 = "url = \"s3://b/p\"";
    let wrong = [
        ("url = 1", "url: must be text: "),
        ("url = \"ftp://b\"", "url: must begin with s3://"),
        ("url = \"bucket\"", "url: must begin with s3://"),
        ("url = \"gs:///p\"", "url: names no bucket"),
        ("url = \"s3://b$/p\"", "url: 'b$' is no bucket's name"),
        ("url = \"s3://b/a/../c\"", "url: 'a/../c' is no prefix"),
        ("url = \"s3://b/a b\"", "url: 'a b' is no prefix"),
        ("endpoint = \"ftp://h\"\nS3", "endpoint: must begin with https://"),
        ("endpoint = \"//u:from-file@h\"\nS3", "endpoint: must be a URL"),
        ("endpoint = \"http://u:from-file@h\"\nS3", "endpoint: must hold no user name"),
        ("endpoint = \"http://h?x\"\nS3", "endpoint: must hold neither"),
        ("access_key_id = \"k\"\nS3", "access_key_id: needs a secret_access_key"),
        ("secret_access_key = \"from-file\"\nS3", "secret_access_key: needs an access_key_id"),
        ("secret_access_key_file = \"f\"\nS3", "secret_access_key_file: needs an access_key_id"),
        ("secret_access_key = 17\nS3", "secret_access_key: must be text in quotes"),
        ("secret_access_key_file = \"f\"\nsecret_access_key = \"from-file\"\nS3", "secret_access_key_file: is given beside"),
        ("secret_access_key = \"from-file\"\nurl = \"az://c\"", "secret_access_key: needs an account"),
        ("secret_access_key = \"from-file\"\nurl = \"gs://c\"", "secret_access_key: is for s3 and az buckets only"),
        ("account = \"a\"\nS3", "account: is for az buckets only"),
        ("region = \"a\"\nurl = \"gs://c\"", "region: is for s3 buckets only"),
        ("credentials_file = \"f\"\nS3", "credentials_file: is for gs buckets only"),
        ("credentials_file = \"/absent/key\"\nurl = \"gs://c\"", "credentials_file: /absent/key cannot be read"),
        ("access_key_id = \"k\"\nanonymous = true\nS3", "access_key_id: is given beside anonymous"),
        ("lookup_timeout = \"0s\"\nS3", "lookup_timeout: must be longer than nothing"),
        ("lookup_timeout = \"2m\"\nS3", "lookup_timeout: must be a minute at most"),
        ("breaker_pause = \"2h\"\nS3", "breaker_pause: must be an hour at most"),
        ("queue_limit = 0\nS3", "queue_limit: must be more than nothing"),
        ("queue_entries = 0\nS3", "queue_entries: must be at least 1"),
        ("max_uploads = 0\nS3", "max_uploads: must be at least 1"),
        ("part_size = \"4 MiB\"\nS3", "part_size: must be from 5 MiB to 1 GiB"),
        ("multipart_above = \"6 MiB\"\nS3", "multipart_above: must be from storage.object.part_size"),
    ];
    for (lines, expected) in wrong {
        let error = case(&format!("[storage.object]\n\n{}", lines.replace("S3", s3)), &[]).error();
        assert!(error.starts_with(&format!("h.toml, line 3: storage.object.{expected}")), "{error}");
        assert!(!error.contains("from-file"), "{error}");
    }
}

#[test]
fn buckets_that_make_sense() {
    for (lines, place) in [
        ("url = \"\"\npart_size = 1", None),
        ("url = \"s3://b.example\"", Some((Cloud::S3, "b.example", ""))),
        ("url = \"gs://b_1/\"", Some((Cloud::Gcs, "b_1", ""))),
        ("url = \"az://c/a/b/\"\naccount = \"x\"\nsecret_access_key = \"k\"", Some((Cloud::Azure, "c", "a/b"))),
        ("url = \"s3://b/p\"\nendpoint = \"http://127.0.0.1:9000\"\nanonymous = true", Some((Cloud::S3, "b", "p"))),
    ] {
        assert_eq!(case(&format!("[storage.object]\n{lines}"), &[]).load().storage.object.place(), place, "{lines}");
    }
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
        ("kind = \"child\"", "line 3: upstream[0].kind: "),
        ("kind = \"parent\"", "line 1: upstream[0].url: is needed: the name is the registry's"),
        ("redirect = \"always\"", "line 3: upstream[0].redirect: clients are sent to a bucket, and there is none"),
        ("redirect = \"yes\"", "line 3: upstream[0].redirect: "),
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
        ("[cache]\nunused_ttl = \"2years\"", "line 2: cache.unused_ttl: must be a year at most"),
        ("[[cache.rule]]\nrepositories = []", "line 2: cache.rule[0].repositories: must name at least one pattern"),
        ("[[cache.rule]]\ntag_ttl = \"1s\"", "line 1: cache.rule[0]: missing field `repositories`"),
        ("[[cache.rule]]\nrepositories = [\"**\",\n\"library/*\"]", "line 3: cache.rule[0].repositories[1]: 'library' is no"),
        ("[[cache.rule]]\nrepositories = [\"**\"]\ntag_ttl = \"2years\"", "line 3: cache.rule[0].tag_ttl: must be a year"),
        ("[[cache.rule]]\nrepositories = [\"**\"]\nunused_ttl = \"2years\"", "line 3: cache.rule[0].unused_ttl: must be a"),
        (
            "[[cache.rule]]\nrepositories = [\"**\"]\nimmutable_tags = [\"v 1\"]",
            "line 3: cache.rule[0].immutable_tags[0]: 'v 1' holds a ' ', which no tag does",
        ),
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
        ("[storage]\nscrub_interval = \"0s\"", "line 2: storage.scrub_interval: must be longer than nothing"),
        ("[storage.memory]\nmax_entry = \"1 GiB\"", "line 2: storage.memory.max_entry: must not be larger"),
        ("[redirect]\nmode = \"often\"", "line 2: redirect.mode: "),
        ("[redirect]\nmode = \"large\"", "line 2: redirect.mode: clients are sent to a bucket, and there is none"),
        ("[redirect]\nexpires = \"8d\"", "line 2: redirect.expires: must be between a second and 7 days"),
        ("[redirect]\nexpires = \"1ms\"", "line 2: redirect.expires: must be between a second and 7 days"),
        ("[redirect]\nclients = [\"10.0.0.0/33\"]", "line 2: redirect.clients: '10.0.0.0/33' is no network"),
        ("[redirect]\nclients = [\"10.1.2.3/8\"]", "line 2: redirect.clients: '10.1.2.3/8' has bits behind its prefix"),
        ("[redirect]\ncdn_url = \"ftp://cdn\"", "line 2: redirect.cdn_url: must begin with https:// or http://"),
        ("[redirect]\ncdn_url = \"https://u:secret@cdn\"", "line 2: redirect.cdn_url: must hold no user name or password"),
        ("[redirect]\ncdn_url = \"https://cdn/?x\"", "line 2: redirect.cdn_url: must hold neither '?' nor '#'"),
        ("[redirect]\ncdn_signing = \"hmac\"", "line 2: redirect.cdn_signing: \"hmac\" signs the URLs of a CDN; add cdn_url"),
        (
            "[redirect]\ncdn_url = \"https://cdn\"\ncdn_signing = \"hmac\"",
            "line 3: redirect.cdn_signing: \"hmac\" needs a key; add cdn_key_file",
        ),
        ("[redirect]\ncdn_key_file = \"f\"", "line 2: redirect.cdn_key_file: is of use only with cdn_signing"),
        (
            "[redirect]\ncdn_url = \"https://cdn\"\ncdn_signing = \"hmac\"\ncdn_key_file = \"/absent/key\"",
            "line 4: redirect.cdn_key_file: /absent/key cannot be read: ",
        ),
        (
            "[redirect]\ncdn_url = \"https://cdn\"\ncdn_signing = \"hmac\"\ncdn_key_file = \"/dev/null\"",
            "line 4: redirect.cdn_key_file: /dev/null holds less than 16 bytes",
        ),
        ("[prefetch]\nshare = -0.1", "line 2: prefetch.share: must be between 0 and 10"),
        ("[prefetch]\npulls_share = 1.1", "line 2: prefetch.pulls_share: must be between 0 and 1"),
        ("[prefetch]\nparallel = 0", "line 2: prefetch.parallel: must be at least 1"),
        ("[logging]\nlevel = \"verbose\"", "line 2: logging.level: 'verbose' is no level"),
        ("[logging]\nlevel = \"harbinger=loud\"", "line 2: logging.level: 'loud' is no level"),
        ("[server]\ncustomer_header = \"a b\"", "line 2: server.customer_header: must be the name of a header"),
        ("[server]\nregion = \"\"", "line 2: server.region: must be 1 to 64"),
        ("[server]\nmax_connections = 0", "line 2: server.max_connections: must be at least 1"),
    ] {
        let error = case(text, &[]).error();
        assert!(error.starts_with(&format!("h.toml, {expected}")), "{error}");
        assert!(!error.contains("secret"));
    }
}

const RULES: &str = "[[cache.rule]]\nrepositories = [\"docker.io/*\"]\ntag_ttl = \"5s\"\n\
                     [[cache.rule]]\nrepositories = [\"**\"]\nunused_ttl = \"30d\"\nimmutable_tags = [\"v*\"]";

#[test]
fn items_of_a_list_are_set_by_position() {
    let variables = [
        ("HARBINGER_CACHE__RULE__0__TAG_TTL", "7s"),
        ("HARBINGER_CACHE__RULE__1__IMMUTABLE_TAGS", "a-*, b-*"),
        ("HARBINGER_CACHE__RULE__1__TAG_TTL", "9s"),
    ];
    let rules = case(RULES, &variables).load().cache.rule;
    assert_eq!(rules[0].tag_ttl, Some(Duration::from_secs(7)));
    assert_eq!(rules[1].tag_ttl, Some(Duration::from_secs(9)));
    assert_eq!(rules[1].unused_ttl, Some(Duration::from_secs(30 * 24 * 3600)));
    assert_eq!(rules[1].immutable_tags.as_deref(), Some(&["a-*".to_owned(), "b-*".to_owned()][..]));
    let (one, _) = RULES.split_once("\n[[").unwrap();
    let rules = case(one, &[("HARBINGER_CACHE__RULE__TAG_TTL", "7s")]).load().cache.rule;
    assert_eq!(rules[0].tag_ttl, Some(Duration::from_secs(7)), "the only one needs no position");
}

#[test]
fn items_of_a_list_that_are_not_there() {
    for (text, name, expected) in [
        ("", "HARBINGER_CACHE__RULE__0__TAG_TTL", "there is no [[cache.rule]]; a variable changes one that the file has"),
        (RULES, "HARBINGER_CACHE__RULE__2__TAG_TTL", "there is no [[cache.rule]] number 2: the file has 2, the first one is 0"),
        (
            RULES,
            "HARBINGER_CACHE__RULE__TAG_TTL",
            "there are 2 [[cache.rule]]; say which by its position, as in HARBINGER_CACHE__RULE__0__TAG_TTL",
        ),
        (RULES, "HARBINGER_CACHE__RULE__1__TAGTTL", "no such key; did you mean HARBINGER_CACHE__RULE__1__TAG_TTL?"),
        (RULES, "HARBINGER_CACHE__0__TAG_TTL", "there is only one [cache]; leave the number out"),
        (RULES, "HARBINGER_CACHE__RULE__1__UNUSED_TTL", "cache.rule[1].unused_ttl: must be a year at most"),
    ] {
        assert_eq!(case(text, &[(name, "2years")]).error(), format!("{name}: {expected}"));
    }
}

#[test]
fn networks_come_from_the_environment_too() {
    let config = case("", &[("HARBINGER_REDIRECT__CLIENTS", "10.0.0.0/8, ::1")]).load();
    let written: Vec<_> = config.redirect.clients.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["10.0.0.0/8", "::1/128"]);
}

#[test]
fn what_is_printed_loads_as_the_same() {
    let text = format!("[storage.disk]\nlimit = 123456789\n[cache]\nstale_if_error = \"1h 30m\"\n{RULES}");
    let config = case(&text, &[]).load();
    let printed = toml::to_string_pretty(&config).unwrap();
    let again = case(&printed, &[]).load();
    assert_eq!(toml::to_string_pretty(&again).unwrap(), printed);
    assert_eq!(again.storage.disk[0].limit.as_u64(), 123_456_789);
}

#[test]
fn the_example_loads() {
    let example = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/harbinger.toml"));
    load(Sources { file: Some(example), ..Sources::default() }).unwrap();
}
