use std::collections::{BTreeMap, BTreeSet};
// The test's own books: not for the scheduler to see.
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use shuttle::future::block_on;
use shuttle::sync::mpsc;
use shuttle::thread;

use super::handoff::{Handoff, Hooks, Stock, TakeError, Taken, Tether, Ticket};
use super::model::{Epoch, RuntimeId};
use super::poll_once;

/// What a thread does to the handoff.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Takes, leases, gives straight back.
    Lease,
    /// Takes, leases, drops: the ticket goes the long way home.
    LeaseDirty,
    /// Takes, and drops without leasing.
    Touch,
    /// Takes, and gives up at whatever point it is in.
    GiveUp,
    /// Leases what is ready, if anything.
    TryLease,
    /// Withdraws what is ready, and puts it back.
    Withdraw,
    /// Condemns a runtime, wherever it is.
    Condemn,
    /// Sweeps out what is condemned.
    Sweep,
    /// Puts a new one.
    Issue,
    Close,
}

impl Op {
    pub(crate) const ALL: [Self; 10] = [
        Self::Lease,
        Self::LeaseDirty,
        Self::Touch,
        Self::GiveUp,
        Self::TryLease,
        Self::Withdraw,
        Self::Condemn,
        Self::Sweep,
        Self::Issue,
        Self::Close,
    ];
}

/// A handoff, the owner of its runtimes, and the books on them.
pub(crate) struct World {
    pub(crate) handoff: Handoff<u32>,
    books: Arc<Books>,
    owner: Mutex<Option<thread::JoinHandle<()>>>,
    to_owner: mpsc::Sender<Note>,
}

/// What the owner is told.
enum Note {
    Returned(Ticket<u32>),
    Replace,
    End,
}

#[derive(Default)]
struct Books {
    issued: AtomicU64,
    low: AtomicUsize,
    closed: AtomicBool,
    registered: Mutex<BTreeSet<RuntimeId>>,
    tethers: Mutex<Vec<Tether<u32>>>,
    /// The last epoch of each runtime.
    epochs: Mutex<BTreeMap<RuntimeId, Epoch>>,
    leased: Mutex<BTreeSet<RuntimeId>>,
    buried: Mutex<Vec<Ticket<u32>>>,
}

impl World {
    /// Few, so that the spill has its turn.
    pub(crate) const CAPACITY: usize = 2;

    pub(crate) fn new(tickets: usize, queue_limit: usize) -> Self {
        let (to_owner, notes) = mpsc::channel();
        let books = Arc::new(Books::default());
        let hooks = Hooks {
            on_return: Box::new({
                let to_owner = to_owner.clone();
                move |ticket| to_owner.send(Note::Returned(ticket)).expect("the owner lives to the end")
            }),
            on_low: Box::new({
                let books = Arc::clone(&books);
                move || {
                    books.low.fetch_add(1, SeqCst);
                }
            }),
        };
        let handoff = Handoff::new(Self::CAPACITY, queue_limit, hooks);
        let world = Self { handoff, books, owner: Mutex::new(None), to_owner };
        let tickets: Vec<_> = (0..tickets).map(|_| world.issue()).collect();
        // For the owner to replace condemned ones with.
        let mut spares: Vec<_> = (0..8).map(|_| world.spare()).collect();
        let books = Arc::clone(&world.books);
        let owner = thread::spawn(move || {
            while let Ok(note) = notes.recv() {
                match note {
                    Note::Returned(ticket) if books.closed.load(SeqCst) => books.bury(ticket),
                    Note::Returned(ticket) if !ticket.is_condemned() => ticket.put(),
                    Note::Returned(ticket) => {
                        books.bury(ticket);
                        books.register(spares.pop().expect("enough spares")).put();
                    }
                    Note::Replace => books.register(spares.pop().expect("enough spares")).put(),
                    Note::End => break,
                }
            }
            // What the owner put after the handoff was closed has come back meanwhile.
            while let Ok(Note::Returned(ticket)) = notes.try_recv() {
                books.bury(ticket);
            }
        });
        *world.owner.lock().expect("books") = Some(owner);
        tickets.into_iter().for_each(Ticket::put);
        world
    }

    /// Runs each history in a thread of its own, and looks at what is left.
    pub(crate) fn run(tickets: usize, queue_limit: usize, histories: &[&[Op]]) {
        let world = Self::new(tickets, queue_limit);
        thread::scope(|scope| {
            for history in histories {
                scope.spawn(|| history.iter().for_each(|op| world.perform(*op)));
            }
        });
        world.end();
    }

