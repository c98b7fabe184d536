//! Requests to the supervisor, each of which can be made twice: it may panic over one, and start over, or hang, and be
//! replaced.

use actix::{Handler, Message};
use tokio::sync::oneshot;

use super::ErrorKind;
use crate::actor::{Chair, Receipt, Supervisor, Unheard};

/// How often a request may panic the supervisor before it counts as interrupted.
const TRIES: usize = 3;

/// Makes a request that is answered in its own time.
///
/// # Errors
/// [`ErrorKind::Closed`] when there is no supervisor any more, [`ErrorKind::Interrupted`] when it panicked each time.
pub(super) async fn ask<M, T>(
    supervisor: &Chair,
    request: impl Fn(oneshot::Sender<T>) -> M,
) -> Result<T, ErrorKind>
where
    M: Message<Result = ()> + Send + 'static,
    Supervisor: Handler<M>,
{
    let mut tries = TRIES;
    while tries > 0 {
        let (answer, answered) = oneshot::channel();
        let replaced = supervisor.replaced();
        match supervisor.send(request(answer)).await {
            Ok(()) => {}
            Err(Unheard::Closed) => return Err(ErrorKind::Closed),
            Err(Unheard::Replaced) => continue,
        }
        tokio::select! {
            biased;
            answer = answered => match answer {
                Ok(answer) => return Ok(answer),
                Err(_) if !supervisor.is_taken() => return Err(ErrorKind::Closed),
                Err(_) => tries -= 1,
            },
            () = replaced => {}
        }
    }
    Err(ErrorKind::Interrupted)
}

/// Makes a request that is answered when it has been taken up.
///
/// # Errors
/// As [`ask`].
pub(super) async fn tell<M>(supervisor: &Chair, request: M) -> Result<(), ErrorKind>
where
    M: Message<Result = Receipt> + Clone + Send + 'static,
    Supervisor: Handler<M>,
{
    let mut tries = TRIES;
    while tries > 0 {
        match supervisor.send(request.clone()).await {
            Ok(Receipt::Taken) => return Ok(()),
            Ok(Receipt::Lost) => tries -= 1,
            Err(Unheard::Closed) => return Err(ErrorKind::Closed),
            Err(Unheard::Replaced) => {}
        }
    }
    Err(ErrorKind::Interrupted)
}
