//! The report as JUnit XML, for CI servers.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::section::{Section, accepted};
use super::visible::visible;
use super::{ReportOrigin, placed, subject};
use crate::verify::{ControlVerdict, Status, VerifyReport};

/// Returns the report as JUnit XML: a suite a section, a case a control.
///
/// | ours                          | JUnit's                         |
/// |-------------------------------|---------------------------------|
/// | pass                          | passed                          |
/// | fail                          | `failure`                       |
/// | unknown                       | `error`: the test could not run |
/// | warn, manual, not applicable  | `skipped`, with a message       |
/// | waived, whatever it is        | `skipped`, with who and why     |
///
/// What the benchmark leaves to a person does not break a build; what could not be looked at does. A finding about
/// waivers is a skipped case of its own. The elements and attributes are those that Jenkins, surefire and GitLab share.
#[must_use]
pub fn junit(report: &VerifyReport, taken: &ReportOrigin<'_>) -> String {
    let mut suites: Vec<TestSuite> = Section::all(report)
        .iter()
        .map(|section| {
            let cases = section.verdicts.iter().map(|verdict| TestCase::of(section, verdict)).collect();
            TestSuite { name: format!("{} {}", section.number, section.name()), cases }
        })
        .collect();
    if !report.findings.is_empty() {
        let case = |finding| {
            let says = placed(finding);
            TestCase {
                class: "k3s-harden.Waivers".to_owned(),
                name: says.clone(),
                came: CaseResult::Skipped(says),
                details: String::new(),
            }
        };
        suites.push(TestSuite {
            name: "Waivers".to_owned(),
            cases: report.findings.iter().map(case).collect(),
        });
    }
    let count = |of: fn(&CaseResult) -> bool| {
        suites.iter().flat_map(|suite| &suite.cases).filter(|case| of(&case.came)).count().to_string()
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
        suite.write(&mut xml, report, taken);
    }
    xml.close("testsuites");
    xml.text
}

struct TestSuite {
    name: String,
    cases: Vec<TestCase>,
}

/// What a case came to.
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
    came: CaseResult,
    details: String,
}

impl TestSuite {
    fn write(&self, xml: &mut Xml, report: &VerifyReport, taken: &ReportOrigin<'_>) {
        let count =
            |of: fn(&CaseResult) -> bool| self.cases.iter().filter(|case| of(&case.came)).count().to_string();
        let mut attributes = vec![
            ("name", self.name.clone()),
            ("tests", self.cases.len().to_string()),
            ("failures", count(CaseResult::is_failure)),
            ("errors", count(CaseResult::is_error)),
            ("skipped", count(CaseResult::is_skipped)),
            ("time", "0".to_owned()),
        ];
        if let Some(time) = taken.time {
            // As surefire writes it: without a zone.
            attributes.push(("timestamp", time.trim_end_matches('Z').to_owned()));
        }
        if let Some(host) = taken.host {
            attributes.push(("hostname", host.to_owned()));
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
        xml.close("properties");
        for case in &self.cases {
            case.write(xml);
        }
        xml.close("testsuite");
    }
}

impl TestCase {
    fn of(section: &Section<'_>, verdict: &ControlVerdict) -> Self {
        let came = match (&verdict.waiver, verdict.status) {
            (_, Status::Pass) => CaseResult::Passed,
            (Some(waiver), status) => {
                CaseResult::Skipped(format!("{}, waived: {}", status.name(), accepted(waiver)))
            }
            (_, Status::Fail) => {
                CaseResult::Failed(format!("{} (expected: {})", verdict.actual, verdict.expected))
            }
            (_, Status::Unknown) => CaseResult::Error(verdict.actual.clone()),
            (_, Status::Warn) => CaseResult::Skipped(format!("warn: {}", verdict.actual)),
            (_, Status::Manual) => CaseResult::Skipped(format!("manual: look at {}", verdict.expected)),
            (_, Status::NotApplicable) => CaseResult::Skipped(format!("not applicable: {}", verdict.actual)),
        };
        Self {
            class: format!("k3s-harden.{}", section.name()),
            name: format!("{} {}", verdict.id, verdict.title),
            came,
            details: details(verdict),
        }
    }

    fn write(&self, xml: &mut Xml) {
        let attributes =
            [("classname", self.class.clone()), ("name", self.name.clone()), ("time", "0".to_owned())];
        xml.open("testcase", &attributes);
        match &self.came {
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

/// Everything that is known of a control, as lines.
fn details(verdict: &ControlVerdict) -> String {
    let mut lines = String::new();
    for (name, text) in [("expected", &verdict.expected), ("actual", &verdict.actual)] {
        if !text.is_empty() {
            let _infallible = writeln!(lines, "{name}: {}", visible(text));
        }
    }
    for evidence in super::seen(verdict) {
        let _infallible = writeln!(lines, "seen: {}", visible(&placed(evidence)));
    }
    if verdict.status != Status::Pass && !verdict.remedy.is_empty() {
        let remedy: Vec<Cow<'_, str>> = verdict.remedy.lines().map(visible).collect();
        let _infallible = writeln!(lines, "remedy: {}", remedy.join("\n  "));
    }
    lines.truncate(lines.trim_end().len());
    lines
}

/// XML as it grows: as much of it as JUnit needs.
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

    /// Writes an element with lines that are made visible already.
    fn leaf(&mut self, name: &str, attributes: &[(&str, String)], lines: &str) {
        self.tag(name, attributes);
        let _infallible = writeln!(self.text, ">{}</{name}>", escaped(lines));
    }

    /// The same, where there are any.
    fn lines(&mut self, name: &str, lines: &str) {
        if !lines.is_empty() {
            self.leaf(name, &[], lines);
        }
    }
}

/// Escapes what means something in XML. What XML cannot hold at all, [`visible`] has written out.
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
