//! The thread that starts keepers and reaps them.
//!
//! The kernel kills a keeper when the *thread* that started it ends, so this one lives until nobody can ask
//! for another keeper and the last one it started has ended. It waits on one epoll: an eventfd for requests,
//! a pidfd per keeper; and no longer than until a keeper that nobody holds any more must be killed.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::abandoned::{Abandoned, Doorstep};
use super::keeper::{Ended, Keeper, PATIENCE, cause};
use super::start::{Child, Start};
use crate::backend::outside::Quota;

/// Requests that may wait; who asks for more waits for a place.
const QUEUE: usize = 64;
/// The eventfd's number in the epoll. Keepers have their pids.
const WAKE: u64 = 0;

/// A way to the thread. Dropped, the thread ends once its last keeper has.
#[derive(Debug)]
pub(super) struct Spawner {
    /// Closed before `wake` is used for the last time.
    orders: Option<mpsc::Sender<Order>>,
    doorstep: Arc<Doorstep>,
    /// All that was ordered and is not yet over.
    under_way: TaskTracker,
}

#[derive(Debug)]
struct Order {
    start: Start,
    answer: oneshot::Sender<io::Result<Started>>,
    token: TaskTrackerToken,
}

/// A keeper that has just been started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) keeper: Keeper,
    pub(super) control: UnixStream,
    pub(super) data: UnixStream,
    pub(super) cgroups: Vec<PathBuf>,
    /// The limit on its runtime's processor time, if there is one.
    pub(super) quota: Option<Quota>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or descriptors.
    pub(super) fn new() -> io::Result<Self> {
        Self::with_patience(PATIENCE)
    }

    /// A keeper that is let go of has so long to end.
    fn with_patience(patience: Duration) -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (orders, incoming) = mpsc::channel(QUEUE);
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &*wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        let doorstep = Doorstep::new(Arc::clone(&wake));
        let nursery = Nursery {
            poll,
            wake,
            incoming,
            open: true,
            children: HashMap::new(),
            doorstep: Arc::clone(&doorstep),
            abandoned: Abandoned::new(Arc::clone(&doorstep), patience),
        };
        thread::Builder::new().name("ostler-spawner".to_owned()).spawn(move || nursery.run())?;
        Ok(Self { orders: Some(orders), doorstep, under_way: TaskTracker::new() })
    }

    /// Starts a keeper. Cancel-safe: what has been started for nobody ends at once.
    ///
    /// # Errors
    /// As the start itself.
    pub(super) async fn start(&self, start: Start) -> io::Result<Started> {
        let gone = || io::Error::other("the spawner thread has ended");
        let (answer, answered) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        let token = self.under_way.token();
        orders.send(Order { start, answer, token }).await.map_err(|_| gone())?;
        self.doorstep.wake();
        answered.await.map_err(|_| gone())?
    }

    /// Waits until every keeper has ended and nothing of it is left, those started for nobody too; no longer than it
    /// takes to find that one can't even be killed. Cancel-safe.
    ///
    /// # Errors
    /// When one lives on.
    pub(super) async fn last_ended(&self) -> io::Result<()> {
        self.under_way.close();
        let left =
            || io::Error::new(io::ErrorKind::TimedOut, format!("{} keepers live on", self.under_way.len()));
        timeout(2 * PATIENCE, self.under_way.wait()).await.map_err(|_| left())
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders = None;
        self.doorstep.wake();
    }
}

/// Runs `work` on a thread of its own. Where the system gives none, what is left is found by a later sweep.
fn clean_up(work: impl FnOnce() + Send + 'static) {
    drop(thread::Builder::new().name("ostler-cleaner".to_owned()).spawn(work));
}

/// The thread's own state.
struct Nursery {
    poll: OwnedFd,
    wake: Arc<OwnedFd>,
    incoming: mpsc::Receiver<Order>,
    /// Whether further orders can come.
    open: bool,
    children: HashMap<u64, Charge>,
    doorstep: Arc<Doorstep>,
    abandoned: Abandoned,
}

/// A keeper that runs.
struct Charge {
    child: Child,
    /// In the epoll as long as it is here.
    pidfd: Arc<OwnedFd>,
    ended: watch::Sender<Option<Ended>>,
    /// Let go of when nothing of the runtime is left.
    token: TaskTrackerToken,
}

