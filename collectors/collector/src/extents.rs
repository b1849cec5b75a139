//! Cuts what a listing has seen into extents that are small enough, and together cover its range.

use provider::Range;

/// The most keys of one extent.
const KEYS_MAX: usize = 5_000;
/// The most bytes of keys: 512 KiB, less what the range, the names and the framing may take.
const KEY_BYTES_MAX: usize = 510 * 1024;
/// Avro's length before a key of at most 512 bytes.
const KEY_OVERHEAD_BYTES: usize = 2;

/// One extent: exactly these keys exist in this range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The range.
    pub range: Range,
    /// The keys in it, in byte order.
    pub keys: Vec<String>,
}

/// The extents of `range`, one behind the other without a gap. `keys` are in the range; their order
/// does not matter, nor how often one is named. Without keys there is one empty extent.
#[must_use]
pub fn cut(range: &Range, mut keys: Vec<String>) -> Vec<Part> {
    keys.sort_unstable();
    keys.dedup();
    let mut parts = vec![Part { range: range.clone(), keys: Vec::new() }];
    let mut bytes = 0;
    for key in keys {
        let part = parts.last_mut().expect("there is one from the start");
        let more = key.len() + KEY_OVERHEAD_BYTES;
        if part.keys.len() == KEYS_MAX || bytes + more > KEY_BYTES_MAX {
            let to = part.range.to.replace(key.clone());
            parts.push(Part { range: Range { from: key.clone(), to }, keys: vec![key] });
            bytes = more;
        } else {
            part.keys.push(key);
            bytes += more;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_listing_is_one_empty_extent() {
        let range = Range::children("p");
        assert_eq!(cut(&range, Vec::new()), [Part { range, keys: Vec::new() }]);
    }

    fn check(range: &Range, keys: Vec<String>) {
        let mut sorted = keys.clone();
        sorted.sort();
        sorted.dedup();
        let parts = cut(range, keys);
        assert_eq!(parts[0].range.from, range.from);
        assert_eq!(parts[parts.len() - 1].range.to, range.to);
        for pair in parts.windows(2) {
            assert_eq!(pair[0].range.to.as_deref(), Some(pair[1].range.from.as_str()));
        }
        for part in &parts {
            assert!(part.keys.len() <= KEYS_MAX);
            assert!(part.keys.iter().map(String::len).sum::<usize>() <= KEY_BYTES_MAX);
            assert!(part.keys.iter().all(|key| part.range.contains(key)));
        }
        let listed: Vec<String> = parts.into_iter().flat_map(|part| part.keys).collect();
        assert_eq!(listed, sorted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn extents_cover_their_range(
            ids in proptest::collection::vec("[a-zé]{1,6}", 0..200),
            copies in 1_usize..60,
            padding in 0_usize..480,
        ) {
            let long = |id: &String, copy: usize| format!("p/{id}{copy}{}", "x".repeat(padding));
            let keys = ids.iter().flat_map(|id| (0..copies).map(move |copy| long(id, copy)));
            check(&Range::children("p"), keys.collect());
        }
    }

    #[test]
    fn both_limits_cut() {
        let ids = |count: usize, width: usize| (0..count).map(move |i| format!("{i:0width$}"));
        assert_eq!(cut(&Range::all(), ids(5_000, 8).collect()).len(), 1);
        assert_eq!(cut(&Range::all(), ids(5_001, 8).collect()).len(), 2);
        assert_eq!(cut(&Range::all(), ids(2_032, 512).collect()).len(), 2);
        check(&Range::all(), ids(12_345, 300).collect());
    }
}
