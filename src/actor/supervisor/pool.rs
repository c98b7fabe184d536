use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_queue::SegQueue;
use tokio::sync::oneshot;

use super::member::{Member, Tenant};
use super::standing::Standing;
use crate::actor::clock::millis;
use crate::actor::runtime::{Blueprint, Ware};
use crate::actor::shared::{Resource, Shared};
use crate::actor::tenure::Finding;
use crate::backend::Backend;
use crate::decide::{Command, Decider, Event, Fate, Illegal, Moment, Stock, Strain};
use crate::guest::Wire;
use crate::handoff::Ticket;
use crate::model::{Epoch, PoolSpec, Reason, RestartSpec, RuntimeId, State};
use crate::observe::RuntimeStatus;

/// One pool as the supervisor holds it: the decider, and what its ids stand for.
pub(super) struct Pool {
    pub(super) decider: Decider,
    pub(super) shared: Arc<Shared>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) members: BTreeMap<RuntimeId, Member>,
    pub(super) wake_at: Option<Moment>,
    pub(super) log: slog::Logger,
    inbox: Inbox,
    /// The backend says that it is in trouble.
    pub(super) ailing: bool,
    /// Runtimes that the board says are not replaced.
    given_up: usize,
    finished: bool,
    awaiting_finish: Vec<oneshot::Sender<()>>,
}

/// What comes from the handoff and has not been looked at. Messages only say that there is something, so that
/// nothing is lost with one.
#[derive(Clone)]
pub(super) struct Inbox {
    /// Tickets that came home. Held by nobody else, so that none outlives the pool.
    pub(super) returned: Arc<SegQueue<Ticket<Resource>>>,
}

/// What a pool's runtimes are made by and from.
#[derive(Clone)]
pub(crate) struct MadeBy {
    /// Makes them.
    pub(crate) backend: Arc<dyn Backend>,
    /// What it calls itself.
    pub(crate) kind: String,
    /// Their workspace, as a tar.
    pub(crate) template: Option<Bytes>,
}

/// A lease that has been held for long.
pub(super) struct Overdue {
    pub(super) runtime: RuntimeId,
    pub(super) epoch: Epoch,
    pub(super) finding: Finding,
    pub(super) acquired_at: String,
    /// Which it works on.
    pub(super) wire: Arc<dyn Wire>,
}

