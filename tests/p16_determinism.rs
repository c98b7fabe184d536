//! P16, as far as decisions go: one seed and one history give one trace.

#[expect(dead_code, reason = "each promise needs its part of the world")]
mod decide_world;

use std::hash::{DefaultHasher, Hasher};

use decide_world::World;
use decide_world::history::Mix;

fn trace(seed: u64) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let words: Vec<u32> = (0..100).map(|_| rng.u32(..)).collect();
    let mut world = World::random(seed);
    world.trace = Some(DefaultHasher::new());
    world.live_through(&words, Mix::Everything);
    world.trace.as_ref().map_or(0, Hasher::finish)
}

#[test]
fn one_seed_gives_one_trace() {
    let mut traces: Vec<u64> = (0..1000).map(trace).collect();
    for (seed, first) in (0..).zip(&traces) {
        assert_eq!(trace(seed), *first, "seed {seed}");
    }
    traces.sort_unstable();
    traces.dedup();
    assert!(traces.len() > 990, "the fingerprint tells traces apart");
}
