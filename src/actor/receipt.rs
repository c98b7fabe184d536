use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, MessageResponse};

use super::contain::RESTART_PAUSE;

/// Whether a request was taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, MessageResponse)]
pub(crate) enum Receipt {
    Taken,
    /// The supervisor panicked over it and has started over. It may have been taken up in part; each request can
    /// be made twice.
    #[default]
    Lost,
}

/// Asks until it is taken up. An error means that the actor has ended, and that there is nothing more to ask.
pub(super) async fn insist<A, M>(actor: &Addr<A>, request: M)
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result = Receipt> + Clone + Send + 'static,
{
    while let Ok(Receipt::Lost) = actor.send(request.clone()).await {
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}
