use std::io;

use bytes::Bytes;
use ostler::guest::WireError;
use ostler::{Chunk, ExecStream, Output, Signal};
use tokio::io::{stderr, stdout};

use crate::sink::Sink;

/// Passes a command's output to our own streams as it comes, and no faster than they take it.
pub(super) struct Relay {
    stream: ExecStream,
    stdout: Sink,
    stderr: Sink,
    /// What was read and has no place yet.
    pending: Option<Chunk>,
}

/// What came of one step.
pub(super) enum Step {
    /// A piece of output is on its way.
    Passed,
    /// Nobody takes our output any more; [`Relay::finish`] says why.
    Stuck,
    /// The command could not be run, or was lost.
    Failed(WireError),
    /// It has ended.
    Ended,
}

impl Relay {
    pub(super) fn new(stream: ExecStream) -> Self {
        Self { stream, stdout: Sink::to(stdout()), stderr: Sink::to(stderr()), pending: None }
    }

    /// Reads a piece of output and passes it on. Cancel-safe.
    pub(super) async fn step(&mut self) -> Step {
        if self.pending.is_none() {
            match self.stream.next().await {
                Some(Ok(chunk)) => self.pending = Some(chunk),
                Some(Err(error)) => return Step::Failed(error),
                None => return Step::Ended,
            }
        }
        let sink = match &self.pending {
            Some(Chunk::Stderr(_)) => &self.stderr,
            _ => &self.stdout,
        };
        let Some(place) = sink.place().await else { return Step::Stuck };
        if let Some(chunk) = self.pending.take() {
            place.send(bytes(chunk));
        }
        Step::Passed
    }

    /// Sends the command a signal.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<(), WireError> {
        self.stream.kill(signal)
    }

    /// Kills the command if it still runs, and waits until what it wrote is written.
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.stream);
        written(self.stdout, self.stderr).await
    }

    /// After [`Step::Ended`]: how the command ended, and whether all it wrote is written.
    pub(super) async fn end(self) -> Result<(Output, io::Result<()>), WireError> {
        let written = written(self.stdout, self.stderr).await;
        self.stream.wait().await.map(|output| (output, written))
    }
}

async fn written(stdout: Sink, stderr: Sink) -> io::Result<()> {
    let (out, err) = tokio::join!(stdout.finish(), stderr.finish());
    out.and(err)
}

fn bytes(chunk: Chunk) -> Bytes {
    match chunk {
        Chunk::Stdout(bytes) | Chunk::Stderr(bytes) => bytes,
    }
}
