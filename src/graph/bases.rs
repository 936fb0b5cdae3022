//! Which image is built on which: by what it says itself, or else by its layers.
//!
//! An image is built on the image whose layers are the longest proper beginning of its own; of several with the same layers, on
//! the one with the least digest. So what is linked depends on what is there, not on what came first.

use std::collections::BTreeSet;

use petgraph::{
    Direction,
    stable_graph::{EdgeIndex, NodeIndex},
    visit::EdgeRef,
};

use super::model::{Edge, Fingerprint, Role, State};

/// The empty document, which stands where no layer is: manifests that begin with it are no images.
const EMPTY: [u8; 32] = [
    0x44, 0x13, 0x6f, 0xa3, 0x55, 0xb3, 0x67, 0x8a, 0x11, 0x46, 0xad, 0x16, 0xf7, 0xe8, 0x64, 0x9e, 0x94, 0xfb, 0x4f, 0xc2, 0x1f,
    0xe7, 0x7e, 0x83, 0x10, 0xc0, 0x60, 0xf6, 0x1c, 0xaa, 0xff, 0x8a,
];

/// Images with the same hash that are compared at most. Only somebody who wants to make hashes collide has more.
const COMPARED: usize = 64;

/// Images, in the order of a hash of all their layers and, of the same layers, of their digests.
#[derive(Debug, Default)]
pub(super) struct Chains {
    images: BTreeSet<Link>,
}

/// Hash of the layers, beginning of the image's digest, image.
pub(super) type Link = (u64, u64, NodeIndex);

impl Chains {
    /// All images at once, in any order.
    pub(super) fn of(images: Vec<Link>) -> Self {
        Self { images: images.into_iter().collect() }
    }

    fn find(&self, chain: u64) -> impl Iterator<Item = NodeIndex> + '_ {
        self.images.range((chain, 0, NodeIndex::default())..).take_while(move |link| link.0 == chain).map(|link| link.2)
    }

    /// How many images there are.
    pub(super) fn len(&self) -> usize {
        self.images.len()
    }
}

impl State {
    /// The layers of an image, lowest first.
    pub(super) fn layers(&self, manifest: NodeIndex) -> Vec<NodeIndex> {
        let edges = self.graph.edges(manifest).filter_map(|edge| match edge.weight() {
            Edge::Contains { position } => Some((*position, edge.target())),
            _ => None,
        });
        let mut layers: Vec<_> = edges.collect();
        layers.sort_unstable();
        layers.into_iter().map(|(_, layer)| layer).collect()
    }

    /// Images whose layers are a proper beginning of these, each with how many it has: the longest first, those with just the same
    /// layers in no order. `look` says whether to go on.
    pub(super) fn beginnings(&self, layers: &[NodeIndex], mut look: impl FnMut(usize, NodeIndex) -> bool) {
        let prefixes = self.prefixes(layers);
        for length in (1..layers.len()).rev() {
            let images = prefixes.get(length - 1).into_iter().flat_map(|&chain| self.chains.find(chain));
            for image in images.filter(|&image| self.layers(image) == layers[..length]) {
                if !look(length, image) {
                    return;
                }
            }
        }
    }

    /// The hash by which an image is found. None for what is no image.
    pub(super) fn chain(&self, manifest: NodeIndex) -> Option<u64> {
        self.as_content(manifest).filter(|content| content.role == Role::Manifest)?;
        self.prefixes(&self.layers(manifest)).last().copied()
    }

    /// An image, or an index, has become known with all its edges.
    pub(super) fn base_arrived(&mut self, manifest: NodeIndex) {
        self.measure_declared(manifest);
        let layers = self.layers(manifest);
        let prefixes = self.prefixes(&layers);
        let Some(&chain) = prefixes.last() else { return };
        let is_first = self.first_of(chain, &layers).is_none_or(|first| self.is_before(manifest, first));
        self.chains.images.extend(self.chain_link(chain, manifest));
        self.find_base(manifest, &layers, &prefixes);
        // Whoever is built on these layers is linked to the first image that has them.
        if is_first {
            for dependent in self.built_on(&layers) {
                self.offer_base(dependent, manifest, layers.len());
            }
        }
    }

    /// An image, or an index, is about to lose its edges.
    pub(super) fn base_leaves(&mut self, manifest: NodeIndex) {
        if let Some(link) = self.chain(manifest).and_then(|chain| self.chain_link(chain, manifest)) {
            self.chains.images.remove(&link);
        }
        let by_layers = |edge: &Edge| matches!(edge, Edge::BasedOn { declared: false, .. });
        for dependent in self.unlink_where(manifest, Direction::Incoming, by_layers) {
            let layers = self.layers(dependent);
            let prefixes = self.prefixes(&layers);
            self.find_base(dependent, &layers, &prefixes);
        }
    }

