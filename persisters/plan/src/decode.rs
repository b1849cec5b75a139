//! A writer's schema compiled to a list of steps from Avro bytes to cells.

mod explain;
mod form;

pub use explain::ExplainedField;

use crate::batch::{Batch, Kind, Layout, Record};
use crate::column::Column;
use crate::fold::Cell;
use crate::read::{DecodeError, Fault, Reader};
use apache_avro::Schema;
use form::Form;
use records::model::AttributeSet;
use records::{EntityType, Version, non_null};
use std::sync::Arc;

/// How to read the records that one schema id stands for.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Step>,
    attributes: Arc<AttributeSet>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Step {
    field: String,
    target: Target,
    union: Option<Union>,
    form: Form,
}

/// How many branches it has, and which of them is null.
#[derive(Debug)]
struct Union {
    branches: usize,
    null: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Envelope(Part),
    /// Column of the table, and place among the schema's attributes.
    Attribute(usize, usize),
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Source,
    NativeId,
    Version,
    Mask,
}

/// A record's envelope as it is read.
#[derive(Default)]
struct Envelope<'a> {
    source: &'a [u8],
    native_id: &'a [u8],
    version: i64,
    /// Where the names of the mask begin.
    mask: Option<Reader<'a>>,
}

impl Plan {
    /// Compiles the schema with this id for a table that has all its attributes.
    ///
    /// # Errors
    /// The first attribute that the table lacks: the table must be widened first.
    pub fn compile(schema: i32, entity: &EntityType, layout: &Layout) -> Result<Self, String> {
        let Schema::Record(record) = entity.schema() else {
            return Err("the schema is not a record".to_owned());
        };
        let mut indexes = Vec::with_capacity(entity.attributes().len());
        for attribute in entity.attributes() {
            let name = attribute.name.as_str();
            indexes.push(layout.index_of(name).ok_or_else(|| name.to_owned())?);
        }
        indexes.sort_unstable();
        let step = |field: &apache_avro::schema::RecordField| Step {
            target: target(&field.name, layout, &indexes),
            union: Union::of(&field.schema),
            form: Form::of(non_null(&field.schema).unwrap_or(&field.schema), entity.schema()),
            field: field.name.clone(),
        };
        let steps = record.fields.iter().map(step).collect();
        let names = indexes.iter().map(|i| layout.attributes[*i].0.to_string()).collect();
        let attributes = Arc::new(AttributeSet { schema, indexes });
        Ok(Self { steps, attributes, names })
    }

    /// The attributes that a whole record of this schema touches.
    #[must_use]
    pub const fn attributes(&self) -> &Arc<AttributeSet> {
        &self.attributes
    }

    /// Decodes one record, without its frame, and appends it to the batch.
    ///
    /// # Errors
    /// [`DecodeError`]; the batch then has no trace of the record but cells that nothing shows.
    pub fn decode(
        &self,
        bytes: &[u8],
        origin: usize,
        batch: &mut Batch,
    ) -> Result<(), DecodeError> {
        let (values, masked) = (batch.values.len(), batch.masked.len());
        let result = self.append(bytes, origin, batch);
        if result.is_err() {
            batch.values.truncate(values);
            batch.masked.truncate(masked);
        }
        result
    }

    fn append(&self, bytes: &[u8], origin: usize, batch: &mut Batch) -> Result<(), DecodeError> {
        let start = batch.values.len();
        let envelope = self.read(bytes, batch)?;
        let version = Version::from_micros(envelope.version);
        if !version.is_plausible(batch.made_at) {
            return Err(DecodeError::ImplausibleVersion(envelope.version));
        }
        let key = batch.add_key(envelope.source, envelope.native_id)?;
        let kind = match envelope.mask {
            None => Kind::Whole(Arc::clone(&self.attributes), start),
            Some(mask) => self.narrow(mask, start, batch)?,
        };
        batch.records.push(Record { key, version, kind, origin });
        Ok(())
    }

