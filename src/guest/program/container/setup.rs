use std::os::fd::AsFd;
use std::time::Duration;

use crate::protocol::{ContainerSetup, SetupFrames};
use crate::stream::Stream;
use crate::sys::poll::{Interest, Poll};
use crate::sys::signal::{self, Signals};

use super::{Attach, Moved, failed};

/// What comes before the guest serves.
#[derive(Debug)]
pub(super) enum Heard {
    Setup(Box<ContainerSetup>),
    /// The engine wants it to end.
    Term,
}

const SIGNALS: u64 = 0;
const CONTROL: u64 = 1;
const ATTACH: u64 = 2;

/// Waits for the setup.
///
/// # Errors
/// When the host has gone or makes no sense.
pub(super) fn hear(control: &mut Stream, mut attach: Option<&mut Attach>) -> Result<Heard, String> {
    let signals = Signals::new(&[signal::TERM]).map_err(failed("take signals"))?;
    let poll = Poll::new().map_err(failed("make a poll"))?;
    poll.add(signals.as_fd(), SIGNALS, Interest::Read).map_err(failed("wait for signals"))?;
    poll.add(control.socket(), CONTROL, Interest::Read).map_err(failed("wait for the setup"))?;
    if let Some(attach) = &attach {
        poll.add(attach.source(), ATTACH, Interest::Read).map_err(failed("wait for the setup"))?;
    }
    let mut frames = SetupFrames::default();
    let mut events = Vec::new();
    let mut patience = None;
    loop {
        if let Some(attach) = &mut attach {
            match attach.advance() {
                Moved::Some => patience = Some(Duration::ZERO),
                Moved::None => patience = None,
                Moved::Over => return Err("the host has gone before the setup".to_owned()),
            }
        }
        poll.wait(&mut events, patience).map_err(failed("wait for the setup"))?;
        for event in &events {
            match event.token {
                CONTROL => control.note(*event),
                SIGNALS if !signals.take().map_err(failed("take signals"))?.is_empty() => {
                    return Ok(Heard::Term);
                }
                _ => {}
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
