//! Processor time for a guest that is late.
//!
//! A guest has its part of the processor time that its runtime is limited to. Whoever runs there can use all of it up,
//! and the guest, which is to end them, then stands still with them until the next period. So the limit is taken
//! away while the guest is late with an end, and put back when it has come.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::guest::{Call, Haste, Wire, WireError};
use crate::model::Epoch;
use crate::protocol::Request;

/// A limit on processor time that a cgroup keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Quota {
    /// Where it is written.
    pub(in super::super) file: PathBuf,
    pub(in super::super) limit: String,
    /// What is written for none.
    pub(in super::super) unlimited: String,
}

impl Quota {
    /// Blocks for a moment.
    fn write(&self, value: &str) -> io::Result<()> {
        File::options().write(true).open(&self.file)?.write_all(value.as_bytes())
    }
}

/// A wire into a guest whose processor time is limited.
#[derive(Debug)]
pub(in super::super) struct Throttled {
    wire: Arc<dyn Wire>,
    throttle: Arc<Throttle>,
}

/// What both wires of a runtime share.
#[derive(Debug)]
struct Throttle {
    quota: Quota,
    home: Handle,
    /// Whoever changes the limit waits for whoever has.
    turn: tokio::sync::Mutex<()>,
    /// The one under way, which several late ends share. Its own, not pool state; never held for longer than a look.
    lift: Mutex<Weak<Lift>>,
}

/// The limit is away for as long as this is there.
#[derive(Debug)]
struct Lift {
    _over: oneshot::Sender<()>,
}

impl Throttled {
    /// Both wires of a runtime with this quota. The current tokio runtime changes it.
    pub(in super::super) fn both(
        quota: Quota,
        wires: (Arc<dyn Wire>, Arc<dyn Wire>),
    ) -> (Arc<dyn Wire>, Arc<dyn Wire>) {
        let throttle = Arc::new(Throttle {
            quota,
            home: Handle::current(),
            turn: tokio::sync::Mutex::default(),
            lift: Mutex::default(),
        });
        let (control, data) = wires;
        let throttled = |wire| -> Arc<dyn Wire> { Arc::new(Self { wire, throttle: Arc::clone(&throttle) }) };
        (throttled(control), throttled(data))
    }
}

impl Throttle {
    fn lift(self: &Arc<Self>, wire: &Arc<dyn Wire>) -> Arc<Lift> {
        let mut current = self.lift.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lift) = current.upgrade() {
            return lift;
        }
        let (over, is_over) = oneshot::channel();
        let lift = Arc::new(Lift { _over: over });
        *current = Arc::downgrade(&lift);
        self.home.spawn(Arc::clone(self).keep_away(is_over, Arc::clone(wire)));
        lift
    }

    /// Takes the limit away until that is over.
    async fn keep_away(self: Arc<Self>, is_over: oneshot::Receiver<()>, wire: Arc<dyn Wire>) {
        let _turn = self.turn.lock().await;
        if self.set(&self.quota.unlimited).await.is_err() {
            // The runtime is gone, or the end comes as late as it comes.
            return;
        }
        // Nothing is ever sent.
        let _ = is_over.await;
        match self.set(&self.quota.limit).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // It must not be used any more: nothing limits it.
            Err(_) => wire.taint(),
        }
    }

    async fn set(self: &Arc<Self>, value: &str) -> io::Result<()> {
        let (this, value) = (Arc::clone(self), value.to_owned());
        spawn_blocking(move || this.quota.write(&value)).await.map_err(io::Error::other)?
    }
}

impl Wire for Throttled {
    fn call(&self, request: Request) -> Result<Box<dyn Call>, WireError> {
        self.wire.call(request)
    }

    fn begin(&self, epoch: Epoch) {
        self.wire.begin(epoch);
    }

    fn end(&self) {
        self.wire.end();
    }

    fn is_tainted(&self) -> bool {
        self.wire.is_tainted()
    }

    fn taint(&self) {
        self.wire.taint();
    }

    fn hasten(&self) -> Option<Haste> {
        Some(Box::new(self.throttle.lift(&self.wire)))
    }
}
