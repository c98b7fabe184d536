use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whose sign of life it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Post {
    Health,
    Maintenance,
}

/// Signs of life of the watchers on one thread. Metrics has none of its own: it hangs with the others, and they with
/// it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beats: [AtomicU64; 2],
    relieved: AtomicBool,
}

impl Pulse {
    /// From a watcher, at each of its ticks. Answers whether it is still wanted.
    pub(super) fn beat(&self, post: Post) -> bool {
        self.beats[post as usize].fetch_add(1, Ordering::Relaxed);
        !self.is_relieved()
    }

    pub(super) fn beats(&self) -> [u64; 2] {
        [Post::Health, Post::Maintenance].map(|post| self.beats[post as usize].load(Ordering::Relaxed))
    }

    /// Others have taken over.
    pub(super) fn relieve(&self) {
        self.relieved.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_relieved(&self) -> bool {
        self.relieved.load(Ordering::Relaxed)
    }
}
