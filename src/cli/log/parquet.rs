//! Parquet files: a column per part of an event, in groups of rows.

use std::{error::Error, io::Write, mem, sync::Arc};

use parquet::{
    basic::{ConvertedType, Repetition, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};

use super::{
    export::Sink,
    row::{COLUMNS, Cell, Row},
};
use crate::events::Event;

/// Rows that are held in memory and written together.
const GROUP: usize = 50_000;

pub(super) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Vec<Row>,
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn begin(out: W) -> Result<Self, Box<dyn Error>> {
        let writer = SerializedFileWriter::new(out, Arc::new(schema()?), Arc::new(WriterProperties::new()))?;
        Ok(Self { writer, rows: Vec::new() })
    }

    fn write_group(&mut self) -> Result<(), Box<dyn Error>> {
        let rows = mem::take(&mut self.rows);
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        let mut group = self.writer.next_row_group()?;
        for column in 0..COLUMNS.len() {
            let Some(mut writer) = group.next_column()? else { break };
            let column = || cells.iter().map(move |cells| cells[column]);
            let levels: Vec<i16> = column().map(|cell| i16::from(is_there(cell))).collect();
            match column().next() {
                Some(Cell::Time(_)) => {
                    let values: Vec<_> = column().filter_map(number).collect();
                    writer.typed::<Int64Type>().write_batch(&values, None, None)?;
                }
                Some(Cell::Number(_)) => {
                    let values: Vec<_> = column().filter_map(number).collect();
                    writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
                }
                Some(Cell::Flag(_)) => {
                    let values: Vec<_> =
                        column().filter_map(|cell| if let Cell::Flag(flag) = cell { flag } else { None }).collect();
                    writer.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
                }
                _ => {
                    let text = |cell| if let Cell::Text(text) = cell { text.map(ByteArray::from) } else { None };
                    let values: Vec<_> = column().filter_map(text).collect();
                    writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn push(&mut self, event: &Event) -> Result<(), Box<dyn Error>> {
        self.rows.push(Row::of(event));
        if self.rows.len() >= GROUP { self.write_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<(), Box<dyn Error>> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.writer.close()?;
        Ok(())
    }
}

fn is_there(cell: Cell<'_>) -> bool {
    match cell {
        Cell::Time(_) => true,
        Cell::Text(text) => text.is_some(),
        Cell::Number(number) => number.is_some(),
        Cell::Flag(flag) => flag.is_some(),
    }
}

fn number(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Time(at) => Some(at.cast_signed()),
        Cell::Number(number) => number.map(u64::cast_signed),
        _ => None,
    }
}

/// The columns, as any row has them.
fn schema() -> Result<Type, Box<dyn Error>> {
    let row = Row::default();
    let mut fields = Vec::with_capacity(COLUMNS.len());
    for (name, cell) in COLUMNS.into_iter().zip(row.cells()) {
        let (physical, converted, repetition) = match cell {
            Cell::Time(_) => (Physical::INT64, ConvertedType::TIMESTAMP_MILLIS, Repetition::REQUIRED),
            Cell::Number(_) => (Physical::INT64, ConvertedType::UINT_64, Repetition::OPTIONAL),
            Cell::Flag(_) => (Physical::BOOLEAN, ConvertedType::NONE, Repetition::OPTIONAL),
            Cell::Text(_) => (Physical::BYTE_ARRAY, ConvertedType::UTF8, Repetition::OPTIONAL),
        };
        let field = Type::primitive_type_builder(name, physical).with_converted_type(converted).with_repetition(repetition);
        fields.push(Arc::new(field.build()?));
    }
    Ok(Type::group_type_builder("event").with_fields(fields).build()?)
}

#[cfg(test)]
mod tests {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };

    use super::*;
    use crate::{
        events::{Repository, What},
        oci::{Algorithm, Digest},
    };

    #[test]
    fn rows_come_back() {
        let file = tempfile::tempfile().unwrap();
        let mut parquet = Box::new(Parquet::begin(file.try_clone().unwrap()).unwrap());
        let (digest, count) = (Digest::of(Algorithm::Sha256, b"x"), GROUP + 3);
        let repository = Repository { route: "docker.io".into(), name: "a/b".parse().unwrap(), private: true };
        for n in 0..count as u64 {
            let what = if n % 2 == 0 {
                What::BlobStored { digest, size: n }
            } else {
                What::TagMoved { repository: repository.clone(), tag: "1".parse().unwrap(), digest: None }
            };
            parquet.push(&Event { at: n, what }).unwrap();
        }
        parquet.finish().unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!((reader.num_row_groups(), reader.metadata().file_metadata().num_rows()), (2, count as i64));
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
        let column = |row: usize, name: &str| rows[row].get_column_iter().find(|(known, _)| *known == name).unwrap().1.clone();
        assert_eq!(column(4, "time"), Field::TimestampMillis(4));
        assert_eq!(column(4, "event"), Field::Str("blob_stored".to_owned()));
        assert_eq!((column(4, "size"), column(5, "size")), (Field::ULong(4), Field::Null));
        assert_eq!((column(5, "private"), column(4, "private")), (Field::Bool(true), Field::Null));
        assert_eq!(column(count - 1, "digest"), Field::Str(digest.to_string()));
        assert_eq!(column(5, "route"), Field::Str("docker.io".to_owned()));
    }
}
