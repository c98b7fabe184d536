//! P10: maintenance never takes the ready ones below `min`, replaces one at a time and the replacement first,
//! and is not noticed by whoever holds a lease.

#![expect(clippy::unchecked_time_subtraction, reason = "the later less the earlier")]

#[expect(dead_code, reason = "each promise needs its part of the world")]
mod decide_world;

use std::collections::BTreeMap;
use std::time::Duration;

use decide_world::{Note, Plan, TICK, World, plain};
use ostler::decide::{Command, Event, Fate, Moment};
use ostler::model::{PoolSpec, Reason, ResetPolicy, State};

const SECOND: Duration = Duration::from_secs(1);

/// Runs in small steps and looks at each.
fn watch(world: &mut World, time: Duration, mut look: impl FnMut(&World)) {
    let end = world.now + time;
    while world.now < end {
        world.run(Duration::from_millis(5));
        look(world);
    }
}

fn with_ready(spec: PoolSpec, ready: usize, seed: u64) -> World {
    let mut world = World::new(spec, Plan::CALM, seed);
    for _ in 0..ready {
        world.lease();
    }
    world.run(SECOND * 10);
    world.release_all();
    assert!(world.handoff.ready.len() >= ready);
    world
}

fn new_version(world: &mut World) {
    world.reconfigure(|spec| {
        spec.env.insert("version".to_owned(), "2".to_owned());
    });
}

fn lifetimes(world: &World, reason: Reason) -> Vec<(Moment, Duration)> {
    let mut born = BTreeMap::new();
    let mut lifetimes = Vec::new();
    for (now, note) in &world.notes {
        match note {
            Note::Launch(id) => drop(born.insert(*id, *now)),
            Note::Retire(id, why) if *why == reason => lifetimes.push((*now, *now - born[id])),
            _ => {}
        }
    }
    lifetimes
}

#[test]
fn what_nobody_needs_goes_after_the_idle_timeout_and_before_two() {
    let idle = SECOND * 30;
    for min in 0..4 {
        for seed in 0..20 {
            let spec = PoolSpec { idle_timeout: Some(idle), ..plain(min, 10) };
            let mut world = World::new(spec, Plan::CALM, seed);
            world.run(Duration::from_millis(2900 * seed));
            for _ in 0..10 {
                world.lease();
            }
            world.run(SECOND * 5);
            world.end_leases();
            let since = world.now;
            world.run(SECOND);
            watch(&mut world, idle * 3, |world| {
                let (ready, idled) = (world.handoff.ready.len(), world.now - since);
                assert!(ready >= min, "{ready} left of {min}");
                if idled < idle {
                    assert_eq!(ready, 10, "after {idled:?}");
                }
                if idled > idle * 2 + TICK * 2 {
                    assert_eq!(ready, min, "after {idled:?}");
                }
            });
            assert_eq!((world.launches(), world.retired(Reason::Idle)), (10, 10 - min));
        }
    }
}

/// llm-sandbox 0.3.46: its idle reap destroys the `min` set and makes it again, for ever.
#[test]
fn the_min_set_is_not_churned() {
    let spec = PoolSpec { idle_timeout: Some(SECOND), ..plain(4, 8) };
    let mut world = World::new(spec, Plan::CALM, 1);
    world.run(SECOND * 3600);
    assert_eq!((world.launches(), world.runtimes.len()), (4, 4));
}

/// Ready ones are used in turn, so each of them is used now and then; what idles is the stock.
#[test]
fn a_stock_that_is_used_in_turn_idles_all_the_same() {
    let spec = PoolSpec { idle_timeout: Some(SECOND * 10), ..plain(1, 8) };
    let mut world = with_ready(spec, 8, 2);
    for _ in 0..40 {
        world.lease();
        world.run(SECOND / 2);
        world.release(0, Fate::Used);
        world.run(SECOND / 2);
    }
    assert!(world.handoff.ready.len() <= 2, "{:?}", world.handoff);
}

#[test]
fn changing_settings_now_and_then_does_not_keep_idle_ones() {
    let spec = PoolSpec { idle_timeout: Some(SECOND * 10), ..plain(1, 8) };
    let mut world = with_ready(spec, 8, 3);
    for n in 0..10 {
        world.reconfigure(|spec| spec.queue = 10 + n);
        world.run(SECOND * 5);
    }
    assert_eq!(world.handoff.ready.len(), 1);
}

#[test]
fn lifetimes_spread_over_a_tenth() {
    let max_lifetime = Some(SECOND * 1000);
    let spec = PoolSpec { max_lifetime, launch_parallelism: 100, ..plain(100, 200) };
    let mut world = World::new(spec, Plan::CALM, 4);
    world.run(SECOND * 1300);
    let ages: Vec<_> = lifetimes(&world, Reason::Aged).into_iter().map(|(_, age)| age).collect();
    let (least, most) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
    assert!(ages.len() >= 100);
    assert!(*least >= SECOND * 900 && *least < SECOND * 920, "{least:?}");
    // The replacement is launched when it is due, so that it goes a little later.
    assert!(*most <= SECOND * 1005 && *most > SECOND * 980, "{most:?}");
}

