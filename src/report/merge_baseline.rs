// SPDX-License-Identifier: Apache-2.0
//! Reads an older merged report, for the trend.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::limits::{MAX_MERGE_BYTES, MAX_NAME_BYTES, shortened};
use super::node_report::check_format;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::verify::Status;

/// What is compared of an older merged report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeBaseline {
    /// Its file, as the user named it.
    pub file: String,
    /// When it was made.
    pub time: String,
    /// Its nodes, by name.
    pub nodes: BTreeMap<String, EarlierNode>,
    /// The verdicts of each of its groups, by the name of the control.
    pub groups: Vec<BTreeMap<String, EarlierVerdict>>,
}

/// A node of an older merged report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierNode {
    /// The index of its group.
    pub group: usize,
    /// The benchmark by which it was judged.
    pub benchmark: String,
    /// When its report was made.
    pub time: Option<String>,
}

/// A verdict of an older merged report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierVerdict {
    /// The status.
    pub status: Status,
    /// Whether it was waived.
    pub waived: bool,
}

#[derive(Deserialize)]
struct WrittenMerge<'a> {
    #[serde(borrow)]
    format_version: Cow<'a, str>,
    time: String,
    nodes: Vec<WrittenNode>,
    #[serde(borrow)]
    groups: Vec<WrittenGroup<'a>>,
}

#[derive(Deserialize)]
struct WrittenNode {
    name: String,
    /// Counts from 1.
    group: usize,
    #[serde(default)]
    time: Option<String>,
}

#[derive(Deserialize)]
struct WrittenGroup<'a> {
    benchmark: String,
    #[serde(borrow)]
    verdicts: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow, default)]
    waived: Vec<Cow<'a, str>>,
}

/// What tells a report of one node.
#[derive(Deserialize)]
struct OneNodeText {
    #[serde(default)]
    controls: Option<IgnoredAny>,
    #[serde(default)]
    nodes: Option<IgnoredAny>,
}

impl MergeBaseline {
    /// Reads a report that `report merge --format json` wrote.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for any other text.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self> {
        let error = |why: String, position| {
            Error::new(ErrorKind::BadInput, format!("this is not a merged report: {why}"))
                .at(Place { file: file.to_owned(), position })
                .hint("make one with `k3s-harden report merge --format json FILE…`, and name its file")
        };
        if bytes.len() > MAX_MERGE_BYTES {
            return Err(error(format!("it is larger than {MAX_MERGE_BYTES} bytes"), None));
        }
        let text: WrittenMerge<'_> = serde_json::from_slice(bytes).map_err(|cause| {
            let one = serde_json::from_slice::<OneNodeText>(bytes);
            if one.is_ok_and(|one| one.nodes.is_none() && one.controls.is_some()) {
                return error("it is the report of one node".to_owned(), None);
            }
            let message = cause.to_string();
            let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
            let why =
                if cause.is_data() { shortened(message.to_owned()) } else { "it is not JSON".to_owned() };
            error(why, Some((cause.line().max(1), cause.column().max(1))))
        })?;
        check_format(&text.format_version).map_err(|why| error(why, None))?;
        let mut groups = Vec::with_capacity(text.groups.len());
        let mut benchmarks = Vec::with_capacity(text.groups.len());
        for (index, group) in text.groups.into_iter().enumerate() {
            let mut verdicts = BTreeMap::new();
            for (name, status) in group.verdicts {
                // A word of a newer version is no pass.
                let known = Status::ALL.into_iter().find(|known| known.name() == status);
                let waived = group.waived.contains(&name);
                let verdict = EarlierVerdict { status: known.unwrap_or(Status::Unknown), waived };
                verdicts.insert(name.into_owned(), verdict);
            }
            if group.benchmark.len() > MAX_NAME_BYTES {
                return Err(error(format!("groups[{index}].benchmark is too long"), None));
            }
            groups.push(verdicts);
            benchmarks.push(group.benchmark);
        }
        let mut nodes = BTreeMap::new();
        for (index, node) in text.nodes.into_iter().enumerate() {
            let group = node.group.checked_sub(1).filter(|group| *group < groups.len());
            let group = group.ok_or_else(|| {
                error(format!("nodes[{index}].group is {}, and there is no such group", node.group), None)
            })?;
            let benchmark = benchmarks[group].clone();
            let earlier = EarlierNode { group, benchmark, time: node.time };
            if nodes.insert(node.name.clone(), earlier).is_some() {
                let name = shortened(node.name);
                return Err(error(format!("the node {name:?} is there twice"), None));
            }
        }
        Ok(Self { file: file.to_owned(), time: text.time, nodes, groups })
    }
}
