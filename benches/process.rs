//! What a sandboxed process costs: `scripts/bench process [--json]`.
//!
//! Everything is measured in one run, what is compared in turns, and medians stand. `exec_ratio` holds an exec of
//! `/bin/true` in a lease against a bare spawn-and-wait of it; `files` holds fifty files, each read and counted in
//! a lease from a pool, whose start is counted, against a fresh runtime for each of the two operations; `files_bound` is
//! what that ratio would be if a pool cost nothing after its start but the fifty bare `wc` themselves.

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ostler::model::{BackendSpec, ProcessSpec};
use ostler::{Config, Exec, Ostler, Pool, PoolSpec};

use support::{Outcome, Per, median, ms, resets, work};

const ROUNDS: usize = 9;
const FILES: usize = 50;

fn main() -> Outcome<()> {
    let json = std::env::args().any(|arg| arg == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // On a worker, as a server's requests are: the main thread would add a hop of its own.
    let figures = runtime.block_on(async { tokio::spawn(measure()).await })??;
    if json {
        println!("{}", figures.json());
    } else {
        println!("{}", figures.table());
    }
    Ok(())
}

struct Figures {
    cold_start: Duration,
    unshare: Option<Duration>,
    exec: Duration,
    spawn: Duration,
    read: Duration,
    reset: Duration,
    files: Files,
}

/// Medians.
struct Files {
    /// From nothing to the first lease of a pool.
    start: Duration,
    pool: Duration,
    fresh: Duration,
    /// A bare spawn-and-wait of the `wc` that is run for each file.
    wc: Duration,
}

async fn measure() -> Outcome<Figures> {
    let cold_start = cold_start().await?;
    let unshare = unshare();
    let (ostler, pool) = start(PoolSpec { min: 2, max: 2, ..spec() }).await?;
    pool.ready(Duration::from_secs(30)).await?;
    let (exec, spawn) = exec(&pool).await?;
    let read = read(&pool).await?;
    ostler.shutdown().await?;
    let reset = reset().await?;
    let files = files().await?;
    Ok(Figures { cold_start, unshare, exec, spawn, read, reset, files })
}

fn spec() -> PoolSpec {
    PoolSpec {
        backend: BackendSpec::Process(ProcessSpec::default()),
        idle_timeout: None,
        ..PoolSpec::default()
    }
}

async fn start(spec: PoolSpec) -> Outcome<(Ostler, Pool)> {
    let config = Config::builder().instance("bench").pool("bench", spec).build()?;
    let ostler = Ostler::start(config).await?;
    let pool = ostler.pool("bench")?;
    Ok((ostler, pool))
}

/// From an acquire that finds nothing to a lease.
async fn cold_start() -> Outcome<Duration> {
    let (ostler, pool) = start(PoolSpec { min: 0, max: 4, max_uses: Some(1), ..spec() }).await?;
    let mut times = Vec::new();
    for _ in 0..41 {
        let begun = Instant::now();
        let lease = pool.acquire().await?;
        times.push(begun.elapsed());
        drop(lease);
        while pool.snapshot().await?.runtimes.iter().any(|_| true) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    ostler.shutdown().await?;
    Ok(median(times))
}

/// What the namespaces alone take; `None` where there is no `unshare`, or it may not.
fn unshare() -> Option<Duration> {
    let once = || {
        let begun = Instant::now();
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--pid", "--mount", "--ipc", "--uts", "--net", "--fork", "true"]);
        unshare.stderr(Stdio::null()).status().ok().filter(std::process::ExitStatus::success)?;
        Some(begun.elapsed())
    };
    (0..21).map(|_| once()).collect::<Option<Vec<_>>>().map(median)
}

async fn exec(pool: &Pool) -> Outcome<(Duration, Duration)> {
    let lease = pool.acquire().await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut leased, mut spawned) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            let begun = Instant::now();
            let output = lease.exec(Exec::new("/bin/true")).await?;
            leased.push(begun.elapsed());
            assert!(output.success(), "{output:?}");
            let begun = Instant::now();
            let status = Command::new("/bin/true").status()?;
            spawned.push(begun.elapsed());
            assert!(status.success());
        }
        ours.push(median(leased));
        bare.push(median(spawned));
    }
    Ok((median(ours), median(bare)))
}

