// SPDX-License-Identifier: Apache-2.0
//! The facts of the command line for manual pages and reference pages, from the tree of its arguments.

use clap::builder::Str;
use clap::{Arg, ArgAction, Command};

use super::command_examples::examples_of;
use super::help;
use crate::reference::{ArgumentFacts, CommandFacts, ValueFacts};

/// Returns the facts of the program and of every verb, in the order of the help. A verb that only has sub-verbs is told by
/// those.
pub(super) fn command_facts() -> Vec<CommandFacts> {
    let mut program = help::command();
    program.build();
    let mut found = Vec::new();
    visit(&program, &[], &mut found);
    found
}

fn visit(command: &Command, words: &[String], found: &mut Vec<CommandFacts>) {
    if words.is_empty() || !command.has_subcommands() {
        found.push(CommandFacts {
            words: words.to_vec(),
            about: command.get_about().map(ToString::to_string).unwrap_or_default(),
            usage: usage(command),
            arguments: arguments(command),
            examples: examples_of(words),
        });
    }
    // clap's own verb `help` is told by --help.
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let words: Vec<String> = words.iter().cloned().chain([verb.get_name().to_owned()]).collect();
        visit(verb, &words, found);
    }
}

/// Returns how a command is called, as its help says it.
fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").trim().to_owned()
}

/// Returns the arguments of a command: words first, then flags, those of every verb last.
fn arguments(command: &Command) -> Vec<ArgumentFacts> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let mut found: Vec<ArgumentFacts> = shown.map(argument).collect();
    found.sort_by_key(|facts| (facts.is_global, facts.syntax.starts_with('-')));
    found
}

fn argument(argument: &Arg) -> ArgumentFacts {
    let takes_value = argument.get_num_args().is_some_and(|range| range.takes_values());
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let values = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string);
    // A second paragraph stands in --help alone.
    let help = help.unwrap_or_default().replace("\n\n", ". ");
    let help = help.trim_end_matches('.').to_owned();
    // Where it counts whether a flag was typed, clap is told of no default, and the help names it.
    let (help, told) = match help.split_once(" [default: ").and_then(|(before, rest)| {
        let (default, after) = rest.split_once(']')?;
        Some((format!("{before}{after}"), default.to_owned()))
    }) {
        Some((help, default)) => (help, Some(default)),
        None => (help, None),
    };
    ArgumentFacts {
        syntax: syntax(argument),
        help,
        values: values
            .filter(|_| takes_value)
            .map(|value| ValueFacts {
                name: value.get_name().to_owned(),
                help: value.get_help().map(ToString::to_string),
            })
            .collect(),
        default: told.or_else(|| (takes_value && !default.is_empty()).then(|| default.join(","))),
        variable: argument.get_env().map(|name| name.to_string_lossy().into_owned()),
        // clap adds these two to every verb by itself.
        is_global: argument.is_global_set()
            || matches!(argument.get_action(), ArgAction::Help | ArgAction::Version),
    }
}

/// Returns how an argument is written: `-v, --verbose`, `--root DIR`, `PLAN`, `FILE...`.
fn syntax(argument: &Arg) -> String {
    let range = argument.get_num_args().unwrap_or_default();
    let names = argument.get_value_names().unwrap_or_default();
    let mut value = names.iter().map(Str::as_str).collect::<Vec<_>>().join(" ");
    // The facts name the values by themselves.
    if value.contains('|') {
        value = argument.get_id().as_str().to_uppercase();
    }
    if argument.is_positional() {
        if value.is_empty() {
            value = argument.get_id().as_str().to_uppercase();
        }
        return if range.max_values() > 1 { format!("{value}...") } else { value };
    }
    let short = argument.get_short().map(|letter| format!("-{letter}"));
    let long = argument.get_long().map(|word| format!("--{word}"));
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if range.takes_values() && !value.is_empty() { format!("{names} {value}") } else { names }
}
