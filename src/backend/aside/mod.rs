//! An application's own backend, where it can hold up nobody's work but its own.

mod beside;
mod launches;
mod threads;

use std::io;
use std::sync::Arc;

use super::{Backend, BackendError, BoxFuture, Launch, Launched};
use crate::model::RuntimeId;
use beside::Beside;
use launches::Launches;
use threads::Threads;

/// Calls a backend, and runs its futures, on threads of its own. Whoever waits for one that blocks keeps its deadline.
#[derive(Debug)]
pub(crate) struct Aside {
    backend: Arc<dyn Backend>,
    threads: Arc<Threads>,
    launches: Arc<Launches>,
}

impl Aside {
    /// # Errors
    /// When the system gives no thread or event queue.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> io::Result<Self> {
        Ok(Self { backend, threads: Arc::new(Threads::new()?), launches: Arc::default() })
    }

    /// Runtimes whose launches have not ended yet, those among them that nobody waits for any more.
    pub(crate) fn launching(&self) -> Vec<RuntimeId> {
        self.launches.runtimes()
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
        self.backend.name()
    }

    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        self.run(|backend| backend.prepare())
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let (threads, launches) = (Arc::clone(&self.threads), Arc::clone(&self.launches));
        self.run(move |backend| {
            let under_way = launches.begin(launch.runtime);
            let made = backend.launch(launch);
            Box::pin(async move {
                let _under_way = under_way;
                let Launched { control, data, exit, instance } = made.await?;
                let exit = threads.run(|| exit);
                Ok(Launched { control, data, exit, instance: Box::new(Beside::new(instance, threads)) })
            })
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
            launches.ended().await;
            close.await
        })
    }
}
