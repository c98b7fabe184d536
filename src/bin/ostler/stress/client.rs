use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use ostler::{ErrorKind, Exec, LeaseRequest};
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::caught::{Panicked, caught, judge, panic_on_purpose};
use super::checker::{Arrival, Breach};
use super::faults::Clock;
use super::held::Held;
use super::latency::Timed;
use super::rate::Rate;
use super::workload::Workload;
use super::world::World;

/// How far apart bursts are.
const BURSTS: Duration = Duration::from_millis(500);
/// Leases of one client in a burst.
const BURST: usize = 3;
/// Under a virtual clock, how long a client thinks at most: without it time would stand still.
const THOUGHT: u64 = 2;
/// Largest file, bytes.
const FILE: usize = 16 << 10;

/// Somebody who uses the pools.
pub(super) struct Client {
    world: Arc<World>,
    number: usize,
    pub(super) rng: Rng,
}

/// After how many polls, or how long, an acquire or operation is dropped.
#[derive(Clone, Copy)]
enum Cut {
    Polls(u32),
    Time(Duration),
}

impl Client {
    pub(super) fn new(world: Arc<World>, number: usize) -> Self {
        let rng = Rng::with_seed(world.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64);
        Self { world, number, rng }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Takes turns until the run is over.
    pub(super) async fn live(mut self) {
        let world = Arc::clone(&self.world);
        loop {
            if world.clock == Clock::Virtual {
                sleep(Duration::from_micros(self.rng.u64(0..THOUGHT * 1000))).await;
            }
            let Some(begins) = world.pace.next(&world.board).await else { return };
            let workloads = &world.settings.workloads;
            let workload = workloads[self.rng.usize(..workloads.len())];
            match caught(self.turn(workload, begins)).await {
                Ok(()) => {}
                Err(Panicked::OnPurpose) => {
                    world.board.tally.panics.one();
                    world.trace(|trace| trace.add(0xdead));
                }
                Err(Panicked::ByMistake(words)) => {
                    world.breach(Breach::Wrong, format!("client {}: panicked: {words}", self.number));
                }
            }
        }
    }

    async fn turn(&mut self, workload: Workload, begins: Instant) {
        match workload {
            Workload::Bursts => {
                let since = self.world.now().as_micros();
                let next = (since / BURSTS.as_micros() + 1) * BURSTS.as_micros();
                let next = Duration::from_micros(u64::try_from(next).unwrap_or(u64::MAX));
                let begins = match self.world.settings.arrivals {
                    Some(_) => begins,
                    None => self.world.started + next,
                };
                sleep_until(begins).await;
                for _ in 0..BURST {
                    self.lease(Workload::Files, begins).await;
                }
            }
            Workload::Threads if self.world.clock == Clock::Real => self.thread(begins).await,
            workload => self.lease(workload, begins).await,
        }
    }

    /// One lease and what is done with it.
    async fn lease(&mut self, workload: Workload, begins: Instant) {
        let abandon = workload == Workload::Abandon;
        let cut = (abandon && self.rng.bool()).then(|| self.cut());
        let Some(mut held) = self.acquire(begins, cut).await else { return };
        let order = held.target().orders.take();
        if !held.mark_files().await {
            return;
        }
        let for_good = self.rng.u8(..64) == 0;
        match (order, workload) {
            (Some(fault), _) => self.misbehave(&mut held, fault).await,
            (None, Workload::Abandon) => self.abandon(&held).await,
            (None, Workload::Exec) => drop(self.exec(&held).await),
            (None, Workload::Slow) => {
                if self.exec(&held).await {
                    sleep(Duration::from_millis(self.rng.u64(50..500))).await;
                    self.files(&held).await;
                }
            }
            (None, Workload::Threads) => panic_on_purpose(),
            (None, Workload::Mixed) => {
                for _ in 0..self.rng.u8(1..=4) {
                    let went_on =
                        if self.rng.u8(..4) == 0 { self.exec(&held).await } else { self.files(&held).await };
                    if !went_on {
                        break;
                    }
                }
            }
            (None, Workload::Files | Workload::Bursts) => drop(self.files(&held).await),
        }
        held.release(for_good);
    }

    /// Gets a lease, timed from when it should have been asked for; nothing when there was none, or the future
    /// was dropped.
    async fn acquire(&mut self, begins: Instant, cut: Option<Cut>) -> Option<Held> {
        let world = Arc::clone(&self.world);
        let place = self.rng.usize(..world.targets.len());
        let target = &world.targets[place];
        // Some are in a hurry.
        let limit = match self.rng.u8(..10) {
            0 => Duration::from_millis(self.rng.u64(1..100)),
            _ => target.spec.acquire_timeout,
        };
        let asked = Instant::now();
        let began = world.stamps.next();
        // With none left, the first poll may only let others run.
        let sure_from = if has_budget_remaining() { 1 } else { 2 };
        let (mut polls, mut queued) = (0, None);
        let mut acquire = pin!(target.pool.acquire_with(LeaseRequest::new().timeout(limit)));
        let watched = std::future::poll_fn(|cx| match acquire.as_mut().poll(cx) {
            Poll::Ready(lease) => Poll::Ready(Some((lease, world.stamps.next(), Instant::now()))),
            Poll::Pending => {
                polls += 1;
                if polls >= sure_from && queued.is_none() {
                    queued = Some(world.stamps.next());
                }
                if matches!(cut, Some(Cut::Polls(most)) if polls >= most) {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            }
        });
        let patience = match cut {
            Some(Cut::Time(time)) => time,
            _ => limit + world.slack + target.patience(),
        };
        let outcome = timeout(patience, watched).await;
        let took = asked.elapsed();
        match outcome {
            Ok(Some((Ok(lease), granted, at))) => {
                world.board.latencies.record(Timed::Acquire, begins.elapsed());
                self.count();
                let arrival = Arrival { client: self.number, began, queued, granted, at };
                return Some(Held::enter(&world, place, lease, arrival));
            }
            Ok(Some((Err(error), ..))) => {
                if took > limit + world.slack {
                    let words = format!("an acquire with {limit:?} failed after {took:?}: {error}");
                    world.breach(Breach::Late, words);
                }
                match error.kind() {
                    ErrorKind::TimedOut { .. } => {
                        world.board.tally.timeouts.one();
                        // It waited for longer than whoever was served.
                        world.board.latencies.record(Timed::Acquire, begins.elapsed());
                    }
                    ErrorKind::Overloaded { .. } | ErrorKind::Exhausted { .. } => {
                        world.board.tally.refused.one();
                        sleep(Duration::from_millis(self.rng.u64(1..20))).await;
                    }
                    _ => world.breach(Breach::Wrong, format!("acquire: {error:?}")),
                }
            }
            Err(_) if cut.is_none() => {
                world.board.latencies.record(Timed::Acquire, begins.elapsed());
                world.breach(
                    Breach::Late,
                    format!("an acquire with {limit:?} did not end within {patience:?}"),
                );
            }
            _ => {
                world.board.tally.cancels.one();
                world.trace(|trace| trace.add(0xc0));
            }
        }
        None
    }

    /// Says when enough leases have been that a fault is due.
    fn count(&self) {
        let Rate::PerThousand(rate) = self.world.settings.rate else { return };
        // Counts are far below what a float can hold.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "as said above"
        )]
        let due = |leases: u64| (leases as f64 * rate / 1000.0) as u64;
        let leases = self.world.board.tally.leases.get();
        if due(leases + 1) > due(leases) {
            // Full is as good: faults can't be done faster.
            let _ = self.world.due.try_send(());
        }
    }

