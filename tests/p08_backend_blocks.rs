//! P8: an application's own backend blocks the thread that it is called on. That costs the call, and nobody else.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use ostler::backend::fake::Fake;
use ostler::backend::{Backend, BackendError, BoxFuture, Exit, Instance, Launch, Launched, Residue};
use ostler::model::{BackendSpec, FakeSpec};
use ostler::{Change, Config, Ostler, Pool, PoolSpec};
use support::eventually;

/// What a backend does that may take its thread away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Prepare,
    /// Before there is a future.
    Call,
    Launch,
    Exit,
    VerifyCall,
    Verify,
    DestroyCall,
    Destroy,
    Close,
}

/// Blocks whoever comes to one step, until it is opened.
#[derive(Debug, Default)]
struct Bar {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    at: Option<Step>,
    blocked: usize,
}

impl Bar {
    fn close_at(&self, step: Step) {
        self.state.lock().unwrap().at = Some(step);
    }

    fn open(&self) {
        self.state.lock().unwrap().at = None;
        self.opened.notify_all();
    }

    fn pass(&self, step: Step) {
        let mut state = self.state.lock().unwrap();
        if state.at == Some(step) {
            state.blocked += 1;
            drop(self.opened.wait_while(state, |state| state.at == Some(step)).unwrap());
        }
    }

    fn blocked(&self) -> usize {
        self.state.lock().unwrap().blocked
    }
}

#[derive(Clone, Debug)]
struct Blocking {
    fake: Fake,
    bar: Arc<Bar>,
}

impl Blocking {
    fn at<T: 'static>(&self, step: Step, work: BoxFuture<T>) -> BoxFuture<T> {
        let bar = Arc::clone(&self.bar);
        Box::pin(async move {
            bar.pass(step);
            work.await
        })
    }
}

impl Backend for Blocking {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn prepare(&self) -> BoxFuture<Result<(), BackendError>> {
        self.at(Step::Prepare, self.fake.prepare())
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        self.bar.pass(Step::Call);
        let (this, launched) = (self.clone(), self.fake.launch(launch));
        self.at(
            Step::Launch,
            Box::pin(async move {
                let Launched { control, data, exit, instance } = launched.await?;
                let exit: BoxFuture<Exit> = this.at(Step::Exit, exit);
                Ok(Launched { control, data, exit, instance: Box::new(Blocked { instance, of: this }) })
            }),
        )
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        self.at(Step::Close, self.fake.close())
    }
}

#[derive(Debug)]
struct Blocked {
    instance: Box<dyn Instance>,
    of: Blocking,
}

impl Instance for Blocked {
    fn handle(&self) -> String {
        self.instance.handle()
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        self.of.bar.pass(Step::VerifyCall);
        self.of.at(Step::Verify, self.instance.verify())
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        self.of.bar.pass(Step::DestroyCall);
        let destroy = self.instance.destroy();
        self.of.at(Step::Destroy, destroy)
    }
}

struct Stage {
    ostler: Ostler,
    blocking: Pool,
    other: Pool,
    fake: Fake,
    bar: Arc<Bar>,
}

/// A pool of the backend that blocks, and another one of the same ostler.
async fn start() -> Stage {
    let limit = Duration::from_millis(300);
    let spec = PoolSpec {
        backend: BackendSpec::Custom,
        min: 2,
        max: 4,
        launch_timeout: limit,
        reset_timeout: limit,
        retire_timeout: limit,
        ..PoolSpec::default()
    };
    let other =
        PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), min: 2, max: 2, ..PoolSpec::default() };
    let config = Config::builder().instance("blocks").pool("blocking", spec).pool("other", other);
    let (fake, bar) = (Fake::new(&FakeSpec::default()), Arc::<Bar>::default());
    let backend = Blocking { fake: fake.clone(), bar: Arc::clone(&bar) };
    let builder = Ostler::builder(config.build().unwrap()).backend("blocking", Arc::new(backend));
    let ostler = builder.start().await.unwrap();
    let (blocking, other) = (ostler.pool("blocking").unwrap(), ostler.pool("other").unwrap());
    for pool in [&blocking, &other] {
        pool.ready(Duration::from_secs(20)).await.unwrap();
    }
    Stage { ostler, blocking, other, fake, bar }
}

/// All that a pool does, supervision included.
async fn lives(pool: &Pool, when: &str) {
    let life = async {
        for _ in 0..4 {
            let lease = pool.acquire().await.unwrap();
            lease.write("file", "content").await.unwrap();
            drop(lease);
        }
        let lease = pool.acquire().await.unwrap();
        let replaced = lease.runtime();
        lease.discard();
        while pool.snapshot().await.unwrap().runtimes.iter().any(|runtime| runtime.id == replaced) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        eventually(when, || pool.status().ready >= 2).await;
    };
    tokio::time::timeout(Duration::from_secs(20), life).await.expect(when);
}

