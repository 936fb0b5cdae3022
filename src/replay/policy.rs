//! What stays in a cache.

mod belady;
mod fifo;
mod gdf;
mod lfu;
mod lru;
mod queue;
mod s3_fifo;
mod served;
mod sieve;
mod w_tiny_lfu;

use super::workload::{ContentId, Step, Workload};

/// Decides what leaves a cache of a limited size. The simulator keeps the book of bytes.
pub(super) trait Policy {
    /// Something happened somewhere, before anything else is told of it.
    fn observe(&mut self, _step: &Step) {}

    /// A content that is in the cache was asked for.
    fn hit(&mut self, content: ContentId);

    /// Whether a content is taken in that was asked for and is not here. Once for each miss.
    fn admits(&mut self, _content: ContentId) -> bool {
        true
    }

    /// A content has been taken in: it was asked for, or prefetched. There is room for it.
    fn insert(&mut self, content: ContentId);

    /// Takes out the content that leaves next; `None` when nothing is here.
    fn evict(&mut self) -> Option<ContentId>;
}

/// What a policy is made of.
pub(super) struct Setting<'a> {
    pub(super) workload: &'a Workload,
    pub(super) region: u16,
    pub(super) capacity: u64,
}

type Make = for<'a> fn(&Setting<'a>, f64) -> Box<dyn Policy + 'a>;

/// Exponent of the size in `gdf` when none is given.
const EXPONENT: f64 = 0.35;

/// All policies: name, meaning, and how one is made with its exponent, which only some look at.
const ALL: &[(&str, &str, Make)] = &[
    ("lru", "the least recently used leaves first", |setting, _| Box::new(lru::Lru::new(setting))),
    ("fifo", "first in, first out", |setting, _| Box::new(fifo::Fifo::new(setting))),
    ("lfu", "the least often used since it came in leaves first", |setting, _| Box::new(lfu::Lfu::new(setting))),
    ("sieve", "SIEVE (NSDI 2024)", |setting, _| Box::new(sieve::Sieve::new(setting))),
    ("s3-fifo", "S3-FIFO (SOSP 2023)", |setting, _| Box::new(s3_fifo::S3Fifo::new(setting))),
    ("w-tinylfu", "W-TinyLFU (ACM TOS 2017)", |setting, _| Box::new(w_tiny_lfu::WTinyLfu::new(setting))),
    ("gdsf", "greedy-dual size frequency (Cherkasova 1998)", |setting, _| Box::new(gdf::Gdf::classic(setting))),
    (
        "gdf",
        "gdsf by size^.35 (gdf:0.5 for another exponent) that remembers how often what left was used",
        |setting, exponent| Box::new(gdf::Gdf::new(setting, exponent)),
    ),
    ("gdf-graph", "gdf in which what customers run is worth more, and what was superseded leaves first", |setting, exponent| {
        Box::new(gdf::Gdf::new(setting, exponent).with_graph(setting.region))
    }),
    ("served", "what serve runs on a disk: the lowest forecast leaves first", |setting, _| {
        Box::new(served::Served::forecasting(setting))
    }),
    ("counted", "what serve runs on a disk without prediction: decayed counts", |setting, _| {
        Box::new(served::Served::counting(setting))
    }),
    ("belady", "bound: what is asked for again last leaves first", |setting, _| Box::new(belady::Belady::new(setting, false))),
    ("belady-size", "bound: the same by bytes times requests until then", |setting, _| {
        Box::new(belady::Belady::new(setting, true))
    }),
];

/// Name and meaning of each policy.
pub fn policies() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|(name, meaning, _)| (*name, *meaning))
}

/// Makes a policy by its name, which may be followed by `:` and an exponent. `None` when there is no such policy.
pub(super) fn make<'a>(name: &str, setting: &Setting<'a>) -> Option<Box<dyn Policy + 'a>> {
    let (name, exponent) = match name.split_once(':') {
        Some((name, exponent)) if name.starts_with("gdf") => (name, exponent.parse().ok().filter(|e| (0.0..=4.0).contains(e))?),
        Some(_) => return None,
        None => (name, EXPONENT),
    };
    ALL.iter().find(|(own, ..)| *own == name).map(|(.., make)| make(setting, exponent))
}
