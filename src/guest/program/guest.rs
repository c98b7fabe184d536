//! The guest's one loop.
//!
//! Each turn takes what the poll reports, then does a bounded piece of everything that can go on: a frame or
//! two, a few slices of operations, a slice of a hunt. What is left makes the next turn start at once. So
//! nothing waits longer than a turn, however much the rest has to do.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::time::{Duration, Instant};

use crate::clearing::{Cleared, Clearing};
use crate::container::Attach;
use crate::exec::{Launcher, Leftovers};
use crate::files::Tree;
use crate::operation::Work;
use crate::pace::Pace;
use crate::place::{Place, Walls};
use crate::processes::{Hunts, Marks, Waiter};
use crate::progress::Progress;
use crate::protocol::{Done, Refusal, RefusalKind};
use crate::refusal;
use crate::service::{self, Service};
use crate::stream::{Side, Stream};
use crate::sys::Result as SysResult;
use crate::sys::poll::{Event, Interest, Poll};
use crate::sys::signal::{self, Arrived, Signals};
use crate::table::{Key, Table};
use crate::token::Token;
use crate::upkeep::Upkeep;

/// Slices of operations per turn.
const SLICES: usize = 8;

/// Children taken leave of per turn.
const REAPED: usize = 128;

/// Everything the guest is and has.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) place: Place,
    pub(crate) tree: Tree,
    pub(crate) poll: Poll,
    signals: Signals,
    pub(crate) control: Option<Stream>,
    pub(crate) data: Option<Stream>,
    /// What is behind both streams, where they are not sockets of their own.
    pub(crate) attach: Option<Attach>,
    /// Whether it can go on without waiting.
    pub(crate) pumping: bool,
    pace: Pace,
    pub(crate) table: Table,
    /// Operations that can go on, oldest first.
    queue: VecDeque<Key>,
    /// Whose main process a child is.
    pub(crate) leaders: HashMap<i32, Key>,
    pub(crate) hunts: Hunts,
    pub(crate) launcher: Launcher,
    pub(crate) leftovers: Leftovers,
    pub(crate) clearing: Option<Clearing>,
    /// The image's own program, where the guest is to run it.
    pub(crate) service: Option<Service>,
    /// What is put in order after the places are wiped, in a container.
    pub(crate) upkeep: Upkeep,
    /// The last epoch that has ended.
    pub(crate) fence: Option<u64>,
    /// Whether children may have ended.
    pub(crate) bereaved: bool,
    pub(crate) started: Instant,
    /// When this turn began.
    pub(crate) now: Instant,
}

impl Guest {
    pub(crate) fn new(
        place: Place,
        control: Stream,
        data: Stream,
        nothing: OwnedFd,
        marks: Marks,
    ) -> SysResult<Self> {
        let poll = Poll::new()?;
        let signals = Signals::new(match place.walls {
            // Inside walls only commands could send a TERM; whoever is outside ends PID 1 at once.
            Walls::Private => &[signal::CHLD],
            Walls::Shared => &[signal::CHLD, signal::TERM],
            Walls::Container { .. } => &service::SIGNALS,
        })?;
        poll.add(signals.as_fd(), Token::Signals.into(), Interest::Read)?;
        poll.add(control.socket(), Token::Stream(Side::Control).into(), Interest::Read)?;
        poll.add(data.socket(), Token::Stream(Side::Data).into(), Interest::Read)?;
        let now = Instant::now();
        Ok(Self {
            tree: Tree::new(&place)?,
            hunts: Hunts::new(place.walls),
            place,
            poll,
            signals,
            control: Some(control),
            data: Some(data),
            attach: None,
            pumping: false,
            pace: Pace::default(),
            table: Table::new(),
            queue: VecDeque::new(),
            leaders: HashMap::new(),
            launcher: Launcher::new(nothing, marks)?,
            leftovers: Leftovers::new(),
            clearing: None,
            service: None,
            upkeep: Upkeep::default(),
            fence: None,
            bereaved: false,
            started: now,
            now,
        })
    }

    /// Serves until the host has gone or says so, or the service has ended; answers the service's status.
    ///
    /// # Errors
    /// When the kernel no longer reports events.
    pub(crate) fn serve(mut self) -> SysResult<u8> {
        let mut events = Vec::new();
        loop {
            match self.patience() {
                // Nothing goes on, and so nothing but a request is awaited.
                None if self.table.len() == 0 => self.now = self.pace.wait(&self.poll, &mut events)?,
                patience => {
                    self.poll.wait(&mut events, patience)?;
                    self.now = Instant::now();
                }
            }
            for event in &events {
                self.note(*event)?;
            }
            if self.turn()? == Cleared::ToLeave {
                let status = self.service.as_ref().map_or(0, Service::status);
                let attach = self.attach.take();
                drop(self);
                if let Some(attach) = attach {
                    attach.finish();
                }
                return Ok(status);
            }
        }
    }

    fn note(&mut self, event: Event) -> SysResult<()> {
        match Token::from(event.token) {
            Token::Stream(side) => {
                if let Some(stream) = self.stream(side) {
                    stream.note(event);
                }
            }
            Token::Signals => {
                for arrived in self.signals.take()? {
                    self.note_signal(arrived);
                }
            }
            Token::Attach => self.pumping = true,
            Token::Operation(key, part) => {
                if let Some(operation) = self.table.get_mut(key)
                    && let Work::Exec(exec) = &mut operation.work
                {
                    exec.note(part, event);
                    self.enqueue(key);
                }
            }
            Token::Leftover(key) => self.leftovers.note(key),
        }
        Ok(())
    }

