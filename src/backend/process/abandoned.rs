use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use rustix::event::Timespec;
use rustix::process::{Signal, pidfd_send_signal};

/// Where keepers are left that nobody holds any more. Each has been told to end; the thread that started it makes sure.
#[derive(Debug)]
pub(super) struct Doorstep {
    /// Never more than there are keepers.
    left: SegQueue<Weak<OwnedFd>>,
    /// Of the thread.
    wake: Arc<OwnedFd>,
}

impl Doorstep {
    pub(super) fn new(wake: Arc<OwnedFd>) -> Arc<Self> {
        Arc::new(Self { left: SegQueue::new(), wake })
    }

    /// Leaves one there.
    pub(super) fn leave(&self, pidfd: &Arc<OwnedFd>) {
        self.left.push(Arc::downgrade(pidfd));
        self.wake();
    }

    pub(super) fn wake(&self) {
        // Fails only when it is full of wake-ups that have not been noticed yet.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

/// Those that were left, until they have ended.
#[derive(Debug)]
pub(super) struct Abandoned {
    doorstep: Arc<Doorstep>,
    patience: Duration,
    /// When each is killed. One that has ended is held by nobody; so a pidfd that is still there is no stranger's.
    due: VecDeque<(Instant, Weak<OwnedFd>)>,
}

impl Abandoned {
    pub(super) fn new(doorstep: Arc<Doorstep>, patience: Duration) -> Self {
        Self { doorstep, patience, due: VecDeque::new() }
    }

    /// Takes in who was left since, and kills who has not listened.
    pub(super) fn look(&mut self, now: Instant) {
        while let Some(left) = self.doorstep.left.pop() {
            self.due.push_back((now + self.patience, left));
        }
        while let Some((_, keeper)) = self.due.pop_front_if(|(at, keeper)| *at <= now || is_gone(keeper)) {
            if let Some(pidfd) = keeper.upgrade() {
                // Fails when it has ended meanwhile, which is what is wanted.
                let _ = pidfd_send_signal(&*pidfd, Signal::KILL);
            }
        }
    }

    /// How long until one must be killed; `None` while there is none.
    pub(super) fn wait(&self, now: Instant) -> Option<Timespec> {
        let (at, _) = self.due.front()?;
        // A duration that no `Timespec` holds is as good as none.
        at.saturating_duration_since(now).try_into().ok()
    }
}

fn is_gone(keeper: &Weak<OwnedFd>) -> bool {
    keeper.strong_count() == 0
}
