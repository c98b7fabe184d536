use std::fmt::{self, Write as _};

use super::family::{escaped, family};
use super::histogram::Summary;
use super::status::Status;
use super::usage::write_usage;

/// The figures of several pools in Prometheus' text format, version 0.0.4.
#[must_use]
pub fn render(pools: &[Status]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _: fmt::Result = write_all(&mut text, pools);
    text
}

fn write_all(out: &mut String, pools: &[Status]) -> fmt::Result {
    family(out, "ostler_runtimes", "gauge", "Runtimes by state.")?;
    for pool in pools {
        for (state, count) in &pool.states {
            writeln!(out, "ostler_runtimes{{pool=\"{}\",state=\"{state}\"}} {count}", pool.pool)?;
        }
    }
    gauge(out, pools, "ostler_ready", "Runtimes leasable now.", |pool| pool.ready as u64)?;
    gauge(out, pools, "ostler_waiters", "Acquires that wait.", |pool| pool.waiters as u64)?;
    gauge(out, pools, "ostler_degraded", "1 while launches fail, or what ended is not replaced.", |pool| {
        u64::from(pool.degraded)
    })?;
    family(
        out,
        "ostler_trouble",
        "gauge",
        "1 with why it is degraded, else with the last failure until a launch has come through again.",
    )?;
    for pool in pools {
        if let Some(trouble) = &pool.trouble {
            writeln!(out, "ostler_trouble{{pool=\"{}\",cause=\"{}\"}} 1", pool.pool, escaped(trouble))?;
        }
    }
    family(out, "ostler_leases_total", "counter", "Acquires by outcome.")?;
    for pool in pools {
        let outcomes = [
            ("leased", pool.leases),
            ("timeout", pool.timeouts),
            ("overloaded", pool.overloaded),
            ("exhausted", pool.exhausted),
        ];
        for (outcome, count) in outcomes {
            writeln!(out, "ostler_leases_total{{pool=\"{}\",outcome=\"{outcome}\"}} {count}", pool.pool)?;
        }
    }
    family(out, "ostler_acquire_cold_total", "counter", "Leases that had to wait, by what for.")?;
    for pool in pools {
        let release = pool.cold.saturating_sub(pool.cold_launch);
        for (why, count) in [("launch", pool.cold_launch), ("release", release)] {
            writeln!(out, "ostler_acquire_cold_total{{pool=\"{}\",why=\"{why}\"}} {count}", pool.pool)?;
        }
    }
    family(out, "ostler_leases_leaked_total", "counter", "Leases held for longer than leak_after.")?;
    for pool in pools {
        writeln!(out, "ostler_leases_leaked_total{{pool=\"{}\"}} {}", pool.pool, pool.leaked)?;
    }
    family(out, "ostler_retired_total", "counter", "Runtimes retired by reason.")?;
    for pool in pools {
        for (reason, count) in &pool.retired {
            writeln!(out, "ostler_retired_total{{pool=\"{}\",reason=\"{reason}\"}} {count}", pool.pool)?;
        }
    }
    seconds(out, pools, "ostler_acquire_seconds", "Waits of acquires that had to wait.", |pool| &pool.wait)?;
    seconds(out, pools, "ostler_launch_seconds", "From launch to leasable.", |pool| &pool.launch)?;
    seconds(out, pools, "ostler_reset_seconds", "From release to leasable.", |pool| &pool.reset)?;
    seconds(out, pools, "ostler_exec_seconds", "Commands, from call to result.", |pool| &pool.exec)?;
    write_usage(out, pools)
}

fn gauge(
    out: &mut String,
    pools: &[Status],
    name: &str,
    help: &str,
    figure: impl Fn(&Status) -> u64,
) -> fmt::Result {
    family(out, name, "gauge", help)?;
    for pool in pools {
        writeln!(out, "{name}{{pool=\"{}\"}} {}", pool.pool, figure(pool))?;
    }
    Ok(())
}

fn seconds(
    out: &mut String,
    pools: &[Status],
    name: &str,
    help: &str,
    summary: impl Fn(&Status) -> &Summary,
) -> fmt::Result {
    family(out, name, "histogram", help)?;
    for pool in pools {
        let summary = summary(pool);
        let mut below = 0;
        let bounded = summary.buckets.len().saturating_sub(1);
        for (i, count) in summary.buckets.iter().take(bounded).enumerate() {
            below += count;
            let bound = std::time::Duration::from_micros(1 << i).as_secs_f64();
            writeln!(out, "{name}_bucket{{pool=\"{}\",le=\"{bound}\"}} {below}", pool.pool)?;
        }
        writeln!(out, "{name}_bucket{{pool=\"{}\",le=\"+Inf\"}} {}", pool.pool, summary.count)?;
        let total = std::time::Duration::from_micros(summary.total_us).as_secs_f64();
        writeln!(out, "{name}_sum{{pool=\"{}\"}} {total}", pool.pool)?;
        writeln!(out, "{name}_count{{pool=\"{}\"}} {}", pool.pool, summary.count)?;
    }
    Ok(())
}
