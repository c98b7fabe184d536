//! The stream that an engine tells in what a container uses: one for each, held for as long as it lives.
//!
//! Docker tells each second, Podman every five, and what comes is thinned out to one sample an interval. It must be
//! read at once all the same: what is left lying in a stream is old by the time that somebody wants it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::TryStreamExt;
use slog::{Logger, debug, warn};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{Engine, EngineError, QUICK};
use super::figures::{looked, read};
use crate::backend::with_causes;
use crate::model::{Meter, Usage};

/// A container's stream is asked for after this long at most, so that a new one does not go unseen.
const FIRST: Duration = Duration::from_secs(1);
/// Before a stream that broke is opened again; twice as long each time that nothing comes of it.
const REOPEN: Duration = Duration::from_millis(250);
/// Longest pause before that.
const PATIENCE: Duration = Duration::from_secs(30);

/// Samples one container, for as long as this lives.
#[derive(Debug)]
pub(super) struct Sampling {
    latest: watch::Receiver<Option<Usage>>,
    /// One, which ends when this is dropped, and its stream with it.
    task: JoinSet<()>,
}

impl Sampling {
    /// There must be a current tokio runtime.
    pub(super) fn begin(engine: Arc<Engine>, id: String, interval: Duration, log: Logger) -> Self {
        let (samples, latest) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(async move {
            // A pool's containers come together, and are not all to be asked for at the same moment.
            sleep(interval.min(FIRST).mul_f64(fastrand::f64())).await;
            let mut stream = Stream { engine, id, series: Series::new(interval), samples, in_vain: 0 };
            let mut told = false;
            loop {
                let ended = stream.follow().await;
                // Figures came, so that it is news if there are none.
                told &= stream.in_vain > 0;
                match ended {
                    // It has ended, is not quite there, or the engine has.
                    Ok(()) | Err(EngineError::Conflict(_)) => {}
                    Err(EngineError::Missing(_)) => return,
                    // An engine that is away is spoken of elsewhere.
                    Err(error) if told || error.is_absence() => {
                        debug!(log, "no figures"; "cause" => with_causes(&error));
                    }
                    Err(error) => {
                        told = true;
                        warn!(log, "what containers use can't be told"; "container" => &stream.id, "cause" => with_causes(&error));
                    }
                }
                sleep(pause(stream.in_vain, fastrand::f64())).await;
            }
        });
        Self { latest, task }
    }

    /// Reads the last sample.
    pub(super) fn meter(&self) -> Meter {
        let latest = self.latest.clone();
        Arc::new(move || *latest.borrow())
    }

    /// No more of them.
    pub(super) fn end(&mut self) {
        self.task.abort_all();
    }
}

/// Where one container's figures come from, and go.
struct Stream {
    engine: Arc<Engine>,
    id: String,
    series: Series,
    samples: watch::Sender<Option<Usage>>,
    /// How often it was opened since anything came.
    in_vain: u32,
}

impl Stream {
    /// Reads until the engine has no more to say, or has said nothing for too long: so does a connection that broke
    /// somewhere on the way.
    async fn follow(&mut self) -> Result<(), EngineError> {
        self.in_vain = self.in_vain.saturating_add(1);
        let client = self.engine.client().await?;
        let options = StatsOptionsBuilder::new().stream(true).build();
        let mut answers = std::pin::pin!(client.stats(&self.id, Some(options)));
        while let Some(stats) = self.engine.within(QUICK, answers.try_next()).await? {
            let Some(found) = read(&stats) else { continue };
            self.in_vain = 0;
            let at = looked(&stats).unwrap_or_else(SystemTime::now);
            if let Some(sample) = self.series.take(found, at) {
                self.samples.send_replace(Some(sample));
            }
        }
        Ok(())
    }
}

/// The samples of one container, no nearer to each other than the interval.
#[derive(Debug)]
struct Series {
    interval: Duration,
    /// When the last was taken, and what had been used of processors by then.
    last: Option<(SystemTime, Duration)>,
}

impl Series {
    fn new(interval: Duration) -> Self {
        Self { interval, last: None }
    }

    /// What is found at a time, if it makes a sample, with the share of processors since the one before.
    fn take(&mut self, found: Usage, at: SystemTime) -> Option<Usage> {
        let mut cpus = None;
        if let Some((then, cpu)) = self.last {
            // A clock that was set back tells nothing but that.
            if let Ok(took) = at.duration_since(then) {
                // An engine is never quite on time.
                if took < self.interval.mul_f64(0.9) {
                    return None;
                }
                cpus = found.cpu.checked_sub(cpu).and_then(|used| share(used, took));
            }
        }
        self.last = Some((at, found.cpu));
        Some(Usage { cpus, ..found })
    }
}

fn share(used: Duration, took: Duration) -> Option<f64> {
    (!took.is_zero()).then(|| used.as_secs_f64() / took.as_secs_f64())
}

/// How long to wait after so many tries; `jitter` (0 to 1) picks from the upper half.
fn pause(in_vain: u32, jitter: f64) -> Duration {
    let full = REOPEN.saturating_mul(1 << in_vain.min(10)).min(PATIENCE);
    full.mul_f64(0.5 + jitter / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn used(cpu: u64) -> Usage {
        Usage { cpu: SECOND * u32::try_from(cpu).expect("little"), ..Usage::default() }
    }

    #[test]
    fn one_sample_an_interval_with_the_share_since_the_one_before() {
        let mut series = Series::new(SECOND * 4);
        let then = SystemTime::UNIX_EPOCH;
        assert_eq!(series.take(used(1), then).map(|sample| sample.cpus), Some(None));
        for early in 1..=3 {
            assert_eq!(series.take(used(2), then + SECOND * early), None);
        }
        // A little before its time, as it may be.
        let at = then + Duration::from_millis(3990);
        let sample = series.take(used(7), at).expect("it was time");
        assert!((sample.cpus.expect("a share") - 6.0 / 3.99).abs() < 1e-9, "{sample:?}");
        assert_eq!(series.take(used(8), at + SECOND), None);
    }

    #[test]
    fn what_goes_backwards_has_no_share_and_does_not_stop_the_series() {
        let mut series = Series::new(SECOND);
        let then = SystemTime::UNIX_EPOCH + SECOND * 100;
        assert!(series.take(used(5), then).is_some());
        assert_eq!(series.take(used(1), then + SECOND).map(|sample| sample.cpus), Some(None));
        assert_eq!(series.take(used(2), then - SECOND * 50).map(|sample| sample.cpus), Some(None));
        assert_eq!(series.take(used(3), then - SECOND * 49).map(|sample| sample.cpus), Some(Some(1.0)));
    }

    #[test]
    fn the_pause_doubles_to_half_a_minute() {
        assert_eq!(pause(0, 1.0), REOPEN);
        assert_eq!(pause(1, 0.0), REOPEN);
        assert_eq!(pause(2, 1.0), REOPEN * 4);
        assert_eq!(pause(u32::MAX, 1.0), PATIENCE);
        assert_eq!(pause(u32::MAX, 0.0), PATIENCE / 2);
    }
}
