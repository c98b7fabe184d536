use std::io::{self, LineWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ostler::config::{LogFormat, LogLevel, LogSpec};
use slog::{Drain, Logger, Never, o};
use slog_async::AsyncGuard;

use crate::args::LogArgs;

/// The log, on stderr. Written by a thread of its own from a bounded queue, so that a reader who is slow, or
/// gone, costs records (which is said) and never time. Dropped, it writes what is queued.
pub(crate) struct Log {
    logger: Logger,
    level: Arc<AtomicUsize>,
    /// The level was given on the command line, over any config's.
    fixed: bool,
    _written: AsyncGuard,
}

/// Ignores a failure to write: there is no other place to say so.
type Writer = Box<dyn Drain<Ok = (), Err = Never> + Send>;

impl Log {
    /// As the command line says, and `spec` where it does not.
    pub(crate) fn start(args: LogArgs, spec: LogSpec) -> Self {
        let text = || slog_term::FullFormat::new(slog_term::TermDecorator::new().stderr().build()).build();
        Self::write(args, spec, |format| match format {
            LogFormat::Text => Box::new(text().ignore_res()),
            LogFormat::Json => json(io::stderr()),
        })
    }

    /// As [`start`](Self::start), with nothing below a warning unless the command line asks for it: for commands
    /// whose own output is what is looked at.
    pub(crate) fn start_quiet(args: LogArgs, spec: LogSpec) -> Self {
        Self::start(args, quiet(spec))
    }

    /// As [`start_quiet`](Self::start_quiet), through a writer that stands for stderr.
    pub(crate) fn start_quiet_on(
        args: LogArgs,
        spec: LogSpec,
        stderr: impl io::Write + Send + 'static,
    ) -> Self {
        Self::write(args, quiet(spec), |format| match format {
            LogFormat::Text => {
                let plain = slog_term::PlainDecorator::new(stderr);
                Box::new(slog_term::FullFormat::new(plain).build().ignore_res())
            }
            LogFormat::Json => json(stderr),
        })
    }

    fn write(args: LogArgs, spec: LogSpec, writer: impl FnOnce(LogFormat) -> Writer) -> Self {
        let writer = writer(args.log_format.map_or(spec.format, Into::into));
        let (queue, written) = slog_async::Async::new(writer).build_with_guard();
        let level = Arc::new(AtomicUsize::new(number(args.log_level.map_or(spec.level, Into::into))));
        let least = Arc::clone(&level);
        let filtered = queue.filter(move |record| record.level().as_usize() <= least.load(Ordering::Relaxed));
        let logger = Logger::root(filtered.ignore_res(), o!());
        Self { logger, level, fixed: args.log_level.is_some(), _written: written }
    }

    pub(crate) fn logger(&self) -> &Logger {
        &self.logger
    }

    /// Takes up the level of a config that was read again. The format stays as long as the process.
    pub(crate) fn follow(&self, spec: LogSpec) {
        if !self.fixed {
            self.level.store(number(spec.level), Ordering::Relaxed);
        }
    }
}

fn json(stderr: impl io::Write + Send + 'static) -> Writer {
    Box::new(slog_json::Json::default(LineWriter::new(stderr)).ignore_res())
}

fn quiet(spec: LogSpec) -> LogSpec {
    LogSpec { level: spec.level.min(LogLevel::Warning), ..spec }
}

fn number(level: LogLevel) -> usize {
    let level = match level {
        LogLevel::Critical => slog::Level::Critical,
        LogLevel::Error => slog::Level::Error,
        LogLevel::Warning => slog::Level::Warning,
        LogLevel::Info => slog::Level::Info,
        LogLevel::Debug => slog::Level::Debug,
        LogLevel::Trace => slog::Level::Trace,
    };
    level.as_usize()
}
