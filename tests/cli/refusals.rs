//! Why it does not start: cause and cure, and exit code 1.

use std::{fs, net::TcpListener};

use crate::process::{Serving, harbinger};

/// What it says on standard error.
fn refused(listen: &str, data: &str) -> String {
    let output = harbinger(&["serve", "--listen", listen, "--data", data]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    // Messages may precede it; it is what is seen last.
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: ") && said.matches("error: ").count() == 1, "{said}");
    last.to_owned()
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let said = refused(&address, folder.path().to_str().unwrap());
    assert!(said.contains(&format!("cannot listen on {address}: the address is in use")), "{said}");
    assert!(said.contains("set server.listen to another port"), "{said}");
}

#[test]
fn a_model_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    fs::write(&file, "no model").unwrap();
    let data = folder.path().join("data");
    let flags = ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--model", file.to_str().unwrap()];
    let output = harbinger(&flags).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let cure = if cfg!(feature = "onnx") { "is not an ONNX model that can be run" } else { "--features onnx" };
    assert!(said.contains(&format!("error: prefetch.model: {} ", file.display())) && said.contains(cure), "{said}");
}

#[test]
fn a_data_folder_in_use() {
    let serving = Serving::with_flags(&[]);
    let data = serving.folder.path().join("data");
    let said = refused("127.0.0.1:0", data.to_str().unwrap());
    assert!(said.contains(&format!("the data folder {} cannot be used: ", data.display())), "{said}");
    assert!(said.contains("another process") && said.contains("choose another one with --data"), "{said}");
    assert_eq!(serving.get("/readyz").status, 200);
}

#[test]
fn a_data_folder_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = file.join("data");
    let said = refused("127.0.0.1:0", data.to_str().unwrap());
    assert!(said.contains(&format!("the data folder {} cannot be used: Not a directory", data.display())), "{said}");
    assert!(said.contains("choose another one with --data"), "{said}");
}
