use actix::Message;

use super::receipt::Receipt;

/// Stop, after all that was sent before. The supervisor passes it on to the others.
#[derive(Clone, Message)]
#[rtype(result = "Receipt")]
pub(super) struct End;
