//! What the benchmarks of runtimes share: how they time, and the work that they have done.

use std::time::{Duration, Instant};

use ostler::{Exec, Pool};

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How far one lease, and so one runtime, goes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Per {
    /// As with nothing to keep a runtime in: a new one each time.
    Operation,
    /// As a pool is used.
    File,
}

/// The pooling guide's work: each of so many files is read, and counted with `wc`.
pub(crate) async fn work(pool: &Pool, files: usize, per: Per, wc: &str) -> Outcome<()> {
    for i in 0..files {
        let content = format!("{i}\n").repeat(100);
        let mut lease = pool.acquire().await?;
        lease.write("file", &content).await?;
        assert!(lease.read("file").await? == content.as_bytes());
        if per == Per::Operation {
            drop(lease);
            lease = pool.acquire().await?;
            lease.write("file", &content).await?;
        }
        let output = lease.exec(Exec::new(wc).arg("-l").arg("file")).await?;
        assert!(output.stdout.starts_with(b"100 "), "{output:?}");
    }
    Ok(())
}

/// From the release of a pool's only runtime, which was used, to its next lease; so many times.
pub(crate) async fn resets(pool: &Pool, times: usize) -> Outcome<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..times {
        let lease = pool.acquire().await?;
        lease.write("left/behind", b"something").await?;
        lease.exec(Exec::shell("sleep 100 & echo > /tmp/too")).await?;
        let begun = Instant::now();
        drop(lease);
        drop(pool.acquire().await?);
        took.push(begun.elapsed());
    }
    Ok(took)
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
