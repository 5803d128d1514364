// SPDX-License-Identifier: Apache-2.0
//! Manual pages: one of the program, and one of each verb, in the form of man(7).
//!
//! What a page says comes from the same facts as the reference pages: the tree of the arguments, the exit codes, the table of
//! files. The same version makes the same bytes.

use roff::{Inline, Roff, bold, italic, roman};

use super::command_facts::command_facts;
use super::variables::variables;
use crate::apply::STATE_DIRECTORY;
use crate::build_info::{VERSION, data_date};
use crate::document::node_files;
use crate::error::exit;
use crate::node::host;
use crate::profile::SETTINGS_FILE;
use crate::reference::{ArgumentFacts, CommandFacts, VariableFacts};

/// The section of the manual: programs.
const SECTION: &str = "1";
const PROGRAM: &str = "k3s-harden";

/// A page of the manual.
#[derive(Debug)]
pub(super) struct ManualPage {
    /// The words of its verb; none for the program.
    pub(super) words: Vec<String>,
    /// Its text.
    pub(super) text: String,
}

impl ManualPage {
    /// Returns the name of its file, such as `k3s-harden-apply.1`.
    pub(super) fn file_name(&self) -> String {
        format!("{}.{SECTION}", page_name(&self.words))
    }
}

/// Returns every page; that of the program comes first.
pub(super) fn manual_pages() -> Vec<ManualPage> {
    let facts = command_facts();
    let book = ManualBook { facts: &facts, variables: &variables(&facts) };
    facts
        .iter()
        .map(|command| ManualPage { words: command.words.clone(), text: book.page(command) })
        .collect()
}

fn page_name(words: &[String]) -> String {
    std::iter::once(PROGRAM).chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-")
}

/// What the pages have in common.
struct ManualBook<'a> {
    facts: &'a [CommandFacts],
    variables: &'a [VariableFacts],
}

impl ManualBook<'_> {
    fn page(&self, command: &CommandFacts) -> String {
        let name = page_name(&command.words);
        let mut page = Roff::new();
        let date = host::named_date().unwrap_or_else(data_date);
        let source = format!("{PROGRAM} {VERSION}");
        page.control("TH", [name.to_uppercase().as_str(), SECTION, &date, &source, "K3s hardening"]);
        section(&mut page, "NAME");
        page.text([roman(format!("{name} - {}", command.about.trim_end_matches(['.', '?'])))]);
        section(&mut page, "SYNOPSIS");
        page.text(synopsis(&command.usage));
        section(&mut page, "DESCRIPTION");
        page.text(with_bold(&sentence(&command.about)));
        if command.words.is_empty() {
            self.verbs(&mut page);
        }
        self.options(&mut page, command);
        exit_status(&mut page);
        self.environment(&mut page, command);
        if command.words.first().is_none_or(|verb| verb != "generate") {
            files(&mut page);
        }
        examples(&mut page, command);
        self.see_also(&mut page, command);
        wrapped(&page.render())
    }

    fn verbs(&self, page: &mut Roff) {
        section(page, "VERBS");
        for verb in self.facts.iter().filter(|verb| !verb.words.is_empty()) {
            page.control("TP", []);
            page.text([bold(page_name(&verb.words)), roman(format!("({SECTION})"))]);
            page.text(with_bold(&sentence(&verb.about)));
        }
    }

    fn options(&self, page: &mut Roff, command: &CommandFacts) {
        let (global, own): (Vec<&ArgumentFacts>, Vec<&ArgumentFacts>) =
            command.arguments.iter().partition(|argument| argument.is_global);
        if command.words.is_empty() {
            section(page, "OPTIONS");
            page.text([roman("Every verb takes them, before or after its name.")]);
            global.iter().for_each(|argument| option(page, argument));
            return;
        }
        section(page, "OPTIONS");
        own.iter().for_each(|argument| option(page, argument));
        if !own.is_empty() {
            page.control("PP", []);
        }
        let names: Vec<Inline> = global
            .iter()
            .enumerate()
            .flat_map(|(index, argument)| {
                let comma = roman(if index > 0 { ", " } else { "" });
                std::iter::once(comma).chain(styled_syntax(&argument.syntax))
            })
            .collect();
        let mut line = vec![roman("The options of every verb, which "), bold(PROGRAM)];
        line.push(roman(format!("({SECTION}) describes: ")));
        line.extend(names);
        line.push(roman("."));
        page.text(line);
    }

    fn environment(&self, page: &mut Roff, command: &CommandFacts) {
        section(page, "ENVIRONMENT");
        let is_told = |variable: &&VariableFacts| match command.words.is_empty() {
            true => variable.verbs.is_empty(),
            false => variable.verbs.contains(&command.words),
        };
        let mut has_own = false;
        for variable in self.variables.iter().filter(is_told) {
            page.control("TP", []);
            page.text([bold(&*variable.name)]);
            has_own = true;
            match &variable.flag {
                Some(flag) => {
                    let flag = styled_syntax(flag);
                    page.text([vec![roman("Stands for ")], flag, vec![roman(".")]].concat());
                }
                None => {
                    page.text(with_bold(&sentence(&variable.about)));
                }
            }
        }
        if has_own {
            page.control("PP", []);
        }
        if command.words.is_empty() {
            page.text([roman(
                "The page of each verb lists its own variables. A flag overrides its variable.",
            )]);
        } else {
            page.text([
                roman("For the variables of every verb, see "),
                bold(PROGRAM),
                roman(format!("({SECTION}).")),
            ]);
        }
    }

    fn see_also(&self, page: &mut Roff, command: &CommandFacts) {
        section(page, "SEE ALSO");
        let others = self.facts.iter().filter(|other| other.words != command.words);
        let mut line = Vec::new();
        for other in others {
            let comma = if line.is_empty() { "" } else { ", " };
            line.extend([roman(comma), bold(page_name(&other.words)), roman(format!("({SECTION})"))]);
        }
        page.text(line);
    }
}

