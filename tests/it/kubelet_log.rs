// SPDX-License-Identifier: Apache-2.0
//! The configuration that the kubelet logs at its start, from 1.37 on: what `verify` makes of the record of a real one, and of
//! lines that are not exactly that.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fmt::Write as _;
use std::fs;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::Node;

/// What a kubelet 1.37.2 logged with the drop-in beside it (tests/oracle/kubelet_log/README.md).
static RECORD: LazyLock<String> = LazyLock::new(|| record("1.37.txt"));
/// The same with `--logging-format=json`.
static JSON_RECORD: LazyLock<String> = LazyLock::new(|| record("1.37-json.txt"));
/// What stands before each line in the journal.
const TAG: &str = "Nov 24 10:00:01 node k3s[321]: ";
/// K3s's own line of the same start.
const RUNNING: &str = "time=\"2026-11-24T10:00:00Z\" level=info msg=\"Running kubelet --read-only-port=0 --hostname-override=node\"\n";
const DROP_IN: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-own.conf";

fn record(name: &str) -> String {
    fs::read_to_string(format!("tests/oracle/kubelet_log/{name}")).unwrap()
}

/// K3s's own line, and the lines that the kubelet logs behind it.
fn started(lines: &str) -> String {
    format!("{RUNNING}{lines}")
}

/// The record as the journal has it: an entry for each line.
fn journal(text: &str) -> String {
    text.lines().fold(String::new(), |mut journal, line| {
        writeln!(journal, "{TAG}{line}").unwrap();
        journal
    })
}

/// A node on which K3s has written its own drop-in, with one of the user's.
fn node(drop_in: &str) -> Node {
    let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    Node::new()
        .file(
            "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf",
            format!("{head}clusterDomain: cluster.local\n"),
        )
        .file(DROP_IN, format!("{head}{drop_in}"))
}

/// The verdicts of a node whose log holds some lines.
fn report(node: &Node, minor: &str, log: &str) -> Value {
    let file = node.path().join("log");
    fs::write(&file, log).unwrap();
    let words = ["verify", "--format", "json", "--k3s-version", minor, "--role", "agent", "--journal"];
    let output = node.run(&[words.as_slice(), &[file.to_str().unwrap()]].concat());
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr))
}

fn control<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["controls"].as_array().unwrap().iter().find(|control| control["name"] == name).unwrap()
}

