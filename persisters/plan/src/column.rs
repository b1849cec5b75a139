//! Columns of cells in PostgreSQL's binary form, and the arrays that are made of them.

use records::ColumnType;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

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

/// Cells of one attribute, appended in the order of the records.
#[derive(Debug, Clone)]
pub struct Column {
    seed: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Column {
    /// No cells yet of the attribute with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { seed: xxh3_64(name.as_bytes()), bytes: Vec::new(), ends: Vec::new() }
    }

    /// A cell's part of its row's digest: XXH3, 64 bits, of its bytes with the attribute as seed.
    pub(crate) fn digest(&self, number: u32) -> u64 {
        xxh3_64_with_seed(self.cell(number), self.seed)
    }

    /// Appends a cell that `write` fills, and gives its number.
    pub(crate) fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<u32, E> {
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let number = self.ends.len();
        self.ends.push(self.bytes.len());
        Ok(u32::try_from(number).expect("a batch has fewer than 2^32 records"))
    }

    /// The bytes of a cell.
    #[must_use]
    pub fn cell(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[number]]
    }
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
        let length = element.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("under 2 GiB"));
        self.body.extend(length.to_be_bytes());
        self.body.extend_from_slice(element.unwrap_or_default());
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
