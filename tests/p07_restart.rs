//! P7: restart intensity is exact. No window holds more launches caused by failure than it may; launches that
//! fail go one at a time, with pauses that double; the pool says that it is degraded, and heals.

#![expect(clippy::unchecked_time_subtraction, reason = "the later less the earlier")]

#[expect(dead_code, reason = "each promise needs its part of the world")]
mod decide_world;

use std::cell::Cell;
use std::time::Duration;

use decide_world::history::Mix;
use decide_world::{Note, Plan, World, plain};
use ostler::decide::{Command, Decider, Event, Moment, SlotKind, Stock, Strain};
use ostler::model::{PoolSpec, Reason, RestartPolicy, RestartSpec, RuntimeId, State};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

const WINDOW: Duration = Duration::from_mins(1);

/// The launches that a failure caused: those that found a failure of the last window which no launch had
/// followed yet.
fn caused(notes: &[(Moment, Note)], window: Duration) -> Vec<Moment> {
    let mut open: Vec<Moment> = Vec::new();
    let mut caused = Vec::new();
    for (now, note) in notes {
        match note {
            Note::Failure(_) => open.push(*now),
            Note::Launch(_) => {
                open.retain(|failure| *now < *failure + window);
                if !open.is_empty() {
                    open.remove(0);
                    caused.push(*now);
                }
            }
            _ => {}
        }
    }
    caused
}

/// The fullest of all windows, each taken by itself.
fn fullest(launches: &[Moment], window: Duration) -> usize {
    let in_window = |end: &Moment| launches.iter().filter(|at| *at <= end && *end < **at + window).count();
    launches.iter().map(in_window).max().unwrap_or(0)
}

fn pool(min: usize, max: usize, intensity: u32) -> PoolSpec {
    let restart = RestartSpec { intensity, window: WINDOW, ..RestartSpec::default() };
    PoolSpec { restart, ..plain(min, max) }
}

fn times(world: &World, wanted: impl Fn(&Note) -> bool) -> Vec<Moment> {
    world.notes.iter().filter(|(_, note)| wanted(note)).map(|(at, _)| *at).collect()
}

fn launches(world: &World) -> Vec<Moment> {
    times(world, |note| matches!(note, Note::Launch(_)))
}

fn kill(world: &mut World, victims: usize) {
    let ids: Vec<RuntimeId> = world.runtimes.keys().copied().take(victims).collect();
    for id in ids {
        world.queue(Event::Exited(id));
    }
    world.deliver_all();
}