async fn read(pool: &Pool) -> Outcome<Duration> {
    let lease = pool.acquire().await?;
    let content = vec![b'x'; 1024];
    lease.write("kib", &content).await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS * 500 {
        let begun = Instant::now();
        let read = lease.read("kib").await?;
        times.push(begun.elapsed());
        assert!(read == content);
    }
    Ok(median(times))
}

/// From the release of a runtime that was used to its next lease.
async fn reset() -> Outcome<Duration> {
    let (ostler, pool) = start(PoolSpec { min: 1, max: 1, ..spec() }).await?;
    let times = resets(&pool, ROUNDS * 11).await?;
    ostler.shutdown().await?;
    Ok(median(times))
}

async fn files() -> Outcome<Files> {
    let [mut started, mut pooled, mut fresh, mut wc] = [const { Vec::new() }; 4];
    for _ in 0..5 {
        let begun = Instant::now();
        let (ostler, pool) = start(PoolSpec { min: 4, max: 4, ..spec() }).await?;
        drop(pool.acquire().await?);
        started.push(begun.elapsed());
        work(&pool, FILES, Per::File, "wc").await?;
        pooled.push(begun.elapsed());
        ostler.shutdown().await?;
        let (ostler, pool) = start(PoolSpec { min: 0, max: 1, max_uses: Some(1), ..spec() }).await?;
        let begun = Instant::now();
        work(&pool, FILES, Per::Operation, "wc").await?;
        fresh.push(begun.elapsed());
        ostler.shutdown().await?;
        wc.push(bare_wc()?);
    }
    Ok(Files { start: median(started), pool: median(pooled), fresh: median(fresh), wc: median(wc) })
}

/// In the environment that a lease gives.
fn bare_wc() -> Outcome<Duration> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("file"), "1\n".repeat(100))?;
    let mut times = Vec::new();
    for _ in 0..FILES {
        let begun = Instant::now();
        let mut wc = Command::new("wc");
        wc.args(["-l", "file"]).current_dir(&directory).env("LANG", "C.UTF-8");
        assert!(wc.output()?.stdout.starts_with(b"100 "));
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

impl Files {
    fn bound(&self) -> Duration {
        self.start + self.wc * u32::try_from(FILES).expect("few")
    }
}

impl Figures {
    fn json(&self) -> String {
        let unshare = self.unshare.map_or("null".to_owned(), |time| format!("{:.3}", ms(time)));
        format!(
            "{{\"cold_start_ms\":{:.3},\"unshare_ms\":{unshare},\"exec_ratio\":{:.3},\"exec_us\":{:.1},\"spawn_us\":{:.1},\
             \"read_us\":{:.1},\"reset_ms\":{:.3},\"files\":{FILES},\"pool_ms\":{:.1},\"fresh_ms\":{:.1},\"files_ratio\":{:.2},\
             \"start_ms\":{:.1},\"wc_us\":{:.1},\"files_bound\":{:.2}}}",
            ms(self.cold_start),
            ratio(self.exec, self.spawn),
            ms(self.exec) * 1e3,
            ms(self.spawn) * 1e3,
            ms(self.read) * 1e3,
            ms(self.reset),
            ms(self.files.pool),
            ms(self.files.fresh),
            ratio(self.files.fresh, self.files.pool),
            ms(self.files.start),
            ms(self.files.wc) * 1e3,
            ratio(self.files.fresh, self.files.bound()),
        )
    }

    fn table(&self) -> String {
        let unshare = self.unshare.map_or("not to be had".to_owned(), |time| format!("{:.2} ms", ms(time)));
        format!(
            "cold start           {:>8.2} ms   (bare unshare {unshare})\n\
             exec /bin/true       {:>8.1} us   {:.2} x a bare spawn-and-wait, {:.1} us\n\
             read 1 KiB           {:>8.1} us\n\
             release to leasable  {:>8.2} ms\n\
             {FILES} files           {:>8.1} ms   from the pool, its start included; fresh per operation {:.1} ms, {:.1} x\n\
             \u{20}                                at best {:.1} x: {:.1} ms to the first lease, and {FILES} bare wc of {:.2} ms each",
            ms(self.cold_start),
            ms(self.exec) * 1e3,
            ratio(self.exec, self.spawn),
            ms(self.spawn) * 1e3,
            ms(self.read) * 1e3,
            ms(self.reset),
            ms(self.files.pool),
            ms(self.files.fresh),
            ratio(self.files.fresh, self.files.pool),
            ratio(self.files.fresh, self.files.bound()),
            ms(self.files.start),
            ms(self.files.wc),
        )
    }
}
