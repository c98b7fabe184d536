//! How fast a command's output comes, and what memory that takes on either side.

use std::fs;
use std::time::Instant;

use ostler::{Chunk, Exec, Lease};

use crate::support::Outcome;

/// Bytes of a flood.
const FLOOD: u64 = 64 << 20;
/// Floods, of which the median stands.
const TIMES: usize = 5;

/// What came of it.
pub(crate) struct Flood {
    /// Bytes a second, in millions.
    pub(crate) rate: f64,
    /// By how much this process grew at most, MiB.
    pub(crate) host_growth: f64,
    /// The most memory the guest has ever had, MiB; 0 where it can't be seen.
    pub(crate) guest_peak: f64,
}

/// Has a command write to its standard output, and reads all of it. The command is one that costs next to nothing
/// itself: busybox's `head` takes longer to make the bytes than they take to come here.
pub(crate) async fn flood(lease: &Lease, guest: i64) -> Outcome<Flood> {
    let mut rates = Vec::new();
    let (mut before, mut most) = (None, 0.0_f64);
    for _ in 0..=TIMES {
        let count = format!("count={}", FLOOD >> 16);
        let command = Exec::new("dd").args(["if=/dev/zero", "bs=65536", &count]);
        let begun = Instant::now();
        let (mut told, mut looked) = (0, 0);
        let mut stream = lease.exec_stream(command)?;
        while let Some(chunk) = stream.next().await {
            if let Chunk::Stdout(bytes) = chunk? {
                told += bytes.len() as u64;
            }
            if told >= looked + (FLOOD >> 4) {
                looked = told;
                most = most.max(memory("self", "VmRSS:")?);
            }
        }
        if told != FLOOD {
            return Err(format!("{told} bytes came").into());
        }
        rates.push(told as f64 / begun.elapsed().as_secs_f64() / 1e6);
        // The first touches what all of them use.
        before.get_or_insert(most);
    }
    rates.remove(0);
    rates.sort_unstable_by(f64::total_cmp);
    let guest_peak = memory(&guest.to_string(), "VmHWM:").unwrap_or_default();
    Ok(Flood { rate: rates[rates.len() / 2], host_growth: most - before.unwrap_or(most), guest_peak })
}

/// A line of a process's status, MiB.
fn memory(process: &str, line: &str) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.ok_or("no such line")? / 1024.0)
}
