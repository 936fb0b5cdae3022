//! Names in Neo4j, the same in files and in live exports.

/// The label that every node has: what is found by its `id`, and what belongs to an export.
pub(in crate::graph) const EVERY_NODE: &str = "Harbinger";

/// Makes `id` the name of a node.
pub(in crate::graph) const CONSTRAINT: &str =
    "CREATE CONSTRAINT harbinger_id IF NOT EXISTS FOR (n:Harbinger) REQUIRE n.id IS UNIQUE";

/// Kinds of nodes of which one can become another.
pub(in crate::graph) const CONTENTS: [&str; 6] = ["layer", "config", "blob", "manifest", "index", "unknown"];

/// The label of a kind of nodes: `Layer`.
pub(in crate::graph) fn label(kind: &str) -> String {
    let mut characters = kind.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

/// The type of a kind of edges: `BASED_ON`.
pub(in crate::graph) fn relationship(kind: &str) -> String {
    kind.to_ascii_uppercase()
}

/// `SET n:Layer REMOVE n:Config:Blob…`: a content that was something else before is that no longer.
pub(in crate::graph) fn set_label(kind: &str) -> String {
    let others: String = CONTENTS.iter().filter(|other| **other != kind).map(|other| format!(":{}", label(other))).collect();
    let set = format!("SET n:{}", label(kind));
    if CONTENTS.contains(&kind) { format!("{set} REMOVE n{others}") } else { set }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!((label("layer"), relationship("based_on")), ("Layer".to_owned(), "BASED_ON".to_owned()));
        assert_eq!(set_label("tag"), "SET n:Tag");
        assert_eq!(set_label("layer"), "SET n:Layer REMOVE n:Config:Blob:Manifest:Index:Unknown");
    }
}
