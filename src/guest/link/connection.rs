use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};

use tokio::runtime::Handle;

use super::socket::Socket;
use super::state::State;
use super::wakes::Wakes;

/// One stream and everything that is under way on it.
pub(super) struct Connection {
    /// The connection's own, not pool state: only the operations of one lease, and the runtime's I/O driver on
    /// their behalf, ever meet here, and each holds it for a few calls that don't block.
    state: Mutex<State>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, home: Handle) -> io::Result<Arc<Self>> {
        stream.set_nonblocking(true)?;
        Ok(Arc::new_cyclic(|connection| {
            let readiness = Waker::from(Arc::new(Readiness(Weak::clone(connection))));
            Self { state: Mutex::new(State::new(Socket::new(stream, home, readiness))) }
        }))
    }

    /// Works on the state. What is to be woken is woken when the state is free again.
    pub(super) fn with<R>(self: &Arc<Self>, work: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let (result, unfinished) = {
            let mut state = self.lock();
            (work(&mut state, &mut wakes), state.take_unfinished())
        };
        wakes.run();
        if let Some(runtime) = unfinished {
            let this = Arc::clone(self);
            runtime.spawn(async move { this.with(State::resume) });
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoned, it is still whole: every step leaves it so, and the stream is checked frame by frame.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    /// Nothing of what is on its way, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("operations", &self.lock().operations()).finish_non_exhaustive()
    }
}

/// What a tokio runtime's I/O driver wakes when the socket is ready.
///
/// The socket is read right there, in the waking thread, and then exactly those tasks are woken whose replies
/// have come. So there is no reader task to be scheduled first, and no call that leads the others and would
/// hold them up if its owner stopped polling it. Weak, so that waiting does not keep the connection alive.
struct Readiness(Weak<Connection>);

impl Wake for Readiness {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.with(State::drive);
        }
    }
}
