//! What a container uses, as its engine counts it.
//!
//! Each container is asked for on its own, once an interval: a stream would have the engine count every second for
//! whoever looks every ten, and one container whose figures are slow must not hold up the others'.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerBlkioStatEntry, ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::TryStreamExt;
use slog::{Logger, debug, warn};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::client::{Engine, EngineError, QUICK};
use crate::backend::with_causes;
use crate::model::{Meter, Usage};

/// A container's first figures are there after this long at most, so that a new one does not go unseen.
const FIRST: Duration = Duration::from_secs(1);

/// Samples one container, for as long as this lives.
#[derive(Debug)]
pub(super) struct Sampling {
    latest: watch::Receiver<Option<Usage>>,
    /// One, which ends when this is dropped.
    task: JoinSet<()>,
}

impl Sampling {
    /// There must be a current tokio runtime.
    pub(super) fn begin(engine: Arc<Engine>, id: String, interval: Duration, log: Logger) -> Self {
        let (samples, latest) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(async move {
            // A pool's containers come together, and are not all to be asked for at the same moment.
            let first = Instant::now() + interval.min(FIRST).mul_f64(fastrand::f64());
            let mut ticks = interval_at(first, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failing = false;
            let mut before = None;
            loop {
                ticks.tick().await;
                match fetch(&engine, &id).await {
                    Ok(Some(found)) => {
                        let now = Instant::now();
                        samples.send_replace(Some(since(found, now, before)));
                        before = Some((found.cpu, now));
                        failing = false;
                    }
                    // It has ended, or is not quite there.
                    Ok(None) | Err(EngineError::Conflict(_)) => {}
                    Err(EngineError::Missing(_)) => return,
                    // Once, and an engine that is away is spoken of elsewhere.
                    Err(error) if failing || error.is_absence() => debug!(log, "no figures"; "cause" => with_causes(&error)),
                    Err(error) => {
                        failing = true;
                        warn!(log, "what containers use can't be told"; "container" => &id, "cause" => with_causes(&error));
                    }
                }
            }
        });
        Self { latest, task }
    }

    /// Reads the last sample.
    pub(super) fn meter(&self) -> Meter {
        let latest = self.latest.clone();
        Arc::new(move || *latest.borrow())
    }

    /// No more of them.
    pub(super) fn end(&mut self) {
        self.task.abort_all();
    }
}

/// With the share of processors since the sample before, which had used so much by then.
fn since(found: Usage, now: Instant, before: Option<(Duration, Instant)>) -> Usage {
    let cpus = before.and_then(|(cpu, then)| {
        let (used, took) = (found.cpu.checked_sub(cpu)?, now.duration_since(then));
        (!took.is_zero()).then(|| used.as_secs_f64() / took.as_secs_f64())
    });
    Usage { cpus, ..found }
}

/// The figures of now. Docker takes up to a second for them.
async fn fetch(engine: &Engine, id: &str) -> Result<Option<Usage>, EngineError> {
    let client = engine.client().await?;
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let mut answers = std::pin::pin!(client.stats(id, Some(options)));
    Ok(engine.within(QUICK, answers.try_next()).await?.as_ref().and_then(read))
}

/// `None` of a container that does not run: Docker answers all the same, with next to nothing.
fn read(stats: &ContainerStatsResponse) -> Option<Usage> {
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage.filter(|used| *used > 0)?;
    let memory = used(stats.memory_stats.as_ref()?)?;
    let disks = stats.blkio_stats.as_ref().and_then(|disks| disks.io_service_bytes_recursive.as_deref());
    let disks = disks.unwrap_or_default();
    let networks = stats.networks.iter().flatten().map(|(_, network)| network);
    Some(Usage {
        cpu: Duration::from_nanos(cpu),
        cpus: None,
        memory,
        network_received: networks.clone().filter_map(|network| network.rx_bytes).sum(),
        network_sent: networks.filter_map(|network| network.tx_bytes).sum(),
        disk_read: moved(disks, "read"),
        disk_written: moved(disks, "write"),
    })
}

/// Without cached files that nobody has used lately, as `docker stats` has it. Podman does not tell how many they are.
fn used(memory: &ContainerMemoryStats) -> Option<u64> {
    let inactive = memory.stats.as_ref().and_then(|stats| {
        // Version 1 of cgroups, then version 2.
        stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")).copied()
    });
    Some(memory.usage?.saturating_sub(inactive.unwrap_or_default()))
}

/// The operation has a capital in version 1 of cgroups.
fn moved(disks: &[ContainerBlkioStatEntry], operation: &str) -> u64 {
    let of_it = |entry: &&ContainerBlkioStatEntry| {
        entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(operation))
    };
    disks.iter().filter(of_it).filter_map(|entry| entry.value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Usage> {
        read(&serde_json::from_str(text).expect("an answer"))
    }

    #[test]
    fn docker_on_both_versions_of_cgroups() {
        let first = r#"{"cpu_stats":{"cpu_usage":{"total_usage":2000000000}},
            "memory_stats":{"usage":5000,"stats":{"total_inactive_file":1000,"inactive_file":1}},
            "networks":{"eth0":{"rx_bytes":3,"tx_bytes":4},"eth1":{"rx_bytes":30,"tx_bytes":40}},
            "blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"Read","value":5},
            {"major":8,"minor":0,"op":"Write","value":6},{"major":8,"minor":0,"op":"Total","value":11}]}}"#;
        let usage = parsed(first).expect("some");
        assert_eq!((usage.cpu, usage.memory), (Duration::from_secs(2), 4000));
        assert_eq!((usage.network_received, usage.network_sent), (33, 44));
        assert_eq!((usage.disk_read, usage.disk_written), (5, 6));
        let second = r#"{"cpu_stats":{"cpu_usage":{"total_usage":1}},
            "memory_stats":{"usage":5000,"stats":{"inactive_file":2000}},
            "blkio_stats":{"io_service_bytes_recursive":[{"op":"read","value":7},{"op":"write","value":8}]}}"#;
        let usage = parsed(second).expect("some");
        assert_eq!((usage.memory, usage.disk_read, usage.disk_written), (3000, 7, 8));
    }

    #[test]
    fn podman_leaves_much_out() {
        let usage = parsed(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":37418751}},"memory_stats":{"usage":417792,"limit":25276510208},
            "blkio_stats":{"io_service_bytes_recursive":null},"networks":{"network":{"rx_bytes":0,"tx_bytes":0}}}"#,
        )
        .expect("some");
        assert_eq!((usage.memory, usage.disk_read), (417_792, 0));
    }

    #[test]
    fn one_that_has_ended_has_no_figures() {
        let ended = r#"{"cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#;
        assert_eq!(parsed(ended), None);
        assert_eq!(parsed("{}"), None);
    }

    #[test]
    fn the_share_is_what_was_used_between_two_looks() {
        let then = Instant::now();
        let now = then + Duration::from_secs(4);
        let found = Usage { cpu: Duration::from_secs(7), ..Usage::default() };
        assert_eq!(since(found, now, None).cpus, None);
        assert_eq!(since(found, now, Some((Duration::from_secs(1), then))).cpus, Some(1.5));
        assert_eq!(since(found, now, Some((Duration::from_secs(8), then))).cpus, None);
    }
}
