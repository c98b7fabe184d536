//! The fuzzing targets, for a short while: their whole corpus, and seeded mutations of it. `scripts/fuzz` runs
//! them for long.

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Mutations of each target's corpus.
const MUTATIONS: usize = 3_000;

/// Those of what is a whole conversation or an archive each.
const HEAVY: usize = 500;

fn play(target: &str, mutations: usize, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut names: Vec<_> =
        fs::read_dir(&directory).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let corpus: Vec<Vec<u8>> = names.iter().map(|name| fs::read(name).expect("a file")).collect();
    assert!(!corpus.is_empty(), "no corpus for {target}");
    for seed in &corpus {
        run(seed);
    }
    let mut rng = fastrand::Rng::with_seed(0x05_71e5);
    for _ in 0..mutations {
        let data = mutate(&mut rng, &corpus);
        // A panic does not say what it was about.
        let told = std::panic::catch_unwind(|| run(&data));
        assert!(told.is_ok(), "{target}: {:?}", data.escape_ascii().to_string());
    }
}

/// One of the corpus with a few changes of the usual kinds.
fn mutate(rng: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = rng.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=data.len());
        match rng.u8(..6) {
            0 if at < data.len() => data[at] ^= 1 << rng.u8(..8),
            1 if at < data.len() => data[at] = *rng.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap_or(&0),
            2 => data.truncate(at),
            3 => data.insert(at, rng.u8(..)),
            4 if at < data.len() => drop(data.remove(at)),
            5 => {
                let other = rng.choice(corpus).map_or(&[][..], |other| &other[rng.usize(..=other.len())..]);
                let tail = data.split_off(at);
                data.extend_from_slice(other);
                data.extend_from_slice(&tail);
                data.truncate(64 << 10);
            }
            _ => {}
        }
    }
    data
}

#[test]
fn requests() {
    play("requests", MUTATIONS, targets::requests::run);
}

#[test]
fn replies() {
    play("replies", MUTATIONS, targets::replies::run);
}

#[test]
fn link() {
    play("link", HEAVY, targets::link::run);
}

#[test]
fn mux() {
    play("mux", MUTATIONS, targets::mux::run);
}

#[test]
fn config() {
    play("config", MUTATIONS, targets::config::run);
}

#[test]
fn tar_in() {
    play("tar_in", HEAVY, targets::tar_in::run);
}

#[test]
fn tar_out() {
    play("tar_out", HEAVY, targets::tar_out::run);
}
