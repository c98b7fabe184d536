//! A whole ostler on one thread under a stopped clock: an hour passes in milliseconds, and one seed is one run.

use std::future::Future;
use std::sync::Arc;

use ostler::backend::Backend;
use ostler::model::BackendSpec;
use ostler::{Config, Ostler, Pool, PoolSpec};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Runs a test's body with a clock that jumps whenever everybody waits for it.
pub fn simulate<T>(body: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    LocalSet::new().block_on(&runtime, body)
}

/// A config with one pool, called `sim`.
pub fn config(spec: PoolSpec) -> Config {
    Config::builder().state_dir(std::env::temp_dir()).pool("sim", spec).build().expect("a good config")
}

/// Starts a pool on the caller's thread with a backend of the test's own.
pub async fn start(spec: PoolSpec, backend: impl Backend + 'static, seed: u64) -> (Ostler, Pool) {
    let spec = PoolSpec { backend: BackendSpec::Custom, ..spec };
    let ostler = Ostler::builder(config(spec))
        .backend("sim", Arc::new(backend))
        .on_this_thread()
        .seed(seed)
        .start()
        .await
        .expect("starts");
    let pool = ostler.pool("sim").expect("the pool");
    (ostler, pool)
}
