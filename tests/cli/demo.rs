//! `harbinger demo`: the tour to its end, and in the middle of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::process::harbinger;

fn demo(temporary: &Path, more: &[&str]) -> Command {
    let mut command = harbinger(&["demo", "--quick", "--latency", "1ms"]);
    command.args(more).env("TMPDIR", temporary);
    command
}

#[test]
fn it_shows_what_it_promises_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &["--images", "2", "--clients", "9"]).output().unwrap();
    let (said, complaints) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), complaints.as_str()), (Some(0), ""), "{said}");
    for part in [
        "behind an emulated line: 1ms per request, 12.5 MB/s in all",
        "Layers that the images share crossed the line once",
        "The origin was not asked at all",
        "4  9 machines at once",
        "The origin sent each layer once, for 9 machines",
        "5  New version, another region",
        "The same, told by the first one",
        "after the release, before anybody wanted them.",
        "all 2 images still came, whole",
        "Each of the 19 pulls was complete, and every digest was right.",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn interrupted_it_leaves_nothing_either() {
    for signal in ["INT", "TERM"] {
        let temporary = tempfile::tempdir().unwrap();
        let mut child =
            demo(temporary.path(), &["--bandwidth", "100kB"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut first).unwrap();
        assert!(first.starts_with("Origin "), "{first}");
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(1), &b"error: interrupted\n"[..]));
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    }
}
