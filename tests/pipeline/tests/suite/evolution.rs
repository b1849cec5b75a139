//! Types change while records flow and a person's own views stand on ours: what a table can follow
//! becomes a column, what it can't waits alone, with the statement that lets it in.

use harness::World;
use pipeline::{Bench, LONG, MIGRATED, Outcome, Source, WIDGET, persister};
use records::rejection::{Class, header};
use records::{EntityType, Topic, Value, Version};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::interval;
use wire::{Registry, RegistrySettings};

const LIVE: Topic = Topic::InventoryLive;

/// Attributes: name, Avro type, and what else the field says.
type Attributes<'a> = &'a [(&'a str, &'a str, &'a str)];

/// Values of attributes.
type Values = Vec<(&'static str, Value)>;

const REFERENCE: &str = r#","tributary.references":"host""#;

fn avsc(record: &str, attributes: Attributes<'_>) -> String {
    let attribute = |(name, avro, more): &(&str, &str, &str)| {
        format!(r#",{{"name":"{name}","type":["null","{avro}"],"default":null{more}}}"#)
    };
    let attributes: String = attributes.iter().map(attribute).collect();
    format!(
        r#"{{"type":"record","name":"{record}","namespace":"test","fields":[
        {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
        {{"name":"version","type":"long"}},{{"name":"update_mask","type":
        ["null",{{"type":"array","items":"string"}}],"default":null}}{attributes}]}}"#
    )
}

/// Brings the registry and PostgreSQL to what these schemas say, as the owner.
async fn apply(world: &World, schemas: &[&str]) -> Outcome<String> {
    let folder = world.folder().join("avro");
    std::fs::create_dir_all(&folder)?;
    for schema in schemas {
        let name = EntityType::parse(schema)?.name().to_string();
        std::fs::write(folder.join(format!("{name}.avsc")), schema)?;
    }
    let program = world.program("schemas", |command| {
        command.args(["apply", "--dir"]).arg(&folder).env("TRIBUTARY_TOPICS__PARTITIONS", "4")
    })?;
    program.wait(LONG).await?;
    Ok(program.output()?)
}

/// The rows of a view in the order of their text.
async fn rows(bench: &mut Bench, view: &str) -> Outcome<Vec<String>> {
    let rows = format!("SELECT v::text FROM {view} AS v ORDER BY 1");
    Ok(sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut bench.database).await?)
}

/// What a type that waits says: why, and what a person can do.
async fn condition(bench: &mut Bench, entity_type: &str) -> Outcome<(String, String)> {
    let of_type = format!("SELECT count(*) FROM tributary.waiting WHERE type = '{entity_type}'");
    bench.answers(&of_type, Some(1)).await?;
    let condition = "SELECT reason, hint FROM tributary.waiting WHERE type = $1";
    Ok(sqlx::query_as(condition).bind(entity_type).fetch_one(&mut bench.database).await?)
}

/// Waits until the live topic is applied.
async fn applied(bench: &mut Bench) -> Outcome<()> {
    let positions = "SELECT sum(next_offset)::bigint FROM tributary.position \
         WHERE topic LIKE '%inventory.live'";
    let end = bench.source.count(LIVE).await?;
    bench.answers(positions, Some(end)).await
}

const WAITING: &str = "SELECT count(*) FROM tributary.waiting";

/// A writer that knows nothing of newer versions: it publishes one object after the other until it
/// is stopped.
struct Writer {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Outcome<i64>>,
}

impl Writer {
    fn start(source: Source, attributes: fn(i64) -> Values) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut pace = interval(Duration::from_millis(20));
            let mut sent = 0;
            loop {
                tokio::select! {
                    _ = &mut stopped => return Ok(sent),
                    _ = pace.tick() => {}
                }
                let id = format!("old-{}", sent % 10);
                source.whole(LIVE, (&id, Version::now()), &attributes(sent)).await?;
                sent += 1;
            }
        });
        Self { stop, task }
    }

    async fn stop(self) -> Outcome<i64> {
        drop(self.stop);
        self.task.await?
    }
}

const FIRST: Attributes<'_> = &[
    ("name", "string", ""),
    ("size", "int", ""),
    ("ratio", "float", ""),
    ("note", "string", ""),
    ("host_ref", "string", REFERENCE),
];

