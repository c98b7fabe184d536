use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ostler::{Config, Exec, Lease, Ostler, Pool};

use super::census::Census;
use super::files::File;
use super::settings::POOL;
use super::stage::Stage;

/// Longest a count may take.
const COUNTING: Duration = Duration::from_secs(10);

/// Starts the pool and takes each file through it, one after the other; answers how long that took, the start included. The end is not.
pub(super) async fn measure(
    config: &Config,
    per: Per,
    files: &[File],
    stage: &Stage,
    census: &mut Census,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let ostler = Ostler::start(config.clone()).await?;
    let pool = ostler.pool(POOL)?;
    for file in files {
        work(&pool, per, file, census).await.with_context(|| file.name.display().to_string())?;
        stage.advance();
    }
    let took = started.elapsed();
    census.add_all(&pool).await?;
    ostler.shutdown_within(Duration::ZERO).await?;
    Ok(took)
}

/// How far one lease, and so one runtime, goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    /// As with nothing to keep a runtime in: a new one each time.
    Operation,
    /// As a pool is used.
    File,
}

/// Two operations on a file: it is read back, and its lines and bytes are counted.
async fn work(pool: &Pool, per: Per, file: &File, census: &mut Census) -> anyhow::Result<()> {
    let mut lease = lease_with(pool, file, census).await?;
    let back = lease.read(&file.name).await?;
    ensure!(back == file.content, "was read back as something else");
    if per == Per::Operation {
        drop(lease);
        lease = lease_with(pool, file, census).await?;
    }
    let wc = Exec::new("wc").args(["-l", "-c", "--"]).arg(&file.name).timeout(COUNTING);
    let counted = lease.exec(wc).await?;
    ensure!(counted.success(), "wc failed: {}", String::from_utf8_lossy(&counted.stderr));
    let mut numbers =
        counted.stdout.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(number);
    let (lines, bytes) = (numbers.next().flatten(), numbers.next().flatten());
    let expected = (Some(file.newlines()), Some(file.content.len()));
    ensure!(
        (lines, bytes) == expected,
        "wc counted {lines:?} lines and {bytes:?} bytes, it has {expected:?}"
    );
    Ok(())
}

/// A lease with the file copied in.
async fn lease_with(pool: &Pool, file: &File, census: &mut Census) -> anyhow::Result<Lease> {
    let lease = pool.acquire().await?;
    census.add(lease.handle());
    lease.write(&file.name, &file.content).await?;
    Ok(lease)
}

fn number(word: &[u8]) -> Option<usize> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
