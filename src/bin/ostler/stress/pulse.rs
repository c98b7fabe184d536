use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// How often it beats.
const BEAT: Duration = Duration::from_millis(25);
/// Late beats that may wait to be read.
const KEPT: usize = 64;

/// A thread that sleeps and looks how late it was woken: what this machine does to everybody at the moment.
#[derive(Debug)]
pub(super) struct Pulse(Arc<Beats>);

type Beats = Mutex<VecDeque<Instant>>;

impl Pulse {
    /// Notes beats that are later than `bound`, until it is dropped.
    pub(super) fn start(bound: Duration) -> Self {
        let beats = Arc::<Beats>::default();
        let weak = Arc::downgrade(&beats);
        // Without it no slowness of the machine is known, which judges more strictly.
        drop(thread::Builder::new().name("stress-pulse".to_owned()).spawn(move || beat(&weak, bound)));
        Self(beats)
    }

    /// When beats were late, since this was last asked.
    pub(super) fn late(&self) -> Vec<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

fn beat(beats: &Weak<Beats>, bound: Duration) {
    loop {
        let before = Instant::now();
        thread::sleep(BEAT);
        let late = before.elapsed().saturating_sub(BEAT);
        let Some(beats) = beats.upgrade() else { return };
        if late > bound {
            let mut beats = beats.lock().unwrap_or_else(PoisonError::into_inner);
            beats.push_back(Instant::now());
            if beats.len() > KEPT {
                beats.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_beats_are_told_once_and_it_ends_when_nobody_asks() {
        let pulse = Pulse::start(Duration::ZERO);
        let mut late = Vec::new();
        while late.is_empty() {
            thread::sleep(BEAT);
            late = pulse.late();
        }
        let weak = Arc::downgrade(&pulse.0);
        drop(pulse);
        while weak.strong_count() > 0 {
            thread::sleep(BEAT);
        }
    }
}
