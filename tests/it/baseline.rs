// SPDX-License-Identifier: Apache-2.0
//! What has become better or worse since an earlier report.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::path::PathBuf;

use k3s_harden::Role;
use k3s_harden::k3s::DEFAULT_CONFIG;
use k3s_harden::node::RootedPath;
use k3s_harden::output::{ReportOrigin, Style, trend_json, trend_text, verify_json};
use k3s_harden::verify::baseline::Trend;
use k3s_harden::verify::{Baseline, ControlVerdict, ReportHistory, Status, VerifyReport, Waiver};

/// A report with these controls: number, name, status, and whether it is waived.
fn report(benchmark: &str, controls: &[(&str, &str, Status, bool)]) -> VerifyReport {
    let verdict = |(id, name, status, waived): &(&str, &str, Status, bool)| ControlVerdict {
        id: id.parse().unwrap(),
        name: (*name).to_owned(),
        title: "A control".to_owned(),
        level: 1,
        automated: true,
        status: *status,
        expected: String::new(),
        actual: if *status == Status::Fail { "not set\u{1b}[2J".to_owned() } else { String::new() },
        evidence: Vec::new(),
        remedy: String::new(),
        waiver: waived.then(|| Waiver {
            control: (*name).to_owned(),
            reason: "r".to_owned(),
            who: "w".to_owned(),
            ticket: None,
            until: None,
            value: None,
            place: None,
        }),
        lapsed: false,
    };
    VerifyReport {
        root: PathBuf::from("/"),
        config: RootedPath::fixed(DEFAULT_CONFIG),
        role: Role::Server,
        kubernetes: if benchmark == "1.8" { "1.26" } else { "1.33" }.parse().unwrap(),
        benchmark: benchmark.to_owned(),
        started: true,
        verdicts: controls.iter().map(verdict).collect(),
        findings: Vec::new(),
        history: ReportHistory::default(),
    }
}

fn compared(before: &VerifyReport, now: &VerifyReport) -> Trend {
    let written = verify_json(before, &ReportOrigin::default()).to_string();
    Baseline::read("before.json", written.as_bytes()).unwrap().compare(now)
}

/// How a change from one status to another counts.
fn counts(before: Status, now: Status) -> &'static str {
    let one = |status| report("1.12", &[("1.2.1", "a", status, false)]);
    let trend = compared(&one(before), &one(now));
    assert_eq!(trend.is_worse(), !trend.worse.is_empty());
    match (trend.better.len(), trend.worse.len(), trend.changed.len()) {
        (0, 0, 0) => "same",
        (1, 0, 0) => "better",
        (0, 1, 0) => "worse",
        (0, 0, 1) => "changed",
        _ => panic!("{trend:?}"),
    }
}

#[test]
fn a_change_of_rank_is_better_or_worse() {
    let ranks = [
        [Status::Pass, Status::NotApplicable],
        [Status::Manual, Status::Unknown],
        [Status::Warn, Status::Fail],
    ];
    for (rank, statuses) in ranks.iter().enumerate() {
        for (other, others) in ranks.iter().enumerate() {
            for (before, now) in
                statuses.iter().flat_map(|one| others.iter().map(move |other| (*one, *other)))
            {
                let wanted = match rank.cmp(&other) {
                    std::cmp::Ordering::Less => "worse",
                    std::cmp::Ordering::Greater => "better",
                    std::cmp::Ordering::Equal if before == now => "same",
                    std::cmp::Ordering::Equal => "changed",
                };
                assert_eq!(counts(before, now), wanted, "{before:?} to {now:?}");
            }
        }
    }
}

