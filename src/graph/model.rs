//! Nodes, edges and the indexes by which nodes are found.

use std::{collections::BTreeMap, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use petgraph::{
    Direction,
    stable_graph::{EdgeIndex, NodeIndex, StableDiGraph},
    visit::EdgeRef,
};

use super::{
    bases::Chains,
    clients::Clients,
    names::{Interned, Names},
    rates::Rates,
    touched::Touched,
    versions::Versions,
};
use crate::oci::{Algorithm, Digest, RepositoryName, Tag};

/// Seconds since the beginning of 1970; 0 stands for unknown.
pub type Seconds = u32;

/// A node.
#[derive(Debug, Clone)]
pub enum Node {
    /// A blob or a manifest.
    Content(Content),
    /// A repository of a route, or one that lives here.
    Repository(Box<RepositoryNode>),
    /// A tag of a repository.
    Tag(Box<TagNode>),
    /// A customer in a region.
    Audience(Box<Audience>),
}

/// A blob or a manifest, known by its digest.
#[derive(Debug, Clone)]
pub struct Content {
    pub(super) digest: Fingerprint,
    /// Length in bytes; 0 when it is not known.
    pub size: u64,
    /// When it was heard of first.
    pub first_seen: Seconds,
    /// When it was made, by its own account.
    pub created: Seconds,
    /// What it is, by who names it.
    pub media_type: Interned,
    /// What it is for.
    pub role: Role,
}

/// What a content is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Role {
    /// Something has named it, nothing else is known.
    Unknown,
    /// A blob that no manifest is known to name.
    Blob,
    /// The configuration of an image.
    Config,
    /// A layer of an image.
    Layer,
    /// A manifest that names layers.
    Manifest,
    /// A manifest that names manifests.
    Index,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct RepositoryNode {
    /// The configured name of the upstream that it mirrors; empty for one that lives here.
    pub route: Arc<str>,
    /// Its name there.
    pub name: RepositoryName,
    /// Whether it is nobody's business but the operator's.
    pub private: bool,
}

/// A tag. The repository that it belongs to holds it ([`Edge::Holds`]); what it names and named are its [`Edge::Names`].
#[derive(Debug, Clone)]
pub struct TagNode {
    /// Its repository.
    pub repository: NodeIndex,
    /// The tag.
    pub tag: Tag,
}

/// A customer in a region: who wants something where.
#[derive(Debug, Clone)]
pub struct Audience {
    /// The customer; `None` for nobody in particular.
    pub customer: Option<Arc<str>>,
    /// The region.
    pub region: Interned,
}

/// An edge: 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Edge {
    /// manifest → layer. A layer that occurs twice has two edges.
    Contains {
        /// From 0, the lowest.
        position: u16,
    },
    /// manifest → its configuration
    Configured,
    /// index → manifest
    Child {
        /// From 0.
        position: u16,
        /// Such as `linux/amd64`.
        platform: Interned,
    },
    /// repository → manifest that it has
    Has,
    /// repository → tag that it has or had
    Holds,
    /// tag → manifest that it names or named
    Names {
        /// Since when.
        since: Seconds,
        /// Until when; 0 when it names it still.
        until: Seconds,
    },
    /// manifest → the manifest that a tag named after it
    Succeeded {
        /// When this last happened.
        at: Seconds,
    },
    /// tag → the tag of the next version in the same series
    NextVersion,
    /// image → the image whose layers it begins with, or which it says it is built on
    BasedOn {
        /// How many layers they share.
        shared: u16,
        /// Whether it says so itself; otherwise its layers do.
        declared: bool,
    },
    /// repository → repository that the same client pulled soon after it
    CoPulled {
        /// How often, halved every week, as of `at`.
        weight: f32,
        /// When this last happened.
        at: Seconds,
    },
    /// referrer → its subject
    Refers,
    /// audience → tag or manifest that it asks for
    Wants {
        /// How often, halved every week, as of `at`.
        weight: f32,
        /// When it last did.
        at: Seconds,
    },
}

/// A digest in little room: 40 bytes. SHA-512 is rare.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Fingerprint {
    Sha256([u8; 32]),
    Sha512(Box<[u8; 64]>),
}

