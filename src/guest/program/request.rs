//! What the host asks for.

use crate::files::{self, Listing, Reading, Removal, Writing};
use crate::guest::Guest;
use crate::operation::{Operation, Work};
use crate::processes::{self, Waiter};
use crate::protocol::{Done, Frame, Input, Kind, Refusal, RefusalKind, Request, VERSION, Vitals, Welcome};
use crate::refusal;
use crate::stream::{Over, Side};
use crate::token::Token;

/// Operations that run at once, those included whose processes are still being killed.
const OPERATIONS: usize = 256;

/// Work done for one stream per turn, in frames; one that starts a program or counts processes is as many.
const FRAMES: usize = 32;
const LAUNCH: usize = 8;
const COUNT: usize = 4;

/// What became of a request.
enum Opened {
    /// It is answered already.
    Done(Done),
    /// It runs.
    Running(Work),
}

impl Guest {
    /// Takes what a stream has to say, up to a turn's worth.
    ///
    /// # Errors
    /// When the stream has ended or makes no sense.
    pub(crate) fn listen(&mut self, side: Side) -> Result<(), Over> {
        let Some(stream) = self.stream(side) else {
            return Ok(());
        };
        if stream.is_choked() {
            return Ok(());
        }
        if !stream.backlog {
            stream.receive()?;
        }
        // Taken out of the stream, so that a frame can be handled where it lies.
        let mut input = std::mem::take(&mut stream.input);
        let mut backlog = stream.backlog;
        let mut spent = 0;
        while backlog && spent < FRAMES {
            match input.cut()? {
                Some(frame) => spent += self.handle(side, &frame)?,
                None => backlog = false,
            }
        }
        if let Some(stream) = self.stream(side) {
            stream.input = input;
            stream.backlog = backlog;
        }
        Ok(())
    }

    /// Answers what it cost.
    fn handle(&mut self, side: Side, frame: &Frame<'_>) -> Result<usize, Over> {
        match Request::decode(frame)? {
            Some(request) => self.open(side, frame.op, request),
            None => self.input(side, frame).map(|()| 1),
        }
    }

    fn open(&mut self, side: Side, op: u64, request: Request) -> Result<usize, Over> {
        let greeted = self.stream(side).is_some_and(|stream| stream.greeted);
        if greeted == matches!(request, Request::Hello(_)) || self.table.find(side, op).is_some() {
            return Err(Over);
        }
        let cost = match request {
            Request::Exec(_) => LAUNCH,
            Request::Ping => COUNT,
            _ => 1,
        };
        match request {
            Request::Hello(hello) => self.greet(side, op, hello.version)?,
            Request::Ping => {
                let vitals = self.vitals();
                self.reply(side, op, vitals);
            }
            Request::Reset(_) | Request::Shutdown if side != Side::Control => {
                let refusal = refusal::rule(RefusalKind::Denied, "only the control stream may ask for that");
                self.reply(side, op, Err(refusal));
            }
            Request::Reset(reset) => self.reset(side, op, reset.fence),
            Request::Shutdown => self.shut_down(side, op),
            request => match self.admit(&request).and_then(|()| self.begin_work(request)) {
                Ok(Opened::Done(done)) => self.reply(side, op, Ok(done)),
                Ok(Opened::Running(work)) => self.run(side, op, work),
                Err(refusal) => self.reply(side, op, Err(refusal)),
            },
        }
        Ok(cost)
    }

    fn greet(&mut self, side: Side, op: u64, version: u32) -> Result<(), Over> {
        if version != VERSION {
            let message = format!("the guest speaks version {VERSION}, not {version}");
            self.reply(side, op, Err(refusal::rule(RefusalKind::Invalid, message)));
            return Err(Over);
        }
        if let Some(stream) = self.stream(side) {
            stream.greeted = true;
        }
        self.reply(side, op, Ok(Done::Welcome(Welcome { version: VERSION, pid: std::process::id() })));
        Ok(())
    }