fn evidence(control: &Value) -> String {
    control["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}\n", one["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn what_the_kubelet_logged_counts_more_than_its_files() {
    // The running kubelet records 7 events a second; the file says something else since.
    let node = node("eventRecordQPS: 9\nstreamingConnectionIdleTimeout: 0s\n");
    for log in [started(&RECORD), journal(&started(&RECORD)), RECORD.clone()] {
        let report = report(&node, "v1.37.2+k3s1", &log);
        for (name, value) in [
            ("event-qps", "7"),
            ("streaming-connection-idle-timeout", "5m0s"),
            ("kubelet-anonymous-auth", "false"),
        ] {
            let control = control(&report, name);
            assert_eq!(
                (&control["status"], control["actual"].as_str()),
                (&"pass".into(), Some(value)),
                "{control:#}"
            );
            assert!(evidence(control).contains("the kubelet logged"), "{control:#}");
            assert!(control["evidence"][0]["line"].is_u64(), "{control:#}");
        }
        let timeout = evidence(control(&report, "streaming-connection-idle-timeout"));
        assert!(timeout.contains("the current arguments and files set"), "{timeout}");
        let findings = report["findings"].to_string();
        assert!(findings.contains("2 fields differ") && findings.contains("eventRecordQPS"), "{findings}");
    }
    // The line is the one in the log.
    let log = started(&RECORD);
    let report = report(&node, "1.37", &log);
    let line = control(&report, "event-qps")["evidence"][0]["line"].as_u64().unwrap();
    let line = log.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
    assert_eq!(line, "\teventRecordQPS: 7");
}

#[test]
fn a_line_in_json_counts_as_well() {
    let report = report(&node("eventRecordQPS: 9\n"), "1.37", &started(&JSON_RECORD));
    assert_eq!(control(&report, "event-qps")["actual"], "7");
}

#[test]
fn a_file_that_agrees_is_no_finding() {
    let report =
        report(&node("eventRecordQPS: 7\nstreamingConnectionIdleTimeout: 5m\n"), "1.37", &started(&RECORD));
    assert_eq!(report["findings"], Value::Array(Vec::new()), "{}", report["findings"]);
    assert!(!evidence(control(&report, "event-qps")).contains("the current arguments and files set"));
}

#[test]
fn what_the_kubelet_did_not_log_is_no_pass_by_a_file_of_today() {
    let node = node("rotateCertificates: true\nseccompDefault: true\n");
    let verdict = |name: &str, log: &str| control(&report(&node, "1.37", log), name)["status"].clone();
    for (name, logged) in [("kubelet-rotates-certificates", "unknown"), ("kubelet-seccomp-default", "warn")] {
        assert_eq!(verdict(name, &started(&RECORD)), logged, "{name}");
        assert_eq!(verdict(name, RUNNING), "pass", "{name}");
    }
}

#[test]
fn lines_that_are_not_exactly_one_configuration_are_refused() {
    let node = node("eventRecordQPS: 9\n");
    let without = |text: &str| {
        RECORD.lines().filter(|line| !line.contains(text)).fold(String::new(), |all, line| all + line + "\n")
    };
    let with = |old: &str, new: &str| {
        assert!(RECORD.contains(old), "{old}");
        RECORD.replacen(old, new, 1)
    };
    let head = RECORD.lines().next().unwrap();
    let foreign =
        "time=\"2026-11-24T10:00:02Z\" level=info msg=\"Handling backend connection request [node]\"\n";
    for (what, lines) in [
        ("its end is missing", RECORD.trim_end().trim_end_matches(" >").to_owned()),
        ("another program wrote in between", with("\teventRecordQPS", &format!("{foreign}\teventRecordQPS"))),
        ("a line is cut", with("\teventRecordQPS: 7\n", "\teventReco\nrdQPS: 7\n")),
        ("a line is missing", without("\tfileCheckFrequency")),
        ("the last lines are missing", without("\tvolumeStatsAggPeriod")),
        ("a field twice", with("\teventRecordQPS: 7\n", "\teventRecordQPS: 7\n\teventRecordQPS: 0\n")),
        ("an unknown field", with("\teventRecordQPS: 7\n", "\teventRecordQPSX: 7\n")),
        ("another type", with("\teventRecordQPS: 7\n", "\teventRecordQPS: seven\n")),
        ("another kind", with("\tkind: KubeletConfiguration\n", "\tkind: Kubelet\n")),
        ("no YAML", with("\teventRecordQPS: 7\n", "\teventRecordQPS: [7\n")),
    ] {
        for log in [format!("{RUNNING}{lines}"), journal(&format!("{RUNNING}{lines}"))] {
            let report = report(&node, "1.37", &log);
            let found = control(&report, "event-qps");
            assert_eq!(found["actual"], "9", "{what}: the files count: {found:#}");
            let findings = report["findings"].to_string();
            assert!(findings.contains("that the kubelet logged is not read"), "{what}: {findings}");
        }
    }
    // An entry of another process, and of another program, between those of K3s.
    let entries = journal(&started(&RECORD));
    for other in ["k3s[322]: ", "sshd[9]: "] {
        let foreign = format!("Nov 24 10:00:01 node {other}\teventRecordQPS: 0\n");
        let log = entries.replacen(
            &format!("{TAG}\teventRecordQPS"),
            &format!("{foreign}{TAG}\teventRecordQPS"),
            1,
        );
        let report = report(&node, "1.37", &log);
        assert_eq!(control(&report, "event-qps")["actual"], "9", "{other}");
    }
    // Who only says what the kubelet says, is not the kubelet.
    for line in [
        format!("Nov 24 10:00:01 node k3s[321]: \t{head}"),
        format!("E1124 1 remote.go:1] \"ExecSync failed\" cmd={head}"),
        head.replace("server.go", "remote.go"),
        head.replace('I', "E"),
    ] {
        let log = RECORD.replacen(head, &line, 1);
        let report = report(&node, "1.37", &format!("{RUNNING}{log}"));
        assert_eq!(control(&report, "event-qps")["actual"], "9", "{line}");
        assert_eq!(report["findings"], Value::Array(Vec::new()), "{line}");
    }
}

#[test]
fn the_last_start_counts_and_no_older_minor_logs_it() {
    let node = node("eventRecordQPS: 9\n");
    let qps = |minor: &str, log: &str| control(&report(&node, minor, log), "event-qps")["actual"].clone();
    let newer = RECORD.replacen("\teventRecordQPS: 7", "\teventRecordQPS: 8", 1);
    assert_eq!(qps("1.37", &format!("{}{RUNNING}{newer}", started(&RECORD))), "8");
    assert_eq!(
        qps("1.37", &format!("{}{RUNNING}", started(&RECORD))),
        "9",
        "the last start has not logged it yet"
    );
    assert_eq!(qps("1.36", &started(&RECORD)), "9");
}
