//! The harness itself: it finds what is wrong with backends that are, and nothing where nothing is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser as _;
use fastrand::Rng;
use ostler::RuntimeId;
use ostler::backend::fake::{Act, Fake, Point};
use ostler::backend::{Backend, BackendError, BoxFuture, Instance, Launch, Launched, Residue};
use ostler::config::{Config, Format};
use slog::{Discard, Logger, o};

use super::board::Board;
use super::checker::Breach;
use super::faults::{self, Fault, Faults, Inflicted, Scene};
use super::latency::Timed;
use super::run::{Outcome, play_with};
use super::scenario::Scenario;
use super::settings::Settings;
use crate::args::{Args, Command};

pub(super) const POOL: &str = "\
[pools.p]\nbackend = \"fake\"\nmin = 2\nmax = 4\nlaunch_timeout = \"1s\"\n\
[pools.p.restart]\nwindow = \"1s\"\nintensity = 100\nbackoff = \"10ms\"\nbackoff_cap = \"100ms\"\n\
[pools.p.health]\ninterval = \"200ms\"\ntimeout = \"100ms\"\n";

/// A backend with something wrong, upon a fake one.
#[derive(Clone, Debug)]
pub(super) struct Flawed {
    pub(super) fake: Fake,
    flaw: Flaw,
    launches: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// Says it has reset, and that it has looked.
    Careless,
    /// Says it has destroyed.
    Leaky,
    /// Makes three runtimes in all.
    Barren,
    /// Makes none.
    Absent,
    /// Lies about one operation in so many.
    Lying,
    /// Destroys nothing, and says so.
    Undying,
    /// Does not say what there is.
    Mute,
    /// Makes another one beside each.
    Lavish,
    /// Takes a tenth of a second for each operation.
    Slow,
}

#[derive(Debug)]
struct FlawedInstance {
    instance: Option<Box<dyn Instance>>,
    _beside: Option<Box<dyn Instance>>,
    flaw: Flaw,
}

impl Flawed {
    pub(super) fn new(flaw: Flaw) -> Self {
        let operations = AtomicU64::new(1);
        let script = move |point| match (flaw, point) {
            (Flaw::Lying, Point::Operation)
                if operations.fetch_add(1, Ordering::Relaxed).is_multiple_of(50) =>
            {
                Act::Lie
            }
            (Flaw::Careless, Point::Reset) => Act::Lie,
            (Flaw::Slow, Point::Operation) => Act::Slow(Duration::from_millis(100)),
            _ => Act::Work,
        };
        Self { fake: Fake::scripted(Named(script)), flaw, launches: Arc::default() }
    }
}

struct Named<F>(F);

impl<F> std::fmt::Debug for Named<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a script")
    }
}

impl<F: Fn(Point) -> Act + Send + Sync> ostler::backend::fake::Script for Named<F> {
    fn next(&self, point: Point) -> Act {
        self.0(point)
    }
}

impl Backend for Flawed {
    fn name(&self) -> &'static str {
        "flawed"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let flaw = self.flaw;
        let most = match flaw {
            Flaw::Barren => 3,
            Flaw::Absent => 0,
            _ => u64::MAX,
        };
        if self.launches.fetch_add(1, Ordering::Relaxed) >= most {
            return Box::pin(async { Err(BackendError::passing("launch", "barren")) });
        }
        let another = Launch { pool: launch.pool.clone(), runtime: RuntimeId(launch.runtime.0 + 1_000_000) };
        let another = (flaw == Flaw::Lavish).then(|| self.fake.launch(another));
        let launched = self.fake.launch(launch);
        Box::pin(async move {
            let Launched { control, data, exit, instance } = launched.await?;
            let beside = match another {
                Some(another) => Some(another.await?.instance),
                None => None,
            };
            let instance = Box::new(FlawedInstance { instance: Some(instance), _beside: beside, flaw });
            Ok(Launched { control, data, exit, instance })
        })
    }
}

impl Instance for FlawedInstance {
    fn handle(&self) -> String {
        self.instance.as_ref().map_or_else(String::new, |instance| instance.handle())
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        match &self.instance {
            Some(instance) if self.flaw != Flaw::Careless => instance.verify(),
            _ => Box::pin(async { Ok(()) }),
        }
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        match &mut self.instance {
            _ if self.flaw == Flaw::Undying => {
                Box::pin(async { Err(BackendError::passing("destroy", "undying")) })
            }
            Some(instance) if self.flaw != Flaw::Leaky => instance.destroy(),
            _ => Box::pin(async { Ok(()) }),
        }
    }
}

