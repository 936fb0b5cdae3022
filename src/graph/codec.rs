//! Rows: how nodes and edges are written. What is read back is checked; a row that makes no sense is refused.
//!
//! Numbers without a fixed width are of seven bits a byte, the lowest first. A node's row is its kind, what it is, the edges
//! that leave it (apart from those with rows of their own, and `Holds`, which follows from the tag) and the rates of a content.

mod reader;

use std::sync::Arc;

use petgraph::{stable_graph::NodeIndex, visit::EdgeRef};

use super::{
    bases::Link,
    model::{Audience, Content, Edge, Fingerprint, Node, RepositoryNode, Role, State, TagNode},
    names::Interned,
    rates::Rates,
};
use reader::Reader;

const SHA256: u8 = 1;
const SHA512: u8 = 2;
const REPOSITORY: u8 = 3;
const TAG: u8 = 4;
const AUDIENCE: u8 = 5;

/// A row that cannot have been written like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row of node {0} is damaged")]
pub(super) struct Damaged(pub(super) u32);

/// What many rows say.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) nodes: Vec<(u32, Node)>,
    pub(super) edges: Vec<(u32, u32, Edge)>,
    pub(super) rates: Vec<(u32, Interned, Rates)>,
    /// Images.
    pub(super) chains: Vec<Link>,
}

impl State {
    /// Writes the row of a node that is there.
    pub(super) fn encode(&self, index: NodeIndex, row: &mut Vec<u8>) {
        let Some(node) = self.node(index) else { return };
        match node {
            Node::Content(content) => self.encode_content(index, content, row),
            Node::Repository(repository) => {
                row.extend([REPOSITORY, u8::from(repository.private)]);
                write_text(row, &repository.route);
                write_text(row, repository.name.as_str());
                let edges = self.co_pulled.get(&index).into_iter().flatten();
                for &edge in edges {
                    if let (Some((_, to)), Some(edge)) = (self.graph.edge_endpoints(edge), self.graph.edge_weight(edge)) {
                        write_edge(row, to, edge);
                    }
                }
            }
            Node::Tag(tag) => {
                row.push(TAG);
                write_number(row, tag.repository.index() as u64);
                write_text(row, tag.tag.as_str());
                self.encode_edges(index, row);
            }
            Node::Audience(audience) => {
                row.push(AUDIENCE);
                write_number(row, audience.region.0.into());
                row.push(audience.customer.is_some().into());
                write_text(row, audience.customer.as_deref().unwrap_or_default());
            }
        }
    }

    fn encode_content(&self, index: NodeIndex, content: &Content, row: &mut Vec<u8>) {
        let chain = self.chain(index);
        row.push(if matches!(content.digest, Fingerprint::Sha256(_)) { SHA256 } else { SHA512 });
        row.extend(content.digest.as_bytes());
        row.push(content.role as u8 | u8::from(chain.is_some()) << 7);
        write_number(row, content.size);
        row.extend(content.first_seen.to_le_bytes());
        write_number(row, content.created.into());
        write_number(row, content.media_type.0.into());
        row.extend(chain.iter().flat_map(|chain| chain.to_le_bytes()));
        self.encode_edges(index, row);
        for (region, rates) in &self.rates {
            if let Some(rates) = rates.get(&index) {
                row.push(0);
                write_number(row, region.0.into());
                row.extend(rates.at.to_le_bytes());
                row.extend(rates.counts.iter().flat_map(|count| count.to_le_bytes()));
            }
        }
    }

    fn encode_edges(&self, index: NodeIndex, row: &mut Vec<u8>) {
        for edge in self.graph.edges(index) {
            write_edge(row, edge.target(), edge.weight());
        }
    }
}

/// What the row of an edge says beside its ends.
pub(super) fn encode_lone(edge: &Edge, row: &mut Vec<u8>) {
    if let Edge::Wants { weight, at } = edge {
        row.extend(weight.to_le_bytes());
        row.extend(at.to_le_bytes());
    }
}

/// Reads what [`encode_lone`] wrote.
pub(super) fn decode_lone(row: &[u8]) -> Option<Edge> {
    if row.is_empty() {
        return Some(Edge::Has);
    }
    let mut row = Reader(row);
    let edge = Edge::Wants { weight: row.float()?, at: row.word()? };
    row.0.is_empty().then_some(edge)
}