    fn note_signal(&mut self, Arrived { number, sender }: Arrived) {
        match number {
            signal::CHLD => self.bereaved = true,
            _ if self.place.walls == Walls::Shared => self.leave(),
            // The engine, or an init it has put above the guest. A command may be the same user and must not
            // end the runtime.
            _ if sender == 0 || sender == parent_id() => self.told_by_engine(number),
            _ => {}
        }
    }

    fn turn(&mut self) -> SysResult<Cleared> {
        self.pump();
        // A clearing counts whom it kills, so it does this itself.
        if self.bereaved && self.clearing.is_none() {
            self.reap(REAPED)?;
        }
        let cleared = self.clear();
        self.meet_deadlines();
        let marks = self.launcher.marks();
        for waiter in self.hunts.advance(marks, self.now) {
            self.reap(REAPED)?;
            self.tell(waiter);
        }
        for side in [Side::Control, Side::Data] {
            if !self.is_leaving() && self.listen(side).is_err() {
                self.hang_up(side);
            }
        }
        for _ in 0..SLICES {
            let Some(key) = self.queue.pop_front() else { break };
            self.advance(key)?;
        }
        self.leftovers.advance();
        for side in [Side::Control, Side::Data] {
            self.flush(side)?;
        }
        Ok(cleared)
    }

    /// How long nothing happens unless something comes; `None` is for ever.
    fn patience(&mut self) -> Option<Duration> {
        let listens = [&self.control, &self.data].into_iter().flatten().any(Stream::is_busy);
        let bereaved = self.bereaved && self.clearing.is_none();
        if listens
            || self.pumping
            || bereaved
            || !self.queue.is_empty()
            || self.leftovers.is_busy()
            || self.is_wiping()
        {
            return Some(Duration::ZERO);
        }
        let execs = self.table.iter_mut().filter_map(|(_, operation)| operation.work.next_deadline());
        let others = [
            self.hunts.next_deadline(),
            self.clearing.as_ref().and_then(Clearing::next_deadline),
            self.service.as_ref().and_then(Service::next_deadline),
        ];
        let next = execs.chain(others.into_iter().flatten()).min()?;
        Some(next.saturating_duration_since(self.now))
    }

    /// Gives an operation a turn.
    pub(crate) fn enqueue(&mut self, key: Key) {
        if let Some(operation) = self.table.get_mut(key)
            && !std::mem::replace(&mut operation.queued, true)
        {
            self.queue.push_back(key);
        }
    }

    /// Does one slice of an operation.
    fn advance(&mut self, key: Key) -> SysResult<()> {
        let Some(operation) = self.table.get_mut(key) else {
            return Ok(());
        };
        operation.queued = false;
        let stream = match operation.side {
            Side::Control => &mut self.control,
            Side::Data => &mut self.data,
        };
        let Some(stream) = stream else {
            return Ok(());
        };
        let mut outlet = stream.outlet(operation.id, &mut operation.outstanding);
        match operation.work.advance(&mut outlet, self.now) {
            Progress::More => self.enqueue(key),
            Progress::Waiting => {}
            Progress::Ended(result) => self.finish(key, result)?,
        }
        Ok(())
    }

    fn finish(&mut self, key: Key, result: Result<Done, Refusal>) -> SysResult<()> {
        let Some(operation) = self.table.remove(key) else {
            return Ok(());
        };
        self.reply(operation.side, operation.id, result);
        if let Work::Exec(exec) = operation.work {
            if let Some(leader) = exec.prey().leader {
                self.leaders.remove(&leader);
            }
            for pipe in exec.into_open_pipes() {
                self.leftovers.keep(pipe, &self.poll, |key| Token::Leftover(key).into())?;
            }
        }
        Ok(())
    }

    /// Ends an operation that nobody waits for any more. A program's processes are hunted; `waiter` hears
    /// when they are gone.
    pub(crate) fn abandon(&mut self, key: Key, waiter: Option<Waiter>) {
        let Some(operation) = self.table.remove(key) else {
            return;
        };
        match operation.work {
            Work::Exec(exec) => {
                let prey = exec.prey();
                if let Some(leader) = prey.leader {
                    self.leaders.remove(&leader);
                }
                self.hunts.begin(prey, waiter, self.now);
            }
            Work::Read(_) | Work::Write(_) | Work::List(_) | Work::Remove(_) => {
                if let Some(waiter) = waiter {
                    self.tell(waiter);
                }
            }
        }
    }

    /// A hunt is over, or has taken too long to wait for.
    pub(crate) fn tell(&mut self, waiter: Waiter) {
        match waiter {
            Waiter::Overdue(key) => {
                if let Some(operation) = self.table.get_mut(key)
                    && let Work::Exec(exec) = &mut operation.work
                {
                    exec.settle();
                    self.enqueue(key);
                }
            }
            Waiter::Cancelled(side, op) => {
                self.reply(side, op, Err(refusal::rule(RefusalKind::Failed, "cancelled")));
            }
        }
    }

    fn meet_deadlines(&mut self) {
        let now = self.now;
        self.lose_patience_with_service();
        let mut due = Vec::new();
        for (key, operation) in self.table.iter_mut() {
            if operation.work.next_deadline().is_some_and(|deadline| now >= deadline)
                && let Work::Exec(exec) = &mut operation.work
            {
                due.push((key, exec.is_overdue(now).then(|| exec.prey())));
            }
        }
        for (key, prey) in due {
            if let Some(prey) = prey {
                self.hunts.begin(prey, Some(Waiter::Overdue(key)), now);
            }
            self.enqueue(key);
        }
    }
}
