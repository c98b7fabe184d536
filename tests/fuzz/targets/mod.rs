//! What is fuzzed, a file each: a function that takes any bytes and panics when a promise is broken.
//!
//! `scripts/fuzz` runs them under libFuzzer for as long as one likes; `tests/fuzz_short.rs` plays the corpus and
//! some thousands of seeded mutations of it in every run of the tests, with the stable compiler.

pub(crate) mod config;
pub(crate) mod link;
pub(crate) mod mux;
pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod tar_in;
pub(crate) mod tar_out;

use std::sync::Arc;

use ostler::backend::fake::Fake;
use ostler::backend::{Backend, Launch, Launched};
use ostler::guest::{Defaults, Session};
use ostler::model::{Epoch, FakeSpec, PoolName, RuntimeId};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A lease on a runtime with nothing behind it but files in memory.
async fn lease() -> (Launched, Session) {
    let launch = Launch { pool: PoolName::new("fuzz"), runtime: RuntimeId(1) };
    let launched = Fake::new(&FakeSpec::default()).launch(launch).await.expect("launches");
    launched.data.begin(Epoch(1));
    let session = Session::new(Arc::clone(&launched.data), Epoch(1), Arc::new(Defaults::default()));
    (launched, session)
}
