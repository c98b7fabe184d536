use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Weak};

use actix_rt::Arbiter;
use slog::crit;
use tokio::time::sleep;

use super::chair::Chair;
use super::contain::{Cradle, MAILBOX, Place};
use super::supervisor::{Estate, Founding, LookAlive, Supervisor, TakeOver, Term};
use super::vigil::{self, HUNG, LOOK, SILENT_LOOKS};

/// The supervisor's thread, seen from that of the runtimes. One that takes no message for two seconds is given up, for
/// a thread cannot be ended from outside, and another supervisor takes over what it left. Should the old one ever go
/// on, it finds its hands empty, and ends.
pub(super) struct Office {
    /// What the next one is made from.
    founding: Founding,
    chair: Chair,
    term: Arc<Term>,
    arbiter: Arbiter,
    /// Of those given up; whoever has ended holds none any more.
    hung: Vec<Weak<Term>>,
}

impl Office {
    /// Starts the first supervisor on a thread of its own.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn open(founding: Founding, seed: u64) -> io::Result<Self> {
        let (arbiter, term) = (Arbiter::try_new()?, Arc::<Term>::default());
        let cradle = Cradle::new(MAILBOX);
        let chair = Chair::new(cradle.address());
        occupy(&arbiter, cradle, founding.clone(), &chair, &term, Estate::new(seed));
        Ok(Self { founding, chair, term, arbiter, hung: Vec::new() })
    }

    pub(super) fn chair(&self) -> Chair {
        self.chair.clone()
    }

    /// Replaces the supervisor whenever it hangs. Cancel-safe.
    pub(super) async fn guard(&mut self) -> Infallible {
        let (mut seen, mut silent) = (None, 0);
        loop {
            sleep(LOOK).await;
            let beats = Some(self.term.beats());
            silent = if beats == seen { silent + 1 } else { 0 };
            seen = beats;
            if silent == 1 {
                // Nobody may have wanted anything of it. A full mailbox is as good.
                self.chair.try_send(LookAlive);
            }
            if silent == SILENT_LOOKS && self.chair.is_taken() {
                self.replace();
                // There is a new one, or it is tried again.
                (seen, silent) = (None, 0);
            }
        }
    }

    /// Ends the supervisor's thread and waits for it.
    pub(super) async fn close(self) {
        vigil::end(self.arbiter).await;
    }

    fn replace(&mut self) {
        self.hung.retain(|term| term.strong_count() > 0);
        let log = self.founding.log.clone();
        let cause = "the supervisor's thread hung";
        if self.hung.len() == HUNG {
            crit!(log, "nobody supervises"; "cause" => cause, "threads that hang" => HUNG + 1);
            return;
        }
        let arbiter = match Arbiter::try_new() {
            Ok(arbiter) => arbiter,
            Err(error) => {
                crit!(log, "no thread for another supervisor"; "cause" => %error);
                return;
            }
        };
        // From here on the old one can do nothing.
        let Some(estate) = self.term.take() else {
            arbiter.stop();
            crit!(log, "nothing can be taken from a supervisor that hangs"; "cause" => cause);
            return;
        };
        let (cradle, term) = (Cradle::new(MAILBOX), Arc::<Term>::default());
        let next = cradle.address();
        // First of all that it hears.
        next.do_send(TakeOver { cause: cause.to_owned() });
        // Before it begins: whatever is still sent to the old one is lost, and must be over when the new one looks
        // at what there is.
        self.chair.pass_to(next);
        occupy(&arbiter, cradle, self.founding.clone(), &self.chair, &term, estate);
        self.hung.push(Arc::downgrade(&self.term));
        // Dropped, the old arbiter goes on until its supervisor has ended.
        (self.arbiter, self.term) = (arbiter, term);
        crit!(log, "another supervisor takes over"; "cause" => cause);
    }
}

/// Starts a supervisor on a thread that ends with it.
fn occupy(
    arbiter: &Arbiter,
    cradle: Cradle<Supervisor>,
    founding: Founding,
    chair: &Chair,
    term: &Arc<Term>,
    estate: Estate,
) {
    let log = founding.log.clone();
    let supervisor = Supervisor::new(founding, chair.clone(), Arc::clone(term), estate);
    cradle.start(&Place::On(arbiter.handle()), supervisor, move |panicked| {
        if let Some(panicked) = panicked {
            // Its handlers contain their panics; this would be one of actix's own.
            crit!(log, "supervisor lost"; "cause" => %panicked);
        }
        Arbiter::current().stop();
    });
}
