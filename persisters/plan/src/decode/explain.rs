//! A compiled plan as people read it.

use super::form::Built;
use super::{Form, Plan, Target};

/// How one field of the wire becomes a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedField {
    /// The field.
    pub field: String,
    /// The number of its column among the table's attributes; `None`: a part of the envelope.
    pub column: Option<usize>,
    /// Whether it may be null.
    pub nullable: bool,
    /// How it is read and what is made of it.
    pub how: String,
}

impl Plan {
    /// The fields in the order of the wire.
    #[must_use]
    pub fn explain(&self) -> Vec<ExplainedField> {
        let explained = |step: &super::Step| ExplainedField {
            field: step.field.clone(),
            column: match step.target {
                Target::Attribute(column, _) => Some(column),
                Target::Envelope(_) => None,
            },
            nullable: step.union.as_ref().is_some_and(|union| union.null.is_some()),
            how: how(&step.form),
        };
        self.steps.iter().map(explained).collect()
    }
}

fn how(form: &Form) -> String {
    match form {
        Form::Boolean => "one byte",
        Form::Int => "int of 32 bits, widened",
        Form::Long => "long of 64 bits",
        Form::Float => "float of 32 bits, widened",
        Form::Double => "double of 64 bits",
        Form::Text => "text",
        Form::Symbol(symbols) => return format!("one of {} symbols, as text", symbols.len()),
        Form::Bytes => "bytes",
        Form::Fixed(size) => return format!("{size} bytes"),
        Form::Timestamp(scale @ ..=0) => return format!("time, {} units a microsecond", -scale),
        Form::Timestamp(1) => "time in microseconds",
        Form::Timestamp(scale) => return format!("time, {scale} microseconds a unit"),
        Form::Date => "days since 1970",
        Form::Uuid => "text of a UUID, as 16 bytes",
        Form::Built(Built::Decimal(scale, _)) => {
            return format!("decimal, {scale} digits after its point");
        }
        Form::Built(Built::Texts) => "array of texts",
        Form::Built(Built::Json(_)) => "any other value, as JSON",
    }
    .to_owned()
}
