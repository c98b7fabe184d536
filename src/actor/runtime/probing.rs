//! When a runtime is probed, and what follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{AsyncContext as _, Context};
use slog::{Logger, debug, warn};
use tokio::time::Instant;

use super::messages::{FirstProbe, FirstProbeEnded, Probe, ProbeEnded, Probed, Report};
use super::probe::{self, Finding};
use super::{Runtime, Ware};
use crate::actor::contain::{Panicked, Takes, catch};
use crate::guest::Session;
use crate::model::{self, Health, Meter, State};
use crate::observe::Chart;

/// Longest pause between two probes while the first success is awaited.
const PAUSE: Duration = Duration::from_millis(250);

/// How the probes before the first success go.
pub(super) struct Warming {
    /// When there was something to probe.
    since: Instant,
    /// Failed probes in a row, after the start period.
    failures: u32,
}

impl Runtime {
    fn only_pings(&self) -> bool {
        self.blueprint.spec.health.probe == model::Probe::Guest
    }

    /// Template and `warm_up` are done, beginning with a ping; what is left is that it is healthy.
    pub(super) fn await_health(&mut self, context: &mut Context<Self>) {
        if self.only_pings() {
            return self.warmed();
        }
        self.warming = Some(Warming { since: Instant::now(), failures: 0 });
        self.take(FirstProbe, context);
    }

    /// Leasable.
    fn warmed(&mut self) {
        self.warming = None;
        match (self.data.take(), &self.instance) {
            (Some(wire), Some(instance)) => {
                let handle: Arc<str> = instance.handle().into();
                debug!(self.log, "ready"; "handle" => &*handle);
                let meter = instance.meter().map(|meter| contained(meter, self.log.clone()));
                let chart = Chart::new(Arc::clone(&handle), instance.transport(), meter);
                let (chart, endpoints) = (Arc::new(chart), Arc::clone(&self.endpoints));
                let number = self.badge.report_warm(Ware { wire, handle, endpoints, chart });
                self.tell(number, Report::Warmed);
            }
            _ => self.launch_failed("ended while warming up".to_owned()),
        }
    }

    /// A probe of it, as the pool's spec wants it; none while there is nothing to probe. During a reset nothing
    /// may be started in it, so that then its guest is pinged and no more.
    fn probe(&self) -> Option<impl Future<Output = Finding> + 'static> {
        let session = Session::new(self.control.clone()?, self.epoch, Arc::clone(&self.blueprint.defaults));
        let (blueprint, endpoints) = (Arc::clone(&self.blueprint), Arc::clone(&self.endpoints));
        let own = self.health_check.clone();
        let resetting = self.badge.state() == State::Resetting;
        Some(async move {
            if resetting {
                return probe::ping(&session, blueprint.spec.health.timeout).await;
            }
            probe::probe(session, &blueprint.spec, &endpoints, own).await
        })
    }
}

/// A meter that anybody may read: one that panics says nothing, and the log why, once.
fn contained(meter: Meter, log: Logger) -> Meter {
    let told = AtomicBool::new(false);
    Arc::new(move || {
        catch(|| meter()).unwrap_or_else(|panicked| {
            if !told.swap(true, Ordering::Relaxed) {
                // A logger may panic too.
                let _: Result<(), Panicked> = catch(|| warn!(log, "meter: {panicked}"));
            }
            None
        })
    })
}

impl Takes<FirstProbe> for Runtime {
    fn take(&mut self, _: FirstProbe, context: &mut Context<Self>) {
        let Some(probe) = self.probe().filter(|_| self.warming.is_some()) else { return };
        Self::start(context, probe, |finding| {
            FirstProbeEnded(finding.unwrap_or_else(|panicked| Finding::failed(panicked.to_string())))
        });
    }
}

impl Takes<FirstProbeEnded> for Runtime {
    fn take(
        &mut self,
        FirstProbeEnded(Finding { health, cause }): FirstProbeEnded,
        context: &mut Context<Self>,
    ) {
        if self.is_retiring() || self.badge.is_fallen() {
            return;
        }
        let spec = &self.blueprint.spec;
        let Some(warming) = self.warming.as_mut() else { return };
        let waited = warming.since.elapsed();
        match health {
            Health::Healthy => return self.warmed(),
            Health::Unhealthy if waited >= spec.health.start_period => warming.failures += 1,
            Health::Unhealthy | Health::Unknown => {}
        }
        let cause = cause.unwrap_or_else(|| "its health is not known".to_owned());
        if warming.failures >= spec.health.retries || waited >= spec.launch_timeout {
            self.warming = None;
            return self.launch_failed(format!("never healthy: {cause}"));
        }
        debug!(self.log, "not healthy yet"; "cause" => cause);
        context.notify_later(FirstProbe, spec.health.interval.min(PAUSE));
    }
}

impl Takes<Probe> for Runtime {
    fn take(&mut self, Probe { answer }: Probe, context: &mut Context<Self>) {
        let resets = self.resets;
        let Some(probe) = self.probe() else { return };
        Self::start(context, probe, move |finding| {
            let finding = finding.unwrap_or_else(|panicked| Finding::failed(panicked.to_string()));
            ProbeEnded { answer, resets, finding }
        });
    }
}

impl Takes<ProbeEnded> for Runtime {
    fn take(&mut self, ProbeEnded { answer, resets, finding }: ProbeEnded, _: &mut Context<Self>) {
        // A reset kills what a probe started too. A guest that hangs in one is the reset's own affair.
        let disturbed = resets != self.resets || self.badge.state() == State::Resetting;
        let finding = if disturbed && !self.only_pings() { Finding::UNKNOWN } else { finding };
        answer.do_send(Probed { pool: self.pool.clone(), id: self.id, finding });
    }
}
