//! Variables override the file, and are held to the same.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use ostler::config::{Config, ConfigError};
use ostler::model::{BackendSpec, NetworkAccess};

const FILE: &str = "[pools.sandbox]\nmax = 4\n[pools.my-pool]\n[pools.my_pool]\n[pools.a__b]\n[pools.quiet_]\nbackend = \"fake\"\n";

fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load_os(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn load_os(variables: Vec<(OsString, OsString)>) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("o.toml");
    fs::write(&path, FILE).expect("a file");
    Config::load_with(&path, variables)
}

#[track_caller]
fn complaint(variables: &[(&str, &str)]) -> String {
    load(variables).expect_err("a mistake").to_string()
}

#[test]
fn a_variable_overrides_each_kind_of_key() {
    let config = load(&[
        ("OSTLER__INSTANCE", "from-env"),
        ("OSTLER__SHUTDOWN_GRACE", "5s"),
        ("OSTLER__DEFAULTS__QUEUE", "7"),
        ("OSTLER__POOLS__SANDBOX__MAX", "8"),
        ("OSTLER__POOLS__SANDBOX__MAX_USES", "none"),
        ("OSTLER__POOLS__SANDBOX__HEALTH__RETRIES", "3"),
        ("OSTLER__POOLS__SANDBOX__LIMITS__CPUS", "0.5"),
        ("OSTLER__POOLS__SANDBOX__LIMITS__MEMORY", "64MiB"),
        ("OSTLER__POOLS__SANDBOX__OUTPUT_LIMIT", "4096"),
        ("OSTLER__POOLS__SANDBOX__PROCESS__NETWORK", "host"),
        ("OSTLER__POOLS__SANDBOX__WARM_UP", r#"["sh", "-c", "true"]"#),
        ("OSTLER__POOLS__SANDBOX__ENV__Mixed__Case", "text"),
        ("OTHER__POOLS__SANDBOX__MAX", "100"),
        ("OSTLER_LOG", "debug"),
    ])
    .expect("no mistake");
    let pool = &config.pools["sandbox"];
    assert_eq!(config.instance, "from-env");
    assert_eq!(config.shutdown_grace, Duration::from_secs(5));
    assert_eq!((pool.max, pool.max_uses, pool.health.retries, pool.queue), (8, None, 3, 7));
    assert_eq!((pool.limits.cpus, pool.limits.memory), (Some(0.5), Some(64 << 20)));
    assert_eq!(pool.output_limit, 4096);
    assert_eq!(pool.warm_up, ["sh", "-c", "true"]);
    assert_eq!(pool.env["Mixed__Case"], "text");
    assert!(matches!(&pool.backend, BackendSpec::Process(process) if process.network == NetworkAccess::Host));
    assert_eq!(config.pools["my-pool"].queue, 7);
}

#[test]
fn every_pool_can_be_named() {
    let cases = [
        ("OSTLER__POOLS__sandbox__max", "sandbox"),
        ("ostler__pools__SandBox__Max", "sandbox"),
        ("OSTLER__POOLS__MY_POOL__MAX", "my_pool"),
        ("OSTLER__POOLS__MY-POOL__MAX", "my-pool"),
        ("OSTLER__POOLS__A__B__MAX", "a__b"),
        ("OSTLER__POOLS__QUIET___MAX", "quiet_"),
    ];
    for (variable, pool) in cases {
        let config = load(&[(variable, "77")]).expect(variable);
        let set: Vec<_> =
            config.pools.iter().filter(|(_, spec)| spec.max == 77).map(|(name, _)| name.as_str()).collect();
        assert_eq!(set, [pool], "{variable}");
    }
}

#[test]
fn a_dash_in_a_name_may_be_written_as_an_underscore() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("o.yaml");
    fs::write(&path, "pools:\n  code-runner:\n").expect("a file");
    let config = Config::load_with(&path, [("OSTLER__POOLS__CODE_RUNNER__MAX".into(), "9".into())])
        .expect("no mistake");
    assert_eq!(config.pools["code-runner"].max, 9);
}

