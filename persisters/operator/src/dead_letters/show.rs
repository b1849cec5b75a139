//! `persister dead-letters show`.

use super::letter::{Filter, Letter, Letters, ranges};
use crate::avro_json::{decode, hex, json};
use crate::{OperatorError, Servers, time};
use apache_avro::Schema;
use records::rejection::Origin;
use std::fmt::Write as _;
use wire::{Registry, SchemaId, unframe};

/// How many bytes are shown of what can't be decoded.
const BYTES_MAX: usize = 64;

/// Everything that is known of one dead letter.
pub(crate) async fn show(servers: &Servers, id: &Origin) -> Result<String, OperatorError> {
    let filter = Filter { ids: Some([id.clone()].into()), ..Filter::default() };
    let mut letters = Letters::read(servers, ranges(servers, None).await?, &filter)?;
    let letter = letters.next().await?.ok_or_else(|| {
        OperatorError::Request(format!(
            "there is no dead letter {id}; `persister dead-letters list`"
        ))
    })?;
    let record = record(&Registry::new(&servers.registry)?, letter.record.payload.as_deref()).await;
    Ok(text(&letter, &record?))
}

fn text(letter: &Letter, record: &str) -> String {
    let mut text = format!("id: {}\nkey: {}\n", letter.origin, letter.key());
    writeln!(text, "rejected at: {}", time::text(letter.rejected_at)).expect("a String takes all");
    for (name, value) in &letter.record.headers {
        let value = String::from_utf8_lossy(value);
        writeln!(text, "{name}: {value}").expect("a String takes all");
    }
    text + record
}

/// The record as JSON; or its first bytes, and why they are no more than that.
async fn record(registry: &Registry, payload: Option<&[u8]>) -> Result<String, OperatorError> {
    let Some(payload) = payload else { return Ok("the letter has no value\n".to_owned()) };
    let (id, avro) = match unframe(payload) {
        Ok(framed) => framed,
        Err(error) => return Ok(undecoded(payload, &error.to_string())),
    };
    let schema = match registry.schema(id).await {
        Ok(schema) => schema,
        Err(error) if error.is_final() => return Ok(undecoded(payload, &error.to_string())),
        Err(error) => return Err(error.into()),
    };
    Ok(decoded((id, &schema), avro).unwrap_or_else(|why| undecoded(payload, &why)))
}

fn decoded((id, json_schema): (SchemaId, &str), mut avro: &[u8]) -> Result<String, String> {
    let schema = Schema::parse_str(json_schema).map_err(|error| error.to_string())?;
    let value = decode(&schema, &mut avro).map_err(|error| error.to_string())?;
    let name = schema.name().map(|name| name.fullname(None)).unwrap_or_default();
    let left = match avro.len() {
        0 => String::new(),
        left => format!("{left} bytes are left after the last field: {}\n", first_bytes(avro)),
    };
    Ok(format!("schema id {}: {name}\n{:#}\n{left}", id.0, json(&value)))
}

fn undecoded(payload: &[u8], why: &str) -> String {
    format!("not decoded: {why}\n{} bytes: {}\n", payload.len(), first_bytes(payload))
}

fn first_bytes(bytes: &[u8]) -> String {
    let shown = hex(&bytes[..bytes.len().min(BYTES_MAX)]);
    if bytes.len() > BYTES_MAX { format!("{shown}…") } else { shown }
}
