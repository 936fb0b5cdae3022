//! Into files.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{super::progress::Progress, Format, records::Source};
use crate::graph::{
    Record,
    export::{Written, write_csv, write_dot, write_graphml, write_graphson, write_json, write_ndjson},
};

/// Writes the graph. A file gets its name when it is whole; what was there before is replaced.
pub(super) async fn export(source: Source, format: Format, out: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let named = out.clone();
    let written = tokio::task::spawn_blocking(move || write(&source, format, out)).await??;
    if let Some(out) = named {
        eprintln!("{} nodes and {} edges are in {}", written.nodes, written.edges, out.display());
    }
    Ok(())
}

fn write(source: &Source, format: Format, out: Option<PathBuf>) -> io::Result<Written> {
    let mut progress = Progress::new("nodes and edges");
    let mut receiver = source.open();
    let mut done = 0;
    let chunks = std::iter::from_fn(|| {
        let chunk = receiver.blocking_recv()?;
        done += chunk.as_ref().map_or(0, |records| records.len() as u64);
        progress.show(done, source.total());
        Some(chunk)
    });
    let mut records = chunks.flat_map(|chunk| {
        let (records, error) = match chunk {
            Ok(records) => (records, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        records.into_iter().map(Ok).chain(error.map(Err))
    });
    match out {
        Some(folder) if format == Format::Csv => write_csv(&mut records, &folder),
        Some(file) => into_file(&mut records, format, &file),
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = into(&mut records, format, &mut out, &std::env::temp_dir())?;
            out.flush()?;
            Ok(written)
        }
    }
}

fn into_file(records: &mut dyn Iterator<Item = io::Result<Record>>, format: Format, file: &Path) -> io::Result<Written> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = file.file_name().ok_or_else(|| io::Error::other("--out has to name a file"))?.to_owned();
    name.push(".new");
    let unfinished = folder.join(name);
    let created = File::create(&unfinished);
    let created = created.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", unfinished.display())));
    let made = created.and_then(|created| {
        let mut out = BufWriter::new(created);
        let written = into(records, format, &mut out, folder)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&unfinished, file)?;
        Ok(written)
    });
    if made.is_err() {
        // Half a file is of no use; that there is one, perhaps, is told by the error.
        let _ = fs::remove_file(&unfinished);
    }
    made
}

fn into(
    records: &mut dyn Iterator<Item = io::Result<Record>>,
    format: Format,
    out: &mut dyn Write,
    temporary: &Path,
) -> io::Result<Written> {
    match format {
        Format::Graphml => write_graphml(records, out),
        Format::Dot => write_dot(records, out),
        Format::Json => write_json(records, out),
        Format::Ndjson => write_ndjson(records, out),
        Format::Graphson => write_graphson(records, out, temporary),
        Format::Csv => Err(io::Error::other("csv makes a folder of files: name it with --out")),
    }
}
