//! P8: a pool whose backend is in trouble stays degraded, and says by what, though the supervisor starts over meanwhile.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ostler::backend::fake::Fake;
use ostler::backend::{Backend, BackendError, BoxFuture, Launch, Launched};
use ostler::model::{BackendSpec, FakeSpec};
use ostler::{Ostler, PoolSpec};
use support::sim::{config, simulate};

/// An engine that does not answer, as long as a test wants it.
#[derive(Debug)]
struct Ailing {
    fake: Fake,
    silent: Arc<AtomicBool>,
}

impl Backend for Ailing {
    fn name(&self) -> &'static str {
        "ailing"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        self.fake.launch(launch)
    }

    fn trouble(&self) -> Option<String> {
        self.silent.load(Ordering::Relaxed).then(|| "the engine is silent".to_owned())
    }
}

#[test]
fn trouble_outlives_a_supervisor_that_starts_over() {
    simulate(async {
        let (silent, strike) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let backend = Ailing { fake: Fake::new(&FakeSpec::default()), silent: Arc::clone(&silent) };
        let struck = Arc::clone(&strike);
        let spec = PoolSpec { backend: BackendSpec::Custom, min: 1, max: 1, ..PoolSpec::default() };
        let ostler = Ostler::builder(config(spec))
            .backend("sim", Arc::new(backend))
            .on_this_thread()
            .seed(1)
            .sabotage(move |actor, _| {
                let strikes = actor == "Supervisor" && struck.swap(false, Ordering::Relaxed);
                assert!(!strikes, "sabotage");
            })
            .start()
            .await
            .expect("starts");
        let pool = ostler.pool("sim").expect("the pool");
        pool.ready(Duration::from_secs(5)).await.expect("ready");
        silent.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(pool.status().degraded);
        strike.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!strike.load(Ordering::Relaxed), "the supervisor was struck");
        let status = pool.status();
        assert!(status.degraded && status.trouble.is_some_and(|trouble| trouble.contains("silent")));
        silent.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!pool.status().degraded);
        ostler.shutdown().await.expect("ends");
    });
}
