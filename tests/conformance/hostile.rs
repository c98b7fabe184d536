//! What runs inside is the enemy: whatever a lease does in its runtime, it is contained, noticed where anything of the
//! runtime was lost, and the next lease finds nothing of it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use ostler::guest::RefusalKind;
use ostler::model::Limits;
use ostler::{Exec, Lease, PoolSpec};

use crate::On;
use crate::stable::{Stable, text};

/// Far beyond what an attack here takes.
const SOON: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

async fn confined(on: On) -> Stable {
    let limits =
        Limits { memory: Some(64 * MIB), pids: Some(48), open_files: Some(256), ..Limits::default() };
    Stable::open(on, PoolSpec { min: 1, max: 1, limits, ..PoolSpec::default() }).await
}

/// What an attack prints; it may be cut off, and its runtime may be lost with it.
async fn attack(lease: &Lease, script: &str) -> String {
    let exec = Exec::shell(script).timeout(Duration::from_secs(3));
    let ended = tokio::time::timeout(SOON, lease.exec(exec)).await.expect("an attack hangs its lease");
    match ended {
        Ok(output) => text(&output.stdout),
        Err(error) => {
            assert!(error.is_retryable(), "{error:?}");
            String::new()
        }
    }
}

/// As [`attack`], where the runtime must not notice.
async fn attempt(lease: &Lease, script: &str) -> String {
    let output = lease.exec(Exec::shell(script)).await.unwrap();
    assert!(!output.timed_out, "{output:?}");
    text(&output.stdout)
}

/// The next lease has all it needs, and nothing of this one's.
async fn is_followed_by_a_clean_one(stable: &Stable, lease: Lease) {
    drop(lease);
    let next = stable.lease().await;
    for place in stable.on.places() {
        let entries = next.list(place).await.unwrap();
        assert!(entries.is_empty(), "{place:?}: {entries:?}");
    }
    // All processes of the host are seen without walls; those of a lease are looked for from outside.
    if stable.on.is_walled() {
        let seen =
            attempt(&next, "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done 2>/dev/null")
                .await;
        assert!(!seen.contains("sleep 300") && !seen.contains("tail") && !seen.contains("hop"), "{seen}");
    }
    next.write("large", vec![1; 4 << 20]).await.unwrap();
    assert_eq!(attempt(&next, "wc -c <large; echo $((6 * 7)) >answer; cat answer").await, "4194304\n42\n");
    drop(next);
}

