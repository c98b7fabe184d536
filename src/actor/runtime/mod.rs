//! One runtime: its launch, its resets, its probes, its end.
//!
//! Handlers only change state and start I/O; what the I/O comes to arrives as a message of this actor's own
//! and goes on to the supervisor as a [`Report`]. All I/O has a deadline and runs contained. A panic in a handler
//! ends the runtime and not the actor, which lives until nothing of the runtime is left.

mod badge;
mod life;
mod messages;
mod probe;
mod probing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use slog::{crit, debug, warn};
use tokio::sync::oneshot;

use super::chair::Chair;
use super::contain::{Panicked, Takes, catch, contain};
use super::faults::{Faults, after, before};
use crate::backend::{Backend, BackendError, BoxFuture, Exit, Instance, Launch, Launched};
use crate::guest::Wire;
use crate::model::{Epoch, PoolName, Port, RuntimeId, State};

pub(super) use badge::{Badge, Ware, Words};
pub(super) use life::{Blueprint, causes};
pub(super) use messages::{Begin, Probe, Probed, Report, Reported, Reset, Retire};
use messages::{Destroy, Destroyed, Ended, Made, ResetEnded, WarmedUp};
use probing::Warming;

/// Pause before a destruction that failed is tried again.
const DESTROY_AGAIN: Duration = Duration::from_secs(1);

/// State: what exists of the runtime. Receives [`Begin`], [`Reset`], [`Probe`], [`Retire`] from the supervisor and
/// Health; sends [`Reported`] and [`Probed`].
pub(super) struct Runtime {
    pool: PoolName,
    id: RuntimeId,
    backend: Arc<dyn Backend>,
    blueprint: Arc<Blueprint>,
    supervisor: Chair,
    badge: Arc<Badge>,
    faults: Faults,
    log: slog::Logger,
    /// Pings and resets go here; the data wire has left with the ticket.
    control: Option<Arc<dyn Wire>>,
    data: Option<Arc<dyn Wire>>,
    /// Its drop ends the runtime, should this actor go without having destroyed it.
    instance: Option<Box<dyn Instance>>,
    /// While the launch runs; dropped, it ends the launch.
    launching: Option<oneshot::Sender<()>>,
    /// The epoch of a lease that is over and may still be at work.
    fence: Option<Epoch>,
    /// Where its ports are reached.
    endpoints: Arc<BTreeMap<Port, SocketAddr>>,
    /// The health check of what it is made from.
    health_check: Option<Vec<String>>,
    /// The epoch of our own work in it: that of the lease that comes next, or runs.
    epoch: Epoch,
    /// Resets begun.
    resets: u64,
    /// Until the first probe has succeeded.
    warming: Option<Warming>,
}

impl Runtime {
    pub(super) fn new(
        (pool, id): (PoolName, RuntimeId),
        backend: Arc<dyn Backend>,
        blueprint: Arc<Blueprint>,
        supervisor: Chair,
        badge: Arc<Badge>,
        faults: Faults,
        log: slog::Logger,
    ) -> Self {
        Self {
            pool,
            id,
            backend,
            blueprint,
            supervisor,
            badge,
            faults,
            log,
            control: None,
            data: None,
            instance: None,
            launching: None,
            fence: None,
            endpoints: Arc::default(),
            health_check: None,
            epoch: Epoch::default(),
            resets: 0,
            warming: None,
        }
    }

    fn report(&self, report: Report) {
        let falls = matches!(report, Report::LaunchFailed(_) | Report::ResetFailed(_) | Report::Exited(_));
        let number = self.badge.report(1, |words| words.fallen |= falls);
        self.tell(number, report);
    }

    fn tell(&self, number: u64, report: Report) {
        self.supervisor.do_send(Reported { pool: self.pool.clone(), id: self.id, number, report });
    }

    fn is_retiring(&self) -> bool {
        matches!(self.badge.state(), State::Retiring | State::Gone)
    }