impl Decoded {
    /// Reads the row of a node.
    pub(super) fn read(&mut self, index: u32, row: &[u8]) -> Result<(), Damaged> {
        let mut row = Reader(row);
        let node = self.read_node(index, &mut row).ok_or(Damaged(index))?;
        self.nodes.push((index, node));
        while !row.0.is_empty() {
            self.read_more(index, &mut row).ok_or(Damaged(index))?;
        }
        Ok(())
    }

    fn read_node(&mut self, index: u32, row: &mut Reader<'_>) -> Option<Node> {
        let digest = match row.byte()? {
            SHA256 => Fingerprint::Sha256(row.array()?),
            SHA512 => Fingerprint::Sha512(Box::new(row.array()?)),
            REPOSITORY => {
                let private = row.bool()?;
                let (route, name) = (row.text()?.into(), row.text()?.parse().ok()?);
                return Some(Node::Repository(Box::new(RepositoryNode { route, name, private })));
            }
            TAG => {
                let repository: u32 = row.number()?.try_into().ok()?;
                let tag = row.text()?.parse().ok()?;
                self.edges.push((repository, index, Edge::Holds));
                return Some(Node::Tag(Box::new(TagNode { repository: NodeIndex::from(repository), tag })));
            }
            AUDIENCE => {
                let region = row.name()?;
                let is_somebody = row.bool()?;
                let customer: Arc<str> = row.text()?.into();
                return Some(Node::Audience(Box::new(Audience { customer: is_somebody.then_some(customer), region })));
            }
            _ => return None,
        };
        let flags = row.byte()?;
        let role = role(flags & 0x7f)?;
        let size = row.number()?;
        let (first_seen, created) = (row.word()?, row.number()?.try_into().ok()?);
        let media_type = row.name()?;
        if flags & 0x80 != 0 {
            self.chains.push((u64::from_le_bytes(row.array()?), digest.beginning(), NodeIndex::from(index)));
        }
        Some(Node::Content(Content { digest, size, first_seen, created, media_type, role }))
    }

    /// An edge, or the rates of a region.
    fn read_more(&mut self, index: u32, row: &mut Reader<'_>) -> Option<()> {
        let code = row.byte()?;
        if code == 0 {
            let region = row.name()?;
            let at = row.word()?;
            let counts = [row.float()?, row.float()?, row.float()?];
            self.rates.push((index, region, Rates { at, counts }));
            return Some(());
        }
        let to: u32 = row.number()?.try_into().ok()?;
        let edge = match code {
            1 => Edge::Contains { position: row.short()? },
            2 => Edge::Configured,
            3 => Edge::Child { position: row.short()?, platform: row.name()? },
            6 => Edge::Names { since: row.word()?, until: row.word()? },
            7 => Edge::Succeeded { at: row.word()? },
            8 => Edge::NextVersion,
            9 => Edge::BasedOn { shared: row.short()?, declared: row.bool()? },
            10 => Edge::CoPulled { weight: row.float()?, at: row.word()? },
            11 => Edge::Refers,
            _ => return None,
        };
        self.edges.push((index, to, edge));
        Some(())
    }
}

fn write_edge(row: &mut Vec<u8>, to: NodeIndex, edge: &Edge) {
    row.push(edge.code());
    write_number(row, to.index() as u64);
    match edge {
        Edge::Contains { position } => write_number(row, (*position).into()),
        Edge::Child { position, platform } => {
            write_number(row, (*position).into());
            write_number(row, platform.0.into());
        }
        Edge::Names { since, until } => {
            row.extend(since.to_le_bytes());
            row.extend(until.to_le_bytes());
        }
        Edge::Succeeded { at } => row.extend(at.to_le_bytes()),
        Edge::BasedOn { shared, declared } => {
            write_number(row, (*shared).into());
            row.push((*declared).into());
        }
        Edge::CoPulled { weight, at } => {
            row.extend(weight.to_le_bytes());
            row.extend(at.to_le_bytes());
        }
        Edge::Configured | Edge::NextVersion | Edge::Refers => {}
        // In rows of their own, or not written.
        Edge::Has | Edge::Holds | Edge::Wants { .. } => {}
    }
}

fn write_number(row: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        row.push(number as u8 | 0x80);
        number >>= 7;
    }
    row.push(number as u8);
}

fn write_text(row: &mut Vec<u8>, text: &str) {
    write_number(row, text.len() as u64);
    row.extend(text.as_bytes());
}

