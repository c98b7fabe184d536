use std::thread;
use std::time::{Duration, Instant};

use crate::sys::Result as SysResult;
use crate::sys::poll::{Event, Poll};

/// Who asks again so soon after an answer is likely to do so once more.
const BRISK: Duration = Duration::from_micros(100);
/// How long the guest stays awake for that.
const LINGER: Duration = Duration::from_micros(50);

/// How quickly one request follows another. Who has nothing to do sleeps, and to be woken on an idle processor takes
/// longer than to read a small file: so while requests follow closely the guest waits awake for a moment, and lets
/// everybody else go first who wants the processor.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    is_brisk: bool,
}

impl Pace {
    /// Replaces `events` by what comes, however long that takes; answers when it came.
    pub(crate) fn wait(&mut self, poll: &Poll, events: &mut Vec<Event>) -> SysResult<Instant> {
        let began = Instant::now();
        events.clear();
        while self.is_brisk && events.is_empty() && began.elapsed() < LINGER {
            thread::yield_now();
            poll.wait(events, Some(Duration::ZERO))?;
        }
        if events.is_empty() {
            poll.wait(events, None)?;
        }
        let now = Instant::now();
        self.is_brisk = now - began < BRISK;
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::poll::Interest;

    #[test]
    fn what_comes_at_once_and_what_comes_late_are_both_heard() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let poll = Poll::new().expect("a poll");
        poll.add(ours.as_fd(), 7, Interest::Read).expect("added");
        let (mut pace, mut events) = (Pace::default(), Vec::new());
        for late in [Duration::ZERO, Duration::ZERO, 1000 * LINGER, Duration::ZERO, 1000 * LINGER] {
            // After both kinds of wait.
            let writer = thread::spawn(move || {
                thread::sleep(late);
                theirs.write_all(b"x").expect("written");
                theirs
            });
            if late.is_zero() {
                theirs = writer.join().expect("no panic");
                pace.wait(&poll, &mut events).expect("waited");
            } else {
                pace.wait(&poll, &mut events).expect("waited");
                theirs = writer.join().expect("no panic");
                assert!(!pace.is_brisk, "{late:?} is not soon");
            }
            assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [7]);
        }
    }
}
