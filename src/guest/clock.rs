use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

use super::WireError;

/// Sets deadlines on the caller's tokio runtime, or on ostler's own when the caller has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock<'a> {
    home: Option<&'a Handle>,
}

impl<'a> Clock<'a> {
    pub(super) fn new(home: Option<&'a Handle>) -> Self {
        Self { home }
    }

    /// A timer; none where there is no runtime at all to keep it.
    pub(super) fn sleep(self, duration: Duration) -> Option<Sleep> {
        if Handle::try_current().is_ok() {
            return Some(sleep(duration));
        }
        let _inside = self.home?.enter();
        Some(sleep(duration))
    }

    /// The result of `work`, or [`WireError::Silent`] when it takes longer than `limit`.
    pub(super) async fn within<T>(
        self,
        limit: Duration,
        work: impl Future<Output = Result<T, WireError>>,
    ) -> Result<T, WireError> {
        let mut work = pin!(work);
        let mut limit = pin!(self.sleep(limit));
        poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            match limit.as_mut().as_pin_mut() {
                Some(limit) => limit.poll(cx).map(|()| Err(WireError::Silent)),
                None => Poll::Pending,
            }
        })
        .await
    }
}
