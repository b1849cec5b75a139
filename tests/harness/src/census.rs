//! What a vCenter holds, as `govc` tells it: what the rows must be equal to. Independent of our own
//! collector, so that a mistake there does not hide itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Deserializer, Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::Error;
use crate::vcsim::Access;

/// An object: its entity type and its native id.
type Object = (String, String);

/// Objects and what is known of each, by attribute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Census(BTreeMap<Object, Map<String, Value>>);

/// A property of the vSphere API, the attribute that it becomes, and how.
type Fact = (&'static str, &'static str, fn(&Value) -> Value);

/// What is compared of an entity type, and the managed object types that belong to it.
struct Kind {
    entity_type: &'static str,
    managed: &'static [&'static str],
    facts: &'static [Fact],
}

const NAME: Fact = ("name", "name", same);

const KINDS: [Kind; 8] = [
    Kind {
        entity_type: "virtual_machine",
        managed: &["VirtualMachine"],
        facts: &[
            NAME,
            ("runtime.powerState", "power_state", power_state),
            ("runtime.host", "host_ref", reference),
            ("summary.config.uuid", "uuid", same),
            ("summary.config.numCpu", "cpus", same),
            ("summary.config.memorySizeMB", "memory_mb", same),
            ("summary.config.template", "template", same),
            ("resourcePool", "resource_pool_ref", reference),
        ],
    },
    Kind {
        entity_type: "host",
        managed: &["HostSystem"],
        facts: &[
            NAME,
            ("parent", "cluster_ref", reference),
            ("summary.hardware.numCpuCores", "cpu_cores", same),
            ("summary.hardware.memorySize", "memory_bytes", same),
            ("runtime.connectionState", "connection_state", same),
        ],
    },
    Kind {
        entity_type: "cluster",
        managed: &["ClusterComputeResource", "ComputeResource"],
        facts: &[NAME, ("parent", "folder_ref", reference)],
    },
    Kind { entity_type: "datacenter", managed: &["Datacenter"], facts: &[NAME] },
    Kind { entity_type: "datastore", managed: &["Datastore"], facts: &[NAME] },
    Kind {
        entity_type: "network",
        managed: &["Network", "DistributedVirtualPortgroup", "OpaqueNetwork"],
        facts: &[NAME],
    },
    Kind { entity_type: "folder", managed: &["Folder", "StoragePod"], facts: &[NAME] },
    Kind {
        entity_type: "resource_pool",
        managed: &["ResourcePool", "VirtualApp"],
        facts: &[NAME, ("parent", "parent_ref", reference)],
    },
];

impl Census {
    /// Asks a vCenter, with two or more calls of `govc`.
    pub(crate) async fn of_vcenter(access: &Access) -> Result<Self, Error> {
        let found = access.govc(&["find", "-i", "/"]).await?;
        let managed: BTreeSet<&str> =
            found.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        let mut census = Self::default();
        for kind in &KINDS {
            for managed in kind.managed.iter().filter(|name| managed.contains(**name)) {
                let mut arguments = vec!["object.collect", "-json", "-type", managed, "/"];
                arguments.extend(kind.facts.iter().map(|(path, ..)| *path));
                census.add(kind, &access.govc(&arguments).await?)?;
            }
        }
        // A view holds what is below its root: the root itself is asked for by its name.
        if let Some(root) = found.lines().next().filter(|line| line.starts_with("Folder:")) {
            let name = access.govc(&["object.collect", "-s", root, "name"]).await?;
            let facts = Map::from_iter([("name".to_owned(), json!(name.trim()))]);
            let id = root.trim_start_matches("Folder:").to_owned();
            census.0.insert(("folder".to_owned(), id), facts);
        }
        Ok(census)
    }

