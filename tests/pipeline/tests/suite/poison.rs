//! Poison costs only itself: it is a dead letter that says what, where and what to do, and all that
//! is around it are rows.

use harness::{World, wait_until};
use pipeline::{Bench, LONG, MIGRATED, Outcome, Source, WIDGET, persister};
use records::contract::{ContractRecord, Delete, Extent, Lease};
use records::rejection::{Class, header};
use records::{Topic, Value, Version};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use wire::{Admin, KafkaSettings, Scanned, SchemaId, TopicSpec, frame};

/// The key of everything here: one partition, so that poison has good records on both sides.
const KEY: &str = "k";

const LIVE: Topic = Topic::InventoryLive;

/// The attributes of [`sample`], in the order of the schema.
const ATTRIBUTES: [&str; 7] = ["name", "labels", "price", "fine", "born", "seen", "ratio"];

/// A type with one attribute of each kind that can be poisoned.
fn sample(record: &str) -> String {
    let map = r#"{"type":"map","values":"string"}"#;
    let decimal = |digits: usize| {
        format!(
            r#"{{"type":"bytes","logicalType":"decimal","precision":{digits},"scale":{digits}}}"#
        )
    };
    let of_int = r#"{"type":"int","logicalType":"date"}"#;
    let of_long = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    let (price, fine) = (decimal(2), decimal(70_000));
    let types = [r#""string""#, map, &price, &fine, of_int, of_long, r#""double""#];
    let attribute = |(name, avro): (&&str, &str)| {
        format!(r#",{{"name":"{name}","type":["null",{avro}],"default":null}}"#)
    };
    let attributes: String = ATTRIBUTES.iter().zip(types).map(attribute).collect();
    format!(
        r#"{{"type":"record","name":"{record}","namespace":"test","fields":[
        {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
        {{"name":"version","type":"long"}},{{"name":"update_mask","type":
        ["null",{{"type":"array","items":"string"}}],"default":null}}{attributes}]}}"#
    )
}

/// Avro's long: zig-zag, seven bits a byte.
fn long(value: i64) -> Vec<u8> {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap_or(0));
    bytes
}

fn bytes(value: &[u8]) -> Vec<u8> {
    [long(i64::try_from(value.len()).unwrap_or(0)), value.to_vec()].concat()
}

/// A record of [`sample`], its attributes given in Avro's form.
fn avro(
    (id, version): (&str, Version),
    mask: Option<&str>,
    attributes: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    let mask =
        mask.map_or(vec![0], |name| [long(1), long(1), bytes(name.as_bytes()), long(0)].concat());
    let given = |name: &&str| attributes.iter().find(|(known, _)| known == name);
    let attribute =
        |name| given(name).map_or(vec![0], |(_, value)| [vec![2], value.clone()].concat());
    let envelope = [bytes(b"test"), bytes(id.as_bytes()), long(version.micros()), mask].concat();
    ATTRIBUTES.iter().map(attribute).fold(envelope, |record, value| [record, value].concat())
}

/// Bytes that are refused, why, and what the message says of it.
struct Poison(Option<Vec<u8>>, Class, &'static [&'static str]);

/// The schema ids of what is sent.
#[derive(Clone, Copy)]
struct Ids {
    sample: SchemaId,
    delete: SchemaId,
    extent: SchemaId,
    lease: SchemaId,
    text: SchemaId,
}