#[tokio::test]
async fn a_step_that_blocks_costs_itself_and_nobody_else() {
    use Step::{Call, Destroy, DestroyCall, Exit, Launch, Verify, VerifyCall};
    for step in [Call, Launch, Exit, VerifyCall, Verify, DestroyCall, Destroy] {
        let Stage { ostler, blocking, other, fake, bar } = start().await;
        let when = format!("{step:?} blocks");
        let mut events = ostler.events(10_000);
        bar.close_at(step);
        // One to be cleaned, one to be replaced.
        drop(blocking.acquire().await.unwrap());
        blocking.acquire().await.unwrap().discard();
        eventually(&when, || bar.blocked() > 0).await;
        lives(&other, &when).await;
        if step == Exit {
            // Nobody waits for it.
            lives(&blocking, &when).await;
        }
        // It is noticed where there is a deadline.
        let noticed = async {
            while let Some(event) = events.next().await {
                match event.change {
                    Change::LaunchFailed { .. } if matches!(step, Call | Launch) => return,
                    Change::ResetFailed { .. } if matches!(step, VerifyCall | Verify) => return,
                    Change::Survived { .. } if matches!(step, DestroyCall | Destroy) => return,
                    Change::Ready { .. } if step == Exit => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), noticed).await.expect(&when);

        bar.open();
        lives(&blocking, &when).await;
        lives(&other, &when).await;
        ostler.shutdown().await.unwrap();
        eventually("what came too late is gone", || fake.census().alive == 0).await;
    }
}

/// P1 too: a launch that was given up, and may yet come to something, counts until it has ended.
#[tokio::test]
async fn launches_that_block_leave_their_own_pool_alive() {
    let Stage { ostler, blocking, other, fake, bar } = start().await;
    let lease = blocking.acquire().await.unwrap();
    bar.close_at(Step::Launch);
    blocking.acquire().await.unwrap().discard();
    eventually("as many as there may be", || bar.blocked() >= 2).await;
    // More than one launch_timeout, pause and launch.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(bar.blocked() <= 3, "{} of 4 beside a lease", bar.blocked());
    // What it has still works, and is cleaned.
    lease.write("file", "content").await.unwrap();
    drop(lease);
    let lease = blocking.acquire().await.unwrap();
    assert!(lease.read("file").await.is_err(), "not clean");
    lives(&other, "launches block").await;
    drop(lease);

    let begun = Instant::now();
    let ended = ostler.shutdown_within(Duration::from_millis(100)).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let error = ended.expect_err("nobody could end them").to_string();
    assert!(error.contains("blocking/r3"), "{error}");
    bar.open();
    eventually("what came too late is gone", || fake.census().alive == 0).await;
}

#[tokio::test]
async fn a_launch_that_blocks_is_named_by_a_drain() {
    let Stage { ostler, blocking, fake, bar, .. } = start().await;
    bar.close_at(Step::Launch);
    blocking.acquire().await.unwrap().discard();
    eventually("it blocks", || bar.blocked() >= 1).await;
    let error = blocking.drain_within(Duration::ZERO).await.expect_err("it can't be ended").to_string();
    assert!(error.contains("blocking/r3"), "{error}");
    bar.open();
    blocking.drain().await.unwrap();
    assert_eq!(fake.census().alive, 0, "what came too late is gone");
    ostler.shutdown().await.unwrap();
}

/// As anywhere: who is asked to end does, with what blocks in its way.
#[tokio::test]
async fn a_close_that_blocks_does_not_hold_up_the_end() {
    let Stage { ostler, fake, bar, .. } = start().await;
    bar.close_at(Step::Close);
    let begun = Instant::now();
    ostler.shutdown_within(Duration::ZERO).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(fake.census().alive, 0);
    bar.open();
}

/// Whoever starts gives up when it likes.
#[tokio::test]
async fn a_prepare_that_blocks_can_be_dropped() {
    let bar = Arc::<Bar>::default();
    bar.close_at(Step::Prepare);
    let backend = Blocking { fake: Fake::new(&FakeSpec::default()), bar: Arc::clone(&bar) };
    let spec = PoolSpec { backend: BackendSpec::Custom, ..PoolSpec::default() };
    let config = Config::builder().instance("blocks").pool("blocking", spec).build().unwrap();
    let start = Ostler::builder(config).backend("blocking", Arc::new(backend)).start();
    assert!(tokio::time::timeout(Duration::from_millis(500), start).await.is_err());
    assert_eq!(bar.blocked(), 1);
    bar.open();
}
