//! What a lease costs, ours beside its peers': `scripts/bench lease [--json]`.
//!
//! Sixteen objects, two worker threads, and tasks that take and give back as fast as they can; `yield` holds each
//! lease across one `tokio::task::yield_now`. Everybody is measured in turn, several rounds over, and the median
//! stands. Peers run as they come out of the box, with checks that do nothing.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use ostler::handoff::{Handoff, Hooks, Taken};
use ostler::model::{Epoch, RuntimeId};
use tokio::runtime::Runtime;

const OBJECTS: u32 = 16;
const ROUNDS: usize = 7;
const TASKS: [u64; 4] = [1, 16, 64, 512];

fn main() {
    let json = std::env::args().any(|arg| arg == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the benchmark");
    let field = Field {
        ours: warm(&runtime, Ours::new()),
        deadpool: warm(&runtime, Deadpool::new()),
        bb8: warm(&runtime, runtime.block_on(Bb8::new())),
        mobc: warm(&runtime, Mobc::new()),
    };
    if !json {
        println!("ns per lease, median of {ROUNDS} rounds; ratio = ours / min(deadpool, bb8)\n");
        println!("tasks  hold      ours  deadpool       bb8      mobc  ratio");
    }
    for hold in [Hold::None, Hold::Yield] {
        for tasks in TASKS {
            let row = field.measure(&runtime, tasks, hold);
            println!("{}", if json { row.json() } else { row.text() });
        }
    }
}

/// Whether a lease is held while others run.
#[derive(Clone, Copy)]
enum Hold {
    None,
    Yield,
}

impl Hold {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Yield => "yield",
        }
    }

    /// Enough for some tens of milliseconds.
    const fn leases(self) -> u64 {
        match self {
            Self::None => 1 << 18,
            Self::Yield => 1 << 16,
        }
    }
}

/// One pool under test.
trait Contender: Clone + Send + Sync + 'static {
    type Lease: Send;

    fn lease(&self) -> impl Future<Output = Self::Lease> + Send;
}

/// Everybody who is compared.
struct Field {
    ours: Ours,
    deadpool: Deadpool,
    bb8: Bb8,
    mobc: Mobc,
}

impl Field {
    fn measure(&self, runtime: &Runtime, tasks: u64, hold: Hold) -> Row {
        let [mut ours, mut deadpool, mut bb8, mut mobc] = [[0.0; ROUNDS]; 4];
        for round in 0..ROUNDS {
            ours[round] = run(runtime, &self.ours, tasks, hold);
            deadpool[round] = run(runtime, &self.deadpool, tasks, hold);
            bb8[round] = run(runtime, &self.bb8, tasks, hold);
            mobc[round] = run(runtime, &self.mobc, tasks, hold);
        }
        Row {
            tasks,
            hold: hold.name(),
            ours: median(ours),
            deadpool: median(deadpool),
            bb8: median(bb8),
            mobc: median(mobc),
        }
    }
}

/// Medians, nanoseconds per lease.
struct Row {
    tasks: u64,
    hold: &'static str,
    ours: f64,
    deadpool: f64,
    bb8: f64,
    mobc: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.deadpool.min(self.bb8)
    }

    fn json(&self) -> String {
        let Self { tasks, hold, ours, deadpool, bb8, mobc } = self;
        format!(
            r#"{{"tasks":{tasks},"hold":"{hold}","ours_ns":{ours:.1},"deadpool_ns":{deadpool:.1},"bb8_ns":{bb8:.1},"mobc_ns":{mobc:.1},"ratio":{:.3}}}"#,
            self.ratio()
        )
    }

    fn text(&self) -> String {
        let Self { tasks, hold, ours, deadpool, bb8, mobc } = self;
        format!(
            "{tasks:>5}  {hold:<5} {ours:>8.1}  {deadpool:>8.1}  {bb8:>8.1}  {mobc:>8.1}  {:>5.2}",
            self.ratio()
        )
    }
}

