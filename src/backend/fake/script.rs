use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::BackendError;
use crate::model::FakeSpec;

/// Where a script is asked what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// Before the pool starts.
    Prepare,
    /// Making a runtime.
    Launch,
    /// The guest's first word.
    Hello,
    /// A health probe, or a ping before a lease.
    Ping,
    /// A lease's command or file operation.
    Operation,
    /// Cleaning between leases.
    Reset,
    /// Looking from outside whether it is clean.
    Verify,
    /// Ending a runtime.
    Destroy,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It works.
    Work,
    /// It works after a while.
    Slow(Duration),
    /// It fails.
    Fail,
    /// It never answers.
    Hang,
    /// The code panics.
    Panic,
    /// It says it worked and did nothing.
    Lie,
    /// The runtime ends.
    Exit,
}

impl Act {
    /// Does it, for the calls that have no runtime yet or any more. `Lie` and `Exit` count as work there.
    pub(super) async fn carry_out(self, step: &str) -> Result<(), BackendError> {
        match self {
            Self::Work | Self::Lie | Self::Exit => Ok(()),
            Self::Slow(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Self::Fail => Err(BackendError::passing(step, "the script says so")),
            Self::Hang => std::future::pending().await,
            Self::Panic => scripted_panic(step),
        }
    }
}

#[expect(clippy::panic, reason = "this is the fault being injected")]
pub(super) fn scripted_panic(step: &str) -> ! {
    panic!("scripted panic: {step}")
}

/// Says what happens at each point. Called from any thread, never for long.
pub trait Script: Send + Sync {
    /// What happens at this call.
    fn next(&self, point: Point) -> Act;
}

/// Faults at the rates of a [`FakeSpec`], in an order its seed decides.
#[derive(Debug)]
pub struct Seeded {
    spec: FakeSpec,
    rng: Mutex<fastrand::Rng>,
}

impl Seeded {
    /// From a spec.
    #[must_use]
    pub fn new(spec: &FakeSpec) -> Self {
        Self { spec: spec.clone(), rng: Mutex::new(fastrand::Rng::with_seed(spec.seed)) }
    }
}

impl Script for Seeded {
    fn next(&self, point: Point) -> Act {
        let spec = &self.spec;
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut take = |pause: Duration| {
            if pause.is_zero() { Act::Work } else { Act::Slow(pause.mul_f64(0.5 + rng.f64())) }
        };
        let work = match point {
            Point::Launch => take(spec.launch),
            Point::Reset => take(spec.reset),
            _ => Act::Work,
        };
        let mut happens = |rate: f64| rate > 0.0 && rng.f64() < rate;
        match point {
            Point::Launch if happens(spec.launch_failures) => Act::Fail,
            Point::Reset if happens(spec.reset_failures) => Act::Fail,
            Point::Ping if happens(spec.hangs) => Act::Hang,
            Point::Ping if happens(spec.exits) => Act::Exit,
            _ => work,
        }
    }
}

impl<F: Fn(Point) -> Act + Send + Sync> Script for F {
    fn next(&self, point: Point) -> Act {
        self(point)
    }
}
