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

/// A cursor over a record's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

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
            _ => self.long_of_many_bytes(),
        }
    }

    fn long_of_many_bytes(&mut self) -> Result<i64, Fault> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Fault::Invalid("a long has at most 64 bits"));
            }
            zigzag |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(unzigzag(zigzag));
            }
        }
        Err(Fault::Invalid("a long has at most ten bytes"))
    }

    pub(crate) fn int(&mut self) -> Result<i32, Fault> {
        i32::try_from(self.long()?).map_err(|_| Fault::Invalid("an int has at most 32 bits"))
    }

    pub(crate) fn float(&mut self) -> Result<f32, Fault> {
        self.array().map(f32::from_le_bytes)
    }

    pub(crate) fn double(&mut self) -> Result<f64, Fault> {
        self.array().map(f64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| Fault::Invalid("a length is negative"))?)
    }

    /// A text that is only copied: its bytes are UTF-8 and have no NUL.
    #[inline]
    pub(crate) fn text_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let bytes = self.bytes()?;
        if is_plain(bytes) { Ok(bytes) } else { text(bytes).map(str::as_bytes) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        text(self.bytes()?)
    }

    pub(crate) fn index(&mut self, length: usize) -> Result<usize, Fault> {
        usize::try_from(self.long()?)
            .ok()
            .filter(|index| *index < length)
            .ok_or(Fault::Invalid("an index is outside of the union or enum"))
    }

    /// Runs `item` for each item of an array or map, block by block.
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
                let before = self.remaining();
                item(self)?;
                if self.remaining() == before && count.unsigned_abs() > 1_000_000 {
                    return Err(Fault::Invalid("an array has too many items without bytes"));
                }
            }
        }
    }
}

const fn unzigzag(zigzag: u64) -> i64 {
    (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()
}

/// Whether bytes are ASCII without NUL, as nearly all texts are.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & matches!(byte, 1..=0x7f))
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Invalid("a string is not UTF-8"))?;
    if text.contains('\0') {
        return Err(Fault::Invalid("PostgreSQL's text can't hold a NUL character"));
    }
    Ok(text)
}
