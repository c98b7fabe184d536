use std::io::{self, PipeReader, Read};
use std::process::Stdio;

use rustix::io::ioctl_fionbio;

/// Most that is kept, bytes: what comes last in a pipe that holds no more than this anyway.
const KEPT: usize = 4 << 10;
const PIPE: usize = 64 << 10;

/// What a keeper and its guest write to their error stream. Nobody reads it while they run: the pipe holds
/// what fits and the rest is dropped, so that a flood costs nothing.
#[derive(Debug)]
pub(super) struct Log(PipeReader);

impl Log {
    /// A log and the stream that fills it.
    pub(super) fn new() -> io::Result<(Self, Stdio)> {
        let (reader, writer) = io::pipe()?;
        ioctl_fionbio(&reader, true)?;
        ioctl_fionbio(&writer, true)?;
        Ok((Self(reader), writer.into()))
    }

    /// The last lines.
    pub(super) fn tail(mut self) -> String {
        let mut said = vec![0; PIPE];
        // Empty, or closed by a guest that never said anything.
        let length = self.0.read(&mut said).unwrap_or(0);
        let start = length.saturating_sub(KEPT);
        String::from_utf8_lossy(&said[start..length]).trim().to_owned()
    }
}
