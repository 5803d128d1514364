// SPDX-License-Identifier: Apache-2.0
//! The merged report as a self-contained HTML page. The template is `templates/report-merge.html.tera`; its style is that of
//! the page of one node, with a few lines of its own.

use serde_json::{Value, json};
use tera::Context;

use super::{change_lists, change_words, counted, number_words};
use crate::document::page;
use crate::output::verify::{html_text, is_finding, page_parts, remedy_line, shares, status_words};
use crate::report::{MergeTrend, MergedControl, MergedNode, MergedReport, NodeGroup, Verdict};
use crate::verify::{Status, StatusCounts};

/// The most columns of the table: a browser shows no wider one well. The other groups stand below it.
const MOST_COLUMNS: usize = 120;

/// The most names of nodes in a sentence.
const MOST_NAMES: usize = 12;

/// The order of the statuses, findings first.
const ORDER: [Status; 6] =
    [Status::Fail, Status::Warn, Status::Unknown, Status::Manual, Status::Pass, Status::NotApplicable];

/// Returns the merged report as a page, which is complete without its script. `time` is that of the merge.
///
/// The content security policy allows only the page's own styles and script, by their hashes. Text of the reports is escaped,
/// and its invisible characters are written as numbers.
#[must_use]
pub fn merge_html(
    merged: &MergedReport,
    trend: Option<&MergeTrend>,
    time: &str,
    tool_version: &str,
) -> String {
    let mut context = Context::new();
    let score = merged.counts.score().map(|score| score.to_string());
    context.insert("version", tool_version);
    context.insert("facts", &facts(merged, time));
    context.insert("failing", &merged.nodes_with(Status::Fail));
    context.insert("banners", &banners(merged));
    context.insert("score", &score);
    context.insert("arcs", &shares(&merged.counts, &[Status::Pass, Status::Fail, Status::Warn]));
    context.insert("parts", &shares(&merged.counts, &Status::ALL));
    context.insert("tiles", &tiles(merged));
    context.insert("lists", &lists(merged));
    context.insert("trend", &trend.map(trend_value));
    let columns = merged.groups.len().min(MOST_COLUMNS);
    context.insert("columns", &(1..=columns).collect::<Vec<_>>());
    context.insert("columns_left_out", &(merged.groups.len() - columns));
    let controls = || merged.controls.iter().enumerate();
    context
        .insert("rows", &controls().map(|(index, one)| row(merged, index, one, columns)).collect::<Vec<_>>());
    let groups = merged.groups.iter().enumerate();
    context.insert("groups", &groups.map(|(index, one)| group(merged, index, one)).collect::<Vec<_>>());
    context
        .insert("controls", &controls().map(|(index, one)| control(merged, index, one)).collect::<Vec<_>>());
    context.insert("nodes", &merged.nodes.iter().map(|one| node(merged, one)).collect::<Vec<_>>());
    page(&page_parts("report-merge.html.tera"), &context, html_text)
}

fn readable(time: &str) -> String {
    time.replace('T', " ").replace('Z', " UTC")
}

