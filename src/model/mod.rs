//! The nouns everything else is written in. No behaviour beyond naming, printing and comparing.

mod id;
mod limits;
mod pool;
mod reason;
mod state;

pub use id::{Epoch, PoolName, RuntimeId};
pub use limits::Limits;
pub use pool::{
    BackendSpec, Exhausted, FakeSpec, HealthSpec, IsolationLevel, NetworkAccess, PoolSpec, ProcessSpec,
    ResetPolicy, RestartSpec,
};
pub use reason::Reason;
pub use state::State;
