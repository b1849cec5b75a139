//! Topics, record keys and partitions: where a record is on Kafka.

use crate::{NativeId, SourceName, TypeName};
use std::fmt;

/// The prefix of every topic unless the settings say otherwise.
pub const DEFAULT_PREFIX: &str = "tributary.";

/// A partition's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

/// A record's place in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The topics of the contract, without their prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Changes as they happen.
    InventoryLive,
    /// Full refreshes.
    InventorySnapshot,
    /// Samples.
    Metrics,
    /// Provider events.
    Events,
    /// Rejected records.
    DeadLetters,
    /// Collectors' positions and version leases (compacted).
    Checkpoints,
    /// What collectors are told (compacted).
    Control,
}

impl Topic {
    /// Every topic, in the order in which they are made.
    pub const ALL: [Self; 7] = [
        Self::InventoryLive,
        Self::InventorySnapshot,
        Self::Metrics,
        Self::Events,
        Self::DeadLetters,
        Self::Checkpoints,
        Self::Control,
    ];

    /// The name under `prefix`.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}{}", self.suffix())
    }

    /// The name without prefix.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::InventoryLive => "inventory.live",
            Self::InventorySnapshot => "inventory.snapshot",
            Self::Metrics => "metrics",
            Self::Events => "events",
            Self::DeadLetters => "dead-letters",
            Self::Checkpoints => "checkpoints",
            Self::Control => "control",
        }
    }
}

/// The key of a record about one object: `source/type/native_id`.
#[must_use]
pub fn object_key(source: &SourceName, entity_type: &TypeName, native_id: &NativeId) -> String {
    format!("{source}/{entity_type}/{native_id}")
}

/// The key of an extent: `source/type`, or the source alone if it is about all types.
#[must_use]
pub fn extent_key(source: &SourceName, entity_type: Option<&TypeName>) -> String {
    entity_type.map_or_else(|| source.to_string(), |t| format!("{source}/{t}"))
}

/// The partition that Kafka's default (`murmur2`) partitioner gives a key: the positive 32 bits of
/// the hash modulo the number of partitions (`org.apache.kafka.common.utils.Utils.murmur2`).
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> Partition {
    let positive = murmur2(key) & 0x7fff_ffff;
    Partition(i32::try_from(positive % partitions.max(1)).unwrap_or(0))
}

/// MurmurHash2, 32 bits, with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    #[expect(clippy::cast_possible_truncation, reason = "keys are far below 4 GiB")]
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| (rest << 8) | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test (`UtilsTest.testMurmur2`).
    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }
}
