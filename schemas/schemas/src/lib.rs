//! Brings PostgreSQL to what the schemas say: migrations, tables and views.

pub mod database;
pub mod tables;