fn first(number: i64) -> Values {
    vec![
        ("name", format!("n{number}").into()),
        ("size", number.into()),
        ("ratio", Value::Double(0.5)),
        ("note", "first".into()),
        ("host_ref", "host-1".into()),
    ]
}

/// What a person has made of our views.
const OF_A_PERSON: &str = "CREATE SCHEMA person;
    CREATE VIEW person.mine AS
        SELECT native_id, name, size, ratio, note FROM inventory.evolved WHERE name IS NOT NULL;
    CREATE VIEW person.on_mine AS SELECT native_id, size + 1 AS more FROM person.mine;
    CREATE MATERIALIZED VIEW person.kept AS SELECT count(*) FROM inventory.evolved;
    CREATE VIEW person.details AS SELECT * FROM inventory.evolved_detail";

/// The later versions in their order, each with an object of its own and one that all write.
async fn evolve(bench: &mut Bench) -> Outcome<()> {
    let colour = ("colour", "string", "");
    let added = [FIRST, &[colour]].concat();
    let removed = [&FIRST[..3], &[colour]].concat();
    let longer = [&[FIRST[0], ("size", "long", "")], &removed[2..]].concat();
    let wider = [&longer[..2], &[("ratio", "double", ""), colour]].concat();
    let large = || Value::Long(9_000_000_000);
    let steps: [(&str, Attributes<'_>, Values); 4] = [
        ("v2", &added, vec![("note", "second".into()), ("colour", "red".into())]),
        ("v3", &removed, vec![("size", 3.into()), ("colour", "green".into())]),
        ("v4", &longer, vec![("size", large())]),
        ("v5", &wider, vec![("size", large()), ("ratio", Value::Double(0.1))]),
    ];
    for (name, attributes, mut values) in steps {
        let source = Source::start(&bench.world, &avsc("Evolved", attributes)).await?;
        values.push(("name", name.into()));
        source.whole(LIVE, (name, Version::now()), &values).await?;
        source.whole(LIVE, ("shared", Version::now()), &values).await?;
        let seen = format!("SELECT count(*) FROM inventory.evolved WHERE native_id = '{name}'");
        bench.answers(&seen, Some(1)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn versions_flow_through_below_the_views_of_a_person() -> Outcome<()> {
    let mut bench = Bench::start("evolution").await?;
    let output = apply(&bench.world, &[&avsc("Evolved", FIRST)]).await?;
    assert!(output.contains("evolved_detail"), "{output}");
    bench.sql(OF_A_PERSON).await?;
    let writer = Writer::start(Source::start(&bench.world, &avsc("Evolved", FIRST)).await?, first);
    bench.answers("SELECT count(*) FROM person.mine", Some(10)).await?;
    evolve(&mut bench).await?;
    let other = Source::start(&bench.world, &avsc("EvolvedToo", FIRST)).await?;
    other.whole(LIVE, ("a", Version::now()), &first(1)).await?;
    bench.answers("SELECT count(*) FROM inventory.evolved_too", Some(1)).await?;
    // The oldest version was written all the time.
    let sent = writer.stop().await?;
    applied(&mut bench).await?;
    let newest = "SELECT max(size) FROM person.mine WHERE native_id ~ 'old'";
    bench.answers(newest, Some(sent - 1)).await?;
    let mine = rows(&mut bench, "(SELECT * FROM person.mine WHERE native_id !~ 'old')").await?;
    let wanted = [
        "(shared,v5,9000000000,0.1,second)",
        "(v2,v2,,,second)",
        "(v3,v3,3,,)",
        "(v4,v4,9000000000,,)",
        "(v5,v5,9000000000,0.1,)",
    ];
    assert_eq!(mine, wanted);
    bench.answers("SELECT max(more) FROM person.on_mine", Some(9_000_000_001)).await?;
    let details = "SELECT count(*) FROM person.details WHERE source_seen_at IS NOT NULL";
    bench.answers(details, Some(15)).await?;
    bench.sql("REFRESH MATERIALIZED VIEW person.kept").await?;

    // What `schemas apply` makes anew stands below what the person has made, too.
    let newest = [
        ("name", "string", ""),
        ("size", "long", ""),
        ("ratio", "double", ""),
        ("colour", "string", ""),
    ];
    let output = apply(&bench.world, &[&avsc("Evolved", &newest)]).await?;
    assert!(!output.contains("failed"), "{output}");
    let colours = "SELECT count(colour) FROM inventory.evolved_detail";
    bench.answers(colours, Some(2)).await?;
    bench.answers(details, Some(15)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);

    read_all_again(&mut bench).await
}

/// Records of every version can be read for ever: the rows become what they were.
async fn read_all_again(bench: &mut Bench) -> Outcome<()> {
    let before = rows(bench, "person.mine").await?;
    bench.sql("TRUNCATE inventory_all.evolved").await?;
    let rewind = ["positions", "rewind", "--topic", "inventory.live", "--to-beginning"];
    let (code, text) = bench.command(&rewind).await?;
    assert_eq!(code, Some(0), "{text}");
    applied(bench).await?;
    assert_eq!(rows(bench, "person.mine").await?, before);
    Ok(())
}

/// The registry lets everything in from now on.
async fn open_registry(world: &World, subject: &str) -> Outcome<()> {
    let registry = Registry::new(&RegistrySettings::plain(&world.parts().registry.url()))?;
    Ok(registry.set_compatibility(subject, "NONE").await?)
}

#[tokio::test]
async fn a_version_that_no_column_can_follow_waits_for_a_statement_that_drops_nothing()
-> Outcome<()> {
    let mut bench = Bench::start("refused-version").await?;
    let old = avsc("Restyled", &[("code", "string", ""), ("size", "long", "")]);
    let new = avsc("Restyled", &[("code", "int", ""), ("size", "string", "")]);
    apply(&bench.world, &[&old]).await?;
    bench
        .sql(
            "CREATE SCHEMA person;
            CREATE VIEW person.mine AS SELECT native_id, code FROM inventory.restyled;
            CREATE VIEW person.details AS SELECT * FROM inventory.restyled_detail",
        )
        .await?;
    let writer = Source::start(&bench.world, &old).await?;
    let values = [("code", "c".into()), ("size", Value::Long(7))];
    writer.whole(LIVE, ("old", Version::now()), &values).await?;
    bench.answers("SELECT count(*) FROM person.details WHERE code = 'c'", Some(1)).await?;
    // The registry refuses it, unless it was told otherwise.
    let refused = Source::start(&bench.world, &new).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|text| text.contains("refuses (409)")), "{refused:?}");
    open_registry(&bench.world, "test.Restyled").await?;
    let newer = Source::start(&bench.world, &new).await?;
    let values = [("code", 5.into()), ("size", "large".into())];
    newer.whole(LIVE, ("new", Version::now()), &values).await?;
    let (reason, statement) = condition(&mut bench, "restyled").await?;
    for said in
        ["code is text, the schema wants bigint", "size is bigint", "person.mine", "person.details"]
    {
        assert!(reason.contains(said), "{said:?} in {reason}");
    }
    bench.admin_shows("/metrics", "tributary_persister_waiting_types 1").await?;
    // Nothing else waits, not even records of the older version.
    writer.whole(LIVE, ("old", Version::now()), &[("code", "d".into())]).await?;
    bench.source.whole(LIVE, ("a", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None)]).await?;
    bench.answers("SELECT count(*) FROM person.mine WHERE code = 'd'", Some(1)).await?;

    bench.sql(&statement).await?;
    bench
        .answers(
            "SELECT count(*) FROM inventory.restyled WHERE code = 5 AND size = 'large'",
            Some(1),
        )
        .await?;
    bench.answers(WAITING, Some(0)).await?;
    // What the person has made is as it was, with what it showed.
    bench.answers("SELECT count(*) FROM person.mine WHERE code = 'd'", Some(1)).await?;
    bench.answers("SELECT count(*) FROM person.details", Some(2)).await?;
    let output = apply(&bench.world, &[&new]).await?;
    assert!(!output.contains("failed"), "{output}");
    bench
        .answers(
            "SELECT code::bigint FROM inventory.restyled_detail WHERE native_id = 'new'",
            Some(5),
        )
        .await?;

    // A version that the table has left behind does not come back.
    writer.whole(LIVE, ("late", Version::now()), &[("code", "e".into())]).await?;
    bench.admin_shows("/metrics", "dead_letters_total{class=\"table\"} 1").await?;
    let letters = bench.source.letters().await?;
    assert_eq!(letters[0].header(header::CLASS), Some(Class::Table.name()));
    let message = letters[0].header(header::MESSAGE).unwrap_or_default();
    assert!(message.contains("code is bigint, the schema wants text"), "{message}");
    bench.answers(WAITING, Some(0)).await
}

#[tokio::test]
async fn a_version_that_was_a_mistake_waits_until_a_person_gives_it_up() -> Outcome<()> {
    let mut bench = Bench::start("given-up").await?;
    let right = Source::start(&bench.world, &avsc("Retracted", &[("size", "long", "")])).await?;
    right.whole(LIVE, ("a", Version::now()), &[("size", Value::Long(1))]).await?;
    bench.answers("SELECT count(*) FROM inventory.retracted", Some(1)).await?;
    open_registry(&bench.world, "test.Retracted").await?;
    let wrong = Source::start(&bench.world, &avsc("Retracted", &[("size", "string", "")])).await?;
    wrong.whole(LIVE, ("b", Version::now()), &[("size", "large".into())]).await?;
    condition(&mut bench, "retracted").await?;
    // The producer was rolled back: nobody needs the other version any more.
    right.whole(LIVE, ("b", Version::now()), &[("size", Value::Long(2))]).await?;
    bench.answers("SELECT sum(size)::bigint FROM inventory.retracted", Some(3)).await?;
    bench.answers(WAITING, Some(1)).await?;

    bench
        .sql(
            "UPDATE tributary.schema SET given_up = true
             WHERE id = (SELECT schema_id FROM tributary.waiting WHERE type = 'retracted')",
        )
        .await?;
    bench.answers(WAITING, Some(0)).await?;
    bench.admin_shows("/metrics", "dead_letters_total{class=\"table\"} 1").await?;
    bench.answers("SELECT count(skipped_from) FROM tributary.position", Some(0)).await?;
    let letters = bench.source.letters().await?;
    let message = letters[0].header(header::MESSAGE).unwrap_or_default();
    assert!(message.contains("was given up by a person"), "{message}");
    right.whole(LIVE, ("c", Version::now()), &[("size", Value::Long(4))]).await?;
    bench.answers("SELECT sum(size)::bigint FROM inventory.retracted", Some(7)).await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 1);
    Ok(())
}

