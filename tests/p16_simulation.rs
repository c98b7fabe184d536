//! P16: one seed, one trace. Ten thousand seeded histories of a whole ostler, actors and all, under a stopped
//! clock: each keeps its promises, and played twice it is the same to the last event. A failure names its seed.

mod support;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use ostler::backend::fake::Fake;
use ostler::model::{FakeSpec, HealthSpec, ResetPolicy};
use ostler::{Exec, LeaseRequest, Pool, PoolSpec};
use support::sim::{simulate, start};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const SEEDS: u64 = 10_000;

/// What one history leaves: a hash over its events, and how many leases there were.
fn history(seed: u64) -> (u64, u64) {
    simulate(async {
        let mut rng = fastrand::Rng::with_seed(seed);
        let max = rng.usize(1..=4);
        let faults = FakeSpec {
            seed,
            launch: Duration::from_millis(rng.u64(0..40)),
            reset: Duration::from_millis(rng.u64(0..10)),
            launch_failures: f64::from(rng.u8(0..3)) / 10.0,
            reset_failures: f64::from(rng.u8(0..3)) / 20.0,
            hangs: f64::from(rng.u8(0..3)) / 40.0,
            exits: f64::from(rng.u8(0..3)) / 40.0,
        };
        let spec = PoolSpec {
            min: rng.usize(0..=max),
            max,
            queue: 16,
            max_uses: rng.bool().then(|| rng.u64(1..6)),
            max_lifetime: rng.bool().then(|| Duration::from_secs(1)),
            idle_timeout: rng.bool().then(|| Duration::from_millis(500)),
            reset: if rng.bool() { ResetPolicy::Wipe } else { ResetPolicy::None },
            health: HealthSpec {
                interval: Duration::from_millis(100),
                timeout: Duration::from_millis(50),
                retries: 2,
                ..HealthSpec::default()
            },
            ..PoolSpec::default()
        };
        let fake = Fake::new(&faults);
        let (ostler, pool) = start(spec, fake.clone(), seed).await;
        let mut events = ostler.events(100_000);
        let mut clients = JoinSet::new();
        for client in 0..3 {
            clients.spawn_local(client_life(pool.clone(), seed ^ (client << 32)));
        }
        let mut leases = 0;
        while let Some(client) = clients.join_next().await {
            leases += client.expect("no client panics");
            let total: usize = pool.status().states.values().sum();
            assert!(total <= max, "seed {seed}: {total} runtimes where {max} may be");
        }
        assert_eq!(pool.status().waiters, 0, "seed {seed}: somebody waits though nobody is there");
        ostler.shutdown_within(Duration::from_secs(5)).await.expect("ends");
        assert_eq!(fake.census().alive, 0, "seed {seed}: a runtime outlived its ostler");
        let mut trace = DefaultHasher::new();
        while let Some(event) = events.next().await {
            format!("{:?}", event.change).hash(&mut trace);
        }
        assert_eq!(events.dropped(), 0, "seed {seed}: the trace has holes");
        (trace.finish(), leases)
    })
}

/// Leases, works, holds, discards, gives up and goes.
async fn client_life(pool: Pool, seed: u64) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut leases = 0;
    for _ in 0..6 {
        let request = LeaseRequest::new().timeout(Duration::from_millis(rng.u64(1..400)));
        let patience = Duration::from_millis(rng.u64(1..400));
        if let Ok(Ok(lease)) = timeout(patience, pool.acquire_with(request)).await {
            leases += 1;
            let exec = lease.exec(Exec::new("echo").arg(seed.to_string()));
            if let Ok(Ok(output)) = timeout(Duration::from_millis(rng.u64(1..20)), exec).await {
                assert!(output.success(), "seed {seed}: {output:?}");
            }
            sleep(Duration::from_millis(rng.u64(0..30))).await;
            match rng.u8(..8) {
                0 => lease.discard(),
                _ => drop(lease),
            }
        }
        sleep(Duration::from_millis(rng.u64(0..200))).await;
    }
    leases
}

#[test]
fn ten_thousand_seeds_keep_their_promises() {
    let threads: u64 = 2;
    let leases: u64 = std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads)
            .map(|share| {
                scope.spawn(move || {
                    (share..SEEDS).step_by(2).map(|seed| named(seed, || history(seed)).1).sum::<u64>()
                })
            })
            .collect();
        shares.into_iter().map(|share| share.join().expect("a history failed; its seed is above")).sum()
    });
    println!("{SEEDS} seeds, {leases} leases");
    assert!(leases > SEEDS, "hardly anything happened: {leases} leases");
}

#[test]
fn a_seed_played_twice_is_the_same_to_the_last_event() {
    for seed in 0..300 {
        let (first, again) = (named(seed, || history(seed)), named(seed, || history(seed)));
        assert_eq!(first, again, "seed {seed}");
    }
    let different: std::collections::HashSet<_> = (0..50).map(|seed| history(seed).0).collect();
    assert!(different.len() > 45, "the trace says nothing: {} of 50 differ", different.len());
}

/// Names the seed of a history that fails.
fn named<T>(seed: u64, run: impl FnOnce() -> T) -> T {
    struct Name(u64);
    impl Drop for Name {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("failed with seed {}", self.0);
            }
        }
    }
    let _name = Name(seed);
    run()
}