pub(crate) async fn signals_at_the_guest(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let runtime = lease.runtime();
    let signals =
        "for s in STOP TERM INT QUIT KILL SEGV HUP USR1; do kill -$s 1 $PPID; done 2>/dev/null; true";
    attempt(&lease, signals).await;
    assert_eq!(attempt(&lease, "echo alive").await, "alive\n");
    // Everybody that may be signalled, itself too.
    attack(&lease, "sleep 300 & kill -STOP -1; kill -KILL -1").await;
    // A service is one of them, and ends its container with it.
    if !on.serves() {
        assert_eq!(attempt(&lease, "echo alive").await, "alive\n");
        assert_eq!(lease.runtime(), runtime);
    }
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn the_guests_memory_and_connection(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    assert_eq!(attempt(&lease, "echo $PPID").await == "1\n", on.is_walled(), "whose child a command is");
    // Its memory, environment, descriptors and program; ptrace begins with any of them.
    let secrets = "for f in mem environ maps fd/0 fd/3 fd/4 fd/5 fd/6 fd/7 exe cwd/. root/.; do \
                   head -c1 /proc/$PPID/$f >/dev/null 2>&1 && echo read $f; done; \
                   ls /proc/$PPID/fd/ 2>/dev/null; ls /proc/$PPID/cwd/ 2>/dev/null; true";
    assert_eq!(attempt(&lease, secrets).await, "", "the guest is open");
    let forge = "for f in /proc/$PPID/fd/* /proc/$PPID/fd/3 /proc/$PPID/fd/4 /proc/$PPID/fd/5 /proc/self/fd/[3-9]; do \
                 printf '\\377\\377\\377\\377garbage' >$f && echo written $f; done 2>/dev/null; true";
    assert_eq!(attempt(&lease, forge).await, "", "frames can be forged");
    // Without walls the host's are there to be seen, by their names.
    let sockets = if on.is_walled() { "find / -xdev -type s 2>/dev/null" } else { "" };
    let more = format!("{sockets}; ls /proc/self/fd | grep -v '^[0-3]$'; true");
    assert_eq!(
        attempt(&lease, more.trim_start_matches("; ")).await,
        "",
        "a socket, or a descriptor that was not meant for it"
    );
    assert_eq!(attempt(&lease, "echo alive").await, "alive\n");
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn descriptors_run_out(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let many = "i=0; while [ $i -lt 400 ]; do : >f$i; i=$((i+1)); done; tail -n0 -f f* >/dev/null 2>said & \
                sleep 1; cat said";
    attack(&lease, many).await;
    // Those were its own; nobody else's are fewer.
    assert_eq!(attempt(&lease, "echo on").await, "on\n");
    lease.write("file", b"content").await.unwrap();
    assert_eq!(lease.list("").await.unwrap().len(), 402);
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn memory_runs_out(on: On) {
    let stable = confined(on).await;
    for script in [
        "head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null; echo over",
        "while :; do head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null; done & while :; do :; done",
        "while :; do head -c 1000000 /dev/zero; done >/dev/shm/all 2>/dev/null",
    ] {
        let lease = stable.lease().await;
        attack(&lease, script).await;
        is_followed_by_a_clean_one(&stable, lease).await;
    }
    stable.close().await;
}

pub(crate) async fn processes_run_out(on: On) {
    let stable = confined(on).await;
    for script in [
        "f() { f | f & }; f; sleep 300",
        "i=0; while [ $i -lt 200 ]; do setsid sleep 300 & i=$((i+1)); done; wait",
        "printf '#!/bin/sh\\n./hop & ./hop &\\n' >hop; chmod +x hop; ./hop; sleep 1",
    ] {
        let lease = stable.lease().await;
        attack(&lease, script).await;
        // The guest needs no process of its own to serve files.
        drop(lease.write("file", b"content").await);
        is_followed_by_a_clean_one(&stable, lease).await;
    }
    stable.close().await;
}

/// The guest has its part of what its runtime is limited to, and is to end those who have used it up. Of ten such
/// commands seven were lost, and their runtimes with them.
pub(crate) async fn processor_time_runs_out(on: On) {
    let limits = Limits { cpus: Some(0.03), pids: Some(128), ..Limits::default() };
    let stable = Stable::open(on, PoolSpec { min: 1, max: 1, limits, ..PoolSpec::default() }).await;
    let lease = stable.lease().await;
    let crowd = "i=0; while [ $i -lt 60 ]; do (trap '' TERM; while :; do :; done) & i=$((i+1)); done; wait";
    for _ in 0..4 {
        let output = lease.exec(Exec::shell(crowd).timeout(Duration::from_millis(1500))).await;
        let output = output.expect("an outcome that is known");
        assert!(output.timed_out, "{output:?}");
    }
    drop(lease);
    drop(stable.lease().await);
    stable.close().await;
}

pub(crate) async fn room_runs_out(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let fill = "for d in . /tmp /dev/shm; do head -c 700000000 /dev/zero >$d/full; \
                i=0; while [ $i -lt 300 ]; do mkdir $d/d$i || break; i=$((i+1)); done; done 2>/dev/null";
    attack(&lease, fill).await;
    if let Err(error) = lease.write("more", vec![1; 4 << 20]).await {
        assert!(error.is_retryable(), "{error:?}");
    }
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn operations_flood_the_guest(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let sleeps: Vec<_> =
        (0..600).filter_map(|_| lease.exec_stream(Exec::new("sleep").arg("300")).ok()).collect();
    let begun = Instant::now();
    let read = tokio::time::timeout(SOON, lease.stat("")).await.expect("the guest is flooded");
    if let Err(error) = read {
        assert_eq!(error.refusal(), Some(RefusalKind::Exhausted), "{error:?}");
    }
    assert!(begun.elapsed() < SOON);
    drop(sleeps);
    attack(&lease, "cat /dev/zero & cat /dev/zero >&2").await;
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn programs_cannot_be_replaced(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let replace = "for f in /bin/sh /bin/cat /usr/bin/env /bin/busybox /proc/1/exe; do \
                   [ -e $f ] || continue; cp /bin/true $f && echo $f; rm -f $f && echo $f; ln -sf /bin/true $f && echo $f; \
                   mv $f /tmp/was && echo $f; done 2>/dev/null; true";
    assert_eq!(attempt(&lease, replace).await, "", "was replaced");
    // Before all others in any search for programs, of this lease.
    attempt(&lease, "printf '#!/bin/false\\n' >sh; cp sh cat; cp sh echo; chmod +x sh cat echo; echo 'PATH=.' >.profile; echo 'exit 9' >.shrc").await;
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

/// A directory changes into a link out of the runtime and back while files are written through it.
pub(crate) async fn links_that_change_meanwhile(on: On) {
    let outside = tempfile::Builder::new().prefix("ostler-outside-").tempdir().unwrap();
    std::fs::write(outside.path().join("victim"), "kept").unwrap();
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let out = outside.path().display();
    let swaps = format!(
        "mkdir d; while :; do mv d e; ln -s {out} d; rm d; ln -s /proc/1/root{out} d; rm d; mv e d; done"
    );
    let swapping = lease.exec_stream(Exec::shell(swaps)).unwrap();
    for round in 0..300_u32 {
        // Whatever comes of them; that nothing is there is right for most of the time.
        drop(lease.write(format!("d/file-{round}"), b"inside").await);
        drop(lease.make_dir(format!("d/directory-{round}")).await);
        drop(lease.remove("d/victim").await);
        drop(lease.remove_all("d/directory-0").await);
        assert!(lease.read("d/victim").await.is_err(), "read through a link");
    }
    drop(swapping);
    let left: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["victim"], "written or removed through a link");
    // What is copied out is a link, and not what it points to.
    attempt(&lease, "rm -rf d e; mkdir d; ln -s /etc/passwd d/soft; ln /etc/passwd d/hard 2>/dev/null; true")
        .await;
    assert!(lease.stat("d/hard").await.unwrap_err().is_not_found(), "a hard link to what is not its own");
    let mut tar = Vec::new();
    lease.copy_out_to("d", &mut tar).await.unwrap();
    assert!(!text(&tar).contains("root:"), "what a link points to was copied out");
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn nothing_can_be_mounted(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let mounts = "mkdir m; before=$(cat /proc/self/mountinfo | wc -l); \
                  for c in 'mount -t tmpfs none m' 'mount -t proc proc m' 'mount --bind / m' \
                  'mount -o remount,rw /' 'umount -l /tmp' 'umount -l /proc' 'unshare -m true' 'unshare -r true' \
                  'unshare -U true' 'chroot / true' 'mknod m/null c 1 3' 'nsenter -t 1 -m true' \
                  'pivot_root . m' 'swapoff -a' 'hostname evil' 'ip link set lo down'; do \
                  $c >/dev/null 2>&1 && echo \"$c\"; done; \
                  [ $before = $(cat /proc/self/mountinfo | wc -l) ] || echo changed; true";
    // Without a swap to turn off there is nothing to fail.
    let mut done = attempt(&lease, mounts).await.replace("swapoff -a\n", "");
    if matches!(on, On::Podman(_)) {
        // Its own filter of system calls lets anybody have a user namespace, in which nothing of ours can be reached.
        done = done.replace("unshare -r true\nunshare -U true\n", "");
    }
    assert_eq!(done, "", "was done");
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

pub(crate) async fn the_hosts_files_are_out_of_reach(on: On) {
    let secret = format!("secret-{:016x}", fastrand::u64(..));
    let outside = tempfile::Builder::new().prefix("ostler-outside-").tempdir().unwrap();
    let file = outside.path().join(&secret);
    std::fs::write(&file, &secret).unwrap();
    // Without walls files can be read as their permissions say, those of one's own user too; never changed.
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o700)).unwrap();
    let is_closed = on.is_walled() || rustix::process::geteuid().is_root();
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let path = file.display();
    let ways = format!(
        "cat {path} ../../../../../../{path} /proc/1/root{path} /proc/self/root{path} /proc/self/cwd/../..{path} \
         2>/dev/null; for p in /proc/[0-9]*; do cat $p/root{path}; done 2>/dev/null; \
         find / -name {secret} 2>/dev/null; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep '^OSTLER_TEST'; \
         dd if=/dev/sda count=1 2>/dev/null; dd if=/dev/vda count=1 2>/dev/null; dd if=/dev/mem count=1 2>/dev/null; \
         cat /proc/kcore 2>/dev/null | head -c1; true"
    );
    if is_closed {
        assert_eq!(attempt(&lease, &ways).await, "", "was read");
    }
    for way in [path.to_string(), format!("../../../../../..{path}"), format!("/proc/self/root{path}")] {
        assert!(!is_closed || lease.read(&way).await.is_err(), "{way} was read");
    }
    lease.symlink(&file, "link").await.unwrap();
    assert!(!is_closed || lease.read("link").await.is_err(), "read through a link");
    attempt(&lease, &format!("echo overwritten >{path}; rm -f {path}; mv {path} was; true")).await;
    drop(lease.write("link", b"overwritten").await);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret, "written through a link");
    is_followed_by_a_clean_one(&stable, lease).await;
    stable.close().await;
}

/// Descriptors, directories and mappings kept by processes that do all they can to outlive their lease.
pub(crate) async fn nothing_is_written_after_the_lease(on: On) {
    let stable = confined(on).await;
    let lease = stable.lease().await;
    let keep = "mkdir kept; cd kept; (trap '' TERM HUP INT; exec 3>>../late; [ -w /tmp ] && exec 4>>/tmp/late 5>>/dev/shm/late; \
                while :; do echo late >&3; echo late >&4; echo late >&5; echo late >file; done) \
                </dev/null >/dev/null 2>&1 & \
                setsid sh -c 'while :; do echo late >>../late; sleep 0.01; done' </dev/null >/dev/null 2>&1 & sleep 0.1";
    attempt(&lease, keep).await;
    assert!(!lease.read("late").await.unwrap().is_empty());
    let stdin = lease.exec_stream(Exec::new("cat").stdin_piped());
    drop(lease);
    let next = stable.lease().await;
    drop(stdin);
    for _ in 0..20 {
        for place in on.places() {
            let entries = next.list(place).await.unwrap();
            assert!(entries.is_empty(), "{place:?}: {entries:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_followed_by_a_clean_one(&stable, next).await;
    stable.close().await;
}
