//! `ostler run` and HUP: a good config is taken up, a bad one is reported and changes nothing.

use rustix::process::Signal;

use crate::host::{Place, Running, ostler};

const ONE: &str = "[pools.p]\nbackend = \"fake\"\nmin = 2\nmax = 4\n";

fn running() -> (Place, Running) {
    let place = Place::new();
    let config = place.config(ONE);
    let mut running = Running::start(ostler(["run".as_ref(), config.as_os_str()]));
    running.out("pool p ready");
    (place, running)
}

#[test]
fn a_pool_that_is_new_starts_and_one_that_is_gone_drains() {
    let (place, mut running) = running();
    place.config(&format!("{ONE}[pools.q]\nbackend = \"fake\"\nmin = 3\n"));
    running.signal(Signal::HUP);
    assert!(running.out("pool q ready").contains("3 of up to 4"));
    running.err("reloaded");
    place.config(ONE);
    running.signal(Signal::HUP);
    running.err("reloaded");
    // It comes anew, so it is announced anew.
    place.config(&format!("{ONE}[pools.q]\nbackend = \"fake\"\nmin = 1\n"));
    running.signal(Signal::HUP);
    assert!(running.out("pool q ready").contains("1 of up to 4"));
    running.signal(Signal::TERM);
    running.end().expect(0);
}

#[test]
fn a_bad_config_is_reported_in_full_and_the_old_one_stays() {
    let (place, mut running) = running();
    place.config(&format!("{ONE}[pools.q]\nbackend = \"fake\"\nmin = 9\nmaxx = 1\n"));
    running.signal(Signal::HUP);
    assert!(running.err("the old one stays").contains("pools.q.min"));
    assert!(running.err("the old one stays").contains("pools.q.maxx"));
    assert!(running.is_running());
    place.config(&format!("{ONE}[pools.r]\nbackend = \"fake\"\nmin = 1\n"));
    running.signal(Signal::HUP);
    running.out("pool r ready");
    running.signal(Signal::TERM);
    let done = running.end().expect(0);
    assert!(!done.stdout.contains("pool q"), "{}", done.stdout);
}

#[test]
fn the_name_can_not_change() {
    let (place, mut running) = running();
    place.config(&format!("instance = \"other\"\n{ONE}"));
    running.signal(Signal::HUP);
    running.err("`instance` can't change");
    running.signal(Signal::TERM);
    running.end().expect(0);
}

#[test]
fn the_level_of_the_log_changes_with_the_config() {
    let (place, mut running) = running();
    place.config(&format!("{ONE}[log]\nlevel = \"error\"\n"));
    running.signal(Signal::HUP);
    running.err("reloaded");
    place.config("[pools.p]\nmax = 0\n");
    running.signal(Signal::HUP);
    running.err("the old one stays");
    running.signal(Signal::TERM);
    let done = running.end().expect(0);
    assert!(!done.stderr.contains("INFO draining"), "{}", done.stderr);
}
