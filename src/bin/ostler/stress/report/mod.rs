//! What a run came to: text, one JSON document, one page.

mod html;
mod svg;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::board::Timeline;
use super::checker::{Grown, Violation};
use super::finale::End;
use super::latency::{Latencies, Quantiles, Timed};
use super::run::Outcome;
use super::settings::Settings;
use super::tally::Counts;
use super::verdict::{Kept, judge};

/// The JSON document, and what the page shows.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    /// Whether every promise was kept.
    pub(super) passed: bool,
    /// How the same is done again.
    pub(super) replay: String,
    pub(super) settings: &'a Settings,
    pub(super) verdict: Vec<Kept>,
    /// Of all runs.
    pub(super) counts: Counts,
    /// Whether acquires are timed from when they should have begun, at a fixed rate, or from when they did.
    pub(super) acquire_timed_from: &'static str,
    pub(super) latencies: Vec<(&'static str, Quantiles)>,
    pub(super) leases_per_second: f64,
    /// With `--compare`.
    pub(super) compared: Option<Compared>,
    pub(super) runs: Vec<Run<'a>>,
    #[serde(skip)]
    pub(super) curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// What faults cost in throughput.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Compared {
    /// Leases a second.
    pub(super) without_faults: f64,
    pub(super) with_faults: f64,
    pub(super) ratio: f64,
}

