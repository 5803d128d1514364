//! What was typed? One file a verb; the only room that talks to a terminal.

mod apply;
mod args;
mod context;
mod effective_config;
mod explain;
mod history;
mod plan;
mod preflight;
mod profile;
mod render;
mod rollback;
mod saved;
mod ui;
mod verify;

use std::ffi::OsString;

use clap::Parser;
use tracing::warn;

use crate::apply::Recovered;
use crate::error::{Error, ErrorKind, exit};
use crate::node::accounts;
use args::{Cli, CliVerb};
use ui::Ui;

/// Parses the command line, runs its verb, and returns the exit code.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // Every file and directory is made with a mode of its own; with a umask, one that is killed half way would not.
    accounts::clear_umask();
    let mut ui = Ui::new(&cli.global);
    args::warn_of_unknown_variables();
    if cli.global.format.is_report() && !matches!(cli.verb, CliVerb::Verify(_)) {
        let error = usage_error("only verify writes reports").hint("take --format text or json");
        ui.error(&error);
        return error.kind().exit_code();
    }
    let result = match &cli.verb {
        CliVerb::Plan(arguments) => plan::run(&cli.global, arguments, &mut ui),
        CliVerb::Apply(arguments) => apply::run(&cli.global, arguments, &mut ui),
        CliVerb::Preflight(arguments) => preflight::run(&cli.global, arguments, &mut ui),
        CliVerb::Verify(arguments) => verify::run(&cli.global, arguments, &mut ui),
        CliVerb::Explain(arguments) => explain::run(&cli.global, arguments, &mut ui),
        CliVerb::Rollback(arguments) => rollback::run(&cli.global, arguments, &mut ui),
        CliVerb::History => history::run(&cli.global, &mut ui),
        CliVerb::Uninstall(arguments) => rollback::uninstall(&cli.global, arguments, &mut ui),
        CliVerb::Render(arguments) => render::run(&cli.global, arguments, &mut ui),
        CliVerb::EffectiveConfig(arguments) => effective_config::run(&cli.global, arguments, &mut ui),
        CliVerb::Profile(arguments) => profile::run(&cli.global, arguments, &mut ui),
    };
    result.unwrap_or_else(|error| {
        ui.error(&error);
        error.kind().exit_code()
    })
}

/// Prints clap's own text: help to stdout with 0, mistakes to stderr with the code for usage.
fn usage(error: &clap::Error) -> u8 {
    // Nobody is left to tell where that fails.
    error.print().unwrap_or_default();
    if error.use_stderr() { ErrorKind::Usage.exit_code() } else { exit::OK }
}

/// Returns the exit code of a run that found or made changes.
fn changes_code(detailed: bool, changed: bool) -> u8 {
    if detailed && changed { exit::CHANGES } else { exit::OK }
}

/// Says what became of a run that was killed.
fn warn_of(recovered: Option<&Recovered>) {
    if let Some(recovered) = recovered {
        warn!("{}", recovered.says);
    }
}

/// Returns a usage error.
fn usage_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}
