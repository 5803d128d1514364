// SPDX-License-Identifier: Apache-2.0
//! Waivers: what may be written, and what becomes of a report by them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support::Node;
use k3s_harden::k3s::DEFAULT_CONFIG;
use k3s_harden::node::RootedPath;
use k3s_harden::profile::SourceText;
use k3s_harden::verify::{
    ControlVerdict, Date, FailOn, ReportHistory, Status, VerifyReport, Waiver, waivers,
};
use k3s_harden::{Result, Role};

const SETTINGS: &str = "etc/k3s-harden/settings.yaml";

fn read(text: &str) -> Result<Vec<Waiver>> {
    waivers::read(&SourceText::new("settings.yaml", text.as_bytes().to_vec()).unwrap())
}

fn today() -> Date {
    "2027-01-31".parse().unwrap()
}

/// A report with a control of each status.
fn report() -> VerifyReport {
    let verdicts = [
        ("1.2.1", "api-anonymous-auth", Status::Pass, "false"),
        ("1.2.9", "event-rate-limit", Status::Warn, "NodeRestriction"),
        ("1.2.16", "audit-log-path", Status::Fail, "not set"),
        ("2.1", "etcd-certificate", Status::NotApplicable, "the datastore is SQLite"),
        ("3.2.2", "audit-policy-coverage", Status::Manual, ""),
        ("4.2.4", "kubelet-read-only-port", Status::Unknown, "no log says"),
    ];
    let verdict = |(id, name, status, actual): (&str, &str, Status, &str)| ControlVerdict {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        title: "A control".to_owned(),
        level: 1,
        automated: true,
        status,
        expected: String::new(),
        actual: actual.to_owned(),
        evidence: Vec::new(),
        remedy: String::new(),
        waiver: None,
        lapsed: false,
    };
    VerifyReport {
        root: PathBuf::from("/"),
        config: RootedPath::fixed(DEFAULT_CONFIG),
        role: Role::Server,
        kubernetes: "1.33".parse().unwrap(),
        benchmark: "1.12".to_owned(),
        started: true,
        verdicts: verdicts.map(verdict).into(),
        findings: Vec::new(),
        history: ReportHistory::default(),
    }
}

/// Applies waivers, written as the rest of a mapping each, and returns what is waived and what is said.
fn applied(written: &[&str]) -> (VerifyReport, String) {
    let mut text = "waivers:\n".to_owned();
    for waiver in written {
        writeln!(text, "  - {{reason: so it is, who: J. Doe, {waiver}}}").unwrap();
    }
    let mut report = report();
    waivers::apply(&mut report, &read(&text).unwrap(), today());
    let mut said = String::new();
    for verdict in report.verdicts.iter().filter(|verdict| verdict.waiver.is_some()) {
        writeln!(said, "{} {} waived", verdict.name, verdict.status.name()).unwrap();
    }
    for finding in &report.findings {
        writeln!(said, "{}: {}", finding.place.as_ref().unwrap(), finding.text).unwrap();
    }
    (report, said)
}

#[test]
fn a_settings_file_holds_waivers_beside_its_settings() {
    assert_eq!(read("audit_log_maxage: 90\n").unwrap(), []);
    assert_eq!(read("waivers:\n").unwrap(), []);
    let text = "audit_log_maxage: 90\nwaivers:\n  - control: 1.2.9\n    reason: ' one administrator '\n    who: J. Doe\n    until: 2027-01-31\n  - {control: audit-log-path, reason: r, who: w, until: \"2028-02-29\", ticket: SEC-1, value: not set}\n";
    let waivers = read(text).unwrap();
    let [first, second] = waivers.as_slice() else { panic!("{waivers:?}") };
    assert_eq!((first.control.as_str(), first.reason.as_str()), ("1.2.9", "one administrator"));
    assert_eq!(first.until, Some(today()));
    assert_eq!((first.ticket.as_ref(), first.value.as_ref()), (None, None));
    assert_eq!(first.place.as_ref().unwrap().to_string(), "settings.yaml:3:5");
    assert_eq!(second.until.unwrap().to_string(), "2028-02-29");
    assert_eq!((second.ticket.as_deref(), second.value.as_deref()), (Some("SEC-1"), Some("not set")));
}

