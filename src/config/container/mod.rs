//! The keys of pools of containers, and what else must be true of them.

mod apart;
mod host;
mod keys;
mod rules;
pub(super) mod shapes;

pub(super) use apart::check_apart;
pub(super) use keys::CONTAINER;
pub(super) use rules::{Rules, is_reached};
