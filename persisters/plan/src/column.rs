//! Columns of cells in PostgreSQL's binary form, and the arrays that are made of them.

use crate::read::Fault;
use records::ColumnType;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes of the length before a cell.
pub(crate) const LENGTH_BYTES: usize = 4;
/// The length that stands for null.
pub(crate) const NULL: [u8; LENGTH_BYTES] = [0xff; LENGTH_BYTES];
const NO_ROOM: &str = "a column of one batch has at most 4 GiB";

/// The type of an array's elements when it is sent: what has no binary form of its own here is
/// sent as text and cast by the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementType {
    /// The element's object id in `pg_type`.
    pub oid: u32,
    /// The array type's object id in `pg_type`.
    pub array_oid: u32,
    /// The array type's name, for a cast of the parameter.
    pub array_sql: &'static str,
}

const BOOLEAN: ElementType = ElementType { oid: 16, array_oid: 1000, array_sql: "boolean[]" };
const BYTEA: ElementType = ElementType { oid: 17, array_oid: 1001, array_sql: "bytea[]" };
/// `bigint[]`
pub(crate) const BIGINT: ElementType =
    ElementType { oid: 20, array_oid: 1016, array_sql: "bigint[]" };
/// `text[]`
pub(crate) const TEXT: ElementType = ElementType { oid: 25, array_oid: 1009, array_sql: "text[]" };
const DOUBLE: ElementType =
    ElementType { oid: 701, array_oid: 1022, array_sql: "double precision[]" };
const DATE: ElementType = ElementType { oid: 1082, array_oid: 1182, array_sql: "date[]" };
const TIMESTAMPTZ: ElementType =
    ElementType { oid: 1184, array_oid: 1185, array_sql: "timestamptz[]" };
const UUID: ElementType = ElementType { oid: 2950, array_oid: 2951, array_sql: "uuid[]" };
const JSONB: ElementType = ElementType { oid: 3802, array_oid: 3807, array_sql: "jsonb[]" };

impl ElementType {
    /// How cells of a column are sent.
    #[must_use]
    pub const fn of(column: ColumnType) -> Self {
        match column {
            ColumnType::Boolean => BOOLEAN,
            ColumnType::Bigint => BIGINT,
            ColumnType::Double => DOUBLE,
            ColumnType::Text | ColumnType::Numeric | ColumnType::TextArray => TEXT,
            ColumnType::Bytea => BYTEA,
            ColumnType::Timestamptz => TIMESTAMPTZ,
            ColumnType::Date => DATE,
            ColumnType::Uuid => UUID,
            ColumnType::Jsonb => JSONB,
        }
    }
}

/// Cells of one attribute, appended in the order of the records, each behind its length as
/// PostgreSQL wants it in arrays and in `COPY`: from here on a cell is copied as it is.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    seed: u64,
    bytes: Vec<u8>,
}

impl Column {
    /// No cells yet of the attribute with this name.
    pub(crate) fn new(name: &str) -> Self {
        Self { seed: xxh3_64(name.as_bytes()), bytes: Vec::new() }
    }

    /// A cell's part of its row's digest: XXH3, 64 bits, of its bytes with the attribute as seed.
    pub(crate) fn digest(&self, place: u32) -> u64 {
        xxh3_64_with_seed(&self.cell(place)[LENGTH_BYTES..], self.seed)
    }

    /// Appends a cell that `write` appends behind its length, and gives its place.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<u32, Fault> {
        let start = self.bytes.len();
        let place = u32::try_from(start).map_err(|_| Fault::Invalid(NO_ROOM))?;
        if let Err(fault) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(fault);
        }
        Ok(place)
    }

    /// The cell at a place, behind its length.
    pub(crate) fn cell(&self, place: u32) -> &[u8] {
        let cell = &self.bytes[place as usize..];
        let (length, _) = cell.split_first_chunk().expect("a place has a length");
        &cell[..LENGTH_BYTES + u32::from_be_bytes(*length) as usize]
    }

    /// Forgets the cells, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The memory that it holds, in bytes.
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Appends bytes behind their length.
#[inline]
pub(crate) fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(LENGTH_BYTES + bytes.len());
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Leaves room for a length, and gives where it ends.
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.len()
}

/// Fills in the length of what has come since.
pub(crate) fn close(out: &mut [u8], start: usize) {
    let length = length(out.len() - start);
    out[start - LENGTH_BYTES..start].copy_from_slice(&length);
}

fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    i32::try_from(bytes).expect("a cell is far below 2 GiB").to_be_bytes()
}

/// A one-dimensional array in PostgreSQL's binary form (`array_recv`): dimensions, whether there
/// are nulls, the element's type, length, lower bound, then each element behind its length.
#[derive(Debug, Clone)]
pub struct Array {
    /// The type of the elements.
    pub element: ElementType,
    body: Vec<u8>,
    length: usize,
    nulls: bool,
}

impl Array {
    /// An empty array.
    #[must_use]
    pub const fn new(element: ElementType) -> Self {
        Self { element, body: Vec::new(), length: 0, nulls: false }
    }

    /// An array of texts.
    #[must_use]
    pub fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut array = Self::new(TEXT);
        values.into_iter().for_each(|value| array.push(Some(value.as_bytes())));
        array
    }

    /// An array of bigints.
    #[must_use]
    pub fn bigints(values: impl IntoIterator<Item = Option<i64>>) -> Self {
        let mut array = Self::new(BIGINT);
        for value in values {
            array.push(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
        }
        array
    }

    /// An array of booleans.
    #[must_use]
    pub fn booleans(values: impl IntoIterator<Item = Option<bool>>) -> Self {
        let mut array = Self::new(BOOLEAN);
        for value in values {
            array.push(value.map(|v| [u8::from(v)]).as_ref().map(<[u8; 1]>::as_slice));
        }
        array
    }

    /// Appends one element in its type's binary form, or null.
    ///
    /// # Panics
    /// If an element has 2 GiB or more; a record can't be that large.
    pub fn push(&mut self, element: Option<&[u8]>) {
        match element {
            Some(bytes) => sized(&mut self.body, bytes),
            None => self.body.extend_from_slice(&NULL),
        }
        self.nulls |= element.is_none();
        self.length += 1;
    }

    /// Appends one element that is behind its length, or null.
    pub(crate) fn push_sized(&mut self, element: Option<&[u8]>) {
        self.body.extend_from_slice(element.unwrap_or(&NULL));
        self.nulls |= element.is_none();
        self.length += 1;
    }

    /// Appends the array's binary form to `out`.
    ///
    /// # Panics
    /// If there are 2^31 elements or more; a batch has thousands.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = i32::try_from(self.length).expect("under 2^31 elements");
        let dimensions = i32::from(length > 0);
        out.extend(dimensions.to_be_bytes());
        out.extend(i32::from(self.nulls).to_be_bytes());
        out.extend(self.element.oid.to_be_bytes());
        if length > 0 {
            out.extend(length.to_be_bytes());
            out.extend(1_i32.to_be_bytes());
            out.extend_from_slice(&self.body);
        }
    }
}
