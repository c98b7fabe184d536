//! The container-pooling workload on real files, then three ways for a runtime to end, then nothing left.
//!
//! ```text
//!  settings ─▶ workload (fresh | pooled) ─▶ faults (kill · wear out · stop) ─▶ end
//!     image ─▶     │                           │                               │
//!     files ─▶     │                           │                               │
//!                  └──▶ report ◀───────────────┴───────────────────────────────┘
//!                         └─▶ stage: progress, and text or JSON      census: every runtime met
//! ```

mod census;
mod faults;
mod files;
mod ground;
mod image;
mod report;
mod settings;
mod stage;
mod watch;
mod workload;

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ostler::Ostler;
use slog::Logger;

use crate::args::{DemoArgs, LogArgs};
use crate::log::Log;
use crate::signals::{Caught, Signals};
use crate::{exit, output};
use census::Census;
use files::Sample;
use image::Image;
use report::{End, Report, Start, millis};
use settings::{POOL, Settings};
use stage::Stage;
use watch::Watch;
use workload::Per;

/// How long anything may take that takes a second on an idle machine. After it the demo has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sizes of the workload, in files, before the largest.
const SIZES: [usize; 3] = [1, 3, 10];

pub(crate) async fn demo(args: &DemoArgs, log: LogArgs) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals")?;
    let mut settings = Settings::load(args)?;
    let sample = Sample::collect(&args.files, usize::from(args.most))?;
    let stage = Stage::new(args.json);
    let log = Log::start_quiet_on(log, settings.config.log, stage.log_writer());
    let image = match provided(&settings, &stage, &mut signals).await? {
        Ok(image) => image,
        Err(caught) => return Ok(caught.status()),
    };
    settings.take(&image)?;
    let mut census = Census::of(settings.ground.clone());
    let mut report = Report::new(&sample, &settings);

    stage.show(&report.files);
    for note in &report.notes {
        stage.show(format_args!("note       {note}"));
    }
    let mut interrupted = None;
    let outcome = tokio::select! {
        biased;
        caught = signals.stop() => {
            interrupted = Some(caught);
            Err(anyhow::anyhow!("interrupted"))
        }
        played = play(&settings, &sample, &stage, &mut census, &mut report, log.logger()) => played,
    };
    // Also after a failure, and after an interruption, which leaves ostler ending in the background.
    let outcome = outcome.and(end(&stage, &census, &mut report).await).and(image.remove().await);
    if let Err(error) = &outcome {
        report.error = Some(format!("{error:#}"));
    }
    stage.finish();
    if args.json {
        output::print(serde_json::to_string_pretty(&report)?)?;
    }
    match (outcome, interrupted) {
        (_, Some(caught)) => {
            output::say("ostler: interrupted");
            Ok(caught.status())
        }
        (Ok(()), None) => Ok(exit::OK),
        (Err(error), None) => Err(error),
    }
}

/// The image, or the signal that came first.
async fn provided(
    settings: &Settings,
    stage: &Stage,
    signals: &mut Signals,
) -> anyhow::Result<Result<Image, Caught>> {
    if !settings.image().is_empty() {
        stage.begin("looking for the image", 1);
    }
    let image = Image::provide(&settings.ground, settings.image(), settings.image_asked_for);
    let mut image = pin!(image);
    tokio::select! {
        biased;
        caught = signals.stop() => {
            // One that is being made is there in a moment, and must not stay.
            if let Ok(image) = tokio::time::timeout(PATIENCE / 10, image).await {
                image?.remove().await?;
            }
            Ok(Err(caught))
        }
        image = &mut image => Ok(Ok(image?)),
    }
}

async fn play(
    settings: &Settings,
    sample: &Sample,
    stage: &Stage,
    census: &mut Census,
    report: &mut Report,
    log: &Logger,
) -> anyhow::Result<()> {
    // Shows that it works at all, and fills the caches before anything is measured.
    stage.begin("first start", 1);
    let first = &sample.files()[..1];
    workload::measure(&settings.config, Per::File, first, stage, census).await.context("first start")?;

    let most = sample.files().len();
    for size in SIZES.into_iter().filter(|size| *size < most).chain([most]) {
        let files = &sample.files()[..size];
        stage.begin(&format!("{size} files, a fresh runtime per operation"), size);
        let fresh = workload::measure(&settings.fresh()?, Per::Operation, files, stage, census)
            .await
            .context("fresh runtimes")?;
        stage.begin(&format!("{size} files, from the pool"), size);
        let pooled = workload::measure(&settings.config, Per::File, files, stage, census)
            .await
            .context("from the pool")?;
        report.add_row(size, fresh, pooled);
    }
    stage.show(report.table());

    stage.begin("starting the pool", 1);
    let started = Instant::now();
    let ostler = Ostler::builder(settings.config.clone()).nonblocking_logger(log.clone()).start().await?;
    let pool = ostler.pool(POOL)?;
    pool.ready(PATIENCE).await?;
    let start = Start { ready: pool.status().ready, ms: millis(started.elapsed()) };
    stage.show(report.start.insert(start));

    let mut watch = Watch::over(&ostler, pool, census);
    stage.begin("killing a runtime", 1);
    stage.show(report.killed.insert(faults::kill(&mut watch).await.context("a runtime was killed")?));
    stage.begin("wearing a runtime out", usize::try_from(settings.max_uses)?);
    let used_up = faults::wear_out(&mut watch, stage, settings.max_uses).await;
    stage.show(report.used_up.insert(used_up.context("a runtime was used up")?));
    stage.begin("stopping a runtime, so that its probes fail", 1);
    stage.show(report.unhealthy.insert(faults::stop(&mut watch).await.context("a runtime was stopped")?));
    watch.count().await?;
    ensure!(watch.lost() == 0, "{} events were lost", watch.lost());

    let status = watch.pool().status();
    stage.show(report.status.insert(status));
    stage.begin("shutting down", 1);
    let stopping = Instant::now();
    ostler.shutdown().await?;
    report.shutdown = Some(stopping.elapsed());
    Ok(())
}

/// Looks whether anything is left of all that was started.
async fn end(stage: &Stage, census: &Census, report: &mut Report) -> anyhow::Result<()> {
    let left = census.left(PATIENCE).await?;
    let end = End { shutdown_ms: report.shutdown.map(millis), runtimes: census.len(), left };
    stage.show(&end);
    let end = report.end.insert(end);
    ensure!(end.left.is_empty(), "left behind: {}", end.left.join(", "));
    Ok(())
}
