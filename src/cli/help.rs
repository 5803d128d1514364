// SPDX-License-Identifier: Apache-2.0
//! The command line with its help: which flags the help of a verb shows, what stands under `-h` and what under `--help`.
//!
//! Every verb accepts the flags of every verb, so that a variable or an alias may set them. Its help shows those that change
//! what it does.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory};

use super::args::Cli;
use super::command_examples::examples_of;
use crate::error::exit;

/// The flags about a node and its profile.
const OF_A_NODE: [&str; 11] = [
    "root",
    "k3s_version",
    "role",
    "data_dir",
    "owner",
    "profile",
    "set",
    "settings",
    "only",
    "skip",
    "assume_minor",
];
/// Those of the verbs that carry out a plan.
const OF_A_PLAN: [&str; 3] = ["only", "skip", "assume_minor"];

/// The flags of every verb that a verb does not use. The words are its name, and that of its sub-verb if only that is meant.
const UNUSED: [(&str, &[&[&str]]); 12] = [
    ("preflight", &[&OF_A_PLAN, &["owner"]]),
    ("verify", &[&["assume_minor"]]),
    ("explain", &[&OF_A_PLAN]),
    ("rollback", &[&OF_A_PLAN, &["k3s_version", "role", "data_dir", "profile", "set", "settings"]]),
    ("uninstall", &[&OF_A_PLAN, &["k3s_version", "role", "data_dir", "profile", "set", "settings"]]),
    ("history", &[&OF_A_PLAN, &["k3s_version", "role", "data_dir", "owner", "profile", "set", "settings"]]),
    ("effective-config", &[&OF_A_PLAN, &["owner", "profile", "set", "settings"]]),
    ("profile list", &[&["k3s_version"]]),
    ("profile", &[&OF_A_PLAN, &["role", "data_dir", "owner", "profile", "set", "settings"]]),
    ("settings", &[&OF_A_PLAN]),
    ("report", &[&OF_A_NODE]),
    ("generate", &[&OF_A_NODE, &["node", "format"]]),
];

/// Returns the command line with the help that the arguments ask for.
pub(super) fn command_for(arguments: &[OsString]) -> Command {
    let is_long = arguments.iter().any(|word| word == "--help" || word == "help");
    if is_long { command() } else { shorten(command()) }
}

/// Returns the command line with its whole help.
pub(super) fn command() -> Command {
    let command = dressed(Cli::command(), &mut Vec::new());
    command.after_help(after_help()).after_long_help(format!("{}\n\n{}", examples(&[]), after_help()))
}

/// Returns a command with the help of `-h`: an argument is a line.
fn shorten(command: Command) -> Command {
    // The help of each verb shows the flags of every verb that it uses.
    let has_verbs = command.has_subcommands();
    let command = command.mut_args(|argument| {
        let is_hidden = argument.is_hide_set() || has_verbs && argument.is_global_set();
        let takes_value = argument.get_action().takes_values();
        argument.hide_env(true).hide_possible_values(takes_value).hide(is_hidden)
    });
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.iter().fold(command, |command, name| command.mut_subcommand(name, shorten))
}

/// Dresses a command and the verbs below it; `words` are those of its name.
fn dressed(mut command: Command, words: &mut Vec<String>) -> Command {
    let globals: Vec<Arg> =
        command.get_arguments().filter(|argument| argument.is_global_set()).cloned().collect();
    // The value of a variable may be secret.
    command = command.mut_args(|argument| argument.hide_env_values(true));
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for name in verbs {
        words.push(name.clone());
        let unused = unused(words);
        command = command.mut_subcommand(&name, |verb| {
            // clap gives a verb those flags of the program that it does not have yet.
            let verb = globals.iter().fold(verb, |verb, argument| {
                let is_hidden = argument.is_hide_set() || unused.contains(&argument.get_id().as_str());
                verb.arg(argument.clone().hide(is_hidden))
            });
            dressed(verb, words).after_long_help(examples(words))
        });
        words.pop();
    }
    command
}

/// Returns the flags of every verb that a verb does not use.
fn unused(words: &[String]) -> Vec<&'static str> {
    let words = words.join(" ");
    let is_meant =
        |name: &str| words.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let rows = UNUSED.iter().filter(|(name, _)| is_meant(name));
    rows.flat_map(|(_, lists)| lists.iter().flat_map(|list| list.iter().copied())).collect()
}

/// Returns the examples of a verb as its help shows them.
fn examples(words: &[String]) -> String {
    let examples = examples_of(words);
    let lines = examples.iter().map(|example| format!("\n  # {}\n  {}", example.about, example.typed));
    format!("Examples:{}", lines.collect::<Vec<_>>().join(""))
}

/// Returns the end of the program's help: exit codes, and where to go when something is wrong.
fn after_help() -> String {
    let meanings = exit::meanings().into_iter().map(|row| format!("{} {}", row.code, row.short));
    let codes = meanings.collect::<Vec<_>>().join(", ");
    format!(
        "If a node does not start: `k3s-harden preflight` names the cause, `k3s-harden rollback` undoes the last run.\n\
         To report a bug, add the output of: k3s-harden --version -v\n\
         Manual: k3s-harden generate man [VERB] | man -l -\n\
         Exit codes: {codes}"
    )
}
