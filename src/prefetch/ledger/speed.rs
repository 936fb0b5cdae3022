//! How fast upstreams are, as seen by clients who had to wait for them.

use std::{collections::HashMap, sync::Arc};

use crate::events::{Kind, Request, Source};

/// How much a new measurement counts.
const NEW: f64 = 0.1;

/// An answer that is shorter says nothing about the rate.
const LONG_ENOUGH: u64 = 64 << 10;

/// Before anything is measured.
const TYPICAL: Speed = Speed { first_byte: 0.080, rate: 60e6 };

#[derive(Debug, Clone, Copy)]
struct Speed {
    /// Seconds.
    first_byte: f64,
    /// Bytes per second.
    rate: f64,
}

/// By upstream.
#[derive(Debug, Default)]
pub(super) struct Speeds(HashMap<Arc<str>, Speed>);

impl Speeds {
    /// Learns from an answer that came from an upstream.
    pub(super) fn learn(&mut self, request: &Request) {
        if request.source != Source::Upstream || !request.complete || !matches!(request.kind, Kind::Blob | Kind::Manifest) {
            return;
        }
        let speed = self.0.entry(request.repository.route.clone()).or_insert(TYPICAL);
        let (first_byte, total) = (seconds(request.first_byte), seconds(request.total));
        speed.first_byte += NEW * (first_byte - speed.first_byte);
        if request.bytes >= LONG_ENOUGH && total > first_byte {
            speed.rate += NEW * (request.bytes as f64 / (total - first_byte) - speed.rate);
        }
    }

    /// Seconds that a client was spared who was answered `request` with a content of `size` bytes that was fetched before.
    pub(super) fn saved(&self, request: &Request, size: u64) -> f64 {
        let Speed { first_byte, rate } = self.0.get(&request.repository.route).copied().unwrap_or(TYPICAL);
        (first_byte + size as f64 / rate - seconds(request.total)).max(0.0)
    }
}

fn seconds(microseconds: u32) -> f64 {
    f64::from(microseconds) / 1e6
}