    /// After a panic in a handler: the runtime ends. Nothing here may panic.
    fn fell(&mut self, panicked: &Panicked, context: &mut Context<Self>) {
        let cause = panicked.to_string();
        // A logger may be what has panicked.
        let _: Result<(), Panicked> = catch(|| crit!(self.log, "runtime panicked"; "cause" => &cause));
        // What the launch came to may be what was lost.
        self.launching.take_if(|launching| launching.is_closed());
        match self.badge.state() {
            State::Gone => {}
            State::Retiring => {
                self.report(Report::Survived(cause));
                context.notify_later(Destroy, DESTROY_AGAIN);
            }
            _ => {
                self.report(Report::Exited(Exit { cause }));
                self.badge.enter(State::Retiring);
                context.notify(Destroy);
            }
        }
    }

    /// Starts I/O whose result comes back as a message; a panic in it comes back as `None`.
    fn start<T, M>(
        context: &Context<Self>,
        io: impl Future<Output = T> + 'static,
        message: impl FnOnce(Result<T, Panicked>) -> M + 'static,
    ) where
        M: Message + Send + 'static,
        M::Result: Send,
        Self: Handler<M>,
    {
        let address = context.address();
        actix_rt::spawn(async move { address.do_send(message(contain(io).await)) });
    }

    fn cleaned(&self, ended: Epoch, took: Duration) {
        let number = self.badge.report(1, |words| {
            words.cleaned_after = ended;
            words.state = State::Circulating;
        });
        self.tell(number, Report::ResetDone { ended, took });
    }

    fn launch_failed(&mut self, cause: String) {
        warn!(self.log, "launch failed"; "cause" => &cause);
        self.report(Report::LaunchFailed(cause));
    }

    fn destroy(&mut self, context: &Context<Self>) {
        let control = self.control.take();
        self.data = None;
        let (step, end) = match self.instance.as_mut() {
            Some(instance) => ("destroy", instance.destroy()),
            None => ("end the launch", settled(self.backend.settled(self.id))),
        };
        let limit = self.blueprint.spec.retire_timeout;
        let fence = control.zip(self.fence.take());
        let blueprint = Arc::clone(&self.blueprint);
        let end = async move {
            if let Some((control, ended)) = fence {
                life::fence(control, ended, &blueprint).await;
            }
            life::within(limit, step, end).await
        };
        Self::start(context, end, move |result| {
            Destroyed(result.unwrap_or_else(|panicked| Err(BackendError::passing(step, panicked))))
        });
    }
}

fn settled(settled: BoxFuture<()>) -> BoxFuture<Result<(), BackendError>> {
    Box::pin(async move {
        settled.await;
        Ok(())
    })
}

impl Actor for Runtime {
    type Context = Context<Self>;
}

/// Every message goes this way, so that a panic over any of them ends here.
impl<M> Handler<M> for Runtime
where
    M: Message<Result = ()>,
    Self: Takes<M>,
{
    type Result = ();

    fn handle(&mut self, message: M, context: &mut Context<Self>) {
        let take = || {
            self.faults.pass("Runtime", before::<M>);
            self.take(message, context);
            self.faults.pass("Runtime", after::<M>);
        };
        if let Err(panicked) = catch(take) {
            self.fell(&panicked, context);
        }
    }
}

impl Takes<Begin> for Runtime {
    fn take(&mut self, _: Begin, context: &mut Context<Self>) {
        let launch = self.backend.launch(Launch { pool: self.pool.clone(), runtime: self.id });
        let limit = self.blueprint.spec.launch_timeout;
        let (launching, cancelled) = oneshot::channel();
        self.launching = Some(launching);
        let launch = life::within(limit, "launch", life::unless(cancelled, launch));
        Self::start(context, launch, |result| {
            Made(result.unwrap_or_else(|panicked| Err(BackendError::passing("launch", panicked))))
        });
    }
}

