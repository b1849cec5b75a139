//! Every case of what to do next.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn worker(program: Program, fingerprint: u64) -> Worker {
    Worker { program, arguments: Vec::new(), fingerprint }
}

/// A collector `c` and a persister `p`.
fn both() -> Desired {
    [("c", Program::Collector), ("p", Program::Persister)]
        .map(|(name, program)| (name.to_owned(), worker(program, 1)))
        .into()
}

fn slots(phases: &[(&str, Phase)]) -> Slots {
    let slot = |name: &str, phase| {
        let program = if name.starts_with('c') { Program::Collector } else { Program::Persister };
        Slot { program, fingerprint: 1, phase }
    };
    phases.iter().map(|(name, phase)| ((*name).to_owned(), slot(name, *phase))).collect()
}

fn start(name: &str) -> Action {
    Action::Start(name.to_owned())
}

fn stop(name: &str) -> Action {
    Action::Stop(name.to_owned())
}

fn forget(name: &str) -> Action {
    Action::Forget(name.to_owned())
}

#[test]
fn starts_what_is_missing_and_leaves_what_runs() {
    let now = Instant::now();
    assert_eq!(decide(&both(), &Slots::new(), now), [start("c"), start("p")]);
    let running = slots(&[("c", Phase::Running), ("p", Phase::Running)]);
    assert_eq!(decide(&both(), &running, now), []);
}

#[test]
fn starts_again_when_the_back_off_is_over() {
    let now = Instant::now();
    let waiting = slots(&[("c", Phase::Waiting { until: now + SECOND }), ("p", Phase::Running)]);
    assert_eq!(decide(&both(), &waiting, now), []);
    assert_eq!(decide(&both(), &waiting, now + SECOND), [start("c")]);
}

#[test]
fn a_change_releases_what_is_held_or_waits_and_restarts_what_runs() {
    let now = Instant::now();
    let mut changed = both();
    changed.insert("c".to_owned(), worker(Program::Collector, 2));
    for (phase, unchanged_does, changed_does) in [
        (Phase::Held, vec![], vec![start("c")]),
        (Phase::Waiting { until: now + SECOND }, vec![], vec![start("c")]),
        (Phase::Running, vec![], vec![stop("c")]),
        (Phase::Stopping, vec![], vec![]),
    ] {
        let slots = slots(&[("c", phase), ("p", Phase::Running)]);
        assert_eq!(decide(&both(), &slots, now), unchanged_does, "{phase:?}");
        assert_eq!(decide(&changed, &slots, now), changed_does, "{phase:?}");
    }
}

#[test]
fn collectors_end_before_persisters() {
    let (none, now) = (Desired::new(), Instant::now());
    let both = |collector| slots(&[("c", collector), ("p", Phase::Running)]);
    assert_eq!(decide(&none, &both(Phase::Running), now), [stop("c")]);
    assert_eq!(decide(&none, &both(Phase::Stopping), now), []);
    assert_eq!(decide(&none, &both(Phase::Held), now), [forget("c"), stop("p")]);
    assert_eq!(decide(&none, &slots(&[("p", Phase::Stopping)]), now), []);
}

#[test]
fn a_persister_that_is_not_wanted_does_not_wait_for_collectors_that_are() {
    let mut wanted = both();
    wanted.remove("p");
    let running = slots(&[("c", Phase::Running), ("p", Phase::Running)]);
    assert_eq!(decide(&wanted, &running, Instant::now()), [stop("p")]);
}

#[test]
fn what_an_end_means_depends_on_who_wanted_it() {
    let now = Instant::now();
    let after = |phase, ending| after(phase, ending, now, SECOND);
    let waiting = Some(Phase::Waiting { until: now + SECOND });
    assert_eq!(after(Phase::Running, Ending::Other), waiting);
    assert_eq!(after(Phase::Running, Ending::Final), Some(Phase::Held));
    assert_eq!(after(Phase::Stopping, Ending::Other), None);
    assert_eq!(after(Phase::Stopping, Ending::Final), None);
}
