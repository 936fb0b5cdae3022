//! The files of a demand log, and which of them go.

use std::{
    fs::{self, File},
    io::{self, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    frame::{BlockHead, TraceHeader},
    reader::{TraceError, TraceReader, fill},
};
use crate::events::Millis;

/// How the name of a trace ends.
const ENDING: &str = "trace";

/// The segments in a folder.
#[derive(Debug, Clone)]
pub struct Segments {
    folder: PathBuf,
}

/// What a segment holds, as the heads of its blocks say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: TraceHeader,
    /// The earliest and the latest time of an event; `None` when there is none.
    pub times: Option<(Millis, Millis)>,
    /// Events in whole blocks.
    pub events: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Bytes after the last whole block: being written, cut off by a crash, or damaged.
    pub rest: u64,
}

impl Segments {
    /// Those in `folder`, which need not exist.
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Their paths, the oldest first. One whose header has not been written yet is left out.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let has_begun = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.len() >= TraceHeader::LENGTH as u64);
        Ok(self.all()?.into_iter().filter(has_begun).collect())
    }

    fn all(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let is_trace = |path: &PathBuf| path.extension().is_some_and(|extension| extension == ENDING) && path.is_file();
        let mut paths: Vec<_> = paths.into_iter().filter(is_trace).collect();
        // Their names are times of thirteen digits.
        paths.sort_unstable();
        Ok(paths)
    }

    /// The file of a segment that begins now, under a name that nothing had.
    pub(super) fn create(&self, begun: Millis) -> io::Result<(File, PathBuf)> {
        let mut name = begun;
        loop {
            let path = self.folder.join(format!("{name:013}.{ENDING}"));
            match File::create_new(&path) {
                Ok(file) => {
                    // Without it, a power cut could take the name.
                    File::open(&self.folder)?.sync_all()?;
                    return Ok((file, path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => name += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes the oldest until at most `most` bytes are left beside `current`, which stays, and those that were last written
    /// `age` ago. Tells how many.
    pub(super) fn retain(&self, most: u64, age: Duration, current: Option<&Path>) -> io::Result<usize> {
        let mut found = Vec::new();
        for path in self.all()? {
            if current == Some(&*path) {
                continue;
            }
            // One that somebody else deletes meanwhile is gone, too.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            found.push((path, metadata.len(), metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
        }
        let mut bytes: u64 = found.iter().map(|(_, length, _)| length).sum();
        let mut deleted = 0;
        for (path, length, written) in found {
            let is_old = written.elapsed().is_ok_and(|elapsed| elapsed >= age);
            if !is_old && bytes <= most {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => deleted += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            bytes -= length;
        }
        Ok(deleted)
    }
}

impl Segment {
    /// Looks at the heads of a segment's blocks, and not at what they hold.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn look_at(path: &Path) -> Result<Self, TraceError> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        // The header is checked by who reads it.
        let header = TraceReader::new(&file)?.header();
        let mut input = BufReader::new(file);
        let mut whole = input.seek(SeekFrom::Start(TraceHeader::LENGTH as u64))?;
        let mut segment = Self { path: path.to_owned(), header, times: None, events: 0, bytes, rest: 0 };
        let mut head = [0; BlockHead::LENGTH];
        while fill(&mut input, &mut head)? == head.len() {
            let Some(head) = BlockHead::from_bytes(&head) else { break };
            let end = whole + BlockHead::LENGTH as u64 + u64::from(head.length);
            if end > bytes {
                break;
            }
            input.seek_relative(i64::from(head.length))?;
            whole = end;
            segment.events += u64::from(head.events);
            let (first, last) = segment.times.unwrap_or((head.first, head.last));
            segment.times = Some((first.min(head.first), last.max(head.last)));
        }
        segment.rest = bytes.saturating_sub(whole);
        Ok(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(segments: &Segments) -> Vec<String> {
        let paths = segments.paths().unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_oldest_go_and_the_current_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let segments = Segments::in_folder(folder.path());
        for begun in [5, 5, 900, 1_700_000_000_000] {
            io::Write::write_all(&mut segments.create(begun).unwrap().0, &[0; 100]).unwrap();
        }
        fs::write(folder.path().join("key"), [0; 1000]).unwrap();
        let all = ["0000000000005.trace", "0000000000006.trace", "0000000000900.trace", "1700000000000.trace"];
        assert_eq!(names(&segments), all);
        let day = Duration::from_secs(86_400);
        assert_eq!(segments.retain(400, day, None).unwrap(), 0);
        assert_eq!(segments.retain(150, day, Some(&folder.path().join(all[0]))).unwrap(), 2);
        assert_eq!(names(&segments), [all[0], all[3]]);
        assert_eq!(segments.retain(400, Duration::ZERO, Some(&folder.path().join(all[3]))).unwrap(), 1);
        assert_eq!(names(&segments), [all[3]]);
        assert!(folder.path().join("key").exists());
    }

    #[test]
    fn a_folder_that_is_not_there_holds_nothing() {
        assert!(Segments::in_folder(Path::new("/nonexistent/demand")).paths().unwrap().is_empty());
    }
}
