// SPDX-License-Identifier: Apache-2.0
//! What has changed on many nodes since an older merged report. What is better or worse, verify's own comparison of two
//! reports decides ([`rank`]); the same change on several nodes is one.

use std::collections::{BTreeMap, BTreeSet};

use super::merge_baseline::{EarlierVerdict, MergeBaseline};
use super::merged::{MergedReport, Verdict};
use crate::verify::Status;
use crate::verify::baseline::rank;

/// The changes since an older merged report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeTrend {
    /// The file of the older report.
    pub file: String,
    /// When it was made.
    pub time: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// Differences that are no change of a verdict, one sentence each.
    pub remarks: Vec<String>,
    /// Verdicts of a worse rank than before.
    pub worse: Vec<FleetChange>,
    /// Verdicts of a better rank than before.
    pub better: Vec<FleetChange>,
    /// Verdicts with another status of the same rank, or with an added or removed waiver.
    pub changed: Vec<FleetChange>,
    /// Verdicts for controls that there were none for.
    pub new: Vec<FleetChange>,
    /// Verdicts for controls that there are none for any more.
    pub gone: Vec<FleetChange>,
    /// Nodes that only the new report has.
    pub new_nodes: Vec<String>,
    /// Nodes that only the older report has.
    pub gone_nodes: Vec<String>,
}

/// A change of a control that some nodes have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetChange {
    /// The control's name.
    pub name: String,
    /// Its number in the newest benchmark that has it; none if none of the new reports has it.
    pub id: Option<String>,
    /// The verdict before.
    pub before: Option<EarlierVerdict>,
    /// The verdict now.
    pub now: Option<EarlierVerdict>,
    /// The names of the nodes.
    pub nodes: Vec<String>,
}

/// A control, and its verdicts before and now.
type ChangeKey<'a> = (&'a str, Option<(Status, bool)>, Option<(Status, bool)>);

impl MergeBaseline {
    /// Compares a merged report with this older one. Only nodes that both have are compared.
    #[must_use]
    pub fn compare(&self, merged: &MergedReport) -> MergeTrend {
        let mut changes: BTreeMap<ChangeKey<'_>, Vec<String>> = BTreeMap::new();
        // Nodes that were in one group and are in one group have the same changes.
        let mut pairs: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
        let mut new_nodes = Vec::new();
        let (mut same_report, mut older, mut other_benchmark) = (0, 0, 0);
        for node in &merged.nodes {
            let Some(before) = self.nodes.get(&node.name) else {
                new_nodes.push(node.name.clone());
                continue;
            };
            pairs.entry((before.group, node.group)).or_default().push(node.name.clone());
            other_benchmark += usize::from(before.benchmark != merged.groups[node.group].benchmark);
            if node.report.time.is_some() {
                same_report += usize::from(node.report.time == before.time);
                older += usize::from(node.report.time < before.time);
            }
        }
        let index: BTreeMap<&str, usize> = merged
            .controls
            .iter()
            .enumerate()
            .map(|(index, control)| (control.name.as_str(), index))
            .collect();
        for ((before, now), nodes) in pairs {
            let (before, now) = (&self.groups[before], &merged.groups[now].verdicts);
            let names: BTreeSet<&str> = before
                .keys()
                .map(String::as_str)
                .chain(now.keys().map(|control| merged.controls[*control].name.as_str()))
                .collect();
            for name in names {
                let then = before.get(name).map(|verdict| (verdict.status, verdict.waived));
                let now = index.get(name).and_then(|index| now.get(index));
                let now = now.map(|verdict: &Verdict| (verdict.status, verdict.waived));
                if then != now {
                    changes.entry((name, then, now)).or_default().extend(nodes.iter().cloned());
                }
            }
        }
        let names: BTreeSet<&str> = merged.nodes.iter().map(|node| node.name.as_str()).collect();
        let gone_nodes = self.nodes.keys().filter(|name| !names.contains(name.as_str())).cloned().collect();
        let mut remarks = Vec::new();
        let mut say = |count: usize, what: &str| {
            if count > 0 {
                remarks.push(format!("{count} {}{what}", if count == 1 { "node " } else { "nodes " }));
            }
        };
        say(other_benchmark, "judged by another benchmark than then");
        say(same_report, "with the same report as then: no newer one was named");
        say(older, "with an older report than then");
        let mut trend = MergeTrend {
            file: self.file.clone(),
            time: self.time.clone(),
            nodes: self.nodes.len(),
            remarks,
            worse: Vec::new(),
            better: Vec::new(),
            changed: Vec::new(),
            new: Vec::new(),
            gone: Vec::new(),
            new_nodes,
            gone_nodes,
        };
        for ((name, before, now), mut nodes) in changes {
            let list = match (before, now) {
                (Some((then, _)), Some((now, _))) if rank(now) > rank(then) => &mut trend.worse,
                (Some((then, _)), Some((now, _))) if rank(now) < rank(then) => &mut trend.better,
                (Some(_), Some(_)) => &mut trend.changed,
                (None, _) => &mut trend.new,
                (Some(_), None) => &mut trend.gone,
            };
            nodes.sort();
            let verdict = |(status, waived)| EarlierVerdict { status, waived };
            let id = index.get(name).and_then(|index| merged.controls[*index].ids.last());
            list.push(FleetChange {
                name: name.to_owned(),
                id: id.map(|(_, id)| id.to_string()),
                before: before.map(verdict),
                now: now.map(verdict),
                nodes,
            });
        }
        for list in [&mut trend.worse, &mut trend.better, &mut trend.changed, &mut trend.new, &mut trend.gone]
        {
            list.sort_by(|one, other| {
                other.nodes.len().cmp(&one.nodes.len()).then_with(|| one.name.cmp(&other.name))
            });
        }
        trend
    }
}

impl MergeTrend {
    /// Tells whether a verdict without a waiver is worse on a node.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.worse.iter().any(|change| change.now.is_some_and(|now| !now.waived))
    }

    /// Returns how many nodes have a verdict that is worse, and how many one that is better.
    #[must_use]
    pub fn moved(&self) -> (usize, usize) {
        let nodes = |changes: &[FleetChange]| {
            changes.iter().flat_map(|change| &change.nodes).collect::<BTreeSet<_>>().len()
        };
        (nodes(&self.worse), nodes(&self.better))
    }
}
