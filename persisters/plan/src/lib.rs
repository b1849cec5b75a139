//! From Avro bytes to a few set-based statements: decode, fold, plan. Pure: no I/O.
//!
//! A writer's schema is compiled once into a [`Plan`] that appends a record's attributes to
//! columns, already in PostgreSQL's binary form. The records of a key are folded by the model of
//! `records` onto what the table knows of it, and what has changed becomes arrays for the
//! statements of [`Statements`].

mod batch;
mod column;
mod copy;
mod decode;
mod fold;
mod json;
mod overlay;
mod read;
mod spare;
mod statements;

pub use batch::{Batch, Group, Kind, Layout, Record};
pub use column::{Array, ElementType};
pub use decode::{ExplainedField, Plan};
pub use fold::{Cell, Stored, Write, Writes, fold};
pub use overlay::Overlays;
pub use read::DecodeError;
pub use spare::Spare;
pub use statements::{Statements, patch, update};
