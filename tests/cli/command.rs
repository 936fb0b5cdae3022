//! The command line: help, usage errors, and `harbinger check`.

use std::{
    fs,
    process::{Command, Output},
};

fn harbinger(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harbinger"));
    command.args(arguments).env_clear().env("XDG_CONFIG_HOME", "/nonexistent").env("XDG_DATA_HOME", "/data");
    command.envs(variables.iter().copied()).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

#[test]
fn check_prints_what_is_in_force_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.toml");
    fs::write(&file, "[[upstream]]\nname = \"a.io\"\nmode = \"shared\"\nusername = \"u\"\n").unwrap();
    let variables = [("HARBINGER_CONFIG", file.to_str().unwrap()), ("HARBINGER_UPSTREAM__A_IO__PASSWORD", "hunter2")];
    let output = harbinger(&["check"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed: toml::Table = text(&output.stdout).parse().unwrap();
    let upstream = &printed["upstream"][0];
    assert_eq!(upstream["password"].as_str(), Some("********"));
    assert_eq!(upstream["url"].as_str(), Some("https://a.io/"));
    assert_eq!(printed["storage"]["data"].as_str(), Some("/data/harbinger"));
    assert!(!text(&output.stdout).contains("hunter2") && output.stderr.is_empty());

    // What is printed is a configuration itself.
    fs::write(&file, &output.stdout).unwrap();
    let again = harbinger(&["check", "--config", file.to_str().unwrap()], &[]);
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), text(&output.stdout)), "{}", text(&again.stderr));
}

#[test]
fn a_wrong_configuration_exits_with_1_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.toml");
    fs::write(&file, "[server]\nlisen = \"127.0.0.1:1\"\n").unwrap();
    for command in ["check", "serve"] {
        let output = harbinger(&[command, "--config", file.to_str().unwrap()], &[]);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("error: {}, line 2: server.lisen: unknown key 'lisen'; did you mean 'listen'?\n", file.display());
        assert_eq!(text(&output.stderr), expected);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &["serve", "--listen", "here"][..],
        &["serve", "--upstream", "a.io"],
        &["brew"],
        &["purge"],
        &["purge", "a:.x"],
        &["warm"],
        &["check", "--fast"],
    ] {
        let output = harbinger(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).starts_with("error: "), "{}", text(&output.stderr));
    }
}

#[test]
fn help_teaches_by_example() {
    for (arguments, example) in [
        (&["--help"][..], "harbinger check --config harbinger.toml"),
        (&["serve", "--help"], "harbinger serve --listen 0.0.0.0:5000 --data /var/lib/harbinger"),
        (&["purge", "--help"], "harbinger purge 'ghcr.io/acme/**:pr-*' --data /var/lib/harbinger"),
        (&["warm", "--help"], "harbinger warm nginx:1.27 ghcr.io/acme/app:v2 --platform linux/arm64"),
        (&["graph", "--help"], "harbinger graph base docker.io/library/nginx:1.27 --platform linux/arm64"),
        (&["graph", "top", "--help"], "harbinger graph top --region eu --by rate --limit 5"),
        (&["replay", "--help"], "harbinger replay week.trace --policy lru,gdsf,served"),
        (&["check", "--help"], "HARBINGER_CACHE__TAG_TTL=5m harbinger check"),
    ] {
        let output = harbinger(arguments, &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(example), "{}", text(&output.stdout));
    }
}
