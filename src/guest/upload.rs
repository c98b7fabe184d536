use std::future::poll_fn;
use std::task::Poll;

use super::reply::{Step, step};
use super::{Call, Session, WireError};
use crate::protocol::{Done, Malformed, Request};

/// Bytes that the guest must take within the time it has for a word.
const PART: usize = 1 << 20;

/// An operation that is given bytes and then says that it is done.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    session: &'a Session,
    call: Box<dyn Call>,
}

impl<'a> Upload<'a> {
    pub(super) fn start(session: &'a Session, request: Request) -> Result<Self, WireError> {
        Ok(Self { session, call: session.call(request)? })
    }

    /// Gives it all of `bytes`, or learns why it wants no more.
    pub(super) async fn give(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        for part in bytes.chunks(PART) {
            self.give_part(part).await?;
        }
        Ok(())
    }

    async fn give_part(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        let call = &mut self.call;
        let given = poll_fn(|cx| {
            while !bytes.is_empty() {
                match call.poll_input(cx, bytes) {
                    Poll::Ready(Ok(count)) => bytes = &bytes[count..],
                    // Refused or stuck: the reply says whether and why it has ended.
                    Poll::Ready(Err(_)) | Poll::Pending => {
                        return call.poll_reply(cx).map(|reply| match step(reply?)? {
                            Step::Data(..) | Step::Done(_) => {
                                Err(Malformed("an end before the input's").into())
                            }
                        });
                    }
                }
            }
            Poll::Ready(Ok(()))
        });
        let given = self.session.clock().within(self.session.defaults.file_timeout, given).await;
        self.session.seen(given)
    }

    /// That was all; waits until it is done.
    pub(super) async fn finish(mut self) -> Result<(), WireError> {
        self.call.end_input()?;
        self.wait().await
    }

    /// Waits until it is done.
    pub(super) async fn wait(&mut self) -> Result<(), WireError> {
        match self.session.next(self.call.as_mut()).await? {
            Step::Done(Done::Unit) => Ok(()),
            Step::Done(_) | Step::Data(..) => Err(self.session.nonsense("not how an upload ends")),
        }
    }
}
