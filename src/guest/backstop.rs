use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::clock::Clock;
use super::{Haste, Wire};

/// When a guest is late and gets what help there is. Mostly it answers within a millisecond.
const LATE: Duration = Duration::from_millis(20);
/// What a late guest is given to kill a command and say so. It needs 100 ms; the rest is for a busy host.
const GRACE: Duration = Duration::from_millis(1080);

/// Watches over a guest that is to end a command: helps it when it is late, and gives it up in the end.
pub(super) struct Backstop {
    /// None where no clock is at hand.
    timer: Option<Pin<Box<Sleep>>>,
    stage: Stage,
}

enum Stage {
    /// The command may take so long.
    Running,
    /// It should have ended.
    Late(#[expect(dead_code, reason = "it helps for as long as it is held")] Option<Haste>),
}

impl Backstop {
    /// For a command that may take as long as `timeout` from now on.
    pub(super) fn new(clock: Clock<'_>, timeout: Duration) -> Self {
        Self { timer: clock.sleep(timeout.saturating_add(LATE)).map(Box::pin), stage: Stage::Running }
    }

    /// Ready when the guest is to be given up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wire: &dyn Wire) -> Poll<()> {
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if matches!(self.stage, Stage::Late(_)) {
            return Poll::Ready(());
        }
        self.stage = Stage::Late(wire.hasten());
        timer.as_mut().reset(Instant::now() + GRACE);
        timer.as_mut().poll(cx)
    }

    /// The guest has said something. Where it was to be given up by now, it was the reader who came late.
    pub(super) fn heard(&mut self) {
        if let (Some(timer), Stage::Late(_)) = (&mut self.timer, &self.stage)
            && timer.is_elapsed()
        {
            timer.as_mut().reset(Instant::now() + GRACE);
        }
    }

    /// The command has ended, or is of no interest any more.
    pub(super) fn end(&mut self) {
        *self = Self { timer: None, stage: Stage::Running };
    }
}

/// Does `work`, for which the guest gets what help there is when it is late.
pub(super) async fn hastened<T>(clock: Clock<'_>, wire: &dyn Wire, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut backstop = Backstop::new(clock, Duration::ZERO);
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        // Whether to give it up is for the work to know.
        let _ = backstop.poll(cx, wire);
        Poll::Pending
    })
    .await
}

impl fmt::Debug for Backstop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backstop")
            .field("timer", &self.timer.is_some())
            .field("late", &matches!(self.stage, Stage::Late(_)))
            .finish()
    }
}
