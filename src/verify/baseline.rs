// SPDX-License-Identifier: Apache-2.0
//! Compares a report with an earlier one: which controls are better, and which are worse.
//!
//! Controls are compared by name, because every benchmark has its own numbers. The statuses have three ranks, and only a
//! change of rank is better or worse:
//!
//! | rank     | statuses                 | reason                                                  |
//! |----------|--------------------------|---------------------------------------------------------|
//! | met      | `pass`, `not_applicable` | there is nothing to do                                  |
//! | unknown  | `manual`, `unknown`      | worse than met, and better than known to be not met     |
//! | not met  | `warn`, `fail`           | the benchmark decides between the two, and not the node |
//!
//! The comparison lists any other change of status, and an added or removed waiver, as changed.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::report::{ControlVerdict, Status, VerifyReport};
use crate::Role;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::profile::{ControlId, describe};
use crate::version::KubernetesMinor;

/// The largest report that is read, in bytes.
pub const MAX_REPORT_BYTES: usize = 16 * 1024 * 1024;

/// The parts of an earlier report that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The file and the node of the report.
    pub about: BaselineInfo,
    controls: BTreeMap<String, BaselineState>,
}

/// The file and the node of an earlier report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineInfo {
    /// Its file, as the user named it.
    pub file: String,
    /// The role of its node.
    pub role: Role,
    /// The Kubernetes minor.
    pub kubernetes: KubernetesMinor,
    /// The benchmark, such as `1.12`.
    pub benchmark: String,
}

/// The state of a control in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineState {
    /// Its number in the benchmark of the report.
    pub id: ControlId,
    /// Its status.
    pub status: Status,
    /// Whether it has a waiver.
    pub waived: bool,
}

/// A control whose state has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrendChange {
    /// Its name.
    pub name: String,
    /// The earlier state; none for a new control.
    pub before: Option<BaselineState>,
    /// The state now; none for a control that is gone.
    pub now: Option<BaselineState>,
    /// Its actual value now, in words.
    pub actual: String,
}

/// The changes since an earlier report. Each list is sorted by the number that the control has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    /// The earlier report.
    pub since: BaselineInfo,
    /// Other differences between the reports: another role, minor or benchmark.
    pub remarks: Vec<String>,
    /// Controls of a better rank than before.
    pub better: Vec<TrendChange>,
    /// Controls of a worse rank than before.
    pub worse: Vec<TrendChange>,
    /// Controls with another status of the same rank, or with an added or removed waiver.
    pub changed: Vec<TrendChange>,
    /// Controls that the earlier report does not have.
    pub new: Vec<TrendChange>,
    /// Controls that only the earlier report has.
    pub gone: Vec<TrendChange>,
}

impl Baseline {
    /// Reads a report that `verify --format json` wrote; `file` is the name that errors contain.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for any other text.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self> {
        let fields = ReportFields { file };
        if bytes.len() > MAX_REPORT_BYTES {
            return Err(fields.error(format!("it is larger than {MAX_REPORT_BYTES} bytes"), None));
        }
        let report: Value = serde_json::from_slice(bytes).map_err(|error| {
            fields.error("it is not JSON".to_owned(), Some((error.line().max(1), error.column().max(1))))
        })?;
        let Value::Object(report) = report else {
            return Err(fields.error(format!("it is {}", describe(&report)), None));
        };
        let format = fields.text(&report, "", "format_version")?;
        if !format.starts_with("1.") {
            return Err(fields.error(format!("its format is {format:?}, and this program reads 1.x"), None));
        }
        let role = match fields.text(&report, "", "role")? {
            "server" => Role::Server,
            "agent" => Role::Agent,
            other => return Err(fields.error(format!("role is {other:?}"), None)),
        };
        let kubernetes = fields.parse(&report, "", "kubernetes")?;
        // A benchmark is written like the number of a control, and compared as a text.
        let benchmark = fields.parse::<ControlId>(&report, "", "benchmark")?.to_string();
        let about = BaselineInfo { file: file.to_owned(), role, kubernetes, benchmark };
        let mut controls = BTreeMap::new();
        for (index, control) in fields.list(&report, "controls")?.iter().enumerate() {
            let at = format!("controls[{index}].");
            let control = control
                .as_object()
                .ok_or_else(|| fields.error(format!("controls[{index}] is {}", describe(control)), None))?;
            let name = fields.text(control, &at, "name")?;
            if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
                return Err(fields.error(format!("{at}name is {name:?}, which is no control's"), None));
            }
            let status = fields.text(control, &at, "status")?;
            let found = Status::ALL.into_iter().find(|known| known.name() == status);
            let status = found.ok_or_else(|| fields.error(format!("{at}status is {status:?}"), None))?;
            let waived = control.get("waiver").is_some_and(|waiver| !waiver.is_null());
            let state = BaselineState { id: fields.parse(control, &at, "id")?, status, waived };
            if controls.insert(name.to_owned(), state).is_some() {
                return Err(fields.error(format!("the control {name} is there twice"), None));
            }
        }
        Ok(Self { about, controls })
    }

    /// Compares a report with this earlier one. Both have to be complete: a control that one of them leaves out counts as
    /// new or gone.
    #[must_use]
    pub fn compare(&self, report: &VerifyReport) -> Trend {
        let mut trend = Trend {
            since: self.about.clone(),
            remarks: self.about.remarks(report),
            better: Vec::new(),
            worse: Vec::new(),
            changed: Vec::new(),
            new: Vec::new(),
            gone: Vec::new(),
        };
        for verdict in &report.verdicts {
            let now = BaselineState::from_verdict(verdict);
            let before = self.controls.get(&verdict.name).cloned();
            let list = match &before {
                None => &mut trend.new,
                Some(before) if rank(now.status) < rank(before.status) => &mut trend.better,
                Some(before) if rank(now.status) > rank(before.status) => &mut trend.worse,
                Some(before) if (now.status, now.waived) != (before.status, before.waived) => {
                    &mut trend.changed
                }
                Some(_) => continue,
            };
            list.push(TrendChange {
                name: verdict.name.clone(),
                before,
                now: Some(now),
                actual: verdict.actual.clone(),
            });
        }
        let is_gone = |name: &&String| !report.verdicts.iter().any(|verdict| verdict.name == **name);
        for name in self.controls.keys().filter(is_gone) {
            let before = self.controls.get(name).cloned();
            trend.gone.push(TrendChange { name: name.clone(), before, now: None, actual: String::new() });
        }
        trend.gone.sort_by(|one, other| {
            let id = |change: &TrendChange| change.before.as_ref().map(|before| before.id.clone());
            id(one).cmp(&id(other))
        });
        trend
    }
}

