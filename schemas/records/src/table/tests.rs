//! What becomes of tables and views, as SQL.

use super::*;
use expect_test::expect;

fn thing(attributes: &str) -> EntityType {
    EntityType::parse(&format!(
        r#"{{"type":"record","name":"Thing","fields":[
        {{"name":"source","type":"string"}},{{"name":"native_id","type":"string"}},
        {{"name":"version","type":"long"}},
        {{"name":"update_mask","type":["null",{{"type":"array","items":"string"}}]}}
        {attributes}]}}"#
    ))
    .unwrap()
}

const NAME: &str = r#",{"name":"name","type":["null","string"]}"#;

#[test]
fn a_new_type_gets_a_table_and_a_view() {
    let statements = reconcile(&thing(NAME), Existing::default()).unwrap().join(";\n");
    expect![[r#"
        CREATE TABLE inventory_all."thing" (
            source text COLLATE "C" NOT NULL,
            native_id text COLLATE "C" NOT NULL,
            version bigint NOT NULL,
            existence_version bigint,
            alive boolean,
            floor_version bigint NOT NULL DEFAULT 0,
            base_version bigint,
            base_schema integer,
            base_xid xid DEFAULT pg_current_xact_id()::xid,
            base_digest bigint,
            exceptions jsonb,
            first_seen_at timestamptz NOT NULL DEFAULT now(),
            changed_at timestamptz NOT NULL DEFAULT now(),
            gone_at timestamptz,
            "name" text,
            PRIMARY KEY (source, native_id)
        ) WITH (fillfactor = 85);
        CREATE INDEX "thing_tombstones" ON inventory_all."thing" (source, native_id) WHERE NOT alive;
        CREATE OR REPLACE VIEW inventory."thing" AS
        SELECT source, native_id, version, to_timestamp(version / 1e6) AS observed_at, first_seen_at, changed_at, "name"
        FROM inventory_all."thing" WHERE alive AND base_version IS NOT NULL"#]]
    .assert_eq(&statements);
}

#[test]
fn a_table_only_gains_columns() {
    let old = [("gone".to_owned(), "text".to_owned()), ("name".to_owned(), "text".to_owned())];
    let shown = texts(&["gone", "name"]);
    let existing = Existing { columns: Some(&old), shown: &shown, ..Existing::default() };
    assert!(reconcile(&thing(NAME), existing).unwrap().is_empty());
    let shown = texts(&["gone", "by_hand"]);
    assert!(reconcile(&thing(NAME), Existing { shown: &shown, ..existing }).unwrap().is_empty());
    let wider = thing(&format!(r#"{NAME},{{"name":"size","type":["null","int"]}}"#));
    let statements = reconcile(&wider, existing).unwrap();
    assert!(statements[0].contains("ADD COLUMN \"size\" bigint"), "{statements:?}");
    assert!(statements[1].contains("\"gone\", \"name\", \"size\""), "{statements:?}");
}

#[test]
fn other_types_are_refused_with_a_statement_that_drops_nothing() {
    let wanted = thing(&format!(
        r#"{NAME},{{"name":"size","type":["null","int"]}},
        {{"name":"name_bigint_2","type":["null","string"]}}"#
    ));
    let column = |name: &str, sql: &str| (name.to_owned(), sql.to_owned());
    let mut old = vec![column("size", "double precision"), column("name", "bigint")];
    let (shown, detailed) = (texts(&["size", "name", "name_bigint"]), texts(&["name"]));
    let of = |old| Existing { columns: Some(old), shown: &shown, detailed: &detailed };
    let refusal = reconcile(&wanted, of(&old)).unwrap_err();
    assert_eq!(refusal.columns(), ["name", "size"]);
    expect![[r#"
        BEGIN; ALTER TABLE inventory_all."thing" RENAME COLUMN "name" TO "name_bigint_3"; ALTER TABLE inventory_all."thing" ADD COLUMN "name" text; ALTER VIEW inventory."thing" RENAME COLUMN "name" TO "name_bigint_3"; ALTER VIEW inventory."thing_detail" RENAME COLUMN "name" TO "name_bigint_3"; ALTER TABLE inventory_all."thing" RENAME COLUMN "size" TO "size_double"; ALTER TABLE inventory_all."thing" ADD COLUMN "size" bigint; ALTER VIEW inventory."thing" RENAME COLUMN "size" TO "size_double"; COMMIT"#]]
    .assert_eq(refusal.statement());
    let told = refusal.read_by(&texts(&["public.mine"])).to_string();
    expect![[r#"
        table inventory_all.thing: column name is bigint, the schema wants text; column size is double precision, the schema wants bigint; the old columns stay what they are in public.mine; a person can set the old columns aside under other names, which drops nothing: BEGIN;"#]]
    .assert_eq(&told[..told.find("BEGIN;").unwrap() + 6]);

    // Afterwards only the view is behind.
    old = vec![column("size_double", "double precision"), column("name_bigint_3", "bigint")];
    old.extend([column("name", "text"), column("size", "bigint")]);
    old.push(column("name_bigint_2", "text"));
    let shown = texts(&["size_double", "name_bigint_3"]);
    let existing = Existing { columns: Some(&old), shown: &shown, detailed: &detailed };
    let [statement] = &reconcile(&wanted, existing).unwrap()[..] else { panic!("one view") };
    let columns = r#""size_double", "name_bigint_3", "name", "size", "name_bigint_2""#;
    assert!(statement.contains(columns), "{statement}");
}

#[test]
fn a_dropped_view_is_made_again() {
    let old = [("name".to_owned(), "text".to_owned())];
    let existing = Existing { columns: Some(&old), ..Existing::default() };
    let statements = reconcile(&thing(NAME), existing).unwrap();
    assert!(statements[0].starts_with("CREATE OR REPLACE VIEW"), "{statements:?}");
}

#[test]
fn what_the_schema_says_becomes_comments() {
    let documented =
        thing(r#",{"name":"name","type":["null","string"],"doc":"What it's called."}"#);
    let statements = reconcile(&documented, Existing::default()).unwrap();
    let comment = r#"COMMENT ON COLUMN inventory."thing"."name" IS 'What it''s called.'"#;
    assert_eq!(statements.last().unwrap(), comment);
}

const REFERENCES: &str = r#",{"name":"host_ref","type":["null","string"],
    "tributary.references":"host"},{"name":"parent_ref","type":["null","string"],
    "tributary.references":["folder","datacenter","nameless"]}"#;

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_detail_view_names_what_is_referenced() {
    let attributes = texts(&["host_ref", "parent_ref"]);
    let named = ["host", "folder", "datacenter"].map(|name| TypeName::new(name).unwrap());
    let thing = thing(REFERENCES);
    let references = (thing.attributes(), named.as_slice());
    let statement = detail(thing.name(), &attributes, references, &[]).unwrap();
    expect![[r#"
        CREATE OR REPLACE VIEW inventory."thing_detail" AS
        SELECT v."source" AS "source", v."native_id" AS "native_id", v."version" AS "version", v."observed_at" AS "observed_at", v."first_seen_at" AS "first_seen_at", v."changed_at" AS "changed_at", v."host_ref" AS "host_ref", v."parent_ref" AS "parent_ref", r1_1."name"::text AS "host_name", coalesce(r2_1."name"::text, r2_2."name"::text) AS "parent_name", s.seen_at AS "source_seen_at"
        FROM inventory."thing" AS v
        LEFT JOIN inventory."host" AS r1_1 ON r1_1.source = v.source AND r1_1.native_id = v."host_ref"
        LEFT JOIN inventory."folder" AS r2_1 ON r2_1.source = v.source AND r2_1.native_id = v."parent_ref"
        LEFT JOIN inventory."datacenter" AS r2_2 ON r2_2.source = v.source AND r2_2.native_id = v."parent_ref"
        LEFT JOIN tributary.source AS s ON s.source = v.source"#]].assert_eq(&statement);
}

#[test]
fn a_reference_dangles_while_none_of_its_targets_is_there() {
    let arrays = r#",{"name":"disk_refs","type":["null",{"type":"array","items":"string"}],
        "tributary.references":"disk"}"#;
    let thing = thing(&format!("{REFERENCES}{arrays}"));
    let columns = texts(&["parent_ref", "disk_refs"]);
    let tables = ["folder", "disk", "datacenter"].map(|name| TypeName::new(name).unwrap());
    expect![[r#"
        CREATE OR REPLACE VIEW inventory.dangling_references AS
        SELECT v.source, 'thing'::text AS type, v.native_id, 'parent_ref'::text AS attribute, ARRAY['folder', 'datacenter', 'nameless']::text[] AS target_types, v."parent_ref" AS target_id, greatest(v.changed_at, t1.gone_at, t2.gone_at) AS since
        FROM inventory."thing" AS v
        LEFT JOIN inventory_all."folder" AS t1 ON t1.source = v.source AND t1.native_id = v."parent_ref"
        LEFT JOIN inventory_all."datacenter" AS t2 ON t2.source = v.source AND t2.native_id = v."parent_ref"
        WHERE v."parent_ref" IS NOT NULL
            AND (t1.alive AND t1.base_version IS NOT NULL) IS NOT TRUE
            AND (t2.alive AND t2.base_version IS NOT NULL) IS NOT TRUE
        UNION ALL
        SELECT v.source, 'thing'::text AS type, v.native_id, 'disk_refs'::text AS attribute, ARRAY['disk']::text[] AS target_types, e.id AS target_id, greatest(v.changed_at, t1.gone_at) AS since
        FROM inventory."thing" AS v
        CROSS JOIN LATERAL unnest(v."disk_refs") AS e(id)
        LEFT JOIN inventory_all."disk" AS t1 ON t1.source = v.source AND t1.native_id = e.id
        WHERE e.id IS NOT NULL
            AND (t1.alive AND t1.base_version IS NOT NULL) IS NOT TRUE"#]]
    .assert_eq(&dangling(&[(&thing, columns)], &tables));
    assert!(dangling(&[], &[]).ends_with("WHERE false"));
}

#[test]
fn a_detail_view_keeps_the_order_of_its_columns() {
    let attributes = texts(&["host_ref", "size"]);
    let old = texts(&VIEW_COLUMNS).into_iter().chain(texts(&["host_ref", "source_seen_at"]));
    let old: Vec<String> = old.collect();
    let named = [TypeName::new("host").unwrap()];
    let thing = thing(REFERENCES);
    let references = (thing.attributes(), named.as_slice());
    let statement = detail(thing.name(), &attributes, references, &old).unwrap();
    let place = |column: &str| statement.find(&format!("AS \"{column}\"")).unwrap();
    assert!(place("source_seen_at") < place("size"), "{statement}");
    assert!(place("size") < place("host_name"), "{statement}");
    let newer = [old, texts(&["owner_name"])].concat();
    assert_eq!(detail(thing.name(), &attributes, references, &newer), None);
}
