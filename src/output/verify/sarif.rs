// SPDX-License-Identifier: Apache-2.0
//! The report as SARIF 2.1.0, for programs that show findings beside their files.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use super::section::waiver_words;
use super::{FORECAST, distinct_evidence};
use crate::error::Place;
use crate::output::ReportOrigin;
use crate::verify::{ControlVerdict, Evidence, Status, VerifyReport};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The name of the node's root in locations.
const ROOT: &str = "ROOT";

/// The options of the SARIF format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SarifOptions {
    /// Only findings without a waiver. GitHub's code scanning ignores `kind` and `suppressions`: it shows every result as a
    /// problem.
    pub only_findings: bool,
}

/// Returns the report as SARIF: a rule and a result per control.
///
/// | ours           | `kind`          | `level`   |
/// |----------------|-----------------|-----------|
/// | pass           | `pass`          | `none`    |
/// | fail           | `fail`          | `error`   |
/// | warn           | `fail`          | `warning` |
/// | manual         | `review`        | `none`    |
/// | not applicable | `notApplicable` | `none`    |
/// | unknown        | `open`          | `none`    |
///
/// In SARIF, only results with the kind `fail` have a level. A waiver is an accepted, external suppression. The id of a
/// rule is the name of the control, which is the same in every benchmark; the number is in the description and the
/// properties. Findings about waivers are notifications. Locations are relative to the node's root. A control that is not
/// met, and whose evidence has no place, is located in K3s's configuration.
#[must_use]
pub fn sarif(report: &VerifyReport, origin: &ReportOrigin, options: SarifOptions) -> Value {
    let shown = |verdict: &&ControlVerdict| {
        !options.only_findings || (super::is_finding(verdict.status) && verdict.waiver.is_none())
    };
    let verdicts: Vec<&ControlVerdict> = report.verdicts.iter().filter(shown).collect();
    let results: Vec<Value> =
        verdicts.iter().enumerate().map(|(index, verdict)| result(report, verdict, index)).collect();
    let mut properties = origin.fields();
    properties.extend([
        ("benchmark".to_owned(), report.benchmark.as_str().into()),
        ("kubernetes".to_owned(), report.kubernetes.to_string().into()),
        ("role".to_owned(), json!(report.role)),
        ("started".to_owned(), report.started.into()),
    ]);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "k3s-harden",
                "semanticVersion": origin.tool_version,
                "rules": verdicts.iter().map(|verdict| rule(verdict)).collect::<Vec<_>>(),
            }},
            "invocations": [invocation(report, origin)],
            "originalUriBaseIds": {ROOT: base(report)},
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": properties,
        }],
    })
}

fn rule(verdict: &ControlVerdict) -> Value {
    let mut json = json!({
        "id": verdict.name,
        "name": pascal(&verdict.name),
        "shortDescription": message(&format!("{} {}", verdict.id, verdict.title)),
        "defaultConfiguration": {"level": if verdict.automated { "error" } else { "warning" }},
        "properties": {
            "control": verdict.id.to_string(),
            "level": verdict.level,
            "automated": verdict.automated,
            "tags": ["security", format!("cis-level-{}", verdict.level)],
        },
    });
    if !verdict.remedy.is_empty() {
        json["help"] = message(&verdict.remedy);
    }
    json
}

fn result(report: &VerifyReport, verdict: &ControlVerdict, index: usize) -> Value {
    let (kind, level) = match verdict.status {
        Status::Pass => ("pass", "none"),
        Status::Fail => ("fail", "error"),
        Status::Warn => ("fail", "warning"),
        Status::Manual => ("review", "none"),
        Status::NotApplicable => ("notApplicable", "none"),
        Status::Unknown => ("open", "none"),
    };
    let mut json = json!({
        "ruleId": verdict.name,
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": message(&result_text(verdict)),
        "locations": locations(report, verdict),
        "partialFingerprints": {"control/v1": verdict.name},
    });
    if let Some(waiver) = &verdict.waiver {
        let mut suppression =
            json!({"kind": "external", "status": "accepted", "justification": waiver_words(waiver)});
        if let Some(place) = &waiver.place {
            suppression["location"] = location(report, place, None);
        }
        json["suppressions"] = json!([suppression]);
    }
    json
}

