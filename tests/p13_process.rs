//! P13 for sandboxed processes: with every guest stopped, and every keeper, a shutdown ends in time and leaves nothing.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "sandbox/mod.rs"]
mod sandbox;

use std::time::{Duration, Instant};

use ostler::model::{BackendSpec, IsolationLevel};
use ostler::{Config, Exec, Ostler, PoolSpec};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{eventually, exists, parent_of, spec};

const RUNTIMES: usize = 3;
const GRACE: Duration = Duration::from_secs(1);
/// The promise, and a second for a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(4);

fn stop(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::STOP).unwrap();
}

#[tokio::test]
async fn with_every_guest_and_keeper_stopped_nothing_is_left() {
    for isolation in [IsolationLevel::Auto, IsolationLevel::Basic] {
        for keepers_too in [false, true] {
            let state = sandbox::state_dir();
            let backend = BackendSpec::Process(spec(isolation));
            let pool = PoolSpec { backend, min: RUNTIMES, max: RUNTIMES, ..PoolSpec::default() };
            let instance = format!("p13-{}-{keepers_too}", format!("{isolation:?}").to_lowercase());
            let config = Config::builder().instance(instance).state_dir(state.path()).pool("p", pool);
            let ostler = Ostler::start(config.build().unwrap()).await.unwrap();
            let pool = ostler.pool("p").unwrap();
            pool.ready(Duration::from_secs(20)).await.unwrap();
            let snapshot = pool.snapshot().await.unwrap();
            let handle = |handle: &str| handle.strip_prefix("pid ").unwrap().parse().unwrap();
            let guests: Vec<u32> = snapshot.runtimes.iter().map(|runtime| handle(&runtime.handle)).collect();
            assert_eq!(guests.len(), RUNTIMES);
            let keepers: Vec<u32> = guests.iter().map(|pid| parent_of(*pid)).collect();
            // One is at work for somebody.
            let lease = pool.acquire().await.unwrap();
            let work =
                tokio::spawn(async move { lease.exec(Exec::new("sleep").arg("3600")).await.map(drop) });
            tokio::time::sleep(Duration::from_millis(100)).await;
            let stopped = guests.iter().chain(keepers.iter().filter(|_| keepers_too));
            for pid in stopped {
                stop(*pid);
            }

            let begun = Instant::now();
            ostler.shutdown_within(GRACE).await.unwrap();
            let took = begun.elapsed();
            assert!(took < LIMIT, "{isolation:?}, keepers stopped too: {keepers_too}: {took:?}");
            println!("{isolation:?}, keepers stopped too: {keepers_too}: {took:?}");
            let gone = || !guests.iter().chain(&keepers).any(|pid| exists(*pid));
            eventually(Duration::from_secs(1), gone).await;
            assert!(work.await.unwrap().is_err());
            assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "no file is left behind");
        }
    }
}
