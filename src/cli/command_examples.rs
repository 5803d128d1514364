// SPDX-License-Identifier: Apache-2.0
//! Examples of the verbs, for the manual. A test parses each.

use crate::reference::ExampleFacts;

/// What is typed, and what it does; the words of the verb decide under which verb it stands.
const EXAMPLES: [(&str, &str); 47] = [
    ("k3s-harden plan --k3s-version 1.33", "show every change as a diff; write nothing"),
    ("k3s-harden plan --detailed-exitcode", "exit 2 if there are changes"),
    ("k3s-harden plan --profile cis,strict", "with the overlay strict"),
    ("k3s-harden plan --out plan.json", "save it for apply"),
    ("k3s-harden apply --k3s-version v1.33.4+k3s1", "harden this machine"),
    ("k3s-harden apply plan.json", "apply exactly this saved plan, or nothing"),
    ("k3s-harden apply --root /mnt/image --k3s-version 1.33 --role agent", "harden an image"),
    ("k3s-harden apply --set audit_log_maxage=90", "with another value of a setting"),
    ("k3s-harden apply --skip event-rate-limit", "without a control"),
    ("k3s-harden preflight", "check that K3s will start"),
    ("k3s-harden preflight --root /mnt/image --fail-on unknown", "exit 3 if the result is unknown"),
    ("k3s-harden preflight --server-config first.json", "check that it can join this server"),
    ("k3s-harden verify", "check every control"),
    ("k3s-harden verify --only-findings", "findings only"),
    ("k3s-harden verify --live", "also query the running cluster"),
    ("k3s-harden verify --benchmark 1.11 --format json", "use another benchmark; print JSON"),
    ("k3s-harden verify --format html", "an HTML report"),
    ("k3s-harden verify --as kube-bench", "predict what this scanner will report"),
    ("k3s-harden verify --baseline old.json", "what has changed since a report"),
    ("k3s-harden explain 1.2.16", "a control by its number in the profile's benchmark"),
    ("k3s-harden explain audit-log-path", "a control by its name"),
    ("k3s-harden explain audit_log_maxage", "a setting"),
    ("k3s-harden rollback", "undo the newest apply that is not undone"),
    ("k3s-harden rollback 3", "restore the state before run 3"),
    ("k3s-harden history", "list previous runs"),
    ("k3s-harden uninstall", "undo all runs"),
    (
        "k3s-harden render --as cloud-init --k3s-version v1.33.4+k3s1 --role server --out user-data.yaml",
        "user-data that needs no binary",
    ),
    (
        "k3s-harden render --as systemd-gate --k3s-version 1.33",
        "a systemd drop-in that runs preflight before K3s starts",
    ),
    ("k3s-harden render --as tar --k3s-version 1.33 --role agent --out files.tar", "the files of an agent"),
    ("k3s-harden profile list", "the built-in profiles"),
    ("k3s-harden profile show cis-1.12", "every setting with its value"),
    ("k3s-harden profile show strict --k3s-version 1.33", "on one minor"),
    ("k3s-harden profile diff cis-1.11 cis-2.1", "what differs"),
    ("k3s-harden profile validate site.yaml", "validate your own profile"),
    ("k3s-harden effective-config", "K3s's configuration, and where each value comes from"),
    ("k3s-harden effective-config -- --disable traefik", "with extra K3s arguments"),
    ("k3s-harden settings show", "each setting, and where its value comes from"),
    ("k3s-harden settings init", "a settings file with every setting in a comment"),
    (
        "k3s-harden report merge web-1.json web-2.json",
        "many nodes: groups with the same verdicts, the worst first",
    ),
    ("k3s-harden report merge --format html web-1.json web-2.json", "a page of all nodes"),
    (
        "k3s-harden report merge --baseline old.json web-1.json web-2.json",
        "what has changed since an older merged report",
    ),
    ("k3s-harden generate man apply", "the page of a verb; `| man -l -` shows it"),
    ("k3s-harden generate man --out man1", "every page"),
    ("k3s-harden generate completions bash", "to source in a shell"),
    (
        "k3s-harden generate completions --out completions",
        "for every shell, under the names that they look for",
    ),
    ("k3s-harden generate schema verify", "the schema of verify's answer"),
    ("k3s-harden generate docs --out reference", "the reference pages"),
];

/// Returns the examples of a verb; of the program itself, one of each step of a node's life.
pub(super) fn examples_of(words: &[String]) -> Vec<ExampleFacts> {
    let is_first = |verb: &str| EXAMPLES.iter().find(|(typed, _)| is_of(typed, verb));
    let found: Vec<&(&str, &str)> = match words {
        [] => ["plan", "apply", "preflight", "verify", "explain", "rollback"]
            .into_iter()
            .filter_map(is_first)
            .collect(),
        words => EXAMPLES.iter().filter(|(typed, _)| is_of(typed, &words.join(" "))).collect(),
    };
    let facts = |(typed, about): &&(&str, &str)| ExampleFacts {
        typed: (*typed).to_owned(),
        about: (*about).to_owned(),
    };
    found.iter().map(facts).collect()
}

/// Tells whether an example is one of a verb.
fn is_of(typed: &str, verb: &str) -> bool {
    let rest = typed.strip_prefix("k3s-harden ").and_then(|rest| rest.strip_prefix(verb));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Cli;
    use crate::cli::command_facts::command_facts;

    #[test]
    fn every_example_is_a_command_line_and_every_verb_has_one() {
        for (typed, _) in EXAMPLES {
            let cli = Cli::try_parse_from(typed.split_whitespace());
            cli.unwrap_or_else(|error| panic!("{typed}: {error}")).check().unwrap();
        }
        let mut told = 0;
        for command in command_facts() {
            assert!(!command.examples.is_empty(), "{:?}", command.words);
            told += if command.words.is_empty() { 0 } else { command.examples.len() };
        }
        assert_eq!(told, EXAMPLES.len(), "each stands under one verb");
    }
}
