use super::byte_enum::byte_enum;
use super::codec::{Decoder, Encoder, Malformed};
use super::done::Done;
use super::frame::{Frame, Kind, encode_frame};
use super::refusal::{Refusal, RefusalKind};

/// Which output a `Data` frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A program's stdout, a file's content, a directory's entries.
    Out,
    /// A program's stderr.
    Err,
}

/// What the guest sends about an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Bytes it produced.
    Data(Stream, Vec<u8>),
    /// This many bytes of its input have been used up.
    Credit(u32),
    /// It ended.
    Done(Done),
    /// It was refused, or failed.
    Failed(Refusal),
}

byte_enum!(Stream { Out = 0, Err = 1 });

impl Reply {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, op: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Data(stream, data) => Self::encode_data(op, *stream, data, out),
            Self::Credit(bytes) => encode_frame(out, Kind::Credit, op, |out| {
                Encoder::new(out).u32(*bytes);
            }),
            Self::Done(done) => encode_frame(out, Kind::Done, op, |out| done.encode(&mut Encoder::new(out))),
            Self::Failed(refusal) => encode_frame(out, Kind::Failed, op, |out| {
                Encoder::new(out)
                    .u8(refusal.kind.to_byte())
                    .u32(refusal.errno)
                    .bytes(refusal.message.as_bytes());
            }),
        }
    }

    /// Appends a `Data` frame without copying the bytes into a reply first.
    ///
    /// # Errors
    /// When there are more than fit.
    pub fn encode_data(op: u64, stream: Stream, data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        Self::encode_data_with(op, stream, out, |out| out.extend_from_slice(data))
    }

    /// Appends a `Data` frame whose bytes `fill` appends, straight from where they come from.
    ///
    /// # Errors
    /// When there are more than fit.
    pub fn encode_data_with(
        op: u64,
        stream: Stream,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Malformed> {
        encode_frame(out, Kind::Data, op, |out| {
            out.push(stream.to_byte());
            fill(out);
        })
    }

    /// The reply a frame holds.
    ///
    /// # Errors
    /// When it holds none, or does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        let mut d = Decoder::new(frame.payload);
        let reply = match frame.kind {
            Kind::Data => {
                let stream = Stream::from_byte(d.u8()?)?;
                return Ok(Self::Data(stream, d.rest().to_vec()));
            }
            Kind::Credit => Self::Credit(d.u32()?),
            Kind::Done => Self::Done(Done::decode(&mut d)?),
            Kind::Failed => Self::Failed(Refusal {
                kind: RefusalKind::from_byte(d.u8()?)?,
                errno: d.u32()?,
                message: d.text()?,
            }),
            _ => return Err(Malformed("not a reply")),
        };
        d.end()?;
        Ok(reply)
    }
}
