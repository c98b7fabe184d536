//! Waiting for the guest's end and for the host's.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;

use super::attempt::Started;
use super::step::Step;
use crate::place::Walls;
use crate::protocol::{EXIT_OUT_OF_MEMORY, EXIT_SIGNAL};
use crate::sys::namespace;
use crate::sys::poll::{Interest, Poll};
use crate::sys::process::{self, Ended, Reaped};
use crate::sys::signal::{self, Signals};

/// Hears of the end of the host and of children.
#[derive(Debug)]
pub(super) struct Watch {
    host: u32,
    signals: Signals,
    poll: Poll,
}

/// How the guest ended.
#[derive(Debug)]
pub(super) struct End(Ended);

impl End {
    /// As the keeper's exit status.
    pub(super) fn code(&self, out_of_memory: bool) -> u8 {
        match (self.0.signal, self.0.code) {
            (Some(9), _) if out_of_memory => EXIT_OUT_OF_MEMORY,
            (Some(signal), _) => EXIT_SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX)),
            (None, code) => u8::try_from(code.unwrap_or(0)).unwrap_or(u8::MAX),
        }
    }
}

impl Watch {
    /// Watches `host`, which must be the parent, from now on.
    pub(super) fn over(host: u32) -> Result<Self, String> {
        signal::block_all().step("block signals")?;
        let signals = Signals::new(&[signal::TERM, signal::CHLD]).step("take signals")?;
        let poll = Poll::new().step("make a poll")?;
        poll.add(signals.as_fd(), 0, Interest::Read).step("wait for signals")?;
        namespace::on_parent_death(signal::TERM).step("hear of the host's end")?;
        // In basic isolation the guest's orphans come here when it dies first.
        process::adopt_orphans().step("adopt orphans")?;
        Ok(Self { host, signals, poll })
    }

    /// Whether nobody but the keeper is left to clean up.
    pub(super) fn host_is_gone(&self) -> bool {
        parent_id() != self.host
    }

    /// Waits for the guest's end and that of all it left behind. Ends the guest when the host ends or asks
    /// for it with TERM.
    pub(super) fn until_end(&self, guest: &Started) -> Result<End, String> {
        // The host may have ended before its death could be heard of.
        if self.host_is_gone() {
            guest.kill();
        }
        let mut events = Vec::new();
        loop {
            self.poll.wait(&mut events, None).step("wait for signals")?;
            for arrived in self.signals.take().step("take signals")? {
                if arrived.number == signal::TERM {
                    guest.kill();
                }
            }
            while let Reaped::Ended(ended) = process::reap(-1).step("reap the guest")? {
                if ended.pid == guest.pid {
                    if guest.walls == Walls::Shared {
                        end_orphans()?;
                    }
                    return Ok(End(ended));
                }
            }
        }
    }
}

/// Kills what the guest left running. Children of what is killed come here in turn, so it goes on until
/// there are none.
fn end_orphans() -> Result<(), String> {
    let list = format!("/proc/self/task/{}/children", std::process::id());
    loop {
        let children = fs::read_to_string(&list).step("list orphans")?;
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            // One that has ended by itself meanwhile is a zombie still, so its pid is no stranger's.
            let _ = process::kill(pid, signal::KILL);
        }
        if let Reaped::Childless = process::reap_now(-1).step("reap orphans")? {
            return Ok(());
        }
    }
}
