//! Images of a list.

use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use super::walk::{Found, Image};
use crate::{
    config::Mode,
    events::Repository,
    oci::{Digest, Reference, Tag},
    upstream::{Address, Destination, Routes},
};

/// Bytes of a line at most.
const LONGEST: u64 = 4 << 10;

/// Reads a list of images, one a line; `-` is the standard input. What stands behind a `#` is for people.
pub(super) fn read(file: &Path, routes: &Routes) -> Result<Vec<Found>, Box<dyn Error>> {
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?)
    };
    let (mut input, mut found, mut line) = (BufReader::new(input), Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST {
            return Err(format!("line {number} is longer than any image's name").into());
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            found.push(image(text, routes).map_err(|error| format!("line {number}: '{text}': {error}")));
        }
    }
    Ok(found)
}

/// The image that a text names, as in a pull.
fn image(text: &str, routes: &Routes) -> Result<Image, Box<dyn Error>> {
    let (name, reference) = split(text)?;
    match routes.resolve(Address { path: name, ..Address::default() })? {
        Destination::Hosted(_) => Err("it lives here, and is known without an import".into()),
        Destination::Proxied(target) => {
            let private = target.route.mode != Mode::Public;
            let repository = Repository { route: target.route.name.clone(), name: target.repository, private };
            Ok(Image { origin: target.route.origin.clone(), repository, reference })
        }
    }
}

/// A digest counts more than a tag; without both, it is the tag `latest`.
fn split(text: &str) -> Result<(&str, Reference), Box<dyn Error>> {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let after = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) =
        name[after..].find(':').map_or((name, "latest"), |colon| (&name[..after + colon], &name[after + colon + 1..]));
    let reference = match digest {
        Some(digest) => Reference::Digest(digest.parse::<Digest>()?),
        None => Reference::Tag(tag.parse::<Tag>()?),
    };
    Ok((name, reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_clients_read_it() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, name, reference) in [
            ("nginx", "nginx", "latest"),
            ("docker.io/library/nginx:1.27", "docker.io/library/nginx", "1.27"),
            ("registry.example:5000/a", "registry.example:5000/a", "latest"),
            (&*format!("a/b:c@{digest}"), "a/b", &*digest),
        ] {
            let (found, read) = split(text).unwrap();
            assert_eq!((found, read.to_string().as_str()), (name, reference), "{text}");
        }
        for text in ["a:", "a:b c", "a@sha256:1"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
