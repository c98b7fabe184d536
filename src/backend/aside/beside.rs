use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::threads::Threads;
use crate::backend::{BackendError, BoxFuture, Instance, Launched, Residue};
use crate::model::{Meter, Port};

/// Calls of one runtime that may be under way: it is looked at, and then it ends.
const CALLS: usize = 2;

/// A runtime that was made there.
pub(super) fn of(launched: Launched, threads: Arc<Threads>) -> Launched {
    let Launched { control, data, exit, instance } = launched;
    // They were greeted there, and are used elsewhere.
    control.end();
    data.end();
    let exit = threads.run(|| exit);
    Launched { control, data, exit, instance: Box::new(Beside::new(instance, threads)) }
}

/// A runtime of such a backend, with what it said of itself when it was new.
struct Beside {
    /// Locked by whoever calls it there.
    instance: Arc<Mutex<Box<dyn Instance>>>,
    /// So many calls take threads at once; a destruction that blocks and is tried again waits for the first.
    calls: Arc<Semaphore>,
    threads: Arc<Threads>,
    handle: String,
    endpoints: BTreeMap<Port, SocketAddr>,
    health_check: Option<Vec<String>>,
    transport: Option<&'static str>,
    meter: Option<Meter>,
}

impl Beside {
    fn new(instance: Box<dyn Instance>, threads: Arc<Threads>) -> Self {
        Self {
            handle: instance.handle(),
            endpoints: instance.endpoints(),
            health_check: instance.health_check(),
            transport: instance.transport(),
            meter: instance.meter(),
            instance: Arc::new(Mutex::new(instance)),
            calls: Arc::new(Semaphore::new(CALLS)),
            threads,
        }
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Instance) -> BoxFuture<T> + Send + 'static,
    ) -> BoxFuture<T> {
        let (instance, threads) = (Arc::clone(&self.instance), Arc::clone(&self.threads));
        let calls = Arc::clone(&self.calls);
        Box::pin(async move {
            let permit = calls.acquire_owned().await;
            let work = move || -> BoxFuture<T> {
                let done = work(&mut **instance.lock().unwrap_or_else(PoisonError::into_inner));
                Box::pin(async move {
                    let _until_done = permit;
                    done.await
                })
            };
            threads.run(work).await
        })
    }
}

impl Instance for Beside {
    fn handle(&self) -> String {
        self.handle.clone()
    }

    fn endpoints(&self) -> BTreeMap<Port, SocketAddr> {
        self.endpoints.clone()
    }

    fn health_check(&self) -> Option<Vec<String>> {
        self.health_check.clone()
    }

    fn transport(&self) -> Option<&'static str> {
        self.transport
    }

    fn meter(&self) -> Option<Meter> {
        self.meter.clone()
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        self.run(|instance| instance.verify())
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        self.run(|instance| instance.destroy())
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside").field("handle", &self.handle).finish_non_exhaustive()
    }
}