#[test]
fn controls_are_compared_by_their_names() {
    let before = report(
        "1.8",
        &[
            ("1.2.17", "audit-log-path", Status::Pass, false),
            ("1.2.18", "audit-log-maxage", Status::Warn, false),
            ("1.2.22", "service-account-lookup", Status::Pass, false),
            ("4.2.4", "kubelet-read-only-port", Status::Fail, true),
            ("4.2.13", "pod-max-pids", Status::Warn, false),
            ("5.7.1", "namespaces", Status::Manual, false),
        ],
    );
    let now = report(
        "1.12",
        &[
            ("1.2.16", "audit-log-path", Status::Fail, false),
            ("1.2.17", "audit-log-maxage", Status::Pass, false),
            ("1.2.22", "api-etcd-certificate", Status::Pass, false),
            ("4.2.4", "kubelet-read-only-port", Status::Fail, false),
            ("4.2.13", "pod-max-pids", Status::Warn, true),
            ("5.6.1", "namespaces", Status::Manual, false),
        ],
    );
    let trend = compared(&before, &now);
    insta::assert_snapshot!(trend_text(&trend, Style::Plain), @r"
    Since before.json: Kubernetes 1.26, CIS 1.8
    Kubernetes was 1.26 then and is 1.33 now
    the benchmark was 1.8 then and is 1.12 now
    worse   1.2.16 audit-log-path: pass → fail (not set\u{1b}[2J)
    better  1.2.17 audit-log-maxage: warn → pass
    changed 4.2.4  kubelet-read-only-port: fail, no longer waived (not set\u{1b}[2J)
    changed 4.2.13 pod-max-pids: warn, waived now
    new     1.2.22 api-etcd-certificate: pass
    gone    1.2.22 service-account-lookup: was pass
    1 worse, 1 better, 2 changed, 1 new, 1 gone.
    ");
    insta::assert_snapshot!(format!("{:#}", trend_json(&trend)["worse"]), @r#"
    [
      {
        "actual": "not set\u001b[2J",
        "before": {
          "id": "1.2.17",
          "status": "pass",
          "waived": false
        },
        "name": "audit-log-path",
        "now": {
          "id": "1.2.16",
          "status": "fail",
          "waived": false
        }
      }
    ]
    "#);
    let same = compared(&now, &now);
    assert!(same.is_empty() && !same.is_worse());
    insta::assert_snapshot!(trend_text(&same, Style::Plain), @"
    Since before.json: Kubernetes 1.33, CIS 1.12
    Nothing has changed.
    ");
}

#[test]
fn what_somebody_has_accepted_is_no_reason_to_stop() {
    let one = |status, waived| report("1.12", &[("1.2.1", "a", status, waived)]);
    let accepted = compared(&one(Status::Pass, false), &one(Status::Fail, true));
    assert_eq!((accepted.worse.len(), accepted.is_worse()), (1, false));
    assert!(compared(&one(Status::Pass, true), &one(Status::Fail, false)).is_worse());
}

#[test]
fn what_is_no_report_is_refused() {
    let control = r#"{"id": "1.2.1", "name": "a", "status": "pass"}"#;
    let whole = |controls: &str| {
        format!(
            r#"{{"format_version": "1.0", "role": "server", "kubernetes": "1.33", "benchmark": "1.12", "controls": [{controls}]}}"#
        )
    };
    assert!(Baseline::read("r.json", whole(control).as_bytes()).is_ok());
    for (text, why) in [
        (String::new(), "r.json:1:1: … it is not JSON"),
        ("{\n  nothing\n}".to_owned(), "r.json:2:3: … it is not JSON"),
        ("[".repeat(100_000), "r.json:1:128: … it is not JSON"),
        ("[]".to_owned(), "r.json: … it is a list"),
        (r#"{"Controls": []}"#.to_owned(), "r.json: … there is no format_version"),
        (whole("").replace("1.0", "2.0"), "r.json: … its format is \"2.0\", and this program reads 1.x"),
        (whole("").replace("server", "master"), "r.json: … role is \"master\""),
        (whole("").replace("\"1.33\"", "33"), "r.json: … kubernetes is 33"),
        (whole("").replace("1.33", "x"), "r.json: … kubernetes: \"x\" is not a Kubernetes minor"),
        (whole("").replace("controls", "control"), "r.json: … there is no controls"),
        (whole("1"), "r.json: … controls[0] is 1"),
        (whole(r#"{"id": "1.2.1", "name": "a"}"#), "r.json: … there is no controls[0].status"),
        (whole(control).replace("pass", "PASS"), "r.json: … controls[0].status is \"PASS\""),
        (
            whole(control).replace("1.2.1", "x"),
            "r.json: … controls[0].id: \"x\" is not the number of a control",
        ),
        (
            whole(&control.replace("\"a\"", "\"A B\"")),
            "r.json: … controls[0].name is \"A B\", which is no control's",
        ),
        (whole(&format!("{control}, {control}")), "r.json: … the control a is there twice"),
    ] {
        let error = Baseline::read("r.json", text.as_bytes()).unwrap_err();
        let message = error.to_string().replace("this is not a report of k3s-harden verify:", "…");
        assert_eq!(message, why);
        assert_eq!(error.hints(), ["make one with `k3s-harden verify --format json`, and name its file"]);
    }
}
