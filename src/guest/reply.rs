use std::future::poll_fn;

use super::{Call, Wire, WireError};
use crate::protocol::{Done, Malformed, Reply, Request, Stream};

/// What came of an operation, step by step.
#[derive(Debug)]
pub(super) enum Step {
    Data(Stream, Vec<u8>),
    Done(Done),
}

/// The next thing a call has to say.
pub(super) async fn next(call: &mut dyn Call) -> Result<Step, WireError> {
    step(poll_fn(|cx| call.poll_reply(cx)).await?)
}

pub(super) fn step(reply: Reply) -> Result<Step, WireError> {
    match reply {
        Reply::Data(stream, data) => Ok(Step::Data(stream, data)),
        Reply::Done(done) => Ok(Step::Done(done)),
        Reply::Failed(refusal) => Err(refusal.into()),
        Reply::Credit(_) => Err(Malformed("credit is no answer").into()),
    }
}

/// Runs an operation that answers in one word.
pub(super) async fn answer(wire: &dyn Wire, request: Request) -> Result<Done, WireError> {
    let mut call = wire.call(request)?;
    match next(call.as_mut()).await? {
        Step::Done(done) => Ok(done),
        Step::Data(..) => Err(Malformed("data where none was asked for").into()),
    }
}
