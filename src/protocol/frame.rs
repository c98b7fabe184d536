use super::codec::Malformed;

/// Bytes before the payload.
pub const HEADER: usize = 16;

/// The largest payload. Bounds what one frame can make the other end hold.
pub const MAX_PAYLOAD: usize = 256 << 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal),* $(,)?) => {
        /// What a frame is about. Below 0x40 the host opens an operation, below 0x80 the host speaks about one
        /// that runs, from 0x80 the guest speaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $value,)*
        }

        impl Kind {
            /// The kind of a header's byte.
            pub fn from_byte(byte: u8) -> Result<Self, Malformed> {
                match byte {
                    $($value => Ok(Self::$name),)*
                    _ => Err(Malformed("unknown kind")),
                }
            }
        }
    };
}

kinds! {
    /// First frame of a stream: version and who speaks.
    Hello = 0x01,
    /// Are you there, and how are you?
    Ping = 0x02,
    /// Run a program.
    Exec = 0x03,
    /// Read a file or a part of it.
    Read = 0x04,
    /// Write a file, at once or replaced in one step.
    Write = 0x05,
    /// List a directory.
    List = 0x06,
    /// Describe one path.
    Stat = 0x07,
    /// Remove a file or a tree.
    Remove = 0x08,
    /// Make a directory and its parents.
    MakeDir = 0x09,
    /// Make a symbolic link.
    Link = 0x0a,
    /// Kill everything, wipe everything, end the epoch.
    Reset = 0x0b,
    /// End the guest.
    Shutdown = 0x0c,
    /// To the keeper, before there is a guest: how to isolate it.
    Setup = 0x0d,
    /// To the guest in a container, before it serves: its surroundings.
    ContainerSetup = 0x0e,
    /// Before that: a file to write.
    Secret = 0x0f,

    /// Bytes for the operation's input.
    Input = 0x40,
    /// No more input.
    InputEnd = 0x41,
    /// The receiver of `Data` or `Input` has used up this many bytes. Both directions.
    Credit = 0x42,
    /// Send a signal to the operation's process group.
    Signal = 0x43,
    /// Kill the operation's whole tree and forget it.
    Cancel = 0x44,

    /// Bytes the operation produced.
    Data = 0x80,
    /// The operation ended; its result.
    Done = 0x81,
    /// The operation was refused or failed; why.
    Failed = 0x82,
    /// From the keeper, before the guest speaks: what there is, or why there is nothing.
    SetupReport = 0x83,
    /// From the guest in a container, before it serves: what there is, or why it does not.
    ContainerReport = 0x84,
}

/// One frame, its payload borrowed from the buffer it arrived in.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is about.
    pub kind: Kind,
    /// Which operation.
    pub op: u64,
    /// The rest.
    pub payload: &'a [u8],
}

/// Appends one frame to `out`; `payload` writes the payload.
///
/// # Errors
/// When the payload is longer than [`MAX_PAYLOAD`]; `out` is then as it was.
pub fn encode_frame(
    out: &mut Vec<u8>,
    kind: Kind,
    op: u64,
    payload: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Malformed> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    payload(out);
    let length = out.len() - start - HEADER;
    match u32::try_from(length) {
        Ok(prefix) if length <= MAX_PAYLOAD => {
            out[start..start + 4].copy_from_slice(&prefix.to_le_bytes());
            out[start + 4] = kind as u8;
            out[start + 8..start + HEADER].copy_from_slice(&op.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(Malformed("payload is too long"))
        }
    }
}

/// How long the payload behind this header is, for whoever must not read a byte beyond one frame.
///
/// # Errors
/// When it is longer than [`MAX_PAYLOAD`].
pub fn payload_length(header: &[u8; HEADER]) -> Result<usize, Malformed> {
    let [l0, l1, l2, l3, ..] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_PAYLOAD { Err(Malformed("frame is too long")) } else { Ok(length) }
}

/// Collects bytes as they arrive and cuts them into frames. Holds at most one frame beyond what it was last
/// given.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl FrameBuffer {
    /// An empty buffer; allocates on first use.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// Adds what was read.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.compact();
        self.bytes.extend_from_slice(bytes);
    }

    /// Lets `read` append to the buffer, for readers that fill a vector themselves.
    pub fn fill<R>(&mut self, read: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.compact();
        read(&mut self.bytes)
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// When the header is not one. The stream is then beyond repair.
    pub fn cut(&mut self) -> Result<Option<Frame<'_>>, Malformed> {
        let Some((header, rest)) = self.bytes[self.start..].split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = payload_length(header)?;
        let [_, _, _, _, kind, z0, z1, z2, o0, o1, o2, o3, o4, o5, o6, o7] = *header;
        if [z0, z1, z2] != [0; 3] {
            return Err(Malformed("reserved bytes are not zero"));
        }
        let kind = Kind::from_byte(kind)?;
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        self.start += HEADER + length;
        Ok(Some(Frame { kind, op: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]), payload }))
    }

    /// Bytes held that are not yet a whole frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn compact(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was cut off is let go of, and bytes are not moved for every frame.
    #[test]
    fn a_buffer_holds_little_more_than_what_is_not_yet_cut() {
        let mut frames = Vec::new();
        for op in 0..10 {
            encode_frame(&mut frames, Kind::Ping, op, |_| {}).unwrap();
        }
        let mut buffer = FrameBuffer::new();
        buffer.extend(&frames);
        let cut = |buffer: &mut FrameBuffer, count| {
            (0..count).for_each(|_| assert!(buffer.cut().unwrap().is_some()));
            buffer.extend(&[]);
            (buffer.start / HEADER, buffer.bytes.len() / HEADER)
        };
        assert_eq!(cut(&mut buffer, 4), (4, 10), "less than half is not worth the move");
        assert_eq!(cut(&mut buffer, 1), (0, 5));
        assert_eq!(cut(&mut buffer, 2), (2, 5));
        assert_eq!(cut(&mut buffer, 3), (0, 0));
        buffer.fill(|bytes| bytes.extend_from_slice(&frames));
        assert_eq!(buffer.pending(), frames.len());
        assert_eq!(cut(&mut buffer, 10), (0, 0));
    }
}
