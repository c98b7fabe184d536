use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::Board;
use crate::above::Above;
use crate::output;

/// How often a terminal is redrawn, and a line written elsewhere.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// Where a run is watched: live on a terminal, a line now and again elsewhere. All of it on stderr.
pub(super) struct View {
    bar: Option<ProgressBar>,
    /// Leases at the last look, and when that was.
    last: Cell<(u64, Instant)>,
}

impl View {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is ours, and good; without it progress only looks different.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last: Cell::new((0, Instant::now())) }
    }

    pub(super) fn pause(&self) -> Duration {
        if self.bar.is_some() { REDRAW } else { LINE }
    }

    /// Where log records go so that they and what is drawn don't run into each other.
    pub(super) fn log_writer(&self) -> impl Write + Send + use<> {
        Above::new(self.bar.clone())
    }

    pub(super) fn show(&self, seed: u64, board: &Board) {
        let words = self.words(seed, board, if self.bar.is_some() { "\n  " } else { "; " });
        match &self.bar {
            Some(bar) => {
                bar.set_message(words);
                bar.tick();
            }
            None => output::say(format_args!("… {words}")),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn words(&self, seed: u64, board: &Board, gap: &str) -> String {
        let counts = board.tally.read();
        let (before, then) = self.last.replace((counts.leases, Instant::now()));
        // Counts are far below what a float can hold.
        #[expect(clippy::cast_precision_loss, reason = "as said above")]
        let rate = counts.leases.saturating_sub(before) as f64 / then.elapsed().as_secs_f64();
        let mut words = format!(
            "seed {seed}, {}{gap}{} leases ({rate:.0}/s), {} operations, {} cancels, {} timeouts",
            board.phase(),
            counts.leases,
            counts.operations,
            counts.cancels,
            counts.timeouts
        );
        // Writing to a string does not fail.
        if let Some(sample) = board.last() {
            let states: Vec<_> = sample
                .states
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(state, count)| format!("{state} {count}"))
                .collect();
            let degraded = if sample.degraded { ", DEGRADED" } else { "" };
            let _ = write!(
                words,
                "{gap}{:.1} s: {}, waiters {}{degraded}",
                sample.at_s,
                states.join(", "),
                sample.waiters
            );
            let _ = write!(
                words,
                "{gap}acquire p50 {:.3} ms, p99 {:.3} ms",
                sample.acquire_p50_ms, sample.acquire_p99_ms
            );
        }
        let _ = write!(words, "{gap}{} faults", counts.all_faults());
        let _ = write!(words, "{gap}{} violations", board.violations.total());
        words
    }
}
