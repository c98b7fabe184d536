use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Pieces that may wait to be written.
const QUEUE: usize = 16;

/// Writes to one of our streams from a task of its own, so that a reader who is slow holds up what is written
/// and nothing else: signals are still heard.
pub(crate) struct Sink {
    queue: mpsc::Sender<Bytes>,
    writer: JoinHandle<io::Result<()>>,
}

impl Sink {
    pub(crate) fn to(mut stream: impl AsyncWrite + Unpin + Send + 'static) -> Self {
        let (queue, mut pieces) = mpsc::channel::<Bytes>(QUEUE);
        let writer = tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                stream.write_all(&piece).await?;
                stream.flush().await?;
            }
            Ok(())
        });
        Self { queue, writer }
    }

    /// Waits for a place in the queue; `None` when writing has failed. Cancel-safe.
    pub(crate) async fn place(&self) -> Option<mpsc::Permit<'_, Bytes>> {
        self.queue.reserve().await.ok()
    }

    /// Another way in.
    pub(crate) fn queue(&self) -> mpsc::Sender<Bytes> {
        self.queue.clone()
    }

    /// Waits until all is written, as long as anybody else has a way in. Cancel-safe: dropped, what is queued is
    /// not waited for.
    ///
    /// # Errors
    /// Why writing failed.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.queue);
        self.writer.await.map_err(io::Error::other)?
    }

    /// As [`finish`](Self::finish), for so long.
    pub(crate) async fn finish_within(self, limit: Duration) -> io::Result<()> {
        tokio::time::timeout(limit, self.finish()).await.unwrap_or_else(|late| Err(late.into()))
    }
}
