//! P8, the part of the decisions: whoever starts over with what others say there is goes on with just that, and
//! with what only it could know.

use std::time::Duration;

use ostler::decide::{Command, Decider, Event, Fate, Moment, SlotKind, Stock};
use ostler::model::{PoolSpec, Reason, ResetPolicy, RuntimeId, State};

const NOW: Moment = Duration::from_secs(1000);
const TICK: Event = Event::Tick { lowest: usize::MAX };

fn spec(min: usize, max: usize) -> PoolSpec {
    PoolSpec { min, max, idle_timeout: None, ..PoolSpec::default() }
}

fn step(decider: &mut Decider, ready: usize, event: Event) -> Vec<Command> {
    decider.step(NOW, Stock { ready, waiters: 0, overflow: 0 }, event).expect("a legal event")
}

/// A pool with so many leasable runtimes, from number 1.
fn pool(spec: PoolSpec, runtimes: u64) -> Decider {
    let mut decider = Decider::new(spec, Moment::ZERO, 1);
    for ready in 0..runtimes {
        let id = RuntimeId(ready + 1);
        let stock = Stock { ready: usize::try_from(ready).expect("a few"), waiters: 0, overflow: 0 };
        for event in [TICK, Event::Launched(id), Event::Booted(id), Event::Warmed(id)] {
            decider.step(Moment::ZERO, stock, event).expect("the usual way up");
        }
    }
    decider
}

/// As the last word of others: all circulate.
fn circulating(ids: impl IntoIterator<Item = u64>) -> impl Iterator<Item = (RuntimeId, State)> {
    ids.into_iter().map(|id| (RuntimeId(id), State::Circulating))
}

#[test]
fn what_others_say_is_what_there_is() {
    let mut decider = pool(spec(4, 8), 4);
    step(&mut decider, 3, Event::Returned { id: RuntimeId(1), uses: 1, fate: Fate::Quarantined });
    step(&mut decider, 3, Event::Returned { id: RuntimeId(2), uses: 1, fate: Fate::Used });
    let launched = decider.ledger().launched();
    // The first is gone, the second ends, the fourth was never heard of again, and two are news.
    let there = [
        (RuntimeId(2), State::Retiring),
        (RuntimeId(3), State::Circulating),
        (RuntimeId(50), State::Circulating),
        (RuntimeId(49), State::Booting),
    ];
    assert_eq!(decider.recover(spec(4, 8), there.into_iter()), []);

    let ledger = decider.ledger();
    let seen: Vec<_> = ledger.iter().map(|(id, slot)| (id, slot.state(), slot.kind())).collect();
    let pooled = |id, state| (RuntimeId(id), state, SlotKind::Pooled);
    let expected = [
        pooled(2, State::Retiring),
        pooled(3, State::Circulating),
        pooled(49, State::Booting),
        pooled(50, State::Circulating),
    ];
    assert_eq!(seen, expected);
    assert_eq!(ledger.state(RuntimeId(49)), Some(State::Booting));
    assert_eq!(ledger.state(RuntimeId(4)), None);
    for (state, count) in [
        (State::Launching, 0),
        (State::Booting, 1),
        (State::Warming, 0),
        (State::Circulating, 2),
        (State::Resetting, 0),
        (State::Retiring, 1),
    ] {
        assert_eq!(ledger.count(state), count, "{state}");
    }
    assert_eq!(ledger.total(SlotKind::Pooled), 4);
    assert_eq!(ledger.launched(), launched, "the totals go on");
    assert_eq!(ledger.retired(Reason::Quarantined), 1, "it ended while nobody counted");

    let made: Vec<_> = step(&mut decider, 2, TICK)
        .into_iter()
        .filter(|command| matches!(command, Command::Launch(_)))
        .collect();
    assert_eq!(made, [Command::Launch(RuntimeId(51))], "what is missing, under a name nobody has had");
}

#[test]
fn a_name_that_was_given_is_not_given_again() {
    let mut decider = pool(spec(3, 3), 3);
    assert_eq!(decider.recover(spec(3, 3), circulating([1])), []);
    let commands = step(&mut decider, 1, TICK);
    assert_eq!(commands, [Command::Launch(RuntimeId(4)), Command::Launch(RuntimeId(5))]);

    let mut decider = pool(spec(1, 3), 1);
    assert_eq!(decider.recover(spec(1, 3), circulating([])), []);
    assert_eq!(step(&mut decider, 0, TICK), [Command::Launch(RuntimeId(2)), Command::Watch(Some(1))]);
}

