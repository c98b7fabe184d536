use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Weak};

use actix_rt::Arbiter;
use slog::crit;
use tokio::time::sleep;

use super::pulse::Pulse;
use super::supervisor::Unwatched;
use super::vigil::{self, HUNG, LOOK, SILENT_LOOKS};
use super::watchers::Watchers;

/// The thread of the watchers, seen from the supervisor's. One that shows no sign of life for two seconds is given up,
/// for a thread cannot be ended from outside, and another one takes over. Should it ever go on, its actors find that
/// they are not wanted any more, and end.
pub(super) struct Watch {
    /// What the next ones are made from.
    watchers: Watchers,
    arbiter: Arbiter,
    /// Of those given up; whoever has ended holds none any more.
    hung: Vec<Weak<Pulse>>,
}

impl Watch {
    /// Starts the watchers on a thread of their own.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn start(watchers: Watchers) -> io::Result<Self> {
        Ok(Self { arbiter: occupy(&watchers)?, watchers, hung: Vec::new() })
    }

    /// Replaces it whenever it hangs. Cancel-safe.
    pub(super) async fn guard(&mut self) -> Infallible {
        let (mut seen, mut silent) = ([0; 2], 0);
        loop {
            sleep(LOOK).await;
            let beats = self.watchers.pulse.beats();
            let all_live = beats.iter().zip(&seen).all(|(now, before)| now != before);
            silent = if all_live { 0 } else { silent + 1 };
            seen = beats;
            if silent == SILENT_LOOKS {
                self.replace();
                (seen, silent) = ([0; 2], 0);
            }
        }
    }

    /// Ends the watchers and waits for their thread.
    pub(super) async fn end(self) {
        vigil::end(self.arbiter).await;
    }

    fn replace(&mut self) {
        self.hung.retain(|pulse| pulse.strong_count() > 0);
        let next = Watchers { pulse: Arc::default(), ..self.watchers.clone() };
        let cause = "the thread of health, maintenance and metrics hung";
        let log = &self.watchers.log;
        self.watchers.supervisor.do_send(Unwatched { cause: cause.to_owned() });
        if self.hung.len() == HUNG {
            crit!(log, "nobody watches"; "cause" => cause, "threads that hang" => HUNG + 1);
            return;
        }
        crit!(log, "starting other watchers"; "cause" => cause);
        match occupy(&next) {
            Ok(arbiter) => {
                self.watchers.pulse.relieve();
                self.hung.push(Arc::downgrade(&self.watchers.pulse));
                // Dropped, it goes on until its actors have ended.
                self.arbiter = arbiter;
                self.watchers = next;
            }
            Err(error) => crit!(log, "no thread for other watchers"; "cause" => %error),
        }
    }
}

/// Starts watchers on a thread that ends with them.
fn occupy(watchers: &Watchers) -> io::Result<Arbiter> {
    let arbiter = Arbiter::try_new()?;
    let watchers = watchers.clone();
    arbiter.spawn_fn(move || {
        let ended = watchers.start();
        actix_rt::spawn(async move {
            ended.await;
            Arbiter::current().stop();
        });
    });
    Ok(arbiter)
}
