use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::{Handle, Id};
use tokio::task::coop::unconstrained;

/// The socket's registrations with the tokio runtimes it is used on: as a rule one, the caller's.
///
/// There is one for each runtime in use, because only a runtime that somebody drives delivers events, and
/// nobody but the caller knows which of his runtimes that is.
#[derive(Debug, Default)]
pub(super) struct Reactors(Vec<Reactor>);

#[derive(Debug)]
struct Reactor {
    runtime: Handle,
    /// Readable only: asked for both, the kernel would wake us each time the guest reads.
    read: AsyncFd<Arc<UnixStream>>,
    /// There while the socket is full. A duplicate, for one descriptor can be registered only once.
    write: Option<AsyncFd<UnixStream>>,
}

impl Reactors {
    pub(super) fn knows(&self, runtime: Id) -> bool {
        self.0.iter().any(|reactor| reactor.runtime.id() == runtime)
    }

    /// Registers the socket with one more runtime.
    pub(super) fn add(&mut self, runtime: Handle, stream: &Arc<UnixStream>) -> io::Result<()> {
        let read = register(&runtime, Arc::clone(stream), Interest::READABLE)?;
        self.0.push(Reactor { runtime, read, write: None });
        Ok(())
    }

    /// Waits for the next bytes. `Ready` when there may be some already: then read again.
    pub(super) fn poll_readable(&mut self, waker: &Waker) -> Poll<()> {
        let mut result = Poll::Pending;
        self.0.retain(|reactor| match arm(waker, |cx| reactor.read.poll_read_ready(cx)) {
            Ok(Poll::Ready(())) => {
                result = Poll::Ready(());
                true
            }
            Ok(Poll::Pending) => true,
            // That runtime has shut down; whoever is left on another has a reactor there.
            Err(_) => false,
        });
        result
    }

    /// Waits until the socket takes more. `Ready` when it may do so already: then write again.
    pub(super) fn poll_writable(&mut self, stream: &UnixStream, waker: &Waker) -> io::Result<Poll<()>> {
        let mut result = Poll::Pending;
        for reactor in &mut self.0 {
            if reactor.write.is_none() {
                reactor.write = Some(register(&reactor.runtime, stream.try_clone()?, Interest::WRITABLE)?);
            }
            if let Some(write) = &reactor.write
                && let Ok(Poll::Ready(())) = arm(waker, |cx| write.poll_write_ready(cx))
            {
                result = Poll::Ready(());
            }
        }
        Ok(result)
    }

    /// The socket is no longer full.
    pub(super) fn forget_writable(&mut self) {
        for reactor in &mut self.0 {
            reactor.write = None;
        }
    }
}

/// Forgets that the socket was ready and asks to be told when it is so again.
fn arm<'a, T: AsRawFd + 'a>(
    waker: &Waker,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>>,
) -> io::Result<Poll<()>> {
    // Out of budget, tokio would wake the waker on the spot, and that one wants the lock we hold.
    let mut ready = pin!(unconstrained(poll_fn(|cx| poll(cx).map_ok(|mut guard| guard.clear_ready()))));
    match ready.as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Ready(result) => result.map(Poll::Ready),
        Poll::Pending => Ok(Poll::Pending),
    }
}

#[expect(deprecated, reason = "its successor is unsafe; a stream we own keeps its descriptor open")]
fn register<T: AsRawFd>(runtime: &Handle, stream: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    let _inside = runtime.enter();
    AsyncFd::with_interest(stream, interest)
}