/// Nobody knows whether these were heard.
#[test]
fn what_was_asked_for_is_asked_for_again() {
    let mut spec = spec(1, 2);
    spec.restart.backoff = Duration::from_secs(10);
    spec.restart.backoff_cap = spec.restart.backoff;
    let mut decider = Decider::new(spec.clone(), Moment::ZERO, 1);
    step(&mut decider, 0, TICK);
    let waits = |commands: &[Command]| commands.iter().any(|command| matches!(command, Command::WakeAt(_)));
    assert!(waits(&step(&mut decider, 0, Event::LaunchFailed(RuntimeId(1)))));
    assert_eq!(step(&mut decider, 0, TICK), [], "nothing new");
    decider.recover(spec, [(RuntimeId(1), State::Retiring)].into_iter());
    let commands = step(&mut decider, 0, TICK);
    assert!(waits(&commands), "{commands:?}");
    assert!(commands.contains(&Command::Watch(Some(1))), "{commands:?}");
}

#[test]
fn who_was_made_from_what_and_when_is_not_forgotten() {
    let aging = PoolSpec { max_lifetime: Some(Duration::from_secs(500)), ..spec(1, 4) };
    for (before, after, reason) in [
        (spec(1, 4), spec(1, 4), None),
        (aging.clone(), aging, Some(Reason::Aged)),
        (spec(1, 4), PoolSpec { reset: ResetPolicy::None, ..spec(1, 4) }, Some(Reason::SpecChanged)),
    ] {
        let mut decider = pool(before, 1);
        let there = [(RuntimeId(1), State::Circulating), (RuntimeId(9), State::Circulating)];
        assert_eq!(decider.recover(after, there.into_iter()), []);
        let condemned: Vec<_> = step(&mut decider, 2, TICK)
            .into_iter()
            .filter(|command| matches!(command, Command::Condemn(..)))
            .collect();
        let expected: Vec<_> =
            reason.map(|reason| Command::Condemn(RuntimeId(1), reason)).into_iter().collect();
        assert_eq!(condemned, expected, "the new one is as it should be");
    }
}

#[test]
fn the_condemned_are_named() {
    let mut decider = pool(PoolSpec { max_lifetime: Some(Duration::from_secs(500)), ..spec(1, 4) }, 1);
    assert!(!decider.is_condemned(RuntimeId(1)));
    step(&mut decider, 2, TICK);
    assert!(decider.is_condemned(RuntimeId(1)));
    let there = [(RuntimeId(1), State::Circulating), (RuntimeId(9), State::Circulating)];
    assert_eq!(decider.clone().recover(spec(1, 4), there.into_iter()), [(RuntimeId(1), Reason::Aged)]);
    let there = [(RuntimeId(1), State::Resetting), (RuntimeId(9), State::Circulating)];
    assert_eq!(decider.recover(spec(1, 4), there.into_iter()), [], "it is in nobody's hands");
}

#[test]
fn a_pool_that_ends_goes_on_to_end() {
    let mut decider = pool(spec(1, 1), 1);
    assert!(!decider.is_closed());
    step(&mut decider, 1, Event::Drain);
    assert!(decider.is_closed());
    let withdrawn = Event::Withdrawn { id: RuntimeId(1), reason: Reason::Drained };
    assert_eq!(step(&mut decider, 0, withdrawn), [Command::Retire(RuntimeId(1), Reason::Drained)]);
    assert_eq!(step(&mut decider, 0, Event::Gone(RuntimeId(1))), [Command::Finished]);
    assert_eq!(step(&mut decider, 0, TICK), [], "said once");
    decider.recover(spec(1, 1), circulating([]));
    assert!(decider.is_closed());
    assert_eq!(step(&mut decider, 0, TICK), [Command::Finished], "nobody may have been told");

    let mut serving = pool(spec(1, 1), 1);
    serving.recover(spec(1, 1), circulating([1]));
    assert!(!serving.is_closed());
}
