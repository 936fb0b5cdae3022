//! Who looks into the graph, and what is shown.

/// Who looks into the graph.
///
/// Nobody but the operator learns of a private repository, of what only private repositories have, or of who asks for what:
/// to others, the graph is as if these had never been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Whoever runs this server: everything.
    Operator,
    /// Anybody: mirrors of public registries, and what they have.
    Public,
}
