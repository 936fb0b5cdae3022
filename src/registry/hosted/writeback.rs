//! Writing to the disk while more is coming in: the kernel would leave it all to the end, for which the client then waits.

use std::{fs::File, io, sync::Arc};

use tokio::task::JoinHandle;

/// Bytes after which a sync is begun.
const STRIDE: u64 = 32 << 20;

/// The syncs of one file, one at a time.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    unsynced: u64,
    under_way: Option<JoinHandle<io::Result<()>>>,
}

impl Writeback {
    /// More was written to `file`; waits for nothing.
    ///
    /// # Errors
    /// When an earlier sync has failed. No later one tells so again, so that the file is worth nothing.
    pub(super) async fn wrote(&mut self, bytes: u64, file: &Arc<File>) -> io::Result<()> {
        self.unsynced += bytes;
        if self.under_way.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        self.end().await?;
        if self.unsynced >= STRIDE {
            self.unsynced = 0;
            let file = file.clone();
            self.under_way = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits for the sync that is under way.
    ///
    /// # Errors
    /// As [`Self::wrote`].
    pub(super) async fn end(&mut self) -> io::Result<()> {
        match self.under_way.take() {
            Some(sync) => sync.await.unwrap_or_else(|error| Err(io::Error::other(error))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sync_is_begun_after_a_stride_and_ends() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut writeback = Writeback::default();
        writeback.wrote(STRIDE - 1, &file).await.unwrap();
        assert!(writeback.under_way.is_none());
        writeback.wrote(1, &file).await.unwrap();
        assert!(writeback.under_way.is_some());
        writeback.end().await.unwrap();
        assert!(writeback.under_way.is_none());
        assert_eq!(writeback.unsynced, 0);
    }

    #[tokio::test]
    async fn a_failure_is_told_once_the_next_bytes_come() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let failing = tokio::task::spawn_blocking(|| Err(io::Error::other("the disk is gone")));
        let mut writeback = Writeback { unsynced: 0, under_way: Some(failing) };
        while !writeback.under_way.as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(writeback.wrote(1, &file).await.is_err());
    }
}
