//! What a question is about: as it is written, and where that is in the graph.

use std::{cmp::Ordering, fmt, sync::Arc};

use petgraph::{
    Direction::{Incoming, Outgoing},
    stable_graph::NodeIndex,
    visit::EdgeRef,
};

use super::{
    super::{Audience, Edge, Node, Role, State, Viewer},
    QuestionError,
};
use crate::oci::{Digest, RepositoryName, Tag};

/// The platform whose image is meant when an index is named and nothing is said.
const USUAL_PLATFORM: &str = "linux/amd64";

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// `sha256:…`: a content, whoever has it.
    Content(Digest),
    /// `docker.io/library/nginx`: a repository; where an image is asked for, its tag `latest`.
    Repository(Place),
    /// `docker.io/library/nginx:1.27`: a tag; where an image is asked for, what it names.
    Tag(Place, Tag),
    /// `docker.io/library/nginx@sha256:…`: a content that the repository has.
    Of(Place, Digest),
}

/// A repository, as it is told by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The configured name of the upstream that it mirrors; empty for one that lives here.
    pub route: Arc<str>,
    /// Its name there.
    pub name: RepositoryName,
}

/// Why a text names nothing that could be in the graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no image, repository or digest: {why}")]
pub struct InvalidSubject {
    text: String,
    why: String,
}

impl Subject {
    /// Reads a text. `find` tells which repository a name means, which begins with that of a registry or does not.
    ///
    /// # Errors
    /// When it is malformed, or `find` knows no such repository.
    pub fn read<E: fmt::Display>(text: &str, find: impl FnOnce(&str) -> Result<Place, E>) -> Result<Self, InvalidSubject> {
        // The text may be a client's: it is cut.
        let invalid = |why: String| InvalidSubject { text: text.chars().take(255).collect(), why };
        let digest = |text: &str| text.parse::<Digest>().map_err(|error| invalid(error.to_string()));
        let find = |name: &str| find(name).map_err(|error| invalid(error.to_string()));
        if text.is_empty() {
            let example = "name one, such as 'docker.io/library/nginx:1.27' or 'sha256:…'";
            return Err(invalid(example.to_owned()));
        }
        if ["sha256:", "sha512:"].iter().any(|algorithm| text.starts_with(algorithm)) && !text.contains(['/', '@']) {
            return Ok(Self::Content(digest(text)?));
        }
        if let Some((name, content)) = text.split_once('@') {
            // A digest says more than the tag before it.
            return Ok(Self::Of(find(split_tag(name).0)?, digest(content)?));
        }
        match split_tag(text) {
            (name, None) => Ok(Self::Repository(find(name)?)),
            (name, Some(tag)) => {
                let tag = tag.parse().map_err(|_| invalid(format!("'{tag}' is not a tag")))?;
                Ok(Self::Tag(find(name)?, tag))
            }
        }
    }

    /// The node that is named.
    ///
    /// # Errors
    /// When there is none, or it is not to be seen.
    pub fn node(&self, state: &State, viewer: Viewer) -> Result<NodeIndex, QuestionError> {
        let repository = |place: &Place| state.repository(&place.route, &place.name);
        let found = match self {
            Self::Content(digest) => state.content(digest),
            Self::Repository(place) => repository(place),
            Self::Tag(place, tag) => repository(place).and_then(|repository| state.tag(repository, tag)),
            Self::Of(place, digest) => repository(place).and_then(|repository| {
                let content = state.content(digest)?;
                (viewer.sees(state, repository) && belongs(state, repository, content)).then_some(content)
            }),
        };
        found.filter(|&node| viewer.sees(state, node)).ok_or_else(|| self.unknown())
    }

    /// The content that is named: of a tag, the one that it names now; of a repository, that of its tag `latest`.
    ///
    /// # Errors
    /// As [`Self::node`].
    pub fn content(&self, state: &State, viewer: Viewer) -> Result<NodeIndex, QuestionError> {
        let node = match self {
            Self::Repository(place) => {
                let latest = "latest".parse().map_err(|_| self.unknown())?;
                Self::Tag(place.clone(), latest).node(state, viewer).map_err(|_| self.unknown())?
            }
            _ => self.node(state, viewer)?,
        };
        if state.as_content(node).is_some() {
            return Ok(node);
        }
        let named = state.graph.edges(node).find(|edge| matches!(edge.weight(), Edge::Names { until: 0, .. }));
        named.map(|edge| edge.target()).filter(|&named| viewer.sees(state, named)).ok_or_else(|| self.unknown())
    }

    /// The manifest of layers that is named: of an index, the one for `platform`, for linux/amd64 or the first one.
    ///
    /// # Errors
    /// As [`Self::node`], or when it is something else.
    pub fn image(&self, state: &State, viewer: Viewer, platform: Option<&str>) -> Result<NodeIndex, QuestionError> {
        let content = self.content(state, viewer)?;
        let wrong = |is| QuestionError::WrongKind { what: self.to_string(), is, wanted: "images" };
        match viewer.role(state, content) {
            None => Err(self.unknown()),
            Some(Role::Manifest) => Ok(content),
            Some(Role::Index) => {
                let child = child(state, content, platform).ok_or_else(|| match platform {
                    Some(platform) => QuestionError::Unknown(format!("{self} for {platform}")),
                    None => wrong("an empty index"),
                })?;
                Ok(child)
            }
            Some(Role::Layer) => Err(wrong("a layer")),
            Some(Role::Config) => Err(wrong("a configuration")),
            Some(Role::Blob | Role::Unknown) => Err(wrong("something of which only the digest is known")),
        }
    }

