//! What lies where, for people who want to know.

use std::{cmp::Ordering, sync::Arc};

use super::{Disk, Listed, Tier, Tiers};
use crate::{oci::Digest, telemetry::TierName};

/// Which contents of the disk tiers are asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// On this tier only, by its label.
    pub tier: Option<String>,
    /// Last wanted by this customer only.
    pub customer: Option<String>,
    /// What comes first.
    pub order: Order,
    /// How many of the first are left out.
    pub offset: usize,
    /// How many there are to be at most.
    pub limit: usize,
}

/// What comes first; what is alike in that comes in the order of digests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The largest.
    #[default]
    Size,
    /// What is wanted most.
    Heat,
    /// What is worth least, and leaves next.
    Value,
    /// The lowest digest.
    Digest,
}

/// A content of a disk tier.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// The tier's label.
    pub tier: Arc<str>,
    /// What is known of it there.
    pub entry: Listed,
}

/// A tier that has a content.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The tier's label; `hosted` for what was pushed.
    pub tier: Arc<str>,
    /// Its kind.
    pub kind: TierName,
    /// The content's length in bytes there.
    pub size: u64,
    /// What else a disk tier knows of it.
    pub entry: Option<Listed>,
}

impl Tiers {
    /// The contents of the disk tiers that are asked for, and how many there are in all. Takes a while when there are many,
    /// and blocks for so long; the tiers go on serving.
    pub fn select(&self, selection: &Selection) -> (Vec<Selected>, u64) {
        let Selection { tier, customer, order, offset, limit } = selection;
        let (mut best, mut count) = (Best::new(*order, offset.saturating_add(*limit)), 0);
        for disk in self.disks.iter().filter(|disk| tier.as_ref().is_none_or(|tier| **tier == **disk.label())) {
            disk.visit(|entry| {
                if customer.as_ref().is_none_or(|customer| **customer == *entry.customer) {
                    count += 1;
                    best.offer(Selected { tier: disk.label().clone(), entry });
                }
            });
        }
        (best.sorted().into_iter().skip(*offset).collect(), count)
    }

    /// Where a content lies. Blocks.
    pub fn holders(&self, digest: &Digest) -> Vec<Holder> {
        let of = |tier: &Arc<str>, kind, size| Holder { tier: tier.clone(), kind, size, entry: None };
        let memory = self.memory.size(digest).map(|size| of(&self.memory_label, TierName::Memory, size));
        let on = |disk: &Disk| {
            let entry = disk.show(digest)?;
            Some(Holder { entry: Some(entry.clone()), ..of(disk.label(), disk.name(), entry.size) })
        };
        let hosted = self.hosted.size(digest).map(|size| of(&TierName::Hosted.as_str().into(), TierName::Hosted, size));
        memory.into_iter().chain(self.disks.iter().filter_map(on)).chain(hosted).collect()
    }
}

/// The first so many of what is offered, in a memory of twice that.
struct Best {
    order: Order,
    limit: usize,
    kept: Vec<Selected>,
}

impl Best {
    fn new(order: Order, limit: usize) -> Self {
        Self { order, limit, kept: Vec::new() }
    }

    fn offer(&mut self, one: Selected) {
        self.kept.push(one);
        if self.kept.len() >= self.limit.saturating_mul(2).max(1024) {
            let (order, last) = (self.order, self.kept.len() - 1);
            self.kept.select_nth_unstable_by(self.limit.min(last), |one, other| order.compare(one, other));
            self.kept.truncate(self.limit);
        }
    }

    fn sorted(mut self) -> Vec<Selected> {
        self.kept.sort_by(|one, other| self.order.compare(one, other));
        self.kept.truncate(self.limit);
        self.kept
    }
}