/// A persister that may change rows, and no tables.
async fn without_rights(name: &str) -> Outcome<Bench> {
    let world = World::start(name, &MIGRATED).await?;
    let source = Source::start(&world, WIDGET).await?;
    let mut database = PgConnection::connect(world.database_url()).await?;
    let role = world.topic_prefix().replace('.', "");
    let rights = format!(
        "CREATE ROLE \"{role}\" LOGIN PASSWORD 'narrow' IN ROLE tributary_persister;
        ALTER ROLE \"{role}\" INHERIT"
    );
    let version = avsc("Narrow", &[("name", "string", "")]);
    apply(&world, &[&version, WIDGET]).await?;
    sqlx::raw_sql(AssertSqlSafe(rights)).execute(&mut database).await?;
    let place = world.database_url().rsplit('@').next().unwrap_or_default();
    let url = format!("postgres://{role}:narrow@{place}");
    let persister = persister(&world, "slot-0", &[("DATABASE_URL", &url)])?;
    Ok(Bench { world, source, database, persister })
}

#[tokio::test]
async fn without_rights_a_wider_version_waits_and_only_that() -> Outcome<()> {
    let mut bench = without_rights("narrow-rights").await?;
    let narrow = avsc("Narrow", &[("name", "string", "")]);
    let wide = avsc("Narrow", &[("name", "string", ""), ("width", "long", "")]);
    bench.sql("CREATE VIEW public.mine AS SELECT * FROM inventory.narrow").await?;
    let (old, new) =
        (Source::start(&bench.world, &narrow).await?, Source::start(&bench.world, &wide).await?);
    for id in ["a", "b", "c"] {
        old.whole(LIVE, (id, Version::now()), &[("name", "old".into())]).await?;
        new.whole(LIVE, (id, Version::now()), &[("width", Value::Long(3))]).await?;
        old.whole(LIVE, (&format!("{id}-old"), Version::now()), &[]).await?;
        bench.source.whole(LIVE, (id, Version::now()), &[]).await?;
    }
    let (reason, hint) = condition(&mut bench, "narrow").await?;
    assert!(reason.contains("inventory_all.narrow must be made or widened"), "{reason}");
    assert_eq!(hint, "run `schemas apply` as the owner");
    bench.admin_shows("/metrics", "tributary_persister_waiting_types 1").await?;
    bench.shows(&["a", "b", "c"].map(|id| (id, None, None))).await?;
    bench.answers("SELECT count(*) FROM public.mine", Some(6)).await?;
    bench.answers("SELECT count(*) FROM public.mine WHERE name = 'old'", Some(3)).await?;
    apply(&bench.world, &[&wide]).await?;
    bench
        .answers("SELECT sum(width)::bigint FROM inventory.narrow WHERE name IS NULL", Some(9))
        .await?;
    bench.answers(WAITING, Some(0)).await?;
    bench.answers("SELECT count(skipped_from) FROM tributary.position", Some(0)).await?;
    bench.answers("SELECT count(*) FROM public.mine WHERE name IS NULL", Some(6)).await?;
    bench.admin_shows("/metrics", "tributary_persister_waiting_types 0").await?;
    assert_eq!(bench.source.count(Topic::DeadLetters).await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_a_person_does_to_a_view_holds_up_its_type_only() -> Outcome<()> {
    let mut bench = Bench::start("held-view").await?;
    let version = |more: Attributes<'_>| avsc("Held", &[&[("name", "string", "")], more].concat());
    let old = Source::start(&bench.world, &version(&[])).await?;
    old.whole(LIVE, ("a", Version::now()), &[("name", "a".into())]).await?;
    bench.answers("SELECT count(*) FROM inventory.held", Some(1)).await?;
    bench.sql("CREATE VIEW public.mine AS SELECT name FROM inventory.held").await?;

    // A long query.
    let mut reader = PgConnection::connect(bench.world.database_url()).await?;
    let mut query = reader.begin().await?;
    sqlx::query("SELECT FROM public.mine").execute(&mut *query).await?;
    let size = ("size", "long", "");
    let wider = Source::start(&bench.world, &version(&[size])).await?;
    wider.whole(LIVE, ("b", Version::now()), &[("size", Value::Long(1))]).await?;
    let (_, hint) = condition(&mut bench, "held").await?;
    assert_eq!(hint, "end the long query on the table");
    bench.source.whole(LIVE, ("a", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None)]).await?;
    query.rollback().await?;
    bench.answers("SELECT max(size) FROM inventory.held", Some(1)).await?;
    bench.answers(WAITING, Some(0)).await?;

    // Our view is another one now.
    bench.sql("ALTER VIEW inventory.held RENAME COLUMN name TO label").await?;
    let widest = Source::start(&bench.world, &version(&[size, ("colour", "string", "")])).await?;
    widest.whole(LIVE, ("c", Version::now()), &[("colour", "red".into())]).await?;
    let (reason, hint) = condition(&mut bench, "held").await?;
    assert!(reason.contains("cannot change name of view column"), "{reason}");
    bench.source.whole(LIVE, ("b", Version::now()), &[]).await?;
    bench.shows(&[("a", None, None), ("b", None, None)]).await?;
    // To the older versions it does not matter, also not to a persister that starts.
    bench.persister.kill();
    bench.persister.restart()?;
    old.whole(LIVE, ("d", Version::now()), &[]).await?;
    bench.answers("SELECT count(*) FROM inventory_all.held", Some(3)).await?;
    bench.sql("ALTER VIEW inventory.held RENAME COLUMN label TO name").await?;
    bench.answers("SELECT count(colour) FROM inventory.held", Some(1)).await?;
    assert!(!hint.is_empty());
    bench.answers(WAITING, Some(0)).await
}