impl Drop for FlawedInstance {
    fn drop(&mut self) {
        if self.flaw == Flaw::Leaky {
            std::mem::forget(self.instance.take());
        }
    }
}

/// Does nothing, and counts what is left.
struct Harmless(Flawed);

impl Faults for Harmless {
    fn refuses(&self, fault: Fault) -> Option<&'static str> {
        (!matches!(fault, Fault::Cancel | Fault::Panic)).then_some("harmless")
    }

    fn inflict<'a>(&'a self, _: Fault, _: &'a Scene<'a>, _: &'a mut Rng) -> Inflicted<'a> {
        Box::pin(async { Ok(false) })
    }

    fn alive(&self) -> anyhow::Result<u64> {
        anyhow::ensure!(self.0.flaw != Flaw::Mute, "mute");
        Ok(self.0.fake.census().alive)
    }

    fn count(&self) -> anyhow::Result<Option<usize>> {
        Ok(Some(self.alive()?.try_into()?))
    }
}

fn settings(words: &[&str]) -> Arc<Settings> {
    settings_of(POOL, words)
}

pub(super) fn settings_of(config: &str, words: &[&str]) -> Arc<Settings> {
    let words = ["ostler", "stress", "pools.toml"].iter().chain(words);
    let Command::Stress(args) = Args::try_parse_from(words).unwrap().command else { panic!("not stress") };
    assert_eq!(args.config, Some(PathBuf::from("pools.toml")));
    let config = Config::parse(config, Format::Toml).unwrap();
    Arc::new(Settings::new(&args, Scenario::default(), config).unwrap())
}

fn play(flaw: Flaw, seed: u64, words: &[&str]) -> Outcome {
    play_on(&Arc::new(Board::new()), flaw, seed, words)
}

fn play_on(board: &Arc<Board>, flaw: Flaw, seed: u64, words: &[&str]) -> Outcome {
    let log = Logger::root(Discard, o!());
    play_with(&settings(words), seed, board, &log, |_, _| {
        let flawed = Flawed::new(flaw);
        let backend: Arc<dyn Backend> = Arc::new(flawed.clone());
        (Arc::new(Harmless(flawed)) as Arc<dyn Faults>, Some(backend))
    })
    .unwrap()
}

pub(super) fn breaches(outcome: &Outcome) -> Vec<Breach> {
    outcome.breaches.iter().filter(|(_, count)| *count > 0).map(|(breach, _)| *breach).collect()
}

const SHORT: [&str; 4] = ["--ops", "4000", "--faults", "cancel,panic"];

#[test]
fn a_sound_backend_breaks_nothing() {
    let outcome = play(Flaw::None, 1, &SHORT);
    assert_eq!(breaches(&outcome), [], "{:?}", outcome.violations);
    let counts = &outcome.counts;
    assert!(counts.leases > 400 && counts.operations >= 4000 && counts.cancels > 5, "{counts:?}");
    assert!(counts.panics > 20 && counts.waits_judged > 100 && counts.looks > 400, "{counts:?}");
}

#[test]
fn a_backend_that_does_not_clean_is_found_out() {
    let outcome = play(Flaw::Careless, 2, &SHORT);
    assert_eq!(breaches(&outcome), [Breach::Residue]);
    assert!(outcome.violations[0].what.contains("seen by"), "{:?}", outcome.violations[0]);
}

#[test]
fn a_backend_that_does_not_destroy_is_found_out() {
    // What it leaves beside what it makes anew is too much already.
    assert_eq!(breaches(&play(Flaw::Leaky, 3, &SHORT)), [Breach::Exceeded, Breach::Leaked]);
}

#[test]
fn a_backend_that_does_not_say_what_there_is_has_kept_no_promise() {
    let outcome = play(Flaw::Mute, 3, &SHORT);
    assert_eq!(breaches(&outcome), [Breach::Exceeded, Breach::Leaked], "{:?}", outcome.violations);
    assert_eq!(outcome.violations.len(), 2, "each is told once: {:?}", outcome.violations);
    assert!(outcome.violations.iter().all(|violation| violation.what.contains("not looked at: mute")));
    assert!(outcome.counts.unanswered > 0 && outcome.counts.backend_looks == 0, "{:?}", outcome.counts);
}