/// Kameo gives up at the fourth crash though no window held more than two; Pekko lets 2N − 1 through.
#[test]
fn no_window_of_any_random_history_holds_more_than_it_may() {
    let (full, events) = (Cell::new(0), Cell::new(0));
    let config = Config { cases: 250, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    TestRunner::new(config)
        .run(&(any::<u64>(), vec(any::<u32>(), 1..=3000)), |(seed, words)| {
            let mut world = World::random(seed);
            world.live_through(&words, Mix::Faults);
            let restart = world.decider.spec().restart;
            let caused = caused(&world.notes, restart.window);
            let fullest = fullest(&caused, restart.window);
            assert!(fullest <= restart.intensity as usize, "{fullest} of {restart:?}");
            full.set(full.get() + usize::from(fullest == restart.intensity as usize));
            events.set(events.get() + world.events);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{} events; in {} histories some window was full", events.get(), full.get());
    assert!(full.get() > 50, "the bound was hardly ever met");
}

#[test]
fn launches_that_fail_go_one_at_a_time_with_pauses_that_double() {
    for seed in 0..50 {
        let mut world = World::new(pool(3, 12, 1000), Plan { launch_faults: 100, ..Plan::CALM }, seed);
        world.run(Duration::from_mins(10));
        let RestartSpec { backoff, backoff_cap, .. } = world.decider.spec().restart;
        let (mut failed, mut under_way, mut last, mut probes) = (0_u32, 0_u32, Moment::ZERO, 0);
        for (now, note) in &world.notes {
            match note {
                Note::Launch(_) => {
                    under_way += 1;
                    if failed > 0 {
                        assert_eq!(under_way, 1, "one at a time");
                        let full = backoff.saturating_mul(1 << (failed - 1).min(20)).min(backoff_cap);
                        let pause = *now - last;
                        assert!(full / 2 <= pause && pause <= full, "{pause:?} is not in {full:?}");
                        probes += 1;
                    }
                }
                Note::Failure(_) => (failed, under_way, last) = (failed + 1, under_way - 1, *now),
                _ => {}
            }
        }
        assert!((20..=50).contains(&probes), "{probes} probes in ten minutes");
        let degraded = times(&world, |note| matches!(note, Note::Degraded(_)));
        let failures = times(&world, |note| matches!(note, Note::Failure(_)));
        assert_eq!(degraded, [failures[2]], "degraded once, at the third failure");

        world.plan.launch_faults = 0;
        world.run(Duration::from_mins(1));
        let healed = times(&world, |note| *note == Note::Degraded(false));
        let warm = times(&world, |note| matches!(note, Note::Warm(_)));
        assert_eq!(healed, [warm[0]], "healed by the first that succeeds");
        assert_eq!(world.handoff.ready.len(), 3);
        assert!(warm[2] - warm[0] < Duration::from_secs(1), "and the rest follow at once");
    }
}

#[test]
fn the_pause_starts_small_again_after_a_success() {
    let mut world = World::new(pool(1, 4, 1000), Plan { launch_faults: 100, ..Plan::CALM }, 1);
    world.run(Duration::from_secs(100));
    world.plan.launch_faults = 0;
    world.run(Duration::from_secs(100));
    world.plan.launch_faults = 100;
    let before = launches(&world).len();
    kill(&mut world, 1);
    world.run(Duration::from_secs(2));
    assert!(launches(&world).len() - before >= 3, "one at once, and pauses of 200 and 400 ms at most");
}

/// Every launch after the first is caused by failure here, whatever the oracle thinks of debts.
#[test]
fn a_runtime_that_dies_each_time_it_is_warm_is_bounded_by_the_window() {
    let mut world = World::new(pool(1, 2, 5), Plan::CALM, 2);
    while world.now < WINDOW * 10 {
        world.run(Duration::from_millis(100));
        if !world.handoff.ready.is_empty() {
            kill(&mut world, 1);
        }
    }
    let launches = launches(&world);
    assert_eq!(fullest(&launches[1..], WINDOW), 5);
    assert_eq!(launches.len(), 1 + 5 * 10, "and what the window allows is made use of");
    let degraded = times(&world, |note| *note == Note::Degraded(true));
    assert!(degraded[0] < Duration::from_secs(3), "said so as soon as a launch had to wait");
    world.run(WINDOW * 2);
    assert!(!world.decider.is_degraded());
    assert_eq!(world.handoff.ready.len(), 1);
}

#[test]
fn after_a_mass_failure_the_window_is_filled_at_once_and_not_more() {
    let mut world = World::new(pool(10, 30, 3), Plan::CALM, 3);
    world.run(Duration::from_secs(10));
    let (before, died) = (launches(&world).len(), world.now);
    kill(&mut world, 10);
    world.run(WINDOW - Duration::from_secs(1));
    assert_eq!(launches(&world).len() - before, 3);
    assert_eq!(world.handoff.ready.len(), 3, "what is healthy serves");
    assert!(world.decider.is_degraded());
    world.lease();
    assert_eq!(world.handoff.leased.len(), 1);
    world.run(Duration::from_secs(10));
    assert!(!world.decider.is_degraded());
    assert_eq!(world.handoff.ready.len(), 10, "a window later the failures count no more");
    let probe = launches(&world)[before + 3];
    let first = times(&world, |note| matches!(note, Note::Warm(_))).into_iter().find(|at| *at > probe);
    assert_eq!(probe, died + WINDOW);
    assert_eq!(launches(&world).get(before + 4).copied(), first, "the rest when the probe has succeeded");
}

/// Whatever ends a runtime that nobody could lease yet, its launch has failed: the next waits.
#[test]
fn an_end_on_the_way_up_is_a_failed_launch() {
    let slow = Plan { launch: Duration::from_secs(5), ..Plan::CALM };
    let mut world = World::new(pool(1, 4, 1000), slow, 10);
    world.run(Duration::from_millis(1));
    let died = world.now;
    kill(&mut world, 1);
    assert_eq!(world.retired(Reason::LaunchFailed), 1);
    world.run(Duration::from_secs(1));
    let pause = launches(&world)[1] - died;
    let full = world.decider.spec().restart.backoff;
    assert!(full / 2 <= pause && pause <= full, "{pause:?} is not in {full:?}");
}

#[test]
fn failures_that_no_window_holds_too_many_of_never_degrade() {
    let mut world = World::new(pool(2, 10, 2), Plan::CALM, 4);
    world.run(Duration::from_secs(10));
    for _ in 0..30 {
        let before = launches(&world).len();
        kill(&mut world, 1);
        assert_eq!(launches(&world).len(), before + 1, "replaced at once");
        world.run(WINDOW / 2);
    }
    assert_eq!(times(&world, |note| matches!(note, Note::Degraded(_))), []);
}

/// One failure within the window does not keep those before it alive.
#[test]
fn growth_is_not_held_up_by_failures_older_than_the_window() {
    let spec = PoolSpec { launch_parallelism: 20, ..pool(0, 40, 4) };
    let mut world = World::new(spec, Plan::CALM, 5);
    for _ in 0..12 {
        world.lease();
    }
    world.run(Duration::from_secs(10));
    world.release_all();
    kill(&mut world, 9);
    world.run(WINDOW.mul_f64(0.7));
    kill(&mut world, 3);
    world.run(WINDOW.mul_f64(0.4));
    let before = launches(&world).len();
    for _ in 0..20 {
        world.lease();
    }
    world.deliver_all();
    assert_eq!(launches(&world).len() - before, 20, "three of them caused by failure, the window takes four");
    assert!(!world.decider.is_degraded());
}

#[test]
fn a_window_that_allows_none_waits_for_the_failures_to_age() {
    let mut world = World::new(pool(1, 2, 0), Plan::CALM, 6);
    world.run(Duration::from_secs(10));
    let died = world.now;
    kill(&mut world, 1);
    assert!(world.decider.is_degraded());
    world.run(WINDOW * 2);
    assert_eq!(launches(&world)[1..], [died + WINDOW]);
    assert!(!world.decider.is_degraded());
}

/// What the settings do not want replaced is given up, which is told, and holds until they change.
#[test]
fn what_is_given_up_comes_back_with_new_settings() {
    type End = fn(RuntimeId) -> Event;
    let (failed, ended): (End, End) = (Event::Exited, Event::Finished);
    for (policy, end, replaced) in [
        (RestartPolicy::Always, failed, true),
        (RestartPolicy::Always, ended, true),
        (RestartPolicy::OnFailure, failed, true),
        (RestartPolicy::OnFailure, ended, false),
        (RestartPolicy::Never, failed, false),
        (RestartPolicy::Never, ended, false),
    ] {
        let restart = RestartSpec { policy, ..pool(0, 0, 10).restart };
        let mut world = World::new(PoolSpec { restart, ..plain(3, 3) }, Plan::CALM, 8);
        world.run(Duration::from_secs(5));
        for given_up in 1..=2 {
            let id = *world.handoff.ready.front().expect("ready");
            world.queue(end(id));
            world.run(Duration::from_secs(5));
            let given_up = if replaced { 0 } else { given_up };
            assert_eq!(world.handoff.ready.len(), 3 - given_up, "{policy:?}");
            assert_eq!(world.decider.given_up(), given_up, "{policy:?}");
            let strain = (given_up > 0).then_some(Strain::GivenUp(given_up));
            assert_eq!(world.decider.strain(), strain, "{policy:?}");
            assert_eq!(world.decider.is_degraded(), given_up > 0, "{policy:?}");
        }
        world.reconfigure(|spec| spec.queue += 1);
        world.run(Duration::from_secs(5));
        assert_eq!((world.handoff.ready.len(), world.decider.given_up()), (3, 0), "{policy:?}");
        assert!(!world.decider.is_degraded());
    }
}

/// One beyond `max` is never replaced, and takes nothing from the others.
#[test]
fn the_end_of_an_overflow_runtime_gives_nothing_up() {
    let restart = RestartSpec { policy: RestartPolicy::Never, ..RestartSpec::default() };
    let mut world = World::new(PoolSpec { overflow: 1, restart, ..plain(1, 1) }, Plan::CALM, 9);
    world.lease();
    world.run(Duration::from_secs(5));
    world.lease_with_overflow();
    world.run(Duration::from_secs(5));
    let beyond = world.decider.ledger().iter().find(|(_, slot)| slot.kind() == SlotKind::Overflow);
    let (id, _) = beyond.expect("one beyond max");
    world.queue(Event::Exited(id));
    world.run(Duration::from_secs(5));
    assert_eq!((world.decider.given_up(), world.decider.is_degraded()), (0, false));
}

#[test]
fn a_degraded_pool_says_by_what() {
    let mut world = World::new(pool(1, 2, 0), Plan::CALM, 6);
    world.run(Duration::from_secs(10));
    assert_eq!(world.decider.strain(), None);
    kill(&mut world, 1);
    assert_eq!(world.decider.strain(), Some(Strain::Window));
    let mut world = World::new(pool(1, 2, 1000), Plan { launch_faults: 100, ..Plan::CALM }, 6);
    world.run(Duration::from_mins(1));
    assert_eq!(world.decider.strain(), Some(Strain::Launches));
}

#[test]
fn a_new_window_counts_from_the_moment_it_is_set() {
    let mut world = World::new(pool(1, 2, 0), Plan::CALM, 6);
    world.run(Duration::from_secs(10));
    kill(&mut world, 1);
    assert!(world.decider.is_degraded());
    world.reconfigure(|spec| spec.restart.intensity = 1);
    world.run(Duration::from_secs(1));
    assert!(!world.decider.is_degraded());
    assert_eq!(world.handoff.ready.len(), 1);
}

#[test]
fn a_pool_that_wants_no_launch_is_not_degraded() {
    let mut world = World::new(pool(0, 2, 1), Plan::CALM, 7);
    world.lease();
    world.lease();
    world.run(Duration::from_secs(10));
    world.release_all();
    kill(&mut world, 2);
    world.lease();
    world.lease();
    world.run(Duration::from_secs(1));
    assert!(world.decider.is_degraded(), "one is replaced, one waits for the window");
    world.give_up();
    world.run(Duration::from_secs(1));
    assert!(!world.decider.is_degraded());

    world.lease();
    world.run(Duration::from_secs(1));
    assert!(world.decider.is_degraded());
    world.reconfigure(|spec| spec.max = 1);
    world.run(Duration::from_secs(1));
    assert!(!world.decider.is_degraded(), "no launch could be had, window or not");
}

/// Nothing is missing, so that no launch will ever come that could show that they succeed again.
#[test]
fn a_full_pool_is_not_degraded_by_launches_that_failed_before() {
    let mut world = World::new(pool(1, 2, 1000), Plan::CALM, 8);
    world.lease();
    world.lease();
    world.run(Duration::from_secs(10));
    world.plan.launch_faults = 100;
    world.reconfigure(|spec| spec.max = 3);
    world.lease();
    world.run(Duration::from_secs(10));
    assert_eq!(world.decider.strain(), Some(Strain::Launches));
    world.reconfigure(|spec| spec.max = 2);
    world.run(Duration::from_secs(1));
    assert_eq!(world.decider.strain(), None);

    world.release_all();
    kill(&mut world, 1);
    assert_eq!(world.decider.strain(), Some(Strain::Launches), "one is missing, and nothing has succeeded");
}

#[test]
fn a_full_pool_is_degraded_while_launches_beyond_it_fail() {
    let mut world = World::new(PoolSpec { overflow: 1, ..pool(1, 1, 1000) }, Plan::CALM, 8);
    world.lease();
    world.run(Duration::from_secs(10));
    world.plan.launch_faults = 100;
    world.lease_with_overflow();
    world.run(Duration::from_secs(10));
    assert_eq!(world.decider.strain(), Some(Strain::Launches));
    let mut left = world.clone();
    left.give_up();
    left.run(Duration::from_secs(1));
    assert_eq!(left.decider.strain(), None);

    world.plan = Plan::CALM;
    world.run(Duration::from_mins(1));
    assert_eq!((world.decider.strain(), world.handoff.leased.len()), (None, 2), "tried until it succeeds");
}

#[test]
fn a_pool_that_ends_is_not_degraded() {
    let mut world = World::new(PoolSpec { overflow: 1, ..pool(1, 1, 1000) }, Plan::CALM, 8);
    world.lease();
    world.run(Duration::from_secs(10));
    world.plan.launch_faults = 100;
    world.lease_with_overflow();
    world.run(Duration::from_secs(10));
    assert!(world.decider.is_degraded());
    world.queue(Event::Drain);
    world.release_all();
    assert_eq!((world.finished, world.decider.strain()), (1, None));
    let degraded: Vec<_> = world.notes.iter().filter(|(_, note)| matches!(note, Note::Degraded(_))).collect();
    assert_eq!(degraded.len(), 2, "once, and no more: {degraded:?}");

    let restart = RestartSpec { policy: RestartPolicy::Never, ..RestartSpec::default() };
    let mut world = World::new(PoolSpec { restart, ..plain(1, 1) }, Plan::CALM, 9);
    world.lease();
    world.run(Duration::from_secs(5));
    world.queue(Event::Drain);
    world.deliver_all();
    kill(&mut world, 1);
    assert!(!world.decider.is_degraded());
}

/// It was to go, or to be replaced, whether it ended or not.
#[test]
fn what_was_on_its_way_out_is_not_given_up() {
    let restart = RestartSpec { policy: RestartPolicy::Never, ..RestartSpec::default() };
    let leased = || {
        let max_lifetime = Some(Duration::from_mins(1));
        let mut world = World::new(PoolSpec { restart, max_lifetime, ..plain(0, 3) }, Plan::CALM, 9);
        for _ in 0..3 {
            world.lease();
        }
        world.run(Duration::from_secs(5));
        world
    };
    let mut surplus = leased();
    surplus.reconfigure(|spec| spec.max = 2);
    surplus.deliver_all();
    kill(&mut surplus, 1);
    assert_eq!((surplus.decider.given_up(), surplus.decider.is_degraded()), (0, false));
    surplus.run(Duration::from_secs(1));
    kill(&mut surplus, 1);
    assert_eq!((surplus.decider.given_up(), surplus.decider.is_degraded()), (1, true));

    let mut outdated = leased();
    outdated.reconfigure(|spec| drop(spec.env.insert("version".to_owned(), "2".to_owned())));
    outdated.deliver_all();
    kill(&mut outdated, 3);
    assert_eq!((outdated.decider.given_up(), outdated.decider.is_degraded()), (0, false));

    let mut aged = leased();
    aged.run(Duration::from_mins(2));
    kill(&mut aged, 1);
    assert_eq!((aged.decider.given_up(), aged.decider.is_degraded()), (0, false));
}

/// It is not to be tried again, so there is nothing to pause for.
#[test]
fn a_launch_that_is_given_up_holds_up_no_other() {
    let restart = RestartSpec { policy: RestartPolicy::Never, ..RestartSpec::default() };
    let mut decider = Decider::new(PoolSpec { restart, ..plain(0, 3) }, Moment::ZERO, 9);
    let one_waits = Stock { ready: 0, waiters: 1, overflow: 0 };
    let two_wait = Stock { ready: 0, waiters: 2, overflow: 0 };
    let launches = |commands: Vec<Command>| {
        commands.into_iter().filter(|command| matches!(command, Command::Launch(_))).count()
    };
    let mut step = |stock, event| launches(decider.step(Moment::ZERO, stock, event).expect("legal"));
    assert_eq!(step(one_waits, Event::Tick { lowest: 0 }), 1);
    let at_once =
        step(one_waits, Event::LaunchFailed(RuntimeId(1))) + step(two_wait, Event::Gone(RuntimeId(1)));
    assert_eq!(at_once, 2);
    assert_eq!(decider.given_up(), 1);
}

/// The last step before the supervisor started over may have been taken.
#[test]
fn an_end_that_is_told_again_after_a_recovery_counts_once() {
    let told_twice = |restart| {
        let mut world = World::new(PoolSpec { restart, ..plain(2, 3) }, Plan::CALM, 9);
        world.run(Duration::from_secs(5));
        let ended = *world.runtimes.keys().next().expect("two are ready");
        let states: Vec<_> = world.decider.ledger().iter().map(|(id, slot)| (id, slot.state())).collect();
        let mut decider = world.decider.clone();
        let stock = Stock { ready: 1, waiters: 0, overflow: 0 };
        decider.step(world.now, stock, Event::Exited(ended)).expect("legal");
        let spec = decider.spec().clone();
        decider.recover(spec, states.into_iter());
        for event in [Event::Exited(ended), Event::Gone(ended)] {
            decider.step(world.now, stock, event).expect("legal");
        }
        assert_eq!(decider.ledger().retired(Reason::Exited), 1);
        (decider, world.now)
    };
    let (never, _) = told_twice(RestartSpec { policy: RestartPolicy::Never, ..RestartSpec::default() });
    assert_eq!(never.given_up(), 1);
    // The launch that follows is paid for; another, for those who wait, would be one too many had there been two.
    let (mut always, now) = told_twice(RestartSpec { intensity: 1, ..RestartSpec::default() });
    let stock = Stock { ready: 0, waiters: 3, overflow: 0 };
    always.step(now, stock, Event::Tick { lowest: 0 }).expect("legal");
    assert_eq!((always.ledger().count(State::Launching), always.is_degraded()), (2, false));
}
