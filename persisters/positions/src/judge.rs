//! Whether a position is one of the log that is there. Pure.

use crate::owner::Stamp;
use records::Offset;
use wire::LogRange;

/// What the table has of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The next offset.
    pub next: Offset,
    /// The cluster that it was read from; `None`: it never was.
    pub cluster_id: Option<String>,
    /// The record before it.
    pub last: Option<Stamp>,
}

/// What Kafka has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The cluster.
    pub cluster_id: &'a str,
    /// The partition's offsets.
    pub range: LogRange,
    /// The record before the position, if it is still there.
    pub last: Option<Stamp>,
}

/// Why the log is read from its beginning: what a person reads in `tributary.gap`.
#[must_use]
pub fn judge(kept: &Kept, found: Found<'_>) -> Option<&'static str> {
    if kept.cluster_id.as_deref().is_some_and(|id| id != found.cluster_id) {
        return Some("this is another Kafka cluster");
    }
    if kept.next > found.range.end {
        return Some("the log ends before the position: the topic was made anew");
    }
    if kept.next < found.range.first && kept.cluster_id.is_none() {
        return Some("records were deleted before anything was read");
    }
    if kept.next < found.range.first {
        return Some("unread records were deleted by retention");
    }
    match (kept.last, found.last) {
        (Some(kept), Some(found)) if kept != found => {
            Some("the record before the position is another one: the topic was made anew")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: Stamp = Stamp { timestamp_ms: 7, key_hash: 9 };

    fn kept(next: i64) -> Kept {
        Kept { next: Offset(next), cluster_id: Some("c".to_owned()), last: Some(LAST) }
    }

    fn found(first: i64, end: i64) -> Found<'static> {
        let range = LogRange { first: Offset(first), end: Offset(end) };
        Found { cluster_id: "c", range, last: Some(LAST) }
    }

    #[test]
    fn the_same_log_goes_on() {
        assert_eq!(judge(&kept(5), found(0, 9)), None);
        assert_eq!(judge(&kept(9), found(9, 9)), None, "all was read, and deleted since");
        let deleted = Found { last: None, ..found(5, 9) };
        assert_eq!(judge(&kept(5), deleted), None);
        let rewound = Kept { last: None, ..kept(5) };
        assert_eq!(judge(&rewound, found(0, 9)), None);
        assert_eq!(judge(&kept(0), found(0, 9)), None, "nothing has been read yet");
    }

    #[test]
    fn another_log_is_told_by_what_differs() {
        let reason = |kept: &Kept, found| judge(kept, found).unwrap_or_default();
        let elsewhere = Found { cluster_id: "d", ..found(0, 9) };
        assert!(reason(&kept(5), elsewhere).contains("another Kafka cluster"));
        assert!(reason(&kept(5), found(0, 4)).contains("ends before"));
        assert!(reason(&kept(5), found(6, 9)).contains("retention"));
        assert!(reason(&kept(0), found(6, 9)).contains("retention"), "the log was empty before");
        let other = Found { last: Some(Stamp { key_hash: 1, ..LAST }), ..found(0, 9) };
        assert!(reason(&kept(5), other).contains("another one"));
        let new = Kept { next: Offset(0), cluster_id: None, last: None };
        assert!(reason(&new, found(3, 9)).contains("before anything was read"));
        assert_eq!(judge(&new, found(0, 9)), None);
    }
}
