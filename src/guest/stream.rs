use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use futures_core::Stream as AsyncStream;

use super::backstop::Backstop;
use super::exec::Source;
use super::process::Process;
use super::reply::{Step, step};
use super::wire::refused;
use super::{Call, Exec, Output, Session, Signal, Stdin, WireError};
use crate::protocol::{Done, Exited, RefusalKind, Stream};

/// A piece of a command's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// From its stdout.
    Stdout(Bytes),
    /// From its stderr.
    Stderr(Bytes),
}

/// A command that runs: its output as it comes, its stdin, its end. Dropped before its end, its whole process
/// tree is killed.
#[must_use = "dropped, it kills the command"]
pub struct ExecStream {
    session: Session,
    process: Arc<Process>,
    /// What of the command's stdin was given beforehand and not yet sent.
    feed: Feed,
    started: Instant,
    backstop: Backstop,
    silence: Silence,
    /// Bytes the guest was told to keep to, of each stream.
    cap: Option<u64>,
    /// Bytes that came, of stdout and stderr.
    delivered: [u64; 2],
    end: Option<Result<Exited, WireError>>,
}

enum Feed {
    /// There is no stdin to write to, or somebody else does.
    None,
    /// These bytes, then the end.
    Bytes(Bytes),
    /// What [`ExecStream::write`] brings.
    Open,
}

/// When the backstop may fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// At its time, whatever has come.
    Hard,
    /// When nothing came for a while after its time: the reader may have been slow, not the guest.
    SinceLast,
}

impl ExecStream {
    pub(super) fn start(session: &Session, exec: Exec, cap: Option<u64>) -> Result<Self, WireError> {
        let call = session.call(exec.request(session, cap))?;
        let timeout = exec.effective_timeout(session);
        Ok(Self {
            session: session.clone(),
            process: Arc::new(Process::new(call)),
            feed: match exec.stdin {
                Source::Null => Feed::None,
                Source::Bytes(bytes) => Feed::Bytes(bytes),
                Source::Piped => Feed::Open,
            },
            started: Instant::now(),
            backstop: Backstop::new(session.clock(), timeout),
            silence: Silence::SinceLast,
            cap,
            delivered: [0; 2],
            end: None,
        })
    }

