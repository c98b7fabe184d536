use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::model::{Epoch, PoolName, Reason, RuntimeId};

/// Something that happened in a pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolEvent {
    /// When the supervisor learned of it. Serialized as RFC 3339 has it, to the millisecond.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// Where.
    pub pool: PoolName,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// A runtime is being made.
    Launching {
        /// Which.
        runtime: RuntimeId,
    },
    /// A runtime became leasable for the first time.
    Ready {
        /// Which.
        runtime: RuntimeId,
        /// How others know it: `pid 4711`, a container's id.
        handle: String,
        /// From launch to leasable.
        #[serde(serialize_with = "as_ms", rename = "took_ms")]
        took: Duration,
    },
    /// A runtime was cleaned.
    Reset {
        /// Which.
        runtime: RuntimeId,
        /// How long that took.
        #[serde(serialize_with = "as_ms", rename = "took_ms")]
        took: Duration,
    },
    /// A runtime could not be made.
    LaunchFailed {
        /// Which.
        runtime: RuntimeId,
        /// Why, with all causes.
        cause: String,
    },
    /// A runtime could not be cleaned.
    ResetFailed {
        /// Which.
        runtime: RuntimeId,
        /// Why, with all causes.
        cause: String,
    },
    /// A runtime ended by itself, or was ended from outside.
    Exited {
        /// Which.
        runtime: RuntimeId,
        /// How.
        cause: String,
    },
    /// A lease was held for longer than `max_lease` and not renewed. Its runtime is destroyed.
    LeaseExpired {
        /// Of which runtime.
        runtime: RuntimeId,
        /// Which lease.
        epoch: Epoch,
        /// Where in the code it was acquired: `src/main.rs:10:5`.
        acquired_at: String,
    },
    /// A lease has been held for longer than `leak_after`. Told once per lease, or since it was last renewed.
    LeaseLeaked {
        /// Of which runtime.
        runtime: RuntimeId,
        /// Which lease.
        epoch: Epoch,
        /// Where in the code it was acquired: `src/main.rs:10:5`.
        acquired_at: String,
        /// How long it has been held, or since it was last renewed.
        #[serde(serialize_with = "as_ms", rename = "held_ms")]
        held: Duration,
    },
    /// A runtime is being destroyed.
    Retiring {
        /// Which.
        runtime: RuntimeId,
        /// Why.
        reason: Reason,
    },
    /// A runtime is destroyed; nothing of it is left.
    Gone {
        /// Which.
        runtime: RuntimeId,
    },
    /// A runtime could not be destroyed. It is tried again.
    Survived {
        /// Which.
        runtime: RuntimeId,
        /// Why.
        cause: String,
    },
    /// Launches fail so that the pool cannot keep its promise. Healthy runtimes still serve.
    Degraded {
        /// Why, with the last failure: launches fail, or `restart.intensity` allows no more of them for now, or
        /// `restart.policy` none at all, or the backend is in trouble.
        cause: String,
    },
    /// No longer degraded.
    Healed,
    /// All runtimes are gone after a drain.
    Drained,
    /// The supervisor panicked, or hung for two seconds and another one took its place, and started over. No lease was
    /// lost.
    Recovered {
        /// The panic in words, or that it hung.
        cause: String,
    },
    /// Health, ageing and events were looked after by nobody for a while: two seconds, or more when others hung too.
    /// They are again. Events of that time may come late, or never.
    Unwatched {
        /// Why.
        cause: String,
    },
}

impl fmt::Display for PoolEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pool, self.change)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launching { runtime } => write!(f, "{runtime} launching"),
            Self::Ready { runtime, handle, took } => {
                write!(f, "{runtime} ready after {:.1} ms ({handle})", took.as_secs_f64() * 1e3)
            }
            Self::Reset { runtime, took } => {
                write!(f, "{runtime} reset in {:.1} ms", took.as_secs_f64() * 1e3)
            }
            Self::LaunchFailed { runtime, cause } => write!(f, "{runtime} launch failed: {cause}"),
            Self::ResetFailed { runtime, cause } => write!(f, "{runtime} reset failed: {cause}"),
            Self::Exited { runtime, cause } => write!(f, "{runtime} exited: {cause}"),
            Self::Retiring { runtime, reason } => write!(f, "{runtime} retiring: {reason}"),
            Self::LeaseExpired { runtime, epoch, acquired_at } => {
                write!(f, "{runtime} lease {epoch} expired (acquired at {acquired_at})")
            }
            Self::LeaseLeaked { runtime, epoch, acquired_at, held } => {
                write!(f, "{runtime} lease {epoch} held for {held:.1?} (acquired at {acquired_at})")
            }
            Self::Gone { runtime } => write!(f, "{runtime} gone"),
            Self::Survived { runtime, cause } => write!(f, "{runtime} survived its destruction: {cause}"),
            Self::Degraded { cause } => write!(f, "degraded: {cause}"),
            Self::Healed => f.write_str("healed"),
            Self::Drained => f.write_str("drained"),
            Self::Unwatched { cause } => write!(f, "was not watched for a while: {cause}"),
            Self::Recovered { cause } => write!(f, "the supervisor started over: {cause}"),
        }
    }
}

fn as_rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    // It has no words for times before 1970, which a clock that was never set may show.
    serializer.collect_str(&humantime::format_rfc3339_millis((*at).max(SystemTime::UNIX_EPOCH)))
}

fn as_ms<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64() * 1e3)
}