#[test]
fn a_wrong_value_is_told_with_its_variable() {
    let cases = [
        ("MAX", "0", "max = 0: must be between 1 and 100000"),
        ("MAX", "many", "max = \"many\": found text, wanted an integer such as 8"),
        ("MAX", "", "max = \"\": found text, wanted an integer such as 8"),
        (
            "ACQUIRE_TIMEOUT",
            "30",
            "acquire_timeout = \"30\": has no unit; write a duration such as \"30s\" or \"200ms\"",
        ),
        (
            "WARM_UP",
            "true",
            "warm_up = \"true\": found text, wanted a list of text such as [\"python3\", \"--version\"]",
        ),
        ("MIN", "5", "min = 5: is greater than pools.sandbox.max = 4"),
    ];
    for (key, value, expected) in cases {
        let variable = format!("OSTLER__POOLS__SANDBOX__{key}");
        assert_eq!(complaint(&[(&variable, value)]), format!("{variable}: pools.sandbox.{expected}"));
    }
}

#[test]
fn a_variable_that_names_nothing_is_an_error() {
    let cases = [
        ("OSTLER__INSTANSE", "names no key; did you mean OSTLER__INSTANCE?"),
        ("OSTLER__FOO__BAR", "names no key"),
        ("OSTLER__", "names no key"),
        ("OSTLER__POOLS__SANDBOX__MAXX", "names no key; did you mean OSTLER__POOLS__SANDBOX__MAX?"),
        (
            "OSTLER__POOLS__SANDBOX__HEALTH__RETRY",
            "names no key; did you mean OSTLER__POOLS__SANDBOX__HEALTH__RETRIES?",
        ),
        ("OSTLER__POOLS__SANDBOX__COLOUR", "names no key"),
        (
            "OSTLER__POOLS__SANDBOX__HEALTH",
            "names no key; did you mean OSTLER__POOLS__SANDBOX__HEALTH__PROBE?",
        ),
        ("OSTLER__POOLS__SANDBOX__ENV", "names no key; did you mean OSTLER__POOLS__SANDBOX__ENV__NAME?"),
        ("OSTLER__POOLS__SANDBOX__ENV__", "names no key; did you mean OSTLER__POOLS__SANDBOX__ENV__NAME?"),
        (
            "OSTLER__POOLS__SANDBOXX__MAX",
            "names no pool of the file; did you mean OSTLER__POOLS__SANDBOX__MAX?",
        ),
        ("OSTLER__POOLS__OTHER__MAX", "names no pool of the file"),
        ("OSTLER__DEFAULTS__MAXX", "names no key; did you mean OSTLER__DEFAULTS__MAX?"),
    ];
    for (variable, expected) in cases {
        assert_eq!(complaint(&[(variable, "5")]), format!("{variable}: {expected}"));
    }
}

#[test]
fn two_variables_for_one_key_are_an_error() {
    let both = [("OSTLER__INSTANCE", "a"), ("ostler__instance", "b")];
    assert_eq!(complaint(&both), "ostler__instance: sets the same key as OSTLER__INSTANCE");
}

#[test]
fn a_variable_that_is_not_utf8_is_an_error() {
    let error =
        load_os(vec![("OSTLER__INSTANCE".into(), OsString::from_vec(vec![0xff]))]).expect_err("not UTF-8");
    assert_eq!(error.to_string(), "OSTLER__INSTANCE: is not UTF-8");
}

#[test]
fn a_variable_does_not_hide_a_mistake_of_the_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("o.toml");
    fs::write(&path, "[pools.s]\nhealth = 5\n").expect("a file");
    let error = Config::load_with(&path, [("OSTLER__POOLS__S__HEALTH__RETRIES".into(), "3".into())])
        .expect_err("health = 5");
    assert_eq!(
        error.to_string(),
        format!("{}:2: pools.s.health: found an integer, wanted a table", path.display())
    );
}

#[test]
fn secrets_are_not_shown() {
    let secret = "hunter2";
    let config = load(&[("OSTLER__POOLS__SANDBOX__ENV__TOKEN", secret)]).expect("no mistake");
    assert_eq!(config.pools["sandbox"].env["TOKEN"], secret);
    for shown in [config.to_toml(), format!("{config}"), format!("{config:?}")] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(shown.contains("TOKEN = \"***\""), "{shown}");
    }
    let wrong = complaint(&[("OSTLER__POOLS__SANDBOX__ENV__TOKEN", "hunter2\0")]);
    assert!(wrong.contains("ENV__TOKEN") && !wrong.contains(secret), "{wrong}");
}