/// All that is known, in memory.
///
/// Nodes keep their index for as long as they live. All that reads it is deterministic: nothing depends on the order of a hash
/// table.
#[derive(Debug, Default)]
pub struct State {
    pub(super) graph: StableDiGraph<Node, Edge>,
    /// Media types, platforms and regions.
    pub(super) names: Names,
    /// By region: how often contents are asked for there.
    pub(super) rates: BTreeMap<Interned, HashMap<NodeIndex, Rates>>,
    pub(super) contents: HashTable<NodeIndex>,
    pub(super) repositories: HashMap<(Arc<str>, RepositoryName), NodeIndex>,
    pub(super) tags: HashMap<(NodeIndex, Tag), NodeIndex>,
    pub(super) audiences: HashMap<(Option<Arc<str>>, Interned), NodeIndex>,
    /// Edges between nodes that both may have many, to be found by their ends.
    pub(super) by_ends: HashTable<EdgeIndex>,
    /// By repository: what is pulled after it.
    pub(super) co_pulled: HashMap<NodeIndex, Vec<EdgeIndex>>,
    /// Images by their layers.
    pub(super) chains: Chains,
    /// Tags that name something, by repository, series and version.
    pub(super) versions: Versions,
    pub(super) clients: Clients,
    pub(super) touched: Touched,
    /// Events that have been applied, ever.
    pub(super) sequence: u64,
    pub(super) hasher: DefaultHashBuilder,
}

impl Fingerprint {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => &**bytes,
        }
    }
}

