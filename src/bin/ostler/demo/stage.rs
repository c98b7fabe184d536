use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::above::Above;
use crate::output;

/// How often a terminal is redrawn while nothing else happens.
const REDRAW: Duration = Duration::from_millis(100);

/// Where the demo is seen: progress on stderr, live on a terminal and a line a step elsewhere; results on
/// stdout as they come, except where one JSON document follows in the end.
pub(super) struct Stage {
    bar: Option<ProgressBar>,
    json: bool,
}

impl Stage {
    pub(super) fn new(json: bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            // The template is ours, and good; without it progress only looks different.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {pos}/{len}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, json }
    }

    /// Where log records go so that progress and they don't run into each other.
    pub(super) fn log_writer(&self) -> impl Write + Send + use<> {
        Above::new(self.bar.clone())
    }

    /// A step of so many parts begins.
    pub(super) fn begin(&self, step: &str, parts: usize) {
        match &self.bar {
            Some(bar) => {
                // A count of files or leases.
                bar.set_length(parts as u64);
                bar.set_position(0);
                bar.set_message(step.to_owned());
                bar.enable_steady_tick(REDRAW);
            }
            None if self.json => {}
            None => output::say(format_args!("… {step}")),
        }
    }

    /// One part of it is done.
    pub(super) fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Shows a result.
    pub(super) fn show(&self, result: impl Display) {
        if self.json {
            return;
        }
        // A reader who has gone misses it; the demo still ends what it began, and its status says the rest.
        let print = || drop(output::print(&result));
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// No more progress.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
