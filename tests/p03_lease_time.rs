//! P3 over time: a lease that outlives `max_lease` is over. Its operations are refused, also in the guest, its
//! runtime is retired, and nobody else notices; renewed, it goes on. A lease held for longer than `leak_after` is
//! told of, with the place it was acquired at.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::model::{BackendSpec, FakeSpec, ResetPolicy};
use ostler::{Change, ErrorKind, Events, Exec, Ostler, Pool, PoolEvent, PoolSpec, Reason, State};
use support::gated::Gates;
use support::sim::{self, simulate, start};

const LIMIT: Duration = Duration::from_secs(10);
/// The coarse clock's tick twice, and a round of maintenance.
const LATE: Duration = Duration::from_millis(350);

fn spec(reset: ResetPolicy) -> PoolSpec {
    PoolSpec { min: 2, max: 3, reset, max_lease: Some(LIMIT), ..PoolSpec::default() }
}

async fn drained(events: &mut Events) -> Vec<Change> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut changes = Vec::new();
    while let Ok(Some(PoolEvent { change, .. })) =
        tokio::time::timeout(Duration::from_millis(1), events.next()).await
    {
        changes.push(change);
    }
    changes
}

fn retired(pool: &Pool, reason: Reason) -> u64 {
    pool.status().retired.get(&reason).copied().unwrap_or(0)
}

#[test]
fn an_expired_lease_is_refused_and_its_runtime_retired() {
    for reset in [ResetPolicy::None, ResetPolicy::Wipe] {
        simulate(async {
            let fake = Fake::new(&FakeSpec::default());
            let (ostler, pool) = start(spec(reset), fake.clone(), 1).await;
            pool.ready(Duration::from_secs(1)).await.expect("fills");
            let mut events = ostler.events(100);
            let other = pool.acquire().await.expect("a lease");
            tokio::time::sleep(LIMIT / 2).await;
            let lease = pool.acquire().await.expect("a lease");
            let place = format!("{}:{}", file!(), line!() - 1);
            let idle = pool.acquire().await.expect("a lease, never used");
            lease.write("mine", "here").await.expect("written");
            drop(other);
            tokio::time::sleep(LIMIT.mul_f64(0.999)).await;
            lease.read("mine").await.expect("not before its time");

            tokio::time::sleep(LATE).await;
            for lease in [&lease, &idle] {
                let error = lease.read("mine").await.expect_err("it is over");
                assert!(matches!(error.kind(), ErrorKind::Expired { limit: LIMIT }), "{error:?}");
                assert!(error.to_string().contains("max_lease"), "{error}");
                assert!(lease.renew().is_err(), "too late");
            }
            assert_eq!(retired(&pool, Reason::LeaseExpired), 2);
            let told = drained(&mut events).await.into_iter().any(|change| {
                matches!(change, Change::LeaseExpired { runtime, acquired_at, .. }
                    if runtime == lease.runtime() && acquired_at.starts_with(&place))
            });
            assert!(told, "an event must name {place}");

            // Replaced while its holder still has it; its drop is no news then.
            pool.ready(Duration::from_secs(5)).await.expect("replaced");
            let launched = pool.status().launched;
            drop((lease, idle));
            tokio::time::sleep(Duration::from_secs(1)).await;
            let status = pool.status();
            assert_eq!(status.launched, launched, "{status}");
            assert_eq!(status.states[&State::Circulating], status.ready, "{status}");
            assert_eq!(retired(&pool, Reason::LeaseExpired), 2);
            ostler.shutdown().await.expect("ends");
            assert_eq!(fake.census().alive, 0);
        });
    }
}