impl Trend {
    /// Tells whether a control without a waiver is worse.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.worse.iter().any(|change| change.now.as_ref().is_some_and(|now| !now.waived))
    }

    /// Keeps the controls that a filter selects by number and name.
    pub fn retain(&mut self, wanted: impl Fn(&ControlId, &str) -> bool) {
        for list in [&mut self.better, &mut self.worse, &mut self.changed, &mut self.new, &mut self.gone] {
            list.retain(|change| {
                let state = change.now.as_ref().or(change.before.as_ref());
                state.is_some_and(|state| wanted(&state.id, &change.name))
            });
        }
    }

    /// Tells whether no control has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.better, &self.worse, &self.changed, &self.new, &self.gone].into_iter().all(Vec::is_empty)
    }
}

impl BaselineInfo {
    fn remarks(&self, report: &VerifyReport) -> Vec<String> {
        let mut remarks = Vec::new();
        let mut compare = |what: &str, before: String, now: String| {
            if before != now {
                remarks.push(format!("{what} was {before} then and is {now} now"));
            }
        };
        compare("the role", self.role.to_string(), report.role.to_string());
        compare("Kubernetes", self.kubernetes.to_string(), report.kubernetes.to_string());
        compare("the benchmark", self.benchmark.clone(), report.benchmark.clone());
        remarks
    }
}

impl BaselineState {
    fn from_verdict(verdict: &ControlVerdict) -> Self {
        Self { id: verdict.id.clone(), status: verdict.status, waived: verdict.waiver.is_some() }
    }
}

/// Returns the rank of a status; the best rank is 0.
#[must_use]
pub fn rank(status: Status) -> u8 {
    match status {
        Status::Pass | Status::NotApplicable => 0,
        Status::Manual | Status::Unknown => 1,
        Status::Warn | Status::Fail => 2,
    }
}

/// Reads the keys of a report. In its functions, `at` is the path of the mapping, which errors contain.
struct ReportFields<'a> {
    file: &'a str,
}

impl ReportFields<'_> {
    fn error(&self, why: impl Into<String>, position: Option<(usize, usize)>) -> Error {
        Error::new(ErrorKind::BadInput, format!("this is not a report of k3s-harden verify: {}", why.into()))
            .at(Place { file: self.file.to_owned(), position })
            .hint("make one with `k3s-harden verify --format json`, and name its file")
    }

    fn text<'v>(&self, map: &'v Map<String, Value>, at: &str, key: &str) -> Result<&'v str> {
        match map.get(key) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.error(format!("{at}{key} is {}", describe(other)), None)),
            None => Err(self.error(format!("there is no {at}{key}"), None)),
        }
    }

    fn parse<T: FromStr<Err = Error>>(&self, map: &Map<String, Value>, at: &str, key: &str) -> Result<T> {
        let text = self.text(map, at, key)?;
        text.parse().map_err(|error: Error| self.error(format!("{at}{key}: {}", error.message()), None))
    }

    fn list<'v>(&self, map: &'v Map<String, Value>, key: &str) -> Result<&'v Vec<Value>> {
        match map.get(key) {
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.error(format!("{key} is {}", describe(other)), None)),
            None => Err(self.error(format!("there is no {key}"), None)),
        }
    }
}
