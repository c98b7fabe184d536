use super::member::Member;
use crate::actor::runtime::Words;
use crate::handoff::Tether;
use crate::model::State;

/// Where a runtime stands when the supervisor starts over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing {
    /// Its actor is at work on it, or its ticket is with somebody.
    Settled(State),
    /// It is leasable for the first time, and nobody has made its ticket.
    Warm,
    /// Its ticket is here, and it is clean.
    Clean,
    /// Its ticket is here, as a lease left it.
    Used,
    /// It ended or must be ended.
    Fallen(State),
    /// Its ticket is nowhere.
    Lost(State),
    /// Its actor is gone.
    Dead(State),
    Retiring,
}

impl Standing {
    /// What the decider is to think, for the event that follows to be legal.
    pub(super) fn state(self) -> State {
        match self {
            Self::Settled(state) | Self::Fallen(state) | Self::Lost(state) | Self::Dead(state) => state,
            Self::Warm => State::Warming,
            Self::Clean => State::Resetting,
            Self::Used => State::Circulating,
            Self::Retiring => State::Retiring,
        }
    }
}

impl Member {
    /// Where it stands; what it has reported before is not listened to any more. `condemned` if the decider has
    /// condemned it.
    pub(super) fn hear(&mut self, condemned: bool) -> Standing {
        let (Words { state, fallen, reports, cleaned_after }, has_ware) = self.badge.read();
        self.heard = reports;
        let spoilt = self.tether.as_ref().is_some_and(Tether::is_condemned) && !condemned;
        match (state, &self.ticket, &self.tether) {
            (State::Gone, ..) => Standing::Dead(State::Retiring),
            _ if !self.address.connected() => Standing::Dead(state),
            _ if self.retiring.is_some() => Standing::Retiring,
            // It retires itself, and nobody knows.
            (State::Retiring, ..) => Standing::Fallen(State::Circulating),
            _ if fallen || spoilt => Standing::Fallen(state),
            (State::Circulating, None, None) if has_ware => Standing::Warm,
            (State::Circulating, None, None) => Standing::Lost(State::Warming),
            (State::Circulating, Some(ticket), _)
                if !ticket.is_leased() || cleaned_after == ticket.epoch() =>
            {
                Standing::Clean
            }
            (State::Circulating, Some(_), _) => Standing::Used,
            (State::Circulating | State::Resetting, None, Some(tether)) if tether.is_loose() => {
                Standing::Lost(state)
            }
            _ => Standing::Settled(state),
        }
    }
}
