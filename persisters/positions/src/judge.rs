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

/// Why a log is read from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The log is of another cluster.
    OtherCluster,
    /// The log is another one, and shorter.
    ShorterLog,
    /// The log is another one, with another record.
    OtherRecord,
    /// The log's beginning is gone, and nothing was read of it.
    LateStart,
    /// The log's beginning is gone, and not all of it was read.
    Overtaken,
}

impl Loss {
    /// What a person reads in `tributary.gap`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OtherCluster => "this is another Kafka cluster",
            Self::ShorterLog => "the log ends before the position: the topic was made anew",
            Self::OtherRecord => {
                "the record before the position is another one: the topic was made anew"
            }
            Self::LateStart => "records were deleted before anything was read",
            Self::Overtaken => "unread records were deleted by retention",
        }
    }

    /// Whether the log is not the one that was read before.
    #[must_use]
    pub const fn is_of_another_log(self) -> bool {
        matches!(self, Self::OtherCluster | Self::ShorterLog | Self::OtherRecord)
    }
}

/// Whether records are lost, and how.
#[must_use]
pub fn judge(kept: &Kept, found: Found<'_>) -> Option<Loss> {
    if kept.cluster_id.as_deref().is_some_and(|id| id != found.cluster_id) {
        return Some(Loss::OtherCluster);
    }
    if kept.next > found.range.end {
        return Some(Loss::ShorterLog);
    }
    if kept.next < found.range.first {
        let is_new = kept.cluster_id.is_none();
        return Some(if is_new { Loss::LateStart } else { Loss::Overtaken });
    }
    let is_other = kept.last.zip(found.last).is_some_and(|(kept, found)| kept != found);
    is_other.then_some(Loss::OtherRecord)
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
        let elsewhere = Found { cluster_id: "d", ..found(0, 9) };
        assert_eq!(judge(&kept(5), elsewhere), Some(Loss::OtherCluster));
        assert_eq!(judge(&kept(5), found(0, 4)), Some(Loss::ShorterLog));
        assert_eq!(judge(&kept(5), found(6, 9)), Some(Loss::Overtaken));
        assert_eq!(judge(&kept(0), found(6, 9)), Some(Loss::Overtaken), "it was empty before");
        let other = Found { last: Some(Stamp { key_hash: 1, ..LAST }), ..found(0, 9) };
        assert_eq!(judge(&kept(5), other), Some(Loss::OtherRecord));
        let new = Kept { next: Offset(0), cluster_id: None, last: None };
        assert_eq!(judge(&new, found(3, 9)), Some(Loss::LateStart));
        assert_eq!(judge(&new, found(0, 9)), None);
    }
}
