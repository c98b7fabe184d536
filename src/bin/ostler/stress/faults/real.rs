use ostler::model::Limits;

use super::Fault;

/// Memory, or room, that a lease is made to fill at most. With more allowed to it, filling it would try the host and
/// not the pool.
const MOST: u64 = 512 << 20;
/// Processes that it is made to start at most.
const PIDS: u64 = 512;

/// How far a lease can go beyond its limits, on a host that is not ours to try.
#[derive(Debug)]
pub(super) struct Bounds {
    memory: Option<u64>,
    pids: Option<u64>,
    room: u64,
}

impl Bounds {
    pub(super) fn new(limits: &Limits, room: u64) -> Self {
        Self { memory: limits.memory, pids: limits.pids, room }
    }

    /// Why a fault can't be done to anything real, where that is not a matter of the backend.
    pub(super) fn refuses(&self, fault: Fault) -> Option<&'static str> {
        match fault {
            Fault::Oom if self.memory.is_none_or(|memory| memory > MOST) => {
                Some("it needs limits.memory of at most 512MiB")
            }
            Fault::ForkBomb if self.pids.is_none_or(|pids| pids > PIDS) => {
                Some("it needs limits.pids of at most 512")
            }
            Fault::DiskFull if self.room > MOST => {
                Some("it needs workspace_size and tmp_size of at most 512MiB")
            }
            Fault::ClockJump => Some("the host's clock is not ours to change; a fake backend has its own"),
            Fault::LaunchFailure | Fault::ResetFailure | Fault::Exit => {
                Some("only a fake backend fails on demand; kill and hang come to the same at random moments")
            }
            _ => None,
        }
    }
}
