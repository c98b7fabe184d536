//! What runtimes use, and how they do, in Prometheus' text format.

use std::fmt::{self, Write as _};

use super::chart::Vitals;
use super::family::{escaped, family};
use super::status::Status;
use crate::model::{Health, Usage};

/// A family of figures of runtimes.
type Family = (&'static str, &'static str, &'static str, fn(&Usage) -> f64);

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floating point only")]
const FAMILIES: [Family; 6] = [
    ("ostler_runtime_cpu_seconds_total", "counter", "Processor time.", |usage| usage.cpu.as_secs_f64()),
    ("ostler_runtime_memory_bytes", "gauge", "Memory in use.", |usage| usage.memory as f64),
    ("ostler_runtime_network_received_bytes_total", "counter", "Received over all networks.", |usage| {
        usage.network_received as f64
    }),
    ("ostler_runtime_network_sent_bytes_total", "counter", "Sent over all networks.", |usage| {
        usage.network_sent as f64
    }),
    ("ostler_runtime_disk_read_bytes_total", "counter", "Read from disks.", |usage| usage.disk_read as f64),
    ("ostler_runtime_disk_written_bytes_total", "counter", "Written to disks.", |usage| {
        usage.disk_written as f64
    }),
];

pub(super) fn write_usage(out: &mut String, pools: &[Status]) -> fmt::Result {
    // By pool: a line for each runtime would be a new series with every launch.
    family(
        out,
        "ostler_runtimes_by_health",
        "gauge",
        "Runtimes that have been leasable, by their last probe.",
    )?;
    for pool in pools {
        for health in Health::ALL {
            let count = pool.runtimes.iter().filter(|runtime| runtime.health == health).count();
            writeln!(out, "ostler_runtimes_by_health{{pool=\"{}\",health=\"{health}\"}} {count}", pool.pool)?;
        }
    }
    family(
        out,
        "ostler_runtime_info",
        "gauge",
        "1, with what a runtime is called and how its guest is spoken to.",
    )?;
    for (pool, runtime) in all(pools) {
        if let Some(transport) = runtime.transport {
            let (id, handle, transport) = (runtime.id, escaped(&runtime.handle), escaped(transport));
            writeln!(
                out,
                "ostler_runtime_info{{pool=\"{}\",runtime=\"{id}\",handle=\"{handle}\",transport=\"{transport}\"}} 1",
                pool.pool
            )?;
        }
    }
    for (name, kind, help, figure) in FAMILIES {
        family(out, name, kind, help)?;
        for (pool, runtime) in all(pools) {
            if let Some(usage) = &runtime.usage {
                writeln!(
                    out,
                    "{name}{{pool=\"{}\",runtime=\"{}\"}} {}",
                    pool.pool,
                    runtime.id,
                    figure(usage)
                )?;
            }
        }
    }
    Ok(())
}

fn all(pools: &[Status]) -> impl Iterator<Item = (&Status, &Vitals)> {
    pools.iter().flat_map(|pool| pool.runtimes.iter().map(move |runtime| (pool, runtime)))
}
