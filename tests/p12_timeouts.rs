//! P12, through the whole pool on real sandboxes: a timeout kills the command's whole tree, keeps the output so
//! far and comes back at once; a stdout that somebody holds open hangs nothing (E2B, SWE-ReX, `inspect_ai`).

use std::time::{Duration, Instant};

use ostler::model::Limits;
use ostler::{Config, Exec, Lease, Ostler, PoolSpec};

/// Far more than the 100 ms that are promised, for machines that are busy with something else.
const SOON: Duration = Duration::from_secs(5);

async fn start() -> (Ostler, tempfile::TempDir) {
    start_within(Limits::default()).await
}

async fn start_within(limits: Limits) -> (Ostler, tempfile::TempDir) {
    let state = tempfile::tempdir().expect("a directory");
    let spec = PoolSpec { min: 1, max: 1, limits, ..PoolSpec::default() };
    let config = Config::builder().instance("test").state_dir(state.path()).pool("real", spec).build();
    (Ostler::start(config.expect("good")).await.expect("starts"), state)
}

/// Processes in the runtime besides the guest and the one that counts.
async fn others(lease: &Lease) -> usize {
    let count = Exec::shell(
        "n=0; for p in /proc/[0-9]*; do [ $p = /proc/1 ] || [ $p = /proc/$$ ] || n=$((n+1)); done; echo $n",
    );
    let output = lease.exec(count).await.expect("counts");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

#[tokio::test]
async fn the_whole_tree_is_killed_and_the_output_kept() {
    let (ostler, _state) = start().await;
    let lease = ostler.pool("real").expect("the pool").acquire().await.expect("a lease");
    for tree in [
        "sleep 300",
        "setsid sleep 300 & wait",
        "(setsid sh -c 'sleep 300 & sleep 300' &); sleep 300",
        "sleep 300 & kill -STOP $!; kill -STOP $$",
        "trap '' TERM INT HUP; while :; do sleep 1; done",
    ] {
        let begun = Instant::now();
        let timeout = Duration::from_millis(300);
        let exec = Exec::shell(format!("echo before; {tree}")).timeout(timeout);
        let output = lease.exec(exec).await.expect("a result");
        assert!(output.timed_out && !output.success(), "{tree}: {output:?}");
        assert_eq!(output.stdout, b"before\n", "{tree}");
        assert!(begun.elapsed() < timeout + SOON, "{tree}: back after {:?}", begun.elapsed());
        let begun = Instant::now();
        while others(&lease).await > 0 {
            assert!(begun.elapsed() < SOON, "{tree}: something survived");
        }
    }
    drop(lease);
    ostler.shutdown().await.expect("ends");
}

/// The guest shares its processors with them. As root it goes first; they have what the host has.
#[tokio::test]
async fn a_crowd_that_wants_all_processors_is_ended() {
    let (ostler, _state) = start().await;
    let lease = ostler.pool("real").expect("the pool").acquire().await.expect("a lease");
    let crowd = "trap '' TERM; f() { f & f & while :; do :; done; }; f";
    let timeout = Duration::from_secs(1);
    for _ in 0..3 {
        let begun = Instant::now();
        let output = lease.exec(Exec::shell(crowd).timeout(timeout)).await.expect("an outcome that is known");
        assert!(output.timed_out, "{output:?}");
        assert!(begun.elapsed() < timeout + SOON, "back after {:?}", begun.elapsed());
    }
    let command = lease.exec(Exec::shell("cat /proc/self/stat")).await.expect("looks");
    let guest = lease.handle().strip_prefix("pid ").expect("a pid");
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let own = niceness(&stat("self"));
    assert_eq!(niceness(&String::from_utf8_lossy(&command.stdout)), own);
    if rustix::process::geteuid().is_root() {
        assert_eq!(niceness(&stat(guest)), (own - 20).max(-20));
    }
    drop(lease);
    ostler.shutdown().await.expect("ends");
}

/// Cgroups throttle the guest with what it is to end: of its share nothing was left, seven of ten such commands were
/// lost, and their runtimes with them. While it is late it has more; afterwards the limit is back.
#[tokio::test]
async fn a_crowd_with_a_small_share_of_a_processor_is_ended() {
    let (ostler, _state) = start_within(Limits { cpus: Some(0.03), ..Limits::default() }).await;
    let lease = ostler.pool("real").expect("the pool").acquire().await.expect("a lease");
    let guest = lease.handle().strip_prefix("pid ").expect("a pid").to_owned();
    let limit = quota(&guest);
    let crowd = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do \
        (trap '' TERM; while :; do :; done) & (trap '' TERM; while :; do :; done) & done; wait";
    for _ in 0..5 {
        let output = lease.exec(Exec::shell(crowd).timeout(Duration::from_millis(1500))).await;
        let output = output.expect("an outcome that is known");
        assert!(output.timed_out, "{output:?}");
        let begun = Instant::now();
        while quota(&guest) != limit {
            assert!(begun.elapsed() < SOON, "{:?} is {limit:?} no more", quota(&guest));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    drop(lease);
    ostler.shutdown().await.expect("ends");
}

/// What limits a process's processor time; none where cgroups don't.
fn quota(pid: &str) -> Option<String> {
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    own.lines().find_map(|line| {
        let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else { return None };
        let path = path.trim_start_matches('/');
        let known =
            ["cpu", "cpu,cpuacct", "", "unified"].map(|mount| format!("/sys/fs/cgroup/{mount}/{path}"));
        let file = if controllers.is_empty() { "cpu.max" } else { "cpu.cfs_quota_us" };
        known.iter().find_map(|directory| std::fs::read_to_string(format!("{directory}/{file}")).ok())
    })
}

fn niceness(stat: &str) -> i32 {
    let (_, behind_the_name) = stat.rsplit_once(") ").expect("a name");
    behind_the_name.split(' ').nth(16).expect("a field").parse().expect("a number")
}

#[tokio::test]
async fn a_held_stdout_hangs_nothing() {
    let (ostler, _state) = start().await;
    let lease = ostler.pool("real").expect("the pool").acquire().await.expect("a lease");
    let begun = Instant::now();
    let output = lease.exec(Exec::shell("sleep 300 & echo done")).await.expect("a result");
    assert!(output.success());
    assert_eq!(output.stdout, b"done\n");
    assert!(begun.elapsed() < SOON, "back after {:?}", begun.elapsed());
    assert_eq!(others(&lease).await, 1, "what runs in the background goes on until the lease ends");
    drop(lease);
    ostler.shutdown().await.expect("ends");
}
