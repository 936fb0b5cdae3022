//! The way out for bytes.
//!
//! The HTTP dispatcher copies every chunk of a body into its write buffer, so no body of its own can be sent without a copy.
//! But it calls the connection's `poll_flush` only once that buffer is empty. That is the door: a file body puts what it
//! wants sent into the [`Lane`] of its connection and waits; [`Connection`]'s `poll_flush` sends it with `sendfile`.
//! Order, keep-alive and back-pressure stay the dispatcher's. Pipelined requests are given to it in turn, one by one.

mod body;
mod connection;
mod file_reads;
mod lane;
mod pace;
mod turns;

pub(super) use body::OutBody;
pub(super) use connection::Connection;
pub(super) use lane::{Lane, Receipt};
pub(super) use pace::PaceLimit;

#[cfg(test)]
mod tests;
