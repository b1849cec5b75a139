//! The oracle can be trusted: in any order it has what the naive model has, and none of its rules
//! can be left out unnoticed.

use super::{Done, Replay, Rule};
use crate::history::{Record, make};
use crate::kinds::Kinds;
use crate::random::Random;

const HISTORIES: u64 = 5_000;
/// How many are searched for one that needs a rule.
const MORE: u64 = 50_000;

/// Whether a random history in a random order ends otherwise than the naive model, with a rule left
/// out or none.
fn diverges(kinds: &Kinds, seed: u64, left_out: Option<Rule>) -> bool {
    let mut random = Random::new(seed);
    let (mut records, truth) = make(&mut random);
    random.shuffle(&mut records);
    let done = |record| match record {
        Record::Delete { object, version } if random.once_in(4) => Done::Nothing(object, version),
        record => Done::Records(vec![record]),
    };
    let log: Vec<Done> = records.into_iter().map(done).collect();
    Replay::without(left_out, kinds, &log).unwrap().view() != truth
}

#[test]
fn in_any_order_it_has_what_the_naive_model_has() {
    let kinds = Kinds::unregistered();
    let seed = (0..HISTORIES).find(|seed| diverges(&kinds, *seed, None));
    assert_eq!(seed, None);
}

#[test]
fn no_rule_can_be_left_out_unnoticed() {
    let kinds = Kinds::unregistered();
    for rule in [
        Rule::TypesCover,
        Rule::SourcesCover,
        Rule::DropCoveredUnknown,
        Rule::Floor,
        Rule::OldExtentsMoveNothing,
        Rule::Ranges,
        Rule::RememberNothing,
    ] {
        let found = (0..MORE).find(|seed| diverges(&kinds, *seed, Some(rule)));
        assert!(found.is_some(), "{rule:?} is idle in {MORE} histories");
    }
}
