use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use config::{FileSourceString, Source as _, Value};

use super::format::{Format, Malformed, Slip};
use super::overrides;
use super::problem::{ConfigError, Problem, Source};
use super::reader::Reader;
use super::settings::Config;
use super::validate::validate;

/// A config file larger than this is none.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn load(path: &Path, variables: Vec<(OsString, OsString)>) -> Result<Config, ConfigError> {
    let problem = |message: String| {
        let source = Source::File { path: path.to_owned(), line: None, column: None };
        ConfigError::new(vec![Problem { source, key: String::new(), value: None, message }])
    };
    let text = text(path).map_err(problem)?;
    let format = Format::of(path)
        .ok_or_else(|| problem("the extension must be one of .toml, .yaml, .yml, .json".to_owned()))?;
    let absolute = std::path::absolute(path).map_err(|e| problem(format!("has no absolute path: {e}")))?;
    let base = absolute.parent().map_or_else(PathBuf::new, Path::to_owned);
    read(&text, format, path, &base, variables)
}

pub(super) fn parse(
    text: &str,
    format: Format,
    variables: Vec<(OsString, OsString)>,
) -> Result<Config, ConfigError> {
    // Without a current directory relative paths stay as they are, and are found missing.
    let base = std::env::current_dir().unwrap_or_default();
    read(text, format, Path::new("text"), &base, variables)
}

fn text(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    // The comparison is between numbers far below the limits of either type.
    if bytes.len() as u64 > MAX_FILE {
        return Err("is larger than 1MiB".to_owned());
    }
    String::from_utf8(bytes)
        .map_err(|e| format!("is not UTF-8 from byte {} on", e.utf8_error().valid_up_to()))
}

fn read(
    text: &str,
    format: Format,
    path: &Path,
    base: &Path,
    variables: Vec<(OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = config::File::<FileSourceString, Format>::from_str(text, format)
        .collect()
        .map_err(|error| syntax(path, &error))?;

    let mut problems = Vec::new();
    let mut tree = Value::new(None, file);
    overrides::apply(variables, &mut tree, &mut problems);

    let mut reader = Reader::new(path, base, problems);
    let config = reader.config(&tree);
    let (places, mut problems) = reader.finish();
    validate(&config, places, &mut problems);
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
}

fn syntax(path: &Path, error: &config::ConfigError) -> ConfigError {
    let problem = |line, column, message| Problem {
        source: Source::File { path: path.to_owned(), line, column },
        key: String::new(),
        value: None,
        message,
    };
    if let config::ConfigError::FileParse { cause, .. } = error
        && let Some(Malformed(slips)) = cause.downcast_ref()
    {
        let place = |slip: &Slip| problem(Some(slip.line), Some(slip.column), slip.message.clone());
        return ConfigError::new(slips.iter().map(place).collect());
    }
    ConfigError::new(vec![problem(None, None, error.to_string())])
}
