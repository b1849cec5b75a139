//! Histories that keep the collectors' duties, and what the naive model ends with.

use crate::kinds::{Code, KINDS, NAMES, SIZE, WIDTHS};
use crate::random::Random;
use records::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What a history is about.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How many sources there are.
    pub sources: usize,
    /// The ids of their objects, of each type.
    pub keys: Vec<&'static str>,
    /// Where extents begin and end, ascending from "".
    pub borders: Vec<&'static str>,
    /// Whether each upsert of a size has one of its own: then no record equals another's row, and
    /// none is left unwritten under the licence.
    pub numbered: bool,
}

impl Shape {
    /// Few objects, so that everything happens to each.
    #[must_use]
    pub fn narrow() -> Self {
        let (keys, borders) = (vec!["a", "b", "b/x", "c"], vec!["", "a", "b", "b/", "c"]);
        Self { sources: 2, keys, borders, numbered: false }
    }

    /// So many objects for each type of each source, some of them children of others.
    #[must_use]
    pub fn wide(objects: usize) -> Self {
        let id = |number: usize| match number % 10 {
            9 => key(&format!("k{:03}/c", number - 1)),
            _ => key(&format!("k{number:03}")),
        };
        let keys: Vec<_> = (0..objects).map(id).collect();
        let borders = std::iter::once("").chain(keys.iter().copied().step_by(4)).collect();
        Self { sources: 3, keys, borders, numbered: true }
    }
}

/// The id as a text that lives as long as the tests: equal ids are one text.
///
/// # Panics
/// Never.
#[must_use]
pub fn key(id: &str) -> &'static str {
    static KEYS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = keys.get(id) {
        return known;
    }
    let new: &'static str = Box::leak(id.to_owned().into_boxed_str());
    keys.insert(new);
    new
}

/// The objects of one type of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The source's number.
    pub source: usize,
    /// The type's number.
    pub kind: usize,
}

impl Place {
    /// The source's name in one run.
    #[must_use]
    pub fn source_name(self, run: &str) -> String {
        format!("{run}.s{}", self.source)
    }
}

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its source and type.
    pub place: Place,
    /// Its id.
    pub key: &'static str,
}

impl Object {
    /// The object of a row; its source's name ends with the number.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn of_row(kind: usize, source: &str, native_id: &str) -> Self {
        let number = source.rsplit_once(".s").unwrap().1.parse().unwrap();
        Self { place: Place { source: number, kind }, key: key(native_id) }
    }
}

/// What an extent is about.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// One type of a source.
    Type(Place),
    /// All types of the source.
    Source(usize),
}

impl Target {
    /// Whether it is about this type of this source.
    #[must_use]
    pub fn has(&self, place: Place) -> bool {
        match self {
            Self::Type(own) => *own == place,
            Self::Source(source) => *source == place.source,
        }
    }
}

/// The ids from one to before another.
#[derive(Debug, Clone, Copy)]
pub struct KeyRange {
    from: &'static str,
    to: Option<&'static str>,
}

impl KeyRange {
    /// All ids.
    pub const ALL: Self = Self { from: "", to: None };

    /// The first id and the first one after them.
    #[must_use]
    pub const fn bounds(&self) -> (&'static str, Option<&'static str>) {
        (self.from, self.to)
    }

    /// Whether the id is one of them.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        key >= self.from && self.to.is_none_or(|to| key < to)
    }
}

/// A record.
#[derive(Debug, Clone)]
pub enum Record {
    /// A whole object; its values are those of the schema's attributes.
    #[expect(missing_docs, reason = "they are what their names say")]
    Whole { object: Object, version: i64, schema: usize, values: Vec<Code> },
    /// Some attributes, by their numbers.
    #[expect(missing_docs, reason = "they are what their names say")]
    Partial { object: Object, version: i64, schema: usize, values: Vec<(usize, Code)> },
    /// An object is gone.
    #[expect(missing_docs, reason = "they are what their names say")]
    Delete { object: Object, version: i64 },
    /// Exactly these keys exist.
    #[expect(missing_docs, reason = "they are what their names say")]
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
#[must_use]
pub const fn at(moment: i64) -> Version {
    Version::from_micros(Version::OLDEST_VALID.micros() + moment)
}

/// Records by ascending version, and what the naive model ends with.
#[must_use]
pub fn make(random: &mut Random) -> (Vec<Record>, Objects) {
    let mut history = History::new(Shape::narrow());
    let moments = random.below(12) + 3;
    let records = (0..moments).flat_map(|_| history.moment(random)).collect();
    (records, history.truth)
}

/// A history while it goes on.
#[derive(Debug, Clone)]
pub struct History {
    shape: Shape,
    version: i64,
    widest: usize,
    sizes: Code,
    /// What the naive model has of it so far.
    pub truth: Objects,
}

impl History {
    /// Nothing has happened yet.
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self { shape, version: 0, widest: 0, sizes: None, truth: Objects::new() }
    }

    /// What a collector says of the next moment.
    pub fn moment(&mut self, random: &mut Random) -> Vec<Record> {
        self.version += 1;
        let mut records = moment(random, &self.shape, (self.version, self.widest), &self.truth);
        if self.shape.numbered {
            records.iter_mut().filter_map(size).for_each(|size| {
                self.sizes = Some(self.sizes.unwrap_or_default() + 1);
                *size = self.sizes;
            });
        }
        self.widest =
            records.iter().filter_map(Record::schema).max().max(Some(self.widest)).unwrap();
        records.iter().for_each(|record| naive(&mut self.truth, record));
        records
    }
}

/// The size that a record sets.
fn size(record: &mut Record) -> Option<&mut Code> {
    match record {
        Record::Whole { values, .. } => values.get_mut(SIZE),
        Record::Partial { values, .. } => {
            values.iter_mut().find(|(index, _)| *index == SIZE).map(|(_, code)| code)
        }
        Record::Delete { .. } | Record::Extent { .. } => None,
    }
}

/// What a collector says of one moment. Its listings have the widest schema so far: a row that is
/// first made under an extent has nothing from before, also not what its writer does not know.
fn moment(
    random: &mut Random,
    shape: &Shape,
    (version, widest): (i64, usize),
    known: &Objects,
) -> Vec<Record> {
    let place = Place { source: random.below(shape.sources), kind: random.below(KINDS) };
    let object = Object { place, key: random.choose::<&str>(&shape.keys) };
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
        _ => listing(random, shape, place, (version, widest)),
    }
}

fn whole(random: &mut Random, object: Object, (version, schema): (i64, usize)) -> Record {
    let values = (0..WIDTHS[schema]).map(|_| code(random)).collect();
    Record::Whole { object, version, schema, values }
}

/// Upserts of some keys and the extent that lists them.
fn listing(
    random: &mut Random,
    shape: &Shape,
    place: Place,
    (version, schema): (i64, usize),
) -> Vec<Record> {
    let borders = &shape.borders;
    let from = random.below(borders.len());
    let to = from + 1 + random.below(borders.len());
    let range = KeyRange { from: borders[from], to: borders.get(to).copied() };
    let inside = shape.keys.iter().copied().filter(|key| range.contains(key));
    let keys: Vec<&'static str> = inside.filter(|_| random.once_in(2)).collect();
    let objects = keys.iter().map(|key| Object { place, key });
    let mut records: Vec<Record> =
        objects.map(|object| whole(random, object, (version, schema))).collect();
    records.push(Record::Extent { target: Target::Type(place), range, version, keys });
    records
}

fn code(random: &mut Random) -> Code {
    u32::try_from(random.below(4)).unwrap().checked_sub(1)
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
