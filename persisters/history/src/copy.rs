//! Rows in the binary form of PostgreSQL's COPY
//! (<https://www.postgresql.org/docs/15/sql-copy.html>, "Binary Format").

/// What every stream begins with: signature, flags, length of an extension that is not there.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What every stream ends with.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A sample: its series, its moment in microseconds since the Unix epoch, its value.
pub(crate) type Sample = (i64, i64, f64);

/// Samples as rows of (bigint, timestamptz, double precision).
pub(crate) fn encode(samples: &[Sample]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER.len() + samples.len() * 38 + TRAILER.len());
    out.extend_from_slice(HEADER);
    for (series, at, value) in samples {
        out.extend(3_i16.to_be_bytes());
        for field in
            [series.to_be_bytes(), (at - POSTGRES_EPOCH_MICROS).to_be_bytes(), value.to_be_bytes()]
        {
            out.extend(8_i32.to_be_bytes());
            out.extend(field);
        }
    }
    out.extend(TRAILER);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_three_fields_of_eight_bytes() {
        let bytes = encode(&[(7, POSTGRES_EPOCH_MICROS + 1, 0.0)]);
        let row = &bytes[19..bytes.len() - 2];
        assert_eq!(row[..14], [0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(row[14..26], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[bytes.len() - 2..], [0xff, 0xff]);
    }
}
