//! P1 and P2: whatever happens, a pool holds no more runtimes than it may, loses none, launches none that
//! nobody asked for, and comes to rest with what it promises.

mod decide_world;

use std::cell::Cell;
use std::time::Duration;

use decide_world::history::Mix;
use decide_world::{Plan, World, plain};
use ostler::decide::{Command, Decider, Event, Fate, Moment, SlotKind, Stock};
use ostler::model::{PoolSpec, Reason, ResetPolicy, RuntimeId, State};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

const EVENTS: u64 = 1_000_000;

#[test]
fn a_million_random_events() {
    let events = Cell::new(0);
    let config = Config { cases: 850, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let history = (any::<u64>(), vec(any::<u32>(), 1..=6000));
    TestRunner::new(config)
        .run(&history, |(seed, words)| {
            let mut world = World::random(seed);
            world.live_through(&words, Mix::Everything);
            events.set(events.get() + world.events);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{} events", events.get());
    assert!(events.get() >= EVENTS, "only {} events", events.get());
}

/// Creates equal the target: the ticket put in this very step is stock too.
#[test]
fn a_pool_at_rest_makes_min_and_no_more() {
    for min in 1..5 {
        let mut world = World::new(plain(min, 8), Plan::CALM, 1);
        world.run(Duration::from_mins(1));
        assert_eq!((world.launches(), world.handoff.ready.len()), (min, min));
    }
}

/// Fission, agent-sandbox #1215, Daytona #3288: over-creation under bursts, refill herds.
#[test]
fn a_burst_makes_one_runtime_for_each_waiter_at_most() {
    let mut world = World::new(plain(2, 100), Plan::CALM, 2);
    world.run(Duration::from_secs(5));
    for _ in 0..12 {
        world.lease();
        world.queue_tick();
        world.queue_tick();
    }
    world.run(Duration::from_secs(5));
    assert_eq!(world.handoff.leased.len(), 12);
    assert_eq!(world.launches(), 14, "two at first, ten for the waiters, two ready again");
    world.release_all();
    for _ in 0..12 {
        world.lease();
    }
    world.release_all();
    assert_eq!(world.launches(), 14, "what is being reset comes back");
}

#[test]
fn a_pool_shrinks_to_its_new_max_and_not_below() {
    for reset in [ResetPolicy::Wipe, ResetPolicy::None] {
        for leased in 0..=8 {
            let slow = Plan { retire: Duration::from_secs(5), ..Plan::CALM };
            let mut world = World::new(PoolSpec { reset, ..plain(8, 8) }, slow, 3);
            world.run(Duration::from_secs(5));
            for _ in 0..leased {
                world.lease();
            }
            world.reconfigure(|spec| (spec.min, spec.max) = (3, 3));
            for _ in 0..20 {
                // The queue is long when the change comes.
                world.queue_tick();
            }
            world.end_leases();
            world.run(Duration::from_mins(1));
            assert_eq!(world.launches(), 8, "{leased} leased");
            assert_eq!(world.retired(Reason::Drained), 5, "{leased} leased");
            assert_eq!(world.handoff.ready.len(), 3);
        }
    }
}

/// Those that nobody can lease yet are what is least missed.
#[test]
fn a_shrinking_pool_gives_up_arriving_runtimes_before_ready_ones() {
    let spec = PoolSpec { launch_parallelism: 8, ..plain(2, 8) };
    let mut world = World::new(spec, Plan::CALM, 4);
    world.run(Duration::from_secs(5));
    world.reconfigure(|spec| spec.min = 8);
    world.deliver_all();
    assert_eq!(world.decider.ledger().arriving(SlotKind::Pooled), 6);
    world.reconfigure(|spec| (spec.min, spec.max) = (2, 2));
    world.deliver_all();
    assert_eq!(world.decider.ledger().arriving(SlotKind::Pooled), 0);
    assert_eq!(world.handoff.ready.len(), 2);
}

/// llm-sandbox 0.3.46: its TEMPORARY overflow stays in the pool.
#[test]
fn an_overflow_runtime_serves_one_lease_and_goes() {
    for reset in [ResetPolicy::Wipe, ResetPolicy::None] {
        let mut world = World::new(PoolSpec { overflow: 2, reset, ..plain(1, 1) }, Plan::CALM, 5);
        world.run(Duration::from_secs(5));
        world.lease();
        for _ in 0..3 {
            world.lease_with_overflow();
        }
        world.run(Duration::from_secs(5));
        let waiting = world.handoff.waiters;
        assert_eq!((world.decider.ledger().total(SlotKind::Overflow), waiting), (2, 1), "two beyond max");
        world.release_all();
        assert_eq!(world.decider.ledger().total(SlotKind::Overflow), 0);
        assert_eq!(world.retired(Reason::Overflow), 2);
        assert_eq!(world.handoff.ready.len(), 1);
    }
}

/// Whoever waits longest is served first, and who allows overflow is not forgotten for it.
#[test]
fn one_who_allows_overflow_is_served_behind_one_who_does_not() {
    let mut world = World::new(PoolSpec { overflow: 2, ..plain(1, 1) }, Plan::CALM, 5);
    world.run(Duration::from_secs(5));
    world.lease();
    world.lease();
    world.lease_with_overflow();
    world.run(Duration::from_secs(5));
    assert_eq!((world.handoff.leased.len(), world.handoff.waiters), (3, 0));
    world.lease();
    world.run(Duration::from_secs(5));
    assert_eq!(
        (world.handoff.leased.len(), world.handoff.waiters),
        (3, 1),
        "not for one who waits in any case"
    );
}

/// Nobody waits for another's launch to be done.
#[test]
fn all_who_allow_overflow_have_their_launch_at_once() {
    let mut decider = Decider::new(PoolSpec { overflow: 3, ..plain(0, 1) }, Moment::ZERO, 5);
    warm_up(&mut decider);
    let stock = Stock { ready: 0, waiters: 4, overflow: 4 };
    let commands = decider.step(Moment::ZERO, stock, Event::Tick { lowest: 0 }).unwrap();
    let launches = commands.iter().filter(|command| matches!(command, Command::Launch(_))).count();
    assert_eq!(launches, 3, "{commands:?}");
}

/// What the pool has room for is not beyond it, however it was asked for.
#[test]
fn overflow_is_for_a_full_pool_only() {
    let mut world = World::new(PoolSpec { overflow: 2, ..plain(0, 2) }, Plan::CALM, 5);
    for leased in 1..=2 {
        world.lease_with_overflow();
        world.run(Duration::from_secs(5));
        assert_eq!((world.handoff.leased.len(), world.handoff.waiters), (leased, 0));
        assert_eq!(world.decider.ledger().total(SlotKind::Overflow), 0);
    }
    world.lease_with_overflow();
    world.run(Duration::from_secs(5));
    assert_eq!((world.decider.ledger().total(SlotKind::Overflow), world.launches()), (1, 3));
}

/// The totals are what happened, and not more.
#[test]
fn launches_and_ends_are_counted_each_once_and_by_reason() {
    for seed in 0..20 {
        let mut world = World::random(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let words: Vec<u32> = (0..2000).map(|_| rng.u32(..)).collect();
        world.live_through(&words, Mix::Everything);
        assert!(world.runtimes.is_empty(), "seed {seed}");
        let ledger = world.decider.ledger();
        assert_eq!(ledger.launched(), world.launches() as u64, "seed {seed}");
        let ends: u64 = Reason::ALL.into_iter().map(|reason| ledger.retired(reason)).sum();
        assert_eq!(ends, ledger.launched(), "seed {seed}");
        for reason in Reason::ALL {
            let (counted, told) = (ledger.retired(reason), world.retired(reason) as u64);
            // Nobody is told to destroy what went with its actor.
            let untold = matches!(reason, Reason::Exited | Reason::LaunchFailed);
            assert!(counted == told || untold && counted > told, "{reason}: {counted}, {told}, seed {seed}");
        }
    }
}

#[test]
fn an_overflow_runtime_whose_waiter_left_is_not_kept() {
    for leaves_at in 0..200 {
        let mut world = World::new(PoolSpec { overflow: 1, ..plain(1, 1) }, Plan::CALM, 6);
        world.run(Duration::from_secs(5));
        world.lease();
        world.lease_with_overflow();
        world.run(Duration::from_millis(leaves_at));
        world.give_up();
        world.run(Duration::from_secs(5));
        let leased = world.handoff.leased.len();
        assert_eq!(world.decider.ledger().total(SlotKind::Overflow), leased - 1);
        assert_eq!(world.handoff.ready.len(), 0);
    }
}

/// llm-sandbox 0.3.46: a waiter times out though there was capacity. The idle runtime is already out of the
/// ready ones when the demand comes back; it serves instead of being destroyed.
#[test]
fn a_withdrawn_runtime_goes_to_the_waiter_that_came_meanwhile() {
    let mut decider = Decider::new(plain(0, 1), Moment::ZERO, 7);
    let id = warm_up(&mut decider);
    let stock = Stock { ready: 0, waiters: 1, overflow: 0 };
    let commands = decider.step(Moment::ZERO, stock, Event::Withdrawn { id, reason: Reason::Idle }).unwrap();
    assert_eq!(commands, [Command::Put(id)]);
}

/// There is nobody left to come for it.
#[test]
fn a_runtime_withdrawn_before_the_drain_is_not_put_back_after_it() {
    let mut decider = Decider::new(plain(1, 1), Moment::ZERO, 12);
    let id = warm_up(&mut decider);
    decider.step(Moment::ZERO, Stock::default(), Event::Drain).unwrap();
    for reason in [Reason::Idle, Reason::Drained] {
        let withdrawn = Event::Withdrawn { id, reason };
        let commands = decider.clone().step(Moment::ZERO, Stock::default(), withdrawn).unwrap();
        assert_eq!(commands, [Command::Retire(id, Reason::Drained)]);
    }
}

#[test]
fn a_drained_pool_destroys_at_once_what_nobody_holds() {
    let slow = Plan { launch: Duration::from_mins(1), reset: Duration::from_mins(1), ..Plan::CALM };
    let mut world = World::new(plain(2, 4), Plan::CALM, 8);
    world.run(Duration::from_secs(5));
    world.plan = slow;
    for _ in 0..3 {
        world.lease();
    }
    world.deliver_all();
    world.release(0, Fate::Used);
    world.deliver_all();
    let ledger = world.decider.ledger();
    assert_eq!((ledger.count(State::Resetting), ledger.count(State::Launching)), (1, 2));
    world.queue(Event::Drain);
    world.run(Duration::from_secs(1));
    assert_eq!((world.runtimes.len(), world.finished), (1, 0), "the leased one");
    world.release_all();
    assert_eq!(world.finished, 1);
}

#[test]
fn a_pool_that_ends_now_destroys_what_is_held_and_what_is_cleaned_too() {
    let mut decider = Decider::new(plain(0, 2), Moment::ZERO, 13);
    let held = warm_up(&mut decider);
    let mut step = |event| decider.step(Moment::ZERO, Stock::default(), event).expect("legal");
    let cleaned = RuntimeId(2);
    step(Event::Returned { id: held, uses: 1, fate: Fate::Used });
    assert_eq!(step(Event::ResetDone(held)), [Command::Put(held)]);
    let stock = Stock { ready: 0, waiters: 1, overflow: 0 };
    let mut step = |event| decider.step(Moment::ZERO, stock, event).expect("legal");
    for event in [
        Event::Tick { lowest: 0 },
        Event::Launched(cleaned),
        Event::Booted(cleaned),
        Event::Warmed(cleaned),
        Event::Returned { id: cleaned, uses: 1, fate: Fate::Used },
    ] {
        step(event);
    }
    let mut step = |event| decider.step(Moment::ZERO, Stock::default(), event).expect("legal");
    let retire = |id| Command::Retire(id, Reason::Drained);
    assert_eq!(step(Event::DrainNow), [Command::Close, retire(held), retire(cleaned)]);
    assert_eq!(step(Event::DrainNow), [], "they are on their way");
    assert_eq!(step(Event::Gone(held)), []);
    assert_eq!(step(Event::Gone(cleaned)), [Command::Finished]);
}

/// An actor's last words and the news of its death come from two sides.
#[test]
fn news_of_a_runtime_that_is_gone_changes_nothing() {
    let mut decider = Decider::new(plain(0, 1), Moment::ZERO, 9);
    let id = warm_up(&mut decider);
    for event in [Event::Exited(id), Event::Gone(id)] {
        decider.step(Moment::ZERO, Stock::default(), event).unwrap();
    }
    let before = format!("{decider:?}");
    let (uses, fate, reason) = (1, Fate::Used, Reason::Idle);
    for event in [
        Event::Launched(id),
        Event::Booted(id),
        Event::Warmed(id),
        Event::LaunchFailed(id),
        Event::Returned { id, uses, fate },
        Event::Withdrawn { id, reason },
        Event::ResetDone(id),
        Event::ResetFailed(id),
        Event::Exited(id),
        Event::Unhealthy(id),
        Event::Crashed(id),
    ] {
        assert_eq!(decider.step(Moment::ZERO, Stock::default(), event.clone()), Ok(vec![]), "{event:?}");
        assert_eq!(format!("{decider:?}"), before, "{event:?}");
    }
}

#[test]
fn an_illegal_event_is_refused_and_changes_nothing() {
    let mut decider = Decider::new(plain(0, 1), Moment::ZERO, 10);
    let id = warm_up(&mut decider);
    let before = format!("{decider:?}");
    let (next, unknown) = (RuntimeId(2), RuntimeId(99));
    for event in [
        Event::Launched(id),
        Event::Booted(id),
        Event::Warmed(id),
        Event::Gone(id),
        Event::Launched(unknown),
        Event::Warmed(unknown),
        Event::LaunchFailed(unknown),
        Event::Crashed(unknown),
        Event::Gone(unknown),
        Event::Warmed(next),
        Event::Gone(next),
    ] {
        let refused = decider.step(Moment::ZERO, Stock::default(), event.clone());
        assert!(refused.is_err(), "{event:?}: {refused:?}");
        assert_eq!(format!("{decider:?}"), before, "{event:?}");
    }
    let why = |decider: &mut Decider, event| {
        decider.step(Moment::ZERO, Stock::default(), event).expect_err("refused").to_string()
    };
    assert_eq!(why(&mut decider, Event::Launched(id)), format!("{id} cannot go from circulating to booting"));
    let expected = format!("{unknown} cannot become booting: there is no such runtime");
    assert_eq!(why(&mut decider, Event::Launched(unknown)), expected);
}

/// The longest durations a config could hold overflow nothing.
#[test]
fn endless_durations_are_endless() {
    let mut spec = PoolSpec { max_lifetime: Some(Duration::MAX), ..plain(1, 1) };
    spec.restart.window = Duration::MAX;
    spec.restart.backoff = Duration::MAX;
    spec.restart.backoff_cap = Duration::MAX;
    spec.restart.intensity = 1;
    let mut decider = Decider::new(spec, Moment::ZERO, 11);
    let now = Duration::from_secs(1);
    decider.step(now, Stock::default(), Event::Tick { lowest: 0 }).unwrap();
    for event in [Event::LaunchFailed(RuntimeId(1)), Event::Gone(RuntimeId(1)), Event::Tick { lowest: 0 }] {
        decider.step(now, Stock::default(), event).unwrap();
    }
    assert_eq!(decider.ledger().launched(), 1);
}

/// The first runtime, made for a waiter, as a ready one.
fn warm_up(decider: &mut Decider) -> RuntimeId {
    let id = RuntimeId(1);
    let stock = Stock { ready: 0, waiters: 1, overflow: 0 };
    for event in [Event::Tick { lowest: 0 }, Event::Launched(id), Event::Booted(id), Event::Warmed(id)] {
        decider.step(Moment::ZERO, stock, event).expect("the usual way up");
    }
    id
}
