//! What an operator may select, as it is written, and what it means.

use std::{fmt, str::FromStr};

use super::super::{
    RegistryError, RegistryErrorKind,
    proxied::{What, Which},
};
use crate::{
    catalog::Repository,
    config::Pattern,
    oci::{Digest, Tag},
    upstream::{Address, Destination, Routes},
};

/// A part of what is cached, as it is written: `docker.io/library/nginx`, `docker.io/library/nginx:1.27`,
/// `docker.io/library/nginx@sha256:…`, `sha256:…`, `ghcr.io/acme/**:pr-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    text: String,
    what: Written,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Written {
    Content(Digest),
    /// A repository, or a pattern of them, and the part of them.
    Part(String, Part),
}

/// A part of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) enum Part {
    /// All of it.
    All,
    /// The tags that match, and what only they use.
    Tags(Pattern),
    /// A manifest or a blob, and what only it uses.
    Content(Digest),
}

/// Why a text selects nothing. Says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' cannot be purged: {why}")]
pub struct InvalidSelection {
    text: String,
    why: String,
}

impl Selection {
    /// What it means where requests lead as `routes` say.
    pub(in crate::registry) fn meant(&self, routes: &Routes) -> Result<What, RegistryError> {
        let (repositories, part) = match &self.what {
            Written::Content(digest) => return Ok(What::Content(*digest)),
            Written::Part(repositories, part) => (repositories, part.clone()),
        };
        if !repositories.contains('*') {
            let address = Address { path: repositories, ..Address::default() };
            return match routes.resolve(address).map_err(|error| self.refused(error))? {
                Destination::Hosted(_) => Err(self.refused(HOSTED)),
                Destination::Proxied(target) => {
                    let repository = Repository { route: target.route.name.clone(), name: target.repository };
                    Ok(What::Part(Which::One(repository), part))
                }
            };
        }
        if routes.hosted().iter().any(|prefix| repositories.starts_with(prefix)) {
            return Err(self.refused(HOSTED));
        }
        let pattern = routes.pattern(repositories).map_err(|error| self.refused(error))?;
        Ok(What::Part(Which::Matching(pattern), part))
    }

    fn refused(&self, why: impl fmt::Display) -> RegistryError {
        RegistryError::new(RegistryErrorKind::Unsupported, InvalidSelection::new(&self.text, why).to_string())
    }
}

/// Why what was pushed is not purged.
const HOSTED: &str = "it is hosted here, and nothing could bring it back; take its tags and manifests away with DELETE, after \
                      which 'harbinger gc' frees the bytes";

impl InvalidSelection {
    /// The text may be a client's: it is cut.
    fn new(text: &str, why: impl fmt::Display) -> Self {
        Self { text: text.chars().take(255).collect(), why: why.to_string() }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Selection {
    type Err = InvalidSelection;

    fn from_str(text: &str) -> Result<Self, InvalidSelection> {
        let invalid = |why: &dyn fmt::Display| InvalidSelection::new(text, why);
        let what = written(text).map_err(|why| invalid(&why))?;
        Ok(Self { text: text.to_owned(), what })
    }
}

fn written(text: &str) -> Result<Written, String> {
    if text.is_empty() {
        return Err("name a repository, an image with its tag or digest, a digest, or a pattern such as 'ghcr.io/acme/**'".into());
    }
    let digest = |text: &str| text.parse::<Digest>().map_err(|error| error.to_string());
    if ["sha256:", "sha512:"].iter().any(|algorithm| text.starts_with(algorithm)) && !text.contains(['/', '@']) {
        return Ok(Written::Content(digest(text)?));
    }
    if let Some((repositories, content)) = text.split_once('@') {
        if split_tag(repositories).1.is_some() {
            return Err("it has both a tag and a digest; leave one of them out".to_owned());
        }
        return Ok(Written::Part(some(repositories)?, Part::Content(digest(content)?)));
    }
    let (repositories, tag) = split_tag(text);
    let part = match tag {
        None => Part::All,
        Some(tag) => {
            if !tag.contains('*') {
                tag.parse::<Tag>().map_err(|error| error.to_string())?;
            }
            Part::Tags(Pattern::of_tags(tag).map_err(|error| error.to_string())?)
        }
    };
    Ok(Written::Part(some(repositories)?, part))
}

fn some(repositories: &str) -> Result<String, String> {
    if repositories.is_empty() { Err("it names no repository".to_owned()) } else { Ok(repositories.to_owned()) }
}

/// A `:` in the last part begins a tag; one before that belongs to a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[last..].find(':') {
        Some(colon) => (&text[..last + colon], Some(&text[last + colon + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn all_that_can_be_selected() {
        let tags = |text| Part::Tags(Pattern::of_tags(text).unwrap());
        let content = Part::Content(DIGEST.parse().unwrap());
        for (text, repositories, part) in [
            ("docker.io/library/nginx", "docker.io/library/nginx", Part::All),
            ("nginx:1.27", "nginx", tags("1.27")),
            ("localhost:5000/app", "localhost:5000/app", Part::All),
            ("localhost:5000/app:v1", "localhost:5000/app", tags("v1")),
            ("ghcr.io/acme/**:pr-*", "ghcr.io/acme/**", tags("pr-*")),
            (&format!("localhost:5000/app@{DIGEST}"), "localhost:5000/app", content),
        ] {
            assert_eq!(text.parse::<Selection>().unwrap().what, Written::Part(repositories.to_owned(), part), "{text}");
        }
        assert_eq!(DIGEST.parse::<Selection>().unwrap().what, Written::Content(DIGEST.parse().unwrap()));
    }

    #[test]
    fn what_selects_nothing_says_why() {
        for (text, why) in [
            ("", "name a repository"),
            ("sha256:abc", "digest"),
            ("a@sha256:abc", "digest"),
            (":v1", "names no repository"),
            (&format!("@{DIGEST}"), "names no repository"),
            (&format!("a:v1@{DIGEST}"), "both a tag and a digest"),
            ("a:", "a tag is"),
            ("a:.x", "a tag is"),
            ("a:x y*", "which no tag does"),
        ] {
            let error = text.parse::<Selection>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{text}' cannot be purged: ")) && error.contains(why), "{error}");
        }
        assert!(format!("a:{}", "x".repeat(2000)).parse::<Selection>().unwrap_err().to_string().len() < 500);
    }
}
