use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A way to do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// A runtime, or what keeps it, is killed from outside.
    Kill,
    /// It stops answering, for a while or for good.
    Hang,
    /// It answers late.
    Slow,
    /// A lease takes more memory than there is for it.
    Oom,
    /// A lease starts more processes than it may.
    ForkBomb,
    /// A lease writes more than there is room for.
    DiskFull,
    /// A command writes more than anybody keeps.
    OutputFlood,
    /// A client panics with a lease in its hands.
    Panic,
    /// A client drops an acquire or an operation in the middle.
    Cancel,
    /// The engine is started again.
    DaemonRestart,
    /// The engine does not answer for a while.
    DaemonHang,
    /// The clock moves on by up to a minute at once.
    ClockJump,
    /// A launch fails.
    LaunchFailure,
    /// A reset fails, or did not do what it says.
    ResetFailure,
    /// A runtime ends by itself.
    Exit,
}

impl Fault {
    pub(crate) const ALL: [Self; 15] = [
        Self::Kill,
        Self::Hang,
        Self::Slow,
        Self::Oom,
        Self::ForkBomb,
        Self::DiskFull,
        Self::OutputFlood,
        Self::Panic,
        Self::Cancel,
        Self::DaemonRestart,
        Self::DaemonHang,
        Self::ClockJump,
        Self::LaunchFailure,
        Self::ResetFailure,
        Self::Exit,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::Oom => "oom",
            Self::ForkBomb => "fork_bomb",
            Self::DiskFull => "disk_full",
            Self::OutputFlood => "output_flood",
            Self::Panic => "panic",
            Self::Cancel => "cancel",
            Self::DaemonRestart => "daemon_restart",
            Self::DaemonHang => "daemon_hang",
            Self::ClockJump => "clock_jump",
            Self::LaunchFailure => "launch_failure",
            Self::ResetFailure => "reset_failure",
            Self::Exit => "exit",
        }
    }

    /// Whether a client with a lease does it, rather than somebody outside.
    pub(crate) const fn is_holders(self) -> bool {
        matches!(
            self,
            Self::Oom | Self::ForkBomb | Self::DiskFull | Self::OutputFlood | Self::Panic | Self::Cancel
        )
    }

    /// Whether runtimes that it is not done to may be slow for it.
    pub(crate) const fn strains(self) -> bool {
        matches!(
            self,
            Self::Oom
                | Self::ForkBomb
                | Self::DiskFull
                | Self::OutputFlood
                | Self::DaemonRestart
                | Self::DaemonHang
                | Self::ClockJump
        )
    }

    /// Whether whoever holds the runtime must expect to lose it.
    pub(crate) const fn hurts(self) -> bool {
        !matches!(self, Self::Cancel | Self::OutputFlood)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which faults are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All that apply.
    All,
    /// These, as far as they apply.
    These(Vec<Fault>),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => return Ok(Self::All),
            "none" => return Ok(Self::These(Vec::new())),
            _ => {}
        }
        let mut these = Vec::new();
        for word in text.split(',').map(str::trim) {
            let fault = Fault::ALL.into_iter().find(|fault| fault.name() == word).ok_or_else(|| {
                let known = Fault::ALL.map(Fault::name).join(", ");
                format!("unknown fault {word:?}; there are all, none, {known}")
            })?;
            if !these.contains(&fault) {
                these.push(fault);
            }
        }
        Ok(Self::These(these))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_by_name_and_once() {
        assert_eq!("kill, oom,kill".parse(), Ok(Wanted::These(vec![Fault::Kill, Fault::Oom])));
        assert_eq!("none".parse(), Ok(Wanted::These(Vec::new())));
        assert_eq!("all".parse(), Ok(Wanted::All));
        let refused = "kill,gallop".parse::<Wanted>().unwrap_err();
        assert!(refused.contains("\"gallop\"") && refused.contains("fork_bomb"), "{refused}");
    }
}
