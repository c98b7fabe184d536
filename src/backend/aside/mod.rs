//! An application's own backend, where it can hold up nobody's work but its own.

mod beside;
mod launches;
mod threads;

use std::collections::BTreeSet;
use std::future::ready;
use std::io;
use std::sync::Arc;

use super::{Backend, BackendError, BoxFuture, Launch, Launched};
use crate::model::RuntimeId;
use launches::Launches;
use threads::Threads;

/// Calls a backend, and runs its futures, on threads of its own. Whoever waits for one that blocks keeps its deadline.
#[derive(Debug)]
pub(crate) struct Aside {
    backend: Arc<dyn Backend>,
    name: String,
    threads: Arc<Threads>,
    launches: Arc<Launches>,
}

impl Aside {
    /// Asks it for its name there, too.
    ///
    /// # Errors
    /// When the system gives no thread or event queue.
    pub(crate) async fn new(backend: Arc<dyn Backend>) -> io::Result<Self> {
        let (threads, asked) = (Arc::new(Threads::new()?), Arc::clone(&backend));
        let ask = move || -> BoxFuture<String> { Box::pin(ready(asked.name().to_owned())) };
        let name = threads.run(ask).await;
        Ok(Self { backend, name, threads, launches: Arc::default() })
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Backend) -> BoxFuture<T> + Send + 'static,
    ) -> BoxFuture<T> {
        let backend = Arc::clone(&self.backend);
        self.threads.run(move || work(&*backend))
    }
}

impl Backend for Aside {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        self.run(|backend| backend.prepare())
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let (threads, under_way) = (Arc::clone(&self.threads), self.launches.begin(launch.runtime));
        let made = self.run(move |backend| {
            let made = backend.launch(launch);
            Box::pin(async move {
                let made = made.await.map(|launched| beside::of(launched, threads));
                // Where nobody takes them any more they are dropped in this order.
                (made, under_way)
            })
        });
        Box::pin(async move { made.await.0 })
    }

    fn settled(&self, runtime: RuntimeId) -> BoxFuture<()> {
        let launches = Arc::clone(&self.launches);
        let settled = self.run(move |backend| backend.settled(runtime));
        Box::pin(async move {
            launches.ended(|launching| !launching.contains(&runtime)).await;
            settled.await;
        })
    }

    fn sweep(&self) -> BoxFuture<Result<u32, BackendError>> {
        self.run(|backend| backend.sweep())
    }

    fn trouble(&self) -> Option<String> {
        self.backend.trouble()
    }

    /// Waits for launches that were given up.
    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        let launches = Arc::clone(&self.launches);
        let close = self.run(|backend| backend.close());
        Box::pin(async move {
            launches.ended(BTreeSet::is_empty).await;
            close.await
        })
    }
}
