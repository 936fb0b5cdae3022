//! Whole conversations of [`super::HttpOrigin`] with a scripted upstream.

mod authorization;
mod blobs;
mod failures;
mod lists;
mod manifests;
mod parents;
mod redirects;