#[test]
fn mistakes_name_their_place_and_the_remedy() {
    for (waiver, message, hint) in [
        (
            "{control: event-rate-limit, reason: r, who: w, ticked: t}",
            "2:52: unknown key \"ticked\"",
            "did you mean ticket?",
        ),
        (
            "{control: event-rate-limit, who: w}",
            "2:5: a waiver needs reason",
            "say why it need not be met: reason: …",
        ),
        (
            "{control: event-rate-limit, reason: \" \", who: w}",
            "2:41: a waiver needs reason",
            "say why it need not be met: reason: …",
        ),
        (
            "{control: event-rate-limit, reason: r, who: }",
            "2:47: a waiver needs who",
            "say who has accepted that: who: …",
        ),
        (
            "{reason: r, who: w}",
            "2:5: a waiver needs control",
            "write the control's name or number: control: event-rate-limit",
        ),
        (
            "{control: event-rate-limit, reason: r, who: w, until: 2027-02-29}",
            "2:59: \"2027-02-29\" is not a day",
            "write year, month and day: 2027-01-31",
        ),
        (
            "{control: event-rate-limit, reason: r, who: w, until: 2027}",
            "2:59: until must be text, found 2027",
            "write it in quotes: until: \"2027\"",
        ),
        (
            "{control: event-rate-limit, reason: r, who: w, value: false}",
            "2:59: value must be text, found false",
            "write it in quotes: value: \"false\"",
        ),
        (
            "{control: event-rate-limits, reason: r, who: w}",
            "2:15: unknown control \"event-rate-limits\"",
            "did you mean event-rate-limit?",
        ),
        (
            "{control: 9.9.9, reason: r, who: w}",
            "2:15: no benchmark has a control 9.9.9",
            "`k3s-harden verify` lists all controls",
        ),
        (
            "{control: \"5.2\", reason: r, who: w}",
            "2:15: no benchmark has a control 5.2",
            "a section cannot be waived: name its controls one by one",
        ),
        (
            "{control: 1.2.9, reason: r, who: w}\n  - {control: 1.2.9, reason: r, who: w}",
            "3:15: 1.2.9 is waived already, at settings.yaml:2:5",
            "keep one of them",
        ),
        (
            "event-rate-limit",
            "2:5: expected a mapping, found the text \"event-rate-limit\"",
            "write it as key: value, one to a line",
        ),
    ] {
        let error = read(&format!("waivers:\n  - {waiver}\n")).unwrap_err();
        assert_eq!(
            (error.to_string(), error.hints()),
            (format!("settings.yaml:{message}"), [hint.to_owned()].as_slice())
        );
    }
    let error = read("waivers: {control: 1.2.9}\n").unwrap_err();
    assert_eq!(error.to_string(), "settings.yaml:1:10: waivers must be a list, found a mapping");
}

