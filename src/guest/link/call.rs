use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

use super::connection::Connection;
use crate::guest::{Call, WireError};
use crate::protocol::{Input, Reply};

/// One operation on a [`Link`](super::Link). Dropped before its end, it is cancelled.
#[derive(Debug)]
pub(super) struct LinkCall {
    /// Kept open while there are calls.
    connection: Arc<Connection>,
    op: u64,
    input_ended: bool,
}

impl LinkCall {
    pub(super) fn new(connection: Arc<Connection>, op: u64) -> Self {
        Self { connection, op, input_ended: false }
    }
}

impl Call for LinkCall {
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, WireError>> {
        // A guest that always has an answer ready must not keep the caller's neighbours waiting.
        let turn = ready!(poll_proceed(cx));
        let result = self.connection.with(|state, wakes| state.poll_reply(self.op, cx, wakes));
        if result.is_ready() {
            turn.made_progress();
        }
        result
    }

    fn poll_input(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, WireError>> {
        let turn = ready!(poll_proceed(cx));
        let result = self.connection.with(|state, wakes| state.poll_input(self.op, cx, bytes, wakes));
        if result.is_ready() {
            turn.made_progress();
        }
        result
    }

    fn end_input(&mut self) -> Result<(), WireError> {
        if !self.input_ended {
            self.connection.with(|state, wakes| state.tell(self.op, &Input::End, wakes))?;
            self.input_ended = true;
        }
        Ok(())
    }

    fn signal(&mut self, signal: u32) -> Result<(), WireError> {
        self.connection.with(|state, wakes| state.tell(self.op, &Input::Signal(signal), wakes))
    }
}

impl Drop for LinkCall {
    fn drop(&mut self) {
        drop(self.connection.with(|state, wakes| state.give_up(self.op, wakes)));
    }
}