impl Fingerprint {
    /// Its first eight bytes, in the order of digests.
    pub(super) fn beginning(&self) -> u64 {
        self.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

impl From<&Digest> for Fingerprint {
    fn from(digest: &Digest) -> Self {
        match digest.as_bytes().first_chunk() {
            Some(bytes) if digest.algorithm() == Algorithm::Sha256 => Self::Sha256(*bytes),
            _ => {
                let mut bytes = [0; 64];
                bytes.copy_from_slice(digest.as_bytes());
                Self::Sha512(Box::new(bytes))
            }
        }
    }
}

impl Content {
    /// A content of which only the digest is known.
    pub(super) fn new(digest: &Digest, first_seen: Seconds) -> Self {
        let (size, created, media_type, role) = (0, 0, Interned::NONE, Role::Unknown);
        Self { digest: digest.into(), size, first_seen, created, media_type, role }
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        let (algorithm, bytes) = match &self.digest {
            Fingerprint::Sha256(bytes) => (Algorithm::Sha256, &bytes[..]),
            Fingerprint::Sha512(bytes) => (Algorithm::Sha512, &bytes[..]),
        };
        // The length is the algorithm's.
        Digest::from_bytes(algorithm, bytes).unwrap_or_else(|| Digest::of(algorithm, bytes))
    }
}

impl State {
    /// The node of a content.
    pub fn content(&self, digest: &Digest) -> Option<NodeIndex> {
        let same = |&node: &NodeIndex| self.fingerprint(node).is_some_and(|bytes| bytes == digest.as_bytes());
        self.contents.find(self.hasher.hash_one(digest.as_bytes()), same).copied()
    }

    /// The node of a repository: `route` is empty for one that lives here.
    pub fn repository(&self, route: &Arc<str>, name: &RepositoryName) -> Option<NodeIndex> {
        self.repositories.get(&(route.clone(), name.clone())).copied()
    }

    /// The node of a tag.
    pub fn tag(&self, repository: NodeIndex, tag: &Tag) -> Option<NodeIndex> {
        self.tags.get(&(repository, tag.clone())).copied()
    }

    /// The node of a customer in a region.
    pub fn audience(&self, customer: Option<&Arc<str>>, region: Interned) -> Option<NodeIndex> {
        self.audiences.get(&(customer.cloned(), region)).copied()
    }

    /// What a node is.
    pub fn node(&self, node: NodeIndex) -> Option<&Node> {
        self.graph.node_weight(node)
    }

    /// The content that a node is.
    pub fn as_content(&self, node: NodeIndex) -> Option<&Content> {
        match self.node(node) {
            Some(Node::Content(content)) => Some(content),
            _ => None,
        }
    }

    /// The repository that a node is.
    pub fn as_repository(&self, node: NodeIndex) -> Option<&RepositoryNode> {
        match self.node(node) {
            Some(Node::Repository(repository)) => Some(repository),
            _ => None,
        }
    }

    /// The tag that a node is.
    pub fn as_tag(&self, node: NodeIndex) -> Option<&TagNode> {
        match self.node(node) {
            Some(Node::Tag(tag)) => Some(tag),
            _ => None,
        }
    }

    /// The audience that a node is.
    pub fn as_audience(&self, node: NodeIndex) -> Option<&Audience> {
        match self.node(node) {
            Some(Node::Audience(audience)) => Some(audience),
            _ => None,
        }
    }

    /// The edges that leave a node, with the nodes that they enter; in no particular order.
    pub fn edges_from(&self, node: NodeIndex) -> impl Iterator<Item = (NodeIndex, &Edge)> {
        self.graph.edges(node).map(|edge| (edge.target(), edge.weight()))
    }

    /// The edges that enter a node, with the nodes that they leave; in no particular order.
    pub fn edges_to(&self, node: NodeIndex) -> impl Iterator<Item = (NodeIndex, &Edge)> {
        self.graph.edges_directed(node, Direction::Incoming).map(|edge| (edge.source(), edge.weight()))
    }

    /// Media types, platforms and regions.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// How often a content is asked for in a region.
    pub fn rates(&self, region: Interned, content: NodeIndex) -> Option<&Rates> {
        self.rates.get(&region)?.get(&content)
    }

    /// Adds a node, which must not be there yet, and makes it be found.
    pub(super) fn add(&mut self, node: Node) -> NodeIndex {
        let index = self.graph.add_node(node);
        self.make_found(index);
        self.touched.node(index);
        index
    }

    /// Makes a node that has been added to the graph be found by what it is.
    pub(super) fn make_found(&mut self, index: NodeIndex) {
        match &self.graph[index] {
            Node::Content(content) => {
                let hash = self.hasher.hash_one(content.digest.as_bytes());
                let (graph, hasher) = (&self.graph, &self.hasher);
                self.contents.insert_unique(hash, index, |&node| hash_of(graph, hasher, node));
            }
            Node::Repository(repository) => {
                self.repositories.insert((repository.route.clone(), repository.name.clone()), index);
            }
            Node::Tag(tag) => {
                self.tags.insert((tag.repository, tag.tag.clone()), index);
            }
            Node::Audience(audience) => {
                self.audiences.insert((audience.customer.clone(), audience.region), index);
            }
        }
    }

    /// Removes a node with all its edges and rates. What is derived from it has to be gone.
    pub(super) fn remove(&mut self, index: NodeIndex) {
        self.unlink_all(index);
        match &self.graph[index] {
            Node::Content(content) => {
                let hash = self.hasher.hash_one(content.digest.as_bytes());
                if let Ok(entry) = self.contents.find_entry(hash, |&node| node == index) {
                    entry.remove();
                }
            }
            Node::Repository(repository) => {
                self.repositories.remove(&(repository.route.clone(), repository.name.clone()));
                self.clients.forget(index);
            }
            Node::Tag(tag) => {
                self.tags.remove(&(tag.repository, tag.tag.clone()));
            }
            Node::Audience(audience) => {
                self.audiences.remove(&(audience.customer.clone(), audience.region));
            }
        }
        self.rates.values_mut().for_each(|rates| {
            rates.remove(&index);
        });
        self.graph.remove_node(index);
        self.touched.node(index);
    }

    fn fingerprint(&self, node: NodeIndex) -> Option<&[u8]> {
        Some(self.as_content(node)?.digest.as_bytes())
    }
}

fn hash_of(graph: &StableDiGraph<Node, Edge>, hasher: &DefaultHashBuilder, node: NodeIndex) -> u64 {
    match &graph[node] {
        Node::Content(content) => hasher.hash_one(content.digest.as_bytes()),
        // Only contents are in the table.
        _ => 0,
    }
}
