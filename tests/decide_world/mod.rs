//! A world around a [`Decider`]: the shell that carries its commands out, the handoff, a backend with random
//! delays and faults, and virtual time. What it believes of each runtime follows from commands alone, so it is
//! a second opinion on the ledger. Every step is checked (see `check`).

mod check;
mod handoff;
pub(crate) mod history;
mod settle;
mod shell;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash};
use std::time::Duration;

use ostler::decide::{Command, Decider, Event, Moment, Stock};
use ostler::model::{PoolSpec, Reason, RestartSpec, RuntimeId, State};

pub(crate) use handoff::Handoff;

/// How the backend behaves. Delays are drawn from zero to twice the value, faults are per cent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) launch: Duration,
    pub(crate) reset: Duration,
    pub(crate) retire: Duration,
    pub(crate) launch_faults: u8,
    pub(crate) launch_hangs: u8,
    pub(crate) reset_faults: u8,
}

impl Plan {
    pub(crate) const CALM: Self = Self {
        launch: Duration::from_millis(50),
        reset: Duration::from_millis(5),
        retire: Duration::from_millis(20),
        launch_faults: 0,
        launch_hangs: 0,
        reset_faults: 0,
    };
}

/// Where a ticket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Unborn,
    Ready,
    Leased,
    Hands,
    Ended,
}

/// What the shell believes of one runtime.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    pub(crate) state: State,
    pub(crate) place: Place,
    pub(crate) uses: u64,
    pub(crate) condemned: bool,
    /// Its lease is over and has not been given back.
    expired: bool,
    pub(crate) generation: u64,
    /// Completions of an earlier operation are void.
    operation: u64,
    crashed: bool,
}

/// What is worth remembering of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    Launch(RuntimeId),
    Failure(RuntimeId),
    Retire(RuntimeId, Reason),
    Warm(RuntimeId),
    Degraded(bool),
}

#[derive(Clone, Debug)]
enum Due {
    Completion(RuntimeId, u64, Event),
    Maintenance,
    WakeUp,
}

#[derive(Clone, Debug)]
struct Step {
    now: Moment,
    stock: Stock,
    event: Event,
    commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) decider: Decider,
    pub(crate) now: Moment,
    pub(crate) plan: Plan,
    pub(crate) handoff: Handoff,
    pub(crate) runtimes: BTreeMap<RuntimeId, Runtime>,
    pub(crate) notes: Vec<(Moment, Note)>,
    /// The last steps, to be shown when one fails.
    recent: VecDeque<Step>,
    /// All steps, if asked for.
    pub(crate) trace: Option<DefaultHasher>,
    pub(crate) events: u64,
    pub(crate) finished: u32,
    queue: VecDeque<Event>,
    /// Condemned in this step while their tickets were ready.
    taken: Vec<RuntimeId>,
    timers: BTreeMap<(Moment, u64), Due>,
    rng: fastrand::Rng,
    last_launched: RuntimeId,
    generation: u64,
    draining: bool,
    serial: u64,
}

const RECENT: usize = 20;

/// Between two ticks of maintenance.
pub(crate) const TICK: Duration = Duration::from_millis(500);

impl World {
    pub(crate) fn new(spec: PoolSpec, plan: Plan, seed: u64) -> Self {
        let mut world = Self {
            decider: Decider::new(spec, Moment::ZERO, seed),
            now: Moment::ZERO,
            plan,
            handoff: Handoff::default(),
            runtimes: BTreeMap::new(),
            notes: Vec::new(),
            recent: VecDeque::new(),
            trace: None,
            events: 0,
            finished: 0,
            queue: VecDeque::new(),
            taken: Vec::new(),
            timers: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed ^ 0x05_71_E6),
            last_launched: RuntimeId(0),
            generation: 0,
            draining: false,
            serial: 0,
        };
        world.after(Duration::ZERO, Due::Maintenance);
        world
    }

    /// Lets time pass; what falls due on the way is queued, and every queued event delivered.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.deliver_all();
        while let Some(((at, _), _)) = self.timers.first_key_value().filter(|((at, _), _)| *at <= end) {
            self.now = *at;
            self.fire();
            self.deliver_all();
        }
        self.now = end;
    }

    /// Lets time pass; what falls due on the way is queued and no more.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        while self.timers.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
            self.fire();
        }
    }

    pub(crate) fn deliver_all(&mut self) {
        while self.deliver_next() {}
    }

    /// Delivers the oldest queued event, if there is one.
    pub(crate) fn deliver_next(&mut self) -> bool {
        let Some(event) = self.queue.pop_front() else { return false };
        self.deliver(&event);
        true
    }

    pub(crate) fn deliver(&mut self, event: &Event) -> Vec<Command> {
        self.events += 1;
        self.taken.clear();
        self.learn(event);
        let before = self.before(event);
        let stock = self.handoff.stock();
        let commands = match self.decider.step(self.now, stock, event.clone()) {
            Ok(commands) => commands,
            Err(illegal) => panic!("{illegal} on {event:?}"),
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let step = Step { now: self.now, stock, event: event.clone(), commands: commands.clone() };
        if let Some(trace) = &mut self.trace {
            format!("{step:?}").hash(trace);
        }
        self.recent.push_back(step);
        for command in &commands {
            self.carry_out(command);
        }
        if let Event::Crashed(id) = event {
            self.bury(*id);
        }
        self.check(&before, event, &commands);
        commands
    }

    pub(crate) fn queue(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    pub(crate) fn queue_tick(&mut self) {
        let lowest = self.handoff.lowest_since_tick();
        self.queue(Event::Tick { lowest });
    }

    fn after(&mut self, delay: Duration, due: Due) {
        self.serial += 1;
        self.timers.insert((self.now + delay, self.serial), due);
    }

    fn fire(&mut self) {
        let Some((_, due)) = self.timers.pop_first() else { return };
        match due {
            Due::Completion(id, operation, event) => {
                let current = self.runtimes.get(&id);
                if current.is_some_and(|runtime| runtime.operation == operation && !runtime.crashed) {
                    self.queue(event);
                }
            }
            Due::Maintenance => {
                self.queue_tick();
                self.after(TICK, Due::Maintenance);
            }
            Due::WakeUp => self.queue_tick(),
        }
    }

    fn is_outdated(&self, id: RuntimeId) -> bool {
        self.runtimes.get(&id).is_some_and(|runtime| runtime.generation < self.generation)
    }

    fn note(&mut self, note: Note) {
        self.notes.push((self.now, note));
    }

    pub(crate) fn launches(&self) -> usize {
        self.notes.iter().filter(|(_, note)| matches!(note, Note::Launch(_))).count()
    }

    pub(crate) fn retired(&self, reason: Reason) -> usize {
        self.notes.iter().filter(|(_, note)| matches!(note, Note::Retire(_, why) if *why == reason)).count()
    }
}

/// A spec with everything off that a test does not ask for.
pub(crate) fn plain(min: usize, max: usize) -> PoolSpec {
    PoolSpec {
        min,
        max,
        idle_timeout: None,
        restart: RestartSpec { intensity: 1000, ..RestartSpec::default() },
        ..PoolSpec::default()
    }
}

/// A failure prints how it came about.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for Step { now, stock, event, commands } in &self.recent {
                println!("{now:?} {event:?} with {stock:?}: {commands:?}");
            }
            println!("{:?}", self.decider.spec());
        }
    }
}
