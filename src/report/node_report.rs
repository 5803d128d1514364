// SPDX-License-Identifier: Apache-2.0
//! Reads the report of one node, which `verify --format json` of any version 1.x wrote.
//!
//! Fields that are not merged are skipped without being kept. A status that a newer version may have added counts as
//! unknown, and is named.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::limits::{MAX_CONTROLS, MAX_NAME_BYTES, MAX_NODE_REPORT_BYTES, shortened};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::profile::ControlId;
use crate::verify::{Date, Status};

/// Where the name of a node is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// The report's `host`.
    Host,
    /// The hash of its machine id: the report names no host.
    MachineId,
    /// The file: the report names neither.
    File,
}

impl NameSource {
    /// Its name in the merged report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::MachineId => "machine_id",
            Self::File => "file",
        }
    }
}

/// What is merged of the report of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The name of the node; of a report that names none, that of its file.
    pub name: String,
    /// Where the name is from.
    pub named_by: NameSource,
    /// The file, as the user named it.
    pub file: String,
    /// The SHA-256 of the node's machine id.
    pub machine_id_sha256: Option<String>,
    /// When it was made, in UTC, as `2026-11-25T09:00:00Z`.
    pub time: Option<String>,
    /// The version of its format.
    pub format: String,
    /// The version of k3s-harden that wrote it.
    pub tool_version: Option<String>,
    /// The version of K3s.
    pub k3s_version: Option<String>,
    /// The Kubernetes minor.
    pub kubernetes: String,
    /// The role.
    pub role: String,
    /// The benchmark.
    pub benchmark: String,
    /// Whether K3s has started on the node, if the report says it.
    pub started: Option<bool>,
    /// The minor as which a node of a newer one was judged.
    pub judged_as: Option<String>,
    /// How many waivers do not count on the node.
    pub waiver_findings: usize,
    /// The statuses in it that this version does not know.
    pub unknown_statuses: BTreeSet<String>,
    /// The verdicts.
    pub verdicts: Vec<NodeVerdict>,
}

/// The verdict of one control in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVerdict {
    /// The control's name.
    pub name: String,
    /// Its number in the benchmark of the report.
    pub id: ControlId,
    /// Its title.
    pub title: String,
    /// Its profile level.
    pub level: u8,
    /// The status.
    pub status: Status,
    /// The actual value, shortened.
    pub actual: String,
    /// The remedy of what is not met or unknown, shortened.
    pub remedy: String,
    /// Whether it has a waiver that counts.
    pub waived: bool,
    /// Whether a waiver of it no longer counts, so that somebody has to decide again.
    pub lapsed: bool,
    /// The last day of its waiver, if that day is over.
    pub ended: Option<Date>,
}

#[derive(Deserialize)]
struct WrittenReport<'a> {
    #[serde(borrow)]
    format_version: Cow<'a, str>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    machine_id_sha256: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    tool_version: Option<String>,
    #[serde(default)]
    k3s_version: Option<String>,
    kubernetes: String,
    role: String,
    benchmark: String,
    #[serde(default)]
    started: Option<bool>,
    #[serde(default)]
    assumed: Option<WrittenAssumption>,
    #[serde(default)]
    findings: Vec<IgnoredAny>,
    #[serde(borrow)]
    controls: Vec<WrittenControl<'a>>,
}

#[derive(Deserialize)]
struct WrittenAssumption {
    judged_as: String,
}

#[derive(Deserialize)]
struct WrittenControl<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    level: u8,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default)]
    actual: String,
    #[serde(borrow, default)]
    remedy: Cow<'a, str>,
    #[serde(default)]
    waiver: Option<WrittenWaiver>,
    #[serde(default)]
    lapsed: bool,
}

#[derive(Deserialize)]
struct WrittenWaiver {
    #[serde(default)]
    until: Option<String>,
}

/// What tells a file of another kind from a report that is damaged.
#[derive(Deserialize)]
struct OtherText<'a> {
    #[serde(borrow, default)]
    format_version: Option<Cow<'a, str>>,
    #[serde(default)]
    scanner: Option<IgnoredAny>,
    #[serde(default)]
    nodes: Option<IgnoredAny>,
}

