//! New rows in the binary form of `COPY`: cheaper than arrays of parameters, because PostgreSQL
//! neither unnests nor looks keys up, but only for keys that are new.

use crate::column::{LENGTH_BYTES, NULL, close, open, sized};
use crate::fold::Writes;
use records::ColumnType;

/// What the stream begins with (PostgreSQL's documentation of `COPY`, "Binary Format"): signature,
/// flags, length of the header's extension.
const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
const TRAILER: [u8; 2] = [0xff; 2];
/// Keys and registers before the attributes.
const OWN_FIELDS: usize = 10;
/// The version of jsonb's binary form.
const JSONB_VERSION: u8 = 1;
/// The object id of `text`, in an array's binary form.
const TEXT_OID: i32 = 25;

/// Whether cells of a column have a binary form here: numbers with decimals are sent as text.
pub(crate) const fn has_binary_form(column: ColumnType) -> bool {
    !matches!(column, ColumnType::Numeric)
}

/// The stream of rows, in the order of `Statements::copy`. `None` if a row is not alive: only an
/// insert says when it was gone.
pub(crate) fn stream(writes: &Writes<'_>) -> Option<Vec<u8>> {
    let (batch, rows) = (writes.batch, writes.rows);
    let attributes = &batch.layout.attributes;
    let fields = i16::try_from(OWN_FIELDS + attributes.len()).ok()?;
    let mut out = HEADER.to_vec();
    for write in rows {
        let row = &write.row;
        let existence = row.existence.filter(|existence| existence.alive)?;
        let (source, native_id) = batch.key(write.record);
        out.extend(fields.to_be_bytes());
        field(&mut out, Some(source.as_bytes()));
        field(&mut out, Some(native_id.as_bytes()));
        field(&mut out, Some(&row.newest().micros().to_be_bytes()));
        field(&mut out, Some(&existence.version.micros().to_be_bytes()));
        field(&mut out, Some(&[1]));
        field(&mut out, Some(&row.floor.micros().to_be_bytes()));
        let base = row.base.as_ref();
        field(&mut out, base.map(|base| base.version.micros().to_be_bytes()).as_ref());
        field(&mut out, base.map(|base| base.attributes.schema.to_be_bytes()).as_ref());
        let exceptions = writes.exceptions(row);
        let jsonb = exceptions.map(|text| [&[JSONB_VERSION], text.as_bytes()].concat());
        field(&mut out, jsonb.as_ref());
        field(&mut out, writes.digest(row).map(i64::to_be_bytes).as_ref());
        for (index, (_, column)) in attributes.iter().enumerate() {
            let cell = batch.cell(index, row.values[index]);
            match (cell, column) {
                (Some(cell), ColumnType::TextArray) => text_array(&mut out, &cell[LENGTH_BYTES..]),
                (Some(cell), _) => out.extend_from_slice(cell),
                (None, _) => out.extend_from_slice(&NULL),
            }
        }
    }
    out.extend(TRAILER);
    Some(out)
}

/// A field behind its length, or null.
fn field(out: &mut Vec<u8>, bytes: Option<&(impl AsRef<[u8]> + ?Sized)>) {
    match bytes {
        Some(bytes) => sized(out, bytes.as_ref()),
        None => out.extend_from_slice(&NULL),
    }
}

/// The binary form of an array of texts (`array_recv`), from the literal that the decoder writes:
/// every element quoted.
fn text_array(out: &mut Vec<u8>, literal: &[u8]) {
    let array = open(out);
    let is_empty = literal.len() <= 2;
    out.extend(i32::from(!is_empty).to_be_bytes());
    out.extend(0_i32.to_be_bytes());
    out.extend(TEXT_OID.to_be_bytes());
    if !is_empty {
        let count = out.len();
        out.extend([0; 4]);
        out.extend(1_i32.to_be_bytes());
        let elements = elements(out, &literal[1..literal.len() - 1]);
        out[count..count + 4].copy_from_slice(&elements.to_be_bytes());
    }
    close(out, array);
}

/// Appends each element behind its length; gives how many there are.
fn elements(out: &mut Vec<u8>, quoted: &[u8]) -> i32 {
    let (mut count, mut inside, mut is_escaped) = (0, None, false);
    for byte in quoted {
        match (inside, byte) {
            (None, b'"') => {
                inside = Some(open(out));
                count += 1;
            }
            (None, _) => {}
            (Some(_), b'\\') if !is_escaped => is_escaped = true,
            (Some(start), b'"') if !is_escaped => {
                close(out, start);
                inside = None;
            }
            (Some(_), byte) => {
                out.push(*byte);
                is_escaped = false;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array_of(literal: &str) -> Vec<u8> {
        let mut out = Vec::new();
        text_array(&mut out, literal.as_bytes());
        assert_eq!(out[..4], i32::try_from(out.len() - 4).unwrap().to_be_bytes());
        out.split_off(4)
    }

    #[test]
    fn literals_become_arrays_in_binary_form() {
        assert_eq!(array_of("{}"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25]);
        let two = array_of(r#"{"a,b","q\"\\"}"#);
        let head = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1];
        assert_eq!(two[..20], head);
        assert_eq!(two[20..], *b"\0\0\0\x03a,b\0\0\0\x03q\"\\");
        assert_eq!(array_of(r#"{""}"#)[20..], [0, 0, 0, 0]);
    }
}