/// One seed's.
#[derive(Serialize)]
pub(super) struct Run<'a> {
    pub(super) seed: u64,
    /// Without faults, to be compared with.
    pub(super) is_baseline: bool,
    pub(super) trace: Option<String>,
    pub(super) lasted_s: f64,
    pub(super) counts: &'a Counts,
    pub(super) violations: &'a [Violation],
    pub(super) end: &'a End,
    pub(super) grown: Option<Grown>,
    pub(super) timeline: &'a Timeline,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        outcomes: &'a [Outcome],
        all: &Latencies,
        replay: String,
    ) -> Self {
        let mut counts = Counts::default();
        for outcome in outcomes {
            counts.add(&outcome.counts);
        }
        let verdict = judge(settings, outcomes, &counts, &all.quantiles(Timed::Notice));
        let with_faults = throughput(outcomes, false);
        let compared = outcomes.iter().any(|outcome| outcome.is_baseline).then(|| {
            let without_faults = throughput(outcomes, true);
            Compared { without_faults, with_faults, ratio: with_faults / without_faults }
        });
        Self {
            passed: verdict.iter().all(|kept| kept.violations == 0),
            replay,
            settings,
            verdict,
            acquire_timed_from: match settings.arrivals {
                Some(_) => {
                    "the intended start: late starts, timeouts and arrivals that were never begun count (no coordinated omission)"
                }
                None => "the call: service time under a closed loop; timeouts count",
            },
            latencies: Timed::ALL.map(|timed| (timed.name(), all.quantiles(timed))).into(),
            curves: Timed::ALL.map(|timed| (timed.name(), all.curve(timed))).into(),
            leases_per_second: with_faults,
            compared,
            counts,
            runs: outcomes.iter().map(Run::of).collect(),
        }
    }

    /// Writes `report.html` and `report.json`.
    pub(super) fn write(&self, directory: &Path) -> anyhow::Result<()> {
        let write = |name: &str, content: String| {
            let path = directory.join(name);
            fs::write(&path, content).with_context(|| path.display().to_string())
        };
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        write("report.json", serde_json::to_string_pretty(self)?)?;
        write("report.html", html::page(self)?)
    }

    /// For people who read a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for run in &self.runs {
            // Writing to a string does not fail.
            let name = if run.is_baseline { "baseline" } else { "seed    " };
            let _ = write!(
                text,
                "{name}  {:>2}: {} leases, {} operations",
                run.seed, run.counts.leases, run.counts.operations
            );
            let _ = write!(text, " in {:.1} s, {} faults", run.lasted_s, run.counts.all_faults());
            if let Some(trace) = &run.trace {
                let _ = write!(text, ", trace {trace}");
            }
            let _ = writeln!(
                text,
                "; whole again after {:.0} ms, shut down in {:.0} ms",
                run.end.whole_ms, run.end.shutdown_ms
            );
        }
        if self.runs.len() > 1 {
            let Counts { leases, operations, .. } = &self.counts;
            let _ = writeln!(
                text,
                "in all     {leases} leases, {operations} operations, {} faults in {} runs",
                self.counts.all_faults(),
                self.runs.len()
            );
        }
        let faults: Vec<_> =
            self.counts.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let _ = writeln!(
            text,
            "faults     {}",
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }
        );
        for (fault, count) in &self.counts.hollow_faults {
            let _ = writeln!(text, "           {fault} did not come to pass {count} times");
        }
        for (fault, why) in &self.settings.left_out {
            let _ = writeln!(text, "           not {fault}: {why}");
        }
        let Counts { cancels, panics, timeouts, missed, refused, lost_operations, .. } = &self.counts;
        let _ = writeln!(
            text,
            "clients    {cancels} cancels, {panics} panics, {timeouts} timeouts, {refused} refused, {lost_operations} operations lost"
        );
        if self.settings.arrivals.is_some() {
            let _ = writeln!(text, "           {missed} arrivals were due and not begun when the load ended");
        }
        let _ = writeln!(
            text,
            "\n{}\nacquire is timed from {}; {:.0} leases a second",
            self.latency_table(),
            self.acquire_timed_from,
            self.leases_per_second
        );
        if let Some(Compared { without_faults, with_faults, ratio }) = self.compared {
            let _ = writeln!(
                text,
                "compared   {without_faults:.0} leases a second without faults, {with_faults:.0} with them: {ratio:.2} of it"
            );
        }
        let _ = writeln!(text, "\n{}", self.verdict_table());
        for violation in self.runs.iter().flat_map(|run| run.violations) {
            let _ = writeln!(
                text,
                "VIOLATION  {:.3} s, {}: {}",
                violation.at_s,
                violation.breach.name(),
                violation.what
            );
        }
        let total: u64 = self.verdict.iter().map(|kept| kept.violations).sum();
        let _ = if self.passed {
            write!(text, "verdict    every promise was kept: 0 violations")
        } else {
            write!(text, "verdict    {total} violations\nreplay     {}", self.replay)
        };
        text
    }

    fn latency_table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_header(["latency", "count", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"]);
        for (name, quantiles) in &self.latencies {
            let Quantiles { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = quantiles;
            let figures = [p50_ms, p90_ms, p99_ms, p999_ms, max_ms].map(|ms| format!("{ms:.3}"));
            let row = [(*name).to_owned(), count.to_string()].into_iter().chain(figures);
            table.add_row(row);
        }
        table
    }

    fn verdict_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["promise", "", "seen by", "violations"]);
        for Kept { promise, breach, what, evidence, violations } in &self.verdict {
            let broken =
                if *violations == 0 { "0".to_owned() } else { format!("{violations} {}", breach.name()) };
            table.add_row([promise, what, evidence.as_str(), broken.as_str()]);
        }
        table
    }
}

/// Leases a second, of the runs with faults or of those without.
fn throughput(outcomes: &[Outcome], baseline: bool) -> f64 {
    let runs = || outcomes.iter().filter(move |outcome| outcome.is_baseline == baseline);
    let leases: u64 = runs().map(|outcome| outcome.counts.leases).sum();
    let lasted: f64 = runs().map(|outcome| outcome.lasted.as_secs_f64()).sum();
    // Counts are far below what a float can hold.
    #[expect(clippy::cast_precision_loss, reason = "as said above")]
    let leases = leases as f64;
    leases / lasted.max(f64::MIN_POSITIVE)
}

impl<'a> Run<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        Self {
            seed: outcome.seed,
            is_baseline: outcome.is_baseline,
            trace: outcome.trace.map(|trace| format!("{trace:#018x}")),
            lasted_s: outcome.lasted.as_secs_f64(),
            counts: &outcome.counts,
            violations: &outcome.violations,
            end: &outcome.end,
            grown: outcome.grown,
            timeline: &outcome.timeline,
        }
    }
}
