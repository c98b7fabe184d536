use std::time::Duration;

use super::Moment;

/// Tells how many ready runtimes nobody has needed for a whole `idle_timeout`.
///
/// Ready runtimes are used in turn, so no single one looks idle; what is idle is the *stock*. The lowest
/// stock over a window that lasts `idle_timeout` is what was never touched.
#[derive(Clone, Debug)]
pub(super) struct Warmth {
    since: Moment,
    lowest: usize,
}

impl Warmth {
    pub(super) fn new(now: Moment) -> Self {
        Self { since: now, lowest: usize::MAX }
    }

    /// Takes the lowest stock since the last call; answers how many were unneeded, once per window.
    pub(super) fn observe(&mut self, now: Moment, lowest: usize, idle_timeout: Duration) -> usize {
        self.lowest = self.lowest.min(lowest);
        if now.saturating_sub(self.since) < idle_timeout {
            return 0;
        }
        let unneeded = self.lowest;
        *self = Self::new(now);
        unneeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_least_in_a_whole_window_is_told_at_its_end() {
        let second = Duration::from_secs(1);
        let mut warmth = Warmth::new(second);
        let told: Vec<_> = [(1, 5), (2, 3), (3, 4), (4, 9), (5, 8), (7, 7), (8, 2)]
            .map(|(at, lowest)| warmth.observe(second * at, lowest, second * 2))
            .into();
        assert_eq!(told, [0, 0, 3, 0, 8, 7, 0], "a window that ends late has no less to tell");
    }
}
