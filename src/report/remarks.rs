// SPDX-License-Identifier: Apache-2.0
//! What has to be known to read a merged report rightly: reports of different versions, forecasts, verdicts that are
//! missing, machines that share a name.

use std::collections::{BTreeMap, BTreeSet};

use super::merged::MergedReport;
use super::node_report::NameSource;
use super::remark::{MergeRemark, RemarkKind};
use crate::verify::{benchmarks, controls};

/// Returns the remarks. `ended` are the nodes with a waiver that has ended since their report.
pub(super) fn remarks(merged: &MergedReport, ended: &BTreeSet<usize>) -> Vec<MergeRemark> {
    let mut found = Vec::new();
    let mut add = |kind, message: String, nodes: Vec<String>| {
        found.push(MergeRemark { kind, message, nodes });
    };
    several_machines(merged, &mut add);
    same_machine(merged, &mut add);
    incomplete(merged, &mut add);
    let mut names = |kind, message: &str, is: &dyn Fn(usize) -> bool| {
        let nodes: Vec<String> = (0..merged.nodes.len())
            .filter(|node| is(*node))
            .map(|node| merged.nodes[node].name.clone())
            .collect();
        if !nodes.is_empty() {
            add(kind, message.to_owned(), nodes);
        }
    };
    let report = |node: usize| &merged.nodes[node].report;
    names(
        RemarkKind::UnknownStatus,
        "a newer version wrote statuses that this version does not know: they count as unknown",
        &|node| !report(node).unknown_statuses.is_empty(),
    );
    names(
        RemarkKind::WaiverEnded,
        "waivers have ended since the report was made, and no longer count",
        &|node| ended.contains(&node),
    );
    names(RemarkKind::WaiverNotCounted, "waivers did not count when the report was made", &|node| {
        report(node).waiver_findings > 0
    });
    names(
        RemarkKind::Forecast,
        "K3s has not started there: the verdicts are a forecast of what holds once it starts",
        &|node| report(node).started == Some(false),
    );
    names(
        RemarkKind::Assumed,
        "Kubernetes is newer there than the version that verified knew, and was judged as the newest known minor",
        &|node| report(node).judged_as.is_some(),
    );
    names(
        RemarkKind::NoTime,
        "the report does not say when it was made: any other report of the node is taken for a newer one",
        &|node| report(node).time.is_none(),
    );
    names(
        RemarkKind::NoHost,
        "the report names no host: the machine id or the file stands for it",
        &|node| report(node).named_by != NameSource::Host,
    );
    mixed(merged, RemarkKind::Formats, "the reports have several formats", &mut add, &|node| {
        report(node).format.clone()
    });
    mixed(
        merged,
        RemarkKind::Tools,
        "the reports are by several versions of k3s-harden",
        &mut add,
        &|node| report(node).tool_version.clone().unwrap_or_else(|| "one that does not say so".to_owned()),
    );
    found
}

type Add<'a> = &'a mut dyn FnMut(RemarkKind, String, Vec<String>);

/// Names that stand for several machines: only the newest report of the name counts.
fn several_machines(merged: &MergedReport, add: Add<'_>) {
    let several = merged.superseded.iter().filter(|report| report.other_machine);
    let names: BTreeSet<String> = several.map(|report| report.node.clone()).collect();
    if !names.is_empty() {
        let message = "machines with different machine ids have this name, and only the newest report counts: name them \
                       apart with verify --node, or remove the reports of machines that are gone";
        add(RemarkKind::SeveralMachines, message.to_owned(), names.into_iter().collect());
    }
}

fn same_machine(merged: &MergedReport, add: Add<'_>) {
    let mut by_machine: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for node in &merged.nodes {
        if let Some(id) = &node.report.machine_id_sha256 {
            by_machine.entry(id).or_default().push(node.name.clone());
        }
    }
    for nodes in by_machine.into_values().filter(|nodes| nodes.len() > 1) {
        let message =
            "these have one machine id: a machine under several names, or a copied image".to_owned();
        add(RemarkKind::SameMachine, message, nodes);
    }
}

/// Reports that were made with `--only` or `--skip`, or of a benchmark that this version does not know.
fn incomplete(merged: &MergedReport, add: Add<'_>) {
    let mut unknown: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut incomplete: BTreeMap<(&str, usize, usize), Vec<String>> = BTreeMap::new();
    for (benchmark, _) in &merged.benchmarks {
        // One that the table has, but nothing else.
        let whole = benchmarks().contains(&benchmark.as_str()).then(|| controls(benchmark).ok()).flatten();
        for group in merged.groups.iter().filter(|group| group.benchmark == *benchmark) {
            let names = || group.nodes.iter().map(|node| merged.nodes[*node].name.clone());
            let Some(whole) = &whole else {
                unknown.entry(benchmark).or_default().extend(names());
                continue;
            };
            let has: BTreeSet<&str> =
                group.verdicts.keys().map(|control| merged.controls[*control].name.as_str()).collect();
            let missing = whole.iter().filter(|control| !has.contains(control.name.as_str())).count();
            if missing > 0 {
                incomplete.entry((benchmark, missing, whole.len())).or_default().extend(names());
            }
        }
    }
    for ((benchmark, missing, all), nodes) in incomplete {
        let message = format!(
            "the reports have no verdict for {missing} of the {all} controls of CIS {benchmark}: verify was run with --only or --skip, or by another version"
        );
        add(RemarkKind::Incomplete, message, nodes);
    }
    for (benchmark, nodes) in unknown {
        let message = format!(
            "this version does not know CIS {benchmark}: whether its reports are complete is not judged"
        );
        add(RemarkKind::UnknownBenchmark, message, nodes);
    }
}

/// Says of how many nodes a value is, if not all have the same.
fn mixed(merged: &MergedReport, kind: RemarkKind, what: &str, add: Add<'_>, value: &dyn Fn(usize) -> String) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in 0..merged.nodes.len() {
        *counts.entry(value(node)).or_default() += 1;
    }
    if counts.len() > 1 {
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|(_, one), (_, other)| other.cmp(one));
        const MOST: usize = 8;
        let more = counts.len().saturating_sub(MOST);
        let mut parts: Vec<String> =
            counts.into_iter().take(MOST).map(|(value, count)| format!("{value} ({count})")).collect();
        if more > 0 {
            parts.push(format!("and {more} more"));
        }
        add(kind, format!("{what}: {}", parts.join(", ")), Vec::new());
    }
}
