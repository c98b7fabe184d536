use super::codec::{Decoder, Encoder, Malformed};
use super::file::Stat;

/// How an operation ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing to say.
    Unit,
    /// To `Hello`.
    Welcome(Welcome),
    /// To `Ping`.
    Vitals(Vitals),
    /// To `Exec`.
    Exited(Exited),
    /// To `Read`: the size of the whole file.
    Read {
        /// Bytes in the file when it was opened.
        size: u64,
    },
    /// To `Stat`.
    Stat(Stat),
    /// To `Reset`: how many processes were killed.
    Reset {
        /// Processes that were still there.
        killed: u32,
    },
}

/// The guest's answer to [`Hello`](super::Hello).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The guest's protocol version.
    pub version: u32,
    /// The guest's own pid as it sees it; 1 in a pid namespace of its own.
    pub pid: u32,
}

/// How the guest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Processes below it.
    pub processes: u32,
    /// Operations that run.
    pub operations: u32,
    /// Milliseconds since its service was last started; `None` when it runs none.
    pub service_ms: Option<u64>,
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exited {
    /// Exit status, when it exited.
    pub code: Option<u32>,
    /// Signal, when one ended it.
    pub signal: Option<u32>,
    /// Whether its timeout ended it.
    pub timed_out: bool,
    /// Bytes it wrote to stdout, sent or not.
    pub stdout_bytes: u64,
    /// Bytes it wrote to stderr, sent or not.
    pub stderr_bytes: u64,
    /// Its processor time, user and system, microseconds.
    pub cpu_us: u64,
    /// Its largest resident size, bytes.
    pub max_rss: u64,
}

impl Done {
    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        match self {
            Self::Unit => {
                e.u8(0);
            }
            Self::Welcome(welcome) => {
                e.u8(1).u32(welcome.version).u32(welcome.pid);
            }
            Self::Vitals(vitals) => {
                e.u8(2)
                    .u64(vitals.uptime_ms)
                    .u32(vitals.processes)
                    .u32(vitals.operations)
                    .option_u64(vitals.service_ms);
            }
            Self::Exited(exited) => {
                e.u8(3)
                    .option_u64(exited.code.map(u64::from))
                    .option_u64(exited.signal.map(u64::from))
                    .flag(exited.timed_out)
                    .u64(exited.stdout_bytes)
                    .u64(exited.stderr_bytes)
                    .u64(exited.cpu_us)
                    .u64(exited.max_rss);
            }
            Self::Read { size } => {
                e.u8(4).u64(*size);
            }
            Self::Stat(stat) => {
                e.u8(5);
                stat.encode(e);
            }
            Self::Reset { killed } => {
                e.u8(6).u32(*killed);
            }
        }
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        let narrow = |value: Option<u64>| match value.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(Malformed("status does not fit")),
        };
        Ok(match d.u8()? {
            0 => Self::Unit,
            1 => Self::Welcome(Welcome { version: d.u32()?, pid: d.u32()? }),
            2 => Self::Vitals(Vitals {
                uptime_ms: d.u64()?,
                processes: d.u32()?,
                operations: d.u32()?,
                service_ms: d.option_u64()?,
            }),
            3 => Self::Exited(Exited {
                code: narrow(d.option_u64()?)?,
                signal: narrow(d.option_u64()?)?,
                timed_out: d.flag()?,
                stdout_bytes: d.u64()?,
                stderr_bytes: d.u64()?,
                cpu_us: d.u64()?,
                max_rss: d.u64()?,
            }),
            4 => Self::Read { size: d.u64()? },
            5 => Self::Stat(Stat::decode(d)?),
            6 => Self::Reset { killed: d.u32()? },
            _ => return Err(Malformed("unknown result")),
        })
    }
}
