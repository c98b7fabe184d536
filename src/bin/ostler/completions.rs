use clap::CommandFactory as _;

use crate::args::{Args, CompletionsArgs};
use crate::{exit, output};

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<u8> {
    // Made in memory: the generator panics where writing fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "ostler", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(exit::OK)
}
