//! What goes on for as long as a backend lives: the engine's events, its health, and orphans.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bollard::models::{ContainerSummaryStateEnum, EventMessage};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::TryStreamExt;
use slog::{Logger, info, warn};
use tokio::time::{Instant, sleep};

use super::client::EngineError;
use super::site::Site;
use super::sweep;
use crate::backend::with_causes;

/// Between two looks at the containers: the backstop, should an event be lost.
const POLL: Duration = Duration::from_secs(2);
/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(30);
/// Between the two sightings of an orphan.
const AGAIN: Duration = Duration::from_millis(250);
/// Before a lost event stream is opened again.
const RECONNECT: Duration = Duration::from_millis(250);

/// Starts looking after a backend. Ends with it.
pub(super) fn employ(site: &Arc<Site>, log: &Logger) {
    tokio::spawn(events(Arc::downgrade(site)));
    tokio::spawn(rounds(Arc::downgrade(site), log.clone()));
}

/// Removes what is nobody's any more, all of it seen twice; answers how many.
///
/// # Errors
/// As the engine's.
pub(super) async fn sweep(site: &Site) -> Result<u32, EngineError> {
    let first = sweep::sweep(&site.engine, &site.mark, &site.sightings).await?;
    if first.suspected == 0 {
        return Ok(first.removed);
    }
    sleep(AGAIN).await;
    let second = sweep::sweep(&site.engine, &site.mark, &site.sightings).await?;
    Ok(first.removed + second.removed)
}

async fn rounds(site: Weak<Site>, log: Logger) {
    let mut sweep_at = Instant::now();
    let mut in_trouble = false;
    loop {
        let Some(site) = site.upgrade() else { return };
        if !in_trouble && Instant::now() >= sweep_at {
            let swept = sweep(&site).await;
            // What could not be removed was perhaps just ending.
            sweep_at = Instant::now() + if swept.is_ok() { SWEEP } else { POLL };
            match swept {
                Ok(0) => {}
                Ok(count) => info!(log, "orphans removed"; "count" => count),
                Err(error) => warn!(log, "sweep: {}", with_causes(&error)),
            }
        }
        let looked = look(&site).await;
        match &looked {
            Ok(_) if in_trouble => {
                info!(log, "the engine is back");
                // With what it was asked to remove meanwhile.
                sweep_at = Instant::now();
            }
            // An engine that hung may be making what somebody asked for who has gone since.
            Ok(Orphans::Seen) => sweep_at = sweep_at.min(Instant::now() + POLL),
            Err(error) if !in_trouble => warn!(log, "{}", with_causes(error)),
            _ => {}
        }
        in_trouble = looked.is_err();
        site.trouble.send_replace(looked.err().map(|error| with_causes(&error)));
        drop(site);
        sleep(POLL).await;
    }
}

/// Whether a look found what is nobody's.
enum Orphans {
    None,
    Seen,
}

/// Wakes those who wait for news of containers that don't run any more.
async fn look(site: &Site) -> Result<Orphans, EngineError> {
    let found = sweep::list(&site.engine, &site.mark).await?;
    let orphaned = found.iter().any(|container| sweep::is_orphan(&site.mark, container));
    let running = found
        .into_iter()
        .filter(|container| container.state == Some(ContainerSummaryStateEnum::RUNNING))
        .filter_map(|container| container.id)
        .collect();
    site.running.wake_all_but(&running);
    Ok(if orphaned { Orphans::Seen } else { Orphans::None })
}

/// Wakes those who wait for news of a container that the engine says something of.
async fn events(site: Weak<Site>) {
    loop {
        let Some(strong) = site.upgrade() else { return };
        let Ok(client) = strong.engine.client().await else {
            drop(strong);
            sleep(RECONNECT).await;
            continue;
        };
        let mut filters: HashMap<String, Vec<String>> = strong.mark.filter();
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        // What happened before it is open.
        strong.running.wake_all_but(&HashSet::new());
        drop(strong);
        let mut stream = std::pin::pin!(client.events(Some(options)));
        loop {
            let next = tokio::time::timeout(POLL, stream.try_next()).await;
            let Some(site) = site.upgrade() else { return };
            match next {
                // Quiet.
                Err(_) => {}
                Ok(Ok(Some(event))) => heed(&site, &event),
                Ok(Ok(None) | Err(_)) => {
                    site.running.wake_all_but(&HashSet::new());
                    break;
                }
            }
        }
        sleep(RECONNECT).await;
    }
}

fn heed(site: &Site, event: &EventMessage) {
    let id = event.actor.as_ref().and_then(|actor| actor.id.as_ref());
    let ends = ["die", "died", "destroy", "remove", "oom"];
    if let Some(id) = id
        && event.action.as_deref().is_some_and(|action| ends.contains(&action))
    {
        site.running.wake(id);
    }
}
