//! `ostler stress`: a verdict on stdout, a status that says it, reports that stand on their own.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Place, Running, no_orphans, ostler, run};

const FAKE: &str = "\
[pools.p]\nbackend = \"fake\"\nmin = 2\nmax = 4\n\
[pools.p.restart]\nintensity = 1000\nwindow = \"1s\"\nbackoff = \"10ms\"\nbackoff_cap = \"100ms\"\n\
[pools.p.health]\ninterval = \"200ms\"\ntimeout = \"100ms\"\n\
[pools.p.fake]\nlaunch = \"10ms\"\nreset = \"1ms\"\n";

const PROCESS: &str = "\
[pools.p]\nbackend = \"process\"\nmin = 2\nmax = 4\n\
[pools.p.restart]\nintensity = 1000\nwindow = \"1s\"\nbackoff = \"10ms\"\nbackoff_cap = \"1s\"\n\
[pools.p.health]\ninterval = \"500ms\"\ntimeout = \"500ms\"\n\
[pools.p.limits]\nmemory = \"64MiB\"\npids = 64\n";

fn stress<'a>(config: &'a Path, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["stress", config.to_str().unwrap()];
    all.extend(words);
    all
}

/// The word after `trace`.
fn trace(text: &str) -> &str {
    text.split("trace ").nth(1).unwrap().split(';').next().unwrap()
}

#[test]
fn one_seed_is_one_trace_and_every_promise_is_kept() {
    let place = Place::new();
    let config = place.config(FAKE);
    let words = ["--seed", "7", "--ops", "5000"];
    let first = run(stress(&config, &words)).expect(0).stdout;
    let again = run(stress(&config, &words)).expect(0).stdout;
    let other = run(stress(&config, &["--seed", "8", "--ops", "5000"])).expect(0).stdout;
    assert!(first.contains("every promise was kept: 0 violations"), "{first}");
    assert!(trace(&first).starts_with("0x") && trace(&first) == trace(&again), "{first}{again}");
    assert_ne!(trace(&first), trace(&other));
    assert!(
        first.contains("not judged: the load lasted less than two minutes of the world's clock"),
        "{first}"
    );
    for words in
        ["P1 ", "P2 ", "P3 ", "P4 ", "P7 ", "P8 ", "P9 ", "P10 ", "P11 ", "P14 ", "p99.9 ms", "not oom:"]
    {
        assert!(first.contains(words), "{words}: {first}");
    }
}

#[test]
fn several_seeds_are_several_runs_in_one_report() {
    let place = Place::new();
    let config = place.config(FAKE);
    let report = place.path().join("deep/report");
    let words = ["--seed", "1..3", "--ops", "1500", "--json", "--report", report.to_str().unwrap()];
    let done = run(stress(&config, &words)).expect(0);
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["passed"], true);
    let seeds: Vec<_> = document["runs"].as_array().unwrap().iter().map(|run| &run["seed"]).collect();
    assert_eq!(seeds, [1, 2, 3]);
    assert!(document["counts"]["operations"].as_u64().unwrap() >= 4500, "{}", document["counts"]);
    assert!(document["replay"].as_str().unwrap().ends_with(" --seed 1"), "{}", document["replay"]);
    assert_eq!(document["verdict"].as_array().unwrap().len(), 14);
    let written: Value = serde_json::from_slice(&fs::read(report.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, document);
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.matches("<svg").count() >= 4 && page.contains("every promise was kept"), "{page}");
    for outside in ["http://", "https://", "<script", "<link", "src="] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
}

#[test]
fn without_a_config_the_built_in_seeds_are_played() {
    let done = run(["stress", "--seed", "3..4", "--ops", "1500"]).expect(0);
    for seed in ["seed       3: ", "seed       4: "] {
        assert!(done.stdout.contains(seed), "{}", done.stdout);
    }
    assert!(done.stdout.contains("\nin all     ") && done.stdout.contains(" in 2 runs\n"), "{}", done.stdout);
    let other = run(["stress", "--scenario", "handoff", "--seed", "1", "--ops", "1500"]).expect(0);
    assert!(other.stdout.contains("every promise was kept"), "{}", other.stdout);
}

