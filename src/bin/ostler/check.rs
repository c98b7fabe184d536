use anyhow::Context as _;
use ostler::config::{Config, Problem};
use serde_json::{Value, json};

use crate::args::CheckArgs;
use crate::{exit, output};

/// Validates a config; starts nothing.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    match Config::load(&args.config) {
        Ok(config) if args.json => {
            let config: Value = toml::from_str(&config.to_toml()).context("the config as JSON")?;
            print_json(&json!({ "valid": true, "config": config }))?;
        }
        Ok(config) => output::print(config.to_toml().trim_end())?,
        Err(error) => {
            output::say(&error);
            if args.json {
                let problems: Vec<_> = error.problems().iter().map(problem).collect();
                print_json(&json!({ "valid": false, "problems": problems }))?;
            }
            return Ok(exit::REFUSED);
        }
    }
    Ok(exit::OK)
}

fn print_json(document: &Value) -> anyhow::Result<()> {
    output::print(serde_json::to_string_pretty(document)?)?;
    Ok(())
}

fn problem(problem: &Problem) -> Value {
    json!({
        "source": problem.source.to_string(),
        "key": problem.key,
        "value": problem.value,
        "message": problem.message,
    })
}