    /// The next piece of output; none when the command has ended, for [`wait`](Self::wait) to say how. An
    /// error is last too, and `wait` says it again.
    ///
    /// Cancel-safe: nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Option<Result<Chunk, WireError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Writes all of `bytes` to its stdin, as fast as the command reads. A command whose output nobody reads
    /// may stop reading; to do both at once use [`take_stdin`](Self::take_stdin).
    ///
    /// Dropped before its end, it has written a part.
    ///
    /// # Errors
    /// A refusal when stdin is not [piped](Exec::stdin_piped), was taken, or the command has ended.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        if !matches!(self.feed, Feed::Open) {
            return Err(refused(RefusalKind::Invalid, "stdin is not open for writing here"));
        }
        while !bytes.is_empty() {
            let count = poll_fn(|cx| match self.process.with(|call| Ok(call.poll_input(cx, bytes))) {
                Ok(poll) => poll,
                Err(error) => Poll::Ready(Err(error)),
            })
            .await?;
            bytes.advance(count);
        }
        Ok(())
    }

    /// Ends its stdin, if it is open for [`write`](Self::write); else does nothing.
    ///
    /// # Errors
    /// As [`Wire::call`](super::Wire::call).
    pub fn close_stdin(&mut self) -> Result<(), WireError> {
        if matches!(self.feed, Feed::Open) {
            self.feed = Feed::None;
            self.process.with(|call| call.end_input())?;
        }
        Ok(())
    }

    /// Its stdin as a writer of its own, for another task. None when it is not piped, closed, or taken.
    pub fn take_stdin(&mut self) -> Option<Stdin> {
        if !matches!(self.feed, Feed::Open) {
            return None;
        }
        self.feed = Feed::None;
        Some(Stdin::new(Arc::clone(&self.process)))
    }

    /// Sends a signal to its process group. Harmless when it has ended.
    ///
    /// # Errors
    /// As [`Wire::call`](super::Wire::call).
    pub fn kill(&mut self, signal: Signal) -> Result<(), WireError> {
        if self.end.is_some() {
            return Ok(());
        }
        self.process.with(|call| call.signal(signal.0))
    }

    /// Waits for its end. What has not been read comes in the output, up to the pool's `output_limit` of each
    /// stream. Closes its stdin first, unless that was taken.
    ///
    /// Dropped before its end, the command is killed.
    ///
    /// # Errors
    /// As [`Session::exec`].
    pub async fn wait(mut self) -> Result<Output, WireError> {
        // An error here is found again below.
        let _ = self.close_stdin();
        self.collect().await
    }

    /// As [`wait`](Self::wait), for a caller who reads at once whatever comes.
    pub(super) async fn wait_hard(mut self) -> Result<Output, WireError> {
        self.silence = Silence::Hard;
        self.collect().await
    }

    async fn collect(&mut self) -> Result<Output, WireError> {
        let limit = self.cap.unwrap_or(self.session.defaults.output_limit);
        let mut output = Output::default();
        while let Some(chunk) = self.next().await {
            match chunk? {
                Chunk::Stdout(bytes) => output.stdout_truncated |= keep(&mut output.stdout, bytes, limit),
                Chunk::Stderr(bytes) => output.stderr_truncated |= keep(&mut output.stderr, bytes, limit),
            }
        }
        match &self.end {
            Some(Ok(exited)) => Ok(output.ended(exited, self.delivered, self.started.elapsed())),
            Some(Err(error)) => Err(error.clone()),
            None => Err(WireError::Ended),
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, WireError>>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        let feed = &mut self.feed;
        let polled = self.process.with(|call| {
            feed.pour(call, cx);
            Ok(call.poll_reply(cx))
        });
        let reply = match polled {
            Ok(Poll::Ready(reply)) => reply,
            Ok(Poll::Pending) => return self.poll_backstop(cx),
            Err(error) => Err(error),
        };
        match reply.and_then(step) {
            Ok(Step::Data(stream, data)) => match self.account(stream, data) {
                Ok(chunk) => Poll::Ready(Some(Ok(chunk))),
                Err(error) => self.fail(error),
            },
            Ok(Step::Done(Done::Exited(exited))) => {
                self.backstop.end();
                self.end = Some(Ok(exited));
                Poll::Ready(None)
            }
            Ok(Step::Done(_)) => {
                let error = self.session.nonsense("not how a command ends");
                self.fail(error)
            }
            Err(error) => self.fail(error),
        }
    }

    fn account(&mut self, stream: Stream, data: Vec<u8>) -> Result<Chunk, WireError> {
        let delivered = &mut self.delivered[usize::from(stream == Stream::Err)];
        *delivered += data.len() as u64;
        if self.cap.is_some_and(|cap| *delivered > cap) {
            return Err(self.session.nonsense("more output than asked for"));
        }
        if self.silence == Silence::SinceLast {
            self.backstop.heard();
        }
        let data = Bytes::from(data);
        Ok(match stream {
            Stream::Out => Chunk::Stdout(data),
            Stream::Err => Chunk::Stderr(data),
        })
    }

    fn poll_backstop(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, WireError>>> {
        ready!(self.backstop.poll(cx, self.session.wire.as_ref()));
        self.fail(WireError::Silent)
    }

    fn fail(&mut self, error: WireError) -> Poll<Option<Result<Chunk, WireError>>> {
        self.backstop.end();
        let failed = self.session.seen(Err(error.clone()));
        self.end = Some(failed);
        self.process.abandon();
        Poll::Ready(Some(Err(error)))
    }
}

impl Feed {
    /// Gives the command what it takes.
    fn pour(&mut self, call: &mut dyn Call, cx: &mut Context<'_>) {
        let Self::Bytes(bytes) = self else { return };
        while !bytes.is_empty() {
            match call.poll_input(cx, bytes) {
                Poll::Ready(Ok(count)) => bytes.advance(count),
                Poll::Pending => return,
                // It has ended, or worse; its reply says which.
                Poll::Ready(Err(_)) => {
                    *self = Self::None;
                    return;
                }
            }
        }
        // Its failure shows in the reply as well.
        let _ = call.end_input();
        *self = Self::None;
    }
}

impl AsyncStream for ExecStream {
    type Item = Result<Chunk, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl fmt::Debug for ExecStream {
    /// Without the bytes of stdin, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecStream")
            .field("delivered", &self.delivered)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Drop for ExecStream {
    fn drop(&mut self) {
        self.process.abandon();
    }
}

/// Appends what the limit allows; answers whether that was not all. Never makes room for more than the limit.
fn keep(kept: &mut Vec<u8>, bytes: Bytes, limit: u64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let room = limit.saturating_sub(kept.len());
    if kept.is_empty() && bytes.len() <= room {
        *kept = bytes.into();
        return false;
    }
    let more = &bytes[..bytes.len().min(room)];
    let needed = kept.len() + more.len();
    if needed > kept.capacity() {
        let whole = needed.max(kept.capacity().saturating_mul(2)).min(limit);
        kept.reserve_exact(whole - kept.len());
    }
    kept.extend_from_slice(more);
    bytes.len() > room
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubled without regard to it, what is kept would take up to twice the limit.
    #[test]
    fn what_is_kept_takes_no_more_than_the_limit() {
        let mut kept = Vec::new();
        let mut truncated = false;
        for _ in 0..4 {
            truncated = keep(&mut kept, Bytes::from(vec![b'x'; 30_000]), 100_000);
        }
        assert!(truncated && kept.len() == 100_000, "{}", kept.len());
        assert!(kept.capacity() <= 100_000, "{}", kept.capacity());
    }

    /// Grown by each piece alone, all of it would be copied for each.
    #[test]
    fn what_is_kept_is_seldom_moved() {
        let mut kept = Vec::new();
        let mut moves = 0;
        for _ in 0..1000 {
            let capacity = kept.capacity();
            assert!(!keep(&mut kept, Bytes::from_static(&[b'x'; 1000]), 2_000_000));
            moves += u32::from(kept.capacity() != capacity);
        }
        assert!(moves <= 20, "{moves}");
    }
}
