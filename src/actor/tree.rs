use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use actix_rt::{Arbiter, System};
use slog::crit;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::clock::Clock;
use super::contain::start_monitored;
use super::end::End;
use super::faults::Faults;
use super::health::{Health, HealthTick};
use super::maintenance::{CLOCK_INTERVAL, Maintenance, MaintenanceTick};
use super::metrics::{Audience, Flush, Metrics, Subscriber};
use super::supervisor::{Attend, Receipt, Supervisor};

/// How often Health looks who is due.
const HEALTH_INTERVAL: Duration = Duration::from_millis(20);

/// Pause before an actor that panicked is started again.
pub(super) const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Mailbox of the actors that everybody sends to. Requests wait when it is full; reports that must not be lost
/// are bounded by the number of runtimes instead.
const MAILBOX: usize = 8192;

/// Where the actors run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On two threads of their own.
    #[default]
    OwnThreads,
    /// All on the caller's `LocalSet`, so that a test with paused time controls them.
    Here,
}

/// The running actors.
pub(crate) struct Tree {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) runtime: Handle,
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
            Placement::Here => Ok(plant(None, seed, faults, log)),
            Placement::OwnThreads => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let (planted, tree) = oneshot::channel();
                let (stop, stopped) = oneshot::channel();
                let ended = thread::Builder::new().name("ostler".to_owned()).spawn(move || {
                    System::with_tokio_rt(move || runtime).block_on(async move {
                        let watch = Arbiter::new();
                        let tree = plant(Some(&watch), seed, faults, log);
                        drop(planted.send(tree));
                        // An error is as good: whoever could stop us is gone.
                        drop(stopped.await);
                        watch.stop();
                        drop(tokio::task::spawn_blocking(move || watch.join()).await);
                    });
                })?;
                let gone = |_| io::Error::other("the actors ended while starting");
                let tree = tree.await.map_err(gone)?;
                Ok(Self { thread: Some(Thread { stop, ended }), ..tree })
            }
        }
    }

    /// Passes on all events from now on.
    pub(crate) fn subscribe(&self, subscriber: Subscriber) {
        self.audience.subscribe(subscriber);
    }

    /// Waits until subscribers have been told all that has happened, or nobody is left who could.
    pub(crate) async fn flush(&self) {
        let (told, heard) = oneshot::channel();
        self.supervisor.do_send(Flush(told));
        drop(heard.await);
    }

    /// Tells the actors to end, pools or not.
    pub(crate) async fn end(&self) {
        insist(&self.supervisor, End).await;
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

/// Asks until it is taken up. An error means that the supervisor has ended, and that there is nothing more to ask.
async fn insist<M>(supervisor: &Addr<Supervisor>, request: M)
where
    M: Message<Result = Receipt> + Clone + Send + 'static,
    Supervisor: Handler<M>,
{
    while let Ok(Receipt::Lost) = supervisor.send(request.clone()).await {
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

/// Starts everything; the three watchers on `watch`, or here.
fn plant(watch: Option<&Arbiter>, seed: u64, faults: Faults, log: slog::Logger) -> Tree {
    let clock = Arc::new(Clock::start());
    let audience = Arc::new(Audience::default());
    let actor = Supervisor::new(Arc::clone(&clock), Arc::clone(&audience), seed, faults.clone(), log.clone());
    let (supervisor, ended) = start_monitored(move |_: &Addr<Supervisor>| actor, MAILBOX);
    let death_log = log.clone();
    actix_rt::spawn(async move {
        // Its handlers contain their panics; this would be one of actix's own.
        if let Some(panicked) = ended.await {
            crit!(death_log, "supervisor lost"; "cause" => %panicked);
        }
    });
    let watchers = Watchers {
        supervisor: supervisor.clone(),
        clock: Arc::clone(&clock),
        audience: Arc::clone(&audience),
        seed,
        faults,
        log,
    };
    match watch {
        Some(arbiter) => {
            arbiter.spawn_fn(move || watchers.start());
        }
        None => watchers.start(),
    }
    Tree { supervisor, runtime: Handle::current(), audience, thread: None }
}

/// What Health, Maintenance and Metrics are made from, as often as need be.
#[derive(Clone)]
struct Watchers {
    supervisor: Addr<Supervisor>,
    clock: Arc<Clock>,
    audience: Arc<Audience>,
    seed: u64,
    faults: Faults,
    log: slog::Logger,
}

impl Watchers {
    fn start(self) {
        let (health, maintenance, metrics) = (self.clone(), self.clone(), self);
        actix_rt::spawn(async move {
            let of = health.clone();
            health
                .keep("health", move |address: &Addr<Health>| {
                    of.attend(Attend::Health(address.clone()));
                    tick(address.clone(), HEALTH_INTERVAL, || HealthTick);
                    let verdicts = of.supervisor.clone().recipient();
                    let answers = address.clone().recipient();
                    Health::new(
                        verdicts,
                        answers,
                        Arc::clone(&of.clock),
                        of.seed,
                        of.faults.clone(),
                        of.log.clone(),
                    )
                })
                .await;
        });
        actix_rt::spawn(async move {
            let of = maintenance.clone();
            maintenance
                .keep("maintenance", move |address: &Addr<Maintenance>| {
                    of.attend(Attend::Maintenance(address.clone()));
                    tick(address.clone(), CLOCK_INTERVAL, || MaintenanceTick);
                    let supervisor = of.supervisor.clone().recipient();
                    Maintenance::new(Arc::clone(&of.clock), supervisor, of.faults.clone())
                })
                .await;
        });
        actix_rt::spawn(async move {
            let of = metrics.clone();
            metrics
                .keep("metrics", move |address: &Addr<Metrics>| {
                    of.attend(Attend::Metrics(address.clone()));
                    Metrics::new(Arc::clone(&of.audience), of.faults.clone())
                })
                .await;
        });
    }

    /// Has an actor's address reach the supervisor, whatever befalls that.
    fn attend(&self, attend: Attend) {
        let supervisor = self.supervisor.clone();
        actix_rt::spawn(async move { insist(&supervisor, attend).await });
    }

    /// Starts an actor, and again whenever it panics.
    async fn keep<A>(&self, name: &'static str, make: impl Fn(&Addr<A>) -> A)
    where
        A: Actor<Context = Context<A>>,
    {
        loop {
            let (_, ended) = start_monitored(&make, MAILBOX);
            let Some(panicked) = ended.await else { return };
            crit!(self.log, "actor lost, starting it again"; "actor" => name, "cause" => %panicked);
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }
}

/// Sends ticks until the actor is gone. A tick that finds the mailbox full is skipped: one is waiting there.
fn tick<A, M>(address: Addr<A>, interval: Duration, make: impl Fn() -> M + 'static)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    actix_rt::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if let Err(actix::prelude::SendError::Closed(_)) = address.try_send(make()) {
                return;
            }
        }
    });
}
