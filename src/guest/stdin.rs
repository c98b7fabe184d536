use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::WireError;
use super::process::Process;

/// The stdin of a running command, from [`ExecStream::take_stdin`](super::ExecStream::take_stdin). Dropped or
/// shut down, it is closed. Writing to a command that has ended is a broken pipe.
#[derive(Debug)]
pub struct Stdin {
    process: Arc<Process>,
}

impl Stdin {
    pub(super) fn new(process: Arc<Process>) -> Self {
        Self { process }
    }
}

impl AsyncWrite for Stdin {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match self.process.with(|call| Ok(call.poll_input(cx, bytes))) {
            Ok(poll) => poll.map_err(broken),
            Err(error) => Poll::Ready(Err(broken(error))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.process.end_input();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        self.process.end_input();
    }
}

fn broken(error: WireError) -> io::Error {
    match error {
        WireError::Refused(_) | WireError::Ended => io::Error::new(io::ErrorKind::BrokenPipe, error),
        _ => io::Error::other(error),
    }
}