#[test]
fn the_replacement_of_an_aged_one_comes_first() {
    for (min, leased) in [(1, 0), (3, 0), (3, 2), (5, 5)] {
        let spec = PoolSpec { max_lifetime: Some(SECOND * 20), ..plain(min, min + leased + 1) };
        let mut world = World::new(spec, Plan::CALM, 5);
        for _ in 0..leased {
            world.lease();
        }
        world.run(SECOND * 10);
        let held = world.handoff.leased.clone();
        watch(&mut world, SECOND * 60, |world| {
            assert!(world.handoff.ready.len() >= min, "{:?} of {min}", world.handoff);
            assert!(held.iter().all(|id| world.runtimes[id].state == State::Circulating));
        });
        assert!(world.retired(Reason::Aged) >= 2 * min);
        let due = held.len() + world.retired(Reason::Aged);
        world.end_leases();
        world.run(SECOND);
        assert!(world.retired(Reason::Aged) >= due, "a leased one goes when its lease ends");
    }
}

/// Both an idle and an aged one could go, and only one of them may.
#[test]
fn idle_and_aged_at_once_leave_min() {
    for seed in 0..100 {
        let idle_timeout = Some(SECOND * 2);
        let spec = PoolSpec { idle_timeout, max_lifetime: Some(SECOND * 4), ..plain(2, 8) };
        let mut world = World::new(spec, Plan::CALM, seed);
        for _ in 0..4 {
            for _ in 0..4 {
                world.lease();
            }
            world.run(SECOND);
            world.end_leases();
            world.run(SECOND);
            let mut met = false;
            watch(&mut world, SECOND * 8, |world| {
                met |= world.handoff.ready.len() >= 2;
                assert!(!met || world.handoff.ready.len() >= 2);
            });
        }
    }
}

#[test]
fn where_there_is_no_room_an_aged_one_serves_until_its_next_lease_ends() {
    for reset in [ResetPolicy::Wipe, ResetPolicy::None] {
        let spec = PoolSpec { reset, max_lifetime: Some(SECOND * 20), ..plain(4, 4) };
        let mut world = World::new(spec, Plan::CALM, 6);
        watch(&mut world, SECOND * 60, |world| {
            assert!(world.now < SECOND || world.handoff.ready.len() == 4);
        });
        assert_eq!(world.launches(), 4);
        for _ in 0..8 {
            world.lease();
            world.run(SECOND);
            world.release(0, Fate::Used);
            world.run(SECOND);
        }
        let aged = lifetimes(&world, Reason::Aged);
        assert!(aged.len() >= 4, "{reset:?}: {} went", aged.len());
        assert_eq!(world.handoff.ready.len(), 4);
    }
}

#[test]
fn a_busy_full_pool_without_resets_does_not_keep_aged_ones() {
    let spec = PoolSpec { reset: ResetPolicy::None, max_lifetime: Some(SECOND * 20), ..plain(2, 4) };
    let mut world = World::new(spec, Plan::CALM, 7);
    for _ in 0..6 {
        world.lease();
    }
    for _ in 0..1000 {
        world.run(SECOND / 10);
        world.release(0, Fate::Used);
        world.lease();
    }
    let oldest = lifetimes(&world, Reason::Aged).iter().map(|(_, age)| *age).max().unwrap();
    assert!(oldest < SECOND * 23, "{oldest:?}");
    assert!(world.retired(Reason::Aged) >= 12);
}

#[test]
fn a_new_spec_rolls_over_with_the_replacement_first() {
    for leased in 0..3 {
        let mut world = World::new(plain(4, 8), Plan::CALM, 8);
        world.run(SECOND * 5);
        for _ in 0..leased {
            world.lease();
        }
        world.run(SECOND * 5);
        let held = world.handoff.leased.clone();
        new_version(&mut world);
        watch(&mut world, SECOND * 20, |world| {
            assert!(world.handoff.ready.len() >= 4, "{:?}", world.handoff);
            assert!(held.iter().all(|id| world.runtimes[id].state == State::Circulating));
        });
        assert_eq!(world.retired(Reason::SpecChanged), 4, "the ready ones");
        world.release_all();
        assert_eq!(world.retired(Reason::SpecChanged), 4 + leased, "and the leased ones when they came back");
    }
}

