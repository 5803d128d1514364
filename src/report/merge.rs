// SPDX-License-Identifier: Apache-2.0
//! Takes reports one after the other. Of each node the newest is kept, and only what is merged of it: a few bytes for
//! each verdict, because texts that several nodes have are kept once.

use std::collections::BTreeMap;

use super::limits::MAX_ALL_CONTROLS;
use super::node_report::{NameSource, NodeReport};
use crate::error::Error;
use crate::profile::ControlId;
use crate::verify::Status;

/// A file that is no report, and why. It stops none of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenReport {
    /// The file, as the user named it.
    pub file: String,
    /// Why it is not read.
    pub why: String,
}

/// A report that does not count, because a newer one of the same node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupersededReport {
    /// The name of the node.
    pub node: String,
    /// The file.
    pub file: String,
    /// When it was made.
    pub time: Option<String>,
    /// The file of the report that counts.
    pub by: String,
    /// Whether it is of another machine: the two have different machine ids.
    pub other_machine: bool,
}

/// Reports, as they come.
#[derive(Debug, Default)]
pub struct Merge {
    pub(super) nodes: BTreeMap<NodeKey, TakenReport>,
    pub(super) controls: Vec<TakenControl>,
    pub(super) texts: Vec<String>,
    pub(super) broken: Vec<BrokenReport>,
    pub(super) superseded: Vec<SupersededReport>,
    control_indices: BTreeMap<String, usize>,
    text_indices: BTreeMap<String, usize>,
}

/// What makes two reports those of one node. A file that names no node stands for one of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NodeKey {
    Named(String),
    File(String),
}

/// A report without its verdicts, and those.
#[derive(Debug)]
pub(super) struct TakenReport {
    /// The report; its list of verdicts is empty.
    pub(super) report: NodeReport,
    /// By control.
    pub(super) cells: Vec<Cell>,
}

/// A verdict. The control and the value are indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) control: usize,
    pub(super) status: Status,
    pub(super) waived: bool,
    pub(super) lapsed: bool,
    pub(super) ended: bool,
    pub(super) actual: usize,
}

/// A control of any of the reports.
#[derive(Debug)]
pub(super) struct TakenControl {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) level: u8,
    /// The shortest: that of an image names its root.
    pub(super) remedy: String,
    /// Its number in each benchmark; the first report that has one decides.
    pub(super) ids: BTreeMap<String, ControlId>,
}

impl TakenControl {
    fn take_remedy(&mut self, remedy: String) {
        let is_better = self.remedy.is_empty() || (remedy.len(), &remedy) < (self.remedy.len(), &self.remedy);
        if is_better && !remedy.is_empty() {
            self.remedy = remedy;
        }
    }
}

impl Merge {
    /// Takes a report, or the reason why a file is none.
    pub fn take(&mut self, file: &str, report: Result<NodeReport, Error>) {
        match report.and_then(|report| self.check(report)) {
            Ok(report) => self.add(report),
            Err(error) => {
                // The file stands beside it: an error with a place does not name it again, and one of reading does.
                let why = match error.place().map(|place| place.position) {
                    None => error.message_without(file),
                    Some(None) => error.message().to_owned(),
                    Some(Some((line, column))) => {
                        format!("line {line}, column {column}: {}", error.message())
                    }
                };
                self.broken.push(BrokenReport { file: file.to_owned(), why });
            }
        }
    }

    /// Refuses a report with so many names of its own that they would fill the memory.
    fn check(&self, report: NodeReport) -> Result<NodeReport, Error> {
        let is_new = |name: &String| !self.control_indices.contains_key(name);
        let new = report.verdicts.iter().filter(|verdict| is_new(&verdict.name)).count();
        if self.controls.len() + new > MAX_ALL_CONTROLS {
            let why = format!("with its controls there are more than {MAX_ALL_CONTROLS}");
            return Err(Error::new(crate::ErrorKind::BadInput, why));
        }
        Ok(report)
    }

    fn add(&mut self, mut report: NodeReport) {
        let verdicts = std::mem::take(&mut report.verdicts);
        let key = match report.named_by {
            NameSource::File => NodeKey::File(report.file.clone()),
            NameSource::Host | NameSource::MachineId => NodeKey::Named(report.name.clone()),
        };
        if let Some(other) = self.nodes.get(&key) {
            // A time is newer than none, and of two that are the same the later file counts.
            let is_older = report.time < other.report.time;
            let (kept, dropped) = if is_older { (&other.report, &report) } else { (&report, &other.report) };
            let machines = kept.machine_id_sha256.as_ref().zip(dropped.machine_id_sha256.as_ref());
            self.superseded.push(SupersededReport {
                node: kept.name.clone(),
                file: dropped.file.clone(),
                time: dropped.time.clone(),
                by: kept.file.clone(),
                other_machine: machines.is_some_and(|(one, other)| one != other),
            });
            if is_older {
                return;
            }
        }
        let mut cells: Vec<Cell> = verdicts
            .into_iter()
            .map(|verdict| {
                let control = self.control(&verdict.name, verdict.title, verdict.level);
                self.controls[control].take_remedy(verdict.remedy);
                let ids = &mut self.controls[control].ids;
                if !ids.contains_key(&report.benchmark) {
                    ids.insert(report.benchmark.clone(), verdict.id);
                }
                Cell {
                    control,
                    status: verdict.status,
                    waived: verdict.waived,
                    lapsed: verdict.lapsed,
                    ended: verdict.ended.is_some(),
                    actual: self.text(verdict.actual),
                }
            })
            .collect();
        cells.sort_unstable();
        self.nodes.insert(key, TakenReport { report, cells });
    }

    fn control(&mut self, name: &str, title: String, level: u8) -> usize {
        if let Some(index) = self.control_indices.get(name) {
            return *index;
        }
        let index = self.controls.len();
        let (name_of, remedy) = (name.to_owned(), String::new());
        self.controls.push(TakenControl { name: name_of, title, level, remedy, ids: BTreeMap::new() });
        self.control_indices.insert(name.to_owned(), index);
        index
    }

    fn text(&mut self, text: String) -> usize {
        if let Some(index) = self.text_indices.get(&text) {
            return *index;
        }
        let index = self.texts.len();
        self.texts.push(text.clone());
        self.text_indices.insert(text, index);
        index
    }
}