#[test]
fn real_sandboxes_under_every_fault_keep_every_promise_and_nothing_is_left() {
    let place = Place::new();
    let config = place.config(PROCESS);
    let words = ["--seed", "3", "--for", "8s", "--clients", "8", "--rate", "3/s", "--json"];
    let done = run(stress(&config, &words)).expect(0);
    no_orphans();
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    let counts = &document["counts"];
    for (figure, least) in [("leases", 20), ("operations", 100), ("looks", 20), ("scans", 1)] {
        assert!(counts[figure].as_u64().unwrap() >= least, "{figure}: {counts}");
    }
    assert!(!counts["faults"].as_object().unwrap().is_empty(), "{counts}");
    assert_eq!(document["runs"][0]["end"]["left"], Value::Array(Vec::new()));
    assert!(done.stderr.contains("… seed 3, load; "), "{}", done.stderr);
}

/// That clients come to nothing then is not the pool's doing.
#[test]
fn faults_that_come_faster_than_launches_leave_time_for_some() {
    let done = run(["stress", "--seed", "1", "--rate", "5/s"]).expect(0);
    assert!(done.stdout.contains("every promise was kept"), "{}", done.stdout);
}

#[test]
fn a_pool_that_makes_nothing_breaks_a_promise_and_the_status_says_so() {
    let place = Place::new();
    let config = place.config(&format!("{FAKE}launch_failures = 1.0\n"));
    let done = run(stress(&config, &["--seed", "5", "--for", "2s", "--clients", "2"])).expect(1);
    assert!(done.stdout.contains("VIOLATION") && done.stdout.contains("lost"), "{}", done.stdout);
    let replay = done.stdout.lines().last().unwrap();
    assert!(replay.starts_with("replay     ostler stress ") && replay.ends_with(" --seed 5"), "{replay}");
}

#[test]
fn interrupted_it_still_gives_its_verdict() {
    let place = Place::new();
    let config = place.config(PROCESS);
    let mut running =
        Running::start(ostler(stress(&config, &["--for", "10m", "--clients", "4", "--faults", "none"])));
    running.err(", load; ");
    running.signal(Signal::INT);
    let done = running.end().expect(0);
    no_orphans();
    assert!(done.stdout.contains("0 violations"), "{}", done.stdout);
    assert!(done.stderr.contains("ending the load"), "{}", done.stderr);
}

#[test]
fn at_a_fixed_rate_leases_are_timed_from_when_they_should_have_begun() {
    let place = Place::new();
    let config = place.config(FAKE);
    let words = ["--for", "5s", "--arrivals", "100", "--faults", "none", "--workload", "files", "--json"];
    let document: Value = serde_json::from_str(&run(stress(&config, &words)).expect(0).stdout).unwrap();
    assert!(document["acquire_timed_from"].as_str().unwrap().starts_with("the intended start"));
    // Five seconds of a hundred each, all of them served, and every runtime once in the end.
    assert_eq!(document["counts"]["leases"].as_u64(), Some(504), "{}", document["counts"]);
}

#[test]
fn what_faults_cost_is_compared_with_a_run_without() {
    let place = Place::new();
    let config = place.config(FAKE);
    let words =
        ["--seed", "2", "--ops", "3000", "--faults", "kill", "--rate", "100/1000", "--compare", "--json"];
    let document: Value = serde_json::from_str(&run(stress(&config, &words)).expect(0).stdout).unwrap();
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(
        (runs.len(), &runs[0]["is_baseline"], &runs[1]["is_baseline"]),
        (2, &true.into(), &false.into())
    );
    assert!(runs[0]["counts"]["faults"].as_object().unwrap().is_empty(), "{}", runs[0]["counts"]);
    assert!(runs[1]["counts"]["faults"]["kill"].as_u64().unwrap() > 10, "{}", runs[1]["counts"]);
    let figure = |name: &str| document["compared"][name].as_f64().unwrap();
    let (without, with) = (figure("without_faults"), figure("with_faults"));
    assert!(with > 0.0 && (figure("ratio") - with / without).abs() < 0.001, "{}", document["compared"]);
}

