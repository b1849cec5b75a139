//! Rows in the binary form of PostgreSQL's COPY
//! (<https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format").

/// What every stream begins with: signature, flags, length of an extension that is not there.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What every stream ends with.
pub(crate) const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// Three fields of eight bytes with their lengths, and the number of fields.
const ROW_BYTES: usize = 2 + 3 * (4 + 8);
/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A sample: its series, its moment in microseconds since the Unix epoch, its value.
pub(crate) type Sample = (i64, i64, f64);

/// Samples as rows of (bigint, timestamptz, double precision).
pub(crate) fn rows(samples: &[Sample]) -> Vec<u8> {
    let mut out = Vec::with_capacity(samples.len() * ROW_BYTES);
    for (series, at, value) in samples {
        out.extend(3_i16.to_be_bytes());
        for field in
            [series.to_be_bytes(), (at - POSTGRES_EPOCH_MICROS).to_be_bytes(), value.to_be_bytes()]
        {
            out.extend(8_i32.to_be_bytes());
            out.extend(field);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_three_fields_of_eight_bytes() {
        let row = rows(&[(7, POSTGRES_EPOCH_MICROS + 1, 0.0)]);
        assert_eq!(row.len(), ROW_BYTES);
        assert_eq!(row[..14], [0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(row[14..26], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
