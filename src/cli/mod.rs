// SPDX-License-Identifier: Apache-2.0
//! The command line: one file for each verb. Only this room uses the terminal; it may import every other one.
//!
//! `args` holds the arguments as they are typed, `request` what they mean, `context` the request resolved on the node. A
//! verb that is about a profile gets the finished `RunRequest`.

mod after_start;
mod apply;
mod args;
mod command_examples;
mod command_facts;
mod context;
mod data_dir;
mod downgrade;
mod effective_config;
mod explain;
mod generate;
mod generate_arguments;
mod help;
mod history;
mod kept_values;
mod locking;
mod log;
mod manual;
mod mistakes;
mod named_files;
mod newer_minor;
mod next_step;
mod notes;
mod other_tools;
mod own_places;
mod packaged;
mod places;
mod plan;
mod preflight;
mod profile;
mod program_place;
mod progress;
mod remaining;
mod render;
mod report;
mod report_arguments;
mod request;
mod rollback;
mod running;
mod saved;
mod settings;
mod settings_arguments;
mod ui;
mod unloaded_policies;
mod usage;
mod variables;
mod verify;
mod version;

use std::ffi::OsString;

use clap::Parser;

use crate::error::{ErrorKind, Result, exit};
use crate::mode::Owner;
use crate::node::{Signals, accounts, commands};
use crate::output::{ScreenText, Style, error_text};
use args::{Cli, CliVerb};
use request::RunRequest;
use ui::Ui;

/// Parses the command line, runs its verb, and returns the exit code.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => {
            return version::run(&arguments).unwrap_or_else(|| usage(&error, &arguments));
        }
        Err(error) => return usage(&error, &arguments),
    };
    // Every file and directory is created with its exact mode; with a umask, a killed run could leave another one.
    accounts::clear_umask();
    Signals::survive_size_limit();
    let mut ui = Ui::new(&cli.global);
    args::check_variables(&cli.verb)
        .and_then(|()| cli.check())
        .and_then(|()| dispatch(&cli, &mut ui))
        .unwrap_or_else(|error| {
            let needs_root = error.kind() == ErrorKind::NotPermitted
                && error.hints().is_empty()
                && accounts::own().uid != Owner::ROOT.uid;
            let error = if needs_root { error.hint(context::AS_ROOT) } else { error };
            let error = error.map_hints(|hint| commands::with_commands(&cli.global.root, hint));
            ui.error(&error);
            error.kind().exit_code()
        })
}

/// Runs the verb. Those that are about a profile get the finished request of the run.
fn dispatch(cli: &Cli, ui: &mut Ui) -> Result<u8> {
    let request = || RunRequest::from_arguments(cli);
    match &cli.verb {
        CliVerb::Plan(arguments) if arguments.planning.after_start => {
            after_start::plan(&request()?, arguments, ui)
        }
        CliVerb::Apply(arguments) if arguments.planning.after_start => {
            after_start::apply(&request()?, arguments, ui)
        }
        CliVerb::Plan(arguments) => plan::run(&request()?, arguments, ui),
        CliVerb::Apply(arguments) => apply::run(request()?, arguments, ui),
        CliVerb::Preflight(arguments) => preflight::run(&request()?, arguments, ui),
        CliVerb::Verify(arguments) => verify::run(&request()?, arguments, ui),
        CliVerb::Explain(arguments) => explain::run(&request()?, arguments, ui),
        CliVerb::Render(arguments) => render::run(&request()?, arguments, ui),
        CliVerb::EffectiveConfig(arguments) => effective_config::run(&request()?, arguments, ui),
        CliVerb::Rollback(arguments) => rollback::run(&cli.global, arguments, ui),
        CliVerb::Uninstall(arguments) => rollback::uninstall(&cli.global, arguments, ui),
        CliVerb::History => history::run(&cli.global, ui),
        CliVerb::Profile(arguments) => profile::run(&cli.global, arguments, ui),
        CliVerb::Settings(arguments) => settings::run(&request()?, arguments, ui),
        CliVerb::Report(arguments) => report::run(arguments, ui),
        CliVerb::Generate(arguments) => generate::run(arguments, ui),
    }
}

/// Prints help to stdout with 0, and mistakes to stderr with the code for usage: of a verb without its sub-verb the help.
fn usage(error: &clap::Error, arguments: &[OsString]) -> u8 {
    if let Some(error) = mistakes::explained(error, arguments) {
        Ui::complain(&error_text(&error, Style::Plain));
        return error.kind().exit_code();
    }
    let is_no_verb = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !is_no_verb {
        // It quotes arguments and variables.
        Ui::complain(&ScreenText::report(&error.render().to_string()));
        return ErrorKind::Usage.exit_code();
    }
    // Only help needs the texts of the help: a run does not pay for them, and neither does --version.
    let is_version = error.kind() == clap::error::ErrorKind::DisplayVersion;
    let help = || help::command_for(arguments).try_get_matches_from(arguments).err();
    let help = if is_version { None } else { help() };
    // There is nowhere to report a failure.
    help.as_ref().unwrap_or(error).print().unwrap_or_default();
    if is_no_verb { ErrorKind::Usage.exit_code() } else { exit::OK }
}
