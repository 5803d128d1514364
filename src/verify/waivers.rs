// SPDX-License-Identifier: Apache-2.0
//! Reads waivers and applies them to a report. A waiver records that somebody accepts that a control is not met. Waivers
//! have a key of their own in the settings file, because no profile and no `--set` may accept a risk.
//!
//! ```yaml
//! waivers:
//!   - control: event-rate-limit
//!     reason: one administrator, no untrusted clients
//!     who: J. Doe, platform team
//!     ticket: SEC-117
//!     until: 2027-01-31
//!     value: NodeRestriction
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

use super::control::{benchmarks, controls};
use super::date::Date;
use super::evidence::Evidence;
use super::report::{ControlVerdict, Status, VerifyReport, Waiver};
use crate::error::Result;
use crate::profile::{ControlId, DocumentText, Fields, SourceText, WAIVERS, describe, unknown};

/// Reads the waivers of a settings file. [`crate::profile::ProfileRequest`] reads the settings.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] with the place, for an unknown key or control, a waiver without `reason` or `who`, an
/// invalid date, or a control that has two waivers.
pub fn read(source: &SourceText) -> Result<Vec<Waiver>> {
    let items = match source.value()? {
        Value::Object(mut map) => map.remove(WAIVERS).unwrap_or(Value::Null),
        // The reader of the settings reports this error.
        _ => Value::Null,
    };
    let text = DocumentText::File(source.clone());
    let items = match items {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        other => {
            let error = text.error(&[WAIVERS], format!("waivers must be a list, found {}", describe(&other)));
            return Err(error.hint("write them as - {control: …, reason: …, who: …}, one to a line"));
        }
    };
    let known = KnownControls::all()?;
    let mut waivers: Vec<Waiver> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let waiver = read_one(&text, &index.to_string(), item, &known)?;
        let is_same = |other: &&Waiver| other.control == waiver.control;
        if let Some(other) = waivers.iter().find(is_same).and_then(|other| other.place.clone()) {
            let path = [WAIVERS, &index.to_string(), "control"];
            let message = format!("{} is waived already, at {other}", waiver.control);
            return Err(text.error(&path, message).hint("keep one of them"));
        }
        waivers.push(waiver);
    }
    Ok(waivers)
}

fn read_one(text: &DocumentText, index: &str, item: Value, known: &KnownControls) -> Result<Waiver> {
    let path = [WAIVERS, index];
    let under = |key| [WAIVERS, index, key];
    let mut fields = Fields::new(text, &path, item)?;
    let required = |fields: &mut Fields<'_>, key: &'static str, hint: &str| {
        let found = fields.text(key)?.map(|text| text.trim().to_owned());
        found
            .filter(|found| !found.is_empty())
            .ok_or_else(|| text.error(&under(key), format!("a waiver needs {key}")).hint(hint))
    };
    let control =
        required(&mut fields, "control", "write the control's name or number: control: event-rate-limit")?;
    let reason = required(&mut fields, "reason", "say why it need not be met: reason: …")?;
    let who = required(&mut fields, "who", "say who has accepted that: who: …")?;
    let ticket = fields.text("ticket")?;
    let until = fields
        .text("until")?
        .map(|day| day.parse::<Date>().map_err(|error| error.at(text.place(&under("until")))))
        .transpose()?;
    let value = fields.text("value")?;
    fields.finish()?;
    known.check(&control, text, &under("control"))?;
    Ok(Waiver { control, reason, who, ticket, until, value, place: Some(text.place(&path)) })
}

/// Every control of every benchmark: a waiver may be for the benchmark before or after an upgrade.
struct KnownControls {
    names: BTreeMap<String, Vec<ControlId>>,
}

impl KnownControls {
    fn all() -> Result<Self> {
        let mut names: BTreeMap<String, Vec<ControlId>> = BTreeMap::new();
        for benchmark in benchmarks() {
            for control in controls(benchmark)? {
                names.entry(control.name).or_default().push(control.id);
            }
        }
        Ok(Self { names })
    }

    fn check(&self, word: &str, text: &DocumentText, path: &[&str]) -> Result<()> {
        if let Ok(id) = word.parse::<ControlId>() {
            if self.names.values().flatten().any(|known| *known == id) {
                return Ok(());
            }
            let error = text.error(path, format!("no benchmark has a control {word}"));
            let section = self.names.values().flatten().any(|known| known.within(&id));
            return Err(error.hint(if section {
                "a section cannot be waived: name its controls one by one"
            } else {
                "`k3s-harden verify` lists all controls"
            }));
        }
        if self.names.contains_key(word) {
            return Ok(());
        }
        let names: Vec<&String> = self.names.keys().collect();
        Err(unknown(text.error(path, format!("unknown control {word:?}")), word, &names))
    }
}

/// Adds the waivers to their verdicts. The findings of the report list the waivers that do not count, with the reason.
///
/// A waived verdict keeps its status. A waiver that has expired on `today`, or whose value no longer matches, does not
/// count.
pub fn apply(report: &mut VerifyReport, waivers: &[Waiver], today: Date) {
    for waiver in waivers {
        if let Err(reason) = apply_one(&mut report.verdicts, waiver, today, &report.benchmark) {
            let text = format!("the waiver for {} {reason}", waiver.control);
            report.findings.push(Evidence { text, place: waiver.place.clone() });
        }
    }
}

/// Adds a waiver to its verdict, or returns the reason why the waiver does not count.
fn apply_one(
    verdicts: &mut [ControlVerdict],
    waiver: &Waiver,
    today: Date,
    benchmark: &str,
) -> std::result::Result<(), String> {
    let matches_waiver = |verdict: &&mut ControlVerdict| match waiver.control.parse::<ControlId>() {
        Ok(id) => verdict.id == id,
        Err(_) => verdict.name == waiver.control,
    };
    let Some(verdict) = verdicts.iter_mut().find(matches_waiver) else {
        return Err(format!("waives nothing: benchmark {benchmark} has no such control"));
    };
    match verdict.status {
        Status::Pass => return Err("is no longer needed: the control is met".to_owned()),
        Status::NotApplicable => {
            return Err(format!("is not needed: the control is not applicable, {}", verdict.actual));
        }
        Status::Fail | Status::Warn | Status::Manual | Status::Unknown => {}
    }
    if let Some(until) = waiver.until.filter(|until| *until < today) {
        verdict.lapsed = true;
        return Err(format!("has expired: it was valid until {until}"));
    }
    if let Some(value) = waiver.value.as_ref().filter(|value| **value != verdict.actual) {
        verdict.lapsed = true;
        return Err(format!(
            "no longer matches: its value is {value:?}, but the actual value is {:?}",
            verdict.actual
        ));
    }
    // One waiver may name the control by its number and another by its name.
    if let Some(other) = &verdict.waiver {
        return Err(format!("is a duplicate: the control is already waived as {}", other.control));
    }
    verdict.waiver = Some(waiver.clone());
    Ok(())
}
