//! P13, P14: a real engine is stopped where it is, and then a pool is to end. It ends in time, says whom it could not
//! end, and the next of its name removes them once the engine goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use ostler::model::{ContainerSpec, Transport};
use ostler::{Error, ErrorKind, Exec, Ostler, PoolSpec};
use rustix::process::Signal;

use crate::engine::{Engine, Kind, config, spec, unique};
use crate::private::Private;

const GRACE: Duration = Duration::from_secs(1);
/// What is promised beyond the grace, and a second for a machine that is busy with other tests.
const MORE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);
/// Five seconds are promised after the next start.
const SWEPT_WITHIN: Duration = Duration::from_secs(20);

/// How the pool is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    ToShutDown,
    ToDrain,
    /// While it asks the engine for another container, and for the end of one.
    InTheMiddle,
    /// It is dropped, and nobody waits.
    ToGo,
}

async fn start(engine: &Engine, instance: &str, state: &Path, transport: Transport, min: usize) -> Ostler {
    let container = ContainerSpec { transport, ..spec() };
    let pool = PoolSpec { backend: engine.settings(&container), min, max: 2, ..PoolSpec::default() };
    Ostler::start(config(instance, state, pool)).await.unwrap()
}

/// The time it took must be kept, and everybody named.
fn is_told(ended: Result<(), Error>, handles: &[String], began: Instant, what: &str) {
    let took = began.elapsed();
    assert!(took < GRACE + MORE, "{what}: {took:?}");
    let error = ended.expect_err(what);
    let ErrorKind::Survivors(names) = error.kind() else { panic!("{what}: {error:?}") };
    for handle in handles {
        assert!(names.iter().any(|name| name.contains(&**handle)), "{what}: {handle} is not in {names:?}");
    }
    println!("{what}: {took:?}, {names:?}");
}

async fn ends(shared: &Engine, private: &Private, asked: Asked, transport: Transport) {
    let what = format!("{:?}, {asked:?}, {transport:?}", shared.kind);
    let engine = private.engine();
    let (instance, state) = (unique(), tempfile::tempdir().unwrap());
    let ostler = start(&engine, &instance, state.path(), transport, 2).await;
    let pool = ostler.pool("p").unwrap();
    pool.ready(PATIENCE).await.unwrap();
    let snapshot = pool.snapshot().await.unwrap();
    let handles: Vec<_> = snapshot.runtimes.iter().map(|runtime| runtime.handle.clone()).collect();
    assert!(handles.len() >= 2, "{what}");
    // One is at work for somebody.
    let lease = pool.acquire().await.unwrap();
    let work = tokio::spawn(async move { lease.exec(Exec::new("sleep").arg("3600")).await.map(drop) });
    if asked == Asked::InTheMiddle {
        let other = pool.acquire().await.unwrap();
        private.signal(Signal::STOP);
        other.discard();
        tokio::time::sleep(Duration::from_millis(300)).await;
    } else {
        private.signal(Signal::STOP);
    }
    let began = Instant::now();
    match asked {
        Asked::ToShutDown | Asked::InTheMiddle => {
            is_told(ostler.shutdown_within(GRACE).await, &handles, began, &what);
        }
        Asked::ToDrain => {
            is_told(pool.drain_within(GRACE).await, &handles, began, &what);
            let began = Instant::now();
            is_told(ostler.shutdown_within(Duration::ZERO).await, &handles, began, &what);
        }
        Asked::ToGo => {
            drop(ostler);
            assert!(began.elapsed() < Duration::from_millis(500), "{what}: a drop waits");
            // As long as it may take in the background.
            tokio::time::sleep(MORE).await;
        }
    }
    // Its holder is not held up either.
    let worked = tokio::time::timeout(MORE, work).await;
    assert!(worked.unwrap_or_else(|late| panic!("{what}: {late}")).unwrap().is_err(), "{what}");
    private.signal(Signal::CONT);

    let next = start(&engine, &instance, state.path(), Transport::Auto, 0).await;
    let began = Instant::now();
    loop {
        let left = engine.containers(&instance).await;
        if left.is_empty() {
            break;
        }
        if began.elapsed() > SWEPT_WITHIN {
            for id in &left {
                println!("{what}: {:?}", engine.client().await.inspect_container(id, None).await);
            }
            panic!("{what}: {left:?} are still there");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{what}: all gone {:?} after the next start", began.elapsed());
    assert_eq!(next.pool("p").unwrap().status().states.values().sum::<usize>(), 0, "{what}");
    next.shutdown_within(GRACE).await.unwrap();
    assert_eq!(engine.containers(&instance).await, Vec::<String>::new(), "{what}");
    // Podman makes what it is to mount and does not find, also for somebody who has gone: an empty directory, which the
    // next process of this name clears away.
    if (shared.kind, asked) != (Kind::Podman, Asked::InTheMiddle) {
        let left = std::fs::read_dir(state.path().join("containers")).into_iter().flatten().count();
        assert_eq!(left, 0, "{what}: directories are left");
    }
}

#[tokio::test]
async fn a_pool_ends_in_time_while_its_engine_hangs_and_the_next_removes_what_is_left() {
    for shared in Engine::all("the end of a pool whose engine hangs") {
        let Some(private) = Private::start(&shared, Vec::new()).await else { continue };
        for (asked, transport) in [
            (Asked::ToShutDown, Transport::Auto),
            (Asked::ToShutDown, Transport::Attach),
            (Asked::ToDrain, Transport::Auto),
            (Asked::InTheMiddle, Transport::Auto),
            (Asked::ToGo, Transport::Auto),
        ] {
            ends(&shared, &private, asked, transport).await;
        }
    }
}
