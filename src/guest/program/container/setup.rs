use std::os::fd::AsFd;

use crate::protocol::{ContainerSetup, SetupFrames};
use crate::stream::Stream;
use crate::sys::poll::{Interest, Poll};
use crate::sys::signal::{self, Signals};

use super::failed;

/// What comes before the guest serves.
#[derive(Debug)]
pub(super) enum Heard {
    Setup(Box<ContainerSetup>),
    /// The engine wants it to end.
    Term,
}

const SIGNALS: u64 = 0;
const CONTROL: u64 = 1;

/// Waits for the setup.
///
/// # Errors
/// When the host has gone or makes no sense.
pub(super) fn hear(control: &mut Stream) -> Result<Heard, String> {
    let signals = Signals::new(&[signal::TERM]).map_err(failed("take signals"))?;
    let poll = Poll::new().map_err(failed("make a poll"))?;
    poll.add(signals.as_fd(), SIGNALS, Interest::Read).map_err(failed("wait for signals"))?;
    poll.add(control.socket(), CONTROL, Interest::Read).map_err(failed("wait for the setup"))?;
    let mut frames = SetupFrames::default();
    let mut events = Vec::new();
    loop {
        poll.wait(&mut events, None).map_err(failed("wait for the setup"))?;
        for event in &events {
            if event.token == CONTROL {
                control.note(*event);
            } else if !signals.take().map_err(failed("take signals"))?.is_empty() {
                return Ok(Heard::Term);
            }
        }
        while control.is_busy() {
            if !control.backlog {
                control.receive().map_err(|_| "the host has gone before the setup".to_owned())?;
            }
            while let Some(frame) = control.input.cut().map_err(|wrong| wrong.to_string())? {
                if let Some(setup) = frames.take(&frame).map_err(|wrong| wrong.to_string())? {
                    return Ok(Heard::Setup(Box::new(setup)));
                }
            }
            control.backlog = false;
        }
    }
}
