// SPDX-License-Identifier: Apache-2.0
//! The page of environment variables.

use super::commands::anchor_of;
use super::markdown::{NOTHING, Page, code, link, with_code};

/// A variable that k3s-harden reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableFacts {
    /// Its name.
    pub name: String,
    /// The flag that it stands for, if it stands for one.
    pub flag: Option<String>,
    /// The verbs that have the flag, each by its words; empty for every verb.
    pub verbs: Vec<Vec<String>>,
    /// What it does, in a line.
    pub about: String,
}

/// Returns the page.
pub(super) fn page(variables: &[VariableFacts]) -> Page {
    let mut page = Page::new(
        "environment.md",
        "Environment variables",
        "What k3s-harden reads in its environment. A flag overrides its environment variable.",
    );
    let (flags, others): (Vec<&VariableFacts>, Vec<&VariableFacts>) =
        variables.iter().partition(|variable| variable.flag.is_some());
    page.heading("In place of flags");
    page.paragraph("A flag that takes no value is set by `true` or `1`, and not by `false`, `0` or an empty variable. A variable with the prefix `K3S_HARDEN_` that is not in this table is named in a warning.");
    page.table(
        &["variable", "flag", "verbs", "what it does"],
        flags.iter().map(|variable| {
            let flag = variable.flag.as_deref().unwrap_or_default();
            vec![code(&variable.name), code(flag), verbs(variable), with_code(&variable.about)]
        }),
    );
    page.heading("Others");
    page.table(
        &["variable", "what it does"],
        others.iter().map(|variable| vec![code(&variable.name), with_code(&variable.about)]),
    );
    page
}

fn verbs(variable: &VariableFacts) -> String {
    let links = variable
        .verbs
        .iter()
        .map(|words| link(&words.join(" "), &format!("command-line.md#{}", anchor_of(words))));
    let links: Vec<String> = links.collect();
    match links.is_empty() {
        true if variable.flag.is_some() => "all".to_owned(),
        true => NOTHING.to_owned(),
        false => links.join(", "),
    }
}
