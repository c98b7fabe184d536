//! Three ways for a runtime to end, each done to a real one.

use std::time::Instant;

use anyhow::bail;
use ostler::{Change, Reason};

use super::report::{Killed, Unhealthy, UsedUp, millis};
use super::stage::Stage;
use super::watch::{Watch, between};

/// Kills one from outside, as an operator or the kernel might.
pub(super) async fn kill(watch: &mut Watch<'_>) -> anyhow::Result<Killed> {
    let (victim, known) = watch.victim().await?;
    let killed = Instant::now();
    let exited =
        |change: &Change| matches!(change, Change::Exited { runtime, .. } if *runtime == victim.runtime);
    let ((), noticed) = tokio::try_join!(victim.body.kill(), watch.until("noticed", exited))?;
    let whole = watch.until_replaced(victim.runtime, &known).await?;
    Ok(Killed {
        runtime: victim.runtime,
        body: victim.body,
        detected_ms: millis(between(killed, noticed)),
        whole_ms: millis(between(killed, whole)),
    })
}

/// Leases until one has served as often as it may. The pool is kept from growing meanwhile: one that has spare
/// runtimes need not replace the one it loses.
pub(super) async fn wear_out(watch: &mut Watch<'_>, stage: &Stage, max_uses: u64) -> anyhow::Result<UsedUp> {
    let (min, max) = (watch.pool().status().min, watch.pool().status().max);
    watch.pool().resize(min, min).await?;
    let used_up = wear_one_out(watch, stage, max_uses).await;
    watch.pool().resize(min, max).await?;
    used_up
}

async fn wear_one_out(watch: &mut Watch<'_>, stage: &Stage, max_uses: u64) -> anyhow::Result<UsedUp> {
    let (_, known) = watch.victim().await?;
    let limit = Instant::now() + super::PATIENCE;
    let mut most = 0;
    let worn = loop {
        if Instant::now() > limit {
            bail!("no runtime got to {max_uses} leases");
        }
        let lease = watch.pool().acquire().await?;
        if lease.uses() > most {
            most = lease.uses();
            stage.advance();
        }
        if lease.uses() >= max_uses {
            break lease;
        }
    };
    let (runtime, uses) = (worn.runtime(), worn.uses());
    drop(worn);
    let returned = Instant::now();
    watch.until("retired as used_up", |change| *change == retiring(runtime, Reason::UsedUp)).await?;
    let whole = watch.until_replaced(runtime, &known).await?;
    Ok(UsedUp { runtime, uses, whole_ms: millis(between(returned, whole)) })
}

/// Stops one, so that it is there and does not answer.
pub(super) async fn stop(watch: &mut Watch<'_>) -> anyhow::Result<Unhealthy> {
    let (victim, known) = watch.victim().await?;
    let stopped = Instant::now();
    victim.body.stop().await?;
    let unhealthy = retiring(victim.runtime, Reason::Unhealthy);
    let noticed = watch.until("retired as unhealthy", |change| *change == unhealthy).await?;
    let whole = watch.until_replaced(victim.runtime, &known).await?;
    Ok(Unhealthy {
        runtime: victim.runtime,
        body: victim.body,
        detected_ms: millis(between(stopped, noticed)),
        whole_ms: millis(between(stopped, whole)),
    })
}

fn retiring(runtime: ostler::RuntimeId, reason: Reason) -> Change {
    Change::Retiring { runtime, reason }
}
