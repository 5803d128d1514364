// SPDX-License-Identifier: Apache-2.0
//! The page of the command line: every verb with its arguments.

use super::markdown::{NOTHING, Page, code, link, plain, with_code};

/// The program, or a verb of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFacts {
    /// The words after the name of the program, such as `profile show`; none for the program itself.
    pub words: Vec<String>,
    /// What it does, in a line.
    pub about: String,
    /// How it is called.
    pub usage: String,
    /// Its arguments, in the order of its help.
    pub arguments: Vec<ArgumentFacts>,
    /// Examples of it.
    pub examples: Vec<ExampleFacts>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentFacts {
    /// How it is written, such as `-v, --verbose` or `--root DIR`.
    pub syntax: String,
    /// What it does.
    pub help: String,
    /// The values that it takes, if it takes some words only.
    pub values: Vec<ValueFacts>,
    /// Its default, if it has one.
    pub default: Option<String>,
    /// The environment variable that stands for it.
    pub variable: Option<String>,
    /// Whether every verb has it.
    pub is_global: bool,
}

/// A value that an argument takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueFacts {
    /// The word.
    pub name: String,
    /// What it stands for, if that has to be said.
    pub help: Option<String>,
}

/// An example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleFacts {
    /// What is typed.
    pub typed: String,
    /// What it does.
    pub about: String,
}

/// Returns the anchor of a verb on the page.
pub(super) fn anchor_of(words: &[String]) -> String {
    words.join("-")
}

/// Returns the page.
pub(super) fn page(commands: &[CommandFacts]) -> Page {
    let mut page = Page::new(
        "command-line.md",
        "The command line",
        "Every verb of k3s-harden with its arguments, their defaults and the variables that stand for them.",
    );
    let verbs = commands.iter().filter(|command| !command.words.is_empty());
    page.table(
        &["verb", "what it does"],
        verbs.clone().map(|verb| {
            let target = format!("#{}", anchor_of(&verb.words));
            vec![link(&verb.words.join(" "), &target), with_code(&verb.about)]
        }),
    );
    page.paragraph("What the exit codes say: [exit-codes.md](exit-codes.md). All variables: [environment.md](environment.md).");
    for program in commands.iter().filter(|command| command.words.is_empty()) {
        page.heading("Global options");
        page.paragraph("Every verb takes them, before or after its name.");
        page.table(HEAD, program.arguments.iter().map(row));
        examples(&mut page, program);
    }
    for verb in verbs {
        page.heading(&verb.words.join(" "));
        page.paragraph(&with_code(&verb.about));
        page.typed([verb.usage.clone()]);
        page.table(HEAD, verb.arguments.iter().filter(|argument| !argument.is_global).map(row));
        examples(&mut page, verb);
    }
    page
}

const HEAD: &[&str] = &["argument", "what it does", "default", "variable"];

fn row(argument: &ArgumentFacts) -> Vec<String> {
    let or_nothing = |text: &Option<String>| text.as_deref().map_or_else(|| NOTHING.to_owned(), code);
    let mut help = with_code(&argument.help);
    if !argument.values.is_empty() {
        let values = argument.values.iter().map(|value| match &value.help {
            Some(help) => format!("{} ({})", code(&value.name), plain(help.trim_end_matches('.'))),
            None => code(&value.name),
        });
        help += &format!(". One of {}", values.collect::<Vec<_>>().join(", "));
    }
    vec![code(&argument.syntax), help, or_nothing(&argument.default), or_nothing(&argument.variable)]
}

fn examples(page: &mut Page, command: &CommandFacts) {
    if command.examples.is_empty() {
        return;
    }
    let width = command.examples.iter().map(|example| example.typed.len()).max().unwrap_or(0);
    page.paragraph("Examples:");
    page.typed(
        command.examples.iter().map(|example| format!("{:width$}  # {}", example.typed, example.about)),
    );
}
