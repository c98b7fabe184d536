//! P6, P13: a shutdown that is dropped ends everything all the same, in order and in the background; and what then can't
//! be ended is named in the log.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ostler::backend::fake::{Act, Fake, Point};
use ostler::backend::{Backend, BackendError, BoxFuture, Instance, Launch, Launched, Residue};
use ostler::model::BackendSpec;
use ostler::{Ostler, Pool, PoolSpec};
use slog::{Drain, Logger, Never, OwnedKVList, Record, o};
use support::gated::Gates;
use support::{eventually, sim};

/// Counts what is asked of it in the end.
#[derive(Clone, Debug)]
struct Counted {
    fake: Fake,
    destroyed: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Backend for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let (launched, destroyed) = (self.fake.launch(launch), Arc::clone(&self.destroyed));
        Box::pin(async move {
            let Launched { control, data, exit, instance } = launched.await?;
            Ok(Launched { control, data, exit, instance: Box::new(CountedInstance { instance, destroyed }) })
        })
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        self.closed.fetch_add(1, Ordering::Relaxed);
        self.fake.close()
    }
}

#[derive(Debug)]
struct CountedInstance {
    instance: Box<dyn Instance>,
    destroyed: Arc<AtomicUsize>,
}

impl Instance for CountedInstance {
    fn handle(&self) -> String {
        self.instance.handle()
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        self.instance.verify()
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        let (destroy, destroyed) = (self.instance.destroy(), Arc::clone(&self.destroyed));
        Box::pin(async move {
            destroy.await?;
            destroyed.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }
}

/// Keeps what is said, with what it is about.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Drain for Said {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(record.msg().to_string());
        Ok(())
    }
}

async fn start(gates: &Gates, said: &Said) -> (Ostler, Pool, Counted) {
    let backend =
        Counted { fake: Fake::scripted(gates.clone()), destroyed: Arc::default(), closed: Arc::default() };
    let spec = PoolSpec { backend: BackendSpec::Custom, min: 3, max: 3, ..PoolSpec::default() };
    let ostler = Ostler::builder(sim::config(spec))
        .backend("sim", Arc::new(backend.clone()))
        .logger(Logger::root(said.clone(), o!()))
        .start()
        .await
        .expect("starts");
    let pool = ostler.pool("sim").expect("the pool");
    pool.ready(Duration::from_secs(20)).await.expect("ready");
    (ostler, pool, backend)
}

#[tokio::test]
async fn a_shutdown_that_is_dropped_ends_all_in_order() {
    for patience in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(50)] {
        let (ostler, pool, backend) = start(&Gates::default(), &Said::default()).await;
        let lease = pool.acquire().await.expect("a lease");
        let shutdown = ostler.shutdown_within(Duration::from_secs(30));
        tokio::time::timeout(patience, shutdown).await.expect_err("a lease is out");
        eventually("all are destroyed", || backend.destroyed.load(Ordering::Relaxed) == 3).await;
        eventually("the backend is closed", || backend.closed.load(Ordering::Relaxed) == 1).await;
        assert_eq!(backend.fake.census().alive, 0);
        drop(lease);
        assert!(pool.acquire().await.is_err());
    }
}

#[tokio::test]
async fn one_that_is_dropped_without_a_shutdown_names_what_it_could_not_end() {
    let (gates, said) = (Gates::default(), Said::default());
    let (ostler, _, backend) = start(&gates, &said).await;
    gates.set(Point::Destroy, Act::Fail);
    drop(ostler);
    eventually("survivors are named", || {
        said.0.lock().is_ok_and(|said| said.iter().any(|line| line == "dropped without shutdown"))
    })
    .await;
    assert_eq!(backend.closed.load(Ordering::Relaxed), 1);
}
