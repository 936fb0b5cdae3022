//! The program as its user meets it: a process with output, messages, signals and exit codes.
//!
//! | file | what lives there |
//! |---|---|
//! | `process` | `harbinger serve` as a child, with a folder and a configuration file of its own |
//! | `upstream` | a tiny registry, whose layer can be held back |
//! | all others | tests, one theme a file |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod access;
mod cache;
mod command;
mod demo;
mod gc;
mod graph;
mod graph_transfer;
mod log;
mod process;
mod purge;
mod refusals;
mod reload;
mod replay;
mod scrub;
mod serve;
mod stop;
mod upstream;
mod warm;
