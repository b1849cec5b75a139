//! Histories that keep the collectors' duties, and what the naive model ends with.

use crate::kinds::{Code, KINDS, NAMES, WIDTHS};
use crate::random::Random;
use records::Version;
use std::collections::BTreeMap;
use std::fmt;

const SOURCES: usize = 2;
const KEYS: [&str; 4] = ["a", "b", "b/x", "c"];
const BORDERS: [&str; 5] = ["", "a", "b", "b/", "c"];

/// The objects of one type of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub source: usize,
    pub kind: usize,
}

impl Place {
    pub fn source_name(self, run: &str) -> String {
        format!("{run}.s{}", self.source)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub place: Place,
    pub key: &'static str,
}

impl Object {
    /// The object of a row; its source's name ends with the number.
    pub fn of_row(kind: usize, source: &str, native_id: &str) -> Self {
        let number = source.rsplit_once(".s").unwrap().1.parse().unwrap();
        let key = KEYS.into_iter().find(|key| *key == native_id).unwrap();
        Self { place: Place { source: number, kind }, key }
    }
}

/// What an extent is about.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    Type(Place),
    /// All types of the source.
    Source(usize),
}

impl Target {
    pub fn has(&self, place: Place) -> bool {
        match self {
            Self::Type(own) => *own == place,
            Self::Source(source) => *source == place.source,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct KeyRange {
    from: &'static str,
    to: Option<&'static str>,
}

impl KeyRange {
    pub const ALL: Self = Self { from: "", to: None };

    pub fn bounds(&self) -> (&str, Option<&str>) {
        (self.from, self.to)
    }

    pub fn contains(&self, key: &str) -> bool {
        key >= self.from && self.to.is_none_or(|to| key < to)
    }
}

#[derive(Debug, Clone)]
pub enum Record {
    Whole { object: Object, version: i64, schema: usize, values: Vec<Code> },
    Partial { object: Object, version: i64, schema: usize, values: Vec<(usize, Code)> },
    Delete { object: Object, version: i64 },
    Extent { target: Target, range: KeyRange, version: i64, keys: Vec<&'static str> },
}

impl Record {
    fn schema(&self) -> Option<usize> {
        match self {
            Self::Whole { schema, .. } | Self::Partial { schema, .. } => Some(*schema),
            Self::Delete { .. } | Self::Extent { .. } => None,
        }
    }
}

/// Living objects with their values.
pub type Objects = BTreeMap<Object, [Code; NAMES.len()]>;

/// A history's moment as a version; the moments count from one.
pub fn at(moment: i64) -> Version {
    Version::from_micros(Version::OLDEST_VALID.micros() + moment)
}

/// Records by ascending version, and what the naive model ends with.
pub fn make(random: &mut Random) -> (Vec<Record>, Objects) {
    let mut truth = Objects::new();
    let mut history: Vec<Record> = Vec::new();
    for version in 1..i64::try_from(random.below(12)).unwrap() + 4 {
        let schema = history.iter().filter_map(Record::schema).max().unwrap_or_default();
        let records = moment(random, (version, schema), &truth);
        records.iter().for_each(|record| naive(&mut truth, record));
        history.extend(records);
    }
    (history, truth)
}

/// What a collector says of one moment. Its listings have the widest schema so far: a row that is
/// first made under an extent has nothing from before, also not what its writer does not know.
fn moment(random: &mut Random, (version, widest): (i64, usize), known: &Objects) -> Vec<Record> {
    let place = Place { source: random.below(SOURCES), kind: random.below(KINDS) };
    let object = Object { place, key: KEYS[random.below(KEYS.len())] };
    match random.below(12) {
        0..4 => {
            let schema = random.below(WIDTHS.len());
            vec![whole(random, object, (version, schema))]
        }
        4..6 if known.contains_key(&object) => {
            let schema = random.below(WIDTHS.len());
            let touched: Vec<usize> = (0..WIDTHS[schema]).filter(|_| random.once_in(2)).collect();
            let values = touched.into_iter().map(|index| (index, code(random))).collect();
            vec![Record::Partial { object, version, schema, values }]
        }
        4..7 => vec![Record::Delete { object, version }],
        7 => {
            let target = Target::Source(place.source);
            vec![Record::Extent { target, range: KeyRange::ALL, version, keys: vec![] }]
        }
        _ => listing(random, place, (version, widest)),
    }
}

fn whole(random: &mut Random, object: Object, (version, schema): (i64, usize)) -> Record {
    let values = (0..WIDTHS[schema]).map(|_| code(random)).collect();
    Record::Whole { object, version, schema, values }
}

/// Upserts of some keys and the extent that lists them.
fn listing(random: &mut Random, place: Place, (version, schema): (i64, usize)) -> Vec<Record> {
    let from = random.below(BORDERS.len());
    let to = from + 1 + random.below(BORDERS.len());
    let range = KeyRange { from: BORDERS[from], to: BORDERS.get(to).copied() };
    let inside = KEYS.into_iter().filter(|key| range.contains(key));
    let keys: Vec<&'static str> = inside.filter(|_| random.once_in(2)).collect();
    let objects = keys.iter().map(|key| Object { place, key });
    let mut records: Vec<Record> =
        objects.map(|object| whole(random, object, (version, schema))).collect();
    records.push(Record::Extent { target: Target::Type(place), range, version, keys });
    records
}

fn code(random: &mut Random) -> Code {
    u8::try_from(random.below(4)).unwrap().checked_sub(1)
}

/// The naive model: records in the order of their versions, each doing what it says.
fn naive(objects: &mut Objects, record: &Record) {
    match record {
        Record::Whole { object, values, .. } => {
            objects.entry(*object).or_default()[..values.len()].copy_from_slice(values);
        }
        Record::Partial { object, values, .. } => {
            let known = objects.get_mut(object).unwrap();
            values.iter().for_each(|(index, code)| known[*index] = *code);
        }
        Record::Delete { object, .. } => drop(objects.remove(object)),
        Record::Extent { target, range, keys, .. } => objects.retain(|object, _| {
            !target.has(object.place) || !range.contains(object.key) || keys.contains(&object.key)
        }),
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}/k{}/{}", self.place.source, self.place.kind, self.key)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |code: &Code| code.map_or("-".to_owned(), |code| code.to_string());
        match self {
            Self::Whole { object, version, schema, values } => {
                let values = values.iter().map(text).collect::<String>();
                write!(f, "@{version} whole {object} v{} {values}", schema + 1)
            }
            Self::Partial { object, version, schema, values } => {
                write!(f, "@{version} partial {object} v{}", schema + 1)?;
                values
                    .iter()
                    .try_for_each(|(index, code)| write!(f, " {}={}", NAMES[*index], text(code)))
            }
            Self::Delete { object, version } => write!(f, "@{version} delete {object}"),
            Self::Extent { target, range, version, keys } => {
                let to = range.to.unwrap_or("");
                write!(f, "@{version} extent {target:?} [{}, {to}) {keys:?}", range.from)
            }
        }
    }
}
