// SPDX-License-Identifier: Apache-2.0
//! `--version`: a line; with `--verbose` what the binary was built from, and what it knows.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches};

use super::args::{Cli, GlobalArguments, OutputFormat};
use super::ui::Ui;
use super::usage::no_report;
use crate::error::{Result, exit};
use crate::output::{version_json, version_text};

const VERSION: &str = "version";

/// Prints the long form, and returns the exit code; none where the one line of clap is asked for.
///
/// Only what is typed makes the long form: scripts read the line, whatever the environment sets.
pub(super) fn run(arguments: &[OsString]) -> Option<u8> {
    let matches = parse(arguments)?;
    let typed = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if !typed("verbose") && !typed("format") {
        return None;
    }
    let global = GlobalArguments::from_arg_matches(&matches).ok()?;
    let mut ui = Ui::new(&global);
    Some(print(&mut ui).map_or_else(
        |error| {
            ui.error(&error);
            error.kind().exit_code()
        },
        |()| exit::OK,
    ))
}

/// Parses the arguments again with a `--version` that does not end the parsing; none for mistakes, which clap has not seen
/// where it stopped at `--version`.
fn parse(arguments: &[OsString]) -> Option<ArgMatches> {
    let version = Arg::new(VERSION).short('V').long(VERSION).action(ArgAction::Count);
    let command = Cli::command().disable_version_flag(true).arg_required_else_help(false);
    // A variable that makes the log quiet says nothing against a longer answer.
    let command = command
        .subcommand_required(false)
        .arg(version)
        .mut_arg("quiet", |quiet| quiet.conflicts_with(Resettable::Reset));
    command.try_get_matches_from(arguments).ok()
}

fn print(ui: &mut Ui) -> Result<()> {
    match ui.format() {
        OutputFormat::Text => ui.out(&version_text()),
        OutputFormat::Json => ui.out_json(&version_json()),
        _ => Err(no_report()),
    }
}
