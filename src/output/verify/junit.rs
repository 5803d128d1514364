// SPDX-License-Identifier: Apache-2.0
//! The report as JUnit XML, for CI servers.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::section::{Section, waiver_words};
use super::{subject, with_place};
use crate::output::ReportOrigin;
use crate::output::visible::visible;
use crate::verify::{ControlVerdict, Status, VerifyReport};

/// Returns the report as JUnit XML: a suite per section, a case per control.
///
/// | ours                          | JUnit's                         |
/// |-------------------------------|---------------------------------|
/// | pass                          | passed                          |
/// | fail                          | `failure`                       |
/// | unknown                       | `error`: the test could not run |
/// | unknown until K3s starts      | `skipped`, with that reason     |
/// | warn, manual, not applicable  | `skipped`, with a message       |
/// | waived, whatever it is        | `skipped`, with who and why     |
///
/// Manual controls do not fail a build, and neither does what there is to check only once K3s has started. Other unknown
/// ones do. A finding about waivers is a skipped case of its own. The elements
/// and attributes are those that Jenkins, surefire and GitLab share.
#[must_use]
pub fn junit(report: &VerifyReport, origin: &ReportOrigin) -> String {
    let mut suites: Vec<TestSuite> = Section::all(report)
        .iter()
        .map(|section| {
            let cases = section.verdicts.iter().map(|verdict| TestCase::new(section, verdict)).collect();
            TestSuite { name: format!("{} {}", section.number, section.name()), cases }
        })
        .collect();
    if !report.findings.is_empty() {
        let case = |finding| {
            let text = with_place(finding);
            TestCase {
                class: "k3s-harden.Waivers".to_owned(),
                name: text.clone(),
                result: CaseResult::Skipped(text),
                details: String::new(),
            }
        };
        suites.push(TestSuite {
            name: "Waivers".to_owned(),
            cases: report.findings.iter().map(case).collect(),
        });
    }
    let count = |is_counted: fn(&CaseResult) -> bool| {
        suites
            .iter()
            .flat_map(|suite| &suite.cases)
            .filter(|case| is_counted(&case.result))
            .count()
            .to_string()
    };
    let mut xml = Xml::default();
    let root = [
        ("name", subject(report)),
        ("tests", count(|_| true)),
        ("failures", count(CaseResult::is_failure)),
        ("errors", count(CaseResult::is_error)),
        ("time", "0".to_owned()),
    ];
    xml.open("testsuites", &root);
    for suite in &suites {
        suite.write(&mut xml, report, origin);
    }
    xml.close("testsuites");
    xml.text
}

struct TestSuite {
    name: String,
    cases: Vec<TestCase>,
}

/// The result of a case.
enum CaseResult {
    Passed,
    Failed(String),
    Error(String),
    Skipped(String),
}

impl CaseResult {
    fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    fn is_skipped(&self) -> bool {
        matches!(self, Self::Skipped(_))
    }
}

struct TestCase {
    class: String,
    name: String,
    result: CaseResult,
    details: String,
}

impl TestSuite {
    fn write(&self, xml: &mut Xml, report: &VerifyReport, origin: &ReportOrigin) {
        let count = |is_counted: fn(&CaseResult) -> bool| {
            self.cases.iter().filter(|case| is_counted(&case.result)).count().to_string()
        };
        let mut attributes = vec![
            ("name", self.name.clone()),
            ("tests", self.cases.len().to_string()),
            ("failures", count(CaseResult::is_failure)),
            ("errors", count(CaseResult::is_error)),
            ("skipped", count(CaseResult::is_skipped)),
            ("time", "0".to_owned()),
        ];
        if let Some(time) = &origin.time {
            // surefire writes the time without a zone.
            attributes.push(("timestamp", time.trim_end_matches('Z').to_owned()));
        }
        if let Some(host) = &origin.host {
            attributes.push(("hostname", host.clone()));
        }
        xml.open("testsuite", &attributes);
        xml.open("properties", &[]);
        for (name, value) in [
            ("benchmark", report.benchmark.clone()),
            ("kubernetes", report.kubernetes.to_string()),
            ("role", report.role.to_string()),
            ("root", report.root.display().to_string()),
            ("started", report.started.to_string()),
        ] {
            xml.empty("property", &[("name", name.to_owned()), ("value", value)]);
        }
        for (name, value) in origin.known() {
            xml.empty("property", &[("name", name.to_owned()), ("value", value.to_owned())]);
        }
        xml.close("properties");
        for case in &self.cases {
            case.write(xml);
        }
        xml.close("testsuite");
    }
}

