//! Loading settings: refused with a message, or accepted, valid, and readable again as it prints itself.

use ostler::config::{Config, Format};

/// The first byte chooses the language.
pub(crate) fn run(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let format = [Format::Toml, Format::Yaml, Format::Json][usize::from(first % 3)];
    match Config::parse(text, format) {
        Ok(config) => {
            config.validate().expect("what is accepted is valid");
            Config::parse(&config.to_toml(), Format::Toml).expect("it reads what it prints");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