    /// What most fields need is inlined here, so that a register has where the reader stands: from
    /// memory each field would wait for what the one before has stored.
    fn read<'a>(&self, bytes: &'a [u8], batch: &mut Batch) -> Result<Envelope<'a>, DecodeError> {
        let start = batch.values.len();
        batch.values.resize(start + self.attributes.indexes.len(), None);
        let (columns, values) = (&mut batch.columns[..], &mut batch.values[start..]);
        let mut reader = Reader::new(bytes);
        let mut envelope = Envelope::default();
        for step in &self.steps {
            step.run(&mut reader, &mut envelope, (columns, values))
                .map_err(|f| f.at(&step.field))?;
        }
        match reader.remaining() {
            0 => Ok(envelope),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    /// Keeps only the cells that the mask names.
    fn narrow(
        &self,
        mut mask: Reader<'_>,
        start: usize,
        batch: &mut Batch,
    ) -> Result<Kind, DecodeError> {
        let (first, mut unknown) = (batch.masked.len(), None);
        let name = |reader: &mut Reader<'_>| {
            let name = reader.text()?;
            match self.names.iter().position(|known| known == name) {
                Some(place) => {
                    let index = self.attributes.indexes[place];
                    batch.masked.push((index, batch.values[start + place]));
                }
                None => drop(unknown.get_or_insert_with(|| name.to_owned())),
            }
            Ok(())
        };
        mask.blocks(name).map_err(|fault| fault.at("update_mask"))?;
        batch.values.truncate(start);
        match unknown {
            Some(name) => Err(DecodeError::UnknownInMask(name)),
            None => Ok(Kind::Partial(first, batch.masked.len())),
        }
    }
}

impl Step {
    #[inline(always)]
    fn run<'a>(
        &self,
        reader: &mut Reader<'a>,
        envelope: &mut Envelope<'a>,
        (columns, values): (&mut [Column], &mut [Option<Cell>]),
    ) -> Result<(), Fault> {
        if let Some(union) = &self.union
            && union.null == Some(reader.index(union.branches)?)
        {
            return Ok(());
        }
        match self.target {
            Target::Envelope(part) => envelope.read(part, reader)?,
            Target::Attribute(column, place) => {
                let cell = columns[column].push(|out| self.form.cell(reader, out))?;
                values[place] = Some(Cell::Incoming(cell));
            }
        }
        Ok(())
    }
}

impl<'a> Envelope<'a> {
    /// The key's texts are checked when the key is added.
    #[inline(always)]
    fn read(&mut self, part: Part, reader: &mut Reader<'a>) -> Result<(), Fault> {
        match part {
            Part::Source => self.source = reader.bytes()?,
            Part::NativeId => self.native_id = reader.bytes()?,
            Part::Version => self.version = reader.long()?,
            Part::Mask => {
                self.mask = Some(*reader);
                reader.elsewhere(|reader| reader.blocks(|reader| reader.text_bytes().map(drop)))?;
            }
        }
        Ok(())
    }
}

fn target(field: &str, layout: &Layout, indexes: &[usize]) -> Target {
    match field {
        "source" => Target::Envelope(Part::Source),
        "native_id" => Target::Envelope(Part::NativeId),
        "version" => Target::Envelope(Part::Version),
        "update_mask" => Target::Envelope(Part::Mask),
        name => {
            let column = layout.index_of(name).expect("compile has looked up every attribute");
            let place = indexes.binary_search(&column).expect("compile has listed it");
            Target::Attribute(column, place)
        }
    }
}

impl Union {
    fn of(schema: &Schema) -> Option<Self> {
        let Schema::Union(union) = schema else { return None };
        let variants = union.variants();
        let null = variants.iter().position(|variant| matches!(variant, Schema::Null));
        Some(Self { branches: variants.len(), null })
    }
}