impl TestCase {
    fn new(section: &Section<'_>, verdict: &ControlVerdict) -> Self {
        let result = match (&verdict.waiver, verdict.status) {
            (_, Status::Pass) => CaseResult::Passed,
            (Some(waiver), status) => {
                CaseResult::Skipped(format!("{}, waived: {}", status.name(), waiver_words(waiver)))
            }
            (_, Status::Fail) => {
                CaseResult::Failed(format!("{} (expected: {})", verdict.actual, verdict.expected))
            }
            (_, Status::Unknown) if verdict.waits_for_start() => {
                CaseResult::Skipped(format!("unknown until K3s starts: {}", verdict.actual))
            }
            (_, Status::Unknown) => CaseResult::Error(verdict.actual.clone()),
            (_, Status::Warn) => CaseResult::Skipped(format!("warn: {}", verdict.actual)),
            (_, Status::Manual) => CaseResult::Skipped(format!("manual: look at {}", verdict.expected)),
            (_, Status::NotApplicable) => CaseResult::Skipped(format!("not applicable: {}", verdict.actual)),
        };
        Self {
            class: format!("k3s-harden.{}", section.name()),
            name: format!("{} {}", verdict.id, verdict.title),
            result,
            details: details(verdict),
        }
    }

    fn write(&self, xml: &mut Xml) {
        let attributes =
            [("classname", self.class.clone()), ("name", self.name.clone()), ("time", "0".to_owned())];
        xml.open("testcase", &attributes);
        match &self.result {
            CaseResult::Passed => xml.lines("system-out", &self.details),
            CaseResult::Failed(message) => {
                xml.leaf(
                    "failure",
                    &[("message", message.clone()), ("type", "fail".to_owned())],
                    &self.details,
                );
            }
            CaseResult::Error(message) => {
                xml.leaf(
                    "error",
                    &[("message", message.clone()), ("type", "unknown".to_owned())],
                    &self.details,
                );
            }
            CaseResult::Skipped(message) => {
                xml.empty("skipped", &[("message", message.clone())]);
                xml.lines("system-out", &self.details);
            }
        }
        xml.close("testcase");
    }
}

/// Returns the details of a verdict as lines.
fn details(verdict: &ControlVerdict) -> String {
    let mut lines = String::new();
    for (name, text) in [("expected", &verdict.expected), ("actual", &verdict.actual)] {
        if !text.is_empty() {
            let _infallible = writeln!(lines, "{name}: {}", visible(text));
        }
    }
    for evidence in super::distinct_evidence(verdict) {
        let _infallible = writeln!(lines, "seen: {}", visible(&with_place(evidence)));
    }
    if verdict.status != Status::Pass && !verdict.remedy.is_empty() {
        let remedy: Vec<Cow<'_, str>> = verdict.remedy.lines().map(visible).collect();
        let _infallible = writeln!(lines, "remedy: {}", remedy.join("\n  "));
    }
    lines.truncate(lines.trim_end().len());
    lines
}

/// Builds XML, with the features that JUnit needs.
struct Xml {
    text: String,
    depth: usize,
}

impl Default for Xml {
    fn default() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 }
    }
}

impl Xml {
    fn tag(&mut self, name: &str, attributes: &[(&str, String)]) {
        let _infallible = write!(self.text, "{:width$}<{name}", "", width = 2 * self.depth);
        for (name, value) in attributes {
            let _infallible = write!(self.text, " {name}=\"{}\"", escaped(&visible(value)));
        }
    }

    fn open(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.tag(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        let _infallible = writeln!(self.text, "{:width$}</{name}>", "", width = 2 * self.depth);
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.tag(name, attributes);
        self.text.push_str("/>\n");
    }

    /// Writes an element with lines whose invisible characters are already escaped.
    fn leaf(&mut self, name: &str, attributes: &[(&str, String)], lines: &str) {
        self.tag(name, attributes);
        let _infallible = writeln!(self.text, ">{}</{name}>", escaped(lines));
    }

    /// Writes an element with lines, if there are any.
    fn lines(&mut self, name: &str, lines: &str) {
        if !lines.is_empty() {
            self.leaf(name, &[], lines);
        }
    }
}

/// Escapes the special characters of XML. [`visible`] has escaped the characters that XML forbids.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}
