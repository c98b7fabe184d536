use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use ostler::{RuntimeId, Status};
use serde::Serialize;

use super::files::Sample;
use super::ground::Body;
use super::settings::Settings;

/// Column where what is said of a step begins.
const INDENT: &str = "           ";

/// Everything the demo found out: the JSON document, and in parts the text. What it did not get to is null.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) files: Files,
    /// What was changed in the config for the purpose.
    pub(super) notes: Vec<String>,
    workload: Vec<Row>,
    pub(super) start: Option<Start>,
    pub(super) killed: Option<Killed>,
    pub(super) used_up: Option<UsedUp>,
    pub(super) unhealthy: Option<Unhealthy>,
    pub(super) status: Option<Status>,
    pub(super) end: Option<End>,
    pub(super) error: Option<String>,
    #[serde(skip)]
    pub(super) shutdown: Option<Duration>,
}

/// What is worked on.
#[derive(Debug, Serialize)]
pub(super) struct Files {
    directory: PathBuf,
    used: usize,
    /// How many of them are different ones.
    distinct: usize,
    bytes: usize,
}

/// One size of the workload, both ways.
#[derive(Debug, Serialize)]
struct Row {
    files: usize,
    fresh_ms: f64,
    pool_ms: f64,
    /// How many times faster the pool is.
    ratio: f64,
}

/// The pool that accidents happen to.
#[derive(Debug, Serialize)]
pub(super) struct Start {
    pub(super) ready: usize,
    /// Until as many were ready.
    pub(super) ms: f64,
}

/// A runtime killed from outside.
#[derive(Debug, Serialize)]
pub(super) struct Killed {
    pub(super) runtime: RuntimeId,
    #[serde(rename = "handle")]
    pub(super) body: Body,
    /// From the signal to the event.
    pub(super) detected_ms: f64,
    /// From the signal until the pool was whole.
    pub(super) whole_ms: f64,
}

/// A runtime that has served as often as it may.
#[derive(Debug, Serialize)]
pub(super) struct UsedUp {
    pub(super) runtime: RuntimeId,
    pub(super) uses: u64,
    /// From its last return until the pool was whole.
    pub(super) whole_ms: f64,
}

/// A runtime that no longer answers.
#[derive(Debug, Serialize)]
pub(super) struct Unhealthy {
    pub(super) runtime: RuntimeId,
    #[serde(rename = "handle")]
    pub(super) body: Body,
    /// From its being stopped to its being given up.
    pub(super) detected_ms: f64,
    /// From its being stopped until the pool was whole.
    pub(super) whole_ms: f64,
}

/// What is left.
#[derive(Debug, Serialize)]
pub(super) struct End {
    /// None when it did not come to that.
    pub(super) shutdown_ms: Option<f64>,
    /// Runtimes that were met.
    pub(super) runtimes: usize,
    pub(super) left: Vec<String>,
}

impl Report {
    pub(super) fn new(sample: &Sample, settings: &Settings) -> Self {
        let files = Files {
            directory: sample.directory.clone(),
            used: sample.files().len(),
            distinct: sample.found,
            bytes: sample.files().iter().map(|file| file.content.len()).sum(),
        };
        Self {
            files,
            notes: settings.notes.clone(),
            workload: Vec::new(),
            start: None,
            killed: None,
            used_up: None,
            unhealthy: None,
            status: None,
            end: None,
            error: None,
            shutdown: None,
        }
    }

    pub(super) fn add_row(&mut self, files: usize, fresh: Duration, pool: Duration) {
        let ratio = fresh.as_secs_f64() / pool.as_secs_f64().max(f64::MIN_POSITIVE);
        self.workload.push(Row { files, fresh_ms: millis(fresh), pool_ms: millis(pool), ratio });
    }

    /// The workload as a table.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["files", "fresh ms", "pool ms", "ratio"]);
        for row in &self.workload {
            table.add_row([
                row.files.to_string(),
                format!("{:.1}", row.fresh_ms),
                format!("{:.1}", row.pool_ms),
                format!("{:.1}", row.ratio),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let about = "workload   copy in, read back, wc: a fresh runtime for each operation, or a lease for each file, pool start included";
        let lines = table.lines().map(|line| format!("\n{INDENT}{}", line.trim_end()));
        lines.fold(about.to_owned(), |text, line| text + &line)
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "files      {} from {}, {} KiB",
            self.used,
            self.directory.display(),
            self.bytes.div_ceil(1024)
        )?;
        if self.distinct < self.used {
            write!(f, "; only {} there, so they come again", self.distinct)?;
        }
        Ok(())
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start      {} runtimes ready after {:.1} ms", self.ready, self.ms)
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runtime, body, detected_ms, whole_ms } = self;
        write!(
            f,
            "killed     {runtime} ({body}) by SIGKILL from outside: noticed after {detected_ms:.1} ms, "
        )?;
        write!(f, "whole again after {whole_ms:.1} ms")
    }
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runtime, uses, whole_ms } = self;
        write!(
            f,
            "used up    {runtime} after {uses} leases: retired used_up, whole again after {whole_ms:.1} ms"
        )
    }
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runtime, body, detected_ms, whole_ms } = self;
        write!(
            f,
            "unhealthy  {runtime} ({body}) {}: retired unhealthy after {detected_ms:.0} ms, ",
            body.stopped()
        )?;
        write!(f, "whole again after {whole_ms:.0} ms")
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "end        ")?;
        if let Some(shutdown_ms) = self.shutdown_ms {
            write!(f, "shut down in {shutdown_ms:.1} ms; ")?;
        }
        write!(f, "of {} runtimes met, ", self.runtimes)?;
        if self.left.is_empty() {
            f.write_str("none is left")
        } else {
            write!(f, "left: {}", self.left.join(", "))
        }
    }
}

/// As a figure.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
