//! P1 and P2: whatever happens, a pool holds no more runtimes than it may, loses none, launches none that
//! nobody asked for, and comes to rest with what it promises.

mod decide_world;

use std::cell::Cell;

use decide_world::{Mix, World};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

const EVENTS: u64 = 1_000_000;

#[test]
fn a_million_random_events() {
    let events = Cell::new(0);
    let config =
        Config { cases: 700, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let history = (any::<u64>(), vec(any::<u32>(), 1..=6000));
    TestRunner::new(config)
        .run(&history, |(seed, words)| {
            let world = World::live_through(seed, &words, Mix::Everything);
            events.set(events.get() + world.events);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{} events", events.get());
    assert!(events.get() >= EVENTS, "only {} events", events.get());
}

#[test]
fn debugging() {
    for seed in 0..2000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let result = std::panic::catch_unwind(|| ());
        let words: Vec<u32> = (0..rng.usize(1..150)).map(|_| rng.u32(..)).collect();
        drop(result);
        World::live_through(seed, &words, Mix::Everything);
    }
}