#[test]
fn whatever_is_not_met_can_be_waived_and_keeps_its_status() {
    let (report, said) = applied(&[
        "control: 1.2.9, until: 2027-01-31",
        "control: audit-log-path, value: not set",
        "control: audit-policy-coverage",
        "control: kubelet-read-only-port",
    ]);
    insta::assert_snapshot!(said, @"
    event-rate-limit warn waived
    audit-log-path fail waived
    audit-policy-coverage manual waived
    kubelet-read-only-port unknown waived
    ");
    assert!(!report.fails(FailOn::Unknown));
}

#[test]
fn waivers_that_do_not_count_are_named() {
    let (report, said) = applied(&[
        "control: event-rate-limit, until: 2027-01-30",
        "control: audit-log-path, value: /var/log/audit.log",
        "control: api-anonymous-auth",
        "control: etcd-certificate",
        "control: protect-kernel-defaults",
        "control: kubelet-read-only-port",
        "control: 4.2.4",
    ]);
    insta::assert_snapshot!(said, @r#"
    kubelet-read-only-port unknown waived
    settings.yaml:2:5: the waiver for event-rate-limit has expired: it was valid until 2027-01-30
    settings.yaml:3:5: the waiver for audit-log-path no longer matches: its value is "/var/log/audit.log", but the actual value is "not set"
    settings.yaml:4:5: the waiver for api-anonymous-auth is no longer needed: the control is met
    settings.yaml:5:5: the waiver for etcd-certificate is not needed: the control is not applicable, the datastore is SQLite
    settings.yaml:6:5: the waiver for protect-kernel-defaults waives nothing: benchmark 1.12 has no such control
    settings.yaml:8:5: the waiver for 4.2.4 is a duplicate: the control is already waived as kubelet-read-only-port
    "#);
    assert!(report.fails(FailOn::Fail) && report.fails(FailOn::Warn));
}

#[test]
fn what_fails_is_what_was_asked_for() {
    let fails = |waivers: &[&str]| {
        let (report, _) = applied(waivers);
        [FailOn::Never, FailOn::Fail, FailOn::Warn, FailOn::Unknown].map(|on| report.fails(on))
    };
    assert_eq!(fails(&[]), [false, true, true, true]);
    assert_eq!(fails(&["control: audit-log-path"]), [false, false, true, true]);
    assert_eq!(fails(&["control: 1.2.16", "control: 1.2.9"]), [false, false, false, true]);
    // Somebody has to look again, whatever the benchmark makes of it.
    assert_eq!(fails(&["control: 1.2.16", "control: 1.2.9, until: 2027-01-30"]), [false, true, true, true]);
    assert_eq!(fails(&["control: 1.2.16", "control: 3.2.2, value: other"]), [false, true, true, true]);
    // One that is not needed does no harm.
    let all = ["control: 1.2.16", "control: 1.2.9", "control: 4.2.4", "control: 1.2.1"];
    assert_eq!(fails(&all), [false; 4]);
}

#[test]
fn every_verb_checks_them_and_writes_the_same() {
    let waivers = "waivers:\n  - {control: event-rate-limit, reason: r, who: w, until: 2000-01-01}\n";
    let [plain, waived] = ["", waivers].map(|more| {
        let node = Node::new().file(SETTINGS, format!("audit_log_maxage: 90\n{more}"));
        assert_eq!(node.run(&["apply", "-q", "--k3s-version", "1.33"]).code, 0);
        assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
        node.read("etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml")
    });
    assert_eq!(plain, waived);
    assert!(plain.contains("audit-log-maxage=90"), "{plain}");

    let node = Node::new().file(SETTINGS, "waivers: [{control: event-rate-limit, who: w}]\n");
    for verb in ["plan", "apply", "preflight", "effective-config"] {
        let output = node.run(&[verb, "--k3s-version", "1.33"]);
        assert_eq!(output.code, 65, "{verb}: {}", output.stderr);
        assert_eq!(
            output.stderr,
            "error: ROOT/etc/k3s-harden/settings.yaml:1:11: a waiver needs reason\n help: say why it need not be met: reason: …\n"
        );
    }
}

#[test]
fn they_stand_in_the_settings_file_alone() {
    let node = Node::new().file("site.yaml", "settings: {waivers: []}\n").file(SETTINGS, "waiver: []\n");
    let profile = node.path().join("site.yaml");
    for (arguments, hint) in [
        (["--set", "waivers=[]"], "waivers are supported only in the settings file"),
        (["--profile", profile.to_str().unwrap()], "waivers are supported only in the settings file"),
        (["--role", "server"], "did you mean waivers?"),
    ] {
        let node = if arguments[0] == "--role" { &node } else { &Node::new() };
        let output = node.run(&["plan", "--k3s-version", "1.33", arguments[0], arguments[1]]);
        assert_eq!(output.code, 65);
        assert!(output.stderr.ends_with(&format!(" help: {hint}\n")), "{}", output.stderr);
    }
}
