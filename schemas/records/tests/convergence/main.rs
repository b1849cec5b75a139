//! Whatever is lost, late, repeated or out of order, rows end equal to the source.

mod histories;
mod random;
mod source;
mod store;
mod timeline;

use store::Rule::{self, *};

/// Tells what differs for a seed, with a rule left out or none.
type Play = fn(u64, Option<Rule>) -> Option<String>;

const HISTORIES: u64 = 20_000;
/// How many are searched for one that needs a rule.
const MORE: u64 = 40_000;

fn assert_converges(what: &str, play: Play) {
    for seed in 0..HISTORIES {
        if let Some(difference) = play(seed, None) {
            panic!("{difference}");
        }
    }
    println!("{HISTORIES} {what}: no divergence");
}

fn assert_needed(rules: &[Rule], play: Play) {
    for rule in rules {
        let found = (0..MORE).find(|seed| play(*seed, Some(*rule)).is_some());
        match found {
            Some(seed) => println!("without {rule:?}: history {seed} diverges"),
            None => println!("{rule:?} can be left out of {MORE} histories"),
        }
    }
}

#[test]
fn any_order_gives_the_naive_model() {
    assert_converges("histories in any order", histories::diverges);
}

#[test]
fn rows_follow_the_source() {
    assert_converges("timelines", timeline::diverges);
}

const ALL: [Rule; 16] = [
    RememberExtents,
    DropCoveredUnknown,
    OldRecordsMoveNothing,
    OldExtentsMoveNothing,
    ExtentKills,
    ExtentRevives,
    Floor,
    RevivalForgetsFloor,
    PartialMovesNothing,
    OnlyWholeRowsShow,
    PurgeOnlyCovered,
    LicenceWaitsForLive,
    LiveIsAlwaysWritten,
    CompareWithTheRow,
    ListingVersionFirst,
    VersionsAreLeased,
];

#[test]
fn no_rule_is_idle_in_any_order() {
    assert_needed(&ALL, histories::diverges);
}

#[test]
fn no_rule_is_idle_on_a_timeline() {
    assert_needed(&ALL, timeline::diverges);
}
