//! Every mistake is told in one go, in the order of the file, each with its line.

use ostler::config::{Config, Format};

const TEXT: &str = r#"
instance = ""
shutdown_grace = 10

[pools.one]
backend = "fake"
min = 9
max = 4
maxx = 1
idle_timeout = "0s"
[pools.one.env]
A = 1
B = 2
[pools.one.process]
user = 5

[pools.Two]
backend = "dock"
queue = "many"
"#;

const PROBLEMS: &str = r#"text:2: instance = "": must be 1 to 32 of a-z, 0-9 and -
text:3: shutdown_grace = 10: has no unit; write a duration such as "30s" or "200ms"
text:7: pools.one.min = 9: is greater than pools.one.max = 4
text:9: pools.one.maxx: unknown key; did you mean "max"?
text:10: pools.one.idle_timeout = "0s": must be between 100ms and 30days, or "none"
text:12: pools.one.env.A: found an integer, wanted text; put it in quotes
text:13: pools.one.env.B: found an integer, wanted text; put it in quotes
text:14: pools.one.process: is only for backend = "process"; this pool has backend = "fake"
text:17: pools.Two: a pool's name must be 1 to 32 of a-z, 0-9, _ and -
text:18: pools.Two.backend = "dock": must be one of "process", "docker", "podman", "fake", "custom"; did you mean "docker"?
text:19: pools.Two.queue = "many": found text, wanted an integer such as 8"#;

#[test]
fn all_mistakes_are_reported_at_once() {
    let error = Config::parse(TEXT, Format::Toml).expect_err("full of mistakes");
    assert_eq!(error.to_string(), PROBLEMS);
    assert_eq!(error.problems().len(), PROBLEMS.lines().count());

    let problem = &error.problems()[2];
    assert_eq!(problem.key, "pools.one.min");
    assert_eq!(problem.value.as_deref(), Some("9"));
    assert_eq!(problem.message, "is greater than pools.one.max = 4");
}

#[test]
fn a_mistake_in_the_defaults_is_told_once() {
    let text = "[defaults]\nmax = 0\n[pools.a]\n[pools.b]\n[pools.c]\nmin = 9";
    let error = Config::parse(text, Format::Toml).expect_err("max = 0");
    assert_eq!(error.to_string(), "text:2: defaults.max = 0: must be between 1 and 100000");
}
