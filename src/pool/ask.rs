//! Requests to the supervisor, each of which can be made twice: it may panic over one, and start over.

use actix::{Addr, Handler, Message};
use tokio::sync::oneshot;

use super::ErrorKind;
use crate::actor::{Receipt, Supervisor};

/// How often a request is made before it counts as interrupted.
const TRIES: usize = 3;

/// Makes a request that is answered in its own time.
///
/// # Errors
/// [`ErrorKind::Closed`] when there is no supervisor any more, [`ErrorKind::Interrupted`] when it panicked each time.
pub(super) async fn ask<M, T>(
    supervisor: &Addr<Supervisor>,
    request: impl Fn(oneshot::Sender<T>) -> M,
) -> Result<T, ErrorKind>
where
    M: Message<Result = ()> + Send + 'static,
    Supervisor: Handler<M>,
{
    for _ in 0..TRIES {
        let (answer, answered) = oneshot::channel();
        supervisor.send(request(answer)).await.map_err(|_| ErrorKind::Closed)?;
        if let Ok(answer) = answered.await {
            return Ok(answer);
        }
        if !supervisor.connected() {
            return Err(ErrorKind::Closed);
        }
    }
    Err(ErrorKind::Interrupted)
}

/// Makes a request that is answered when it has been taken up.
///
/// # Errors
/// As [`ask`].
pub(super) async fn tell<M>(supervisor: &Addr<Supervisor>, request: M) -> Result<(), ErrorKind>
where
    M: Message<Result = Receipt> + Clone + Send + 'static,
    Supervisor: Handler<M>,
{
    for _ in 0..TRIES {
        match supervisor.send(request.clone()).await {
            Ok(Receipt::Taken) => return Ok(()),
            Ok(Receipt::Lost) => {}
            Err(_) => return Err(ErrorKind::Closed),
        }
    }
    Err(ErrorKind::Interrupted)
}