fn median(mut rounds: [f64; ROUNDS]) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Nanoseconds per lease.
#[expect(clippy::cast_precision_loss, reason = "a benchmark's figure")]
fn run(runtime: &Runtime, pool: &impl Contender, tasks: u64, hold: Hold) -> f64 {
    let each = hold.leases() / tasks;
    let began = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        let lease = black_box(pool.lease().await);
                        if let Hold::Yield = hold {
                            tokio::task::yield_now().await;
                        }
                        drop(lease);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a benchmark's task");
        }
    });
    began.elapsed().as_nanos() as f64 / (each * tasks) as f64
}

/// Has all objects made before anything is measured.
fn warm<C: Contender>(runtime: &Runtime, pool: C) -> C {
    runtime.block_on(async {
        let mut leases = Vec::new();
        for _ in 0..OBJECTS {
            leases.push(pool.lease().await);
        }
    });
    pool
}

/// The handoff, with what a pool's lease does around it under `reset = "none"`.
#[derive(Clone)]
struct Ours(Arc<Handoff<Arc<AtomicU64>>>);

struct OurLease {
    taken: Taken<Arc<AtomicU64>>,
    #[expect(dead_code, reason = "every operation of a lease bears it")]
    epoch: Epoch,
}

const TEST_AFTER_IDLE: u64 = 1000;
const MAX_USES: u64 = u64::MAX;

impl Ours {
    fn new() -> Self {
        let handoff = Handoff::new(
            OBJECTS as usize,
            1024,
            Hooks { on_return: Box::new(drop), on_low: Box::new(|| ()) },
        );
        for object in 0..OBJECTS.into() {
            handoff.issue(RuntimeId(object), Arc::new(AtomicU64::new(0))).put();
        }
        Self(Arc::new(handoff))
    }
}

impl Contender for Ours {
    type Lease = OurLease;

    async fn lease(&self) -> OurLease {
        let mut taken = self.0.take().await.expect("an open handoff with room to wait");
        assert!(taken.idle() < TEST_AFTER_IDLE);
        let epoch = taken.lease();
        OurLease { taken, epoch }
    }
}

impl Drop for OurLease {
    fn drop(&mut self) {
        if self.taken.uses() < MAX_USES && !std::thread::panicking() {
            self.taken.reuse();
        }
    }
}

/// Makes objects that are always well.
struct Objects;

#[derive(Clone)]
struct Deadpool(deadpool::managed::Pool<Objects>);

impl Deadpool {
    fn new() -> Self {
        let pool = deadpool::managed::Pool::builder(Objects).max_size(OBJECTS as usize).build();
        Self(pool.expect("no timeouts are set"))
    }
}

impl deadpool::managed::Manager for Objects {
    type Type = u64;
    type Error = std::convert::Infallible;

    async fn create(&self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Self::Error> {
        Ok(())
    }
}

impl Contender for Deadpool {
    type Lease = deadpool::managed::Object<Objects>;

    async fn lease(&self) -> Self::Lease {
        self.0.get().await.expect("objects are always well")
    }
}

#[derive(Clone)]
struct Bb8(bb8::Pool<Objects>);

impl Bb8 {
    async fn new() -> Self {
        Self(bb8::Pool::builder().max_size(OBJECTS).build(Objects).await.expect("objects are always well"))
    }
}

impl bb8::ManageConnection for Objects {
    type Connection = u64;
    type Error = std::convert::Infallible;

    async fn connect(&self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Self::Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

impl Contender for Bb8 {
    type Lease = bb8::PooledConnection<'static, Objects>;

    async fn lease(&self) -> Self::Lease {
        self.0.get_owned().await.expect("objects are always well")
    }
}

#[derive(Clone)]
struct Mobc(mobc::Pool<Objects>);

impl Mobc {
    fn new() -> Self {
        Self(mobc::Pool::builder().max_open(OBJECTS.into()).max_idle(OBJECTS.into()).build(Objects))
    }
}

#[mobc::async_trait]
impl mobc::Manager for Objects {
    type Connection = u64;
    type Error = std::convert::Infallible;

    async fn connect(&self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    async fn check(&self, object: u64) -> Result<u64, Self::Error> {
        Ok(object)
    }
}

impl Contender for Mobc {
    type Lease = mobc::Connection<Objects>;

    async fn lease(&self) -> Self::Lease {
        self.0.get().await.expect("objects are always well")
    }
}
