//! The whole proxy in one process, between a scripted upstream and a client that sees every byte.
//!
//! | file | what lives there |
//! |---|---|
//! | `upstream` | the fake registry: content, a script of faults, a log of what was asked of it |
//! | `client` | an HTTP client that tells a complete body from a cut one |
//! | `proxy` | Harbinger, started in this process on a free port |
//! | `content` | blobs, images and indexes to pull |
//! | `small_disk` | a disk that is soon full |
//! | all others | tests, one theme a file |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]
#![expect(clippy::disallowed_methods, reason = "the fake upstream and the clients run on the test's own runtime")]

mod auth;
mod badinput;
mod client;
mod content;
mod counts;
mod diskfull;
mod faults;
mod integrity;
mod isolation;
mod lists;
mod proxy;
mod ranges;
mod restart;
mod routing;
mod sharing;
mod small_disk;
mod upstream;
