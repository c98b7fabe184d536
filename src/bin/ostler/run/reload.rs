use std::path::Path;

use ostler::{Config, Ostler};
use slog::{Logger, error};

/// Reads the config file again and takes it up; answers it when it is in force. What is wrong is logged, all of
/// it, and nothing has changed then.
pub(super) async fn reload(
    ostler: &mut Ostler,
    current: &Config,
    path: &Path,
    log: &Logger,
) -> Option<Config> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(refused) => {
            for problem in refused.problems() {
                error!(log, "config refused, the old one stays in force"; "problem" => %problem);
            }
            return None;
        }
    };
    if (&config.instance, &config.state_dir) != (&current.instance, &current.state_dir) {
        error!(log, "config refused, the old one stays in force";
            "problem" => "`instance` and `state_dir` can't change while it runs");
        return None;
    }
    match ostler.reload(config.clone()).await {
        Ok(_) => Some(config),
        Err(failed) => {
            error!(log, "not all of the config could be taken up"; "cause" => ?failed);
            None
        }
    }
}
