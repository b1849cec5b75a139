//! Applies a batch of one type: read the registers, fold, write what changed.

use crate::error::InventoryError;
use crate::new_keys::{NewKeys, copy};
use crate::parameter::Parameter;
use plan::{Array, Batch, Cell, Group, Layout, Statements, Stored, Write, Writes, fold};
use records::Version;
use records::extents::Extents;
use records::model::{AttributeSet, Base, Existence, Row};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How often a batch is read again because rows changed between read and write.
const ROUNDS_MAX: u32 = 20;

/// Fewer rows are not worth a statement of their own.
const NARROW_ROWS_MIN: usize = 16;

/// The newest extents by source, for one type.
pub type Covers = HashMap<String, Extents>;

/// Attribute sets by schema id: those that the bases of rows refer to.
pub type Sets = HashMap<i32, Arc<AttributeSet>>;

/// What a batch did to a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were applied.
    pub applied: u64,
    /// Records that changed no row.
    pub unchanged: u64,
    /// Rows that were written.
    pub rows_changed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.rows_changed += other.rows_changed;
    }
}

/// A batch and what is needed to apply it.
#[derive(Debug)]
pub struct Apply<'a> {
    /// The records.
    pub batch: &'a Batch,
    /// The table's statements.
    pub statements: &'a Statements,
    /// The extents over the table.
    pub covers: &'a Covers,
    /// Whether a whole record that equals its living row need not be written: the licence.
    pub licensed: bool,
    /// Whether the table is likely to lack the batch's keys.
    pub new_keys: &'a NewKeys,
}

impl Apply<'_> {
    /// Applies the batch inside of the caller's transaction; `sets` must know every schema that
    /// [`base_schemas`] names.
    ///
    /// # Errors
    /// [`InventoryError`]; the transaction must then be rolled back.
    pub async fn run(
        &self,
        connection: &mut PgConnection,
        sets: &Sets,
    ) -> Result<Counts, InventoryError> {
        let pending = self.batch.groups();
        let records = self.batch.records().len() as u64;
        if self.new_keys.are_expected(pending.len()) {
            let writes = self.fold(&pending, &Known::nothing_of(&pending));
            let rows_changed = writes.len() as u64;
            // What an extent covers is dropped only if its key is new, which a copy would not tell.
            let are_all = writes.len() == pending.len();
            // Until a batch has been looked at again, nothing is expected.
            self.new_keys.learn(false);
            if are_all && copy(connection, self.statements, (self.batch, &writes)).await? {
                self.new_keys.learn(true);
                let unchanged = records.saturating_sub(rows_changed);
                return Ok(Counts { applied: records, unchanged, rows_changed });
            }
        }
        let (mut written_keys, mut pending) = self.overlay(connection, pending).await?;
        for _ in 0..ROUNDS_MAX {
            let known = self.read(connection, &pending, sets).await?;
            let writes = self.fold(&pending, &known);
            self.new_keys.learn(written_keys == 0 && known.is_nothing_of(&pending));
            let wanted = writes.len() as u64;
            let written = self.write(connection, writes).await?;
            written_keys += written;
            if written == wanted {
                let unchanged = records.saturating_sub(written_keys);
                return Ok(Counts { applied: records, unchanged, rows_changed: written_keys });
            }
            pending.retain(|group| known.contains(group));
        }
        Err(InventoryError::Contended(self.batch.layout().entity_type.to_string(), ROUNDS_MAX))
    }

    /// Whether a group is one whole record that need not be written if it equals its row.
    pub(crate) fn is_compared(&self, group: &Group) -> bool {
        self.licensed && self.batch.is_whole(group)
    }

    /// The newest extent over a group's object.
    pub(crate) fn cover(&self, group: &Group) -> Version {
        let (source, native_id) = self.batch.key(group.records[0]);
        self.covers.get(source).map_or(Version::NEVER, |extents| extents.cover(native_id))
    }

    /// The registers of the groups' rows; groups that need not be looked at are left out.
    async fn read(
        &self,
        connection: &mut PgConnection,
        groups: &[Group],
        sets: &Sets,
    ) -> Result<Known, InventoryError> {
        let mut known = Known::default();
        let (single, rest): (Vec<_>, Vec<_>) =
            groups.iter().partition(|group| self.batch.is_whole(group));
        rest.iter().for_each(|group| known.add(group, None));
        let (compared, read) =
            (self.batch.compared(&single, self.licensed), self.batch.look_up(&rest));
        let mut void = Vec::new();
        for (statement, groups, parameters) in
            [(&self.statements.compare, &single, compared), (&self.statements.read, &rest, read)]
        {
            if groups.is_empty() {
                continue;
            }
            let rows = bind(statement, parameters).fetch_all(&mut *connection).await?;
            for row in &rows {
                let ord: i64 = row.try_get("ord")?;
                let group = groups[usize::try_from(ord - 1).unwrap_or(0)];
                known.add(group, self.stored(row, sets)?);
                if row.try_get::<Option<bool>, _>("is_void")?.unwrap_or_default() {
                    void.push(group.clone());
                }
            }
        }
        if self.licensed && !void.is_empty() {
            self.leave_same(connection, &void, &mut known).await?;
        }
        Ok(known)
    }

    /// Forgets rows without a digest whose values are those of their records: they need not be
    /// written either.
    async fn leave_same(
        &self,
        connection: &mut PgConnection,
        void: &[Group],
        known: &mut Known,
    ) -> Result<(), InventoryError> {
        let same = bind(&self.statements.same, self.batch.values(void));
        for row in same.fetch_all(connection).await? {
            let ord: i64 = row.try_get("ord")?;
            known.forget(&void[usize::try_from(ord - 1).unwrap_or(0)]);
        }
        Ok(())
    }

    fn fold(&self, groups: &[Group], known: &Known) -> Vec<Write> {
        groups
            .iter()
            .filter_map(|group| {
                let stored = known.0.get(&group.records[0])?;
                fold(self.batch, group, stored.as_ref(), self.cover(group))
            })
            .collect()
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        writes: Vec<Write>,
    ) -> Result<u64, InventoryError> {
        let (updates, inserts): (Vec<_>, Vec<_>) =
            writes.into_iter().partition(|write| write.xmin.is_some());
        let mut written = 0;
        if !inserts.is_empty() {
            let parameters = Writes::new(self.batch, &inserts).insert();
            let done = bind(&self.statements.insert, parameters).execute(&mut *connection).await?;
            written += done.rows_affected();
        }
        if !updates.is_empty() {
            written += self.update(connection, &Writes::new(self.batch, &updates)).await?;
        }
        Ok(written)
    }

    /// Many rows of which few attributes are touched get a statement of their own, which PostgreSQL
    /// has to prepare once.
    async fn update(
        &self,
        connection: &mut PgConnection,
        writes: &Writes<'_>,
    ) -> Result<u64, InventoryError> {
        let layout = self.batch.layout();
        let touched = writes.touched();
        let done = if is_narrow(layout, writes.len(), &touched) {
            bind(&plan::update(layout, &touched), writes.update(&touched))
                .execute(connection)
                .await?
        } else {
            let all: Vec<usize> = (0..layout.attributes.len()).collect();
            bind(&self.statements.update, writes.update(&all)).execute(connection).await?
        };
        Ok(done.rows_affected())
    }

    /// A row's registers; `None` if there is no row.
    fn stored(&self, row: &PgRow, sets: &Sets) -> Result<Option<Stored>, InventoryError> {
        let Some(xmin) = row.try_get::<Option<i64>, _>("xmin")? else { return Ok(None) };
        let version = |name: &str| {
            row.try_get::<Option<i64>, _>(name).map(|micros| micros.map(Version::from_micros))
        };
        let layout = self.batch.layout();
        let widened = || InventoryError::Widened(layout.entity_type.to_string());
        let alive = row.try_get::<Option<bool>, _>("alive")?;
        let exceptions = row.try_get::<Option<String>, _>("exceptions")?.unwrap_or_default();
        let by_name: BTreeMap<String, i64> = serde_json::from_str(&exceptions).unwrap_or_default();
        let base = match (version("base_version")?, row.try_get::<Option<i32>, _>("base_schema")?) {
            (Some(version), Some(schema)) => {
                let attributes = Arc::clone(sets.get(&schema).ok_or_else(widened)?);
                Some(Base { version, attributes })
            }
            _ => None,
        };
        let exceptions = by_name
            .into_iter()
            .map(|(name, micros)| Some((layout.index_of(&name)?, Version::from_micros(micros))))
            .collect::<Option<_>>()
            .ok_or_else(widened)?;
        let existence = version("existence_version")?.zip(alive);
        let row = Row {
            existence: existence.map(|(version, alive)| Existence { version, alive }),
            floor: version("floor_version")?.unwrap_or_default(),
            base,
            exceptions,
            values: vec![Some(Cell::Stored); layout.attributes.len()],
        };
        Ok(Some(Stored { xmin, row }))
    }
}

