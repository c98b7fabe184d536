use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_rt::System;
use slog::crit;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::chair::Chair;
use super::clock::Clock;
use super::contain::{Cradle, MAILBOX, Place};
use super::end::End;
use super::faults::Faults;
use super::metrics::{Audience, Flush, Subscriber};
use super::office::Office;
use super::supervisor::{Estate, Founding, Supervisor, Term};
use super::watch::Watch;
use super::watchers::Watchers;

/// Where the actors run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On three threads of their own.
    #[default]
    OwnThreads,
    /// All on the caller's `LocalSet`, so that a test with paused time controls them.
    Here,
}

/// The running actors.
pub(crate) struct Tree {
    pub(crate) supervisor: Chair,
    pub(crate) runtime: Handle,
    pub(super) clock: Arc<Clock>,
    audience: Arc<Audience>,
    thread: Option<Thread>,
}

struct Thread {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// Dropped without [`Tree::stop`], the actors go on until what they are told to end has ended.
impl Tree {
    /// Starts the actors.
    ///
    /// # Errors
    /// When the system gives no thread or event queue.
    pub(crate) async fn start(
        placement: Placement,
        seed: u64,
        faults: Faults,
        log: slog::Logger,
    ) -> io::Result<Self> {
        match placement {
            Placement::Here => {
                let founding = found(Place::Here, faults, log);
                let (cradle, death_log) = (Cradle::new(MAILBOX), founding.log.clone());
                let (chair, term) = (Chair::new(cradle.address()), Arc::<Term>::default());
                let supervisor = Supervisor::new(founding.clone(), chair.clone(), term, Estate::new(seed));
                cradle.start(&Place::Here, supervisor, move |panicked| {
                    if let Some(panicked) = panicked {
                        crit!(death_log, "supervisor lost"; "cause" => %panicked);
                    }
                });
                let (tree, watchers) = plant(founding, chair, seed);
                actix_rt::spawn(watchers.start());
                Ok(tree)
            }
            Placement::OwnThreads => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let (planted, tree) = oneshot::channel();
                let (stop, stopped) = oneshot::channel();
                let ended = thread::Builder::new().name("ostler".to_owned()).spawn(move || {
                    System::with_tokio_rt(move || runtime).block_on(async move {
                        let here = Place::On(System::current().arbiter().clone());
                        let founding = found(here, faults, log);
                        let mut office = match Office::open(founding.clone(), seed) {
                            Ok(office) => office,
                            Err(error) => return drop(planted.send(Err(error))),
                        };
                        let (tree, watchers) = plant(founding, office.chair(), seed);
                        let mut watch = match Watch::start(watchers) {
                            Ok(watch) => watch,
                            Err(error) => return drop(planted.send(Err(error))),
                        };
                        drop(planted.send(Ok(tree)));
                        tokio::select! {
                            // An error is as good: whoever could stop us is gone.
                            _ = stopped => {}
                            never = watch.guard() => match never {},
                            never = office.guard() => match never {},
                        }
                        tokio::join!(watch.end(), office.close());
                    });
                })?;
                let gone = |_| io::Error::other("the actors ended while starting");
                let tree = tree.await.map_err(gone)??;
                Ok(Self { thread: Some(Thread { stop, ended }), ..tree })
            }
        }
    }

    /// Whether the actors are on threads of their own, and not on the caller's.
    pub(crate) fn has_threads(&self) -> bool {
        self.thread.is_some()
    }

    /// Passes on all events from now on.
    pub(crate) fn subscribe(&self, subscriber: Subscriber) {
        self.audience.subscribe(subscriber);
    }

    /// Waits until subscribers have been told all that has happened, or nobody is left who could.
    pub(crate) async fn flush(&self) {
        let (told, heard) = oneshot::channel();
        let replaced = self.supervisor.replaced();
        self.supervisor.do_send(Flush(told));
        tokio::select! {
            _ = heard => {}
            () = replaced => {}
        }
    }

    /// Tells the actors to end, pools or not.
    pub(crate) async fn end(&self) {
        self.supervisor.insist(End).await;
    }

    /// Stops what they run on, and waits for its threads, but not for longer than `limit`; answers whether they have
    /// ended. Does not block the caller's thread, and needs no timer: the one runtime that is sure to have any is the
    /// one that ends here.
    pub(crate) async fn stop(mut self, limit: Duration) -> bool {
        let Some(Thread { stop, ended }) = self.thread.take() else { return true };
        let _: Result<(), ()> = stop.send(());
        let (joined, done) = oneshot::channel();
        let started = thread::Builder::new().name("ostler-join".to_owned()).spawn(move || {
            for _ in 0..limit.as_millis() {
                if ended.is_finished() {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            let _: Result<(), bool> = joined.send(ended.is_finished());
        });
        started.is_ok() && done.await.unwrap_or(false)
    }
}

/// What supervisors are made from; called where Runtimes live.
fn found(stable: Place, faults: Faults, log: slog::Logger) -> Founding {
    let (clock, audience) = (Arc::new(Clock::start()), Arc::new(Audience::default()));
    Founding { clock, audience, stable, runtime: Handle::current(), faults, log }
}

/// The watchers are still to be started, here or elsewhere.
fn plant(founding: Founding, chair: Chair, seed: u64) -> (Tree, Watchers) {
    let Founding { clock, audience, runtime, faults, log, .. } = founding;
    let (supervisor, pulse) = (chair.clone(), Arc::default());
    let watchers = Watchers {
        supervisor,
        clock: Arc::clone(&clock),
        audience: Arc::clone(&audience),
        pulse,
        seed,
        faults,
        log,
    };
    (Tree { supervisor: chair, runtime, clock, audience, thread: None }, watchers)
}