    /// Runs a command and checks its answer; answers whether the lease is good for more.
    pub(super) async fn exec(&mut self, held: &Held) -> bool {
        if held.target().is_fake() {
            let token = held.token();
            let Some(output) = held.exec(Exec::new("echo").arg(&token), None).await else { return false };
            let right = output.success() && output.stdout == format!("{token}\n").as_bytes();
            if !right {
                held.lost_or(false, || format!("echo came to {output:?}"));
            }
            return right;
        }
        if self.rng.u8(..4) == 0 {
            return held.mark_processes().await;
        }
        let number = self.rng.u32(..1 << 20);
        let script = format!("echo $(( {number} * 3 )) $OSTLER_STRESS; echo err >&2; exit 3");
        let exec = Exec::shell(script).env("OSTLER_STRESS", held.token());
        let Some(output) = held.exec(exec, None).await else { return false };
        let wanted = format!("{} {}\n", u64::from(number) * 3, held.token());
        let right = output.code == Some(3) && output.stdout == wanted.as_bytes() && output.stderr == b"err\n";
        if !right {
            held.lost_or(output.signal.is_some(), || {
                format!("{wanted:?} was to come, and came to {output:?}")
            });
        }
        right
    }

    /// Writes, describes, reads back and removes; answers whether the lease is good for more.
    async fn files(&mut self, held: &Held) -> bool {
        let name = format!("file-{}", self.rng.u32(..));
        let content = vec![self.rng.u8(..); self.rng.usize(..FILE)];
        if held.file(held.lease().write(&name, &content), false).await.is_none() {
            return false;
        }
        let Some(stat) = held.file(held.lease().stat(&name), false).await else { return false };
        let Some(back) = held.file(held.lease().read(&name), false).await else { return false };
        if stat.len != content.len() as u64 || back != content {
            let (wrote, read) = (content.len(), back.len());
            held.lost_or(false, || {
                format!("{wrote} bytes were written to {name}, {read} read, {} described", stat.len)
            });
        }
        held.file(held.lease().remove(&name), false).await.is_some()
    }

