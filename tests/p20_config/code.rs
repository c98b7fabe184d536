//! A config made in code is held to what one from a file is.

use std::time::Duration;

use ostler::config::{Config, LogLevel, LogSpec};
use ostler::model::{BackendSpec, Exhausted, FakeSpec, HealthSpec, PoolSpec, RestartSpec};

fn fake() -> PoolSpec {
    PoolSpec { backend: BackendSpec::Fake(FakeSpec::default()), ..PoolSpec::default() }
}

#[test]
fn a_good_one_is_built() {
    let config = Config::builder()
        .instance("judge")
        .shutdown_grace(Duration::from_secs(3))
        .log(LogSpec { level: LogLevel::Debug, ..LogSpec::default() })
        .pool("one", PoolSpec { max: 8, ..fake() })
        .pool("two", PoolSpec { backend: BackendSpec::Custom, ..PoolSpec::default() })
        .build()
        .expect("no mistake");
    assert_eq!(config.pools.len(), 2);
    assert_eq!(config.pools["one"].max, 8);
    config.validate().expect("still no mistake");
}

#[test]
fn a_bad_one_is_refused_with_all_that_is_wrong() {
    let wrong = PoolSpec {
        min: 9,
        max: 5,
        overflow: 10_001,
        acquire_timeout: Duration::ZERO,
        when_exhausted: Exhausted::Overflow,
        output_limit: 7,
        health: HealthSpec { retries: 0, ..HealthSpec::default() },
        restart: RestartSpec { backoff: Duration::from_mins(1), ..RestartSpec::default() },
        warm_up: vec![String::new()],
        env: [("A=B".to_owned(), "secret".to_owned())].into(),
        backend: BackendSpec::Fake(FakeSpec { hangs: f64::NAN, ..FakeSpec::default() }),
        ..PoolSpec::default()
    };
    let error = Config::builder()
        .instance("No Name")
        .pool("A", wrong)
        .pool("b", PoolSpec { max: 0, ..fake() })
        .pool("b", fake())
        .build()
        .expect_err("full of mistakes");
    let expected = r#"builder: instance = "No Name": must be 1 to 32 of a-z, 0-9 and -
builder: pools.A: a pool's name must be 1 to 32 of a-z, 0-9, _ and -
builder: pools.A.acquire_timeout = "0s": must be between 1ms and 1h
builder: pools.A.env: "A=B" cannot be the name of an environment variable
builder: pools.A.fake.hangs = NaN: must be between 0 and 1
builder: pools.A.health.retries = 0: must be between 1 and 100
builder: pools.A.min = 9: is greater than pools.A.max = 5
builder: pools.A.output_limit = "7B": must be between 1KiB and 1GiB
builder: pools.A.overflow = 10001: must be between 0 and 10000
builder: pools.A.restart.backoff = "1m": is greater than pools.A.restart.backoff_cap = "30s", the default
builder: pools.A.warm_up = [""]: must be a list: the program, then its arguments
builder: pools.b: there is a pool of this name already
builder: pools.b.max = 0: must be between 1 and 100000"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn one_without_a_pool_is_refused() {
    let error = Config::builder().build().expect_err("no pool");
    assert_eq!(
        error.to_string(),
        "builder: pools: no pool is configured; add a table such as [pools.sandbox]"
    );
}

#[test]
fn one_changed_after_it_was_built_is_checked_again() {
    let mut config = Config::builder().pool("one", fake()).build().expect("no mistake");
    config.shutdown_grace = Duration::ZERO;
    let error = config.validate().expect_err("no grace");
    assert_eq!(error.to_string(), "builder: shutdown_grace = \"0s\": must be between 1ms and 1h");
}
