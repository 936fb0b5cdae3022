//! Contents that change their place between disks: up when they are wanted, down when others are wanted more.
//!
//! A disk is filled up to a mark below its limit, so that what arrives finds room while what is worth least is still on its way
//! down. Where that is too slow, the limit itself holds, and what is worth least is deleted. A content is moved at most once in
//! ten minutes ([`super::index`]), one at a time, at a bounded rate that yields to demand ([`Pace`]).

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
};

use super::{Content, Counts, Disk, Reason, Spool, Tier, blocking, pace::Pace};
use crate::oci::{Digest, Hasher};

/// Moves that wait at most; a further one is not made.
const WAITING: usize = 1024;

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// By how much a content has to be worth more than what it displaces, as a binary logarithm: 1.2 times.
const HYSTERESIS: f32 = 0.263;

/// Moves contents between the disks of one server.
#[derive(Debug)]
pub(super) struct Mover {
    shared: Arc<Shared>,
    /// Taken by [`Self::start`].
    waiting: parking_lot::Mutex<Option<mpsc::Receiver<Move>>>,
}

#[derive(Debug)]
struct Shared {
    disks: Vec<Disk>,
    pace: Pace,
    counts: Arc<Counts>,
    queue: mpsc::Sender<Move>,
    woken: Notify,
}

/// A content that is to be moved from one disk to the next.
#[derive(Debug, Clone, Copy)]
struct Move {
    digest: Digest,
    from: usize,
    to: usize,
    reason: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is wanted more than what it displaces.
    Wanted,
    /// Others are wanted more.
    NoRoom,
    /// Only a superseded version used it.
    Superseded,
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::NoRoom => "no-room",
            Self::Superseded => "superseded",
        }
    }
}

impl Mover {
    pub(super) fn new(disks: Vec<Disk>, pace: Pace, counts: Arc<Counts>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let shared = Shared { disks, pace, counts, queue, woken: Notify::new() };
        Self { shared: Arc::new(shared), waiting: parking_lot::Mutex::new(Some(waiting)) }
    }

    /// Starts to move, for as long as this value exists. A second call does nothing.
    pub(super) fn start(&self, handle: &Handle) {
        if let Some(waiting) = self.waiting.lock().take() {
            handle.spawn(run(Arc::downgrade(&self.shared), waiting));
        }
    }

    /// A client wants something: what nobody waits for goes slower.
    pub(super) fn note_demand(&self) {
        self.shared.pace.note_demand();
    }

    /// Something has been stored: there may be too much now.
    pub(super) fn wake(&self) {
        if self.shared.disks.len() > 1 {
            self.shared.woken.notify_one();
        }
    }

    /// A content was found on the disk at `position`: it may be worth more on the one before.
    pub(super) fn consider(&self, digest: &Digest, position: usize) {
        let Some(to) = position.checked_sub(1) else { return };
        if self.shared.pace.moves() && self.shared.is_worth_promoting(digest, position, to) {
            self.offer(Move { digest: *digest, from: position, to, reason: Why::Wanted });
        }
    }

    /// A content on the disk at `position` belongs on a slower one.
    pub(super) fn demote(&self, digest: &Digest, position: usize) {
        let (shared, to) = (&self.shared, position + 1);
        if to < shared.disks.len() && shared.pace.moves() && shared.disks[position].index().lock().size(digest).is_some() {
            self.offer(Move { digest: *digest, from: position, to, reason: Why::Superseded });
        }
    }

    /// A move that finds no place is not made: the content will be asked for again, or leaves on its own.
    fn offer(&self, one: Move) {
        let _ = self.shared.queue.try_send(one);
    }
}

async fn run(shared: Weak<Shared>, mut waiting: mpsc::Receiver<Move>) {
    let mut unused_looked_for = Instant::now();
    loop {
        let next = {
            let Some(shared) = shared.upgrade() else { return };
            tokio::select! {
                next = waiting.recv() => next,
                () = shared.woken.notified() => None,
                () = tokio::time::sleep(TICK) => None,
            }
        };
        let Some(shared) = shared.upgrade() else { return };
        if let Some(next) = next {
            shared.carry_out(next).await;
        }
        shared.relieve().await;
        if unused_looked_for.elapsed() >= TICK {
            unused_looked_for = Instant::now();
            shared.drop_unused().await;
        }
    }
}

impl Shared {
    /// Whether a content is worth more on a faster disk than what would have to leave it.
    fn is_worth_promoting(&self, digest: &Digest, from: usize, to: usize) -> bool {
        let source = self.disks[from].index().lock();
        let Some((candidate, heat)) = source.rested(digest).zip(source.heat(digest)) else { return false };
        drop(source);
        self.has_place(to, digest, candidate.size, heat)
    }

    /// Whether a disk has room for a content, or holds something that is worth less.
    fn has_place(&self, on: usize, digest: &Digest, size: u64, heat: f32) -> bool {
        let disk = &self.disks[on];
        if size > mark(disk) {
            return false;
        }
        let index = disk.index().lock();
        index.bytes() + size <= mark(disk)
            || index.least_rested().is_some_and(|least| index.value_of(digest, size, heat) > least.value + HYSTERESIS)
    }

