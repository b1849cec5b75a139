//! How fast Avro becomes columns: our plan against apache-avro, in turns, in this process.

use apache_avro::from_avro_datum;
use apache_avro_newest::reader::datum::GenericDatumReader;
use nix::time::{ClockId, clock_gettime};
use plan::{Layout, Plan, Spare};
use records::{Encoder, NativeId, SourceName, Upsert, Version};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use workloads::objects::{self, PARTIAL};

/// Records of a turn: as many as a persister fetches at once.
const RECORDS: u64 = 5_000;

/// Turns of each decoder at each kind of record.
const TURNS: usize = 25;

/// Who decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoder {
    /// Our plan, to the columns of a batch.
    Ours,
    /// The newest apache-avro, straight to a struct.
    Serde,
    /// The newest apache-avro, to a `Value`.
    Value,
    /// The apache-avro that this project reads schemas with, to a `Value`.
    OlderValue,
    /// The same, and from the `Value` to a struct.
    OlderFromValue,
}

/// What a decoder took.
#[derive(Debug, Clone, Serialize)]
pub struct Decoding {
    /// Who.
    pub decoder: Decoder,
    /// Whether each record touches two attributes, or all twenty.
    pub partial: bool,
    /// Nanoseconds of a record in the fastest turn.
    pub fastest_ns: f64,
    /// Nanoseconds of a record in the turn in the middle.
    pub median_ns: f64,
}

impl Decoder {
    const ALL: [Self; 5] =
        [Self::Ours, Self::Serde, Self::Value, Self::OlderValue, Self::OlderFromValue];

    /// How people read it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ours => "Tributary, to columns",
            Self::Serde => "apache-avro 0.22, to a struct",
            Self::Value => "apache-avro 0.22, to `Value`",
            Self::OlderValue => "apache-avro 0.21, to `Value`",
            Self::OlderFromValue => "apache-avro 0.21, to `Value`, to a struct",
        }
    }
}

/// What the decoders read, and what they read it by.
struct Desk {
    plan: Plan,
    layout: Arc<Layout>,
    spare: Spare,
    schema: apache_avro::Schema,
    newest_schema: apache_avro_newest::Schema,
    records: Vec<Vec<u8>>,
}

/// The record as a program has it that reads it by serde.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only how long it takes to make one is of interest")]
struct BenchVm {
    source: String,
    native_id: String,
    version: i64,
    update_mask: Option<Vec<String>>,
    name: Option<String>,
    uuid: Option<String>,
    power_state: Option<String>,
    template: Option<bool>,
    cpus: Option<i32>,
    memory_mb: Option<i64>,
    cpu_usage: Option<f64>,
    disk_bytes: Option<i64>,
    hostname: Option<String>,
    ip_address: Option<String>,
    guest_os: Option<String>,
    tools_version: Option<i64>,
    hardware_version: Option<String>,
    annotation: Option<String>,
    boot_time: Option<i64>,
    created_at: Option<i64>,
    host_ref: Option<String>,
    folder_ref: Option<String>,
    resource_pool_ref: Option<String>,
    datastore_ref: Option<String>,
}

/// Lets each decoder read the same records, in turns. A turn is the processor's time, so that
/// what others do on the machine counts little.
///
/// # Panics
/// If one of them can't read what the encoder of this project has written.
#[must_use]
pub fn measure() -> Vec<Decoding> {
    [false, true].into_iter().flat_map(measure_one).collect()
}

fn measure_one(partial: bool) -> Vec<Decoding> {
    let desk = Desk::new(partial);
    let mut turns = Decoder::ALL.map(|_| Vec::with_capacity(TURNS));
    for _ in 0..TURNS {
        for (decoder, turns) in Decoder::ALL.into_iter().zip(&mut turns) {
            let start = processor_ns();
            desk.turn(decoder);
            turns.push((processor_ns() - start) / RECORDS as f64);
        }
    }
    let decoding = |(decoder, mut turns): (Decoder, Vec<f64>)| {
        turns.sort_by(f64::total_cmp);
        let (fastest_ns, median_ns) = (turns[0], turns[TURNS / 2]);
        Decoding { decoder, partial, fastest_ns, median_ns }
    };
    Decoder::ALL.into_iter().zip(turns).map(decoding).collect()
}

/// What this thread has used of a processor.
fn processor_ns() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    Duration::from(time).as_secs_f64() * 1e9
}

impl Desk {
    fn new(partial: bool) -> Self {
        let entity = objects::entity_type();
        let attributes = entity.attributes().iter().map(|a| (a.name.clone(), a.column)).collect();
        let layout = Arc::new(Layout { entity_type: entity.name().clone(), attributes });
        let plan = Plan::compile(1, &entity, &layout).expect("the layout has all attributes");
        let schema = entity.schema().clone();
        let newest_schema = apache_avro_newest::Schema::parse_str(objects::AVSC)
            .expect("what the older version has parsed is Avro");
        let encoder = Encoder::new(entity);
        let records = (0..RECORDS).map(|number| record(&encoder, number, partial)).collect();
        Self { plan, layout, spare: Spare::default(), schema, newest_schema, records }
    }

    fn turn(&self, decoder: Decoder) {
        match decoder {
            Decoder::Ours => self.ours(),
            Decoder::Serde => {
                let reader = self.newest();
                self.each(|mut bytes| reader.read_deser::<BenchVm>(&mut bytes));
            }
            Decoder::Value => {
                let reader = self.newest();
                self.each(|mut bytes| reader.read_value(&mut bytes));
            }
            Decoder::OlderValue => {
                self.each(|mut bytes| from_avro_datum(&self.schema, &mut bytes, None));
            }
            Decoder::OlderFromValue => self.each(|mut bytes| {
                let value = from_avro_datum(&self.schema, &mut bytes, None)?;
                apache_avro::from_value::<BenchVm>(&value)
            }),
        }
    }

    /// As a persister does it with what it has fetched: into the memory of a batch before.
    fn ours(&self) {
        let mut batch = self.spare.take(&self.layout);
        for (origin, bytes) in self.records.iter().enumerate() {
            self.plan.decode(bytes, origin, &mut batch).expect("our encoder's record");
        }
        black_box(batch.records());
        self.spare.keep(batch);
    }

    fn each<T, E: Debug>(&self, decode: impl Fn(&[u8]) -> Result<T, E>) {
        for bytes in &self.records {
            black_box(decode(bytes).expect("what our encoder writes is Avro of its schema"));
        }
    }

    fn newest(&self) -> GenericDatumReader<'_> {
        GenericDatumReader::builder(&self.newest_schema).build().expect("it refers to no other")
    }
}

fn record(encoder: &Encoder, number: u64, partial: bool) -> Vec<u8> {
    let source = &SourceName::new("bench").expect("these letters may be a source");
    let native_id = &NativeId::new(objects::native_id(number)).expect("these letters may be an id");
    let mut attributes = objects::attributes(number, 0);
    if partial {
        attributes.retain(|(name, _)| PARTIAL.contains(name));
    }
    let version = Version::now();
    let mut avro = Vec::with_capacity(320);
    let upsert = Upsert { source, native_id, version, partial, attributes: &attributes };
    encoder.encode(&upsert, &mut avro).expect("values as the schema says");
    avro
}
