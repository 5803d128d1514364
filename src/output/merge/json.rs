// SPDX-License-Identifier: Apache-2.0
//! The merged report as JSON, whose schema is `docs/schema/report-merge.json`. It is also what a later merge takes as its
//! baseline.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::change_lists;
use crate::output::origin::FORMAT_VERSION;
use crate::report::{
    EarlierVerdict, FleetChange, MergeTrend, MergedControl, MergedNode, MergedReport, NodeGroup,
};
use crate::verify::{Status, StatusCounts};

/// Returns the merged report for programs. `time` is that of the merge, and `tool_version` that of the program that merges.
#[must_use]
pub fn merge_json(
    merged: &MergedReport,
    trend: Option<&MergeTrend>,
    time: &str,
    tool_version: &str,
) -> Value {
    let mut json = json!({
        "format_version": FORMAT_VERSION,
        "time": time,
        "tool_version": tool_version,
        "summary": counts_json(&merged.counts),
        "benchmarks": merged.benchmarks.iter().cloned().collect::<BTreeMap<String, usize>>(),
        "oldest": merged.times.as_ref().map(|(oldest, _)| oldest),
        "newest": merged.times.as_ref().map(|(_, newest)| newest),
        "nodes": merged.nodes.iter().map(node).collect::<Vec<_>>(),
        "groups": merged.groups.iter().enumerate().map(|(index, one)| group(merged, index, one)).collect::<Vec<_>>(),
        "controls": merged.controls.iter().map(|one| control(merged, one)).collect::<Vec<_>>(),
        "broken": merged.broken.iter().map(|one| json!({"file": one.file, "why": one.why})).collect::<Vec<_>>(),
        "superseded": merged.superseded.iter().map(|one| json!({
            "node": one.node,
            "file": one.file,
            "time": one.time,
            "by": one.by,
            "other_machine": one.other_machine,
        })).collect::<Vec<_>>(),
        "remarks": merged.remarks.iter().map(|one| json!({
            "kind": one.kind.name(),
            "message": one.message,
            "nodes": one.nodes,
        })).collect::<Vec<_>>(),
    });
    if let Some(trend) = trend {
        json["trend"] = trend_json(trend);
    }
    json
}

fn counts_json(counts: &StatusCounts) -> Map<String, Value> {
    let mut summary: Map<String, Value> =
        Status::ALL.iter().map(|status| (status.name().to_owned(), counts.get(*status).into())).collect();
    summary.insert("waived".to_owned(), counts.waived.into());
    summary
}

fn node(node: &MergedNode) -> Value {
    let report = &node.report;
    json!({
        "name": node.name,
        "named_by": report.named_by.name(),
        "group": node.group + 1,
        "file": report.file,
        "machine_id_sha256": report.machine_id_sha256,
        "time": report.time,
        "tool_version": report.tool_version,
        "format_version": report.format,
        "k3s_version": report.k3s_version,
        "kubernetes": report.kubernetes,
        "judged_as": report.judged_as,
        "role": report.role,
        "started": report.started,
        "lapsed": node.lapsed,
    })
}

/// Groups count from 1. The verdicts are by the names of the controls, which stay the same in every benchmark.
fn group(merged: &MergedReport, index: usize, group: &NodeGroup) -> Value {
    let name = |control: &usize| merged.controls[*control].name.clone();
    let verdicts: Map<String, Value> = group
        .verdicts
        .iter()
        .map(|(control, verdict)| (name(control), verdict.status.name().into()))
        .collect();
    let waived = group.verdicts.iter().filter(|(_, verdict)| verdict.waived);
    let mut waived: Vec<String> = waived.map(|(control, _)| name(control)).collect();
    waived.sort();
    json!({
        "number": index + 1,
        "benchmark": group.benchmark,
        "summary": counts_json(&group.counts),
        "nodes": group.nodes.iter().map(|node| &merged.nodes[*node].name).collect::<Vec<_>>(),
        "verdicts": verdicts,
        "waived": waived,
    })
}

fn control(merged: &MergedReport, control: &MergedControl) -> Value {
    let ids: BTreeMap<&String, String> =
        control.ids.iter().map(|(benchmark, id)| (benchmark, id.to_string())).collect();
    let seen: Vec<Value> = control
        .seen
        .iter()
        .map(|one| {
            json!({
                "status": one.status,
                "actual": one.actual,
                "nodes": one.nodes,
                "example": merged.nodes[one.example].name,
            })
        })
        .collect();
    json!({
        "name": control.name,
        "ids": ids,
        "title": control.title,
        "level": control.level,
        "nodes": counts_json(&control.counts),
        "seen": seen,
        "seen_left_out": control.seen_left_out,
    })
}

fn trend_json(trend: &MergeTrend) -> Value {
    let mut json = json!({
        "since": {"file": trend.file, "time": trend.time, "nodes": trend.nodes},
        "remarks": trend.remarks,
        "new_nodes": trend.new_nodes,
        "gone_nodes": trend.gone_nodes,
    });
    for (name, changes) in change_lists(trend) {
        json[name] = changes.iter().map(change).collect();
    }
    json
}

fn change(change: &FleetChange) -> Value {
    let verdict = |verdict: EarlierVerdict| json!({"status": verdict.status, "waived": verdict.waived});
    json!({
        "name": change.name,
        "id": change.id,
        "before": change.before.map(verdict),
        "now": change.now.map(verdict),
        "nodes": change.nodes,
    })
}