impl Order {
    fn compare(self, one: &Selected, other: &Selected) -> Ordering {
        let (this, that) = (&one.entry, &other.entry);
        let first = match self {
            Self::Size => that.size.cmp(&this.size),
            Self::Heat => that.heat.total_cmp(&this.heat),
            Self::Value => this.value.total_cmp(&that.value),
            Self::Digest => Ordering::Equal,
        };
        first.then_with(|| this.digest.cmp(&that.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Content, ContentStore, DiskSettings, ScrubSettings, TierSettings, Wanted},
        *,
    };
    use crate::oci::Algorithm;

    fn selected(n: u32) -> Selected {
        let digest = Digest::of(Algorithm::Sha256, &n.to_be_bytes());
        let (size, heat, value) = (u64::from(n % 1000), f64::from(n % 7), n as f32);
        let entry = Listed { digest, size, heat, value, customer: "unknown".into(), verified: true };
        Selected { tier: "disk".into(), entry }
    }

    #[test]
    fn the_best_are_kept_in_whatever_order_they_come() {
        for order in [Order::Size, Order::Heat, Order::Value, Order::Digest] {
            for (limit, count) in [(0, 5000), (1, 5000), (10, 5000), (900, 5000), (3000, 5000), (100, 50)] {
                let mut all: Vec<_> = (0..count).map(selected).collect();
                let mut best = Best::new(order, limit);
                fastrand::Rng::with_seed(u64::from(count)).shuffle(&mut all);
                for one in &all {
                    best.offer(one.clone());
                    assert!(best.kept.len() <= (2 * limit).max(1024));
                }
                all.sort_by(|one, other| order.compare(one, other));
                all.truncate(limit);
                assert_eq!(best.sorted(), all, "{order:?} {limit}");
            }
        }
    }

    #[tokio::test]
    async fn what_lies_where_can_be_asked() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let disk =
            |name: &str, at: usize| DiskSettings { name: name.to_owned(), ..DiskSettings::new(folders[at].path(), 1 << 30) };
        let disks = vec![disk("fast", 0), disk("slow", 1)];
        let (memory_limit, memory_max_entry, move_rate, scrub) = (1 << 20, 100, 0, ScrubSettings::NEVER);
        let settings = TierSettings { memory_limit, memory_max_entry, disks, move_rate, scrub };
        let tiers = Tiers::open(settings, ContentStore::open(folders[0].path()).unwrap()).unwrap();
        let mut digests = Vec::new();
        for n in 0..4_u8 {
            let content = vec![n; 50 + usize::from(n) * 100];
            let digest = Digest::of(Algorithm::Sha256, &content);
            let (disk, content) = (&tiers.disks()[usize::from(n) / 2], Content::Bytes(content.into()));
            disk.store(&digest, content).await.unwrap();
            digests.push(digest);
        }
        let acme = Wanted { customer: Some("acme".into()), ..Wanted::default() };
        for at in [0, 3] {
            tiers.lookup(&digests[at], &acme).await.unwrap();
        }
        let select = |selection: &Selection| -> (Vec<Digest>, u64) {
            let (selected, count) = tiers.select(selection);
            (selected.into_iter().map(|one| one.entry.digest).collect(), count)
        };
        let all = Selection { limit: 10, ..Selection::default() };
        let by_size: Vec<_> = digests.iter().rev().copied().collect();
        assert_eq!(select(&all), (by_size.clone(), 4));
        assert_eq!(select(&Selection { offset: 1, limit: 2, ..all.clone() }), (by_size[1..3].to_vec(), 4));
        assert_eq!(select(&Selection { tier: Some("fast".to_owned()), ..all.clone() }), (by_size[2..].to_vec(), 2));
        assert_eq!(select(&Selection { tier: Some("no".to_owned()), ..all.clone() }), (vec![], 0));
        let of_acme = Selection { customer: Some("acme".to_owned()), ..all.clone() };
        assert_eq!(select(&of_acme), (vec![digests[3], digests[0]], 2));
        let hottest = select(&Selection { order: Order::Heat, limit: 2, ..all.clone() }).0;
        assert!(hottest.contains(&digests[0]) && hottest.contains(&digests[3]));
        assert_eq!(select(&Selection { offset: usize::MAX, ..all }), (vec![], 4));

        let names = |digest| tiers.holders(digest).iter().map(|holder| holder.tier.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&digests[0]), ["memory", "fast"]);
        assert_eq!(names(&digests[3]), ["slow"]);
        let spool = tiers.spool().await.unwrap();
        tiers.hosted().store(&digests[3], spool).await.unwrap();
        assert_eq!(names(&digests[3]), ["slow", "hosted"]);
        tiers.remove(&digests[0]).await;
        assert_eq!(names(&digests[0]), [""; 0]);
    }
}
