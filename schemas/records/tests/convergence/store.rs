//! A persister without Kafka and PostgreSQL: rows in memory, and a switch for each of its rules.

use records::Version;
use records::extents::Extents;
use records::model::{AttributeSet, Change, Row};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const ATTRIBUTES: usize = 3;
pub type Values = [Option<u8>; ATTRIBUTES];

/// The keys from `from` up to, but not including, `to`; `None`: to the end.
#[derive(Debug, Clone, Copy)]
pub struct KeyRange {
    pub from: &'static str,
    pub to: Option<&'static str>,
}

impl KeyRange {
    pub fn contains(&self, key: &str) -> bool {
        key >= self.from && self.to.is_none_or(|to| key < to)
    }
}

#[derive(Debug, Clone)]
pub enum Record {
    /// Of a writer whose schema has the first `touched` attributes.
    Whole {
        key: &'static str,
        version: Version,
        values: Values,
        touched: usize,
    },
    Partial {
        key: &'static str,
        version: Version,
        values: Vec<(usize, Option<u8>)>,
    },
    Delete {
        key: &'static str,
        version: Version,
    },
    Extent {
        range: KeyRange,
        version: Version,
        keys: Vec<&'static str>,
    },
}

/// The rules that a test can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// 1: extents are remembered.
    RememberExtents,
    /// 2: an upsert of an unknown key older than the extent over it is dropped.
    DropCoveredUnknown,
    /// 3: records older than the newest extent don't move existence.
    OldRecordsMoveNothing,
    /// 3: nor do older extents.
    OldExtentsMoveNothing,
    /// 4: an extent kills what it doesn't list.
    ExtentKills,
    /// 4: an extent revives what it lists.
    ExtentRevives,
    /// 5: a row keeps a floor.
    Floor,
    /// 6: a partial update doesn't move existence.
    PartialMovesNothing,
    /// 6: a row never seen whole isn't shown.
    OnlyWholeRowsShow,
    /// 8: a tombstone is purged only under a newer extent.
    PurgeOnlyCovered,
    /// 9: an equal snapshot is skipped only when the live lane is caught up.
    LicenceWaitsForLive,
    /// 9: a live record always leaves its version.
    LiveIsAlwaysWritten,
    /// 9: an equal snapshot is compared with the row, not with the last one of its kind.
    CompareWithTheRow,
    /// The collector's first duty: a listing's version is taken before its first request.
    ListingVersionFirst,
    /// The second: a writer starts above the ceiling of the one before.
    VersionsAreLeased,
}

impl Record {
    /// An upsert of every attribute.
    pub fn whole(key: &'static str, version: Version, values: Values) -> Self {
        Self::Whole { key, version, values, touched: ATTRIBUTES }
    }

    /// The key, empty for an extent.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Whole { key, .. } | Self::Partial { key, .. } | Self::Delete { key, .. } => key,
            Self::Extent { .. } => "",
        }
    }

    /// The same at another version.
    pub fn at(mut self, at: Version) -> Self {
        match &mut self {
            Self::Whole { version, .. }
            | Self::Partial { version, .. }
            | Self::Delete { version, .. }
            | Self::Extent { version, .. } => *version = at,
        }
        self
    }
}

#[derive(Debug, Default)]
pub struct Store {
    pub rows: BTreeMap<&'static str, Row<u8>>,
    pub extents: Extents,
    left_out: Option<Rule>,
}

impl Store {
    pub fn without(left_out: Option<Rule>) -> Self {
        Self { left_out, ..Self::default() }
    }

    pub fn keeps(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Whole { key, version, values, touched } => {
                let attributes = schema_of(*touched);
                let values = &values[..*touched];
                let change = Change::Whole { attributes: &attributes, values };
                self.object(key, *version, &change);
            }
            Record::Partial { key, version, values } => {
                self.object(key, *version, &Change::Partial { values });
            }
            Record::Delete { key, version } => self.object(key, *version, &Change::Delete),
            Record::Extent { range, version, keys } => self.extent(range, *version, keys),
        }
    }

    fn object(&mut self, key: &'static str, version: Version, change: &Change<'_, u8>) {
        let cover = self.extents.cover(key);
        let is_known = self.rows.contains_key(key);
        if !is_known && version < cover && self.keeps(Rule::DropCoveredUnknown) {
            return;
        }
        let moves = self.keeps(Rule::OldRecordsMoveNothing) && self.keeps_cover_of(is_known);
        let partial_moves = !self.keeps(Rule::PartialMovesNothing);
        let floor = self.keeps(Rule::Floor);
        let cover = if moves { cover } else { Version::NEVER };
        let row = self.rows.entry(key).or_insert_with(|| Row::new(ATTRIBUTES, cover));
        row.apply(version, change, cover);
        if partial_moves && matches!(change, Change::Partial { .. }) {
            row.extent(version, true);
        }
        if !floor {
            row.floor = Version::NEVER;
        }
    }

    /// Without rule 2 an unknown row is made as if no extent were over it.
    fn keeps_cover_of(&self, is_known: bool) -> bool {
        is_known || self.keeps(Rule::DropCoveredUnknown)
    }

    fn extent(&mut self, range: &KeyRange, version: Version, keys: &[&str]) {
        let parts = match self.keeps(Rule::OldExtentsMoveNothing) {
            true => self.extents.newer_parts(range.from, range.to, version),
            false => vec![(range.from.to_owned(), range.to.map(str::to_owned))],
        };
        let is_newest = |key: &str| {
            parts
                .iter()
                .any(|(from, to)| key >= from.as_str() && to.as_deref().is_none_or(|to| key < to))
        };
        if self.keeps(Rule::RememberExtents) {
            self.extents.insert(range.from, range.to, version);
        }
        let (kills, revives) = (self.keeps(Rule::ExtentKills), self.keeps(Rule::ExtentRevives));
        let floors = self.keeps(Rule::Floor);
        for (key, row) in &mut self.rows {
            let listed = keys.contains(key);
            let moves = if listed { revives } else { kills };
            if moves && is_newest(key) {
                row.extent(version, listed);
                if !floors {
                    row.floor = Version::NEVER;
                }
            }
        }
    }

    /// Purges the key's tombstone if it may go.
    pub fn purge(&mut self, key: &str) {
        let cover = self.extents.cover(key);
        let covered =
            |row: &Row<u8>| row.existence.is_some_and(|e| !e.alive) && row.newest() < cover;
        let dead = |row: &Row<u8>| row.existence.is_some_and(|e| !e.alive);
        let any = !self.keeps(Rule::PurgeOnlyCovered);
        if self.rows.get(key).is_some_and(|row| covered(row) || (any && dead(row))) {
            self.rows.remove(key);
        }
    }

    /// What the view shows of the key.
    pub fn shown(&self, key: &str) -> Option<Values> {
        let any = !self.keeps(Rule::OnlyWholeRowsShow);
        let row = self.rows.get(key)?;
        let shows = row.is_visible() || (any && row.existence.is_none_or(|e| e.alive));
        shows.then(|| row.values.clone().try_into().expect("as many as the table has"))
    }

    /// The whole view.
    pub fn view(&self) -> BTreeMap<&'static str, Values> {
        self.rows.keys().filter_map(|key| Some((*key, self.shown(key)?))).collect()
    }
}

fn schema_of(touched: usize) -> Arc<AttributeSet> {
    let schema = i32::try_from(touched).expect("few");
    Arc::new(AttributeSet { schema, indexes: (0..touched).collect() })
}