    /// Asks the views of the schema `inventory` what they show of a source.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn of_rows(connection: &mut PgConnection, source: &str) -> Result<Self, Error> {
        let mut census = Self::default();
        for kind in &KINDS {
            let view = format!("inventory.\"{}\"", kind.entity_type);
            let statement =
                format!("SELECT native_id, to_jsonb(v) FROM {view} AS v WHERE source = $1");
            let rows: Vec<(String, Value)> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(source)
                .fetch_all(&mut *connection)
                .await
                .map_err(Error::database(format!("reading {view}")))?;
            for (id, row) in rows {
                let Value::Object(row) = row else { continue };
                census.0.insert((kind.entity_type.to_owned(), id), row);
            }
        }
        Ok(census)
    }

    /// Its entity types, in the order in which they are shown.
    pub fn entity_types() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.entity_type)
    }

    /// How many objects of a type there are.
    #[must_use]
    pub fn count(&self, entity_type: &str) -> usize {
        self.0.keys().filter(|(name, _)| name == entity_type).count()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many facts there are about all objects together.
    #[must_use]
    pub fn facts(&self) -> usize {
        self.0.values().map(Map::len).sum()
    }

    /// In words, what of this vCenter the rows do not say, and which rows are not of it.
    #[must_use]
    pub fn differences(&self, rows: &Self) -> Vec<String> {
        let missing = self.0.iter().flat_map(|(object, facts)| match rows.0.get(object) {
            None => vec![format!("{} {}: there is no row", object.0, object.1)],
            Some(row) => contradictions(object, facts, row),
        });
        let others = rows.0.keys().filter(|object| !self.0.contains_key(*object));
        let ghosts = others.map(|(name, id)| format!("{name} {id}: a row, but not in the vCenter"));
        missing.chain(ghosts).collect()
    }

    fn add(&mut self, kind: &Kind, printed: &str) -> Result<(), Error> {
        for object in Deserializer::from_str(printed).into_iter::<Value>() {
            let object = object.map_err(|source| Error::Govc { source })?;
            let id = object["obj"]["value"].as_str().unwrap_or_default().to_owned();
            let changes = object["changeSet"].as_array().map(Vec::as_slice).unwrap_or_default();
            let value = |path: &str| {
                let change = changes.iter().find(|change| change["name"] == path);
                change.map_or(Value::Null, |change| change["val"].clone())
            };
            let facts =
                kind.facts.iter().map(|(path, name, of)| ((*name).to_owned(), of(&value(path))));
            self.0.insert((kind.entity_type.to_owned(), id), facts.collect());
        }
        Ok(())
    }
}

fn contradictions(
    object: &Object,
    facts: &Map<String, Value>,
    row: &Map<String, Value>,
) -> Vec<String> {
    let (name, id) = object;
    let said = |attribute: &String| row.get(attribute).cloned().unwrap_or(Value::Null);
    facts
        .iter()
        .filter(|(attribute, fact)| said(attribute) != **fact)
        .map(|(attribute, fact)| {
            let row = said(attribute);
            format!("{name} {id}: {attribute} is {fact} in the vCenter, {row} in the row")
        })
        .collect()
}

fn same(value: &Value) -> Value {
    value.clone()
}

fn reference(value: &Value) -> Value {
    value["value"].clone()
}

fn power_state(value: &Value) -> Value {
    match value.as_str() {
        Some("poweredOn") => json!("on"),
        Some("poweredOff") => json!("off"),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(name: &str, on: bool) -> Census {
        let facts = json!({"name": name, "power_state": if on { "on" } else { "off" }});
        let facts = facts.as_object().unwrap().clone();
        Census(BTreeMap::from([(("virtual_machine".to_owned(), "vm-1".to_owned()), facts)]))
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let source = census("a", true);
        assert!(source.differences(&census("a", true)).is_empty());
        assert_eq!(
            source.differences(&Census::default()),
            ["virtual_machine vm-1: there is no row"]
        );
        assert_eq!(
            Census::default().differences(&source),
            ["virtual_machine vm-1: a row, but not in the vCenter"]
        );
        assert_eq!(
            source.differences(&census("a", false)),
            [r#"virtual_machine vm-1: power_state is "on" in the vCenter, "off" in the row"#]
        );
    }

    #[test]
    fn what_govc_prints_becomes_facts() {
        let printed = r#"{"kind":"enter","obj":{"type":"VirtualMachine","value":"vm-1"},
            "changeSet":[
            {"name":"name","op":"assign","val":"a"},
            {"name":"runtime.powerState","op":"assign","val":"poweredOff"}]}"#;
        let mut found = Census::default();
        found.add(&KINDS[0], printed).unwrap();
        let mut wanted = census("a", false);
        wanted.0.values_mut().next().unwrap().insert("host_ref".to_owned(), Value::Null);
        assert!(wanted.differences(&found).is_empty(), "{found:?}");
    }
}
