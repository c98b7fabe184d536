//! Waiting for the guest's end and for the host's.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;

use super::started::Started;
use super::step::Step;
use crate::place::Walls;
use crate::protocol::{EXIT_OUT_OF_MEMORY, EXIT_SIGNAL};
use crate::sys::poll::{Event, Interest, Poll};
use crate::sys::process::{self, Ended, Reaped};
use crate::sys::signal::{self, Signals};
use crate::sys::{Errno, descriptor, namespace};

/// Hears of the end of the host and of children.
#[derive(Debug)]
pub(super) struct Watch {
    host: u32,
    signals: Signals,
    poll: Poll,
    /// Whether the host has asked for the end.
    asked: Cell<bool>,
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
        Ok(Self { host, signals, poll, asked: Cell::new(false) })
    }

    /// Whether the host has ended, or asked for the guest's end.
    pub(super) fn is_over(&self) -> bool {
        // The host may have ended before its death could be heard of.
        self.asked.get() || parent_id() != self.host
    }

    /// Reads all that comes from `source`, which whoever is at its other end may never close.
    ///
    /// # Errors
    /// When the host ends or asks for the end meanwhile.
    pub(super) fn read_to_end(&self, source: &File) -> Result<Vec<u8>, String> {
        const CHUNK: usize = 4096;
        descriptor::set_nonblocking(source.as_fd()).step("read without waiting")?;
        self.poll.add(source.as_fd(), 1, Interest::Read).step("wait for a report")?;
        let mut bytes = Vec::new();
        loop {
            match descriptor::read_onto(source.as_fd(), &mut bytes, CHUNK) {
                Ok(0) => return Ok(bytes),
                Ok(_) => continue,
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno).step("read a report"),
            }
            if self.is_over() {
                return Err("the host wants no guest any more".to_owned());
            }
            self.wait()?;
        }
    }

    /// Waits for the guest's end and that of all it left behind. Ends the guest when the host ends or asks
    /// for it with TERM.
    pub(super) fn until_end(&self, guest: &Started) -> Result<End, String> {
        loop {
            if self.is_over() {
                guest.kill();
            }
            while let Reaped::Ended(ended) = process::reap(-1).step("reap the guest")? {
                if ended.pid == guest.pid {
                    if guest.walls == Walls::Shared {
                        end_orphans()?;
                    }
                    return Ok(End(ended));
                }
            }
            self.wait()?;
        }
    }

    /// Waits until a signal or anything else that is waited for has come.
    fn wait(&self) -> Result<(), String> {
        let mut events: Vec<Event> = Vec::new();
        self.poll.wait(&mut events, None).step("wait for signals")?;
        let arrived = self.signals.take().step("take signals")?;
        if arrived.iter().any(|arrived| arrived.number == signal::TERM) {
            self.asked.set(true);
        }
        Ok(())
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
