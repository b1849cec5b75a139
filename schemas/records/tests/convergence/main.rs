//! Whatever is lost, late, repeated or out of order, rows end equal to the source.

#![expect(clippy::print_stdout, reason = "the counts are for whoever reads the run")]

mod counterexamples;
mod histories;
mod random;
mod rules;
mod source;
mod store;
mod timeline;

use store::Rule::{
    self, CompareWithTheRow, DropCoveredUnknown, ExtentKills, ExtentRevives, Floor,
    LicenceWaitsForLive, ListingVersionFirst, LiveIsAlwaysWritten, OldExtentsMoveNothing,
    OldRecordsMoveNothing, OnlyWholeRowsShow, PartialMovesNothing, PurgeOnlyCovered,
    RememberExtents, VersionsAreLeased,
};

/// Tells what differs for a seed, with a rule left out or none.
type Play = fn(u64, Option<Rule>) -> Option<String>;

const HISTORIES: u64 = 20_000;
/// How many are searched for one that needs a rule.
const MORE: u64 = 100_000;

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
        let seed = found.unwrap_or_else(|| panic!("{rule:?} can be left out of {MORE} histories"));
        println!("without {rule:?} history {seed} diverges");
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

#[test]
fn no_rule_is_idle_in_any_order() {
    let rules = [
        RememberExtents,
        DropCoveredUnknown,
        OldRecordsMoveNothing,
        OldExtentsMoveNothing,
        ExtentKills,
        Floor,
        PurgeOnlyCovered,
    ];
    assert_needed(&rules, histories::diverges);
}

#[test]
fn no_rule_is_idle_on_a_timeline() {
    let rules = [
        ExtentRevives,
        PartialMovesNothing,
        OnlyWholeRowsShow,
        LicenceWaitsForLive,
        LiveIsAlwaysWritten,
        CompareWithTheRow,
        ListingVersionFirst,
        VersionsAreLeased,
    ];
    assert_needed(&rules, timeline::diverges);
}
