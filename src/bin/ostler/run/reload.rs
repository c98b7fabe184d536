use std::path::Path;

use ostler::{Config, ErrorKind, Ostler};
use slog::{Logger, error};

/// Reads the config file again and takes it up; answers it when it is in force. What is wrong is logged, all of
/// it, and nothing has changed then.
pub(super) async fn reload(ostler: &mut Ostler, path: &Path, log: &Logger) -> Option<Config> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(refused) => {
            for problem in refused.problems() {
                error!(log, "config refused, the old one stays in force"; "problem" => %problem);
            }
            return None;
        }
    };
    match ostler.reload(config.clone()).await {
        Ok(_) => Some(config),
        Err(refused) if matches!(refused.kind(), ErrorKind::Fixed { .. }) => {
            error!(log, "config refused, the old one stays in force"; "problem" => %refused);
            None
        }
        Err(failed) => {
            error!(log, "not all of the config could be taken up"; "cause" => ?failed);
            None
        }
    }
}
