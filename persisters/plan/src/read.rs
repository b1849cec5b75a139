//! Reading Avro's primitives from bytes that may be anything.

use records::InvalidName;

/// Why a record can't be decoded. It costs only this record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the record ends inside {0:?}")]
    Truncated(String),
    /// There are bytes after the last field.
    #[error("{0} bytes are left after the last field")]
    TrailingBytes(usize),
    /// The bytes are no value of the schema.
    #[error("{field:?} is not valid: {reason}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The mask names what the schema does not have.
    #[error("update_mask names {0:?}, which is no attribute of the writer's schema")]
    UnknownInMask(String),
    /// The version is no plausible moment.
    #[error("version {0} is before 2000 or more than ten minutes ahead: is it in microseconds?")]
    ImplausibleVersion(i64),
}

/// What went wrong at one value; the field's name is added by who knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Truncated,
    Invalid(&'static str),
}

impl Fault {
    pub(crate) fn at(self, field: &str) -> DecodeError {
        match self {
            Self::Truncated => DecodeError::Truncated(field.to_owned()),
            Self::Invalid(reason) => DecodeError::Invalid { field: field.to_owned(), reason },
        }
    }
}

/// How many values without bytes a record may have (the items of an array of nulls): its length
/// does not bound them.
const EMPTY_VALUES_MAX: u32 = 10_000;

/// How many bytes of a text are looked at as one number.
pub(crate) const SHORT: usize = 16;
/// Bytes of 1, and of the highest bit.
const ONES: u128 = u128::MAX / 0xff;
const HIGH_BITS: u128 = ONES << 7;

/// A cursor over a record's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    empty_values: u32,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, empty_values: 0 }
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Fault::Invalid("a boolean is 0 or 1")),
        }
    }

    /// Avro's int and long: seven bits a byte, the lowest first, zig-zag. Most have one byte.
    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, Fault> {
        match self.rest {
            [byte, rest @ ..] if byte & 0x80 == 0 => {
                self.rest = rest;
                Ok(unzigzag(u64::from(*byte)))
            }
            _ => match self.long_of_eight_bytes() {
                Some(long) => Ok(long),
                None => self.elsewhere(Self::long_of_any_bytes),
            },
        }
    }

    /// One of at most eight bytes, if so many are there: without a loop. Else nothing is read.
    #[inline]
    fn long_of_eight_bytes(&mut self) -> Option<i64> {
        let word = u64::from_le_bytes(*self.rest.first_chunk()?);
        let ends = !word & HIGH_BITS as u64;
        if ends == 0 {
            return None;
        }
        // Up to the first byte without its highest bit.
        self.rest = &self.rest[ends.trailing_zeros() as usize / 8 + 1..];
        Some(unzigzag(sevens(word & (ends ^ (ends - 1)))))
    }

    /// Reads by a function that is not inlined. It gets a copy: this one need not be in memory.
    #[inline]
    pub(crate) fn elsewhere<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut copy = *self;
        let value = read(&mut copy)?;
        *self = copy;
        Ok(value)
    }

    #[inline(never)]
    fn long_of_any_bytes(&mut self) -> Result<i64, Fault> {
        let mut zigzag = 0_u64;
        for (shift, byte) in (0..64).step_by(7).zip(self.rest) {
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Fault::Invalid("a long has at most 64 bits"));
            }
            zigzag |= bits << shift;
            if byte & 0x80 == 0 {
                self.rest = &self.rest[shift / 7 + 1..];
                return Ok(unzigzag(zigzag));
            }
        }
        if self.rest.len() < 10 {
            return Err(Fault::Truncated);
        }
        Err(Fault::Invalid("a long has at most ten bytes"))
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<i32, Fault> {
        i32::try_from(self.long()?).map_err(|_| Fault::Invalid("an int has at most 32 bits"))
    }

    #[inline]
    pub(crate) fn float(&mut self) -> Result<f32, Fault> {
        self.array().map(f32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn double(&mut self) -> Result<f64, Fault> {
        self.array().map(f64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| Fault::Invalid("a length is negative"))?)
    }

    /// A text that is only copied: its bytes are UTF-8 and have no NUL.
    #[inline]
    pub(crate) fn text_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let bytes = self.bytes()?;
        if !is_plain(bytes) {
            text(bytes)?;
        }
        Ok(bytes)
    }

    /// The length of a plain text of at most 16 bytes, and the 16 bytes that begin with it: without
    /// a loop, whose length a processor can't foresee. `None`, and nothing is read: the text is
    /// none of these, or too near the record's end.
    #[inline]
    pub(crate) fn short_text(&mut self) -> Option<(usize, &'a [u8; SHORT])> {
        let (zigzag, rest) = self.rest.split_first()?;
        let bytes = rest.first_chunk()?;
        let length = usize::from(zigzag >> 1);
        if zigzag & 1 != 0 || length > SHORT {
            return None;
        }
        let behind = u128::MAX.checked_shl(u32::from(zigzag >> 1) * 8).unwrap_or(0);
        if !is_plain_number(u128::from_le_bytes(*bytes) & !behind | ONES & behind) {
            return None;
        }
        self.rest = &rest[length..];
        Some((length, bytes))
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        text(self.bytes()?)
    }

    #[inline]
    pub(crate) fn index(&mut self, length: usize) -> Result<usize, Fault> {
        usize::try_from(self.long()?)
            .ok()
            .filter(|index| *index < length)
            .ok_or(Fault::Invalid("an index is outside of the union or enum"))
    }

    /// Counts a value that had no bytes.
    pub(crate) fn count_empty(&mut self) -> Result<(), Fault> {
        self.empty_values += 1;
        if self.empty_values > EMPTY_VALUES_MAX {
            return Err(Fault::Invalid("a record has more than 10,000 values without bytes"));
        }
        Ok(())
    }

    /// Runs `item` for each item of an array or map, block by block. An item without bytes must
    /// be counted.
    pub(crate) fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }
}

