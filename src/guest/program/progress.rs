use crate::protocol::{Done, Refusal};

/// Where an operation stands after a slice of work.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It has more to do at once.
    More,
    /// It waits: for a descriptor, for input, for room.
    Waiting,
    /// It is over.
    Ended(Result<Done, Refusal>),
}
