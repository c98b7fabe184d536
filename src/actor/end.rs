use actix::Message;

/// Stop, after all that was sent before. The supervisor passes it on to the others.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct End;