/// The lower seven bits of each byte, close together.
const fn sevens(word: u64) -> u64 {
    let pairs = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

const fn unzigzag(zigzag: u64) -> i64 {
    (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
}

/// Whether bytes are ASCII without NUL, as nearly all texts are.
fn is_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(|byte| matches!(byte, 1..=0x7f));
    };
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().chain([last]).all(|chunk| is_plain_number(u128::from_le_bytes(*chunk)))
}

/// No byte is 0 or has its highest bit: taking one of each byte borrows the highest bit of a 0.
const fn is_plain_number(bytes: u128) -> bool {
    (bytes | bytes.wrapping_sub(ONES)) & HIGH_BITS == 0
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Invalid("a string is not UTF-8"))
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    let text = utf8(bytes)?;
    if text.contains('\0') {
        return Err(Fault::Invalid("PostgreSQL's text can't hold a NUL character"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(long: i64) -> Vec<u8> {
        let mut zigzag = (long << 1 ^ long >> 63).cast_unsigned();
        let mut bytes = Vec::new();
        while zigzag > 0x7f {
            bytes.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        bytes.push(zigzag as u8);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(i64, usize), Fault> {
        let mut reader = Reader::new(bytes);
        Ok((reader.long()?, reader.remaining()))
    }

    #[test]
    fn a_long_of_any_length_is_read_whatever_follows() {
        let powers = (0..64).map(|shift| 1_i64 << shift);
        for long in powers.flat_map(|power| [power, power.wrapping_sub(1), power.wrapping_neg()]) {
            for (behind, count) in [(0xff, 0), (0xff, 1), (0xff, 16), (0, 16)] {
                let bytes = [written(long), vec![behind; count]].concat();
                assert_eq!(read(&bytes), Ok((long, count)), "{bytes:02x?}");
            }
        }
    }

    #[test]
    fn a_long_may_have_more_bytes_than_it_needs_but_not_more_than_ten() {
        assert_eq!(read(&[0x82, 0x80, 0x80, 0, 9]), Ok((1, 1)));
        assert_eq!(read(&[0x82, 0x80, 0x80, 0, 9, 9, 9, 9, 9]), Ok((1, 5)));
        assert_eq!(read(&[0x80; 9]), Err(Fault::Truncated));
        assert!(matches!(read(&[0x80; 11]), Err(Fault::Invalid(_))));
    }
}
