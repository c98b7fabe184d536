use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, DuplexStream, ReadBuf, duplex};

use crate::guest::{Session, WireError};

/// Bytes packed ahead of the reader.
const AHEAD: usize = 128 << 10;

type Work = Pin<Box<dyn Future<Output = Result<u64, WireError>> + Send>>;

/// A directory as a tar stream, from [`Session::copy_out`]. It is packed as it is read; dropped before its
/// end, no more is read from the runtime.
#[must_use = "nothing is packed until it is read"]
pub struct CopyOut {
    /// Writes to the other end of `pipe`; none once it is done.
    work: Option<Work>,
    pipe: DuplexStream,
}

impl CopyOut {
    pub(super) fn new(session: Session, dir: PathBuf) -> Self {
        let (pipe, end) = duplex(AHEAD);
        let work = Box::pin(async move { session.copy_out_to(dir, end).await });
        Self { work: Some(work), pipe }
    }
}

impl AsyncRead for CopyOut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(result) = work.as_mut().poll(cx)
        {
            self.work = None;
            result.map_err(io::Error::other)?;
        }
        Pin::new(&mut self.pipe).poll_read(cx, buffer)
    }
}

impl fmt::Debug for CopyOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOut").field("done", &self.work.is_none()).finish_non_exhaustive()
    }
}
