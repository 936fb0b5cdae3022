//! The configurations that people copy are well-formed, and Harbinger's own are what it reads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harbinger::config::Config;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn own_configurations_are_read() {
    for (file, upstreams) in [("compose/harbinger.toml", 0), ("systemd/harbinger.toml", 3)] {
        let config: Config = toml::from_str(&read(&examples().join(file))).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(config.upstream.len(), upstreams, "{file}");
        assert_eq!(config.storage.data, Path::new("/var/lib/harbinger"), "{file}");
    }
}

#[test]
fn what_is_commented_out_is_read_too() {
    // A setting that is commented out has no space after the sign; words for people have one.
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = read(&examples().join("systemd/harbinger.toml")).lines().map(uncommented).collect();
    let config: Config = toml::from_str(&text).unwrap();
    assert_eq!(config.upstream.len(), 4);
    assert_eq!(config.upstream[3].username.as_deref(), Some("harbinger"));
}

#[test]
fn clients_configurations_are_well_formed() {
    for file in [
        "containerd/docker.io/hosts.toml",
        "containerd/_default/hosts.toml",
        "containerd/path-style/hosts.toml",
        "podman/50-harbinger.conf",
        "buildkit/buildkitd.toml",
    ] {
        let table: toml::Table = read(&examples().join(file)).parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(!table.is_empty(), "{file}");
    }
    let daemon: serde_json::Value = serde_json::from_str(&read(&examples().join("docker/daemon.json"))).unwrap();
    assert!(daemon["registry-mirrors"].is_array());
}

/// A grace time that the service manager cuts short would be a lie.
#[test]
fn services_wait_for_the_grace_time() {
    let grace = Config::default().server.shutdown_grace.as_secs();
    for (file, key) in [("systemd/harbinger.service", "TimeoutStopSec="), ("compose/compose.yaml", "stop_grace_period: ")] {
        let text = read(&examples().join(file));
        let wait = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_else(|| panic!("{file}: {key}"));
        let seconds: u64 = wait.trim_end_matches('s').parse().unwrap_or_else(|error| panic!("{file}: {wait}: {error}"));
        assert!(seconds > grace, "{file}: {seconds} s are not more than {grace} s");
    }
}