    async fn carry_out(&self, one: Move) {
        let Move { digest, from, to, reason } = one;
        // Much may have happened since.
        let Some((size, heat)) = self.of(from, &digest) else { return };
        match reason {
            Why::Wanted if !self.is_worth_promoting(&digest, from, to) => return,
            Why::Wanted => self.clear(to, size, &digest, heat).await,
            _ => {}
        }
        if self.has_place(to, &digest, size, heat) {
            self.carry(one, size, heat).await;
        }
    }

    fn of(&self, disk: usize, digest: &Digest) -> Option<(u64, f32)> {
        let index = self.disks[disk].index().lock();
        index.size(digest).zip(index.heat(digest))
    }

    /// Brings every disk that has a slower one below it back under its mark.
    async fn relieve(&self) {
        for position in 0..self.disks.len() - 1 {
            while self.disks[position].usage().bytes > mark(&self.disks[position]) {
                if !self.push_down(position).await {
                    break;
                }
            }
        }
    }

    /// Makes room for a content that is worth more than what leaves.
    async fn clear(&self, position: usize, size: u64, digest: &Digest, heat: f32) {
        let disk = &self.disks[position];
        while disk.usage().bytes + size > mark(disk) {
            let is_worth_less = {
                let index = disk.index().lock();
                let value = index.value_of(digest, size, heat);
                index.least_rested().is_some_and(|least| least.value + HYSTERESIS < value)
            };
            if !is_worth_less || !self.push_down(position).await {
                return;
            }
        }
    }

    /// Moves the least valuable content of a disk to the next slower one, or drops it when nothing there is worth less. False
    /// when there is none that may leave.
    async fn push_down(&self, position: usize) -> bool {
        let disk = &self.disks[position];
        let Some(least) = disk.least_rested() else { return false };
        let (digest, to) = (least.digest, position + 1);
        let heat = disk.index().lock().heat(&digest).unwrap_or_default();
        if self.pace.moves() && to < self.disks.len() && self.has_place(to, &digest, least.size, heat) {
            return self.carry(Move { digest, from: position, to, reason: Why::NoRoom }, least.size, heat).await;
        }
        release(disk.clone(), digest).await;
        self.counts.evicted(disk.label(), Reason::NoRoom, &[digest]);
        true
    }

    /// Copies a content to another disk, and removes it where it was. False when that failed.
    async fn carry(&self, one: Move, size: u64, heat: f32) -> bool {
        let (from, to) = (&self.disks[one.from], &self.disks[one.to]);
        match self.copy(&one.digest, from, to, size).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(digest = %one.digest, tier = %from.label(), %error, "a file is damaged");
                let (from, digest) = (from.clone(), one.digest);
                let taken = blocking(move || {
                    from.quarantine(&digest);
                    Ok(())
                });
                return taken.await.is_ok();
            }
            Err(error) => {
                tracing::warn!(digest = %one.digest, from = %from.label(), to = %to.label(), %error, "a content cannot be moved");
                // It stays, and is not tried again at once.
                from.index().lock().settle(&one.digest, heat);
                return false;
            }
        }
        if from.index().lock().size(&one.digest).is_none() {
            // Somebody has removed it meanwhile, and meant it.
            to.remove(&one.digest).await;
            return true;
        }
        to.index().lock().settle(&one.digest, heat);
        release(from.clone(), one.digest).await;
        self.counts.moved(from.label(), to.label(), one.reason.as_str(), size);
        true
    }

    async fn copy(&self, digest: &Digest, from: &Disk, to: &Disk, size: u64) -> io::Result<()> {
        let (source, wanted) = (from.clone(), *digest);
        let file = Arc::new(blocking(move || source.peek(&wanted)).await?);
        let spool = to.spool().await?;
        let (mut hasher, mut offset) = (digest.algorithm().hasher(), 0);
        while offset < size {
            let length = (size - offset).min(PIECE as u64);
            tokio::time::sleep(self.pace.price(length)).await;
            let (file, target) = (file.clone(), spool.file().clone());
            hasher = blocking(move || copy_piece(&file, &target, offset, length as usize, hasher)).await?;
            offset += length;
        }
        if hasher.finish() != *digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the content does not match its digest"));
        }
        to.store(digest, Content::Spool { spool, size }).await
    }

    async fn drop_unused(&self) {
        for disk in self.disks.clone() {
            if let Err(error) = blocking(move || Ok(disk.remove_unused())).await {
                tracing::warn!(%error, "cannot look for what nobody uses");
            }
        }
    }
}

/// Up to where a disk is filled while there is time.
fn mark(disk: &Disk) -> u64 {
    disk.limit() - disk.limit() / 20
}

async fn release(disk: Disk, digest: Digest) {
    let released = blocking(move || {
        disk.release(&digest);
        Ok(())
    });
    if let Err(error) = released.await {
        tracing::warn!(%digest, %error, "a moved content could not be removed where it was");
    }
}

fn copy_piece(from: &File, to: &File, offset: u64, length: usize, mut hasher: Hasher) -> io::Result<Hasher> {
    let mut piece = vec![0; length];
    match from.read_exact_at(&mut piece, offset) {
        // Shorter than it was: damaged.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(io::ErrorKind::InvalidData.into()),
        read => read?,
    }
    hasher.update(&piece);
    Spool::write_at(to, &piece, offset)?;
    Ok(hasher)
}