    /// Writes how many layers are shared into the edges of those that say that they are built on this content, or on an index
    /// that holds it.
    pub(super) fn measure_declared(&mut self, base: NodeIndex) {
        let indexes = self.graph.edges_directed(base, Direction::Incoming).filter_map(|edge| match edge.weight() {
            Edge::Child { .. } => Some(edge.source()),
            _ => None,
        });
        let bases: Vec<_> = std::iter::once(base).chain(indexes).collect();
        for base in bases {
            let dependents = self.graph.edges_directed(base, Direction::Incoming);
            let declared = dependents.filter(|edge| matches!(edge.weight(), Edge::BasedOn { declared: true, .. }));
            let declared: Vec<_> = declared.map(|edge| (edge.id(), edge.source())).collect();
            for (edge, dependent) in declared {
                let shared = self.shared(dependent, base);
                self.relabel(edge, Edge::BasedOn { shared, declared: true });
            }
        }
    }

    /// How many layers from the lowest on an image shares with another, or with the one of an index that shares most.
    pub(super) fn shared(&self, image: NodeIndex, base: NodeIndex) -> u16 {
        let layers = self.layers(image);
        let common = |other: NodeIndex| {
            let others = self.layers(other);
            layers.iter().zip(&others).take_while(|(one, other)| one == other).count() as u16
        };
        let children = self.graph.edges(base).filter(|edge| matches!(edge.weight(), Edge::Child { .. }));
        let most = children.map(|edge| common(edge.target())).max();
        most.unwrap_or_default().max(common(base))
    }

    /// Links an image to its base by layers, unless it says itself what it is built on.
    fn find_base(&mut self, image: NodeIndex, layers: &[NodeIndex], prefixes: &[u64]) {
        if self.base_of(image).is_some() {
            return;
        }
        for length in (1..layers.len()).rev() {
            let Some(&chain) = prefixes.get(length - 1) else { return };
            if let Some(base) = self.first_of(chain, &layers[..length]) {
                self.link(image, base, Edge::BasedOn { shared: length as u16, declared: false });
                return;
            }
        }
    }

    /// Links an image to a base that shares `length` layers and comes before all others that share as many.
    fn offer_base(&mut self, image: NodeIndex, base: NodeIndex, length: usize) {
        match self.base_of(image) {
            Some((_, Edge::BasedOn { declared: true, .. })) => return,
            Some((_, Edge::BasedOn { shared, .. })) if usize::from(shared) > length => return,
            Some((edge, _)) => self.unlink(edge),
            None => {}
        }
        self.link(image, base, Edge::BasedOn { shared: length as u16, declared: false });
    }

    fn base_of(&self, image: NodeIndex) -> Option<(EdgeIndex, Edge)> {
        let mut edges = self.graph.edges(image).map(|edge| (edge.id(), *edge.weight()));
        edges.find(|(_, edge)| matches!(edge, Edge::BasedOn { .. }))
    }

    /// Of the images with just these layers, the first by digest.
    fn first_of(&self, chain: u64, layers: &[NodeIndex]) -> Option<NodeIndex> {
        self.chains.find(chain).take(COMPARED).find(|&image| self.layers(image) == layers)
    }

    fn chain_link(&self, chain: u64, image: NodeIndex) -> Option<Link> {
        Some((chain, self.as_content(image)?.digest.beginning(), image))
    }

    fn is_before(&self, one: NodeIndex, other: NodeIndex) -> bool {
        let digest = |node| self.as_content(node).map(|content| content.digest.as_bytes());
        digest(one) < digest(other)
    }

    /// The images that have more layers than these, and these at the beginning.
    fn built_on(&self, layers: &[NodeIndex]) -> Vec<NodeIndex> {
        let Some(rarest) = self.rarest(layers) else { return Vec::new() };
        let place = layers.iter().position(|&layer| layer == rarest).unwrap_or_default();
        let users = self.graph.edges_directed(rarest, Direction::Incoming);
        let candidates = users.filter_map(|edge| match edge.weight() {
            Edge::Contains { position } if usize::from(*position) == place => Some(edge.source()),
            _ => None,
        });
        let begins = |&image: &NodeIndex| {
            let others = self.layers(image);
            others.len() > layers.len() && others.starts_with(layers)
        };
        candidates.filter(begins).collect()
    }

    /// The layer that has the fewest edges: all are walked at the same pace until one comes to its end.
    fn rarest(&self, layers: &[NodeIndex]) -> Option<NodeIndex> {
        let mut walks: Vec<_> =
            layers.iter().map(|&layer| (layer, self.graph.edges_directed(layer, Direction::Incoming))).collect();
        loop {
            for (layer, walk) in &mut walks {
                if walk.next().is_none() {
                    return Some(*layer);
                }
            }
            if walks.is_empty() {
                return None;
            }
        }
    }

    /// A hash of the lowest layer, of the lowest two, and so on. Digests are hashes: eight bytes of each are enough.
    fn prefixes(&self, layers: &[NodeIndex]) -> Vec<u64> {
        let fingerprints = layers.iter().filter_map(|&layer| self.as_content(layer)).map(|content| &content.digest);
        let mut prefixes = Vec::with_capacity(layers.len());
        let mut hash: u64 = 0;
        for (place, fingerprint) in fingerprints.enumerate() {
            if place == 0 && *fingerprint == Fingerprint::Sha256(EMPTY) {
                return prefixes;
            }
            hash = (hash.rotate_left(23) ^ fingerprint.beginning()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            prefixes.push(hash);
        }
        prefixes
    }
}
