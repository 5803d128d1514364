// SPDX-License-Identifier: Apache-2.0
//! The pages of controls: one of all by their names, and one for each benchmark, by numbers.

use std::collections::BTreeMap;

use super::markdown::{NOTHING, Page, anchor, code, link, links, plain};
use super::versions;
use crate::error::Result;
use crate::explain::{files_of, is_in_drop_in, settings_of};
use crate::profile::ControlId;
use crate::verify::{Control, ControlRule, benchmarks, controls, section_name};

/// A control in all benchmarks that have it.
struct ControlHistory {
    title: String,
    /// Its numbers, each with the index of the benchmark.
    numbers: Vec<(usize, ControlId)>,
}

/// Returns the page of all controls.
pub(super) fn by_name() -> Result<Page> {
    let mut page = Page::new(
        "controls.md",
        "Controls",
        "Every control of the benchmarks under its name, which never changes, with its numbers.",
    );
    page.paragraph("The titles are those of k3s-harden. `k3s-harden explain NAME` tells why a control is asked for, what sets it on a node, and what scanners make of it; `k3s-harden verify` judges it.");
    let mut found: BTreeMap<String, ControlHistory> = BTreeMap::new();
    let mut pages = Vec::new();
    for (index, benchmark) in benchmarks().iter().enumerate() {
        let controls = controls(benchmark)?;
        let automated = controls.iter().filter(|control| control.automated).count();
        pages.push(vec![
            link(&format!("CIS {benchmark}"), &page_name(benchmark)),
            controls.len().to_string(),
            automated.to_string(),
            versions::minors_of(benchmark),
        ]);
        for Control { name, title, id, .. } in controls {
            let history = found.entry(name).or_insert(ControlHistory { title, numbers: Vec::new() });
            history.numbers.push((index, id));
        }
    }
    page.table(&["by number", "controls", "automated", "default on Kubernetes"], pages);
    // A control stands in the section of the newest benchmark that has it.
    let mut sections: BTreeMap<String, Vec<(&ControlId, &String, &ControlHistory)>> = BTreeMap::new();
    for (name, history) in &found {
        let newest = history.numbers.last().map(|(_, id)| id);
        newest.into_iter().for_each(|id| {
            sections.entry(id.section()).or_default().push((id, name, history));
        });
    }
    for (section, mut rows) in sections {
        rows.sort_by_key(|(id, name, _)| (*id, *name));
        page.heading(&format!("{section} {}", section_name(&section)));
        page.table(
            &["control", "what it asks for", "numbers", "set by"],
            rows.into_iter().map(|(_, name, history)| {
                let name_cell = format!("{}{}", anchor(name), code(name));
                vec![name_cell, plain(&history.title), numbers(&history.numbers), set_by(name)]
            }),
        );
    }
    Ok(page)
}

/// Returns the page of each benchmark, oldest first.
pub(super) fn by_benchmark() -> Result<Vec<Page>> {
    benchmarks().iter().map(|benchmark| of_benchmark(benchmark)).collect()
}

fn page_name(benchmark: &str) -> String {
    format!("controls-cis-{benchmark}.md")
}

fn of_benchmark(benchmark: &str) -> Result<Page> {
    let controls = controls(benchmark)?;
    let automated = controls.iter().filter(|control| control.automated).count();
    let mut page = Page::new(
        page_name(benchmark),
        format!("Controls of CIS {benchmark}"),
        format!("The {} controls of the CIS Kubernetes Benchmark {benchmark} by number.", controls.len()),
    );
    let default = match versions::minors_of(benchmark).as_str() {
        NOTHING => String::new(),
        minors => format!(", the default on Kubernetes {minors}"),
    };
    page.paragraph(&format!(
        "{automated} of them are automated: a node that does not meet one fails. The others are left to a person. The profile is {}{default}. A dash means that no setting or file of k3s-harden sets it: K3s does, or a person must; {} tells. All benchmarks: [controls.md](controls.md).",
        code(&format!("cis-{benchmark}")),
        code("k3s-harden explain NUMBER"),
    ));
    let mut rest = controls.as_slice();
    while let Some(first) = rest.first() {
        let section = first.id.section();
        let count = rest.iter().take_while(|control| control.id.section() == section).count();
        let (rows, others) = rest.split_at(count);
        rest = others;
        page.heading(&format!("{section} {}", section_name(&section)));
        page.table(
            &["number", "control", "what it asks for", "level", "automated", "nodes", "set by"],
            rows.iter().map(row),
        );
    }
    Ok(page)
}

fn row(control: &Control) -> Vec<String> {
    let roles: Vec<String> = control.roles.iter().map(ToString::to_string).collect();
    vec![
        format!("{}{}", anchor(&control.id.to_string()), control.id),
        link(&control.name, &format!("controls.md#{}", control.name)),
        plain(&control.title),
        control.level.to_string(),
        if control.automated { "yes" } else { "no" }.to_owned(),
        roles.join(", "),
        match control.rule {
            ControlRule::NotApplicable(_) => "not applicable to K3s".to_owned(),
            _ => set_by(&control.name),
        },
    ]
}

/// Returns links to the settings and files that implement a control.
fn set_by(control: &str) -> String {
    let settings = settings_of(control);
    let files = is_in_drop_in(control).then_some("config").into_iter().chain(files_of(control));
    let settings = links(settings, |name| format!("settings.md#{name}"));
    let files = links(files, |key| format!("files.md#{key}"));
    match (settings.as_str(), files.as_str()) {
        (NOTHING, _) => files,
        (_, NOTHING) => settings,
        _ => format!("{settings}; {files}"),
    }
}

/// Returns the numbers of a control, each with the benchmarks that have it: `1.2.17 in 1.9 to 2.1`.
fn numbers(numbers: &[(usize, ControlId)]) -> String {
    let mut runs: Vec<(&ControlId, usize, usize)> = Vec::new();
    for (index, id) in numbers {
        match runs.last_mut() {
            Some((known, _, last)) if *known == id && *last + 1 == *index => *last = *index,
            _ => runs.push((id, *index, *index)),
        }
    }
    let name = |index: usize| benchmarks().get(index).copied().unwrap_or_default();
    let words = runs.iter().map(|(id, first, last)| match last - first {
        0 => format!("{id} in {}", name(*first)),
        1 => format!("{id} in {}, {}", name(*first), name(*last)),
        _ => format!("{id} in {} to {}", name(*first), name(*last)),
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_the_benchmarks_that_have_them() {
        let ids = |all: &[(usize, &str)]| -> Vec<(usize, ControlId)> {
            all.iter().map(|(index, id)| (*index, id.parse().unwrap())).collect()
        };
        // 1.23, 1.24, 1.7, 1.8, 1.9 …
        let some = ids(&[(0, "1.1.1"), (1, "1.1.1"), (2, "1.1.2"), (4, "1.1.2"), (5, "1.1.2"), (6, "1.1.2")]);
        assert_eq!(numbers(&some), "1.1.1 in 1.23, 1.24; 1.1.2 in 1.7; 1.1.2 in 1.9 to 1.11");
    }
}
