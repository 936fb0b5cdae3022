//! How far a live export is, in a small file, so that one that was cut goes on.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::LiveError;
use crate::graph::{EdgeRecord, NodeRecord};

/// What is known of an export to one target that has not come to its end: its generation, and which records the target has
/// acknowledged.
///
/// Those are kept as a number and a hash over them. When the first records of the graph are still the same, the rest is sent,
/// in the same generation; when they are not, everything is, in a new one. What changes all the time, such as rates, does not
/// count: the target has it as it was.
#[derive(Debug)]
pub struct Memory {
    file: PathBuf,
    pub(super) cut: Option<Cut>,
}

/// Where an export was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    pub(super) generation: i64,
    pub(super) nodes: Sent,
    pub(super) edges: Sent,
}

/// Records in their order: how many, and a hash over what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) count: u64,
    hash: u64,
}

impl Sent {
    pub(super) fn add_node(&mut self, node: &NodeRecord) {
        self.add(&(&node.id, &node.kind));
    }

    pub(super) fn add_edge(&mut self, edge: &EdgeRecord) {
        self.add(&(&edge.from, &edge.to, &edge.kind, edge.key));
    }

    pub(super) const fn is(self, other: Self) -> bool {
        self.count == other.count && self.hash == other.hash
    }

    /// The hash is of use on this machine, to this version, and else leads to everything being sent anew.
    fn add(&mut self, what: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.hash, what).hash(&mut hasher);
        (self.count, self.hash) = (self.count + 1, hasher.finish());
    }
}

impl Memory {
    /// Reads what is known of an export to `target`, from the data folder. What cannot be read is as good as nothing.
    pub fn read(data: &Path, target: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        target.hash(&mut hasher);
        let file = data.join(format!("live-export-{:016x}.json", hasher.finish()));
        let cut = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { file, cut }
    }

    /// Writes down how far it is.
    pub(super) fn keep(&self, cut: &Cut) -> Result<(), LiveError> {
        self.write(cut).map_err(|error| LiveError::Memory(self.file.display().to_string(), error))
    }

    /// The export has come to its end.
    pub(super) fn forget(&self) {
        // Left behind, it would have the next export begin in the old generation, and change nothing else.
        let _ = fs::remove_file(&self.file);
    }

    /// In one step. Not synced: what is lost is sent again.
    fn write(&self, cut: &Cut) -> io::Result<()> {
        let unfinished = self.file.with_extension("json.new");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(cut)?)?;
        fs::rename(unfinished, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_its_own_which_comes_back_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::read(folder.path(), "bolt://a");
        assert_eq!(memory.cut, None);
        let cut = Cut { generation: 7, nodes: Sent { count: 1, hash: 2 }, edges: Sent::default() };
        memory.keep(&cut).unwrap();
        assert_eq!(Memory::read(folder.path(), "bolt://a").cut, Some(cut));
        assert_eq!(Memory::read(folder.path(), "bolt://b").cut, None);
        memory.forget();
        assert_eq!(Memory::read(folder.path(), "bolt://a").cut, None);
    }

    #[test]
    fn an_order_or_another_record_makes_another_hash() {
        let node = |id: &str| NodeRecord { id: id.to_owned(), kind: "layer".into(), properties: Vec::new() };
        let of = |ids: &[&str]| {
            let mut sent = Sent::default();
            ids.iter().for_each(|id| sent.add_node(&node(id)));
            sent
        };
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a"]), of(&["c"]));
        assert_eq!(of(&["a", "b"]).count, 2);
    }
}
