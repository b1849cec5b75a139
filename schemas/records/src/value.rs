//! The values of attributes as collectors make them.

use std::collections::BTreeMap;

/// An attribute's value before it is encoded. It must fit the attribute's Avro type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Known to have no value.
    Null,
    /// Avro `boolean`.
    Boolean(bool),
    /// Avro `int` or `long`.
    Long(i64),
    /// Avro `float` or `double`.
    Double(f64),
    /// Avro `string`, also `uuid`, or a symbol of an `enum`.
    String(String),
    /// Avro `bytes`.
    Bytes(Vec<u8>),
    /// Avro `timestamp-micros` or `timestamp-millis`: microseconds since the epoch.
    Timestamp(i64),
    /// Avro `array` of any of these.
    Array(Vec<Value>),
    /// Avro `map` of any of these.
    Map(BTreeMap<String, Value>),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}
