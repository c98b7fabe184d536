use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, o, warn};
use slog_async::AsyncRecord;
use tokio::sync::{mpsc, oneshot};

/// Records that may wait to be written; further ones are counted instead.
const QUEUE: usize = 1024;

/// Writes an application's log on a thread of its own: what takes long there, never returns or panics holds up none of
/// the actors, and costs records alone.
///
/// `slog_async::Async` joins its thread wherever the last logger is dropped, which may be on an actor's thread, or
/// writes no more after it was flushed, and its thread ends with the first panic.
#[derive(Debug)]
pub(super) struct Scribe {
    queue: mpsc::Sender<Entry>,
}

/// The loggers' end.
struct Desk {
    queue: mpsc::Sender<Entry>,
    lost: Arc<AtomicU64>,
    /// The application's, asked what it wants to know at all.
    log: Logger,
}

enum Entry {
    Record(AsyncRecord),
    /// All before it has been written.
    Written(oneshot::Sender<()>),
}

impl Scribe {
    /// A logger that never waits for `log`, where its records end up.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn employ(log: Logger) -> io::Result<(Self, Logger)> {
        let (queue, entries) = mpsc::channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let desk = Desk { queue: queue.clone(), lost: Arc::clone(&lost), log: log.clone() };
        // It ends with the last logger.
        thread::Builder::new().name("ostler-log".to_owned()).spawn(move || write(entries, &lost, &log))?;
        Ok((Self { queue }, Logger::root(desk, o!())))
    }

    /// Waits until all that has been said so far is written or lost. Cancel-safe.
    pub(super) async fn written(&self) {
        let (done, written) = oneshot::channel();
        // Neither fails before the thread has ended, and then all is written.
        if self.queue.send(Entry::Written(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

impl Drain for Desk {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if self.log.is_enabled(record.level())
            && self.queue.try_send(Entry::Record(AsyncRecord::from(record, values))).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.log.is_enabled(level)
    }
}

fn write(mut entries: mpsc::Receiver<Entry>, lost: &AtomicU64, log: &Logger) {
    while let Some(entry) = entries.blocking_recv() {
        match entry {
            Entry::Record(record) => {
                if !survives(|| record.log_to(log).unwrap_or_else(|never| match never {})) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            // Whoever asked may be gone.
            Entry::Written(done) => drop(done.send(())),
        }
        let unsaid = lost.swap(0, Ordering::Relaxed);
        if unsaid > 0 && !survives(|| warn!(log, "the log has lost records"; "count" => unsaid)) {
            lost.fetch_add(unsaid, Ordering::Relaxed);
        }
    }
}

/// The panic itself has been told by the panic hook.
fn survives(write: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(write)).is_ok()
}
