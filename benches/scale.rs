//! What ten thousand runtimes cost their keeper: `scripts/bench scale [--json]`.
//!
//! On the fake backend, so that only ostler itself is measured. Each size runs in a process of its own: memory is
//! what that process grew by while it filled, divided by the runtimes; at rest is the processor time it took
//! over one whole round of probes, thirty seconds apart.

use std::process::Command;
use std::time::{Duration, Instant};

use ostler::model::{BackendSpec, FakeSpec, HealthSpec};
use ostler::{Config, Ostler, PoolSpec};

const SIZES: [usize; 3] = [1_000, 3_000, 10_000];
const PROBES: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--one") {
        let size = arguments.get(place + 1).ok_or("--one needs a size")?.parse()?;
        println!("{}", one(size)?);
        return Ok(());
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    if !json {
        println!("{:>9} {:>10} {:>16} {:>14}", "runtimes", "fill ms", "bytes a runtime", "busy at rest");
    }
    for size in SIZES {
        let output = Command::new(std::env::current_exe()?).args(["--one", &size.to_string()]).output()?;
        let line = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(format!("{size}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        if json {
            print!("{line}");
        } else {
            let row: serde_json::Value = serde_json::from_str(&line)?;
            println!(
                "{:>9} {:>10.1} {:>16} {:>12.2} %",
                size,
                row["fill_ms"].as_f64().unwrap_or_default(),
                row["bytes_per_runtime"],
                row["busy_percent"].as_f64().unwrap_or_default()
            );
        }
    }
    Ok(())
}

fn one(size: usize) -> Outcome<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let spec = PoolSpec {
            backend: BackendSpec::Fake(FakeSpec::default()),
            min: size,
            max: size,
            launch_parallelism: 64,
            idle_timeout: None,
            health: HealthSpec { interval: PROBES, ..HealthSpec::default() },
            ..PoolSpec::default()
        };
        let before = resident()?;
        let begun = Instant::now();
        let ostler = Ostler::start(Config::builder().instance("bench").pool("scale", spec).build()?).await?;
        let pool = ostler.pool("scale")?;
        pool.ready(Duration::from_mins(2)).await?;
        let fill = begun.elapsed();
        let bytes = resident()?.saturating_sub(before) / size as u64;
        let (busy, begun) = (processor_time()?, Instant::now());
        tokio::time::sleep(PROBES).await;
        let busy = processor_time()?.saturating_sub(busy).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
        ostler.shutdown().await?;
        Ok(format!(
            "{{\"runtimes\":{size},\"fill_ms\":{:.1},\"bytes_per_runtime\":{bytes},\"busy_percent\":{busy:.3}}}",
            fill.as_secs_f64() * 1e3
        ))
    })
}

/// This process's resident memory, bytes.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Processor time this process has taken, all threads, user and system.
fn processor_time() -> Outcome<Duration> {
    let nanoseconds: u64 = std::fs::read_dir("/proc/self/task")?
        .map(|task| {
            let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
            Ok(schedstat.split(' ').next().unwrap_or_default().parse::<u64>()?)
        })
        .sum::<Outcome<u64>>()?;
    Ok(Duration::from_nanos(nanoseconds))
}
