use crate::place::Walls;
use crate::sys::process::{self, Reaped};
use crate::sys::signal;

/// A guest that runs. Not yet reaped, so its pid is its own.
#[derive(Debug)]
pub(super) struct Started {
    /// As the host sees it.
    pub(super) pid: i32,
    pub(super) walls: Walls,
}

impl Started {
    /// Kills it; with a pid namespace of its own, everything in it dies too. It ends a moment later.
    pub(super) fn kill(&self) {
        // The pid is held until it is reaped, and the keeper may kill what it started: this can't fail.
        let _ = process::kill(self.pid, signal::KILL);
    }

    /// Kills it and waits for its end.
    pub(super) fn discard(self) {
        self.kill();
        while let Ok(Reaped::Ended(ended)) = process::reap_now(-1) {
            if ended.pid == self.pid {
                break;
            }
        }
    }
}