    fn perform(&self, op: Op) {
        match op {
            Op::Lease => self.with_taken(|mut taken| {
                self.lease(&mut taken);
                taken.reuse();
            }),
            Op::LeaseDirty => self.with_taken(|mut taken| self.lease(&mut taken)),
            Op::Touch => self.with_taken(drop),
            Op::GiveUp => {
                let mut take = self.handoff.take();
                let _ = poll_once(&mut take).map(drop);
                thread::yield_now();
            }
            Op::TryLease => {
                if let Some(mut taken) = self.handoff.try_take() {
                    self.lease(&mut taken);
                    taken.reuse();
                }
            }
            Op::Withdraw => {
                if let Some(ticket) = self.handoff.withdraw() {
                    thread::yield_now();
                    ticket.put();
                }
            }
            Op::Condemn => self.condemn_one(),
            Op::Sweep => {
                for ticket in self.handoff.withdraw_condemned() {
                    self.bury(ticket);
                    self.to_owner.send(Note::Replace).expect("the owner lives to the end");
                }
            }
            Op::Issue => self.issue().put(),
            Op::Close => self.close(),
        }
    }

    fn with_taken(&self, then: impl FnOnce(Taken<u32>)) {
        match block_on(self.handoff.take()) {
            Ok(taken) => then(taken),
            Err(TakeError::Closed) => assert!(self.books.closed.load(SeqCst)),
            Err(TakeError::Overloaded { .. }) => {}
        }
    }

    /// Nobody else has it meanwhile, and its epoch is the next.
    fn lease(&self, taken: &mut Taken<u32>) {
        let epoch = taken.lease();
        let runtime = taken.runtime();
        assert!(self.books.leased.lock().expect("books").insert(runtime), "{runtime} leased twice");
        let last = self.books.epochs.lock().expect("books").insert(runtime, epoch);
        assert_eq!(epoch.0, last.unwrap_or_default().0 + 1);
        thread::yield_now();
        assert!(self.books.leased.lock().expect("books").remove(&runtime));
    }

    pub(crate) fn issue(&self) -> Ticket<u32> {
        self.books.register(self.spare())
    }

    fn spare(&self) -> Ticket<u32> {
        self.handoff.issue(RuntimeId(self.books.issued.fetch_add(1, SeqCst)), 0)
    }

    pub(crate) fn condemn_one(&self) {
        let tether = self.books.tethers.lock().expect("books").pop();
        if let Some(tether) = tether {
            tether.condemn();
        }
    }

    pub(crate) fn bury(&self, ticket: Ticket<u32>) {
        self.books.bury(ticket);
    }

    pub(crate) fn close(&self) {
        self.books.closed.store(true, SeqCst);
        self.handoff.close();
    }

    pub(crate) fn told_low(&self) -> usize {
        self.books.low.load(SeqCst)
    }

    /// Every ticket that was put is ready or buried, once, and the count says so.
    pub(crate) fn end(&self) {
        self.to_owner.send(Note::End).expect("the owner lives to the end");
        let owner = self.owner.lock().expect("books").take().expect("ended once");
        owner.join().expect("the owner does not panic");
        let stock = self.handoff.stock();
        let mut left: Vec<_> = std::iter::from_fn(|| self.handoff.withdraw()).collect();
        assert_eq!(stock, Stock { ready: left.len(), waiters: 0 });
        assert_eq!(self.handoff.stock(), Stock::default());
        left.append(&mut self.books.buried.lock().expect("books"));
        let ids: BTreeSet<_> = left.iter().map(Ticket::runtime).collect();
        assert_eq!(ids.len(), left.len(), "a ticket twice");
        assert_eq!(ids, *self.books.registered.lock().expect("books"), "a ticket lost");
        self.books.tethers.lock().expect("books").clear();
    }
}

impl Books {
    fn register(&self, ticket: Ticket<u32>) -> Ticket<u32> {
        self.tethers.lock().expect("books").push(ticket.tether().clone());
        self.registered.lock().expect("books").insert(ticket.runtime());
        ticket
    }

    fn bury(&self, ticket: Ticket<u32>) {
        self.buried.lock().expect("books").push(ticket);
    }
}
