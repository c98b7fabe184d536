//! P14: a host that is killed leaves containers, and the next of its name removes them within seconds; what belongs
//! to anybody else is not touched.
//!
//! The host that is killed is this test's own program, started again. 8 kills an engine, at moments spread over a
//! launch, or as many as `OSTLER_KILLS` says, the others at random moments of a host at work: `scripts/kills docker`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use ostler::{Exec, Ostler, PoolSpec};

use crate::engine::{Engine, Kind, config, image, spec, unique};

/// Set for the host that is to be killed: engine, its address, instance, directory.
const HOST: &str = "OSTLER_TEST_CONTAINER_HOST";
/// Five seconds are promised; a busy machine may take longer, and the figure is printed.
const SWEPT_WITHIN: Duration = Duration::from_secs(20);
/// Kills at moments spread over a launch.
const KILLS: u64 = 8;
/// What a host that works says.
const WORDS: [&str; 4] = ["started", "leased", "worked", "released"];

/// Not a test by itself: the host that the tests below start and kill.
#[tokio::test]
async fn host() {
    let Ok(settings) = std::env::var(HOST) else { return };
    let [kind, host, instance, directory, work] = settings.split(' ').collect::<Vec<_>>()[..] else { return };
    let kind = if kind == "Docker" { Kind::Docker } else { Kind::Podman };
    let engine = Engine { kind, host: host.to_owned() };
    let ostler = start(&engine, instance, Path::new(directory), 3).await;
    println!("started");
    let pool = ostler.pool("p").unwrap();
    if work != "work" {
        pool.ready(Duration::from_mins(1)).await.unwrap();
        println!("ready");
        std::future::pending::<()>().await;
    }
    loop {
        let lease = pool.acquire().await.unwrap();
        println!("leased");
        lease.write("file", "content").await.unwrap();
        lease.exec(Exec::shell("setsid sleep 3600 & echo done")).await.unwrap();
        println!("worked");
        if lease.uses() == 1 {
            lease.discard();
        } else {
            drop(lease);
        }
        println!("released");
    }
}

async fn start(engine: &Engine, instance: &str, state: &Path, runtimes: usize) -> Ostler {
    let pool = PoolSpec {
        backend: engine.settings(&spec()),
        min: runtimes,
        max: runtimes.max(1),
        ..PoolSpec::default()
    };
    Ostler::start(config(instance, state, pool)).await.unwrap()
}

/// A host in a process of its own.
struct Host {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Host {
    fn start(engine: &Engine, instance: &str, state: &Path) -> Self {
        Self::start_to(engine, instance, state, "wait")
    }

    /// To `wait`, or to `work`.
    fn start_to(engine: &Engine, instance: &str, state: &Path, what: &str) -> Self {
        let settings = format!("{:?} {} {instance} {} {what}", engine.kind, engine.host, state.display());
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owner::host", "--nocapture"])
            .env(HOST, settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn until(&mut self, word: &str) {
        let found = self.lines.by_ref().map(Result::unwrap).any(|line| line.ends_with(word));
        assert!(found, "the host ended before it was {word}");
    }

    /// Waits for so many of its words.
    fn listen(&mut self, words: usize) {
        let said = |line: &String| WORDS.contains(&line.as_str());
        self.lines.by_ref().map(Result::unwrap).filter(said).take(words).for_each(drop);
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A container of somebody who has nothing to do with us, but for a label of ours.
async fn foreign(engine: &Engine, labels: HashMap<String, String>) -> String {
    let body = ContainerCreateBody {
        image: Some(image()),
        cmd: Some(vec!["/bin/sleep".to_owned(), "1000".to_owned()]),
        labels: Some(labels),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&unique()).build();
    engine.client().await.create_container(Some(options), body).await.unwrap().id
}

async fn remove(engine: &Engine, id: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    engine.client().await.remove_container(id, Some(options)).await.unwrap();
}

#[tokio::test]
async fn a_host_killed_at_any_step_leaves_nothing_that_the_next_does_not_remove() {
    for engine in Engine::all("a killed host") {
        let (instance, state) = (unique(), tempfile::tempdir().unwrap());
        let label = |name: &str| HashMap::from([("ostler.instance".to_owned(), name.to_owned())]);
        let strangers = [foreign(&engine, HashMap::new()).await, foreign(&engine, label(&unique())).await];
        // Bears our instance's label, and says nothing of an owner: whoever made it, we did not.
        let namesake = foreign(&engine, label(&instance)).await;
        let (mut most, mut worst) = (0, Duration::ZERO);
        let kills = std::env::var("OSTLER_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
        for kill in 0..kills {
            let mut rng = fastrand::Rng::with_seed(kill);
            let mut host;
            if kill >= KILLS {
                host = Host::start_to(&engine, &instance, state.path(), "work");
                host.listen(rng.usize(..12));
                tokio::time::sleep(Duration::from_millis(rng.u64(..200))).await;
            } else {
                host = Host::start(&engine, &instance, state.path());
                host.until("started");
                if kill == KILLS - 1 {
                    host.until("ready");
                } else {
                    // From the first create to the last start.
                    tokio::time::sleep(Duration::from_millis(60 * kill)).await;
                }
            }
            host.kill();
            let left = engine.containers(&instance).await.len() - 1;
            most = most.max(left);
            let started = Instant::now();
            let next = start(&engine, &instance, state.path(), 0).await;
            loop {
                let there = engine.containers(&instance).await;
                if there == [namesake.clone()] {
                    break;
                }
                assert!(started.elapsed() < SWEPT_WITHIN, "kill {kill}: {there:?} are still there");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            worst = worst.max(started.elapsed());
            println!("{:?}: {left} left by kill {kill}, gone after {:?}", engine.kind, started.elapsed());
            next.shutdown_within(Duration::ZERO).await.unwrap();
        }
        assert!(most > 0, "no kill left anything, so nothing was shown");
        let client = engine.client().await;
        for id in strangers.iter().chain([&namesake]) {
            client.inspect_container(id, None).await.expect("the stranger is still there");
            remove(&engine, id).await;
        }
        println!(
            "{:?}: {kills} kills, 0 survivors, 0 of 3 strangers touched, the slowest was gone after {worst:?}",
            engine.kind
        );
        assert_eq!(std::fs::read_dir(state.path().join("containers")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_live_hosts_containers_are_let_be() {
    for engine in Engine::all("a live host") {
        let (instance, state) = (unique(), tempfile::tempdir().unwrap());
        let other_state = tempfile::tempdir().unwrap();
        let mut host = Host::start(&engine, &instance, state.path());
        host.until("ready");
        let before = engine.containers(&instance).await;
        assert_eq!(before.len(), 3);
        let second = start(&engine, &instance, other_state.path(), 1).await;
        second.pool("p").unwrap().ready(Duration::from_mins(1)).await.unwrap();
        // Longer than the two sightings of an orphan are apart.
        tokio::time::sleep(Duration::from_secs(3)).await;
        second.shutdown_within(Duration::ZERO).await.unwrap();
        let mut after = engine.containers(&instance).await;
        let mut before = before;
        before.sort();
        after.sort();
        assert_eq!(after, before);
        host.kill();
        let next = start(&engine, &instance, state.path(), 0).await;
        let started = Instant::now();
        loop {
            let left = engine.containers(&instance).await;
            if left.is_empty() {
                break;
            }
            assert!(started.elapsed() < SWEPT_WITHIN, "{:?}: {left:?} are still there", engine.kind);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        next.shutdown_within(Duration::ZERO).await.unwrap();
    }
}
