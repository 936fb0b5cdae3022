//! Pulls an image through a running Harbinger with a client that others wrote, and prints what came.
//!
//! ```text
//! cargo run --release -- serve &
//! cargo run --release --example pull -- 127.0.0.1:5000 docker.io/library/alpine:3
//! ```
//!
//! The registry's name becomes the first part of the path (`127.0.0.1:5000/docker.io/library/alpine:3`), which any client can
//! do that knows nothing of mirrors. The client checks each layer against its digest.

use std::{env, error::Error, iter::once, process::ExitCode, time::Instant};

use futures_util::TryStreamExt;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, image] = arguments.as_slice() else {
        eprintln!("usage: pull HARBINGER IMAGE, such as: pull 127.0.0.1:5000 docker.io/library/alpine:3");
        return ExitCode::from(2);
    };
    match pull(address, image).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{image} cannot be pulled through {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn pull(address: &str, image: &str) -> Result<(), Box<dyn Error>> {
    let image = through(address, &image.parse()?)?;
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    // The manifest of this machine's platform, when the image has several.
    let (manifest, digest) = client.pull_image_manifest(&image, &RegistryAuth::Anonymous).await?;
    println!("{image}\nmanifest {digest}");
    for blob in once(&manifest.config).chain(&manifest.layers) {
        let start = Instant::now();
        let body = client.pull_blob_stream(&image, blob).await?;
        let length = body.stream.try_fold(0, |length, piece| async move { Ok(length + piece.len()) }).await?;
        println!("blob     {} {length:>12} bytes in {:?}", blob.digest, start.elapsed());
    }
    Ok(())
}

/// The same image, as Harbinger is asked for it.
fn through(address: &str, image: &Reference) -> Result<Reference, Box<dyn Error>> {
    let mut name = format!("{address}/{}/{}", image.registry(), image.repository());
    if let Some(tag) = image.tag() {
        name = format!("{name}:{tag}");
    }
    if let Some(digest) = image.digest() {
        name = format!("{name}@{digest}");
    }
    Ok(name.parse()?)
}
