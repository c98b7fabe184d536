//! The guest's two streams, and what is behind them where they are not sockets of their own.

use crate::container::{Attach, Moved};
use crate::guest::Guest;
use crate::protocol::{Done, Refusal, Reply};
use crate::stream::{Flushed, Side, Stream};
use crate::sys::Result as SysResult;
use crate::sys::poll::Interest;
use crate::token::Token;

impl Guest {
    pub(crate) fn stream(&mut self, side: Side) -> Option<&mut Stream> {
        match side {
            Side::Control => self.control.as_mut(),
            Side::Data => self.data.as_mut(),
        }
    }

    /// Says something about an operation, if its stream is still there.
    pub(crate) fn reply(&mut self, side: Side, op: u64, result: Result<Done, Refusal>) {
        if let Some(stream) = self.stream(side) {
            stream.reply(op, &result.map_or_else(Reply::Failed, Reply::Done));
        }
    }

    /// Sends what can be sent, and lets operations go on that waited for that.
    pub(crate) fn flush(&mut self, side: Side) -> SysResult<()> {
        let stream = match side {
            Side::Control => &mut self.control,
            Side::Data => &mut self.data,
        };
        let Some(stream) = stream else {
            return Ok(());
        };
        let flushed = stream.flush();
        if stream.blocked != stream.watched {
            stream.watched = stream.blocked;
            let interest = if stream.watched { Interest::Both } else { Interest::Read };
            self.poll.change(stream.socket(), Token::Stream(side).into(), interest)?;
        }
        match flushed {
            Ok(Flushed::Steady) => {}
            Ok(Flushed::Relieved) => {
                for key in self.table.keys_of(side) {
                    self.enqueue(key);
                }
            }
            Err(_) => self.hang_up(side),
        }
        Ok(())
    }

    /// A stream has ended: the lease's operations end with theirs, everything ends with the control stream.
    pub(crate) fn hang_up(&mut self, side: Side) {
        if let Some(stream) = self.stream(side) {
            // What was said last may say why.
            let _ended = stream.flush();
        }
        match side {
            Side::Control => {
                self.control = None;
                self.leave();
            }
            Side::Data => {
                self.data = None;
                for key in self.table.keys_of(side) {
                    self.abandon(key, None);
                }
            }
        }
    }

    /// Has the streams served from behind.
    ///
    /// # Errors
    /// When its events can't be had.
    pub(crate) fn attach(&mut self, attach: Attach) -> SysResult<()> {
        self.poll.add(attach.source(), Token::Attach.into(), Interest::Read)?;
        self.attach = Some(attach);
        self.pumping = true;
        Ok(())
    }

    /// Moves bytes behind the streams, if there are any to move.
    pub(crate) fn pump(&mut self) {
        if let Some(attach) = self.attach.as_mut().filter(|_| self.pumping) {
            match attach.advance() {
                Moved::Some => {}
                Moved::None => self.pumping = false,
                // Both streams end with it, which they tell.
                Moved::Over => {
                    self.attach = None;
                    self.pumping = false;
                }
            }
        }
    }
}
