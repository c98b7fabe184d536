//! The guest's end: whatever the host's stream brings is a request, or the end of the stream. What was understood
//! is written the same way again.

use ostler::protocol::{
    ContainerReport, Frame, FrameBuffer, Input, MAX_PAYLOAD, Malformed, Request, Setup, SetupFrames,
    SetupReport,
};

/// Takes the bytes as they would come from a socket, in pieces.
pub(crate) fn run(data: &[u8]) {
    let (mut frames, mut setup) = (FrameBuffer::new(), SetupFrames::default());
    for piece in data.chunks(7) {
        frames.extend(piece);
        loop {
            match frames.cut() {
                Ok(Some(frame)) => {
                    understand(&frame);
                    let _ = setup.take(&frame).is_ok();
                }
                Ok(None) => break,
                // The stream ends here.
                Err(Malformed(_)) => return,
            }
        }
        assert!(frames.pending() <= MAX_PAYLOAD + 32, "it keeps more than a frame");
    }
}

fn understand(frame: &Frame<'_>) {
    if let Ok(Some(request)) = Request::decode(frame) {
        let mut out = Vec::new();
        request.encode(frame.op, &mut out).expect("what came in a frame fits one");
        again(&out, |frame| assert_eq!(Request::decode(frame), Ok(Some(request.clone()))));
    }
    if let Ok(Some(input)) = Input::decode(frame) {
        let mut out = Vec::new();
        input.encode(frame.op, &mut out).expect("what came in a frame fits one");
        again(&out, |frame| assert_eq!(Input::decode(frame), Ok(Some(input.clone()))));
    }
    // These come once, at the start, and are only to be refused or understood.
    let _ = (Setup::decode(frame).is_ok(), SetupReport::decode(frame).is_ok());
    let _ = ContainerReport::decode(frame).is_ok();
}

fn again(bytes: &[u8], check: impl Fn(&Frame<'_>)) {
    let mut frames = FrameBuffer::new();
    frames.extend(bytes);
    check(&frames.cut().expect("well-formed").expect("whole"));
    assert_eq!(frames.cut().map(|frame| frame.is_some()), Ok(false), "and no more than one");
}