impl NodeReport {
    /// Reads a report. `file` names it in errors and, if nothing in it does, its node; a waiver counts if its last day is
    /// not before `today`.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for anything that is not a whole report of a format 1.x, or is larger than a limit.
    pub fn read(file: &str, bytes: &[u8], today: Date) -> Result<Self> {
        let broken = |why: String| Error::new(ErrorKind::BadInput, why).at(place(file, None));
        if bytes.len() > MAX_NODE_REPORT_BYTES {
            return Err(broken(format!("it is larger than {MAX_NODE_REPORT_BYTES} bytes")));
        }
        let text: WrittenReport<'_> =
            serde_json::from_slice(bytes).map_err(|error| not_read(file, bytes, &error))?;
        check_format(&text.format_version).map_err(broken)?;
        if text.controls.is_empty() {
            return Err(broken("it has no verdict".to_owned()));
        }
        if text.controls.len() > MAX_CONTROLS {
            return Err(broken(format!("it has more than {MAX_CONTROLS} controls")));
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (host, machine_id) = (given(text.host), given(text.machine_id_sha256));
        for (key, value) in [
            ("host", host.as_deref()),
            ("machine_id_sha256", machine_id.as_deref()),
            ("tool_version", text.tool_version.as_deref()),
            ("k3s_version", text.k3s_version.as_deref()),
            ("format_version", Some(&*text.format_version)),
            ("kubernetes", Some(text.kubernetes.as_str())),
            ("role", Some(text.role.as_str())),
            ("benchmark", Some(text.benchmark.as_str())),
            ("assumed.judged_as", text.assumed.as_ref().map(|assumed| assumed.judged_as.as_str())),
        ] {
            let length = value.map_or(0, str::len);
            if length > MAX_NAME_BYTES {
                return Err(broken(format!(
                    "{key} has {length} bytes, and at most {MAX_NAME_BYTES} are read"
                )));
            }
        }
        let time = given(text.time);
        if let Some(time) = time.as_ref().filter(|time| !is_time(time)) {
            let time = shortened(time.clone());
            return Err(broken(format!("time is {time:?}, and not a time such as 2026-11-25T09:00:00Z")));
        }
        let mut unknown_statuses = BTreeSet::new();
        let mut names = BTreeSet::new();
        let mut verdicts = Vec::with_capacity(text.controls.len());
        for (index, control) in text.controls.into_iter().enumerate() {
            let verdict = read_verdict(control, today, &mut unknown_statuses)
                .map_err(|why| broken(format!("controls[{index}].{why}")))?;
            if !names.insert(verdict.name.clone()) {
                return Err(broken(format!("the control {} is there twice", verdict.name)));
            }
            verdicts.push(verdict);
        }
        let (name, named_by) = match (host, &machine_id) {
            (Some(host), _) => (host, NameSource::Host),
            (None, Some(machine_id)) => (machine_id.clone(), NameSource::MachineId),
            (None, None) => (file.to_owned(), NameSource::File),
        };
        Ok(Self {
            name,
            named_by,
            file: file.to_owned(),
            machine_id_sha256: machine_id,
            time,
            format: text.format_version.into_owned(),
            tool_version: text.tool_version,
            k3s_version: text.k3s_version,
            kubernetes: text.kubernetes,
            role: text.role,
            benchmark: text.benchmark,
            started: text.started,
            judged_as: text.assumed.map(|assumed| assumed.judged_as),
            waiver_findings: text.findings.len(),
            unknown_statuses,
            verdicts,
        })
    }
}

fn read_verdict(
    control: WrittenControl<'_>,
    today: Date,
    unknown_statuses: &mut BTreeSet<String>,
) -> std::result::Result<NodeVerdict, String> {
    let is_name = !control.name.is_empty()
        && control.name.len() <= MAX_NAME_BYTES
        && control
            .name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name {
        return Err(format!("name is {:?}, which is no control's", shortened(control.name)));
    }
    let id = control.id.parse::<ControlId>();
    let id = id.map_err(|_| format!("id is {:?}, which is no number", shortened(control.id.into_owned())))?;
    let status = Status::ALL.into_iter().find(|known| known.name() == control.status).unwrap_or_else(|| {
        unknown_statuses.insert(shortened(control.status.into_owned()));
        Status::Unknown
    });
    let until = control.waiver.as_ref().and_then(|waiver| waiver.until.as_deref());
    let until = until.map(|day| {
        day.parse::<Date>()
            .map_err(|_| format!("waiver.until is {:?}, which is no day", shortened(day.to_owned())))
    });
    let until = until.transpose()?;
    let ended = until.filter(|until| *until < today);
    Ok(NodeVerdict {
        name: control.name,
        id,
        title: shortened(control.title),
        level: control.level,
        status,
        actual: shortened(control.actual),
        remedy: match status {
            Status::Fail | Status::Warn | Status::Unknown => shortened(control.remedy.into_owned()),
            _ => String::new(),
        },
        waived: control.waiver.is_some() && ended.is_none(),
        lapsed: control.lapsed || ended.is_some(),
        ended,
    })
}

fn place(file: &str, position: Option<(usize, usize)>) -> Place {
    Place { file: file.to_owned(), position }
}

/// Checks that a format is 1.x.
pub(super) fn check_format(format: &str) -> std::result::Result<(), String> {
    if format.starts_with("1.") {
        return Ok(());
    }
    Err(format!("its format is {:?}, and this version reads 1.x", shortened(format.to_owned())))
}

/// Tells whether a text has the form of a time in UTC, whose order is that of the times.
fn is_time(text: &str) -> bool {
    let shape: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape == "0000-00-00T00:00:00Z" && Date::from_time(text).is_ok()
}

/// Returns the error for a text that is no report: what it is, if that can be told.
fn not_read(file: &str, bytes: &[u8], error: &serde_json::Error) -> Error {
    let broken = |why: String, position| Error::new(ErrorKind::BadInput, why).at(place(file, position));
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return broken("it is empty".to_owned(), None);
    }
    let position = Some((error.line().max(1), error.column().max(1)));
    if !error.is_data() {
        let why = if error.is_eof() { "it ends too early: it is not whole" } else { "it is not JSON" };
        return broken(why.to_owned(), position);
    }
    match serde_json::from_slice::<OtherText<'_>>(bytes) {
        Ok(other) => {
            if let Some(Err(why)) = other.format_version.as_deref().map(check_format) {
                return broken(why, None);
            }
            if other.scanner.is_some() {
                return broken(
                    "it is the forecast of a scanner (verify --as), and not a report".to_owned(),
                    None,
                );
            }
            if other.nodes.is_some() {
                return broken("it is merged already: --baseline takes such a file".to_owned(), None);
            }
            if other.format_version.is_none() {
                return broken("it is not a report of k3s-harden verify".to_owned(), None);
            }
        }
        // Not even an object.
        Err(_) if !bytes.trim_ascii_start().starts_with(b"{") => {
            return broken("it is not a report of k3s-harden verify".to_owned(), None);
        }
        Err(_) => {}
    }
    // The message ends with the position, which the place has already.
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
    broken(format!("it is not a report of k3s-harden verify: {}", shortened(message.to_owned())), position)
}
