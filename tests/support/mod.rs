//! What several test files share.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(missing_docs, unreachable_pub, reason = "read by the tests beside it, not by users")]

pub mod gated;
pub mod sim;

use std::time::{Duration, Instant};

/// Waits until `holds`, for a real while and no longer.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
