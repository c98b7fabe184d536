use super::sync::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// What takes leave behind for those who fill and trim the pool. Read by each take, written seldom.
#[derive(Debug)]
pub(super) struct Gauge {
    /// Fewest ready since last asked.
    low_water: AtomicUsize,
    /// With less left than this the stock is low; `i64::MIN` when it never is.
    low_mark: AtomicI64,
    /// Whether low stock is still to be told.
    armed: AtomicBool,
    /// Milliseconds, as of the last tick.
    clock: AtomicU64,
}

impl Gauge {
    pub(super) const fn new() -> Self {
        Self {
            low_water: AtomicUsize::new(0),
            low_mark: AtomicI64::new(0),
            armed: AtomicBool::new(true),
            clock: AtomicU64::new(0),
        }
    }

    /// Whether there is nothing to note about a take that has left so many, or more.
    #[inline]
    pub(super) fn is_ample(&self, ready: usize) -> bool {
        ready >= self.low_water.load(Ordering::Relaxed)
            && i64::try_from(ready).unwrap_or(i64::MAX) >= self.low_mark.load(Ordering::Relaxed)
    }

    /// Notes what a take has left, negative if it is to wait, and answers whether low stock is to be told.
    #[inline]
    pub(super) fn note(&self, left: i64) -> bool {
        let ready = usize::try_from(left).unwrap_or(0);
        if ready < self.low_water.load(Ordering::Relaxed) {
            self.low_water.fetch_min(ready, Ordering::Relaxed);
        }
        left < self.low_mark.load(Ordering::Relaxed) && self.disarm()
    }

    /// The plain load first: while nobody arms it again, low stock costs no write.
    fn disarm(&self) -> bool {
        self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::SeqCst)
    }

    pub(super) fn rearm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(super) fn set_low_mark(&self, mark: Option<usize>) {
        let mark = mark.map_or(i64::MIN, |mark| i64::try_from(mark).unwrap_or(i64::MAX));
        self.low_mark.store(mark, Ordering::Relaxed);
    }

    /// Fewest ready since the last call, `ready` being those now.
    pub(super) fn low_water(&self, ready: usize) -> usize {
        self.low_water.swap(ready, Ordering::Relaxed).min(ready)
    }

    pub(super) fn tick(&self, now: u64) {
        self.clock.store(now, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}
