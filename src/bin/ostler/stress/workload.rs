use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What a client does with its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// One command.
    Exec,
    /// A file written, described, read back and removed.
    Files,
    /// One to four of either.
    Mixed,
    /// Nothing for a while, then several leases, all clients at the same moment.
    Bursts,
    /// A lease held for long with little done.
    Slow,
    /// Acquires and operations dropped at random awaits.
    Abandon,
    /// A thread of its own that dies with the lease in its hands; under a virtual clock, a task.
    Threads,
}

impl Workload {
    pub(crate) const ALL: [Self; 7] =
        [Self::Exec, Self::Files, Self::Mixed, Self::Bursts, Self::Slow, Self::Abandon, Self::Threads];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Files => "files",
            Self::Mixed => "mixed",
            Self::Bursts => "bursts",
            Self::Slow => "slow",
            Self::Abandon => "abandon",
            Self::Threads => "threads",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Workloads that take turns at random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workloads(pub(crate) Vec<Workload>);

impl FromStr for Workloads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "all" {
            return Ok(Self(Workload::ALL.to_vec()));
        }
        let known = |word: &str| Workload::ALL.into_iter().find(|workload| workload.name() == word);
        text.split(',')
            .map(str::trim)
            .map(|word| {
                let names = || Workload::ALL.map(Workload::name).join(", ");
                known(word).ok_or_else(|| format!("unknown workload {word:?}; there are all, {}", names()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}
