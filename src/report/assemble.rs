// SPDX-License-Identifier: Apache-2.0
//! Makes the merged report of the reports that were taken: names, groups, counts, and the order in which they are told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::merge::{BrokenReport, Cell, Merge, NodeKey, TakenControl, TakenReport};
use super::merged::{MergedControl, MergedNode, MergedReport, NodeGroup, SeenValue, Verdict};
use super::node_report::NameSource;
use super::remarks::remarks;
use crate::error::{Error, ErrorKind, Result, one_line};
use crate::verify::{Status, StatusCounts, benchmarks};

/// The most values that are told of a control.
const MOST_VALUES: usize = 20;

impl Merge {
    /// Makes the merged report.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if there is no report at all; its message names the files, and why each is none.
    pub fn finish(self) -> Result<MergedReport> {
        if self.nodes.is_empty() {
            return Err(no_report(&self.broken));
        }
        let Self { nodes, controls, texts, broken, superseded, .. } = self;
        let mut taken = named(nodes);
        let order = ControlOrder::new(&controls, &taken);
        let mut groups = grouped(&taken);
        // Worst first; of groups that are as bad, the one with more nodes.
        groups.sort_by_cached_key(|group| {
            let bad = Badness::of(group.verdicts.values());
            (Reverse(bad), Reverse(group.nodes.len()), group.nodes.first().copied())
        });
        let sequence: Vec<usize> = groups.iter().flat_map(|group| group.nodes.iter().copied()).collect();
        let mut place = vec![0; taken.len()];
        for (new, old) in sequence.iter().enumerate() {
            place[*old] = new;
        }
        for node in groups.iter_mut().flat_map(|group| &mut group.nodes) {
            *node = place[*node];
        }
        let mut in_order: Vec<Option<(String, TakenReport)>> = taken.drain(..).map(Some).collect();
        let taken: Vec<(String, TakenReport)> =
            sequence.iter().filter_map(|old| in_order[*old].take()).collect();

        let counted = order.sorted(controls, &texts, &taken);
        let index_of = counted.index_of;
        for group in &mut groups {
            let verdicts = std::mem::take(&mut group.verdicts);
            group.verdicts =
                verdicts.into_iter().map(|(control, verdict)| (index_of[control], verdict)).collect();
        }
        let mut counts = StatusCounts::default();
        let mut by_benchmark: BTreeMap<&str, usize> = BTreeMap::new();
        for group in &groups {
            counts.add_all(&group.counts, group.nodes.len());
            *by_benchmark.entry(&group.benchmark).or_default() += group.nodes.len();
        }
        let mut benchmarks: Vec<(String, usize)> =
            by_benchmark.into_iter().map(|(name, nodes)| (name.to_owned(), nodes)).collect();
        benchmarks.sort_by_cached_key(|(name, _)| age(name));
        let mut group_of = vec![0; taken.len()];
        for (index, group) in groups.iter().enumerate() {
            group.nodes.iter().for_each(|node| group_of[*node] = index);
        }
        let ended: BTreeSet<usize> =
            (0..taken.len()).filter(|node| taken[*node].1.cells.iter().any(|cell| cell.ended)).collect();
        let nodes: Vec<MergedNode> = taken
            .into_iter()
            .enumerate()
            .map(|(index, (name, taken))| MergedNode {
                name,
                group: group_of[index],
                lapsed: taken.cells.iter().filter(|cell| cell.lapsed && !cell.waived).count(),
                report: taken.report,
            })
            .collect();
        let times = nodes.iter().filter_map(|node| node.report.time.as_ref());
        let times = times.clone().min().cloned().zip(times.max().cloned());
        let mut merged = MergedReport {
            nodes,
            groups,
            controls: counted.controls,
            counts,
            benchmarks,
            times,
            broken,
            superseded,
            remarks: Vec::new(),
        };
        merged.remarks = remarks(&merged, &ended);
        Ok(merged)
    }
}

/// Gives each node its name, and sorts by it. A file without a node's name is that of the file without its folder and
/// ending, or its path if another node has that name.
fn named(nodes: BTreeMap<NodeKey, TakenReport>) -> Vec<(String, TakenReport)> {
    let stem = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        name.strip_suffix(".json").unwrap_or(name).to_owned()
    };
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for key in nodes.keys() {
        let name = match key {
            NodeKey::Named(name) => name.clone(),
            NodeKey::File(file) => stem(file),
        };
        *uses.entry(name).or_default() += 1;
    }
    let mut named: Vec<(String, TakenReport)> = nodes
        .into_values()
        .map(|taken| {
            let report = &taken.report;
            let name = match report.named_by {
                NameSource::File => Some(stem(&report.file)).filter(|name| uses[name] == 1),
                NameSource::Host | NameSource::MachineId => None,
            };
            (name.unwrap_or_else(|| report.name.clone()), taken)
        })
        .collect();
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    named
}

/// A benchmark, and verdicts by it.
type JudgedBy<'a> = (&'a str, Vec<(usize, Verdict)>);

/// Puts nodes with the same verdicts by the same benchmark together.
fn grouped(taken: &[(String, TakenReport)]) -> Vec<NodeGroup> {
    let mut groups: BTreeMap<JudgedBy<'_>, Vec<usize>> = BTreeMap::new();
    for (index, (_, one)) in taken.iter().enumerate() {
        let verdict = |cell: &Cell| Verdict { status: cell.status, waived: cell.waived };
        let verdicts = one.cells.iter().map(|cell| (cell.control, verdict(cell))).collect();
        groups.entry((&one.report.benchmark, verdicts)).or_default().push(index);
    }
    groups
        .into_iter()
        .map(|((benchmark, verdicts), nodes)| {
            let mut counts = StatusCounts::default();
            verdicts.iter().for_each(|(_, verdict)| counts.add(verdict.status, verdict.waived));
            NodeGroup {
                benchmark: benchmark.to_owned(),
                nodes,
                verdicts: verdicts.into_iter().collect(),
                counts,
            }
        })
        .collect()
}

