use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::protocol::{Frame, FrameBuffer, HEADER, Malformed, payload_length};

/// Reads the one frame that comes first, and not a byte of what follows: that is for whoever has the stream next.
///
/// Not cancel-safe: dropped before its end, what it has read is lost.
pub(crate) async fn first_frame<T>(
    stream: &mut (impl AsyncRead + Unpin),
    decode: impl FnOnce(&Frame<'_>) -> Result<T, Malformed>,
) -> io::Result<T> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    let mut payload = vec![0; payload_length(&header).map_err(io::Error::other)?];
    stream.read_exact(&mut payload).await?;
    let mut frames = FrameBuffer::new();
    frames.extend(&header);
    frames.extend(&payload);
    let frame = frames.cut().map_err(io::Error::other)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    decode(&frame).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{MAX_PAYLOAD, SetupReport};

    fn report() -> (SetupReport, Vec<u8>) {
        let report = SetupReport { pid: 7, namespaces: true, missing: Vec::new(), failure: None };
        let mut bytes = Vec::new();
        report.encode(&mut bytes).unwrap();
        (report, bytes)
    }

    #[tokio::test]
    async fn what_follows_the_first_frame_stays_in_the_stream() {
        let (report, mut bytes) = report();
        bytes.extend_from_slice(b"next");
        let mut stream = &bytes[..];
        assert_eq!(first_frame(&mut stream, SetupReport::decode).await.unwrap(), report);
        assert_eq!(stream, b"next");
    }

    #[tokio::test]
    async fn half_a_frame_and_none_of_ours_are_refused() {
        let (_, bytes) = report();
        for end in 0..bytes.len() {
            let error = first_frame(&mut &bytes[..end], SetupReport::decode).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {end}");
        }
        let mut long = bytes.clone();
        long[..4].copy_from_slice(&u32::try_from(MAX_PAYLOAD + 1).unwrap().to_le_bytes());
        let mut other = bytes;
        other[4] = crate::protocol::Kind::Done as u8;
        for wrong in [long, other] {
            let error = first_frame(&mut &wrong[..], SetupReport::decode).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
        }
    }
}
