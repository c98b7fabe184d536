//! The wire over a unix socket.
//!
//! ```text
//!  call() ──▶ Outbox ──▶ socket ──▶ guest ──▶ socket ──▶ FrameBuffer ──▶ Operation's inbox ──▶ poll_reply()
//!             bounded              (credit)    ▲ read by the I/O driver of the caller's    a window at most
//!                                              │ runtime, in the thread it wakes
//! ```
//!
//! A round trip costs two thread wake-ups, the guest's and ours, and no task in between: the socket is
//! registered with the runtime the caller is on, and the bytes are read and sorted where that runtime's I/O
//! driver notices them. [`Wire::end`] deregisters it, so that the next lease may live on another runtime. A
//! caller without a runtime is served by the one the link was made on.

mod call;
mod connection;
mod operation;
mod outbox;
mod reactor;
mod socket;
mod state;
mod table;
mod wakes;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use self::call::LinkCall;
use self::connection::Connection;
use self::state::State;
use super::clock::Clock;
use super::reply::answer;
use super::{Call, Wire, WireError};
use crate::model::Epoch;
use crate::protocol::{Done, Hello, Malformed, Request, VERSION, Welcome};

/// A [`Wire`] over a unix socket.
///
/// Used from within a tokio runtime, that runtime must have I/O and time enabled.
#[derive(Debug)]
pub struct Link {
    connection: Arc<Connection>,
    home: Handle,
}

impl Link {
    /// A link over a connected stream; the current tokio runtime also serves callers that have none.
    ///
    /// # Errors
    /// When there is no current tokio runtime, or the stream can't be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<Arc<Self>> {
        let home = Handle::try_current().map_err(io::Error::other)?;
        Self::with_home(stream, home)
    }

    /// A link over a connected stream; `home` serves callers that have no tokio runtime of their own.
    ///
    /// # Errors
    /// When the stream can't be made non-blocking.
    pub fn with_home(stream: UnixStream, home: Handle) -> io::Result<Arc<Self>> {
        let connection = Connection::new(stream, home.clone())?;
        Ok(Arc::new(Self { connection, home }))
    }

    /// Greets the guest, which must come before anything else on a stream. Not cancel-safe: dropped before its
    /// end, the link is of no use.
    ///
    /// # Errors
    /// [`WireError::Silent`] when there is no answer within `timeout`, [`WireError::Protocol`] when the guest
    /// speaks another version, or as [`Wire::call`].
    pub async fn hello(&self, timeout: Duration) -> Result<Welcome, WireError> {
        let clock = Clock::new(Some(&self.home));
        match clock.within(timeout, answer(self, Request::Hello(Hello { version: VERSION }))).await? {
            Done::Welcome(welcome) if welcome.version == VERSION => Ok(welcome),
            Done::Welcome(_) => Err(Malformed("speaks another version").into()),
            _ => Err(Malformed("not the answer to a hello").into()),
        }
    }

    /// Operations that have neither been read to their end nor dropped.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.connection.with(|state, _| state.operations())
    }
}

impl Wire for Link {
    fn call(&self, request: Request) -> Result<Box<dyn Call>, WireError> {
        let op = self.connection.with(|state, wakes| state.open(&request, wakes))?;
        Ok(Box::new(LinkCall::new(Arc::clone(&self.connection), op)))
    }

    fn begin(&self, epoch: Epoch) {
        drop(self.connection.with(|state, wakes| state.begin(epoch, wakes)));
    }

    fn end(&self) {
        drop(self.connection.with(State::end));
    }

    fn is_tainted(&self) -> bool {
        self.connection.with(|state, _| state.is_tainted())
    }

    fn taint(&self) {
        self.connection.with(|state, _| state.taint());
    }
}

/// Both wires of a runtime, greeted: for a backend that has two connected streams into its guest. The current
/// tokio runtime serves callers that have none.
///
/// # Errors
/// As [`Link::hello`]; [`WireError::Lost`] when there is no current tokio runtime.
pub async fn connect(
    control: UnixStream,
    data: UnixStream,
    timeout: Duration,
) -> Result<(Arc<dyn Wire>, Arc<dyn Wire>), WireError> {
    let (control, data) = (Link::new(control)?, Link::new(data)?);
    control.hello(timeout).await?;
    data.hello(timeout).await?;
    // What was only for the greeting: the data wire belongs to no runtime until it is leased.
    data.end();
    Ok((control, data))
}