/// How bad verdicts are: those that are not waived, by how much they tell against a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Badness {
    fail: usize,
    warn: usize,
    unknown: usize,
    manual: usize,
}

impl Badness {
    fn of<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Self {
        let mut bad = Self::default();
        for verdict in verdicts.filter(|verdict| !verdict.waived) {
            match verdict.status {
                Status::Fail => bad.fail += 1,
                Status::Warn => bad.warn += 1,
                Status::Unknown => bad.unknown += 1,
                Status::Manual => bad.manual += 1,
                Status::Pass | Status::NotApplicable => {}
            }
        }
        bad
    }

    fn of_counts(counts: &StatusCounts) -> Self {
        Self {
            fail: counts.get(Status::Fail),
            warn: counts.get(Status::Warn),
            unknown: counts.get(Status::Unknown),
            manual: counts.get(Status::Manual),
        }
    }
}

/// The benchmarks in use, oldest first.
struct ControlOrder {
    benchmarks: Vec<String>,
}

/// The controls, sorted, and where each one of the reports is now.
struct SortedControls {
    controls: Vec<MergedControl>,
    index_of: Vec<usize>,
}

impl ControlOrder {
    fn new(controls: &[TakenControl], taken: &[(String, TakenReport)]) -> Self {
        let used: BTreeSet<&str> = taken.iter().map(|(_, one)| one.report.benchmark.as_str()).collect();
        let known: BTreeSet<&str> =
            controls.iter().flat_map(|control| control.ids.keys().map(String::as_str)).collect();
        let mut benchmarks: Vec<String> = used.intersection(&known).map(|name| (*name).to_owned()).collect();
        benchmarks.sort_by_cached_key(|name| age(name));
        Self { benchmarks }
    }

    /// Counts the verdicts of each control, and sorts: worst first, then by the number in the newest benchmark. Controls of
    /// reports that do not count are left out.
    fn sorted(
        &self,
        controls: Vec<TakenControl>,
        texts: &[String],
        taken: &[(String, TakenReport)],
    ) -> SortedControls {
        let mut counts = vec![(StatusCounts::default(), StatusCounts::default()); controls.len()];
        let mut seen: BTreeMap<(usize, Status, usize), (usize, usize)> = BTreeMap::new();
        for (node, (_, one)) in taken.iter().enumerate() {
            for cell in &one.cells {
                let (all, open) = &mut counts[cell.control];
                all.add(cell.status, cell.waived);
                if !cell.waived {
                    open.add(cell.status, false);
                }
                let is_finding = matches!(cell.status, Status::Fail | Status::Warn | Status::Unknown);
                if is_finding && !cell.waived && !texts[cell.actual].is_empty() {
                    seen.entry((cell.control, cell.status, cell.actual)).or_insert((0, node)).0 += 1;
                }
            }
        }
        let mut values: Vec<Vec<SeenValue>> = vec![Vec::new(); controls.len()];
        for ((control, status, actual), (nodes, example)) in seen {
            values[control].push(SeenValue { status, actual: texts[actual].clone(), nodes, example });
        }
        let mut made: Vec<(usize, MergedControl)> = controls
            .into_iter()
            .zip(counts)
            .zip(values)
            .enumerate()
            .map(|(index, ((control, (counts, open)), mut seen))| {
                seen.sort_by(|one, other| {
                    (Reverse(one.nodes), one.example).cmp(&(Reverse(other.nodes), other.example))
                });
                let seen_left_out = seen.len().saturating_sub(MOST_VALUES);
                seen.truncate(MOST_VALUES);
                let id = |name: &String| Some((name.clone(), control.ids.get(name)?.clone()));
                let ids = self.benchmarks.iter().filter_map(id).collect();
                let TakenControl { name, title, level, remedy, .. } = control;
                (index, MergedControl { name, title, level, remedy, ids, counts, open, seen, seen_left_out })
            })
            .filter(|(_, control)| control.counts.total() > 0)
            .collect();
        made.sort_by_cached_key(|(_, control)| {
            // A control that the newest benchmark no longer has stands where its last number is.
            let id = control.ids.last().map(|(_, id)| id.clone());
            (Reverse(Badness::of_counts(&control.open)), id, control.name.clone())
        });
        let mut index_of = vec![0; made.iter().map(|(old, _)| old + 1).max().unwrap_or(0)];
        made.iter().enumerate().for_each(|(new, (old, _))| index_of[*old] = new);
        SortedControls { controls: made.into_iter().map(|(_, control)| control).collect(), index_of }
    }
}

/// Returns a key that sorts benchmarks by their age: those that this version knows in its order, then the others.
fn age(benchmark: &str) -> (usize, String) {
    let known = benchmarks();
    (known.iter().position(|name| *name == benchmark).unwrap_or(known.len()), benchmark.to_owned())
}

/// Returns the error where no file is a report.
fn no_report(broken: &[BrokenReport]) -> Error {
    const MOST: usize = 20;
    let mut lines: Vec<String> =
        broken.iter().take(MOST).map(|one| format!("{}: {}", one_line(&one.file), one.why)).collect();
    if broken.len() > MOST {
        lines.push(format!("and {} more", broken.len() - MOST));
    }
    let message = format!("no file is a report of k3s-harden verify\n{}", lines.join("\n"));
    Error::new(ErrorKind::BadInput, message.trim_end())
        .hint("make one on each node with `k3s-harden verify --format json`, and name their files")
}