#[test]
fn an_operation_under_way_ends_with_the_lease() {
    simulate(async {
        let (ostler, pool) = start(spec(ResetPolicy::Wipe), Fake::new(&FakeSpec::default()), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        let begun = tokio::time::Instant::now();
        let sleep = lease.exec(Exec::new("sleep").arg("3600").timeout(Duration::from_hours(2)));
        let error = sleep.await.expect_err("ended");
        assert!(matches!(error.kind(), ErrorKind::Expired { .. }), "{error:?}");
        let took = begun.elapsed();
        assert!((LIMIT..LIMIT + LATE).contains(&took), "{took:?}");
        drop(lease);
        ostler.shutdown().await.expect("ends");
    });
}

/// The engine hangs: what the lease started must not go on for as long as that takes.
#[test]
fn the_guest_refuses_it_even_while_the_runtime_cannot_be_destroyed() {
    simulate(async {
        let gates = Gates::default();
        let fake = Fake::scripted(gates.clone());
        let (ostler, pool) = start(spec(ResetPolicy::None), fake.clone(), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        lease.write("mine", "here").await.expect("written");
        assert_eq!(fake.files(lease.runtime()), 1);
        gates.set(Point::Destroy, Act::Hang);
        tokio::time::sleep(LIMIT + LATE).await;
        assert_eq!(pool.status().states[&State::Retiring], 1);
        assert_eq!(fake.files(lease.runtime()), 0, "killed and wiped");
        assert_eq!(fake.fence(lease.runtime()), Some(lease.epoch()), "and fenced");
        gates.set(Point::Destroy, Act::Work);
        drop(lease);
        tokio::time::sleep(Duration::from_mins(1)).await;
        ostler.shutdown().await.expect("ends");
        assert_eq!(fake.census().alive, 0);
    });
}

#[test]
fn renewed_in_time_it_goes_on() {
    simulate(async {
        let (ostler, pool) = start(spec(ResetPolicy::None), Fake::new(&FakeSpec::default()), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        for _ in 0..10 {
            tokio::time::sleep(LIMIT.mul_f64(0.9)).await;
            lease.renew().expect("in time");
            lease.write("mine", "here").await.expect("written");
        }
        drop(lease);
        // Neither the next lease of the same runtime, nor a runtime nobody holds, has anything to do with it.
        let next = pool.acquire().await.expect("a lease");
        tokio::time::sleep(LIMIT.mul_f64(0.9)).await;
        next.write("mine", "here").await.expect("written");
        drop(next);
        tokio::time::sleep(LIMIT * 3).await;
        assert_eq!(retired(&pool, Reason::LeaseExpired), 0);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn without_a_limit_it_is_renewed_for_nothing() {
    simulate(async {
        let plain = PoolSpec { max_lease: None, ..spec(ResetPolicy::None) };
        let (ostler, pool) = start(plain, Fake::new(&FakeSpec::default()), 1).await;
        let lease = pool.acquire().await.expect("a lease");
        tokio::time::sleep(LIMIT * 100).await;
        lease.renew().expect("as long as it likes");
        lease.write("mine", "here").await.expect("written");
        drop(lease);
        ostler.shutdown().await.expect("ends");
    });
}

#[test]
fn a_lease_that_is_kept_is_told_of_once_with_the_place_it_came_from() {
    simulate(async {
        let leaky = PoolSpec { max_lease: None, leak_after: Some(LIMIT), ..spec(ResetPolicy::None) };
        let (ostler, pool) = start(leaky, Fake::new(&FakeSpec::default()), 1).await;
        let mut events = ostler.events(100);
        let lease = pool.acquire().await.expect("a lease");
        let place = format!("{}:{}", file!(), line!() - 1);
        tokio::time::sleep(LIMIT / 2).await;
        drop(pool.acquire().await.expect("a lease that is given back"));
        lease.renew().expect("it is in use, and was not forgotten");
        tokio::time::sleep(LIMIT.mul_f64(0.9)).await;
        let told_of = |changes: Vec<Change>| {
            let leak = |change| match change {
                Change::LeaseLeaked { runtime, epoch, acquired_at, held } => {
                    Some((runtime, epoch, acquired_at, held))
                }
                _ => None,
            };
            changes.into_iter().filter_map(leak).collect::<Vec<_>>()
        };
        assert_eq!(told_of(drained(&mut events).await), []);

        tokio::time::sleep(LIMIT * 3).await;
        let told = told_of(drained(&mut events).await);
        let [(runtime, epoch, acquired_at, held)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((*runtime, *epoch), (lease.runtime(), lease.epoch()));
        assert!(acquired_at.starts_with(&place), "{acquired_at} is not {place}");
        assert!((LIMIT..LIMIT * 2).contains(held), "{held:?}");
        assert_eq!(pool.status().leaked, 1);
        assert!(ostler.metrics().contains("ostler_leases_leaked_total{pool=\"sim\"} 1"));
        lease.write("mine", "here").await.expect("it is only told of");
        drop(lease);
        drop(pool.acquire().await.expect("a lease"));
        tokio::time::sleep(LIMIT / 2).await;
        assert_eq!(pool.status().leaked, 1);
        ostler.shutdown().await.expect("ends");
    });
}

/// The keeper of the coarse clock hangs for less than anybody would notice.
#[test]
fn a_lease_that_began_while_the_clock_stood_still_lasts_as_long() {
    let (hung, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let (held_up, gate) = (Arc::clone(&hung), Arc::clone(&open));
    let limit = Duration::from_millis(600);
    let backend = BackendSpec::Fake(FakeSpec::default());
    let ostler =
        Ostler::builder(sim::config(PoolSpec { backend, max_lease: Some(limit), ..PoolSpec::default() }))
            .sabotage(move |who, _| {
                if who == "Maintenance" {
                    held_up.store(!gate.load(Ordering::SeqCst), Ordering::SeqCst);
                    while !gate.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let ostler = ostler.start().await.expect("starts");
        let pool = ostler.pool("sim").expect("is there");
        pool.ready(Duration::from_secs(20)).await.expect("fills");
        open.store(false, Ordering::SeqCst);
        support::eventually("hung", || hung.load(Ordering::SeqCst)).await;
        tokio::time::sleep(limit).await;
        let lease = pool.acquire().await.expect("a lease");
        open.store(true, Ordering::SeqCst);
        tokio::time::sleep(limit / 3).await;
        let error = lease.read("nothing").await.expect_err("it is not there");
        assert!(error.is_not_found(), "{error}");
        ostler.shutdown().await.expect("ends");
    });
}
