//! Confluent's framing: a zero byte, the schema's id in four bytes big-endian, Avro binary.

/// A schema's id in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SchemaId(pub i32);

/// Why bytes have no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Too short.
    #[error("{0} bytes are too few for a frame of 5 bytes")]
    Short(usize),
    /// Another magic byte.
    #[error("the first byte is {0}, not 0: the record was not written with a schema registry")]
    Magic(u8),
}

/// The bytes before the Avro binary.
#[must_use]
pub const fn frame_header(id: SchemaId) -> [u8; 5] {
    let [a, b, c, d] = id.0.to_be_bytes();
    [0, a, b, c, d]
}

/// Avro binary with its frame.
#[must_use]
pub fn frame(id: SchemaId, avro: &[u8]) -> Vec<u8> {
    [&frame_header(id), avro].concat()
}

/// The schema's id and the Avro binary.
///
/// # Errors
/// [`FrameError`] if there is no frame.
pub fn unframe(bytes: &[u8]) -> Result<(SchemaId, &[u8]), FrameError> {
    let (header, avro) = bytes.split_first_chunk::<5>().ok_or(FrameError::Short(bytes.len()))?;
    let [magic, id @ ..] = *header;
    if magic == 0 {
        Ok((SchemaId(i32::from_be_bytes(id)), avro))
    } else {
        Err(FrameError::Magic(magic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_undone() {
        let framed = frame(SchemaId(258), b"avro");
        assert_eq!(framed[..5], [0, 0, 0, 1, 2]);
        assert_eq!(unframe(&framed), Ok((SchemaId(258), b"avro".as_slice())));
        assert_eq!(unframe(b"{\"a\":1}"), Err(FrameError::Magic(b'{')));
        assert_eq!(unframe(&[0, 1]), Err(FrameError::Short(2)));
    }
}
