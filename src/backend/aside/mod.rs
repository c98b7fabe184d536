//! An application's own backend, where it can hold up nobody's work but its own.

mod beside;
mod threads;

use std::io;
use std::sync::Arc;

use super::{Backend, BackendError, BoxFuture, Launch, Launched};
use beside::Beside;
use threads::Threads;

/// Calls a backend, and runs its futures, on threads of its own. Whoever waits for one that blocks keeps its deadline.
#[derive(Debug)]
pub(crate) struct Aside {
    backend: Arc<dyn Backend>,
    threads: Arc<Threads>,
}

impl Aside {
    /// # Errors
    /// When the system gives no thread or event queue.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> io::Result<Self> {
        Ok(Self { backend, threads: Arc::new(Threads::new()?) })
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
        let threads = Arc::clone(&self.threads);
        self.run(|backend| {
            let launched = backend.launch(launch);
            Box::pin(async move {
                let Launched { control, data, exit, instance } = launched.await?;
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

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        self.run(|backend| backend.close())
    }
}
