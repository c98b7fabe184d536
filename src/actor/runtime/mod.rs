//! One runtime: its launch, its resets, its probes, its end.
//!
//! Handlers only change state and start I/O; what the I/O comes to arrives as a message of this actor's own
//! and goes on to the supervisor as a [`Report`]. All I/O has a deadline and runs contained.

mod life;
mod messages;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};
use slog::{debug, warn};
use tokio::sync::oneshot;

use super::contain::{Panicked, contain};
use crate::backend::{Backend, BackendError, Instance, Launch, Launched};
use crate::guest::{Session, Wire};
use crate::model::{Epoch, PoolName, RuntimeId};

pub(super) use life::{Blueprint, causes};
pub(super) use messages::{Begin, Probe, Probed, Report, Reported, Reset, Retire};
use messages::{Destroyed, Ended, Made, ResetEnded, WarmedUp};

/// Pause before a destruction that failed is tried again.
const DESTROY_AGAIN: Duration = Duration::from_secs(1);

/// State: what exists of the runtime. Receives [`Begin`], [`Reset`], [`Probe`], [`Retire`] from the supervisor and
/// Health; sends [`Reported`] and [`Probed`].
pub(super) struct Runtime {
    pool: PoolName,
    id: RuntimeId,
    backend: Arc<dyn Backend>,
    blueprint: Arc<Blueprint>,
    supervisor: Recipient<Reported>,
    log: slog::Logger,
    /// Pings and resets go here; the data wire has left with the ticket.
    control: Option<Arc<dyn Wire>>,
    data: Option<Arc<dyn Wire>>,
    /// Its drop ends the runtime, so that a panic of this actor leaves nothing behind.
    instance: Option<Box<dyn Instance>>,
    /// While the launch runs; dropped, it ends the launch.
    launching: Option<oneshot::Sender<()>>,
    retiring: bool,
}

impl Runtime {
    pub(super) fn new(
        (pool, id): (PoolName, RuntimeId),
        backend: Arc<dyn Backend>,
        blueprint: Arc<Blueprint>,
        supervisor: Recipient<Reported>,
        log: slog::Logger,
    ) -> Self {
        Self {
            pool,
            id,
            backend,
            blueprint,
            supervisor,
            log,
            control: None,
            data: None,
            instance: None,
            launching: None,
            retiring: false,
        }
    }

    fn report(&self, report: Report) {
        self.supervisor.do_send(Reported { pool: self.pool.clone(), id: self.id, report });
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

    fn launch_failed(&mut self, cause: String) {
        warn!(self.log, "launch failed"; "cause" => &cause);
        self.report(Report::LaunchFailed(cause));
    }

    fn destroy(&mut self, context: &Context<Self>) {
        self.control = None;
        self.data = None;
        let Some(instance) = self.instance.as_mut() else {
            context.address().do_send(Destroyed(Ok(())));
            return;
        };
        let destroy = instance.destroy();
        let limit = self.blueprint.spec.retire_timeout;
        Self::start(context, life::within(limit, "destroy", destroy), |result| {
            Destroyed(result.unwrap_or_else(|panicked| Err(BackendError::passing("destroy", panicked))))
        });
    }
}

impl Actor for Runtime {
    type Context = Context<Self>;
}

impl Handler<Begin> for Runtime {
    type Result = ();