impl Pool {
    pub(super) fn new(
        decider: Decider,
        shared: Arc<Shared>,
        made_by: MadeBy,
        inbox: Inbox,
        log: slog::Logger,
    ) -> Self {
        let blueprint = blueprint(&shared, made_by.template);
        Self {
            decider,
            shared,
            backend: made_by.backend,
            blueprint,
            members: BTreeMap::new(),
            wake_at: None,
            log,
            inbox,
            given_up: 0,
            ailing: false,
            finished: false,
            awaiting_finish: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, now: Moment, event: Event) -> Result<Vec<Command>, Illegal> {
        let stock = self.shared.handoff.stock();
        let stock =
            Stock { ready: stock.ready, waiters: stock.waiters, overflow: self.shared.overflow_waiting() };
        let commands = self.decider.step(now, stock, event);
        self.note_given_up();
        commands
    }

    /// What is not replaced is a trouble that no launch ends.
    fn note_given_up(&mut self) {
        let (before, now) = (self.given_up, self.decider.given_up());
        self.given_up = now;
        let board = &self.shared.board;
        if now > before {
            let last = board.last_failure().unwrap_or_default();
            let words = format!("{now} not replaced, as restart.policy says; the last: {last}");
            board.set_trouble(Some(&words));
            if board.is_degraded() {
                board.set_degraded(Some(&words));
            }
        } else if now == 0 && before > 0 {
            board.set_trouble(None);
        }
    }

    /// In words, with the last failure.
    pub(super) fn why_degraded(&self) -> String {
        let last = self.shared.board.last_failure();
        let last = last.as_deref().unwrap_or("of a runtime that was replaced since");
        let RestartSpec { intensity, window, .. } = self.decider.spec().restart;
        match self.decider.strain() {
            Some(Strain::Window) => format!(
                "restart.intensity: no more than {intensity} launches caused by failure within {window:?}; the last failure: {last}"
            ),
            Some(Strain::Launches) | None => format!("launches fail; the last failure: {last}"),
            // It says so itself.
            Some(Strain::GivenUp(_)) => last.to_owned(),
        }
    }

    pub(super) fn member_mut(&mut self, id: RuntimeId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn state(&self, id: RuntimeId) -> Option<State> {
        self.decider.ledger().state(id)
    }

    /// Makes the ticket of a runtime that has warmed up; answers its name for others, and how long that took.
    pub(super) fn issue(&mut self, id: RuntimeId, now: Moment) -> Option<(Arc<str>, Duration)> {
        let member = self.members.get_mut(&id)?;
        let Ware { wire, handle, endpoints, chart } = member.badge.take_ware()?;
        self.shared.board.charts.hang_up(id, Arc::clone(&chart));
        member.chart = Some(chart);
        let resource = Resource {
            wire,
            shared: Arc::clone(&self.shared),
            handle: Arc::clone(&handle),
            endpoints,
            quarantined: AtomicBool::new(false),
            tenure: Arc::default(),
            timed: false,
            session: OnceLock::new(),
        };
        member.tenure =
            Some(Tenant { tenure: Arc::clone(&resource.tenure), wire: Arc::clone(&resource.wire) });
        let ticket = self.shared.handoff.issue(id, resource);
        member.tether = Some(ticket.tether().clone());
        member.ticket = Some(ticket);
        member.handle = Arc::clone(&handle);
        Some((handle, now.saturating_sub(member.since)))
    }

    /// Keeps a ticket until it is put again or its runtime goes; answers whose it is.
    pub(super) fn take_back(&mut self, ticket: Ticket<Resource>) -> RuntimeId {
        let id = ticket.runtime();
        if let Some(member) = self.members.get_mut(&id) {
            member.ticket = Some(ticket);
        }
        id
    }

    /// Keeps the next of the tickets that came home.
    pub(super) fn next_returned(&mut self) -> Option<RuntimeId> {
        let ticket = self.inbox.returned.pop()?;
        Some(self.take_back(ticket))
    }

    pub(super) fn bring_home_returned(&mut self) {
        while self.next_returned().is_some() {}
    }

    /// What the ticket in hand says of the lease that ended.
    pub(super) fn as_returned(&self, id: RuntimeId) -> Option<Event> {
        let ticket = self.members.get(&id)?.ticket.as_ref()?;
        let fate = if ticket.resource().is_quarantined() { Fate::Quarantined } else { Fate::Used };
        Some(Event::Returned { id, uses: ticket.uses(), fate })
    }

    /// Has a runtime leased no more; a holder that it has been handed to keeps it unless something is wrong with
    /// it.
    pub(super) fn condemn(&mut self, id: RuntimeId, reason: Reason) {
        if let Some(tether) = self.members.get(&id).and_then(|member| member.tether.as_ref()) {
            if reason.is_failure() {
                tether.condemn();
            } else {
                tether.expire();
            }
        }
    }

    /// Where each runtime stands, whatever the decider thinks. What it has reported so far is in that.
    pub(super) fn standings(&mut self) -> Vec<(RuntimeId, Standing)> {
        let decider = &self.decider;
        self.members.iter_mut().map(|(id, member)| (*id, member.hear(decider.is_condemned(*id)))).collect()
    }

    /// Leases that are over, and those that somebody may have forgotten.
    pub(super) fn overdue(&self) -> Vec<Overdue> {
        let settings = self.shared.settings();
        let (now, leak_after) = (self.shared.now(), settings.spec.leak_after);
        let mut overdue = Vec::new();
        for (id, member) in self.members.iter().filter(|(_, member)| member.retiring.is_none()) {
            let Some(Tenant { tenure, wire }) = &member.tenure else { continue };
            let Some(finding) = tenure.look(now, leak_after) else { continue };
            let (epoch, acquired_at, wire) = (tenure.epoch(), tenure.acquired_at(), Arc::clone(wire));
            overdue.push(Overdue { runtime: *id, epoch, finding, acquired_at, wire });
        }
        overdue
    }

    pub(super) fn reconfigure(&mut self, spec: &PoolSpec, made_by: Option<MadeBy>) {
        self.shared.set_spec(spec.clone());
        let template = match made_by {
            Some(made_by) => {
                self.backend = made_by.backend;
                made_by.template
            }
            None => self.blueprint.template.clone(),
        };
        self.blueprint = blueprint(&self.shared, template);
    }

    /// Runtimes that Health looks after.
    pub(super) fn watched(&self) -> impl Iterator<Item = RuntimeId> {
        let in_service = |member: &Member| member.tether.is_some() && member.retiring.is_none();
        self.members.iter().filter(move |(_, member)| in_service(member)).map(|(id, _)| *id)
    }

    /// Copies the ledger's counts to where everybody can read them.
    pub(super) fn publish(&self) {
        let (ledger, board) = (self.decider.ledger(), &self.shared.board);
        for state in State::ALL {
            board.set_state(state, ledger.count(state));
        }
        for reason in Reason::ALL {
            board.set_retired(reason, ledger.retired(reason));
        }
        board.set_launched(ledger.launched());
    }

    pub(super) fn await_finish(&mut self, finished: oneshot::Sender<()>) {
        if self.finished {
            tell(finished);
        } else {
            self.awaiting_finish.push(finished);
        }
    }

    /// Drained, and nothing is left that could change that.
    pub(super) fn is_over(&self) -> bool {
        self.finished && self.members.is_empty()
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
        for waiting in self.awaiting_finish.drain(..) {
            tell(waiting);
        }
    }

    pub(super) fn runtimes(&self, now: Moment) -> Vec<RuntimeStatus> {
        self.members
            .iter()
            .filter_map(|(id, member)| {
                Some(RuntimeStatus {
                    id: *id,
                    state: self.state(*id)?,
                    handle: member.handle.to_string(),
                    age_ms: millis(now.saturating_sub(member.since)),
                })
            })
            .collect()
    }
}

/// An error only means that whoever asked has gone.
pub(super) fn tell(waiting: oneshot::Sender<()>) {
    let _: Result<(), ()> = waiting.send(());
}

fn blueprint(shared: &Shared, template: Option<Bytes>) -> Arc<Blueprint> {
    let settings = shared.settings();
    Arc::new(Blueprint { spec: settings.spec.clone(), defaults: Arc::clone(&settings.defaults), template })
}
