use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// What is known of a runtime's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing yet, or nothing that counts.
    #[default]
    Unknown,
    /// The last probe succeeded.
    Healthy,
    /// So many probes in a row failed that it is to be replaced.
    Unhealthy,
}

impl Health {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Healthy, Self::Unhealthy];

    /// As in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Health probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthSpec {
    /// What is probed. Default `guest`.
    pub probe: Probe,
    /// Between two probes of one runtime, with up to a tenth of jitter. Default 5 s; 10 ms to 1 h.
    pub interval: Duration,
    /// Longest a probe may take. Default 2 s; 1 ms to 10 min.
    pub timeout: Duration,
    /// Failed probes in a row that make a runtime unhealthy. Default 2; 1 to 100.
    pub retries: u32,
    /// How long after its launch a runtime's failed probes do not count. Default 0 s; 0 s to 1 h.
    pub start_period: Duration,
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self {
            probe: Probe::Guest,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            retries: 2,
            start_period: Duration::ZERO,
        }
    }
}

/// What shows that a runtime is healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Probe {
    /// Its guest answers a ping. All others need that too: they are asked beside it.
    #[default]
    Guest,
    /// A command in it ends with status 0.
    Exec(ExecProbe),
    /// An HTTP server in it answers as it should.
    Http(HttpProbe),
    /// A TCP port of it takes a connection.
    Tcp(TcpProbe),
    /// A file in it is there.
    File(FileProbe),
    /// The command of the image's own `HEALTHCHECK` ends with status 0; the spec's times count, not the image's. Only
    /// for containers of Docker: Podman's API does not tell of it.
    Image,
}

/// A command in the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExecProbe {
    /// The program, then its arguments. It must be set.
    pub command: Vec<String>,
}

/// A request to a port of the runtime that is reached from the host: `GET` by HTTP/1.1, redirects not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpProbe {
    /// The port inside the runtime. Default 80; 1 to 65535.
    pub port: u16,
    /// The path and query. Default `/`.
    pub path: String,
    /// What the status must be. Default 200-399.
    pub status: StatusRange,
    /// Text that must be within the first 64 KiB of the body. Default none.
    pub body: Option<String>,
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self { port: 80, path: "/".to_owned(), status: StatusRange { low: 200, high: 399 }, body: None }
    }
}

/// A connection to a port of the runtime that is reached from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TcpProbe {
    /// The port inside the runtime. Default 80; 1 to 65535.
    pub port: u16,
}

impl Default for TcpProbe {
    fn default() -> Self {
        Self { port: 80 }
    }
}

/// A file in the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileProbe {
    /// Its path; a relative one starts at the workspace. It must be set.
    pub path: String,
}

/// Statuses of HTTP, both ends among them: `200` or `200-399`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusRange {
    /// The lowest. At least 100.
    pub low: u16,
    /// The highest. At most 599.
    pub high: u16,
}

impl StatusRange {
    /// Whether `status` is one of them.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.low..=self.high).contains(&status)
    }
}

impl FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let status = |text: &str| text.parse().ok().filter(|status| (100..=599).contains(status));
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        match (status(low), status(high)) {
            (Some(low), Some(high)) if low <= high => Ok(Self { low, high }),
            _ => Err("is not a status of HTTP or a range of them, such as 200-299".to_owned()),
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.low)?;
        if self.low < self.high { write!(f, "-{}", self.high) } else { Ok(()) }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
