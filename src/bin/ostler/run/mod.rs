//! Supervises until told to stop.

mod announce;
mod reload;

use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use ostler::{Config, Ostler};
use slog::{Logger, info, warn};
use tokio::signal::unix::{self, SignalKind};

use crate::args::{LogArgs, RunArgs};
use crate::exit;
use crate::log::Log;
use crate::signals::{Caught, Signals};
use crate::sink::Sink;
use announce::Announcer;
use reload::reload;

/// How long whoever reads our results may take for the last of them.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: &RunArgs, log: LogArgs) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals")?;
    let mut asked = unix::signal(SignalKind::user_defined1()).context("signals")?;
    let mut config = Config::load(&args.config)?;
    let log = Log::start(log, config.log);
    let mut builder = Ostler::builder(config.clone()).nonblocking_logger(log.logger().clone());
    let sink = Sink::to(tokio::io::stdout());
    let mut announcer = if args.json {
        Announcer::events(&mut builder, &sink, log.logger())
    } else {
        Announcer::readiness(&sink)
    };
    let mut ostler = tokio::select! {
        biased;
        caught = signals.stop() => return Ok(caught.status()),
        started = builder.start() => started?,
    };
    announcer.watch(ostler.pools());
    loop {
        let caught = tokio::select! {
            caught = signals.next() => caught,
            _ = asked.recv() => {
                announcer.tell_status(ostler.pools());
                continue;
            }
        };
        if caught != Caught::Hangup {
            break;
        }
        if let Some(new) = reload(&mut ostler, &args.config, log.logger()).await {
            log.follow(new.log);
            config = new;
            announcer.watch(ostler.pools());
        }
    }
    let stopped = stop(ostler, config.shutdown_grace, &mut signals, log.logger()).await;
    announcer.end().await;
    if let Err(error) = sink.finish_within(LAST_WORDS).await {
        warn!(log.logger(), "not all results were read"; "cause" => %error);
    }
    stopped?;
    Ok(exit::OK)
}

/// Drains all pools until they are empty, the grace is over, or another signal comes; then ends what is left.
async fn stop(
    ostler: Ostler,
    grace: Duration,
    signals: &mut Signals,
    log: &Logger,
) -> Result<(), ostler::Error> {
    info!(log, "draining"; "grace" => ?grace);
    let stopper = ostler.stopper();
    let mut shutdown = pin!(ostler.shutdown_within(grace));
    tokio::select! {
        biased;
        _ = signals.stop() => info!(log, "stopping now"),
        ended = &mut shutdown => return ended,
    }
    stopper.now();
    shutdown.await
}
