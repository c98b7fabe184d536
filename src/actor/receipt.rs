use actix::MessageResponse;

/// Whether a request was taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, MessageResponse)]
pub(crate) enum Receipt {
    Taken,
    /// The supervisor panicked over it and has started over. It may have been taken up in part; each request can
    /// be made twice.
    #[default]
    Lost,
}