    fn unknown(&self) -> QuestionError {
        QuestionError::Unknown(self.to_string())
    }
}

/// The manifest of an index for a platform.
fn child(state: &State, index: NodeIndex, platform: Option<&str>) -> Option<NodeIndex> {
    let mut children: Vec<_> = state
        .graph
        .edges_directed(index, Outgoing)
        .filter_map(|edge| match *edge.weight() {
            Edge::Child { position, platform } => Some((position, state.names().text(platform), edge.target())),
            _ => None,
        })
        .collect();
    children.sort_unstable_by_key(|&(position, ..)| position);
    let of = |wanted: &str| children.iter().find(|(_, platform, _)| *platform == wanted);
    let found = match platform {
        Some(platform) => of(platform),
        None => of(USUAL_PLATFORM).or_else(|| children.first()),
    };
    found.map(|&(.., manifest)| manifest)
}

/// Whether a repository has a manifest, or one that contains a content.
fn belongs(state: &State, repository: NodeIndex, content: NodeIndex) -> bool {
    let has = |node| state.graph.edges_directed(node, Incoming).any(|edge| edge.source() == repository);
    let contains = |edge: &Edge| matches!(edge, Edge::Contains { .. } | Edge::Configured | Edge::Child { .. });
    let mut around = state.graph.edges_directed(content, Incoming);
    has(content) || around.any(|edge| contains(edge.weight()) && has(edge.source()))
}

/// A ':' in the first component belongs to a registry's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.route.is_empty() {
            write!(f, "{}/", self.route)?;
        }
        write!(f, "{}", self.name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(digest) => write!(f, "{digest}"),
            Self::Repository(place) => write!(f, "{place}"),
            Self::Tag(place, tag) => write!(f, "{place}:{tag}"),
            Self::Of(place, digest) => write!(f, "{place}@{digest}"),
        }
    }
}

/// What a node is called.
pub(super) fn name(state: &State, node: NodeIndex) -> String {
    match state.node(node) {
        Some(Node::Content(content)) => content.digest().to_string(),
        Some(Node::Repository(repository)) => {
            Place { route: repository.route.clone(), name: repository.name.clone() }.to_string()
        }
        Some(Node::Tag(tag)) => format!("{}:{}", name(state, tag.repository), tag.tag),
        Some(Node::Audience(audience)) => {
            let region = state.names().text(audience.region);
            format!("{region}/{}", audience.customer.as_deref().unwrap_or_default())
        }
        None => String::new(),
    }
}

/// The order of nodes in an answer, where nothing else decides: repositories and tags by name, contents by digest, then who asks.
pub(super) fn compare(state: &State, a: NodeIndex, b: NodeIndex) -> Ordering {
    match (state.node(a), state.node(b)) {
        (Some(Node::Content(a)), Some(Node::Content(b))) => a.digest.as_bytes().cmp(b.digest.as_bytes()),
        (Some(Node::Repository(a)), Some(Node::Repository(b))) => (&a.route, &a.name).cmp(&(&b.route, &b.name)),
        (Some(Node::Tag(one)), Some(Node::Tag(other))) => {
            compare(state, one.repository, other.repository).then_with(|| one.tag.cmp(&other.tag))
        }
        (Some(Node::Audience(a)), Some(Node::Audience(b))) => {
            let region = |audience: &Audience| state.names().text(audience.region);
            region(a).cmp(region(b)).then_with(|| a.customer.cmp(&b.customer))
        }
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

/// Sorts nodes by [`compare`], so that few of them have to be looked at more than once.
pub(super) fn sort(state: &State, nodes: &mut [NodeIndex]) {
    let mut keyed: Vec<_> = nodes.iter().map(|&node| (key(state, node), node)).collect();
    keyed.sort_unstable_by(|(one, a), (other, b)| one.cmp(other).then_with(|| compare(state, *a, *b)));
    for (place, (_, node)) in nodes.iter_mut().zip(keyed) {
        *place = node;
    }
}

/// A beginning of what [`compare`] looks at.
pub(super) fn key(state: &State, node: NodeIndex) -> (u8, u64) {
    let found = state.node(node);
    let start = match found {
        Some(Node::Content(content)) => content.digest.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
        _ => 0,
    };
    (rank(found), start)
}

fn rank(node: Option<&Node>) -> u8 {
    match node {
        Some(Node::Repository(_)) => 0,
        Some(Node::Tag(_)) => 1,
        Some(Node::Content(_)) => 2,
        Some(Node::Audience(_)) => 3,
        None => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Subject, InvalidSubject> {
        Subject::read(text, |name| {
            let (route, name) = name.strip_prefix("docker.io/").map_or(("", name), |name| ("docker.io", name));
            Ok::<_, crate::oci::InvalidName>(Place { route: route.into(), name: name.parse()? })
        })
    }

    #[test]
    fn what_is_named_is_told_the_same_way() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for text in [&*digest, "local/app", "docker.io/library/nginx", "docker.io/library/nginx:1.27", &format!("a/b@{digest}")] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        assert_eq!(read(&format!("a/b:1@{digest}")).unwrap().to_string(), format!("a/b@{digest}"));
    }

    #[test]
    fn what_names_nothing_is_explained() {
        for (text, why) in [
            ("", "name one, such as"),
            ("sha256:ab", "digest"),
            ("a/b@sha256:ab", "digest"),
            ("a/b:.x", "'.x' is not a tag"),
            ("A/b", "name"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
