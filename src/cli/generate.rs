// SPDX-License-Identifier: Apache-2.0
//! `generate`: writes the documents that come from the binary itself. It reads no node and needs no rights.

use std::path::Path;

use clap_complete::Shell;

use super::command_facts::command_facts;
use super::generate_arguments::{CompletionShell, GenerateArguments, GenerateVerb};
use super::help;
use super::manual::manual_pages;
use super::ui::Ui;
use super::usage::usage_error;
use super::variables::variables;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::mode::FileMode;
use crate::nearest::nearest;
use crate::node::host;
use crate::reference::reference_pages;

/// A document: the name of its file, and its text.
type NamedDocument = (String, String);

pub(super) fn run(arguments: &GenerateArguments, ui: &mut Ui) -> Result<u8> {
    let (documents, place) = match &arguments.verb {
        GenerateVerb::Man { verb, place } => (man(verb, place.out.is_some())?, place),
        GenerateVerb::Completions { shell, place } => (completions(*shell), place),
        GenerateVerb::Schema { name, place } => (schemas(name.as_deref())?, place),
        GenerateVerb::Docs { place } => (docs()?, place),
    };
    match (&place.out, documents.as_slice()) {
        (Some(folder), documents) => {
            write_all(folder, documents)?;
            ui.say_written(documents.len(), folder)?;
        }
        (None, [(_, text)]) => ui.out_document(text.as_bytes())?,
        (None, several) => return Err(needs_place(&arguments.verb, several)),
    }
    Ok(exit::OK)
}

/// Returns the pages of a verb, or all of them; without a verb and a place that of the program alone.
fn man(verb: &[String], has_place: bool) -> Result<Vec<NamedDocument>> {
    let pages = manual_pages();
    // `profile show` is the page k3s-harden-profile-show.
    let wanted = verb.join("-");
    if verb.is_empty() && has_place {
        return Ok(pages.into_iter().map(|page| (page.file_name(), page.text)).collect());
    }
    let names: Vec<String> = pages.iter().map(|page| page.words.join("-")).collect();
    match pages.into_iter().find(|page| page.words.join("-") == wanted) {
        Some(page) => Ok(vec![(page.file_name(), page.text)]),
        None => Err(unknown("manual page", &wanted, &names.iter().map(String::as_str).collect::<Vec<_>>())),
    }
}

/// Returns the completions of a shell, or of every shell, under the names that the shells look for.
fn completions(shell: Option<CompletionShell>) -> Vec<NamedDocument> {
    let shells = [CompletionShell::Bash, CompletionShell::Zsh, CompletionShell::Fish];
    let wanted = shells.into_iter().filter(|known| shell.is_none_or(|shell| shell == *known));
    let document = |shell| {
        let (name, generator) = match shell {
            CompletionShell::Bash => ("k3s-harden", Shell::Bash),
            CompletionShell::Zsh => ("_k3s-harden", Shell::Zsh),
            CompletionShell::Fish => ("k3s-harden.fish", Shell::Fish),
        };
        let mut text = Vec::new();
        clap_complete::generate(generator, &mut help::command(), "k3s-harden", &mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        // clap_complete writes the hyphen of the program's name in two ways, and bash offers nothing after a verb then
        // (clap-rs/clap issue 6421, in 4.6.12).
        (name.to_owned(), text.replace("k3s__subcmd__harden", "k3s__harden"))
    };
    wanted.map(document).collect()
}

/// Returns a schema, or every schema, as the project has it.
fn schemas(name: Option<&str>) -> Result<Vec<NamedDocument>> {
    let all = embedded::schemas();
    let found = all.iter().filter(|(known, _)| name.is_none_or(|name| name == *known));
    let found: Vec<NamedDocument> =
        found.map(|(name, text)| (format!("{name}.json"), (*text).to_owned())).collect();
    match name.filter(|_| found.is_empty()) {
        Some(name) => Err(unknown("schema", name, &all.iter().map(|(name, _)| *name).collect::<Vec<_>>())),
        None => Ok(found),
    }
}

fn docs() -> Result<Vec<NamedDocument>> {
    let commands = command_facts();
    let pages = reference_pages(&commands, &variables(&commands))?;
    Ok(pages.into_iter().map(|page| (page.name, page.text)).collect())
}

/// Returns the error for a document that does not exist.
fn unknown(kind: &str, name: &str, known: &[&str]) -> Error {
    let error = usage_error(format!("there is no {kind} {name:?}"));
    match nearest(name, known) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => {
            let known: Vec<&str> = known.iter().copied().filter(|name| !name.is_empty()).collect();
            error.hint(format!("there are {}", known.join(", ")))
        }
    }
}

/// Returns the error for several documents that no directory was named for.
fn needs_place(verb: &GenerateVerb, several: &[NamedDocument]) -> Error {
    let one = match verb {
        GenerateVerb::Completions { .. } => "name a shell (bash, zsh, fish), or ",
        GenerateVerb::Schema { .. } => "name a schema, or ",
        GenerateVerb::Man { .. } | GenerateVerb::Docs { .. } => "",
    };
    usage_error(format!("{} files cannot be written to stdout", several.len()))
        .hint(format!("{one}name a directory: --out DIR"))
}

/// Writes the documents into a directory, each atomically.
fn write_all(folder: &Path, documents: &[NamedDocument]) -> Result<()> {
    if host::is_no_directory(folder) {
        let message = format!("cannot write into {}: it is not a directory", folder.display());
        return Err(Error::new(ErrorKind::CannotWrite, message).hint("add --out DIR"));
    }
    host::make_directories(folder)?;
    for (name, text) in documents {
        host::write_file(&folder.join(name), text.as_bytes(), FileMode::PUBLIC_FILE)?;
    }
    Ok(())
}
