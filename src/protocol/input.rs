use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};

/// What the host sends about an operation that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes for it.
    Data(Vec<u8>),
    /// No more bytes.
    End,
    /// This many bytes of its output have been used up.
    Credit(u32),
    /// A signal for its process group.
    Signal(u32),
    /// Kill its whole tree; nothing more about it is wanted.
    Cancel,
}

impl Input {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, op: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Data(data) => encode_frame(out, Kind::Input, op, |out| out.extend_from_slice(data)),
            Self::End => encode_frame(out, Kind::InputEnd, op, |_| {}),
            Self::Credit(bytes) => encode_frame(out, Kind::Credit, op, |out| {
                Encoder::new(out).u32(*bytes);
            }),
            Self::Signal(signal) => encode_frame(out, Kind::Signal, op, |out| {
                Encoder::new(out).u32(*signal);
            }),
            Self::Cancel => encode_frame(out, Kind::Cancel, op, |_| {}),
        }
    }

    /// What a frame says about a running operation; `None` when it says something else.
    ///
    /// # Errors
    /// When the payload does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Option<Self>, Malformed> {
        let mut d = Decoder::new(frame.payload);
        let input = match frame.kind {
            Kind::Input => return Ok(Some(Self::Data(frame.payload.to_vec()))),
            Kind::InputEnd => Self::End,
            Kind::Credit => Self::Credit(d.u32()?),
            Kind::Signal => Self::Signal(d.u32()?),
            Kind::Cancel => Self::Cancel,
            _ => return Ok(None),
        };
        d.end()?;
        Ok(Some(input))
    }
}
