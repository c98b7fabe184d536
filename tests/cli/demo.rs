//! `ostler demo`: every step comes true on real files, and nothing is left.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Place, Running, no_orphans, ostler, run};

/// Seven files that count, and some that don't.
fn files() -> Place {
    let place = Place::new();
    for number in 0..6 {
        place.file(&format!("files/f{number}.txt"), "line\n".repeat(number * 100));
    }
    place.file("files/sub/-n \u{e9}", [0, 255, b'\n', 1, 2]);
    place.file("files/big", vec![b'x'; (1 << 20) + 1]);
    place.file("files/target/made.txt", "no\n");
    place.file("files/.git/config", "no\n");
    place
}

fn demo(place: &Place, words: &[&str]) -> std::process::Command {
    let mut command = ostler(["demo", "--files", "files"].iter().chain(words));
    command.current_dir(place.path());
    command
}

#[test]
fn every_step_comes_true_and_nothing_is_left() {
    let place = files();
    let done = Running::start(demo(&place, &["--json"])).end().expect(0);
    no_orphans();
    assert!(done.took.as_secs() < 30, "{:?}", done.took);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["files"]["distinct"], &report["files"]["used"]), (&7.into(), &50.into()));
    let rows = report["workload"].as_array().unwrap();
    let sizes: Vec<_> = rows.iter().map(|row| row["files"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [1, 3, 10, 50]);
    for row in rows {
        let figure = |name: &str| row[name].as_f64().unwrap();
        assert!((figure("ratio") - figure("fresh_ms") / figure("pool_ms")).abs() < 0.01, "{row}");
    }
    assert!(rows[3]["ratio"].as_f64().unwrap() > 1.0, "{rows:?}");
    for (step, figure) in [("start", "ms"), ("killed", "detected_ms"), ("killed", "whole_ms")] {
        assert!(report[step][figure].as_f64().is_some_and(|ms| ms > 0.0), "{step}: {report}");
    }
    for step in ["killed", "unhealthy"] {
        assert!(
            report[step]["handle"].as_str().is_some_and(|handle| handle.starts_with("pid ")),
            "{step}: {report}"
        );
    }
    // One killed, one worn out, one frozen, and who came after them.
    assert!(report["end"]["runtimes"].as_u64().is_some_and(|met| met > 3), "{}", report["end"]);
    assert_eq!(report["used_up"]["uses"], 50);
    let retired = &report["status"]["retired"];
    for reason in ["exited", "used_up", "unhealthy"] {
        assert!(retired[reason].as_u64().is_some_and(|count| count >= 1), "{reason}: {retired}");
    }
    assert_eq!(report["end"]["left"], Value::Array(Vec::new()));
    assert_eq!(report["error"], Value::Null);
}

#[test]
fn a_config_that_shows_nothing_soon_is_changed_and_that_is_said() {
    let place = files();
    place.file("slow.toml", "state_dir = \"state\"\n[pools.sandbox]\nmin = 0\nmax = 2\n[pools.other]\n");
    let done = Running::start(demo(&place, &["--config", "slow.toml"])).end().expect(0);
    no_orphans();
    for note in ["min = 1", "max_uses = 50", "health probes"] {
        assert!(done.stdout.contains(&format!("note       {note}")), "{}", done.stdout);
    }
    for step in [
        "only 7 there",
        "ratio",
        "killed ",
        "used up ",
        "unhealthy ",
        "pool sandbox (process)",
        "none is left",
    ] {
        assert!(done.stdout.contains(step), "{step}: {}", done.stdout);
    }
    assert!(done.stderr.contains("… 50 files, from the pool\n"), "{}", done.stderr);
    assert!(!done.stdout.contains('\u{1b}') && !done.stderr.contains('\u{1b}'), "{done:?}");
}

#[test]
fn a_step_that_fails_fails_the_demo() {
    let place = files();
    let pool = "[pools.sandbox.env]\nPATH = \"/nowhere\"\n";
    place.file("lacks-wc.toml", format!("state_dir = \"state\"\n{pool}"));
    let done = Running::start(demo(&place, &["--config", "lacks-wc.toml", "--json"])).end().expect(1);
    no_orphans();
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(report["error"].as_str().unwrap().contains("wc"), "{report}");
    assert_eq!(report["end"]["left"], Value::Array(Vec::new()));
    assert!(done.stderr.contains("ostler: first start"), "{}", done.stderr);
}

#[test]
fn interrupted_it_leaves_nothing() {
    let place = files();
    let mut running = Running::start(demo(&place, &[]));
    running.err("… 50 files, a fresh runtime per operation");
    running.signal(Signal::INT);
    let done = running.end().expect(130);
    no_orphans();
    assert!(done.stdout.ends_with("none is left\n"), "{}", done.stdout);
}

#[test]
fn what_can_not_be_shown_is_bad_usage() {
    let (place, fake) = Place::fake();
    for words in [
        &["demo", "--files", "/no/such/directory"][..],
        &["demo", "--files", place.path().join("pools.toml").to_str().unwrap()],
        &["demo", "--config", fake.to_str().unwrap()],
        &["demo", "--image", "busybox"],
        &[
            "demo",
            "--backend",
            "docker",
            "--config",
            concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo.toml"),
        ],
    ] {
        let done = run(words).expect(2);
        assert_eq!(done.stdout, "", "{words:?}");
    }
    let empty = Place::new();
    run(["demo", "--files", empty.path().to_str().unwrap()]).expect(2);
}

/// The same on containers, of an engine whose address is in this variable.
fn on_containers(engine: &str, host: &str) {
    let Some(address) = std::env::var(host).ok().filter(|address| !address.is_empty()) else {
        // Not by a macro, whose output is kept back when a test succeeds.
        let line = format!("\nSKIPPED: the demo on {engine}: {host} is not set\n");
        return std::io::stderr().write_all(line.as_bytes()).unwrap();
    };
    let place = files();
    let start = |words: &[&str]| {
        let words = [&["--backend", engine, "--most", "3"], words].concat();
        let mut command = demo(&place, &words);
        command.env("DOCKER_HOST", &address).env_remove("CONTAINER_HOST");
        command.env("OSTLER__STATE_DIR", place.path().join("state"));
        Running::start(command).end()
    };
    // Nobody names an image: the demo sees to one itself.
    let done = start(&["--json"]).expect(0);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["workload"].as_array().unwrap().len(), 2, "{report}");
    for step in ["killed", "unhealthy"] {
        assert!(report[step]["handle"].as_str().unwrap().starts_with("container "), "{step}: {report}");
    }
    let (status, retired) = (&report["status"], &report["status"]["retired"]);
    assert_eq!((&status["backend"], &status["runtimes"][0]["transport"]), (&engine.into(), &"link".into()));
    for reason in ["exited", "used_up", "unhealthy"] {
        assert!(retired[reason].as_u64().is_some_and(|count| count >= 1), "{reason}: {retired}");
    }
    assert_eq!((&report["end"]["left"], &report["error"]), (&Value::Array(Vec::new()), &Value::Null));
    let left = walk(&place.path().join("state"));
    assert_eq!(left, Vec::<PathBuf>::new());

    let image = "localhost/ostler-test/there-is-none:latest";
    let done = start(&["--image", image]).expect(1);
    assert!(done.stderr.contains(image) && done.stderr.contains("--image"), "{}", done.stderr);
    assert!(walk(&place.path().join("state")).is_empty());
}

/// All files below a directory.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn on_docker() {
    on_containers("docker", "OSTLER_TEST_DOCKER");
}

#[test]
fn on_podman() {
    on_containers("podman", "OSTLER_TEST_PODMAN");
}
