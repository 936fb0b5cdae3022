//! Why a graph could not be brought into a database.

use std::io;

/// Why a live export failed. The text names the cause and, where there is one, the cure. What had been sent stays; the export
/// can be started again.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Nobody answers there.
    #[error("{target} cannot be reached: {error}")]
    Unreachable {
        /// Where.
        target: String,
        /// What the system says.
        error: io::Error,
    },
    /// It answered, but not in the protocol of such a database.
    #[error("what listens on {target} is not {expected}: {why}")]
    WrongServer {
        /// Where.
        target: String,
        /// What should be there.
        expected: &'static str,
        /// What it said.
        why: String,
    },
    /// It wants other credentials.
    #[error("{target} refuses the user name or the password ({why}); give them as --user and in the variable GRAPH_PASSWORD")]
    Login {
        /// Where.
        target: String,
        /// What it said.
        why: String,
    },
    /// It refused what it was asked for.
    #[error("the database refused a request: {0}")]
    Refused(String),
    /// It did not say anything for a long time.
    #[error("the database did not answer within {0} s")]
    Silent(u64),
    /// The connection broke.
    #[error("the connection to the database broke: {0}; start the export again to go on")]
    Broken(String),
    /// The records ended in an error.
    #[error("the graph cannot be read: {0}")]
    Records(io::Error),
    /// How far it is cannot be written down.
    #[error("how far the export is cannot be kept in {0}: {1}")]
    Memory(String, io::Error),
    /// The address is malformed.
    #[error("'{0}' is not an address such as {1}")]
    Address(String, &'static str),
}
