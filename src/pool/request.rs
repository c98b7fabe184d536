use std::time::Duration;

use crate::model::Exhausted;

/// How an acquire behaves, where it differs from the pool's settings.
///
/// ```
/// use ostler::{Exhausted, LeaseRequest};
/// use std::time::Duration;
///
/// let request = LeaseRequest::new().timeout(Duration::from_secs(2)).when_exhausted(Exhausted::Overflow);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LeaseRequest {
    pub(super) timeout: Option<Duration>,
    pub(super) when_exhausted: Option<Exhausted>,
}

impl LeaseRequest {
    /// As the pool is set.
    #[must_use]
    pub const fn new() -> Self {
        Self { timeout: None, when_exhausted: None }
    }

    /// Whether it is as the pool is set.
    #[inline]
    pub(super) const fn is_plain(&self) -> bool {
        self.timeout.is_none() && self.when_exhausted.is_none()
    }

    /// How long to wait. Default: the pool's `acquire_timeout`.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What to do when nothing is ready. Default: the pool's `when_exhausted`.
    #[must_use]
    pub const fn when_exhausted(mut self, exhausted: Exhausted) -> Self {
        self.when_exhausted = Some(exhausted);
        self
    }
}
