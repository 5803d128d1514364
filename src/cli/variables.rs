// SPDX-License-Identifier: Apache-2.0
//! The environment variables that k3s-harden reads: those of flags, from the tree of the arguments, and the others.

use super::args::SET_VARIABLE;
use crate::reference::{CommandFacts, VariableFacts};

/// The variables that stand for no flag alone.
const OTHERS: [(&str, &str); 5] = [
    ("NO_COLOR", "If set, `--color auto` does not colour the output."),
    (
        "CLICOLOR_FORCE",
        "If set and not 0, `--color auto` colours the output of a pipe too; NO_COLOR counts more.",
    ),
    (
        "SOURCE_DATE_EPOCH",
        "Time in reports and date of manual pages, in seconds since 1970, for reproducible builds.",
    ),
    (
        "INSTALL_K3S_VERSION",
        "Version that the K3s installer installs. Used if K3s is not installed and --k3s-version is not set.",
    ),
    ("K3S_URL", "If set, the node is an agent, unless --role or the node itself gives another role."),
];

/// Returns the variables: those of flags by their names, then the others.
pub(super) fn variables(commands: &[CommandFacts]) -> Vec<VariableFacts> {
    let mut found: Vec<VariableFacts> = Vec::new();
    for command in commands {
        for argument in
            command.arguments.iter().filter(|argument| argument.is_global == command.words.is_empty())
        {
            let Some(name) = &argument.variable else { continue };
            let verb = Some(command.words.clone()).filter(|words| !words.is_empty());
            match found.iter_mut().find(|known| known.name == *name) {
                Some(known) => {
                    known.verbs.extend(verb);
                    if !known.about.contains(&argument.help) {
                        known.about =
                            format!("{}; {}: {}", known.about, command.words.join(" "), argument.help);
                    }
                }
                None => found.push(VariableFacts {
                    name: name.clone(),
                    flag: Some(argument.syntax.clone()),
                    verbs: verb.into_iter().collect(),
                    about: argument.help.clone(),
                }),
            }
        }
    }
    found.push(VariableFacts {
        name: SET_VARIABLE.to_owned(),
        flag: Some("--set KEY=VALUE".to_owned()),
        verbs: Vec::new(),
        about: "Settings, separated by semicolons or line breaks; --set counts more".to_owned(),
    });
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let others = OTHERS.iter().map(|(name, about)| VariableFacts {
        name: (*name).to_owned(),
        flag: None,
        verbs: Vec::new(),
        about: (*about).to_owned(),
    });
    found.extend(others);
    found
}