impl Takes<Made> for Runtime {
    fn take(&mut self, Made(result): Made, context: &mut Context<Self>) {
        self.launching = None;
        let launched = match result {
            Ok(launched) => launched,
            Err(_) if self.is_retiring() => return self.destroy(context),
            Err(error) => return self.launch_failed(causes(&error)),
        };
        let Launched { control, data, exit, instance } = launched;
        self.endpoints = Arc::new(instance.endpoints());
        self.health_check = instance.health_check();
        self.instance = Some(instance);
        Self::start(context, exit, |exit| {
            Ended(exit.unwrap_or_else(|panicked| Exit { cause: panicked.to_string() }))
        });
        if self.is_retiring() {
            return self.destroy(context);
        }
        self.control = Some(Arc::clone(&control));
        self.data = Some(data);
        let number = self.badge.report(2, |words| words.state = State::Warming);
        self.tell(number, Report::Launched);
        // Backends hand over guests that have said hello.
        self.tell(number + 1, Report::Booted);
        self.epoch = Epoch(1);
        let warm_up = life::warm_up(control, Arc::clone(&self.blueprint));
        Self::start(context, warm_up, |result| {
            WarmedUp(result.unwrap_or_else(|panicked| Err(panicked.to_string())))
        });
    }
}

impl Takes<WarmedUp> for Runtime {
    fn take(&mut self, WarmedUp(result): WarmedUp, context: &mut Context<Self>) {
        if self.is_retiring() {
            return;
        }
        match result {
            Ok(()) => self.await_health(context),
            Err(cause) => self.launch_failed(cause),
        }
    }
}

impl Takes<Reset> for Runtime {
    fn take(&mut self, Reset { ended }: Reset, context: &mut Context<Self>) {
        let (Some(control), Some(instance)) = (&self.control, &self.instance) else { return };
        if self.badge.state() != State::Circulating {
            return;
        }
        if self.badge.cleaned_after() == ended {
            // A supervisor that started over may ask again.
            return self.cleaned(ended, Duration::ZERO);
        }
        self.badge.enter(State::Resetting);
        self.resets += 1;
        self.epoch = Epoch(ended.0 + 1);
        let reset = life::reset(Arc::clone(control), ended, instance.verify(), Arc::clone(&self.blueprint));
        Self::start(context, reset, move |result| ResetEnded {
            ended,
            result: result.unwrap_or_else(|panicked| Err(panicked.to_string())),
        });
    }
}

impl Takes<ResetEnded> for Runtime {
    fn take(&mut self, ResetEnded { ended, result }: ResetEnded, _: &mut Context<Self>) {
        if self.is_retiring() {
            return;
        }
        match result {
            Ok(took) => self.cleaned(ended, took),
            Err(cause) => {
                warn!(self.log, "reset failed"; "cause" => &cause);
                self.report(Report::ResetFailed(cause));
            }
        }
    }
}

impl Takes<Ended> for Runtime {
    fn take(&mut self, Ended(exit): Ended, _: &mut Context<Self>) {
        if !self.is_retiring() {
            warn!(self.log, "exited"; "cause" => &exit.cause);
            self.report(Report::Exited(exit));
        }
    }
}

impl Takes<Retire> for Runtime {
    fn take(&mut self, Retire { reason, fence }: Retire, context: &mut Context<Self>) {
        if self.is_retiring() {
            return;
        }
        self.badge.enter(State::Retiring);
        self.fence = fence;
        debug!(self.log, "retiring"; "reason" => reason.name());
        self.take(Destroy, context);
    }
}

impl Takes<Destroy> for Runtime {
    fn take(&mut self, _: Destroy, context: &mut Context<Self>) {
        // A launch under way ends first; what it comes to is destroyed then.
        if self.launching.take().is_none() {
            self.destroy(context);
        }
    }
}

impl Takes<Destroyed> for Runtime {
    fn take(&mut self, Destroyed(result): Destroyed, context: &mut Context<Self>) {
        match result {
            Ok(()) => {
                self.instance = None;
                self.badge.enter(State::Gone);
                self.report(Report::Gone);
                context.stop();
            }
            Err(error) => {
                let cause = causes(&error);
                warn!(self.log, "destruction failed, trying again"; "cause" => &cause);
                self.report(Report::Survived(cause));
                context.notify_later(Destroy, DESTROY_AGAIN);
            }
        }
    }
}
