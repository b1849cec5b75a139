//! The newest extent version over every key of one type of one source, as ranges without key lists.

use crate::Version;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Ranges of ids and the version of the newest extent over each. The map's key is a range's first
/// id; a range ends where the next one begins. Neighbours never have the same version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extents(BTreeMap<String, Version>);

impl Extents {
    /// The version of the newest extent over a key; [`Version::NEVER`] if there is none.
    #[must_use]
    pub fn cover(&self, key: &str) -> Version {
        let until = (Bound::Unbounded, Bound::Included(key));
        self.0.range::<str, _>(until).next_back().map_or(Version::NEVER, |(_, version)| *version)
    }

    /// Adds an extent over `[from, to)` (`None`: to the end); where a newer one is, that stays.
    pub fn insert(&mut self, from: &str, to: Option<&str>, version: Version) {
        if to.is_some_and(|to| to <= from) {
            return;
        }
        self.split(from);
        if let Some(to) = to {
            self.split(to);
        }
        let since = (Bound::Included(from), Bound::Unbounded);
        for (start, known) in self.0.range_mut::<str, _>(since) {
            if to.is_some_and(|to| start.as_str() >= to) {
                break;
            }
            *known = version.max(*known);
        }
        self.merge();
    }

    /// The parts of `[from, to)` over which there is no newer extent than `version`.
    #[must_use]
    pub fn newer_parts(
        &self,
        from: &str,
        to: Option<&str>,
        version: Version,
    ) -> Vec<(String, Option<String>)> {
        let mut clipped = self.clone();
        clipped.split(from);
        let mut parts: Vec<(String, Option<String>)> = Vec::new();
        for (start, end, known) in clipped.all() {
            let outside = start < from || to.is_some_and(|to| start >= to);
            if outside || known > version {
                continue;
            }
            let end = match (end, to) {
                (Some(end), Some(to)) => Some(end.min(to)),
                (end, to) => end.or(to),
            };
            match parts.last_mut() {
                Some(last) if last.1.as_deref() == Some(start) => last.1 = end.map(str::to_owned),
                _ => parts.push((start.to_owned(), end.map(str::to_owned))),
            }
        }
        parts
    }

    /// The ranges that have an extent: first id, first id after it (`None`: to the end), version.
    pub fn ranges(&self) -> impl Iterator<Item = (&str, Option<&str>, Version)> {
        self.all().filter(|(_, _, version)| *version > Version::NEVER)
    }

    fn all(&self) -> impl Iterator<Item = (&str, Option<&str>, Version)> {
        let ends = self.0.keys().skip(1).map(|key| Some(key.as_str())).chain([None]);
        self.0.iter().zip(ends).map(|((start, version), end)| (start.as_str(), end, *version))
    }

    /// Makes a range begin at `key`.
    fn split(&mut self, key: &str) {
        if !self.0.contains_key(key) {
            let version = self.cover(key);
            self.0.insert(key.to_owned(), version);
        }
    }

    fn merge(&mut self) {
        let mut before = Version::NEVER;
        self.0.retain(|_, version| {
            let kept = *version != before;
            before = *version;
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop, proptest};

    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    fn extents() -> impl Strategy<Value = Vec<(usize, Option<usize>, i64)>> {
        let to = prop::option::of(0..6_usize);
        prop::collection::vec((0..6_usize, to, 1..20_i64), 0..12)
    }

    fn covers(from: usize, to: Option<usize>, key: usize) -> bool {
        key >= from && to.is_none_or(|to| key < to)
    }

    proptest! {
        #[test]
        fn covers_are_those_of_every_key(list in extents()) {
            let mut ranges = Extents::default();
            for (from, to, version) in &list {
                ranges.insert(KEYS[*from], to.map(|to| KEYS[to]), Version::from_micros(*version));
            }
            for (key, name) in KEYS.iter().enumerate() {
                let over = list.iter().filter(|(from, to, _)| covers(*from, *to, key));
                let newest = over.map(|(_, _, version)| *version).max().unwrap_or(0);
                assert_eq!(ranges.cover(name).micros(), newest, "{name} of {list:?}");
            }
            let merged: Vec<_> = ranges.ranges().collect();
            for pair in merged.windows(2) {
                assert!(pair[0].1 != Some(pair[1].0) || pair[0].2 != pair[1].2);
            }
        }

        #[test]
        fn newer_parts_are_where_nothing_newer_is(
            list in extents(),
            from in 0..6_usize,
            to in any::<Option<prop::sample::Index>>(),
            version in 1..20_i64,
        ) {
            let mut ranges = Extents::default();
            for (from, to, version) in &list {
                ranges.insert(KEYS[*from], to.map(|to| KEYS[to]), Version::from_micros(*version));
            }
            let to = to.map(|to| to.index(6));
            let bound = to.map(|to| KEYS[to]);
            let parts = ranges.newer_parts(KEYS[from], bound, Version::from_micros(version));
            for (key, name) in KEYS.iter().enumerate() {
                let inside = parts.iter().any(|(from, to)| {
                    *name >= from.as_str() && to.as_deref().is_none_or(|to| *name < to)
                });
                let wanted = covers(from, to, key) && ranges.cover(name).micros() <= version;
                assert_eq!(inside, wanted, "{name} of {list:?}");
            }
        }
    }
}
