//! From a file and the environment, or from code, to checked settings.
//!
//! ```
//! use ostler::config::{Config, Format};
//!
//! let config = Config::parse("[pools.sandbox]\nmax = 8\n", Format::Toml)?;
//! assert_eq!(config.pools["sandbox"].max, 8);
//!
//! let error = Config::parse("[pools.sandbox]\nmaxx = 8\nmin = -1\n", Format::Toml).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "text:2: pools.sandbox.maxx: unknown key; did you mean \"max\"?\n\
//!      text:3: pools.sandbox.min = -1: must be between 0 and 100000"
//! );
//! # Ok::<(), ostler::config::ConfigError>(())
//! ```
//!
//! # The file
//!
//! TOML, YAML or JSON, told apart by the extension. `config/demo.toml` shows every key; [`reference_table`] is
//! the same as a table. Durations have a unit (`30s`, `1h 30m`), sizes too (`512MiB`) or are a number of bytes,
//! and `"none"` switches an optional limit off. What `[defaults]` sets applies to every pool that does not set
//! it itself; the two tables of `env` are put together. Relative paths start at the file's directory. A table
//! `[scenarios]` is for `ostler stress` and passed over here; `config/stress.toml` shows its keys.
//!
//! # The environment
//!
//! `OSTLER__POOLS__SANDBOX__MAX=8` sets `max` of the pool `sandbox`, over the file. Two underscores separate the
//! parts; case does not count, and neither does `-` against `_` in a pool's name. A variable of `env` keeps the
//! case it is written in: `OSTLER__POOLS__SANDBOX__ENV__TOKEN`. Lists are written as JSON. A variable that
//! starts with `OSTLER__` and names no key, or a pool that the file does not have, is an error: a typing mistake
//! must not go unnoticed, or make a second pool.
//!
//! # Mistakes
//!
//! All of them are reported at once ([`ConfigError`]), each with file and line or variable, key, value, and what
//! would be right. A config that was loaded or built can be started, as far as can be seen beforehand: its
//! templates and programs exist, and its directories can be written to.
//!
//! ```text
//! file ─▶ format ─▶ overrides ◀─ environment
//!                      │ tree of values, each with its origin
//!                      ▼
//!  keys ────────────▶ reader ─▶ Config ◀─ builder
//!   │ one table                 │
//!   ├──▶ print, reference     └──▶ validate (bounds, relations, the host)
//! ```

mod builder;
mod container;
mod field;
mod format;
mod host;
mod key;
mod keys;
mod kind;
mod load;
mod log;
mod nearest;
mod overrides;
mod places;
mod print;
mod problem;
mod reader;
mod reference;
mod secrets;
mod setting;
mod settings;
mod shape;
mod size;
mod unknown;
mod validate;

pub use builder::ConfigBuilder;
pub use format::Format;
pub(crate) use host::can_trust;
pub use log::{LogFormat, LogLevel, LogSpec};
pub use problem::{ConfigError, Problem, Source};
pub use reference::{KeyReference, Scope, reference, reference_table};
pub use settings::Config;