/// Returns the message of a result.
fn result_text(verdict: &ControlVerdict) -> String {
    let mut text = format!("{} {}: {}.", verdict.id, verdict.title, super::status_words(verdict.status));
    let expected = if verdict.status == Status::Manual { "Look at" } else { "Expected" };
    let why = matches!(verdict.status, Status::NotApplicable | Status::Unknown);
    for (name, value) in
        [(expected, &verdict.expected), (if why { "Because" } else { "Actual" }, &verdict.actual)]
    {
        if !value.is_empty() {
            let _infallible = write!(text, "\n{name}: {value}");
        }
    }
    for evidence in distinct_evidence(verdict) {
        let _infallible = write!(text, "\nSeen: {}", evidence.text);
    }
    text
}

fn locations(report: &VerifyReport, verdict: &ControlVerdict) -> Vec<Value> {
    let found: Vec<Value> = verdict
        .evidence
        .iter()
        .filter_map(|evidence| Some(location(report, evidence.place.as_ref()?, Some(&evidence.text))))
        .collect();
    if found.is_empty() && matches!(verdict.status, Status::Fail | Status::Warn) {
        return vec![location(report, &Place { file: report.config.to_string(), position: None }, None)];
    }
    found
}

fn location(report: &VerifyReport, place: &Place, text: Option<&str>) -> Value {
    let root = report.root.to_string_lossy();
    let file = Some(root.as_ref())
        .filter(|root| *root != "/")
        .and_then(|root| place.file.strip_prefix(root))
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(&place.file);
    let uri = encoded(file.trim_start_matches('/').as_bytes());
    let mut json = json!({"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": ROOT}}});
    if let Some((line, column)) = place.position {
        json["physicalLocation"]["region"] = json!({"startLine": line, "startColumn": column});
    }
    if let Some(text) = text {
        json["message"] = message(text);
    }
    json
}

/// Returns the base URI of locations; a relative root has no URI.
fn base(report: &VerifyReport) -> Value {
    let description = message("the node's root");
    if !report.root.is_absolute() {
        return json!({"description": description});
    }
    let path = encoded(report.root.as_os_str().as_bytes());
    json!({"uri": format!("file://{}/", path.trim_end_matches('/')), "description": description})
}

fn invocation(report: &VerifyReport, origin: &ReportOrigin) -> Value {
    let warning = |finding: &Evidence| {
        let mut json = json!({"level": "warning", "message": message(&finding.text)});
        if let Some(place) = &finding.place {
            json["locations"] = json!([location(report, place, None)]);
        }
        json
    };
    let mut json = json!({
        "executionSuccessful": true,
        "toolConfigurationNotifications": report.findings.iter().map(warning).collect::<Vec<_>>(),
    });
    if !report.started {
        json["toolExecutionNotifications"] = json!([{"level": "note", "message": message(FORECAST)}]);
    }
    if let Some(time) = &origin.time {
        json["endTimeUtc"] = time.as_str().into();
    }
    if let Some(host) = &origin.host {
        json["machine"] = host.as_str().into();
    }
    json
}

/// Returns a message of plain text. Doubled braces are literal braces and not placeholders (SARIF, 3.11.5), and an escaped
/// bracket starts no Markdown link (3.11.6).
fn message(text: &str) -> Value {
    let text = text.replace('{', "{{").replace('}', "}}").replace("](", "\\](");
    json!({"text": text})
}

/// Percent-encodes a path (RFC 3986).
fn encoded(path: &[u8]) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(*byte));
            }
            other => {
                let _infallible = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

/// Writes a name as SARIF recommends: `audit-log-path` becomes `AuditLogPath`.
fn pascal(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    name.split('-').map(capital).collect()
}
