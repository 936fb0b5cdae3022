//! Harbinger: an OCI registry pull-through cache that fetches layers before they are asked for, and a registry of its own.
//!
//! The rooms, in the order in which a request passes through them:
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`] | the subcommands: `serve`, `check`, `cache`, `purge`, `warm`, `scrub`, `gc`, `graph`, `log`, `replay`, `demo` |
//! | [`app`] | the composition root: the only place where concrete types meet |
//! | `api` | HTTP: the route table, one file per endpoint group, the way out for bytes. The only room that knows actix |
//! | [`registry`] | what pulls, pushes, lists and deletions mean, for proxied and for hosted repositories: the orchestrator |
//! | [`customers`] | who asks |
//! | `catalog` | durable rows: links, tags, who uses a content, all that is hosted (redb) |
//! | [`tiers`] | where bytes live: memory, disks, a bucket; what they are worth where, and whether they are right; and what was pushed |
//! | `fill` | one transfer per digest, from the bucket or an upstream, followed by everyone who wants it; so is a file that is being verified |
//! | [`upstream`] | the registries behind us: routes, HTTP, tokens, retries, breaker. The only room that knows reqwest |
//! | [`events`] | what happened: the bus that tells it without waiting, the demand log, and the format of traces |
//! | [`graph`] | what is made of what, who asks for it where, and which version follows which: learned from events, kept in a database of its own |
//! | [`predict`] | what will be asked for next, and how likely |
//! | [`prefetch`] | fetching it before it is asked for, within a budget and never in a client's way |
//! | [`replay`] | what other policies and prefetchers would have made of what happened |
//! | [`oci`] | value types: digest, repository name, reference, media type, byte range. No I/O |
//! | [`coalesce`] | one piece of work per key, whoever asks for it |
//! | [`config`] | one file per section of the configuration |
//! | [`telemetry`] | logs, metrics, and the one enum of reasons why an answer did not come from the cache |
//!
//! `docs/ARCHITECTURE.md` walks through a pull; `tests/architecture.rs` keeps the arrows between rooms pointing one way.

pub mod api;
pub mod app;
pub mod catalog;
pub mod cli;
pub mod coalesce;
pub mod config;
pub mod customers;
pub mod events;
pub mod fill;
pub mod graph;
pub mod oci;
pub mod predict;
pub mod prefetch;
pub mod registry;
pub mod replay;
pub mod telemetry;
pub mod tiers;
pub mod upstream;
