use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// What a runtime used by the time it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time since it began.
    #[serde(serialize_with = "as_ms", rename = "cpu_ms")]
    pub cpu: Duration,
    /// Processors it kept busy since the look before, on average; none at the first.
    pub cpus: Option<f64>,
    /// Bytes of memory in use, without what the kernel keeps only for as long as nobody else wants it, where the
    /// engine tells the two apart.
    pub memory: u64,
    /// Bytes received over all networks.
    pub network_received: u64,
    /// Bytes sent over all networks.
    pub network_sent: u64,
    /// Bytes read from disks.
    pub disk_read: u64,
    /// Bytes written to disks.
    pub disk_written: u64,
}

/// Reads a runtime's last sample, from any thread and without waiting. `None` before the first.
pub type Meter = Arc<dyn Fn() -> Option<Usage> + Send + Sync>;

fn as_ms<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e3)
}
