//! Commands: how they end, what they read and write, and that nothing of them stays.

use std::time::{Duration, Instant};

use ostler::{Exec, Lease};

use crate::On;
use crate::stable::{Stable, text};

/// Far beyond anything a command here takes, far below what it would take to hang.
const SOON: Duration = Duration::from_secs(20);

/// Names of the processes in a runtime.
async fn processes(lease: &Lease) -> String {
    let list = Exec::shell("cat /proc/[0-9]*/comm 2>/dev/null; true");
    text(&lease.exec(list).await.unwrap().stdout)
}

async fn until_no_sleep(lease: &Lease) {
    let deadline = Instant::now() + SOON;
    while processes(lease).await.contains("sleep") {
        assert!(Instant::now() < deadline, "a command goes on: {}", processes(lease).await);
    }
}

pub(crate) async fn a_status(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    for status in [0, 1, 7, 255] {
        let output = lease.exec(stable.exit(status)).await.unwrap();
        assert_eq!((output.code, output.signal, output.timed_out), (Some(status), None, false));
        assert_eq!(output.success(), status == 0);
    }
    let echoed = lease.exec(Exec::new("echo").args(["a", "b c"])).await.unwrap();
    assert_eq!(text(&echoed.stdout), "a b c\n");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn what_is_not_there(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let error = lease.exec(Exec::new("no-such-program")).await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert!(lease.exec(Exec::new("true")).await.unwrap().success(), "the lease goes on");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn bytes_for_stdin(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    for size in [0, 1, 100_000] {
        let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let output = lease.exec(Exec::new("cat").stdin(bytes.clone())).await.unwrap();
        assert_eq!(output.stdout, bytes);
    }
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_timeout(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let begun = Instant::now();
    let output = lease.exec(Exec::new("sleep").arg("300").timeout(Duration::from_millis(200))).await.unwrap();
    assert!(output.timed_out && !output.success(), "{output:?}");
    assert!(begun.elapsed() < SOON);
    assert!(lease.exec(Exec::new("true")).await.unwrap().success(), "the lease goes on");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_signal(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    for signal in [9, 15] {
        let output = lease.exec(Exec::shell(format!("kill -{signal} $$"))).await.unwrap();
        assert_eq!((output.code, output.signal), (None, Some(signal)));
    }
    drop(lease);
    stable.close().await;
}

pub(crate) async fn both_streams(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let output = lease.exec(Exec::shell("echo out; echo err >&2")).await.unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n".to_owned(), "err\n".to_owned()));
    drop(lease);
    stable.close().await;
}

pub(crate) async fn environment_and_directory(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    lease.make_dir("below").await.unwrap();
    let workspace = text(&lease.exec(Exec::shell("pwd")).await.unwrap().stdout);
    let exec = Exec::shell("echo \"$WORD\"; pwd").env("WORD", "a  b\nc").cwd("below");
    let output = text(&lease.exec(exec).await.unwrap().stdout);
    assert_eq!(output, format!("a  b\nc\n{}/below\n", workspace.trim_end()));
    drop(lease);
    stable.close().await;
}

/// Nobody in particular lives nowhere in particular: the workspace is home, where it can write.
pub(crate) async fn a_home_of_its_own(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let output = lease.exec(Exec::shell("echo $HOME; pwd; echo x > ~/dotfile")).await.unwrap();
    let said = text(&output.stdout);
    let (home, workspace) = said.split_once('\n').unwrap();
    assert_eq!((home, output.code), (workspace.trim_end(), Some(0)), "{output:?}");
    assert_eq!(lease.read("dotfile").await.unwrap(), b"x\n");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn output_before_a_timeout(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let exec =
        Exec::shell("echo before; echo too >&2; sleep 300; echo after").timeout(Duration::from_millis(500));
    let output = lease.exec(exec).await.unwrap();
    assert!(output.timed_out);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("before\n".to_owned(), "too\n".to_owned()));
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_timeout_ends_the_whole_tree(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let tree = "sleep 301 & (sleep 302 & ) ; setsid sleep 303 & (trap '' TERM HUP INT; sleep 304) & sleep 305 & kill -STOP $!; wait";
    let output = lease.exec(Exec::shell(tree).timeout(Duration::from_millis(500))).await.unwrap();
    assert!(output.timed_out);
    let processes = processes(&lease).await;
    assert!(!processes.contains("sleep"), "{processes}");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn held_open_output_does_not_hang(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let begun = Instant::now();
    let output =
        lease.exec(Exec::shell("sleep 300 & echo done").timeout(Duration::from_secs(2))).await.unwrap();
    assert_eq!(text(&output.stdout), "done\n");
    assert!(begun.elapsed() < SOON);
    drop(lease);
    stable.close().await;
}

pub(crate) async fn much_output(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let size = 8 << 20;
    let exec = Exec::shell(format!("head -c {size} /dev/zero | tr '\\0' x")).output_limit(size);
    let output = lease.exec(exec).await.unwrap();
    assert!(!output.stdout_truncated && output.success(), "{:?}", output.code);
    assert_eq!((output.stdout.len() as u64, output.stdout_bytes), (size, size));
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_flood_is_cut_off(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let (flood, kept) = (64 << 20, 64 << 10);
    let exec = Exec::shell(format!("head -c {flood} /dev/zero; echo end >&2")).output_limit(kept);
    let output = lease.exec(exec).await.unwrap();
    assert!(output.success() && output.stdout_truncated && !output.stderr_truncated, "{:?}", output.code);
    assert_eq!((output.stdout.len() as u64, output.stdout_bytes), (kept, flood));
    assert_eq!(text(&output.stderr), "end\n");
    drop(lease);
    stable.close().await;
}

pub(crate) async fn several_at_once(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let one = |word: &str| lease.exec(Exec::shell(format!("sleep 0.1; echo {word}")));
    let (a, b, c, d) = tokio::join!(one("a"), one("b"), one("c"), one("d"));
    let words = [a, b, c, d].map(|output| text(&output.unwrap().stdout));
    assert_eq!(words, ["a\n", "b\n", "c\n", "d\n"]);
    drop(lease);
    stable.close().await;
}

pub(crate) async fn a_dropped_command_ends(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let command = lease.exec(Exec::shell("setsid sleep 300 & echo > begun; sleep 300"));
    let begun = async {
        while lease.stat("begun").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        output = command => panic!("ended: {output:?}"),
        () = begun => {}
    }
    until_no_sleep(&lease).await;
    drop(lease);
    stable.close().await;
}

/// P17 as far as a shell can see: not root, without capabilities, and nothing to gain.
pub(crate) async fn nobody_in_particular(on: On) {
    let stable = Stable::single(on).await;
    let lease = stable.lease().await;
    let status = lease.exec(Exec::shell("cat /proc/self/status")).await.unwrap();
    let status = text(&status.stdout);
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    for capabilities in ["CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(capabilities), ["0000000000000000"], "{capabilities} in\n{status}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"], "{status}");
    assert_ne!(field("Seccomp:"), ["0"], "{status}");
    let links = lease.exec(Exec::shell("cat /proc/net/dev | grep -v lo: | grep -c :")).await.unwrap();
    assert_eq!(text(&links.stdout), "0\n", "there is a network");
    drop(lease);
    stable.close().await;
}
