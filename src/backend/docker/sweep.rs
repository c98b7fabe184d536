//! What dead ostlers of the same name left on an engine, and what of our own went astray.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::{StreamExt, stream};

use super::client::{Engine, EngineError, QUICK};
use super::container::remove;
use super::label::{Belongs, Mark};
use super::register::Name;

/// Removals under way at once.
const AT_ONCE: usize = 8;

/// Orphans that were seen once. Only what is one still when it is looked at again is removed.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<HashSet<String>>);

impl Sightings {
    /// Of these, those that were among the last ones too.
    fn again(&self, now: HashSet<String>) -> Vec<String> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = now.intersection(&seen).cloned().collect();
        *seen = now;
        again
    }
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) removed: u32,
    /// Seen for the first time: to be looked at again.
    pub(super) suspected: usize,
}

/// All containers of the instance, whoever made them.
pub(super) async fn list(engine: &Engine, mark: &Mark) -> Result<Vec<ContainerSummary>, EngineError> {
    let client = engine.client().await?;
    let options = ListContainersOptionsBuilder::new().all(true).filters(&mark.filter()).build();
    engine.within(QUICK, client.list_containers(Some(options))).await
}

/// Removes what belongs to nobody any more, once it has been seen twice.
///
/// # Errors
/// The first thing that could not be removed; the rest has been tried.
pub(super) async fn sweep(engine: &Engine, mark: &Mark, sightings: &Sightings) -> Result<Swept, EngineError> {
    let orphans: HashSet<_> = list(engine, mark)
        .await?
        .into_iter()
        .filter(|found| is_orphan(mark, found))
        .filter_map(|found| found.id)
        .collect();
    let suspected = orphans.len();
    let again = sightings.again(orphans);
    let mut swept = Swept { removed: 0, suspected: suspected - again.len() };
    let mut failed = None;
    let removals = again.into_iter().map(|id| async move { remove(engine, &id).await });
    let mut removals = stream::iter(removals).buffer_unordered(AT_ONCE);
    while let Some(removed) = removals.next().await {
        match removed {
            Ok(was_there) => swept.removed += u32::from(was_there),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(swept), Err)
}

pub(super) fn is_orphan(mark: &Mark, found: &ContainerSummary) -> bool {
    let labels = found.labels.clone().unwrap_or_default();
    match mark.judge(&labels) {
        Belongs::ToTheDead => true,
        Belongs::Here => {
            let names = found.names.iter().flatten();
            !names.map(|name| name.trim_start_matches('/')).any(Name::is_known)
        }
        Belongs::Elsewhere => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_before_is_seen_again() {
        let sightings = Sightings::default();
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<HashSet<_>>();
        assert!(sightings.again(set(&["a", "b"])).is_empty());
        assert_eq!(sightings.again(set(&["b", "c"])), ["b"]);
        assert!(sightings.again(set(&["a"])).is_empty(), "it was away in between");
    }
}