    fn handle(&mut self, _: Begin, context: &mut Self::Context) {
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

impl Handler<Made> for Runtime {
    type Result = ();

    fn handle(&mut self, Made(result): Made, context: &mut Self::Context) {
        self.launching = None;
        let launched = match result {
            Ok(launched) => launched,
            Err(_) if self.retiring => return self.destroy(context),
            Err(error) => return self.launch_failed(causes(&error)),
        };
        let Launched { control, data, exit, instance } = launched;
        self.instance = Some(instance);
        Self::start(context, exit, |exit| {
            Ended(exit.map_or_else(|panicked| panicked.to_string(), |exit| exit.cause))
        });
        if self.retiring {
            return self.destroy(context);
        }
        self.control = Some(Arc::clone(&control));
        self.data = Some(data);
        self.report(Report::Launched);
        // Backends hand over guests that have said hello.
        self.report(Report::Booted);
        let warm_up = life::warm_up(control, Arc::clone(&self.blueprint));
        Self::start(context, warm_up, |result| {
            WarmedUp(result.unwrap_or_else(|panicked| Err(panicked.to_string())))
        });
    }
}

impl Handler<WarmedUp> for Runtime {
    type Result = ();

    fn handle(&mut self, WarmedUp(result): WarmedUp, _: &mut Self::Context) {
        if self.retiring {
            return;
        }
        match (result, self.data.take(), &self.instance) {
            (Ok(()), Some(wire), Some(instance)) => {
                let handle: Arc<str> = instance.handle().into();
                debug!(self.log, "ready"; "handle" => &*handle);
                self.report(Report::Warmed { wire, handle });
            }
            (Err(cause), ..) => self.launch_failed(cause),
            (Ok(()), ..) => self.launch_failed("ended while warming up".to_owned()),
        }
    }
}

impl Handler<Reset> for Runtime {
    type Result = ();

    fn handle(&mut self, Reset { ended }: Reset, context: &mut Self::Context) {
        let (Some(control), Some(instance)) = (&self.control, &self.instance) else { return };
        let reset = life::reset(Arc::clone(control), ended, instance.verify(), Arc::clone(&self.blueprint));
        Self::start(context, reset, |result| {
            ResetEnded(result.unwrap_or_else(|panicked| Err(panicked.to_string())))
        });
    }
}

impl Handler<ResetEnded> for Runtime {
    type Result = ();

    fn handle(&mut self, ResetEnded(result): ResetEnded, _: &mut Self::Context) {
        if self.retiring {
            return;
        }
        self.report(match result {
            Ok(took) => Report::ResetDone { took },
            Err(cause) => {
                warn!(self.log, "reset failed"; "cause" => &cause);
                Report::ResetFailed(cause)
            }
        });
    }
}

impl Handler<Probe> for Runtime {
    type Result = ();

    fn handle(&mut self, Probe { answer }: Probe, _: &mut Self::Context) {
        let Some(control) = self.control.clone() else { return };
        let session = Session::new(control, Epoch::default(), Arc::clone(&self.blueprint.defaults));
        let (pool, id, limit) = (self.pool.clone(), self.id, self.blueprint.spec.health.timeout);
        actix_rt::spawn(async move {
            let healthy = matches!(contain(session.ping(limit)).await, Ok(Ok(_)));
            answer.do_send(Probed { pool, id, healthy });
        });
    }
}

impl Handler<Ended> for Runtime {
    type Result = ();

    fn handle(&mut self, Ended(cause): Ended, _: &mut Self::Context) {
        if !self.retiring {
            warn!(self.log, "exited"; "cause" => &cause);
            self.report(Report::Exited(cause));
        }
    }
}

impl Handler<Retire> for Runtime {
    type Result = ();

    fn handle(&mut self, Retire { reason }: Retire, context: &mut Self::Context) {
        if self.retiring {
            return;
        }
        self.retiring = true;
        debug!(self.log, "retiring"; "reason" => reason.name());
        // A launch under way ends first; what it comes to is destroyed then.
        if self.launching.take().is_none() {
            self.destroy(context);
        }
    }
}

impl Handler<Destroyed> for Runtime {
    type Result = ();

    fn handle(&mut self, Destroyed(result): Destroyed, context: &mut Self::Context) {
        match result {
            Ok(()) => {
                self.instance = None;
                self.report(Report::Gone);
                context.stop();
            }
            Err(error) => {
                let cause = causes(&error);
                warn!(self.log, "destruction failed, trying again"; "cause" => &cause);
                self.report(Report::Survived(cause));
                context.run_later(DESTROY_AGAIN, |runtime, context| runtime.destroy(context));
            }
        }
    }
}