    fn vitals(&mut self) -> Result<Done, Refusal> {
        let uptime = self.now.saturating_duration_since(self.started).as_millis();
        let processes = processes::count(self.place.walls, self.launcher.marks())
            .map_err(|errno| refusal::system("count processes", b"", errno))?;
        Ok(Done::Vitals(Vitals {
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            processes,
            operations: u32::try_from(self.table.len()).unwrap_or(u32::MAX),
            service_ms: self.service.as_ref().and_then(|service| service.age(self.now)),
        }))
    }

    /// Whether a lease's operation may begin.
    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        if request.epoch() <= self.fence {
            return Err(refusal::rule(RefusalKind::Stale, "the lease has ended"));
        }
        if self.clearing.is_some() {
            return Err(refusal::rule(RefusalKind::Failed, "the guest is being cleared"));
        }
        if self.table.len() + self.hunts.len() >= OPERATIONS {
            return Err(refusal::rule(RefusalKind::Exhausted, "too many operations run at once"));
        }
        Ok(())
    }

    fn begin_work(&mut self, request: Request) -> Result<Opened, Refusal> {
        let tree = &self.tree;
        match request {
            Request::Exec(exec) => {
                let exec = self.launcher.launch(&exec, &self.place, self.now)?;
                Ok(Opened::Running(Work::Exec(Box::new(exec))))
            }
            Request::Read(read) => Ok(Opened::Running(Work::Read(Reading::new(tree, &read)?))),
            Request::Write(write) => Ok(Opened::Running(Work::Write(Writing::new(tree, &write)?))),
            Request::List(list) => Ok(Opened::Running(Work::List(Box::new(Listing::new(tree, &list)?)))),
            Request::Remove(remove) => {
                Ok(Opened::Running(Work::Remove(Box::new(Removal::of_path(tree, &remove)?))))
            }
            Request::Stat { path, .. } => files::stat(tree, &path).map(Opened::Done),
            Request::MakeDir { path, mode, .. } => files::make_directory(tree, &path, mode).map(Opened::Done),
            Request::Link { path, target, .. } => files::link(tree, &path, &target).map(Opened::Done),
            Request::Hello(_) | Request::Ping | Request::Reset(_) | Request::Shutdown => {
                Err(refusal::rule(RefusalKind::Invalid, "not a lease's operation"))
            }
        }
    }

    fn run(&mut self, side: Side, op: u64, work: Work) {
        let leader = match &work {
            Work::Exec(exec) => exec.prey().leader,
            Work::Read(_) | Work::Write(_) | Work::List(_) | Work::Remove(_) => None,
        };
        let Some(key) = self.table.insert(Operation::new(side, op, work)) else {
            // Cannot be: the table has far more places than operations may run.
            self.reply(side, op, Err(refusal::rule(RefusalKind::Exhausted, "no place is left")));
            return;
        };
        if let Some(leader) = leader {
            self.leaders.insert(leader, key);
            if let Some(Operation { work: Work::Exec(exec), .. }) = self.table.get_mut(key)
                && let Err(errno) = exec.watch(&self.poll, |part| Token::Operation(key, part).into())
            {
                self.abandon(key, None);
                self.reply(side, op, Err(refusal::system("watch a pipe", b"", errno)));
                return;
            }
        }
        self.enqueue(key);
    }

    /// Something about an operation that runs; about one that has just ended it means nothing any more.
    fn input(&mut self, side: Side, frame: &Frame<'_>) -> Result<(), Over> {
        if !self.stream(side).is_some_and(|stream| stream.greeted) {
            return Err(Over);
        }
        let key = self.table.find(side, frame.op);
        let operation = key.and_then(|key| self.table.get_mut(key));
        if frame.kind == Kind::Input {
            if let Some(operation) = operation {
                operation.work.input(frame.payload)?;
            }
        } else {
            let input = Input::decode(frame)?.ok_or(Over)?;
            let (Some(key), Some(operation)) = (key, operation) else {
                return Ok(());
            };
            match input {
                Input::Data(_) => {}
                Input::End => operation.work.end_input(),
                Input::Credit(bytes) => operation.credit(bytes),
                Input::Signal(number) => operation.work.signal(number),
                Input::Cancel => {
                    self.abandon(key, Some(Waiter::Cancelled(side, frame.op)));
                    return Ok(());
                }
            }
        }
        if let Some(key) = key {
            self.enqueue(key);
        }
        Ok(())
    }
}
