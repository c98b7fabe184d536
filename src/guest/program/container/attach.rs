//! Both streams over the engine's attach stream.
//!
//! ```text
//!  stdin ──▶ ┌─────┐ ──▶ control ──▶ the guest's
//!            │ mux │ ──▶ data    ──▶ one loop
//!  stdout ◀──└─────┘ ◀──
//! ```
//!
//! The loop serves two plain sockets here as everywhere; their other ends are served by the same loop, when the
//! poll in here has something to report.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::protocol::{Lane, Mux};
use crate::sys::poll::{Event, Interest, Poll};
use crate::sys::{Errno, descriptor};

/// Bytes read at once.
const READ: usize = 64 << 10;

/// Rounds before the loop does something else.
const ROUNDS: usize = 4;

/// Longest that what the guest said last is waited for to be sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

const STDIN: usize = 0;
const STDOUT: usize = 1;

fn local(lane: Lane) -> usize {
    match lane {
        Lane::Control => 2,
        Lane::Data => 3,
    }
}

/// Where it stands after some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// There may be more to do at once.
    Some,
    /// It waits.
    None,
    /// The engine has hung up, or both streams are closed and all is sent.
    Over,
}

/// The attach stream and the other ends of the guest's two.
#[derive(Debug)]
pub(crate) struct Attach {
    mux: Mux,
    poll: Poll,
    ends: [End; 4],
    scratch: Vec<u8>,
}

/// A descriptor, and what is known of it.
#[derive(Debug)]
struct End {
    fd: OwnedFd,
    readable: bool,
    writable: bool,
    /// Whether writing to it has failed for good.
    deaf: bool,
}

impl Attach {
    /// Takes the engine's two pipes apart into the sockets it answers: control, then data.
    pub(super) fn new(stdin: OwnedFd, stdout: OwnedFd) -> Result<(Self, [OwnedFd; 2]), String> {
        let pair = || UnixStream::pair().map_err(|error| format!("make a pair of sockets: {error}"));
        let ((control, its_control), (data, its_data)) = (pair()?, pair()?);
        let ends = [stdin, stdout, its_control.into(), its_data.into()];
        let attach = Self::over(ends).map_err(super::failed("watch the attach stream"))?;
        Ok((attach, [control.into(), data.into()]))
    }

    fn over(fds: [OwnedFd; 4]) -> Result<Self, Errno> {
        let poll = Poll::new()?;
        let interests = [Interest::Read, Interest::Write, Interest::Both, Interest::Both];
        for ((token, fd), interest) in (0..).zip(&fds).zip(interests) {
            descriptor::set_nonblocking(fd.as_fd())?;
            poll.add(fd.as_fd(), token, interest)?;
        }
        let ends = fds.map(|fd| End { fd, readable: true, writable: true, deaf: false });
        Ok(Self { mux: Mux::new(), poll, ends, scratch: Vec::new() })
    }

    /// Readable when there is something to do.
    pub(crate) fn source(&self) -> BorrowedFd<'_> {
        self.poll.source()
    }

    /// Moves what can be moved now, or a good piece of it.
    pub(crate) fn advance(&mut self) -> Moved {
        match self.advance_within(Some(Duration::ZERO)) {
            Ok(moved) => moved,
            Err(why) => {
                eprintln!("ostler-guest: attach stream: {why}");
                Moved::Over
            }
        }
    }

    /// Waits until all that was said is sent, once the guest has closed its ends.
    pub(crate) fn finish(mut self) {
        let end = Instant::now() + LAST_WORDS;
        while let Some(patience) = end.checked_duration_since(Instant::now()) {
            if !matches!(self.advance_within(Some(patience)), Ok(Moved::Some | Moved::None)) {
                return;
            }
        }
    }

    fn advance_within(&mut self, patience: Option<Duration>) -> io::Result<Moved> {
        let mut events: Vec<Event> = Vec::new();
        self.poll.wait(&mut events, patience).map_err(|errno| io::Error::from_raw_os_error(errno.0))?;
        for event in &events {
            if let Some(end) = self.ends.get_mut(usize::try_from(event.token).unwrap_or(usize::MAX)) {
                end.readable |= event.readable;
                end.writable |= event.writable;
            }
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut moved = Moved::Some;
        for _ in 0..ROUNDS {
            moved = self.turn(&mut scratch)?;
            if moved != Moved::Some {
                break;
            }
        }
        self.scratch = scratch;
        Ok(if self.mux.is_finished() { Moved::Over } else { moved })
    }

    /// Moves a piece each way.
    fn turn(&mut self, scratch: &mut Vec<u8>) -> io::Result<Moved> {
        let mut moved = Moved::None;
        if let Some(count) = self.ends[STDIN].read(scratch, READ) {
            if count == 0 {
                return Ok(Moved::Over);
            }
            self.mux.receive(scratch).map_err(io::Error::other)?;
            moved = Moved::Some;
        }
        for lane in Lane::BOTH {
            let end = &mut self.ends[local(lane)];
            let count = end.write(self.mux.incoming(lane));
            if count > 0 {
                self.mux.take(lane, count);
                moved = Moved::Some;
            }
            if self.mux.has_ended(lane) && !end.deaf {
                end.deaf = true;
                hang_up(&end.fd)?;
            }
            let room = self.mux.room(lane);
            match end.read(scratch, room) {
                Some(0) => self.mux.close(lane),
                None => {}
                Some(_) => {
                    self.mux.put(lane, scratch);
                    moved = Moved::Some;
                }
            }
        }
        let count = self.ends[STDOUT].write(self.mux.output());
        if self.ends[STDOUT].deaf {
            return Ok(Moved::Over);
        }
        if count > 0 {
            self.mux.sent(count);
            moved = Moved::Some;
        }
        Ok(moved)
    }
}

impl End {
    /// Reads up to so many bytes in place of what is in `scratch`; 0 is the end, `None` nothing for now.
    fn read(&mut self, scratch: &mut Vec<u8>, most: usize) -> Option<usize> {
        if !self.readable || most == 0 {
            return None;
        }
        scratch.clear();
        match descriptor::read_onto(self.fd.as_fd(), scratch, most) {
            Ok(count) if count > 0 => Some(count),
            Err(Errno::AGAIN) => {
                self.readable = false;
                None
            }
            Ok(_) | Err(_) => {
                self.readable = false;
                Some(0)
            }
        }
    }

    /// Writes what it can; what nobody reads any more counts as written.
    fn write(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() || self.deaf {
            return bytes.len();
        }
        if !self.writable {
            return 0;
        }
        match descriptor::write_some(&self.fd, bytes) {
            Ok(count) => count,
            Err(Errno::AGAIN) => {
                self.writable = false;
                0
            }
            Err(_) => {
                self.deaf = true;
                bytes.len()
            }
        }
    }
}

/// Tells the guest's end that no more comes.
fn hang_up(socket: &OwnedFd) -> io::Result<()> {
    UnixStream::from(socket.try_clone()?).shutdown(std::net::Shutdown::Write)
}
