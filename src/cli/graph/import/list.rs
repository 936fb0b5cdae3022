//! Images of a list.

use std::{error::Error, path::Path};

use super::walk::{Found, Image};
use crate::{
    cli::list,
    config::Mode,
    events::Repository,
    oci::Reference,
    upstream::{Address, Destination, Routes},
};

/// Reads a list of images, one a line; `-` is the standard input.
pub(super) fn read(file: &Path, routes: &Routes) -> Result<Vec<Found>, Box<dyn Error>> {
    let named =
        |(number, text): (usize, String)| image(&text, routes).map_err(|error| format!("line {number}: '{text}': {error}"));
    Ok(list::read(file)?.into_iter().map(named).collect())
}

/// The image that a text names, as in a pull.
fn image(text: &str, routes: &Routes) -> Result<Image, Box<dyn Error>> {
    let (name, reference) = Reference::of_image(text)?;
    match routes.resolve(Address { path: name, ..Address::default() })? {
        Destination::Hosted(_) => Err("it lives here, and is known without an import".into()),
        Destination::Proxied(target) => {
            let private = target.route.mode != Mode::Public;
            let repository = Repository { route: target.route.name.clone(), name: target.repository, private };
            Ok(Image { origin: target.route.origin.clone(), repository, reference })
        }
    }
}
