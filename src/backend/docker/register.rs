use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

/// The names of all containers that this process has, or is making. What bears our mark and is not among them is
/// a stray: its creation was given up while the engine was at it, say.
static NAMES: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// A container's name, kept for as long as this lives.
#[derive(Debug)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn new(name: String) -> Self {
        whole(&NAMES).insert(name.clone());
        Self(name)
    }

    /// Whether some container of this process is called so.
    pub(super) fn is_known(name: &str) -> bool {
        whole(&NAMES).contains(name)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        whole(&NAMES).remove(&self.0);
    }
}

/// The running containers of one backend, by id, and who waits for news of each.
#[derive(Debug, Default)]
pub(super) struct Running {
    waiting: Mutex<HashMap<String, Arc<Notify>>>,
    /// Containers of which something is left, those that are being made included.
    charges: watch::Sender<usize>,
    /// Whether something may be left that nobody is in charge of any more.
    strays: AtomicBool,
}

/// Something of a container is left, or may be, for as long as this lives.
#[derive(Debug)]
pub(super) struct Charge {
    running: Arc<Running>,
    name: Name,
}

impl Charge {
    pub(super) fn new(name: String, running: &Arc<Running>) -> Self {
        running.charges.send_modify(|count| *count += 1);
        Self { running: Arc::clone(running), name: Name::new(name) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name.0
    }

    /// What may be left of it is left to a sweep.
    pub(super) fn give_up(self) {
        self.running.stray();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.running.charges.send_modify(|count| *count -= 1);
    }
}

impl Running {
    /// Waits until nothing is left of any container.
    pub(super) async fn all_gone(&self) {
        // The sender is ours, so it can't be gone.
        drop(self.charges.subscribe().wait_for(|count| *count == 0).await);
    }

    /// One that could not be removed is given up, and left to a sweep.
    pub(super) fn stray(&self) {
        self.strays.store(true, Ordering::Relaxed);
    }

    /// Whether any has been.
    pub(super) fn has_strays(&self) -> bool {
        self.strays.load(Ordering::Relaxed)
    }

    /// News of a container from now on.
    pub(super) fn enter(&self, id: &str) -> Arc<Notify> {
        Arc::clone(whole(&self.waiting).entry(id.to_owned()).or_default())
    }

    pub(super) fn leave(&self, id: &str) {
        whole(&self.waiting).remove(id);
    }

    /// There may be news of one.
    pub(super) fn wake(&self, id: &str) {
        if let Some(waiting) = whole(&self.waiting).get(id) {
            waiting.notify_one();
        }
    }

    /// There may be news of all but these.
    pub(super) fn wake_all_but(&self, fine: &HashSet<String>) {
        for (_, waiting) in whole(&self.waiting).iter().filter(|(id, _)| !fine.contains(*id)) {
            waiting.notify_one();
        }
    }
}

/// Poisoned, it is still whole: nothing that is done with it can stop half-way.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_as_long_as_it_lives() {
        let name = Name::new("ostler-test-name".to_owned());
        assert!(Name::is_known("ostler-test-name"));
        drop(name);
        assert!(!Name::is_known("ostler-test-name"));
    }

    #[tokio::test]
    async fn all_is_gone_when_the_last_charge_is() {
        let running = Arc::new(Running::default());
        running.all_gone().await;
        let charge = Charge::new("ostler-test-charge".to_owned(), &running);
        assert!(Name::is_known(charge.name()));
        let waiting = tokio::spawn({
            let running = Arc::clone(&running);
            async move { running.all_gone().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(charge);
        waiting.await.expect("done");
    }

    #[tokio::test]
    async fn news_wakes_who_waits_also_when_it_came_first() {
        let running = Running::default();
        let (a, b) = (running.enter("a"), running.enter("b"));
        running.wake_all_but(&HashSet::from(["a".to_owned()]));
        b.notified().await;
        running.wake("a");
        a.notified().await;
        running.leave("a");
        running.wake("a");
    }
}
