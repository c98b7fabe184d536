//! P11, through the whole pool on real sandboxes: of what a lease leaves, the next finds nothing. And fail-closed:
//! a guest that says it has cleaned up and has not costs its runtime.

mod support;

use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::{Config, Exec, Ostler, PoolSpec, Reason};
use support::gated::Gates;
use support::sim::{simulate, start};

#[tokio::test]
async fn the_next_lease_finds_nothing_of_the_last() {
    let state = tempfile::tempdir().expect("a directory");
    let template = tempfile::tempdir().expect("a directory");
    std::fs::write(template.path().join("given"), "by the template\n").expect("written");
    let spec = PoolSpec { min: 1, max: 1, template: Some(template.path().to_owned()), ..PoolSpec::default() };
    let config = Config::builder().instance("test").state_dir(state.path()).pool("real", spec).build();
    let ostler = Ostler::start(config.expect("good")).await.expect("starts");
    let pool = ostler.pool("real").expect("the pool");
    let lease = pool.acquire().await.expect("a lease");
    let runtime = lease.runtime();
    lease.write("deep/down/secret", b"of the last user").await.expect("written");
    lease.write("given", b"changed").await.expect("written");
    let mess = "echo x > /tmp/x; echo x > /dev/shm/x; mkdir -p ~/.config; echo 'export LEFT=1' > ~/.profile; \
                mkfifo pipe; ln -s /etc/passwd link; setsid sleep 300 & (trap '' TERM; sleep 300 &) & kill -STOP $!";
    assert!(lease.exec(Exec::shell(mess).env("LEFT", "1")).await.expect("runs").success());
    drop(lease);
    let lease = pool.acquire().await.expect("the next lease");
    assert_eq!(lease.runtime(), runtime, "the runtime was cleaned, not replaced");
    let names: Vec<_> = lease.walk("").await.expect("a list").into_iter().map(|entry| entry.path).collect();
    assert_eq!(names, ["given"].map(std::path::PathBuf::from));
    assert_eq!(lease.read("given").await.expect("read"), b"by the template\n");
    for place in ["/tmp", "/dev/shm"] {
        assert!(lease.list(place).await.expect("a list").is_empty(), "{place} is not empty");
    }
    let env = lease.exec(Exec::new("env")).await.expect("runs");
    assert!(!String::from_utf8_lossy(&env.stdout).contains("LEFT"));
    let processes = lease.exec(Exec::shell("echo /proc/[0-9]*")).await.expect("runs");
    assert_eq!(
        processes.stdout.split(|byte| *byte == b' ').count(),
        2,
        "the guest and this command: {processes:?}"
    );
    drop(lease);
    ostler.shutdown().await.expect("ends");
}

/// A place that nobody has changed is as it was when it was made, and one where somebody has been is made anew though
/// there is nothing in it.
#[tokio::test]
async fn only_an_untouched_place_is_used_again() {
    let state = tempfile::tempdir().expect("a directory");
    let spec = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
    let config = Config::builder().instance("test").state_dir(state.path()).pool("real", spec).build();
    let ostler = Ostler::start(config.expect("good")).await.expect("starts");
    let pool = ostler.pool("real").expect("the pool");
    // Its mode and time of change, and that is older than a tick of the kernel's clock when the lease ends.
    let changed = async |doing: &str| {
        let lease = pool.acquire().await.expect("a lease");
        let exec = Exec::shell(format!("({doing}) >/dev/null; stat -c '%a %z' /tmp; sleep 0.05"));
        let output = lease.exec(exec).await.expect("runs");
        assert!(output.success() && !output.stdout.is_empty(), "{doing}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    changed("true").await;
    let begun = changed("true").await;
    for untouched in ["true", "ls -la /tmp /dev/shm", "echo x > file", "cat /tmp/x || test -d /tmp"] {
        assert_eq!(changed(untouched).await, begun, "{untouched}");
    }
    assert_eq!(changed("true").await, begun);
    for touched in ["echo x > /tmp/x; rm /tmp/x", "chmod 700 /tmp; chmod 1777 /tmp", "touch -d @0 /tmp"] {
        let left = changed(touched).await;
        let found = changed("true").await;
        assert!(found != left && found.starts_with("1777 "), "{touched}: {left}, then {found}");
    }
    ostler.shutdown().await.expect("ends");
}

#[test]
fn a_reset_that_failed_hangs_or_lies_costs_the_runtime() {
    for act in [Act::Fail, Act::Hang, Act::Lie, Act::Panic] {
        simulate(async {
            let gates = Gates::default();
            let spec = PoolSpec { min: 1, max: 1, ..PoolSpec::default() };
            let (ostler, pool) = start(spec, Fake::scripted(gates.clone()), 1).await;
            let lease = pool.acquire().await.expect("a lease");
            let dirty = lease.runtime();
            lease.write("secret", b"of the last user").await.expect("written");
            gates.set(Point::Reset, act);
            drop(lease);
            tokio::time::sleep(Duration::from_secs(10)).await;
            gates.set(Point::Reset, Act::Work);
            let lease = pool.acquire().await.expect("the next lease");
            assert_ne!(lease.runtime(), dirty, "{act:?}: an unclean runtime was handed out");
            assert!(lease.read("secret").await.expect_err("not there").is_not_found());
            assert!(pool.status().retired[&Reason::ResetFailed] >= 1, "{act:?}");
            drop(lease);
            ostler.shutdown().await.expect("ends");
        });
    }
}