impl Ids {
    async fn register(source: &Source, record: &str) -> Outcome<Self> {
        Ok(Self {
            sample: source.register(&format!("test.{record}"), &sample(record)).await?,
            delete: source.register(Delete::SUBJECT, Delete::json()).await?,
            extent: source.register(Extent::SUBJECT, Extent::json()).await?,
            lease: source.register(Lease::SUBJECT, Lease::json()).await?,
            text: source.register("test.Text", r#""string""#).await?,
        })
    }

    fn whole(self, attributes: &[(&str, Vec<u8>)]) -> Option<Vec<u8>> {
        Some(frame(self.sample, &avro(("bad", Version::now()), None, attributes)))
    }

    fn delete(self, entity_type: &str, version: Version) -> Option<Vec<u8>> {
        let (source, entity_type) = ("test".to_owned(), entity_type.to_owned());
        let delete =
            Delete { source, entity_type, native_id: "bad".into(), version: version.micros() };
        Some(frame(self.delete, &delete.encode()))
    }

    fn extent(self, (from, to): (&str, &str), keys: &[&str], version: Version) -> Option<Vec<u8>> {
        let extent = Extent {
            source: "test".to_owned(),
            entity_type: Some("sampled".to_owned()),
            from: from.to_owned(),
            to: Some(to.to_owned()),
            version: version.micros(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        Some(frame(self.extent, &extent.encode()))
    }
}

/// What is no record of a known kind, or is not whole.
fn broken(ids: Ids) -> Vec<Poison> {
    let good = ids.whole(&[]).unwrap_or_default();
    let mut truncated = ids.whole(&[("name", bytes(b"a name"))]).unwrap_or_default();
    truncated.truncate(truncated.len() - ATTRIBUTES.len());
    let trailing = |record: &[u8]| Some([record, &[1, 2]].concat());
    let delete = ids.delete("sampled", Version::now()).unwrap_or_default();
    let lease = Lease { source: "test".into(), writer: "w".into(), term: 1, ceiling: 1 };
    let invalid = Class::InvalidRecord;
    vec![
        Poison(None, Class::NoValue, &["is empty", "Delete"]),
        Poison(Some(b"{}".to_vec()), Class::NotFramed, &["2 bytes", "schema registry"]),
        Poison(Some(b"no frame".to_vec()), Class::NotFramed, &["first byte is 110"]),
        Poison(
            Some(frame(SchemaId(0x7fff_ffff), &[1])),
            Class::UnknownSchema,
            &["2147483647", "one registry"],
        ),
        Poison(Some(frame(SchemaId(-1), &[1])), Class::UnknownSchema, &["ids/-1"]),
        Poison(Some(frame(SchemaId(i32::MIN), &[])), Class::UnknownSchema, &["ids/-2147483648"]),
        Poison(Some(frame(SchemaId(0), &[])), Class::UnknownSchema, &["ids/0"]),
        Poison(
            Some(frame(ids.lease, &lease.encode())),
            Class::UnknownRecordType,
            &["tributary.checkpoints.Lease", "\"native_id\"", "correct the record's schema"],
        ),
        Poison(Some(frame(ids.text, &bytes(b"x"))), Class::UnknownRecordType, &["not a record"]),
        Poison(Some(truncated), invalid, &["ends inside \"name\"", "correct the producer"]),
        Poison(trailing(&good), invalid, &["2 bytes are left"]),
        Poison(trailing(&delete), invalid, &["Delete", "2 bytes are left"]),
    ]
}

/// Values that no column can hold, and names that are none.
fn values(ids: Ids) -> Vec<Poison> {
    let map = |key: &[u8], value: &[u8]| [long(1), bytes(key), bytes(value), long(0)].concat();
    let of = |name, value| ids.whole(&[(name, value)]);
    let masked = avro(("bad", Version::now()), Some("colour"), &[]);
    let named = |id: &str| Some(frame(ids.sample, &avro((id, Version::now()), None, &[])));
    let invalid = Class::InvalidRecord;
    vec![
        Poison(of("name", bytes(b"a\0b")), invalid, &["\"name\"", "NUL"]),
        Poison(of("name", bytes(b"\xff\xfe")), invalid, &["\"name\"", "not UTF-8"]),
        Poison(of("labels", map(b"a", b"\0")), invalid, &["\"labels\"", "NUL"]),
        Poison(of("labels", map(b"\0", b"a")), invalid, &["\"labels\"", "NUL"]),
        Poison(of("labels", map(b"a", b"\xc3")), invalid, &["\"labels\"", "not UTF-8"]),
        Poison(of("price", bytes(&[1; 17])), invalid, &["\"price\"", "128 bits"]),
        Poison(of("fine", bytes(&[1])), invalid, &["\"fine\"", "16383 digits"]),
        Poison(of("born", long(i64::from(i32::MAX))), invalid, &["\"born\"", "5874897 AD"]),
        Poison(of("born", long(i64::from(i32::MIN))), invalid, &["\"born\"", "4713 BC"]),
        Poison(of("seen", long(i64::MAX)), invalid, &["\"seen\"", "294276 AD"]),
        Poison(of("seen", long(i64::MIN)), invalid, &["\"seen\"", "4713 BC"]),
        Poison(Some(frame(ids.sample, &masked)), invalid, &["update_mask", "\"colour\""]),
        Poison(named(""), invalid, &["native_id", "1 to 512 bytes"]),
        Poison(named(&"x".repeat(513)), invalid, &["native_id", "1 to 512 bytes"]),
        Poison(ids.delete("No Type", Version::now()), invalid, &["type \"No Type\""]),
    ]
}

/// Versions that are no moments, and extents that can't be.
fn moments(ids: Ids) -> Vec<Poison> {
    let far = Version::now().plus(Duration::from_secs(3600));
    let seconds = Version::from_micros(1_700_000_000);
    let version = Class::ImplausibleVersion;
    let upsert = |version, mask| Some(frame(ids.sample, &avro(("bad", version), mask, &[])));
    let extent = |range, keys, version| ids.extent(range, keys, version);
    let now = Version::now();
    vec![
        Poison(upsert(far, None), version, &["ten minutes ahead", "clock"]),
        Poison(upsert(seconds, Some("name")), version, &["1700000000", "microseconds"]),
        Poison(upsert(Version::from_micros(i64::MIN), None), version, &["before 2000"]),
        Poison(upsert(Version::from_micros(i64::MAX), None), version, &["ten minutes ahead"]),
        Poison(ids.delete("sampled", far), version, &["ten minutes ahead"]),
        Poison(extent(("a", "b"), &[], far), version, &["ten minutes ahead"]),
        Poison(
            extent(("a", "b"), &["c"], now),
            Class::InvalidRecord,
            &["keys", "\"c\" is outside"],
        ),
        Poison(extent(("", "b"), &[""], now), Class::InvalidRecord, &["keys", "1 to 512 bytes"]),
        Poison(extent(("a\0", "b"), &[], now), Class::InvalidRecord, &["NUL"]),
    ]
}

fn number(letter: &Scanned, name: &str) -> Option<i64> {
    letter.header(name)?.parse().ok()
}

async fn check(name: &str, record: &str, poisons: fn(Ids) -> Vec<Poison>) -> Outcome<()> {
    let mut bench = Bench::start(name).await?;
    let ids = Ids::register(&bench.source, record).await?;
    let poisons = poisons(ids);
    for (i, Poison(payload, ..)) in poisons.iter().enumerate() {
        let good = frame(ids.sample, &avro((&format!("{i:03}"), Version::now()), None, &[]));
        bench.source.publish(LIVE, (Some(KEY), Some(good))).await?;
        bench.source.publish(LIVE, (Some(KEY), payload.clone())).await?;
    }
    let last = frame(ids.sample, &avro(("last", Version::now()), None, &[]));
    bench.source.publish(LIVE, (Some(KEY), Some(last))).await?;
    bench.answers(POSITIONS, Some(i64::try_from(poisons.len())? * 2 + 1)).await?;
    let rows = format!("SELECT count(*) FROM inventory.{}", record.to_lowercase());
    bench.answers(&rows, Some(i64::try_from(poisons.len())? + 1)).await?;
    let letters = bench.source.letters().await?;
    assert_eq!(letters.len(), poisons.len());
    for ((i, Poison(payload, class, said)), letter) in (0_i64..).zip(&poisons).zip(&letters) {
        assert_eq!(letter.header(header::CLASS), Some(class.name()), "{i}");
        let message = letter.header(header::MESSAGE).unwrap_or_default();
        said.iter().for_each(|text| assert!(message.contains(text), "{i}: {text:?} in {message}"));
        assert!(message.ends_with(class.remedy()), "{i}: {message}");
        let topic = format!("{}inventory.live", bench.world.topic_prefix());
        assert_eq!(letter.header(header::TOPIC), Some(topic.as_str()));
        assert_eq!(number(letter, header::OFFSET), Some(i * 2 + 1));
        assert_eq!((letter.key.as_deref(), &letter.payload), (Some(KEY.as_bytes()), payload));
        bench.admin_shows("/metrics", &format!("dead_letters_total{{class=\"{class}\"}}")).await?;
    }
    Ok(())
}

const POSITIONS: &str = "SELECT sum(next_offset)::bigint FROM tributary.position";

#[tokio::test]
async fn what_is_no_record_is_told() -> Outcome<()> {
    check("broken", "Broken", broken).await
}

#[tokio::test]
async fn what_no_column_can_hold_is_told_with_its_attribute() -> Outcome<()> {
    check("values", "Valued", values).await
}

#[tokio::test]
async fn moments_and_ranges_that_cannot_be_are_told() -> Outcome<()> {
    check("moments", "Momentary", moments).await
}

#[tokio::test]
async fn what_is_only_unusual_is_applied() -> Outcome<()> {
    let mut bench = Bench::start("unusual").await?;
    let ids = Ids::register(&bench.source, "Sampled").await?;
    let send = async |payload: Option<Vec<u8>>| bench.source.publish(LIVE, (None, payload)).await;
    let row = |id: &str, ratio: f64| {
        let ratio = [("ratio", ratio.to_le_bytes().to_vec())];
        Some(frame(ids.sample, &avro((id, Version::now()), None, &ratio)))
    };
    for (id, ratio) in [("a", f64::NAN), ("b", f64::INFINITY), ("c", 1.5), ("gone", 1.5)] {
        send(row(id, ratio)).await?;
    }
    bench.answers("SELECT count(*) FROM inventory.sampled", Some(4)).await?;
    let send = async |payload: Option<Vec<u8>>| bench.source.publish(LIVE, (None, payload)).await;
    send(ids.extent(("", "d"), &["c", "a", "a", "b"], Version::now())).await?;
    send(ids.extent(("z", "y"), &[], Version::now())).await?;
    send(ids.delete("nobody_knows_it", Version::now())).await?;
    let many: Vec<String> = (0..6000).map(|i| format!("many/{i:04}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    send(ids.extent(("gone", "n"), &many, Version::now())).await?;
    bench.answers(POSITIONS, Some(8)).await?;
    bench.answers("SELECT count(*) FROM inventory.sampled", Some(3)).await?;
    let numbers = "SELECT count(*) FROM inventory.sampled WHERE ratio IN ('NaN', 'Infinity')";
    bench.answers(numbers, Some(2)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);
    Ok(())
}

/// A broker that takes dead letters of little room only.
async fn cramped() -> Outcome<Bench> {
    let world = World::start("cramped", &MIGRATED).await?;
    let kafka = KafkaSettings::plain(&world.parts().kafka.address(), &world.topic_prefix());
    let spec = TopicSpec {
        name: kafka.topic(Topic::DeadLetters),
        partitions: 4,
        replication: 1,
        config: vec![("max.message.bytes", "2000".to_owned())],
    };
    Admin::new(&kafka, "tests")?.ensure_topic(&spec).await?;
    let source = Source::start(&world, WIDGET).await?;
    let persister = persister(&world, "slot-0", &[])?;
    let database = PgConnection::connect(world.database_url()).await?;
    Ok(Bench { world, source, database, persister })
}

#[tokio::test]
async fn what_is_too_large_for_a_dead_letter_holds_up_nothing() -> Outcome<()> {
    let mut bench = cramped().await?;
    // Numbers that do not repeat, so that compression does not make room.
    let large: String =
        (0..9000_u32).map(|i| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect();
    let bad = |text: &str| Some([b"no frame ", text.as_bytes()].concat());
    bench.source.whole(LIVE, ("a", Version::now()), &[("size", Value::Long(1))]).await?;
    bench.source.publish(LIVE, (Some(KEY), bad(&large))).await?;
    bench.source.publish(LIVE, (Some(&large), bad("of a large key"))).await?;
    bench.source.publish(LIVE, (Some(KEY), bad("but small"))).await?;
    bench.source.whole(LIVE, ("b", Version::now()), &[("size", Value::Long(2))]).await?;
    bench.shows(&[("a", None, Some(1)), ("b", None, Some(2))]).await?;
    bench.answers(POSITIONS, Some(5)).await?;
    wait_until("three letters", LONG, async || {
        let letters = bench.source.letters().await.map_err(|error| error.to_string())?;
        let left_out = |letter: &&Scanned| letter.header(header::LEFT_OUT_BYTES).is_some();
        let (large, small): (Vec<_>, Vec<_>) = letters.iter().partition(left_out);
        let is_whole = |letter: &&Scanned| letter.payload == bad("but small");
        let is_told =
            |letter: &&Scanned| letter.payload.is_none() && letter.header(header::OFFSET).is_some();
        let told = large.len() >= 2 && large.iter().all(is_told);
        if told && !small.is_empty() && small.iter().all(is_whole) {
            Ok(())
        } else {
            Err(format!("{letters:?}"))
        }
    })
    .await?;
    Ok(())
}
