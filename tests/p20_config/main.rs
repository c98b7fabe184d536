//! P20: bad config is refused at load with file, key, value, the allowed range and the nearest known key;
//! nothing starts half-configured.
//!
//! Here a config only ever becomes a value or a list of problems; that nothing is started is the type's doing.

mod agreement;
mod all_at_once;
mod any_input;
mod code;
mod containers;
mod environment;
mod files;
mod host;
mod mistakes;
