//! What a record is: names, versions, schemas, the model and the tables. Pure: no I/O.

pub mod builtin;
pub mod contract;
mod encode;
pub mod extents;
pub mod history;
pub mod model;
mod names;
pub mod rejection;
mod schema;
pub mod table;
pub mod topics;
mod value;
mod version;

pub use encode::{EncodeError, Encoder, Upsert};
pub use names::{
    AttributeName, InvalidName, NativeId, SourceName, TypeName, escape, type_name_of_record,
};
pub use schema::{Attribute, ColumnType, ENVELOPE, EntityType, RESERVED, SchemaError, non_null};
pub use topics::{Offset, Partition, Topic};
pub use value::Value;
pub use version::Version;
