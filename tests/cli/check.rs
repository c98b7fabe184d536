//! P20 at the command line: what is good is printed whole, what is bad is reported whole, nothing starts.

use std::io::pipe;

use serde_json::Value;

use crate::host::{Place, Running, ostler, run};

const MISTAKES: &str = "\
[pools.p]
backend = \"fake\"
mx = 4
min = 9
max = 5
acquire_timeout = \"0s\"
[pools.q]
backend = \"stable\"
";

#[test]
fn a_good_config_is_printed_as_one_that_means_the_same() {
    let (place, config) = Place::fake();
    let printed = run(["check".as_ref(), config.as_os_str()]).expect(0);
    assert_eq!(printed.stderr, "");
    assert!(printed.stdout.contains("[pools.p]\n"), "{}", printed.stdout);
    assert!(printed.stdout.contains("\nqueue = 1024\n"), "{}", printed.stdout);
    let again = place.file("again.toml", &printed.stdout);
    assert_eq!(run(["check".as_ref(), again.as_os_str()]).expect(0).stdout, printed.stdout);
    assert!(place.is_untouched());
}

#[test]
fn as_json_it_is_a_config_that_means_the_same() {
    let (place, config) = Place::fake();
    let printed = run(["check".as_ref(), config.as_os_str()]).expect(0).stdout;
    let json = run(["check".as_ref(), "--json".as_ref(), config.as_os_str()]).expect(0).stdout;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["valid"], true);
    let again = place.file("again.json", document["config"].to_string());
    assert_eq!(run(["check".as_ref(), again.as_os_str()]).expect(0).stdout, printed);
}

#[test]
fn the_environment_counts() {
    let (_place, config) = Place::fake();
    let mut command = ostler(["check".as_ref(), config.as_os_str()]);
    command.env("OSTLER__POOLS__P__MAX", "9");
    let done = Running::start(command).end().expect(0);
    assert!(done.stdout.contains("\nmax = 9\n"), "{}", done.stdout);
    let mut command = ostler(["check".as_ref(), config.as_os_str()]);
    command.env("OSTLER__POOLS__P__MAXX", "9");
    let done = Running::start(command).end().expect(2);
    assert!(done.stderr.starts_with("OSTLER__POOLS__P__MAXX: "), "{}", done.stderr);
}

#[test]
fn all_mistakes_are_reported_a_line_each_by_every_command_and_nothing_starts() {
    let place = Place::new();
    let config = place.config(MISTAKES);
    let config = config.to_str().unwrap();
    for words in [
        &["check", config][..],
        &["run", config],
        &["run", "--json", config],
        &["exec", config, "p", "--", "true"],
        &["demo", "--config", config],
    ] {
        let done = run(words).expect(2);
        assert_eq!(done.stdout, "", "{words:?}");
        let lines: Vec<_> = done.stderr.lines().collect();
        assert_eq!(lines.len(), 4, "{words:?}: {}", done.stderr);
        for (line, place) in lines.iter().zip([":4: ", ":5: ", ":7: ", ":9: "]) {
            assert!(line.starts_with(config) && line.contains(place), "{words:?}: {line}");
        }
        assert!(place.is_untouched(), "{words:?}");
    }
}

#[test]
fn mistakes_as_json_are_on_stdout_too() {
    let place = Place::new();
    let config = place.config(MISTAKES);
    let done = run(["check".as_ref(), "--json".as_ref(), config.as_os_str()]).expect(2);
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["valid"], false);
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(problems.len(), done.stderr.lines().count());
    assert_eq!(problems[0]["key"], "pools.p.mx");
}

#[test]
fn a_file_that_is_not_there_is_a_bad_config() {
    let place = Place::new();
    let missing = place.path().join("missing.toml");
    let done = run(["check".as_ref(), missing.as_os_str()]).expect(2);
    assert!(done.stderr.contains("missing.toml"), "{}", done.stderr);
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let (_place, config) = Place::fake();
    for words in [&["check".as_ref(), config.as_os_str()][..], &["completions".as_ref(), "bash".as_ref()]] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = ostler(words);
        command.stdout(writer);
        let done = Running::start(command).end().expect(0);
        assert_eq!(done.stderr, "");
    }
}