    /// Starts operations and drops them.
    pub(super) async fn abandon(&mut self, held: &Held) {
        for _ in 0..self.rng.u8(1..=3) {
            let cut = self.cut();
            let world = Arc::clone(&self.world);
            let done = if self.rng.bool() {
                cut_off(self.files(held), cut).await
            } else {
                cut_off(self.exec(held), cut).await
            };
            match done {
                Some(true) => {}
                Some(false) => return,
                None => {
                    world.board.tally.cancels.one();
                    world.trace(|trace| trace.add(0xc1));
                }
            }
        }
        // It must still be as good as ever.
        self.exec(held).await;
    }

    /// A thread takes a lease and dies with it in its hands.
    async fn thread(&mut self, begins: Instant) {
        let world = Arc::clone(&self.world);
        let mut deputy = Self { world: Arc::clone(&world), number: self.number, rng: self.rng.fork() };
        let (ended, waits) = tokio::sync::oneshot::channel::<()>();
        let spawned = std::thread::Builder::new().name("stress-client".to_owned()).spawn(move || {
            let _ended = ended;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let Some(held) = deputy.acquire(begins, None).await else { return };
                if held.mark_files().await {
                    deputy.exec(&held).await;
                }
                panic_on_purpose();
            });
        });
        let Ok(thread) = spawned else { return };
        // Dropped with the thread's last word.
        drop(waits.await);
        if let Err(panic) = thread.join() {
            match judge(&*panic) {
                Panicked::OnPurpose => drop(world.board.tally.panics.one()),
                Panicked::ByMistake(words) => {
                    world.breach(Breach::Wrong, format!("a client's thread: {words}"));
                }
            }
        }
    }

    fn cut(&mut self) -> Cut {
        if self.rng.bool() {
            Cut::Polls(self.rng.u32(1..6))
        } else {
            Cut::Time(Duration::from_micros(self.rng.u64(0..5000)))
        }
    }
}

/// The future's output, or nothing when it was dropped.
async fn cut_off<T>(future: impl Future<Output = T>, cut: Cut) -> Option<T> {
    let mut future = pin!(future);
    match cut {
        Cut::Time(time) => timeout(time, future).await.ok(),
        Cut::Polls(most) => {
            let mut polls = 0;
            std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => {
                    polls += 1;
                    if polls >= most { Poll::Ready(None) } else { Poll::Pending }
                }
            })
            .await
        }
    }
}
