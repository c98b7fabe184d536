use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::actor::clock::millis;
use crate::actor::runtime::{Blueprint, Runtime};
use crate::actor::shared::{Resource, Shared};
use crate::backend::Backend;
use crate::decide::{Command, Decider, Event, Illegal, Moment, Stock};
use crate::guest::Wire;
use crate::handoff::{Tether, Ticket};
use crate::model::{PoolSpec, Reason, RuntimeId, State};
use crate::observe::RuntimeStatus;

/// One pool as the supervisor holds it: the decider, and what its ids stand for.
pub(super) struct Pool {
    decider: Decider,
    pub(super) shared: Arc<Shared>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) members: BTreeMap<RuntimeId, Member>,
    pub(super) wake_at: Option<Moment>,
    pub(super) log: slog::Logger,
    finished: bool,
    awaiting_finish: Vec<oneshot::Sender<()>>,
}

/// A runtime as the supervisor holds it.
pub(super) struct Member {
    /// Its actor.
    pub(super) address: Addr<Runtime>,
    /// While it is in the supervisor's hands: warmed and not yet put, or being reset.
    pub(super) ticket: Option<Ticket<Resource>>,
    /// Condemns the ticket wherever it is.
    pub(super) tether: Option<Tether<Resource>>,
    handle: Arc<str>,
    since: Moment,
}

/// What a pool's runtimes are made by and from.
pub(crate) struct MadeBy {
    /// Makes them.
    pub(crate) backend: Arc<dyn Backend>,
    /// Their workspace, as a tar.
    pub(crate) template: Option<Bytes>,
}

impl Member {
    pub(super) fn launching(address: Addr<Runtime>, now: Moment) -> Self {
        Self { address, ticket: None, tether: None, handle: "".into(), since: now }
    }
}

impl Pool {
    pub(super) fn new(decider: Decider, shared: Arc<Shared>, made_by: MadeBy, log: slog::Logger) -> Self {
        let blueprint = blueprint(&shared, made_by.template);
        Self {
            decider,
            shared,
            backend: made_by.backend,
            blueprint,
            members: BTreeMap::new(),
            wake_at: None,
            log,
            finished: false,
            awaiting_finish: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, now: Moment, event: Event) -> Result<Vec<Command>, Illegal> {
        let stock = self.shared.handoff.stock();
        self.decider.step(now, Stock { ready: stock.ready, waiters: stock.waiters }, event)
    }

    pub(super) fn member_mut(&mut self, id: RuntimeId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn state(&self, id: RuntimeId) -> Option<State> {
        self.decider.ledger().state(id)
    }

    /// Makes the ticket of a runtime that has warmed up; answers how long that took.
    pub(super) fn issue(
        &mut self,
        id: RuntimeId,
        wire: Arc<dyn Wire>,
        handle: Arc<str>,
        now: Moment,
    ) -> Duration {
        let Some(member) = self.members.get_mut(&id) else { return Duration::ZERO };
        let resource = Resource {
            wire,
            shared: Arc::clone(&self.shared),
            handle: Arc::clone(&handle),
            quarantined: AtomicBool::new(false),
        };
        let ticket = self.shared.handoff.issue(id, resource);
        member.tether = Some(ticket.tether().clone());
        member.ticket = Some(ticket);
        member.handle = handle;
        now.saturating_sub(member.since)
    }

    /// Keeps a ticket until it is put again or its runtime goes; answers whose it is.
    pub(super) fn take_back(&mut self, ticket: Ticket<Resource>) -> RuntimeId {
        let id = ticket.runtime();
        if let Some(member) = self.members.get_mut(&id) {
            member.ticket = Some(ticket);
        }
        id
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
        self.members.iter().filter(|(_, member)| member.tether.is_some()).map(|(id, _)| *id)
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
fn tell(waiting: oneshot::Sender<()>) {
    let _: Result<(), ()> = waiting.send(());
}

fn blueprint(shared: &Shared, template: Option<Bytes>) -> Arc<Blueprint> {
    let settings = shared.settings();
    Arc::new(Blueprint { spec: settings.spec.clone(), defaults: Arc::clone(&settings.defaults), template })
}
