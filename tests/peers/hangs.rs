//! Commands that never come back: E2B #1128, SWE-ReX #29, `inspect_ai` #2779.

use std::time::Instant;

use ostler::{Exec, Lease, PoolSpec};

use super::{ms, sandboxes, secs};

async fn with_lease(instance: &str, body: impl AsyncFnOnce(&Lease)) {
    let (ostler, pool, _state) =
        sandboxes(instance, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
    let lease = pool.acquire().await.unwrap();
    body(&lease).await;
    drop(lease);
    ostler.shutdown().await.unwrap();
}

/// A process in the background holds stdout open, and the command never ends.
#[tokio::test]
async fn e2b_a_stdout_held_open_in_the_background_holds_up_nothing() {
    with_lease("e2b", async |lease| {
        let begun = Instant::now();
        for command in [
            "sleep 300 & echo done",
            "setsid sh -c 'sleep 300' & echo done",
            "(sleep 300; echo late) & echo done",
        ] {
            let output = lease.exec(Exec::shell(command).timeout(secs(60))).await.unwrap();
            assert!(output.success() && output.stdout == b"done\n", "{command}: {output:?}");
        }
        assert!(begun.elapsed() < secs(30), "{:?}", begun.elapsed());
    })
    .await;
}

/// What a command had said when its time was over is lost.
#[tokio::test]
async fn swe_rex_what_was_said_before_the_timeout_is_kept() {
    with_lease("swe-rex", async |lease| {
        let command = "echo out; echo err >&2; setsid sleep 300; echo never";
        let output = lease.exec(Exec::shell(command).timeout(ms(300))).await.unwrap();
        assert!(output.timed_out);
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    })
    .await;
}

/// The process goes on after its timeout.
#[tokio::test]
async fn inspect_ai_no_process_outlives_its_timeout() {
    with_lease("inspect-ai", async |lease| {
        let command =
            "trap '' TERM; (setsid sh -c 'while :; do date >> ~/alive; sleep 0.02; done' &); sleep 300";
        let output = lease.exec(Exec::shell(command).timeout(ms(400))).await.unwrap();
        assert!(output.timed_out);
        let size = async || lease.stat("alive").await.unwrap().len;
        let then = size().await;
        assert!(then > 0, "it never ran");
        tokio::time::sleep(ms(300)).await;
        assert_eq!(size().await, then, "it still writes");
    })
    .await;
}
