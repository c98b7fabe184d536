//! `ostler exec`: as if the command ran here, and nothing of it stays.

use std::io::pipe;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::host::{Done, Place, Running, no_orphans, ostler, run};

fn exec(config: &Path, words: &[&str]) -> Done {
    run(exec_words(config, words))
}

fn exec_words<'a>(config: &'a Path, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["exec", config.to_str().unwrap(), "p"];
    all.extend(words);
    all
}

#[test]
fn the_status_is_the_commands() {
    let (_place, config) = Place::fake();
    for (command, status) in [(&["true"][..], 0), (&["false"], 1), (&["exit", "7"], 7), (&["gallop"], 127)] {
        let words = [&["--"], command].concat();
        exec(&config, &words).expect(status);
    }
    assert_eq!(exec(&config, &["--", "echo", "a", "b"]).expect(0).stdout, "a b\n");
}

#[test]
fn stdin_goes_through() {
    let (_place, config) = Place::fake();
    let mut command = ostler(exec_words(&config, &["--", "cat"]));
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let text = "clip clop\n".repeat(10_000);
    running.feed(text.clone().into_bytes());
    assert!(running.end().expect(0).stdout == text);
}

#[test]
fn a_timeout_is_124() {
    let (_place, config) = Place::fake();
    let done = exec(&config, &["--timeout", "100ms", "--", "sleep", "3000"]).expect(124);
    assert!(done.stderr.contains("timeout"), "{}", done.stderr);
}

#[test]
fn an_unknown_pool_is_bad_usage() {
    let (_place, config) = Place::fake();
    let done = run(["exec", config.to_str().unwrap(), "q", "--", "true"]).expect(2);
    assert!(done.stderr.contains("no pool q"), "{}", done.stderr);
}

#[test]
fn a_pool_that_can_make_no_runtime_is_125_and_says_why() {
    let place = Place::new();
    let pool = "[pools.p]\nbackend = \"fake\"\nacquire_timeout = \"300ms\"\n";
    let config = place.config(&format!("{pool}[pools.p.fake]\nlaunch_failures = 1.0\n"));
    let done = exec(&config, &["--", "true"]).expect(125);
    assert!(done.stderr.contains("the script says so"), "{}", done.stderr);
}

#[test]
fn streams_environment_and_directory_are_the_commands() {
    let (_place, config) = Place::process();
    let script = "mkdir d; echo out; echo err >&2; echo $WORD; pwd";
    // What the host does not offer an ordinary user would be warned of.
    let quiet = ["--log-level", "error", "--env", "WORD=a=b", "--", "sh", "-c", script];
    let done = exec(&config, &quiet).expect(0);
    assert!(done.stdout.starts_with("out\na=b\n/"), "{done:?}");
    assert_eq!(done.stderr, "err\n");
    let done = exec(&config, &["--cwd", "/tmp", "--", "pwd"]).expect(0);
    assert_eq!(done.stdout, "/tmp\n");
    no_orphans();
}

#[test]
fn what_can_not_be_run_is_126_and_127() {
    let (_place, config) = Place::process();
    exec(&config, &["--", "no-such-program"]).expect(127);
    exec(&config, &["--", "/usr"]).expect(126);
    exec(&config, &["--", "sh", "-c", "kill -9 $$"]).expect(128 + 9);
    no_orphans();
}

#[test]
fn without_stdin_the_command_finds_none() {
    let (_place, config) = Place::process();
    let mut command = ostler(exec_words(&config, &["--no-stdin", "--", "cat"]));
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    // Held open: the command must not wait for it.
    let _open = running.stdin();
    assert_eq!(running.end().expect(0).stdout, "");
}

#[test]
fn a_command_that_ends_does_not_wait_for_more_stdin() {
    let (_place, config) = Place::process();
    let mut command = ostler(exec_words(&config, &["--", "echo", "done"]));
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let _open = running.stdin();
    assert_eq!(running.end().expect(0).stdout, "done\n");
}

#[test]
fn an_interrupt_reaches_the_command() {
    let (_place, config) = Place::process();
    let script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.02; done";
    let mut running = Running::start(ostler(exec_words(&config, &["--", "sh", "-c", script])));
    running.out("ready");
    running.signal(Signal::INT);
    running.out("caught");
    running.end().expect(3);
    no_orphans();
}

#[test]
fn a_second_interrupt_ends_a_command_that_ignores_the_first() {
    let (_place, config) = Place::process();
    let script = "trap 'echo no' INT; echo ready; while :; do sleep 0.02; done";
    let mut running = Running::start(ostler(exec_words(&config, &["--", "sh", "-c", script])));
    running.out("ready");
    running.signal(Signal::INT);
    running.out("no");
    running.signal(Signal::INT);
    running.end().expect(130);
    no_orphans();
}

#[test]
fn a_command_whose_output_nobody_reads_ends() {
    let (_place, config) = Place::process();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = ostler(exec_words(&config, &["--", "yes"]));
    command.stdout(writer);
    Running::start(command).end().expect(128 + 13);
    no_orphans();
}

#[test]
fn any_bytes_and_any_number_of_them_go_both_ways() {
    let (_place, config) = Place::process();
    let mut command = ostler(exec_words(&config, &["--", "md5sum"]));
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.feed(vec![0; 4 << 20]);
    // Of four mebibytes of zeros.
    assert_eq!(running.end().expect(0).stdout, "b5cfa9d6c8febd618f91ac2843d50a1c  -\n");
    let done = exec(&config, &["--", "head", "-c", "4194304", "/dev/zero"]).expect(0);
    assert!(done.stdout.len() == 4 << 20 && done.stdout.bytes().all(|byte| byte == 0));
}
