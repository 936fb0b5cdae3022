//! Reading files without holding up the thread that serves connections.

use std::{
    fs::File,
    future::Future,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::rt::task::{JoinHandle, spawn_blocking};
use bytes::Bytes;

use crate::{oci::ByteRange, tiers::is_cached};

/// Bytes read at once where a file is sent in chunks.
const CHUNK: u64 = 256 << 10;

/// Makes sure that the pages of a file are in the page cache before they are sent.
#[derive(Default)]
pub(super) struct Warmer {
    warm_until: u64,
    reading: Option<JoinHandle<io::Result<()>>>,
}

impl Warmer {
    /// Ready once the beginning of `window` can be sent without waiting for the disk; tells up to where that holds. What was
    /// found present is not looked at again. A window that is found absent is read on the blocking pool, and the kernel is
    /// told of what follows `window` up to `end`.
    pub(super) fn poll_warm(
        &mut self,
        file: &Arc<File>,
        window: ByteRange,
        end: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        if self.warm_until > window.start {
            return Poll::Ready(Ok(self.warm_until));
        }
        if self.reading.is_none() {
            if is_cached(file, window.end - 1) && is_cached(file, window.start) {
                self.warm_until = window.end;
                return Poll::Ready(Ok(window.end));
            }
            let file = Arc::clone(file);
            self.reading = Some(spawn_blocking(move || read_into_cache(&file, window, end)));
        }
        if let Some(reading) = &mut self.reading {
            let outcome = ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|error| Err(io::Error::other(error)));
            self.reading = None;
            outcome?;
        }
        self.warm_until = window.end;
        Poll::Ready(Ok(window.end))
    }
}

fn read_into_cache(file: &File, window: ByteRange, end: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let ahead = std::num::NonZeroU64::new((2 * window.len()).min(end - window.start));
        // A hint only: the reads below do the work.
        let _ = rustix::fs::fadvise(file, window.start, ahead, rustix::fs::Advice::WillNeed);
    }
    let _ = end;
    let mut buffer = vec![0; window.len().min(CHUNK) as usize];
    let mut offset = window.start;
    while offset < window.end {
        let wanted = (window.end - offset).min(buffer.len() as u64) as usize;
        match file.read_at(&mut buffer[..wanted], offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => offset += read as u64,
        }
    }
    Ok(())
}

/// Reads a part of a file piece by piece, for where it cannot be sent by the kernel.
pub(super) struct ChunkReader {
    file: Arc<File>,
    rest: ByteRange,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ChunkReader {
    pub(super) fn new(file: Arc<File>, range: ByteRange) -> Self {
        Self { file, rest: range, reading: None }
    }

    /// The next chunk; `None` at the end. A file shorter than the range is an error.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.reading.is_none() {
            if self.rest.start >= self.rest.end {
                return Poll::Ready(None);
            }
            let (file, offset, length) = (Arc::clone(&self.file), self.rest.start, self.rest.len().min(CHUNK));
            self.reading = Some(spawn_blocking(move || {
                let mut chunk = vec![0; length as usize];
                file.read_exact_at(&mut chunk, offset)?;
                Ok(Bytes::from(chunk))
            }));
        }
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(None);
        };
        let chunk = ready!(Pin::new(reading).poll(cx)).unwrap_or_else(|error| Err(io::Error::other(error)));
        self.reading = None;
        if let Ok(chunk) = &chunk {
            self.rest.start += chunk.len() as u64;
        }
        Poll::Ready(Some(chunk))
    }
}
