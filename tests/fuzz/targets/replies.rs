//! The host's end: whatever a guest says is a reply, or the end of the stream. What was understood is written the
//! same way again.

use ostler::protocol::{Entry, FrameBuffer, Malformed, Reply};

/// Takes the bytes as one piece, as a large read brings them.
pub(crate) fn run(data: &[u8]) {
    let _ = Entry::decode_all(data).is_ok();
    let mut frames = FrameBuffer::new();
    frames.extend(data);
    loop {
        match frames.cut() {
            Ok(Some(frame)) => {
                let Ok(reply) = Reply::decode(&frame) else { continue };
                let mut out = Vec::new();
                reply.encode(frame.op, &mut out).expect("what came in a frame fits one");
                let mut again = FrameBuffer::new();
                again.extend(&out);
                let frame = again.cut().expect("well-formed").expect("whole");
                assert_eq!(Reply::decode(&frame), Ok(reply));
            }
            Ok(None) | Err(Malformed(_)) => return,
        }
    }
}
