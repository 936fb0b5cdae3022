//! Hosted repositories: everything a client can push, list, mount and delete, against a server in this process.
//!
//! | file | what lives there |
//! |---|---|
//! | `wire` | requests with a body: whole, in chunks, in pieces with pauses, broken off |
//! | `hosted` | a server with hosted repositories, and what clients do to it in a row |
//! | `documents` | manifests to push |
//! | `model` | what a registry must answer, in a few maps |
//! | all others | tests, one theme a file |
//!
//! The fake upstream, the reading half of the client, the small disk and the server's start come from the tests of pulls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]
#![expect(clippy::disallowed_methods, reason = "the fake upstream and the clients run on the test's own runtime")]

mod badinput;
mod blobs;
mod broken;
mod deletes;
mod diskfull;
mod documents;
mod doors;
mod events;
mod gc;
mod hosted;
mod interleavings;
mod isolation;
mod limits;
mod lists;
mod manifests;
mod model;
mod mounts;
mod references;
mod referrers;
mod restart;
mod sessions;
mod tags;
mod together;
mod uploads;
mod wire;

#[path = "../pull"]
#[expect(dead_code, reason = "each target uses its own part")]
mod pull {
    pub(crate) mod client;
    pub(crate) mod content;
    pub(crate) mod proxy;
    pub(crate) mod small_disk;
    pub(crate) mod upstream;
}

use pull::{client, content, proxy, small_disk, upstream};