#[test]
fn a_new_spec_rolls_over_one_at_a_time_where_there_is_no_room() {
    for reset in [ResetPolicy::Wipe, ResetPolicy::None] {
        for (leased, seed) in [(0, 9), (1, 10), (3, 11), (4, 12), (6, 13)] {
            let spec = PoolSpec { reset, ..plain(6, 6) };
            let mut world = World::new(spec, Plan::CALM, seed);
            world.run(SECOND * 5);
            for _ in 0..leased {
                world.lease();
            }
            let held = world.handoff.leased.clone();
            new_version(&mut world);
            for _ in 0..20 {
                // The queue is long when the change comes: nothing of what was done is known at once.
                world.queue_tick();
            }
            let ready = 6 - leased;
            watch(&mut world, SECOND * 20, |world| {
                assert!(world.handoff.ready.len() + 1 >= ready, "{:?}, {ready} before", world.handoff);
                assert!(held.iter().all(|id| world.runtimes[id].state == State::Circulating));
            });
            assert_eq!(world.retired(Reason::SpecChanged), ready, "long leases hold nothing up");
            world.release_all();
            assert_eq!((world.retired(Reason::SpecChanged), world.launches()), (6, 12));
            assert_eq!(world.handoff.ready.len(), 6);
        }
    }
}

#[test]
fn a_new_spec_that_does_not_launch_costs_one_runtime_at_most() {
    for max in [4, 6] {
        let mut world = World::new(plain(4, max), Plan::CALM, 14);
        world.run(SECOND * 5);
        world.plan.launch_faults = 100;
        new_version(&mut world);
        world.run(SECOND * 600);
        assert_eq!(world.handoff.ready.len(), if max == 4 { 3 } else { 4 });
        world.plan.launch_faults = 0;
        world.run(SECOND * 60);
        assert_eq!(world.retired(Reason::SpecChanged), 4);
    }
}

/// One that ends may have been a ready one: what was ready before says nothing about what is left.
#[test]
fn an_old_one_is_not_replaced_by_the_one_that_has_just_ended() {
    let mut world = with_ready(PoolSpec { reset: ResetPolicy::None, ..plain(1, 5) }, 1, 20);
    world.lease();
    new_version(&mut world);
    world.deliver_all();
    world.release(0, Fate::Used);
    assert_eq!((world.handoff.ready.len(), world.retired(Reason::SpecChanged)), (2, 0));
    let ready = world.handoff.ready[0];
    world.deliver(&Event::Exited(ready));
    assert_eq!(world.handoff.ready.len(), 1, "the other one stays");
    world.run(Duration::from_secs(5));
    assert_eq!(world.retired(Reason::SpecChanged), 1);
}

#[test]
fn settings_that_do_not_shape_a_runtime_replace_none() {
    let mut world = World::new(plain(4, 8), Plan::CALM, 15);
    world.run(SECOND * 5);
    world.reconfigure(|spec| spec.acquire_timeout = SECOND);
    world.run(SECOND * 60);
    assert_eq!(world.launches(), 4);
}

#[test]
fn a_runtime_made_from_the_old_spec_is_replaced_wherever_the_change_meets_it() {
    for at in 0..200 {
        let mut world = World::new(plain(1, 2), Plan::CALM, at);
        world.lease();
        world.run(Duration::from_millis(at));
        if at % 3 == 0 {
            world.release(0, Fate::Used);
        }
        new_version(&mut world);
        world.run(SECOND * 5);
        world.release_all();
        let old = world.runtimes.values().filter(|runtime| runtime.generation == 0).count();
        assert_eq!(old, 0, "changed after {at} ms");
    }
}

#[test]
fn a_runtime_serves_max_uses_leases_and_not_one_more() {
    for reset in [ResetPolicy::Wipe, ResetPolicy::None] {
        let mut world = World::new(PoolSpec { reset, max_uses: Some(3), ..plain(1, 1) }, Plan::CALM, 18);
        world.run(SECOND);
        for lease in 1..=9 {
            world.lease();
            world.run(SECOND);
            world.release(0, Fate::Used);
            world.run(SECOND);
            assert_eq!(world.retired(Reason::UsedUp), lease / 3, "{reset:?}, after {lease} leases");
        }
        assert_eq!(world.launches(), 4);
    }
}

/// Health of an idle pool is no reason to keep it: the probes' ticks are not activity.
#[test]
fn ticks_are_not_activity() {
    let spec = PoolSpec { idle_timeout: Some(SECOND * 10), ..plain(0, 4) };
    let mut world = with_ready(spec, 4, 16);
    for _ in 0..2500 {
        world.queue_tick();
        world.run(SECOND / 100);
    }
    assert!(world.runtimes.is_empty());
}

/// A spare that is leased after all is not missed, one that is withdrawn in vain comes back.
#[test]
fn trimming_lets_go_of_what_is_needed_again() {
    let spec = PoolSpec { idle_timeout: Some(SECOND * 10), ..plain(2, 4) };
    let mut world = with_ready(spec, 4, 17);
    let trims = (0..60).any(|_| {
        world.pass(SECOND);
        world.deliver(&Event::Tick { lowest: 4 }).contains(&Command::Withdraw(Reason::Idle))
    });
    assert!(trims, "nobody needed them for a minute");
    world.lease();
    world.lease();
    world.deliver_all();
    assert_eq!(world.handoff.ready.len(), 2);
    assert_eq!(world.retired(Reason::Idle), 0);
}