/// What was read, by a group's first record.
#[derive(Debug, Default)]
struct Known(HashMap<usize, Option<Stored>>);

impl Known {
    /// None of the groups has a row.
    fn nothing_of(groups: &[Group]) -> Self {
        Self(groups.iter().map(|group| (group.records[0], None)).collect())
    }

    fn is_nothing_of(&self, groups: &[Group]) -> bool {
        self.0.len() == groups.len() && self.0.values().all(Option::is_none)
    }

    fn add(&mut self, group: &Group, stored: Option<Stored>) {
        self.0.insert(group.records[0], stored);
    }

    fn forget(&mut self, group: &Group) {
        self.0.remove(&group.records[0]);
    }

    fn contains(&self, group: &Group) -> bool {
        self.0.contains_key(&group.records[0])
    }
}

/// The schema ids that the bases of the batch's rows may have: those of the whole table, which
/// are as few as the versions of its schema.
///
/// # Errors
/// [`InventoryError::Database`].
pub async fn base_schemas(
    connection: &mut PgConnection,
    subject: &str,
) -> Result<Vec<(i32, String)>, InventoryError> {
    Ok(sqlx::query_as("SELECT id, json FROM tributary.schema WHERE subject = $1")
        .bind(subject)
        .fetch_all(connection)
        .await?)
}

/// Whether a statement for these attributes alone is worth it.
pub(crate) const fn is_narrow(layout: &Layout, rows: usize, touched: &[usize]) -> bool {
    rows >= NARROW_ROWS_MIN && touched.len() * 2 <= layout.attributes.len()
}

pub(crate) fn bind(
    statement: &str,
    parameters: Vec<Array>,
) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
    parameters.into_iter().fold(sqlx::query(AssertSqlSafe(statement.to_owned())), |query, array| {
        query.bind(Parameter(array))
    })
}
