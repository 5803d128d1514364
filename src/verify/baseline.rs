//! What has become better or worse since an earlier report.
//!
//! Controls are compared by name, because every benchmark numbers them anew. The statuses fall into three ranks, and
//! only a change of rank is better or worse:
//!
//! | rank      | statuses                 | why together                                                          |
//! |-----------|--------------------------|-----------------------------------------------------------------------|
//! | met       | `pass`, `not_applicable` | there is nothing to do                                                |
//! | not known | `manual`, `unknown`      | nobody has looked: worse than met, and better than known to be not met |
//! | not met   | `warn`, `fail`           | which of the two it is the benchmark decides, not the node            |
//!
//! Any other change of status, and a waiver that came or went, is told and is neither.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::report::{ControlVerdict, Status, VerifyReport};
use crate::Role;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::profile::{ControlId, describe};
use crate::version::KubernetesMinor;

/// Largest report that is read, in bytes.
pub const MAX_REPORT_BYTES: usize = 16 * 1024 * 1024;

/// An earlier report, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// What it was made of and read from.
    pub about: BaselineInfo,
    controls: BTreeMap<String, BaselineState>,
}

/// What an earlier report was made of.
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

/// How a control stands in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineState {
    /// Its number there.
    pub id: ControlId,
    /// Its status.
    pub status: Status,
    /// Whether somebody has accepted it.
    pub waived: bool,
}

/// A control that does not stand as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrendChange {
    /// Its name.
    pub name: String,
    /// How it stood; none for one that the earlier report does not have.
    pub before: Option<BaselineState>,
    /// How it stands; none for one that is no longer there.
    pub now: Option<BaselineState>,
    /// What its value is now, in words.
    pub actual: String,
}

/// What has changed since an earlier report. Each list is in the order of the numbers that the controls have now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    /// The earlier report.
    pub since: BaselineInfo,
    /// What makes the two reports differ beside the node: another role, minor or benchmark.
    pub remarks: Vec<String>,
    /// Controls of a better rank than before.
    pub better: Vec<TrendChange>,
    /// Controls of a worse rank than before.
    pub worse: Vec<TrendChange>,
    /// Controls with another status of the same rank, or with a waiver that came or went.
    pub changed: Vec<TrendChange>,
    /// Controls that the earlier report does not have.
    pub new: Vec<TrendChange>,
    /// Controls that only the earlier report has.
    pub gone: Vec<TrendChange>,
}

impl Baseline {
    /// Reads what `verify --format json` wrote; `file` is its name as the user knows it.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] where it is no such report.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self> {
        let reading = ReportFields { file };
        if bytes.len() > MAX_REPORT_BYTES {
            return Err(reading.error(format!("it is larger than {MAX_REPORT_BYTES} bytes"), None));
        }
        let report: Value = serde_json::from_slice(bytes).map_err(|error| {
            reading.error("it is not JSON".to_owned(), Some((error.line().max(1), error.column().max(1))))
        })?;
        let Value::Object(report) = report else {
            return Err(reading.error(format!("it is {}", describe(&report)), None));
        };
        let format = reading.text(&report, "", "format_version")?;
        if !format.starts_with("1.") {
            return Err(reading.error(format!("its format is {format:?}, and this program reads 1.x"), None));
        }
        let role = match reading.text(&report, "", "role")? {
            "server" => Role::Server,
            "agent" => Role::Agent,
            other => return Err(reading.error(format!("role is {other:?}"), None)),
        };
        let kubernetes = reading.parse(&report, "", "kubernetes")?;
        // Written like the number of a control, and compared as a text.
        let benchmark = reading.parse::<ControlId>(&report, "", "benchmark")?.to_string();
        let about = BaselineInfo { file: file.to_owned(), role, kubernetes, benchmark };
        let mut controls = BTreeMap::new();
        for (index, control) in reading.list(&report, "controls")?.iter().enumerate() {
            let at = format!("controls[{index}].");
            let control = control
                .as_object()
                .ok_or_else(|| reading.error(format!("controls[{index}] is {}", describe(control)), None))?;
            let name = reading.text(control, &at, "name")?;
            if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
                return Err(reading.error(format!("{at}name is {name:?}, which is no control's"), None));
            }
            let status = reading.text(control, &at, "status")?;
            let found = Status::ALL.into_iter().find(|known| known.name() == status);
            let status = found.ok_or_else(|| reading.error(format!("{at}status is {status:?}"), None))?;
            let waived = control.get("waiver").is_some_and(|waiver| !waiver.is_null());
            let state = BaselineState { id: reading.parse(control, &at, "id")?, status, waived };
            if controls.insert(name.to_owned(), state).is_some() {
                return Err(reading.error(format!("the control {name} is there twice"), None));
            }
        }
        Ok(Self { about, controls })
    }

    /// Compares a report of now with this one. Both have to be whole: what was left out of one seems to be new or gone.
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
            let now = BaselineState::of(verdict);
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
    /// Tells whether something is worse that nobody has accepted.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.worse.iter().any(|change| change.now.as_ref().is_some_and(|now| !now.waived))
    }

    /// Keeps the controls that are asked for by their number and name.
    pub fn retain(&mut self, wanted: impl Fn(&ControlId, &str) -> bool) {
        for list in [&mut self.better, &mut self.worse, &mut self.changed, &mut self.new, &mut self.gone] {
            list.retain(|change| {
                let state = change.now.as_ref().or(change.before.as_ref());
                state.is_some_and(|state| wanted(&state.id, &change.name))
            });
        }
    }

    /// Tells whether every control stands as it did.
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
    fn of(verdict: &ControlVerdict) -> Self {
        Self { id: verdict.id.clone(), status: verdict.status, waived: verdict.waiver.is_some() }
    }
}

/// The rank of a status, the best first.
fn rank(status: Status) -> u8 {
    match status {
        Status::Pass | Status::NotApplicable => 0,
        Status::Manual | Status::Unknown => 1,
        Status::Warn | Status::Fail => 2,
    }
}

/// Reads the keys of a report; `at` is what stands before a key in errors.
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
