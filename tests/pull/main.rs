//! The whole proxy in one process, between a scripted upstream and a client that sees every byte.
//!
//! | file | what lives there |
//! |---|---|
//! | `upstream` | the fake registry: content, a script of faults, a log of what was asked of it |
//! | `client` | an HTTP client that tells a complete body from a cut one |
//! | `proxy` | Harbinger, started in this process on a free port |
//! | `content` | blobs, images and indexes to pull |
//! | `bucket` | a bucket that edges share |
//! | `small_disk` | a disk that is soon full |
//! | all others | tests, one theme a file |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]
#![expect(clippy::disallowed_methods, reason = "the fake upstream and the clients run on the test's own runtime")]

mod at_rest;
mod auth;
mod badinput;
mod bucket;
mod caches;
mod client;
mod content;
mod counts;
mod diskfull;
mod edges;
mod events;
mod faults;
mod graph;
mod integrity;
mod isolation;
mod lists;
mod notifications;
mod parents;
mod prediction;
mod prefetch;
mod proxy;
mod purge;
mod ranges;
mod redirects;
mod restart;
mod routing;
mod rules;
mod sharing;
mod small_disk;
mod superseding;
mod upstream;
mod watching;