#[test]
fn an_answer_that_is_not_the_operations_own_is_found_out() {
    let outcome = play(Flaw::Lying, 3, &SHORT);
    assert!(breaches(&outcome).contains(&Breach::Wrong), "{:?}", outcome.violations);
}

#[test]
fn runtimes_that_outlive_the_shutdown_are_found_out() {
    let outcome = play(Flaw::Undying, 3, &SHORT);
    assert!(breaches(&outcome).contains(&Breach::Survived), "{:?}", outcome.violations);
}

#[test]
fn a_slot_that_never_comes_back_is_found_out() {
    let outcome = play(Flaw::Barren, 4, &SHORT);
    assert!(breaches(&outcome).contains(&Breach::Lost), "{:?}", outcome.violations);
}

#[test]
fn a_backend_that_makes_too_many_is_found_out() {
    let outcome = play(Flaw::Lavish, 5, &SHORT);
    assert_eq!(breaches(&outcome), [Breach::Exceeded]);
    let words = &outcome.violations[0].what;
    assert!(words.starts_with("pool p: ") && words.ends_with("runtimes at once, where 4 may be"), "{words}");
}

#[test]
fn all_faults_together_break_nothing_and_one_seed_is_one_trace() {
    let settings = settings(&["--ops", "6000", "--faults", "all", "--rate", "20/1000"]);
    let log = Logger::root(Discard, o!());
    super::caught::hush();
    let play = |seed| {
        let daemon = faults::Daemon::default();
        let cast = move |name: &_, spec: &_| faults::of(name, spec, seed, faults::Clock::Virtual, &daemon);
        play_with(&settings, seed, &Arc::new(Board::new()), &log, cast).unwrap()
    };
    let mut traces = Vec::new();
    for seed in 1..=3 {
        let (first, again) = (play(seed), play(seed));
        assert_eq!(breaches(&first), [], "seed {seed}: {:?}", first.violations);
        assert_eq!(first.trace, again.trace, "seed {seed}");
        assert_eq!(first.counts.leases, again.counts.leases, "seed {seed}");
        assert!(first.counts.faults.len() > 5, "{:?}", first.counts.faults);
        traces.push(first.trace);
    }
    traces.dedup();
    assert_eq!(traces.len(), 3, "the trace tells runs apart");
}

#[test]
fn whoever_got_no_lease_has_waited_too() {
    let board = Arc::new(Board::new());
    let words = ["--for", "5s", "--arrivals", "100", "--faults", "none"];
    let counts = play_on(&board, Flaw::Absent, 5, &words).counts;
    let acquire = board.latencies.quantiles(Timed::Acquire);
    assert_eq!((counts.leases, acquire.count), (0, counts.timeouts + counts.missed), "{counts:?}");
    assert!(counts.timeouts > 10 && counts.missed > 400 && acquire.count >= 500, "{counts:?}");
    assert!(acquire.p50_ms > 1000.0 && acquire.max_ms > 4000.0, "{acquire:?}");
}

#[test]
fn each_lease_of_a_burst_is_timed_from_its_arrival() {
    let board = Arc::new(Board::new());
    let words = ["--for", "60s", "--arrivals", "0.2", "--faults", "none", "--workload", "bursts"];
    let counts = play_on(&board, Flaw::Slow, 6, &words).counts;
    let acquire = board.latencies.quantiles(Timed::Acquire);
    assert_eq!(acquire.count, 36, "{counts:?}");
    // Six operations of the first lease, and as many of the second.
    assert!(acquire.p50_ms > 600.0 && acquire.p90_ms > 1200.0, "{acquire:?}");
}

/// Their runtimes go by the same names.
#[test]
fn a_fake_pool_is_not_harmed_by_what_is_done_to_another() {
    let two = POOL.to_owned() + &POOL.replace("pools.p", "pools.q");
    let settings = settings_of(&two, &["--ops", "3000", "--faults", "kill", "--rate", "20/1000"]);
    let log = Logger::root(Discard, o!());
    for seed in 1..=8 {
        let daemon = faults::Daemon::default();
        let cast = move |name: &_, spec: &_| faults::of(name, spec, seed, faults::Clock::Virtual, &daemon);
        let board = Arc::new(Board::new());
        let outcome = play_with(&settings, seed, &board, &log, cast).unwrap();
        assert_eq!(breaches(&outcome), [], "seed {seed}: {:?}", outcome.violations);
        assert!(board.latencies.quantiles(Timed::Notice).max_ms < 1.0, "seed {seed}");
    }
}
