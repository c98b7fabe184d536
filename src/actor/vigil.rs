//! What [`Office`](super::office::Office) and [`Watch`](super::watch::Watch) share: when a thread counts as one that
//! hangs, and how one is ended that does not.

use std::time::Duration;

use actix_rt::Arbiter;

/// How often a pulse is felt, and how often in a row there must be none. Looks are counted and not time: where the whole
/// host stood still, so did whoever looks.
pub(super) const LOOK: Duration = Duration::from_millis(100);
pub(super) const SILENT_LOOKS: u32 = 20;

/// Threads of one kind that may hang at the same time. Beyond it whatever holds them up would hold up the next one too.
pub(super) const HUNG: usize = 4;

/// Ends what runs there and waits for its thread.
pub(super) async fn end(arbiter: Arbiter) {
    arbiter.stop();
    drop(tokio::task::spawn_blocking(move || arbiter.join()).await);
}
