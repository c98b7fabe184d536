//! One command in one runtime, as if it ran here.

mod relay;

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use ostler::guest::{RefusalKind, WireError};
use ostler::{Config, Exec, ExecStream, Lease, Ostler, Output, PoolName};

use crate::args::{ExecArgs, LogArgs};
use crate::exit::{self, Misuse};
use crate::log::Log;
use crate::output;
use crate::signals::{Caught, Signals};
use relay::{Relay, Step};

/// Errno of a file that is executable and no program.
const ENOEXEC: u32 = 8;

/// Makes a runtime, runs the command with our streams connected, and ends everything before it answers the
/// status.
pub(crate) async fn exec(args: &ExecArgs, log: LogArgs) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals")?;
    let config = for_one(Config::load(&args.config)?, &args.pool)?;
    let grace = config.shutdown_grace;
    let log = Log::start_quiet(log, config.log);
    let ostler = tokio::select! {
        biased;
        caught = signals.stop() => return Ok(caught.status()),
        started = Ostler::builder(config).nonblocking_logger(log.logger().clone()).start() => started?,
    };
    let status = run(&ostler, args, &mut signals, grace).await;
    ostler.shutdown_within(Duration::ZERO).await?;
    status
}

/// The config cut down to one runtime of one pool, launched when it is asked for.
fn for_one(mut config: Config, pool: &str) -> anyhow::Result<Config> {
    config.pools.retain(|name, _| name.as_str() == pool);
    let spec = config.pools.get_mut(&PoolName::new(pool));
    let spec = spec.ok_or_else(|| Misuse(format!("the config has no pool {pool}")))?;
    (spec.min, spec.max, spec.overflow) = (0, 1, 0);
    Ok(config)
}

async fn run(ostler: &Ostler, args: &ExecArgs, signals: &mut Signals, grace: Duration) -> anyhow::Result<u8> {
    let pool = ostler.pool(&args.pool)?;
    let lease = tokio::select! {
        biased;
        caught = signals.stop() => return Ok(caught.status()),
        lease = pool.acquire() => lease?,
    };
    let status = drive(&lease, args, signals, grace).await;
    // Nobody comes after it, so it need not be cleaned.
    lease.discard();
    status
}

async fn drive(lease: &Lease, args: &ExecArgs, signals: &mut Signals, grace: Duration) -> anyhow::Result<u8> {
    let mut stream = lease.exec_stream(command(args))?;
    let feeder = stream.take_stdin().map(|mut stdin| {
        tokio::spawn(async move {
            // A command that has ended, or wants no more, is no failure; neither is a terminal that went away.
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut stdin).await;
        })
    });
    let status = relayed(stream, args, signals, grace).await;
    if let Some(feeder) = feeder {
        feeder.abort();
    }
    status
}

fn command(args: &ExecArgs) -> Exec {
    let mut words = args.command.iter();
    // The grammar asks for one word at least.
    let mut exec = Exec::new(words.next().map_or("".as_ref(), |word| word.as_os_str())).args(words);
    exec = exec.envs(args.env.iter().map(|(name, value)| (name, value)));
    if let Some(timeout) = args.timeout {
        exec = exec.timeout(timeout);
    }
    if let Some(directory) = &args.cwd {
        exec = exec.cwd(directory);
    }
    if args.no_stdin { exec } else { exec.stdin_piped() }
}

/// Passes output and signals on until the command has ended, or has been given up.
async fn relayed(
    stream: ExecStream,
    args: &ExecArgs,
    signals: &mut Signals,
    grace: Duration,
) -> anyhow::Result<u8> {
    let mut relay = Relay::new(stream);
    let mut told = None;
    let patience = tokio::time::sleep(Duration::MAX);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            biased;
            caught = signals.next() => match told {
                None => {
                    // It may have ended this moment, which the relay is about to say.
                    let _ = relay.signal(caught.signal());
                    told = Some(caught);
                    patience.as_mut().reset(tokio::time::Instant::now() + grace);
                }
                // Dropped with the relay, the command is killed and all it has started with it.
                Some(_) => return Ok(caught.status()),
            },
            () = &mut patience => return Ok(told.map_or(exit::OWN_FAILURE, Caught::status)),
            step = relay.step() => match step {
                Step::Passed => {}
                Step::Stuck => return closed(relay.finish().await),
                Step::Failed(error) => return refused(&error, args).ok_or_else(|| error.into()),
                Step::Ended => break,
            },
        }
    }
    tokio::select! {
        biased;
        caught = signals.stop() => Ok(caught.status()),
        ended = relay.end() => match ended {
            Ok((output, Ok(()))) => Ok(status(&output)),
            Ok((_, unwritten)) => closed(unwritten),
            Err(error) => Err(error.into()),
        },
    }
}

fn status(output: &Output) -> u8 {
    if output.timed_out {
        output::say("ostler: the timeout ended the command");
        return exit::TIMED_OUT;
    }
    match (output.code, output.signal) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => exit::by_signal(signal),
        (None, None) => exit::OWN_FAILURE,
    }
}

/// The status for a command that could not be started.
fn refused(error: &WireError, args: &ExecArgs) -> Option<u8> {
    let WireError::Refused(refusal) = error else { return None };
    let status = match refusal.0.kind {
        RefusalKind::NotFound => exit::NOT_FOUND,
        RefusalKind::Denied | RefusalKind::WrongKind => exit::NOT_RUNNABLE,
        _ if refusal.0.errno == ENOEXEC => exit::NOT_RUNNABLE,
        _ => return None,
    };
    let command = args.command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    output::say(format_args!("ostler: {command}: {refusal}"));
    Some(status)
}

/// The status when what the command wrote could not be passed on: as if it had written here itself.
fn closed(written: io::Result<()>) -> anyhow::Result<u8> {
    const SIGPIPE: i32 = 13;
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("writing output"),
        _ => Ok(exit::by_signal(SIGPIPE)),
    }
}