const fn role(number: u8) -> Option<Role> {
    Some(match number {
        0 => Role::Unknown,
        1 => Role::Blob,
        2 => Role::Config,
        3 => Role::Layer,
        4 => Role::Manifest,
        5 => Role::Index,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Algorithm, Digest};

    fn state() -> (State, Vec<NodeIndex>) {
        let mut state = State::default();
        let content = |algorithm, name: &str| Content::new(&Digest::of(algorithm, name.as_bytes()), 1_700_000_000);
        let mut image = content(Algorithm::Sha256, "image");
        (image.role, image.size, image.created, image.media_type) = (Role::Manifest, u64::MAX, 9, Interned(300));
        let image = state.add(Node::Content(image));
        let layer = state.add(Node::Content(content(Algorithm::Sha512, "layer")));
        let repository = RepositoryNode { route: "docker.io".into(), name: "a/b".parse().unwrap(), private: true };
        let repository = state.add(Node::Repository(Box::new(repository)));
        let tag = state.add(Node::Tag(Box::new(TagNode { repository, tag: "1.0".parse().unwrap() })));
        let audience = Audience { customer: Some("acme".into()), region: Interned(7) };
        let audience = state.add(Node::Audience(Box::new(audience)));
        for (from, to, edge) in [
            (image, layer, Edge::Contains { position: 0 }),
            (image, layer, Edge::Configured),
            (image, layer, Edge::Child { position: 500, platform: Interned(3) }),
            (image, layer, Edge::BasedOn { shared: 1, declared: true }),
            (image, layer, Edge::Refers),
            (image, layer, Edge::Succeeded { at: 8 }),
            (repository, repository, Edge::CoPulled { weight: 1.5, at: 4 }),
            (repository, tag, Edge::Holds),
            (tag, image, Edge::Names { since: 1, until: 0 }),
            (tag, tag, Edge::NextVersion),
        ] {
            state.link(from, to, edge);
        }
        state.rates.entry(Interned(7)).or_default().entry(image).or_default().add(99);
        (state, vec![image, layer, repository, tag, audience])
    }

    fn row(state: &State, node: NodeIndex) -> Vec<u8> {
        let mut row = Vec::new();
        state.encode(node, &mut row);
        row
    }

    #[test]
    fn every_node_and_every_edge_is_read_as_it_was_written() {
        let (state, nodes) = state();
        let mut decoded = Decoded::default();
        for node in &nodes {
            decoded.read(node.index() as u32, &row(&state, *node)).unwrap();
        }
        let mut again = State::default();
        for (_, node) in decoded.nodes {
            again.add(node);
        }
        for (from, to, edge) in decoded.edges {
            again.link(NodeIndex::from(from), NodeIndex::from(to), edge);
        }
        for (node, region, rates) in decoded.rates {
            again.rates.entry(region).or_default().insert(NodeIndex::from(node), rates);
        }
        assert_eq!(again.dump(), state.dump());
        let beginning = state.as_content(nodes[0]).unwrap().digest.beginning();
        assert_eq!(decoded.chains, [(state.chain(nodes[0]).unwrap(), beginning, nodes[0])]);
        for edge in [Edge::Has, Edge::Wants { weight: 2.5, at: 77 }] {
            let mut row = Vec::new();
            encode_lone(&edge, &mut row);
            assert_eq!(decode_lone(&row), Some(edge));
        }
    }

    #[test]
    fn a_row_that_is_cut_or_changed_is_refused_or_read_but_never_trusted_blindly() {
        let (state, nodes) = state();
        let mut refused = 0;
        for node in nodes {
            let row = row(&state, node);
            for end in 0..row.len() {
                refused += u32::from(Decoded::default().read(0, &row[..end]).is_err());
            }
            for at in 0..row.len() {
                for bit in 0..8 {
                    let mut row = row.clone();
                    row[at] ^= 1 << bit;
                    refused += u32::from(Decoded::default().read(0, &row).is_err());
                }
            }
        }
        assert!(refused > 400, "{refused}");
        for row in [&[][..], &[9], &[SHA256, 0], &[AUDIENCE, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(Decoded::default().read(5, row), Err(Damaged(5)), "{row:?}");
        }
        assert_eq!((decode_lone(&[1, 2, 3]), decode_lone(&[0; 9])), (None, None));
        assert_eq!(decode_lone(&[0xff; 8]), None, "not a number");
    }
}
