// SPDX-License-Identifier: Apache-2.0
//! Reference: the tables of the program as pages of the manual, in Markdown. Nothing that a table says is written by hand on a
//! page: `k3s-harden generate docs` writes them, and docs/reference has them.
//!
//! The facts of the command line come from `cli`, which has its tree. The room may import explain and every room below it.
//! Its files build on one another in this order: markdown, then a file for each page.

mod commands;
mod control_pages;
mod departures;
mod exit_codes;
mod markdown;
mod node_files;
mod settings;
mod variables;
mod versions;

pub use commands::{ArgumentFacts, CommandFacts, ExampleFacts, ValueFacts};
pub use markdown::ReferencePage;
pub use variables::VariableFacts;

use crate::error::Result;
use markdown::{Page, code, link, plain};

/// Returns every page. `commands` are the program and its verbs, `variables` what it reads in the environment.
///
/// # Errors
/// If a table of the program is wrong.
pub fn reference_pages(commands: &[CommandFacts], variables: &[VariableFacts]) -> Result<Vec<ReferencePage>> {
    let mut pages = vec![
        commands::page(commands),
        settings::page()?,
        control_pages::by_name()?,
        node_files::page()?,
        departures::page(),
        versions::page(),
        exit_codes::page(),
        variables::page(variables),
    ];
    pages.extend(control_pages::by_benchmark()?);
    let mut index = Page::new(
        "README.md",
        "Reference",
        "Every verb, setting, control, file and exit code, as the tables of the program have them.",
    );
    index.paragraph(&format!(
        "{} writes these pages. How to use the program is told by README.md of the project.",
        code("k3s-harden generate docs --out DIR")
    ));
    let rows = pages.iter().map(|page| vec![link(&page.title, &page.name), plain(&page.about)]);
    index.table(&["page", "what it is"], rows);
    Ok(std::iter::once(index).chain(pages).map(Page::finish).collect())
}
