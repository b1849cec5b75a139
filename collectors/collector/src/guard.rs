//! The mass-deletion guard: an account that lost its privileges lists "nothing", successfully.

use records::TypeName;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A listing that would end more than so many objects of a type, *and* more than half of them, is
/// held until a second listing in a row would do so too.
const ENDING_MAX: usize = 100;

/// What is known to live, per type.
#[derive(Debug, Default)]
pub struct Guard(BTreeMap<TypeName, Type>);

#[derive(Debug, Default)]
struct Type {
    living: Living,
    is_held: bool,
}

#[derive(Debug)]
enum Living {
    /// Hashes of the ids: eight bytes for each object.
    Ids(HashSet<u64>),
    /// How many there were at the last checkpoint of an earlier process.
    Count(usize),
}

impl Default for Living {
    fn default() -> Self {
        Self::Ids(HashSet::new())
    }
}

/// What to do with a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its extents may go out.
    Believed,
    /// It would end too many: nothing may go out.
    Held {
        /// How many objects it would end.
        ending: usize,
        /// How many are known to live.
        living: usize,
    },
}

impl Living {
    fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Count(count) => *count,
        }
    }

    /// How many would not live any more if only `listed` did.
    fn ending(&self, listed: &HashSet<u64>) -> usize {
        match self {
            Self::Ids(ids) => ids.difference(listed).count(),
            Self::Count(count) => count.saturating_sub(listed.len()),
        }
    }
}

impl Guard {
    /// Knows what a checkpoint tells: how many objects of each type lived.
    #[must_use]
    pub fn after(checkpoint: &BTreeMap<TypeName, usize>) -> Self {
        let known = |(name, count): (&TypeName, &usize)| {
            (name.clone(), Type { living: Living::Count(*count), is_held: false })
        };
        Self(checkpoint.iter().map(known).collect())
    }

    /// An object was seen alive by the live stream.
    pub fn saw_alive(&mut self, entity_type: &TypeName, native_id: &str) {
        if let Living::Ids(ids) = &mut self.of(entity_type).living {
            ids.insert(hash(native_id));
        }
    }

    /// The live stream told an object's end: those are always believed.
    pub fn saw_dead(&mut self, entity_type: &TypeName, native_id: &str) {
        match &mut self.of(entity_type).living {
            Living::Ids(ids) => drop(ids.remove(&hash(native_id))),
            Living::Count(count) => *count = count.saturating_sub(1),
        }
    }

    /// Judges a listing of all objects of a type; when believed, it is what lives from now on.
    pub fn judge(&mut self, entity_type: &TypeName, listed: &[String]) -> Verdict {
        let known = self.of(entity_type);
        let listed: HashSet<u64> = listed.iter().map(|id| hash(id)).collect();
        let (living, ending) = (known.living.len(), known.living.ending(&listed));
        let too_many = ending > ENDING_MAX && ending * 2 > living;
        if too_many && !known.is_held {
            known.is_held = true;
            return Verdict::Held { ending, living };
        }
        *known = Type { living: Living::Ids(listed), is_held: false };
        Verdict::Believed
    }

    /// Whether a second listing is awaited.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.0.values().any(|known| known.is_held)
    }

    /// How many types wait for a second listing.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.values().filter(|known| known.is_held).count()
    }

    /// How many objects live, per type.
    pub fn counts(&self) -> impl Iterator<Item = (&TypeName, usize)> {
        self.0.iter().map(|(name, known)| (name, known.living.len()))
    }

    /// Nothing is known of the type any more: it is no longer collected.
    pub fn forget(&mut self, entity_type: &TypeName) {
        self.0.remove(entity_type);
    }

    fn of(&mut self, entity_type: &TypeName) -> &mut Type {
        self.0.entry(entity_type.clone()).or_default()
    }
}

fn hash(native_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    native_id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> TypeName {
        TypeName::new("host").unwrap()
    }

    fn ids(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|i| format!("host-{i}")).collect()
    }

    #[test]
    fn a_mass_deletion_needs_a_second_listing() {
        let mut guard = Guard::default();
        assert_eq!(guard.judge(&host(), &ids(0..300)), Verdict::Believed);
        assert_eq!(guard.judge(&host(), &[]), Verdict::Held { ending: 300, living: 300 });
        assert_eq!(guard.counts().next(), Some((&host(), 300)));
        assert_eq!(guard.judge(&host(), &[]), Verdict::Believed);
        assert_eq!(guard.counts().next(), Some((&host(), 0)));
    }

    #[test]
    fn a_listing_that_disagrees_ends_the_suspicion() {
        let mut guard = Guard::default();
        guard.judge(&host(), &ids(0..300));
        guard.judge(&host(), &[]);
        assert!(guard.is_holding());
        assert_eq!(guard.judge(&host(), &ids(0..290)), Verdict::Believed);
        assert!(!guard.is_holding());
        assert!(matches!(guard.judge(&host(), &[]), Verdict::Held { .. }));
    }

    #[test]
    fn replaced_objects_count_as_ended() {
        let mut guard = Guard::default();
        guard.judge(&host(), &ids(0..300));
        assert!(matches!(guard.judge(&host(), &ids(300..600)), Verdict::Held { ending: 300, .. }));
    }

    #[test]
    fn few_or_less_than_half_may_go_at_once() {
        let mut guard = Guard::default();
        guard.judge(&host(), &ids(0..300));
        assert_eq!(guard.judge(&host(), &ids(0..150)), Verdict::Believed, "half");
        assert_eq!(guard.judge(&host(), &ids(0..100)), Verdict::Believed);
        assert_eq!(guard.judge(&host(), &[]), Verdict::Believed, "100");
    }

    #[test]
    fn what_the_live_stream_ended_is_not_missed() {
        let mut guard = Guard::default();
        guard.judge(&host(), &ids(0..300));
        ids(0..250).iter().for_each(|id| guard.saw_dead(&host(), id));
        guard.saw_alive(&host(), "new");
        assert_eq!(guard.counts().next(), Some((&host(), 51)));
        assert_eq!(guard.judge(&host(), &[]), Verdict::Believed);
    }

    #[test]
    fn a_restart_remembers_the_count() {
        let mut guard = Guard::after(&BTreeMap::from([(host(), 300)]));
        assert_eq!(guard.judge(&host(), &ids(0..9)), Verdict::Held { ending: 291, living: 300 });
        assert_eq!(guard.judge(&host(), &ids(0..299)), Verdict::Believed);
    }
}
