//! Rows as a file for PostgreSQL's binary `COPY`: what the floor reads.

use crate::objects::{self, PARTIAL};
use crate::{Item, Workload};
use records::{ColumnType, Value};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// "COPY - Binary Format" of PostgreSQL's manual: signature, flags, length of the extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Writes the rows of a workload's records, in the order of the records.
///
/// # Errors
/// If the file can't be written.
pub fn write(path: &Path, workload: Workload, items: impl Iterator<Item = Item>) -> io::Result<()> {
    let columns: Vec<ColumnType> =
        objects::entity_type().attributes().iter().map(|attribute| attribute.column).collect();
    let row = |item: Item| {
        let attributes = objects::attributes(item.object, item.changes);
        let typed = attributes.iter().zip(&columns);
        let sent: Vec<_> = typed
            .filter(|((name, _), _)| !workload.is_partial() || PARTIAL.contains(name))
            .collect();
        let mut row = begin(sent.len() + 3);
        field(b"bench", &mut row);
        field(objects::native_id(item.object).as_bytes(), &mut row);
        field(&item.version.micros().to_be_bytes(), &mut row);
        for ((_, value), column) in sent {
            put(value, *column, &mut row);
        }
        row
    };
    write_rows(path, items.map(row))
}

/// Writes rows of series, moment in microseconds since the Unix epoch, and value.
///
/// # Errors
/// If the file can't be written.
pub fn write_samples(
    path: &Path,
    samples: impl Iterator<Item = (i64, i64, f64)>,
) -> io::Result<()> {
    let row = |(series, at, value): (i64, i64, f64)| {
        let mut row = begin(3);
        field(&series.to_be_bytes(), &mut row);
        field(&(at - POSTGRES_EPOCH).to_be_bytes(), &mut row);
        field(&value.to_be_bytes(), &mut row);
        row
    };
    write_rows(path, samples.map(row))
}

fn write_rows(path: &Path, rows: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
    let file = File::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(HEADER)?;
    for row in rows {
        out.write_all(&row)?;
    }
    out.write_all(&(-1_i16).to_be_bytes())?;
    out.flush()
}

/// A row that will have so many fields.
fn begin(fields: usize) -> Vec<u8> {
    i16::try_from(fields).unwrap_or_default().to_be_bytes().to_vec()
}

fn put(value: &Value, column: ColumnType, row: &mut Vec<u8>) {
    match value {
        Value::Boolean(value) => field(&[u8::from(*value)], row),
        Value::Long(value) => field(&value.to_be_bytes(), row),
        Value::Double(value) => field(&value.to_be_bytes(), row),
        Value::Timestamp(micros) => field(&(micros - POSTGRES_EPOCH).to_be_bytes(), row),
        Value::String(text) if column == ColumnType::Uuid => field(&uuid(text), row),
        Value::String(text) => field(text.as_bytes(), row),
        Value::Null | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => {
            row.extend((-1_i32).to_be_bytes());
        }
    }
}

fn field(bytes: &[u8], row: &mut Vec<u8>) {
    row.extend(i32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    row.extend(bytes);
}

/// Its sixteen bytes.
fn uuid(text: &str) -> [u8; 16] {
    u128::from_str_radix(&text.replace('-', ""), 16).unwrap_or_default().to_be_bytes()
}
