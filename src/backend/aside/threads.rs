use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::block_in_place;
use tokio_util::task::AbortOnDropHandle;

use crate::backend::BoxFuture;

/// Threads of one pool that may be blocked at once, before what it does must wait.
const BLOCKED: usize = 512;

/// A tokio runtime, one thread of which is always free to go on while fewer than [`BLOCKED`] block.
pub(super) struct Threads {
    handle: Handle,
    /// There until the drop, which takes it.
    runtime: Option<Runtime>,
}

impl Threads {
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(BLOCKED).thread_name("ostler-backend").enable_all();
        let runtime = builder.build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Begins when it is first polled; dropped, it ends at its next await.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> BoxFuture<T> + Send + 'static,
    ) -> BoxFuture<T> {
        let this = Arc::clone(self);
        Box::pin(async move {
            let running = this.handle.spawn(async { Yielding(Some(block_in_place(work))).await });
            match AbortOnDropHandle::new(running).await {
                Ok(done) => done,
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => resume_unwind(payload),
                    // The threads are gone, and they go last.
                    Err(_) => std::future::pending().await,
                },
            }
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // What still blocks can't be waited for.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

/// Has another thread take over what else is to be done here, for as long as each step of the future takes.
struct Yielding<T>(Option<BoxFuture<T>>);

impl<T> Future for Yielding<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Some(future) => block_in_place(|| future.as_mut().poll(cx)),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Yielding<T> {
    fn drop(&mut self) {
        let future = self.0.take();
        block_in_place(|| drop(future));
    }
}
