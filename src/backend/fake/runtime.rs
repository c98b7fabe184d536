use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::super::{BackendError, BoxFuture, Instance, Residue};
use super::Fake;
use super::script::{Act, Point};
use crate::model::RuntimeId;

/// What a real runtime would keep in the kernel.
#[derive(Debug)]
pub(super) struct FakeRuntime {
    pub(super) id: RuntimeId,
    fake: Fake,
    end: OnceLock<&'static str>,
    /// Not a `watch`: that one wakes in random order, and one seed must be one run.
    ended: Notify,
    fence: AtomicU64,
    files: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl FakeRuntime {
    pub(super) fn new(id: RuntimeId, fake: Fake) -> Self {
        Self {
            id,
            fake,
            end: OnceLock::new(),
            ended: Notify::new(),
            fence: AtomicU64::new(0),
            files: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn act(&self, point: Point) -> Act {
        self.fake.shared.script.next(point)
    }

    /// Ends it; answers whether it had not ended before.
    pub(super) fn end(&self, cause: &'static str) -> bool {
        let first = self.end.set(cause).is_ok();
        self.ended.notify_waiters();
        first
    }

    pub(super) fn is_alive(&self) -> bool {
        self.end.get().is_none()
    }

    /// Ready once it has ended, with the cause.
    pub(super) async fn ended(&self) -> String {
        loop {
            let mut notified = pin!(self.ended.notified());
            // From here on no end goes unnoticed.
            notified.as_mut().enable();
            if let Some(cause) = self.end.get() {
                return (*cause).to_owned();
            }
            notified.await;
        }
    }

    pub(super) fn files(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fence(&self) -> u64 {
        self.fence.load(Ordering::Relaxed)
    }

    pub(super) fn reset(&self, fence: u64) {
        self.fence.fetch_max(fence, Ordering::Relaxed);
        self.files().clear();
    }
}

/// What stands for a fake runtime: it is there for as long as this is.
#[derive(Debug)]
pub(super) struct FakeInstance(pub(super) Arc<FakeRuntime>);

impl Instance for FakeInstance {
    fn handle(&self) -> String {
        format!("fake {}", self.0.id)
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        let runtime = Arc::clone(&self.0);
        Box::pin(async move {
            let found = |what: String| Err(Residue { what });
            match runtime.act(Point::Verify).carry_out("verify").await {
                Err(error) => found(error.to_string()),
                Ok(()) => match runtime.files().keys().next() {
                    Some(path) => found(String::from_utf8_lossy(path).into_owned()),
                    None => Ok(()),
                },
            }
        })
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        let runtime = Arc::clone(&self.0);
        Box::pin(async move {
            runtime.act(Point::Destroy).carry_out("destroy").await?;
            runtime.end("destroyed");
            Ok(())
        })
    }
}

impl Drop for FakeInstance {
    fn drop(&mut self) {
        self.0.end("dropped");
        self.0.fake.shared.destroyed.fetch_add(1, Ordering::Relaxed);
        self.0.fake.alive().remove(&self.0.id);
    }
}