fn facts(merged: &MergedReport, time: &str) -> Vec<Value> {
    let benchmarks = merged.benchmarks.iter().map(|(name, nodes)| format!("{name} ({nodes})"));
    let times = merged.times.as_ref().map(|(oldest, newest)| match oldest == newest {
        true => readable(oldest),
        false => format!("{} to {}", readable(oldest), readable(newest)),
    });
    [
        ("Groups of the same verdicts", Some(merged.groups.len().to_string())),
        ("CIS (nodes)", Some(benchmarks.collect::<Vec<_>>().join(", "))),
        ("Reports made", times),
        ("Merged", Some(readable(time))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(json!({"name": name, "value": value?})))
    .collect()
}

/// What could make the numbers below wrong.
fn banners(merged: &MergedReport) -> Vec<String> {
    let mut banners = Vec::new();
    if !merged.broken.is_empty() {
        let files = merged.broken.len();
        let are = if files == 1 { "is" } else { "are" };
        banners.push(format!(
            "{} {are} no report, and what they are about is not here.",
            counted(files, "file")
        ));
    }
    for remark in merged.remarks.iter().filter(|remark| remark.is_doubt()) {
        banners.push(format!("{}: {}.", counted(remark.nodes.len(), "node"), remark.message));
    }
    banners
}

fn tiles(merged: &MergedReport) -> Vec<Value> {
    let of = |status: Status| {
        json!({
            "status": status.name(),
            "nodes": merged.nodes_with(status),
            "word": format!("nodes with {}", status_words(status)),
            "first": first_group(merged, status),
        })
    };
    let is_quiet = |group: &&NodeGroup| {
        [Status::Fail, Status::Warn, Status::Unknown].iter().all(|status| group.open(*status) == 0)
    };
    let quiet: usize = merged.groups.iter().filter(is_quiet).map(|group| group.nodes.len()).sum();
    let pass = json!({"status": Status::Pass.name(), "nodes": quiet, "word": "nodes with none of these"});
    vec![of(Status::Fail), of(Status::Warn), of(Status::Unknown), pass]
}

/// Returns the number of the first group that has a status without a waiver.
fn first_group(merged: &MergedReport, status: Status) -> Option<usize> {
    merged.groups.iter().position(|group| group.open(status) > 0).map(|index| index + 1)
}

fn lists(merged: &MergedReport) -> Vec<Value> {
    let list = |heading: &str, lines: Vec<Value>| {
        (!lines.is_empty()).then(|| json!({"heading": heading, "lines": lines}))
    };
    let broken = merged.broken.iter().map(|one| json!({"text": one.why, "about": one.file})).collect();
    let superseded = merged.superseded.iter().map(|one| {
        let time = one.time.as_ref().map(|time| format!(" of {}", readable(time))).unwrap_or_default();
        let other = if one.other_machine { ", which is another machine" } else { "" };
        let text = format!("for {}{other}, {} counts and not the report{time}", one.node, one.by);
        json!({"text": text, "about": one.file})
    });
    let remarks = merged.remarks.iter().map(|one| {
        let nodes = (!one.nodes.is_empty()).then(|| names_of(&one.nodes, merged.nodes.len()));
        json!({"text": one.message, "about": nodes})
    });
    [
        list("Files that are no reports", broken),
        list("Reports that do not count", superseded.collect()),
        list("Remarks", remarks.collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn trend_value(trend: &MergeTrend) -> Value {
    let mut changes = Vec::new();
    for (word, of) in change_lists(trend) {
        let status = match word {
            "worse" => Status::Fail,
            "better" => Status::Pass,
            "changed" => Status::Manual,
            _ => Status::NotApplicable,
        };
        for change in of {
            changes.push(json!({
                "word": word,
                "status": status.name(),
                "id": change.id,
                "name": change.name,
                "what": change_words(change),
                "nodes": names(&change.nodes),
            }));
        }
    }
    let line = |word: &str, nodes: &[String]| {
        (!nodes.is_empty()).then(|| format!("{}: {}", counted(nodes.len(), word), names(nodes)))
    };
    let lines: Vec<String> = [line("new node", &trend.new_nodes), line("gone node", &trend.gone_nodes)]
        .into_iter()
        .flatten()
        .collect();
    json!({
        "time": readable(&trend.time),
        "file": trend.file,
        "nodes": trend.nodes,
        "remarks": trend.remarks,
        "changes": changes,
        "lines": lines,
    })
}

/// Returns the names of nodes, or that it is every one of `all`.
fn names_of(nodes: &[String], all: usize) -> String {
    if nodes.len() == all && all > 1 { "every node".to_owned() } else { names(nodes) }
}

fn names(nodes: &[String]) -> String {
    let more = nodes.len().saturating_sub(MOST_NAMES);
    let shown = nodes.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let count = if nodes.len() == 1 { String::new() } else { format!("{} nodes: ", nodes.len()) };
    if more == 0 { format!("{count}{shown}") } else { format!("{count}{shown} and {more} more") }
}

/// A row of the table. The cells are made here of fixed words alone: no text of a report is in them.
fn row(merged: &MergedReport, index: usize, control: &MergedControl, columns: usize) -> Value {
    let cells: String =
        merged.groups.iter().take(columns).map(|group| cell(group.verdicts.get(&index).copied())).collect();
    json!({
        "id": control.ids.last().map(|(_, id)| id.to_string()).unwrap_or_default(),
        "name": control.name,
        "todo": is_open(&control.open),
        "cells": cells,
    })
}

fn cell(verdict: Option<Verdict>) -> String {
    let Some(Verdict { status, waived }) = verdict else { return "<td></td>".to_owned() };
    let letter = match (status, waived) {
        (Status::Fail, false) => "F",
        (Status::Fail, true) => "f",
        (Status::Warn, false) => "W",
        (Status::Warn, true) => "w",
        (Status::Unknown, false) => "?",
        (Status::Unknown, true) => "u",
        (Status::Manual, false) => "M",
        (Status::Manual, true) => "m",
        (Status::Pass, _) => "•",
        (Status::NotApplicable, _) => "–",
    };
    let class = if waived { Status::Manual } else { status };
    format!("<td class=\"{}\">{letter}</td>", class.name())
}

fn is_open(open: &StatusCounts) -> bool {
    ORDER.iter().any(|status| is_finding(*status) && open.get(*status) > 0)
}

/// Returns the counts that are not zero: those of findings; without any, all of them.
fn counts(get: impl Fn(Status) -> usize, waived: usize) -> Vec<Value> {
    let has_findings = ORDER.iter().any(|status| is_finding(*status) && get(*status) > 0);
    let mut counts: Vec<Value> = ORDER
        .into_iter()
        .filter(|status| get(*status) > 0 && (is_finding(*status) || !has_findings))
        .map(|status| json!({"status": status.name(), "word": status_words(status), "count": get(status)}))
        .collect();
    if waived > 0 {
        counts.push(json!({"status": Status::Manual.name(), "word": "waived", "count": waived}));
    }
    counts
}

/// Returns the status that is told first: the worst without a waiver.
fn worst(get: impl Fn(Status) -> usize) -> Status {
    ORDER.into_iter().find(|status| get(*status) > 0).unwrap_or(Status::NotApplicable)
}

fn group(merged: &MergedReport, index: usize, group: &NodeGroup) -> Value {
    let list = |word: String, include: &dyn Fn(&Verdict) -> bool| {
        let of = group.verdicts.iter().filter(|(_, verdict)| include(verdict));
        let mut controls: Vec<_> = of
            .map(|(control, _)| {
                let control = &merged.controls[*control];
                let id = control.ids.iter().find(|(benchmark, _)| *benchmark == group.benchmark);
                (id.map(|(_, id)| id.clone()), &control.name)
            })
            .collect();
        controls.sort();
        let controls: Vec<String> = controls
            .into_iter()
            .map(|(id, name)| id.map_or_else(|| name.clone(), |id| format!("{id} {name}")))
            .collect();
        (!controls.is_empty()).then(|| json!({"word": word, "controls": controls.join(", ")}))
    };
    let of_status = |status: Status| {
        list(status_words(status).to_owned(), &|verdict: &Verdict| {
            verdict.status == status && !verdict.waived
        })
    };
    let mut lists: Vec<Value> = ORDER.into_iter().filter_map(of_status).collect();
    for status in ORDER {
        let word = format!("{}, waived", status_words(status));
        lists.extend(list(word, &|verdict: &Verdict| verdict.status == status && verdict.waived));
    }
    let names: Vec<&String> = group.nodes.iter().map(|node| &merged.nodes[*node].name).collect();
    let first = names.first().map_or("", |name| name.as_str());
    let title = match names.len() {
        1 => format!("{first}, CIS {}", group.benchmark),
        count => format!("{first} and {} more, CIS {}", count - 1, group.benchmark),
    };
    json!({
        "number": index + 1,
        "status": worst(|status| group.open(status)).name(),
        "title": title,
        "todo": ORDER.iter().any(|status| is_finding(*status) && group.open(*status) > 0),
        "counts": counts(|status| group.open(status), group.counts.waived),
        "nodes": names,
        "lists": lists,
    })
}

fn control(merged: &MergedReport, index: usize, control: &MergedControl) -> Value {
    let worst = worst(|status| control.open.get(status));
    let seen = control.seen.iter().map(|one| {
        let example = &merged.nodes[one.example].name;
        let nodes =
            if one.nodes == 1 { example.clone() } else { format!("{} nodes, as {example}", one.nodes) };
        json!({"actual": one.actual, "about": format!("{}: {nodes}", status_words(one.status))})
    });
    let left_out = (control.seen_left_out > 0)
        .then(|| json!({"actual": format!("and {} more values", control.seen_left_out), "about": ""}));
    let mut groups = Vec::new();
    for status in ORDER.into_iter().filter(|status| is_finding(*status)) {
        let has = |group: &NodeGroup| {
            group.verdicts.get(&index).is_some_and(|verdict| verdict.status == status && !verdict.waived)
        };
        let numbers: Vec<String> = merged
            .groups
            .iter()
            .enumerate()
            .filter(|(_, group)| has(group))
            .map(|(number, _)| (number + 1).to_string())
            .collect();
        if !numbers.is_empty() {
            groups.push(format!("{}: {}", status_words(status), numbers.join(", ")));
        }
    }
    json!({
        "id": number_words(control),
        "name": control.name,
        "title": control.title,
        "level": control.level,
        "status": worst.name(),
        "worst": status_words(worst),
        "todo": is_open(&control.open),
        // A control that every node meets needs no remedy.
        "remedy": control.remedy.trim_end().lines().filter(|_| is_open(&control.open)).map(remedy_line).collect::<Vec<_>>(),
        "counts": counts(|status| control.open.get(status), control.counts.waived),
        "seen": seen.chain(left_out).collect::<Vec<_>>(),
        "groups": groups.join("; "),
    })
}

fn node(merged: &MergedReport, node: &MergedNode) -> Value {
    let group = &merged.groups[node.group];
    let report = &node.report;
    let forecast = if report.started == Some(false) { ", not started" } else { "" };
    json!({
        "name": node.name,
        "group": node.group + 1,
        "fail": group.open(Status::Fail),
        "warn": group.open(Status::Warn),
        "unknown": group.open(Status::Unknown),
        "todo": ORDER.iter().any(|status| is_finding(*status) && group.open(*status) > 0),
        "role": report.role,
        "k3s": format!("{}{forecast}", report.k3s_version.as_ref().unwrap_or(&report.kubernetes)),
        "benchmark": group.benchmark,
        "time": report.time.as_deref().map(readable).unwrap_or_default(),
    })
}
