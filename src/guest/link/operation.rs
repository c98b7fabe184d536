use std::collections::VecDeque;
use std::task::Waker;

use crate::protocol::{Malformed, Reply, WINDOW};

/// One operation as the connection sees it: what has come for it, who waits for it, and its two windows.
#[derive(Debug)]
pub(super) struct Operation {
    /// What came and has not been taken. Holds at most a window of data, some credit and one end.
    inbox: VecDeque<Reply>,
    /// Bytes of `Data` the guest may still send.
    receive: u32,
    /// Bytes taken from the inbox and not yet credited.
    owed: u32,
    /// Bytes of `Input` we may still send.
    send: u32,
    /// Whether its end has come; nothing may come after.
    ended: bool,
    /// Who waits for a reply.
    pub(super) reader: Option<Waker>,
    /// Who waits to give input.
    pub(super) writer: Option<Waker>,
}

/// Who has to hear of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    Reader,
    Writer,
    Both,
}

impl Operation {
    pub(super) fn new() -> Self {
        Self {
            inbox: VecDeque::new(),
            receive: WINDOW,
            owed: 0,
            send: WINDOW,
            ended: false,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// A reply has come.
    pub(super) fn receive(&mut self, reply: Reply) -> Result<Concerns, Malformed> {
        if self.ended {
            return Err(Malformed("reply after the end"));
        }
        match reply {
            Reply::Credit(0) => Err(Malformed("credit of nothing")),
            Reply::Credit(bytes) => {
                let send = self.send.checked_add(bytes).filter(|&send| send <= WINDOW);
                self.send = send.ok_or(Malformed("credit for what was not sent"))?;
                Ok(Concerns::Writer)
            }
            Reply::Data(_, ref data) => {
                if data.is_empty() {
                    return Err(Malformed("data of no bytes"));
                }
                let left = u32::try_from(data.len()).ok().and_then(|count| self.receive.checked_sub(count));
                self.receive = left.ok_or(Malformed("more data than its window"))?;
                self.inbox.push_back(reply);
                Ok(Concerns::Reader)
            }
            Reply::Done(_) | Reply::Failed(_) => {
                self.ended = true;
                self.inbox.push_back(reply);
                Ok(Concerns::Both)
            }
        }
    }

    /// The next reply, if one is there, and how many bytes to credit the guest, if it is time to.
    pub(super) fn take(&mut self) -> Option<(Reply, Option<u32>)> {
        let reply = self.inbox.pop_front()?;
        if let Reply::Data(_, data) = &reply {
            // No more than a window is ever in the inbox, so this neither overflows nor truncates.
            self.owed += u32::try_from(data.len()).unwrap_or(WINDOW);
        }
        let credit = if self.owed >= WINDOW / 2 && !self.ended {
            self.receive += self.owed;
            Some(std::mem::take(&mut self.owed))
        } else {
            None
        };
        Some((reply, credit))
    }

    /// How many of `wanted` bytes of input its window takes.
    pub(super) fn admit(&self, wanted: usize) -> usize {
        wanted.min(self.send as usize)
    }

    /// So many bytes of input were sent.
    pub(super) fn spent(&mut self, count: usize) {
        self.send -= u32::try_from(count).unwrap_or(self.send).min(self.send);
    }
}
