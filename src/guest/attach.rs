use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use crate::protocol::{Lane, Mux};

/// Bytes read at once.
const READ: usize = 64 << 10;

/// Rounds before others on the thread get a turn.
const ROUNDS: usize = 16;

/// Both streams into a guest behind one: its container's stdin and stdout.
#[derive(Debug)]
pub struct Attached {
    /// The control stream.
    pub control: UnixStream,
    /// The data stream.
    pub data: UnixStream,
    /// Moves the bytes. Ends when both streams are closed on our side, when the guest's side has ended, or with
    /// the reason why it could not go on; both streams are closed then. Goes on when this is dropped.
    pub pump: JoinHandle<io::Result<()>>,
}

/// Takes an attach stream apart. What is written to it is the guest's stdin; what is read from it must be the
/// guest's stdout, without its stderr and without an engine's headers. The bytes are moved on the current tokio
/// runtime.
///
/// # Errors
/// The system's, when there are no sockets to be had. There must be a current tokio runtime.
pub fn attach<S>(stream: S) -> io::Result<Attached>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let ((control, its_control), (data, its_data)) = (UnixStream::pair()?, UnixStream::pair()?);
    let mut work = Work {
        stream: Box::pin(stream),
        unflushed: false,
        guest_ended: false,
        locals: [Local::new(its_control)?, Local::new(its_data)?],
        mux: Mux::new(),
        scratch: vec![0; READ],
    };
    let pump = runtime.spawn(async move { poll_fn(|cx| work.poll(cx)).await });
    Ok(Attached { control, data, pump })
}

struct Work<S> {
    stream: Pin<Box<S>>,
    /// Whether the stream may hold back what was written to it.
    unflushed: bool,
    guest_ended: bool,
    locals: [Local; 2],
    mux: Mux,
    scratch: Vec<u8>,
}

/// Our end of one of the two streams.
struct Local {
    socket: tokio::net::UnixStream,
    /// Whether nobody reads what is written to it.
    deaf: bool,
}

/// Whether bytes keep moving.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Some,
    None,
}

impl<S: AsyncRead + AsyncWrite> Work<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            let mut moved = self.receive(cx)?;
            for lane in Lane::BOTH {
                if self.serve(lane, cx) == Moved::Some {
                    moved = Moved::Some;
                }
            }
            if self.send(cx)? == Moved::Some {
                moved = Moved::Some;
            }
            if self.guest_ended && Lane::BOTH.iter().all(|lane| self.mux.incoming(*lane).is_empty()) {
                return Poll::Ready(Ok(()));
            }
            if self.mux.is_finished() && !self.unflushed {
                return self.stream.as_mut().poll_shutdown(cx);
            }
            if moved == Moved::None {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> io::Result<Moved> {
        if self.guest_ended {
            return Ok(Moved::None);
        }
        let mut buffer = ReadBuf::new(&mut self.scratch);
        let Poll::Ready(read) = self.stream.as_mut().poll_read(cx, &mut buffer) else {
            return Ok(Moved::None);
        };
        read?;
        self.guest_ended = buffer.filled().is_empty();
        self.mux.receive(buffer.filled()).map_err(io::Error::other)?;
        Ok(Moved::Some)
    }

    /// Moves a piece each way between the mux and one of the two streams.
    fn serve(&mut self, lane: Lane, cx: &mut Context<'_>) -> Moved {
        let local = &mut self.locals[lane as usize];
        let mut moved = Moved::None;
        if let Poll::Ready(count) = local.poll_write(cx, self.mux.incoming(lane)) {
            self.mux.take(lane, count);
            moved = if count > 0 { Moved::Some } else { moved };
        }
        if self.mux.has_ended(lane) && !local.deaf {
            local.deaf = true;
            // It fails when our side is closed, which shows below.
            let _ = Pin::new(&mut local.socket).poll_shutdown(cx);
        }
        let room = self.mux.room(lane).min(READ);
        if room > 0 {
            let mut buffer = ReadBuf::new(&mut self.scratch[..room]);
            match Pin::new(&mut local.socket).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.mux.put(lane, buffer.filled()),
                Poll::Ready(_) => self.mux.close(lane),
                Poll::Pending => return moved,
            }
            moved = Moved::Some;
        }
        moved
    }

    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<Moved> {
        if self.guest_ended {
            self.mux.sent(self.mux.output().len());
            return Ok(Moved::None);
        }
        if self.mux.output().is_empty() {
            if self.unflushed && self.stream.as_mut().poll_flush(cx)?.is_ready() {
                self.unflushed = false;
                return Ok(Moved::Some);
            }
            return Ok(Moved::None);
        }
        match self.stream.as_mut().poll_write(cx, self.mux.output())? {
            Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(count) => {
                self.mux.sent(count);
                self.unflushed = true;
                Ok(Moved::Some)
            }
            Poll::Pending => Ok(Moved::None),
        }
    }
}

impl Local {
    fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: tokio::net::UnixStream::from_std(socket)?, deaf: false })
    }

    /// Writes what it can; what nobody reads any more counts as written.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        if bytes.is_empty() || self.deaf {
            return Poll::Ready(bytes.len());
        }
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes));
        Poll::Ready(written.unwrap_or_else(|_| {
            self.deaf = true;
            bytes.len()
        }))
    }
}