/// Breaks long lines of text at spaces: readers join them again, and editors and `mandoc -T lint` want them short. The line
/// behind `.TP`, which is the tag, stays one.
fn wrapped(page: &str) -> String {
    /// The longest line, in bytes.
    const MAX_LENGTH: usize = 79;
    let mut text = String::new();
    let mut is_tag = false;
    for line in page.lines() {
        let mut rest = line;
        while !is_tag && !line.starts_with(['.', '\'']) && rest.len() > MAX_LENGTH {
            // A line that begins so would be a request.
            let can_break = |at: &usize| !rest[at + 1..].starts_with(['.', '\'']);
            let spaces = || rest.match_indices(' ').map(|(at, _)| at).filter(can_break);
            let fitting = spaces().take_while(|at| *at <= MAX_LENGTH).last();
            let Some(at) = fitting.or_else(|| spaces().next()) else { break };
            text.push_str(&rest[..at]);
            text.push('\n');
            rest = &rest[at + 1..];
        }
        text.push_str(rest);
        text.push('\n');
        is_tag = line == ".TP";
    }
    text
}

/// Begins a section.
fn section(page: &mut Roff, name: &str) {
    page.control("SH", [name]);
}

/// Returns a text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(letters).collect();
    if text.is_empty() || text.ends_with(['.', '?', ':']) { text } else { format!("{text}.") }
}

/// Returns a text with what stands between backticks in bold.
fn with_bold(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// Returns a usage: words in bold, what stands for something else in italics.
fn synopsis(usage: &str) -> Vec<Inline> {
    let words = usage.split_whitespace().enumerate();
    words
        .flat_map(|(index, word)| {
            let is_placeholder = word.starts_with(['[', '<']);
            let space = roman(if index > 0 { " " } else { "" });
            [space, if is_placeholder { italic(word) } else { bold(word) }]
        })
        .collect()
}

/// Returns how an argument is written: flags in bold, values in italics.
fn styled_syntax(syntax: &str) -> Vec<Inline> {
    let words = syntax.split(' ').enumerate();
    words
        .flat_map(|(index, word)| {
            let space = roman(if index > 0 { " " } else { "" });
            let (word, comma) = word.strip_suffix(',').map_or((word, ""), |word| (word, ","));
            [space, if word.starts_with('-') { bold(word) } else { italic(word) }, roman(comma)]
        })
        .collect()
}

fn option(page: &mut Roff, argument: &ArgumentFacts) {
    page.control("TP", []);
    page.text(styled_syntax(&argument.syntax));
    let mut line = with_bold(&sentence(&argument.help));
    if let Some(default) = &argument.default {
        line.extend([roman(" The default is "), bold(default), roman(".")]);
    }
    if let Some(variable) = &argument.variable {
        line.extend([roman(" The variable is "), bold(variable), roman(".")]);
    }
    page.text(line);
    if argument.values.is_empty() {
        return;
    }
    page.control("RS", []);
    for value in &argument.values {
        page.control("TP", []);
        page.text([bold(&*value.name)]);
        page.text(with_bold(&value.help.as_deref().map(sentence).unwrap_or_default()));
    }
    page.control("RE", []);
}

fn exit_status(page: &mut Roff) {
    section(page, "EXIT STATUS");
    for row in exit::meanings() {
        page.control("TP", []);
        page.text([bold(row.code.to_string())]);
        page.text(with_bold(&sentence(row.meaning)));
    }
}

fn files(page: &mut Roff) {
    section(page, "FILES");
    let own = [
        (SETTINGS_FILE, "The settings of the node, which its administrator writes."),
        (STATE_DIRECTORY, "The history of runs, and what they replaced."),
    ];
    let own = own.iter().map(|(path, about)| ((*path).to_owned(), (*about).to_owned()));
    let written = node_files().into_iter().map(|file| {
        let roles: Vec<String> = file.roles.iter().map(ToString::to_string).collect();
        (file.path.to_string(), format!("{} Mode {}, {}.", file.about, file.mode, roles.join(" and ")))
    });
    for (path, about) in own.chain(written) {
        page.control("TP", []);
        page.text([italic(path)]);
        page.text([roman(about)]);
    }
}

fn examples(page: &mut Roff, command: &CommandFacts) {
    section(page, "EXAMPLES");
    for example in &command.examples {
        page.control("TP", []);
        page.text([bold(&*example.typed)]);
        page.text(with_bold(&sentence(&example.about)));
    }
}