impl Nursery {
    fn run(mut self) {
        let mut events = Vec::with_capacity(64);
        while self.open || !self.children.is_empty() {
            let longest = self.abandoned.wait(Instant::now());
            match epoll::wait(&self.poll, spare_capacity(&mut events), longest.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // Not one of the reasons the call may fail for applies to these descriptors. Ending would kill
                // every keeper, so give the system time instead.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    WAKE => self.take_orders(),
                    pid => self.reap(pid),
                }
            }
            self.abandoned.look(Instant::now());
        }
    }

    fn take_orders(&mut self) {
        let mut count = [0; 8];
        // The count is of no interest, and the orders are looked at whatever it is.
        let _ = rustix::io::read(&*self.wake, &mut count);
        loop {
            match self.incoming.try_recv() {
                Ok(order) => self.take(order),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.open = false;
                    return;
                }
            }
        }
    }

    fn take(&mut self, order: Order) {
        let Order { start, answer, token } = order;
        if answer.is_closed() {
            return;
        }
        let started = start.run().and_then(|(child, control, data)| {
            let (cgroups, quota) = (child.remains.cgroups.clone(), child.quota.clone());
            let keeper = self.adopt(child, token)?;
            Ok(Started { keeper, control, data, cgroups, quota })
        });
        // Nobody waits for it any more: the keeper's drop ends it.
        drop(answer.send(started));
    }

    /// Keeps watch over a new child.
    fn adopt(&mut self, mut child: Child, token: TaskTrackerToken) -> io::Result<Keeper> {
        let key = u64::from(child.process.id());
        let watched = Pid::from_raw(child.process.id().cast_signed())
            .ok_or(Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .and_then(|pidfd| {
                let data = epoll::EventData::new_u64(key);
                epoll::add(&self.poll, &pidfd, data, epoll::EventFlags::IN).map(|()| pidfd)
            });
        match watched {
            Ok(pidfd) => {
                let pidfd = Arc::new(pidfd);
                let (ended, end) = watch::channel(None);
                self.children.insert(key, Charge { child, pidfd: Arc::clone(&pidfd), ended, token });
                Ok(Keeper::new(pidfd, end, Arc::clone(&self.doorstep)))
            }
            Err(error) => {
                // Both can only fail for a child that is not there.
                let _ = child.process.kill();
                let _ = child.process.wait();
                child.remains.remove();
                Err(error.into())
            }
        }
    }

    fn reap(&mut self, key: u64) {
        let Some(charge) = self.children.get_mut(&key) else {
            return;
        };
        end_group(&charge.pidfd, key);
        let cause = match charge.child.process.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => cause(status),
            // The application reaps all children itself, or ignores their end.
            Err(_) => "end not seen".to_owned(),
        };
        if let Some(charge) = self.children.remove(&key) {
            // A copy of the pidfd lives on with the keeper's handle, so closing ours would not remove it.
            let _ = epoll::delete(&self.poll, &*charge.pidfd);
            let Charge { child: Child { log, remains, .. }, ended, token, .. } = charge;
            let said = log.tail();
            if remains.are_gone() {
                ended.send_replace(Some(Ended { cause, said, left: None }));
                return;
            }
            // The keeper was killed. Cleaning up in its place may take long, and others wait for this thread.
            clean_up(move || {
                let left = (!remains.remove().is_empty()).then(|| Arc::new(remains));
                ended.send_replace(Some(Ended { cause, said, left }));
                drop(token);
            });
        }
    }
}

/// Kills what is left in the process group of a keeper that has ended: a child that was stopped before its first step is
/// not yet tied to it, and would stay for good.
fn end_group(pidfd: &OwnedFd, pid: u64) {
    // The keeper has led the group since its own first steps. It is looked at and not reaped, so that neither number can
    // have come to mean anybody else.
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if let Ok(Some(_)) = waitid(WaitId::PidFd(pidfd.as_fd()), peek)
        && let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw)
    {
        // There is none, most often; if there is, all in it are of this runtime.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::cgroup::Cgroups;
    use super::super::program::Program;
    use super::*;
    use crate::model::{Limits, ProcessSpec};

    const SOON: Duration = Duration::from_secs(20);
    const NO_LIMITS: Limits =
        Limits { memory: None, pids: None, cpus: None, file_size: None, open_files: None };

    /// Starts a script in place of a keeper, and waits until it is ready for signals.
    async fn start(spawner: &Spawner, directory: &Path, trap: &str, rest: &str) -> Keeper {
        let up = directory.join("up");
        let script = format!("trap {trap} TERM; : > {}; {rest}", up.display());
        let start = Start {
            program: Arc::new(Program::stand_in(directory, &script)),
            cgroups: Arc::new(Cgroups::discover(&NO_LIMITS, "test".to_owned())),
            spec: Arc::new(ProcessSpec::default()),
            limits: Arc::new(NO_LIMITS),
            name: "test".to_owned(),
            workspace: "/nonexistent".into(),
        };
        let Started { keeper, .. } = spawner.start(start).await.expect("starts");
        let ready = async {
            while !up.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SOON, ready).await.expect("comes up");
        keeper
    }

    #[tokio::test]
    async fn a_keeper_that_does_not_listen_is_killed_once_nobody_holds_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let spawner = Spawner::with_patience(Duration::from_millis(300)).expect("starts");
        let keeper = start(&spawner, directory.path(), "''", "echo deaf >&2; exec sleep 600").await;
        let held = timeout(Duration::from_secs(1), keeper.end().wait()).await;
        assert!(held.is_err(), "somebody holds it, and it ended: {held:?}");
        let mut end = keeper.end();
        drop(keeper);
        let ended = timeout(SOON, end.wait()).await.expect("it lives on");
        assert_eq!((ended.cause.as_str(), ended.said.as_str()), ("keeper ended by signal 9", "deaf"));
    }

    #[tokio::test]
    async fn a_keeper_that_listens_has_time_to_clean_up() {
        let directory = tempfile::tempdir().expect("a directory");
        let spawner = Spawner::with_patience(SOON).expect("starts");
        let clean_up = "'sleep 1; echo clean >&2; exit 3'";
        let keeper = start(&spawner, directory.path(), clean_up, "while :; do sleep 0.1; done").await;
        let mut end = keeper.end();
        drop(keeper);
        let ended = timeout(SOON, end.wait()).await.expect("it lives on");
        assert_eq!((ended.cause.as_str(), ended.said.as_str()), ("exit status 3", "clean"));
    }
}
