use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use tokio::sync::watch;

use crate::model::{Health, Meter, RuntimeId, Usage};

/// How one runtime does, at one moment.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Vitals {
    /// Which.
    pub id: RuntimeId,
    /// How others know it: `pid 4711`, a container's id.
    pub handle: String,
    /// What its last probe came to.
    pub health: Health,
    /// How its guest is spoken to, where there is more than one way: `link`, `attach`.
    pub transport: Option<&'static str>,
    /// What it uses, where that is sampled.
    pub usage: Option<Usage>,
}

/// What is known of one runtime by those who see to it, for anybody to read without asking them.
pub(crate) struct Chart {
    handle: Arc<str>,
    transport: Option<&'static str>,
    meter: Option<Meter>,
    health: AtomicU8,
}

/// The charts of a pool: kept by the supervisor, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Charts(watch::Sender<BTreeMap<RuntimeId, Arc<Chart>>>);

impl Chart {
    /// Of a runtime that has just passed its first probe.
    pub(crate) fn new(handle: Arc<str>, transport: Option<&'static str>, meter: Option<Meter>) -> Self {
        Self { handle, transport, meter, health: AtomicU8::new(Health::Healthy as u8) }
    }

    /// Notes what a probe came to.
    pub(crate) fn note(&self, health: Health) {
        self.health.store(health as u8, Ordering::Relaxed);
    }

    fn health(&self) -> Health {
        let health = self.health.load(Ordering::Relaxed);
        Health::ALL.into_iter().find(|known| *known as u8 == health).unwrap_or_default()
    }

    fn read(&self, id: RuntimeId) -> Vitals {
        Vitals {
            id,
            handle: self.handle.to_string(),
            health: self.health(),
            transport: self.transport,
            usage: self.meter.as_ref().and_then(|meter| meter()),
        }
    }
}

impl fmt::Debug for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chart").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Charts {
    pub(crate) fn hang_up(&self, id: RuntimeId, chart: Arc<Chart>) {
        self.0.send_modify(|charts| drop(charts.insert(id, chart)));
    }

    pub(crate) fn take_down(&self, id: RuntimeId) {
        self.0.send_modify(|charts| drop(charts.remove(&id)));
    }

    pub(crate) fn read(&self) -> Vec<Vitals> {
        // A meter may be anybody's code: not while others wait for the charts.
        let charts = self.0.borrow().clone();
        charts.into_iter().map(|(id, chart)| chart.read(id)).collect()
    }
}

impl Vitals {
    /// Whether people would learn something of it.
    pub(super) fn is_worth_a_line(&self) -> bool {
        self.transport.is_some() || self.usage.is_some() || self.health != Health::Healthy
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.handle, self.health)?;
        if let Some(transport) = self.transport {
            write!(f, ", by {transport}")?;
        }
        let Some(usage) = &self.usage else { return Ok(()) };
        match usage.cpus {
            Some(cpus) => write!(f, ", cpus {cpus:.2}")?,
            None => write!(f, ", cpu {:.1} s", usage.cpu.as_secs_f64())?,
        }
        write!(f, ", memory {}", Bytes(usage.memory))?;
        write!(f, ", network {} in {} out", Bytes(usage.network_received), Bytes(usage.network_sent))?;
        write!(f, ", disk {} read {} written", Bytes(usage.disk_read), Bytes(usage.disk_written))
    }
}

/// A size as people read it.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
        let power = (self.0.max(1).ilog2() / 10).min(3);
        let unit = UNITS.get(power as usize).unwrap_or(&"GiB");
        match power {
            0 => write!(f, "{} {unit}", self.0),
            // A tenth of a unit is all that shows.
            _ => write!(
                f,
                "{}.{} {unit}",
                self.0 >> (10 * power),
                (self.0 >> (10 * power - 10)) % 1024 * 10 / 1024
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let said = |bytes| Bytes(bytes).to_string();
        assert_eq!([said(0), said(1023), said(1024)], ["0 B", "1023 B", "1.0 KiB"]);
        assert_eq!([said(1_600_000), said(3 << 29)], ["1.5 MiB", "1.5 GiB"]);
        assert_eq!(said(u64::MAX), "17179869183.9 GiB");
    }

    #[test]
    fn a_chart_says_what_was_noted_last_and_is_gone_with_its_runtime() {
        let usage = Usage { cpu: Duration::from_secs(2), memory: 3 << 20, ..Usage::default() };
        let meter: Meter = Arc::new(move || Some(usage));
        let chart = Arc::new(Chart::new("c0ffee".into(), Some("link"), Some(meter)));
        let charts = Charts::default();
        charts.hang_up(RuntimeId(7), Arc::clone(&chart));
        assert_eq!(charts.read()[0].health, Health::Healthy);
        chart.note(Health::Unhealthy);
        let said = charts.read()[0].to_string();
        assert_eq!(
            said,
            "c0ffee, unhealthy, by link, cpu 2.0 s, memory 3.0 MiB, network 0 B in 0 B out, disk 0 B read 0 B written"
        );
        charts.take_down(RuntimeId(7));
        assert!(charts.read().is_empty());
    }

    #[test]
    fn nothing_is_said_where_there_is_nothing_to_say() {
        let chart = Chart::new("pid 7".into(), None, None);
        assert!(!chart.read(RuntimeId(1)).is_worth_a_line());
        chart.note(Health::Unknown);
        assert!(chart.read(RuntimeId(1)).is_worth_a_line());
    }
}