#[test]
fn scenarios_are_flags_by_name_and_the_command_line_goes_over_them() {
    let place = Place::new();
    let scenarios = "[scenarios.s]\npools = [\"p\"]\nops = 1000\nseed = \"4\"\nfaults = \"kill,cancel\"\nrate = \"5/1000\"\n";
    let config = place.config(&format!("{FAKE}{scenarios}"));
    let document = |words: &[&str]| -> Value {
        serde_json::from_str(&run(stress(&config, words)).expect(0).stdout).unwrap()
    };
    let plain = document(&["--scenario", "s", "--json"]);
    assert_eq!(plain["runs"][0]["seed"], 4);
    assert_eq!(plain["settings"]["faults"], serde_json::json!(["kill", "cancel"]));
    let over = document(&["--scenario", "s", "--seed", "9", "--faults", "none", "--json"]);
    assert_eq!(over["runs"][0]["seed"], 9);
    assert_eq!(over["settings"]["faults"], serde_json::json!([]));
    // Everybody else passes over them.
    run(["check".as_ref(), config.as_os_str()]).expect(0);
}

#[test]
fn the_scenarios_that_come_with_it_are_good() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/stress.toml");
    run(["check".as_ref(), config.as_os_str()]).expect(0);
    let words = ["--scenario", "handoff", "--seed", "1", "--ops", "3000"];
    let done = run(stress(&config, &words)).expect(0);
    assert!(done.stdout.contains("not in 1 pools with reset = \"none\""), "{}", done.stdout);
}

#[test]
fn a_disk_that_is_to_fill_does_before_memory_runs_out() {
    let place = Place::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/stress.toml");
    let config = place.config(&fs::read_to_string(shipped).unwrap());
    let words =
        ["box", "--seed", "1", "--for", "5s", "--faults", "disk_full", "--rate", "100/1000", "--json"];
    let document: Value = serde_json::from_str(&run(stress(&config, &words)).expect(0).stdout).unwrap();
    let counts = &document["counts"];
    assert!(counts["faults"]["disk_full"].as_u64().unwrap() > 2, "{counts}");
    assert_eq!(counts["hollow_faults"], serde_json::json!({}), "{counts}");
}

#[test]
fn faults_that_no_pool_can_suffer_are_left_out_and_named() {
    let place = Place::new();
    let fake = place.file("fake.toml", format!("state_dir = \"state\"\n{FAKE}"));
    let words = ["--faults", "kill,oom,clock_jump", "--seed", "1", "--ops", "3000"];
    let done = run(stress(&fake, &words)).expect(0);
    assert!(done.stdout.contains("not oom: a fake runtime has no memory"), "{}", done.stdout);
    assert!(done.stdout.contains("clock_jump"), "{}", done.stdout);
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_starts() {
    let place = Place::new();
    let scenarios = "[scenarios.good]\n[scenarios.bad]\nclints = 3\n";
    let process = place.config(&format!("{PROCESS}{scenarios}"));
    let fake = place.file("fake.toml", format!("state_dir = \"state\"\n{FAKE}"));
    for (config, words, said) in [
        (&process, &["--faults", "gallop"][..], "unknown fault"),
        (&process, &["--faults", "daemon_hang"], "fault daemon_hang does not apply: there is no engine"),
        (&process, &["--faults", "clock_jump"], "clock_jump does not apply"),
        (&fake, &["--faults", "oom"], "oom does not apply"),
        (&process, &["q"], "there is no pool q; there are p"),
        (&process, &["--workload", "trot"], "unknown workload"),
        (&process, &["--rate", "often"], "is no rate"),
        (&process, &["--seed", "3..1"], "3 is above 1"),
        (&process, &["--clients", "0"], "clients"),
        (&process, &["--for", "10s", "--ops", "5"], "cannot be used with"),
        (&process, &["--arrivals", "0"], "must be between"),
        (&process, &["--scenario", "good"], "clints"),
        (&fake, &["--scenario", "s"], "there is no scenario s"),
    ] {
        let done = run(stress(config, words)).expect(2);
        assert_eq!(done.stdout, "", "{words:?}");
        assert!(done.stderr.contains(said), "{words:?}: {}", done.stderr);
    }
    assert!(place.is_untouched());
}
