//! What an engine's answer says that a container uses.

use std::time::{Duration, SystemTime};

use bollard::models::{ContainerBlkioStatEntry, ContainerMemoryStats, ContainerStatsResponse};

use crate::model::Usage;

/// When the engine looked, by its own clock, where it says so in UTC.
pub(super) fn looked(stats: &ContainerStatsResponse) -> Option<SystemTime> {
    humantime::parse_rfc3339(stats.read.as_deref()?).ok()
}

/// `None` of a container that does not run: Docker answers all the same, with next to nothing.
pub(super) fn read(stats: &ContainerStatsResponse) -> Option<Usage> {
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

/// Without cached files that nobody has used lately, as `docker stats` has it, where the engine tells how many they are.
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
    fn the_time_is_the_engines_where_it_is_in_utc() {
        let at = |text: &str| {
            looked(&serde_json::from_str(&format!(r#"{{"read":"{text}"}}"#)).expect("an answer"))
        };
        let took = at("2026-11-22T19:42:08.553804936Z")
            .expect("a time")
            .duration_since(at("2026-11-22T19:42:07.5538Z").expect("a time"));
        assert_eq!(took.expect("later"), Duration::from_nanos(1_000_004_936));
        assert_eq!(at("2026-11-22T21:42:08.5+02:00"), None);
        // Docker's, of one that has ended.
        assert_eq!(at("0001-01-01T00:00:00Z"), None);
    }

    #[test]
    fn one_that_has_ended_has_no_figures() {
        let ended = r#"{"cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#;
        assert_eq!(parsed(ended), None);
        assert_eq!(parsed("{}"), None);
    }
}
