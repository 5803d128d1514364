// SPDX-License-Identifier: Apache-2.0
//! `verify` as its users see it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::Node;
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

const CONFIG: &str = "etc/rancher/k3s/config.yaml";

fn hardened(arguments: &[&str]) -> Node {
    let node = Node::new();
    let words: Vec<&str> = ["apply", "-q"].iter().chain(arguments).copied().collect();
    let output = node.run(&words);
    assert_eq!(output.code, 0, "{}", output.stderr);
    node
}

fn report(node: &Node, arguments: &[&str]) -> (Value, i32) {
    let words: Vec<&str> = ["verify", "--format", "json"].iter().chain(arguments).copied().collect();
    let output = node.run(&words);
    (serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr)), output.code)
}

fn ids(report: &Value, status: &str) -> Vec<String> {
    let controls = report["controls"].as_array().unwrap().iter();
    controls
        .filter(|control| control["status"] == status)
        .map(|control| control["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_apply_makes_fails_nowhere() {
    for minor in KubernetesMinor::supported().iter().map(ToString::to_string) {
        for (role, profile) in
            [("server", "cis"), ("server", "cis,strict"), ("agent", "cis"), ("agent", "cis,strict")]
        {
            let node = hardened(&["--k3s-version", &minor, "--role", role, "--profile", profile]);
            let (report, code) = report(&node, &[]);
            let failed: Vec<String> = ids(&report, "fail");
            assert!(failed.is_empty() && code == 0, "{minor} {role} {profile}: {failed:?}");
            assert!(report["controls"].as_array().unwrap().len() >= 125, "all of them are told");
            assert_eq!(report["started"], false);
        }
    }
}

/// What K3s does not do by itself on a server: an audit log, and tokens that end.
const BARE: [&str; 5] = ["1.2.16", "1.2.17", "1.2.18", "1.2.19", "1.2.30"];

#[test]
fn a_bare_node_fails_where_the_benchmark_says() {
    let (before, code) = report(&Node::new(), &["--k3s-version", "1.33", "--role", "server"]);
    assert_eq!((ids(&before, "fail"), code), (BARE.map(String::from).to_vec(), 2));
    let warned = ids(&before, "warn");
    for id in ["1.2.27", "3.2.1", "4.2.13"] {
        assert!(warned.contains(&id.to_owned()), "{id}: {warned:?}");
    }
    for (words, expected) in [(["--fail-on", "never"], 0), (["--fail-on", "warn"], 2)] {
        let words = ["verify", "--k3s-version", "1.33"].into_iter().chain(words).collect::<Vec<_>>();
        assert_eq!(Node::new().run(&words).code, expected);
    }
}

#[test]
fn each_argument_that_is_undone_is_found() {
    let cases = [
        ("kube-apiserver-arg: anonymous-auth=true", "1.2.1"),
        ("kube-apiserver-arg: token-auth-file=/t", "1.2.2"),
        ("kube-apiserver-arg: authorization-mode=AlwaysAllow", "1.2.6"),
        ("kube-apiserver-arg: authorization-mode=RBAC", "1.2.7"),
        ("kube-apiserver-arg: authorization-mode=Node", "1.2.8"),
        ("kube-apiserver-arg: disable-admission-plugins=ServiceAccount", "1.2.12"),
        ("kube-apiserver-arg: disable-admission-plugins=NamespaceLifecycle", "1.2.13"),
        ("kube-apiserver-arg: disable-admission-plugins=NodeRestriction", "1.2.14"),
        ("kube-apiserver-arg: profiling=true", "1.2.15"),
        ("kube-apiserver-arg: service-account-lookup=false", "1.2.21"),
        ("kube-apiserver-arg: tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA", "1.2.29"),
        ("kube-controller-manager-arg: profiling=true", "1.3.2"),
        ("kube-controller-manager-arg: use-service-account-credentials=false", "1.3.3"),
        ("kube-controller-manager-arg: feature-gates=RotateKubeletServerCertificate=false", "1.3.6"),
        ("kube-controller-manager-arg: bind-address=0.0.0.0", "1.3.7"),
        ("kube-scheduler-arg: profiling=true", "1.4.1"),
        ("kube-scheduler-arg: bind-address=0.0.0.0", "1.4.2"),
        ("kubelet-arg: anonymous-auth=true", "4.2.1"),
        ("kubelet-arg: authorization-mode=AlwaysAllow", "4.2.2"),
        ("kubelet-arg: client-ca-file=", "4.2.3"),
        ("kubelet-arg: read-only-port=10255", "4.2.4"),
        ("kubelet-arg: make-iptables-util-chains=false", "4.2.6"),
        ("kubelet-arg: rotate-certificates=false", "4.2.10"),
        ("kubelet-arg: feature-gates=RotateKubeletServerCertificate=false", "4.2.11"),
        ("kube-proxy-arg: metrics-bind-address=0.0.0.0", "4.3.1"),
    ];
    for (line, id) in cases {
        // What only the configuration says, without a drop-in of ours that would win.
        let node = Node::new().file(CONFIG, format!("{line}\n"));
        let (report, code) = report(&node, &["--k3s-version", "1.33", "--role", "server"]);
        let failed = ids(&report, "fail");
        assert_eq!(code, 2);
        assert!(failed.contains(&id.to_owned()), "{line}: {failed:?}");
        let others: Vec<&String> =
            failed.iter().filter(|other| *other != id && !BARE.contains(&other.as_str())).collect();
        let shares_its_cause = line.ends_with("AlwaysAllow") && line.starts_with("kube-apiserver");
        assert!(others.is_empty() || shares_its_cause, "{line}: {others:?} too");
    }
}

#[test]
fn a_file_of_authorizers_takes_the_place_of_k3s_own_flags() {
    let files = "kube-apiserver-arg: [authorization-config=/a.yaml, authentication-config=/b.yaml]\n";
    let node = Node::new().file(CONFIG, files);
    let (report, _) = report(&node, &["--k3s-version", "1.33", "--role", "server"]);
    let passed = ids(&report, "pass");
    for id in ["1.2.1", "1.2.6", "1.2.7", "1.2.8"] {
        assert!(!passed.contains(&id.to_owned()), "{id}: only the files say");
    }
}

#[test]
fn k3s_own_switches_are_on_by_any_word_of_gos() {
    let switches = "secrets-encryption: 1\nprotect-kernel-defaults: T\ncluster-init: 't'\n";
    let node = Node::new().file(CONFIG, switches);
    let (report, _) = report(&node, &["--k3s-version", "1.24", "--role", "server"]);
    let passed = ids(&report, "pass");
    for id in ["1.2.26", "1.2.29", "1.2.30", "4.2.6"] {
        assert!(passed.contains(&id.to_owned()), "{id}: {passed:?}");
    }
}

#[test]
fn a_gate_that_is_beta_goes_with_all_of_them() {
    for (gates, open) in [
        ("AllBeta=false", false),
        ("AllBeta=false,RotateKubeletServerCertificate=true", true),
        ("AllBeta=true,RotateKubeletServerCertificate=false", false),
        ("AllAlpha=false", true),
    ] {
        let config = format!(
            "kubelet-arg: ['feature-gates={gates}']\nkube-controller-manager-arg: ['feature-gates={gates}']\n"
        );
        let (report, _) = report(&Node::new().file(CONFIG, config), &["--k3s-version", "1.33"]);
        for id in ["1.3.6", "4.2.11"] {
            assert_eq!(ids(&report, "pass").contains(&id.to_owned()), open, "{gates} {id}");
        }
    }
}

#[test]
fn a_selection_is_looked_at_alone() {
    let node = hardened(&["--k3s-version", "1.33"]);
    let (one, _) = report(&node, &["--only", "1.2.16"]);
    assert_eq!(one["controls"].as_array().unwrap().len(), 1);
    let (section, _) = report(&node, &["--only", "4.2"]);
    assert_eq!(section["controls"].as_array().unwrap().len(), 14);
    let (without, _) = report(&node, &["--skip", "5,audit-policy"]);
    assert!(without["controls"].as_array().unwrap().iter().all(|control| control["name"] != "audit-policy"));
    let wrong = node.run(&["verify", "--only", "9.9"]);
    assert_eq!(wrong.code, 65, "{}", wrong.stderr);
    let wrong = node.run(&["verify", "--benchmark", "1.6"]);
    assert_eq!(wrong.code, 65, "{}", wrong.stderr);
    let missing = node.run(&["verify", "--journal", "/nowhere.log"]);
    assert_ne!(missing.code, 0, "{}", missing.stdout);
    let before = node.fingerprint();
    report(&node, &["--benchmark", "2.1"]);
    assert_eq!(node.fingerprint(), before, "it only reads");
}

/// A log is read to its end, however long it is: what K3s logged at its first start is not what is in force.
#[test]
fn the_last_start_of_a_long_log_counts() {
    let start = |value: bool| {
        format!(
            "time=\"2026-11-29T01:30:00Z\" level=info msg=\"Running kube-apiserver --anonymous-auth={value}\"\n"
        )
    };
    let other =
        "I1129 01:30:00.000001    1723 reconciler.go:1 \"Reconciler: start to sync state\" pod=\"a/b\"\n";
    let lines = (20 << 20) / other.len();
    let long = start(false) + &other.repeat(lines) + &start(true);
    let is = |node: &Node, arguments: &[&str]| {
        let (report, _) = report(node, &[&["--k3s-version", "1.33", "--role", "server"], arguments].concat());
        let controls = report["controls"].as_array().unwrap().clone();
        let control = controls.into_iter().find(|control| control["id"] == "1.2.1").unwrap();
        (control["status"].as_str().unwrap().to_owned(), control["evidence"].to_string())
    };
    let node = Node::new().file("long.log", &long);
    let file = node.path().join("long.log");
    let on_the_node = Node::new().file("var/log/k3s.log", &long);
    for (status, evidence) in [is(&node, &["--journal", file.to_str().unwrap()]), is(&on_the_node, &[])] {
        assert_eq!(status, "fail", "{evidence}");
        assert!(evidence.contains(&format!("{}", lines + 2)), "{evidence}");
    }
}

#[test]
fn a_waiver_counts_until_it_ends_and_is_shown() {
    let waived = |until: &str| {
        format!(
            "waivers:\n- {{control: audit-log-path, reason: sent elsewhere, who: J. Doe, until: {until}}}\n"
        )
    };
    for (until, code, findings) in [("9999-12-31", 0, 0), ("2020-01-31", 2, 1)] {
        let node = Node::new().file("etc/k3s-harden/settings.yaml", waived(until));
        let words = ["--k3s-version", "1.33", "--role", "server", "--only", "1.2.16"];
        let (json, its) = report(&node, &words);
        assert_eq!(its, code, "{until}");
        assert_eq!(json["controls"][0]["status"], "fail", "{until}: it is never hidden");
        assert_eq!(json["controls"][0]["waiver"].is_object(), findings == 0, "{until}");
        assert_eq!(json["findings"].as_array().unwrap().len(), findings, "{until}");
        let text = node.run(&[["verify"].as_slice(), &words].concat()).stdout;
        let says = if findings == 0 { "sent elsewhere" } else { "it was valid until 2020-01-31" };
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn only_worse_than_before_counts() {
    let words = ["--k3s-version", "1.33", "--role", "server"];
    let bare = Node::new();
    let hardened = hardened(&words);
    let files = tempfile::tempdir().unwrap();
    let save = |node: &Node, name: &str| {
        let file = files.path().join(name);
        let (json, _) = report(node, &words);
        std::fs::write(&file, json.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (before, after) = (save(&bare, "before.json"), save(&hardened, "after.json"));
    let compare = |node: &Node, file: &str, more: &[&str]| {
        let (json, code) = report(node, &[words.as_slice(), &["--baseline", file], more].concat());
        let count = |list: &str| json["trend"][list].as_array().unwrap().len();
        (code, count("better") > 0, count("worse"), json["controls"].as_array().unwrap().len())
    };
    // Five still fail on the bare node, and it is no worse.
    assert_eq!(compare(&bare, &before, &[]), (0, false, 0, 131));
    assert_eq!(compare(&hardened, &before, &[]), (0, true, 0, 131));
    let (code, better, worse, _) = compare(&bare, &after, &[]);
    assert!(code == 2 && !better && worse >= 10, "{code} {worse}");
    assert_eq!(compare(&bare, &after, &["--only", "1.2.16"]), (2, false, 1, 1));
    assert_eq!(compare(&bare, &after, &["--only", "1.2.1"]), (0, false, 0, 1));

    let arguments = [["verify", "--baseline", &after].as_slice(), &words].concat();
    let text = bare.run(&arguments);
    assert_eq!(text.code, 2);
    assert!(text.stdout.contains("worse   1.2.16"), "{}", text.stdout);
    std::fs::write(&before, "{}").unwrap();
    let wrong = bare.run(&[["verify", "--baseline", &before].as_slice(), &words].concat());
    assert!(
        wrong.code == 65 && wrong.stderr.contains("not a report of k3s-harden verify"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn scanners_are_forecast_beside_the_verdict() {
    let words = ["--k3s-version", "1.33", "--role", "server"];
    let node = hardened(&words);
    let (json, code) = report(&node, &["--as", "security-scan"]);
    assert_eq!((json["scanner"].as_str(), json["benchmark"].as_str()), (Some("security-scan"), Some("1.12")));
    assert_eq!(code, 2, "1.2.26 fails there on SQLite, whatever one does");
    let one = |json: &serde_json::Value, id: &str| {
        json["controls"].as_array().unwrap().iter().find(|control| control["id"] == id).unwrap().clone()
    };
    let etcd_ca = one(&json, "1.2.26");
    assert_eq!(
        (etcd_ca["state"].as_str(), etcd_ca["verdict"].as_str()),
        (Some("FAIL"), Some("not_applicable"))
    );
    assert_eq!(one(&json, "1.2.16")["state"], "PASS");
    for control in json["controls"].as_array().unwrap() {
        assert!(["PASS", "FAIL", "WARN", "INFO"].contains(&control["state"].as_str().unwrap()));
    }
    let (skipped, code) = report(&node, &["--as", "security-scan", "--skip", "1.2.26"]);
    assert_eq!((skipped["summary"]["FAIL"].as_u64(), code), (Some(0), 0));
    assert_eq!(report(&node, &["--as", "security-scan", "--skip", "1.2.26", "--fail-on", "warn"]).1, 2);

    // The scanner's name for a benchmark will do.
    let (json, _) = report(&node, &["--as", "kube-bench", "--benchmark", "k3s-cis-1.9"]);
    assert_eq!(json["benchmark"], "1.9");
    let other = node.run(&["verify", "--as", "kube-bench", "--benchmark", "1.12"]);
    assert!(
        other.code == 65 && other.stderr.contains("it has 1.23, 1.24, 1.7, 1.8, 1.9"),
        "{}",
        other.stderr
    );

    // An open kubelet, which no scanner sees from 1.9 on.
    let open = Node::new().file(CONFIG, "kubelet-arg: anonymous-auth=true\n");
    let text = open.run(&[["verify", "--as", "kube-bench", "--only", "4.2.1"].as_slice(), &words].concat());
    insta::assert_snapshot!(text.stdout, @"
    kube-bench with k3s-cis-1.9: server at ROOT, Kubernetes 1.33
    K3s 1.33, at 2026-11-25T09:00:00Z, by k3s-harden VERSION
    K3s has not started here. The results are a forecast for the first start with the current configuration.
    [PASS] 4.2.1 Kubelet: anonymous requests disabled (--anonymous-auth)
           the journal's last line of kube-apiserver has --anonymous-auth false; it reads the API server's line, not the kubelet's.
           verify says fail: true

    1 checks: 1 PASS, 0 FAIL, 0 WARN, 0 INFO. Section 5 is left out.
    ");
}

#[test]
fn reports_are_written_by_verify_alone() {
    let node = hardened(&["--k3s-version", "1.33"]);
    for (form, begins) in
        [("kube-bench", "{"), ("junit", "<?xml"), ("sarif", "{"), ("html", "<!doctype html>")]
    {
        let output = node.run(&["verify", "--format", form]);
        assert!(output.code == 0 && output.stdout.starts_with(begins), "{form}: {}", output.stdout);
        assert!(output.stdout.contains("1.2.16"), "{form}");
        for wrong in [["plan"].as_slice(), &["verify", "--as", "kube-bench"], &["profile", "list"]] {
            let output = node.run(&[wrong, &["--format", form]].concat());
            assert_eq!(output.code, 64, "{wrong:?} {form}: {}", output.stderr);
        }
    }
}

#[test]
fn an_image_is_not_asked_for_its_cluster() {
    let node = hardened(&["--k3s-version", "1.33"]);
    let output = node.run(&["verify", "--live"]);
    assert_eq!((output.code, output.stdout.as_str()), (64, ""));
    assert!(output.stderr.contains("--live needs a running node: --root is an image"), "{}", output.stderr);
}

/// A configuration that K3s cannot read, and where: line 3, column 8.
fn unreadable() -> Node {
    Node::new().file(CONFIG, "debug: true\ntls-san:\n  - a: [\n")
}

#[test]
fn every_control_that_needs_an_unreadable_file_names_its_line_and_column() {
    let (report, _) = report(&unreadable(), &["--k3s-version", "1.33", "--role", "server"]);
    let place = json!({"text": "unclosed bracket '['", "path": format!("/{CONFIG}"), "line": 3, "column": 8});
    let mut reported = Vec::new();
    for control in report["controls"].as_array().unwrap() {
        for evidence in control["evidence"].as_array().unwrap() {
            if evidence["text"] == place["text"] {
                assert_eq!(evidence, &place, "{}", control["id"]);
                reported.push(control["id"].as_str().unwrap());
            }
        }
    }
    for id in ["1.2.1", "4.2.1", "5.2.1", "5.3.1", "5.3.2"] {
        assert!(reported.contains(&id), "{id}: {reported:?}");
    }
}

#[test]
fn every_verb_reports_an_unreadable_configuration_with_its_place_first() {
    let node = unreadable();
    let place = format!("/{CONFIG}:3:8: ");
    let version = ["--k3s-version", "1.33"];
    for (words, message) in [
        (vec!["effective-config"], "unclosed bracket '['"),
        (vec!["preflight"], "K3s cannot read its configuration: unclosed bracket '['"),
        (vec!["verify", "--as", "kube-bench"], "K3s could not read its configuration: unclosed bracket '['"),
        (
            vec!["verify", "--as", "security-scan"],
            "K3s could not read its configuration: unclosed bracket '['",
        ),
        (vec!["explain", "1.2.1"], "unclosed bracket '['"),
    ] {
        let output = node.run(&[words.clone(), version.to_vec()].concat());
        let all = output.stdout + &output.stderr;
        assert!(all.contains(&format!("{place}{message}")), "{words:?}: {all}");
    }
}

/// The evidence of a control, all of it.
fn evidence(node: &Node, arguments: &[&str], name: &str) -> (String, String) {
    let (report, _) = report(node, arguments);
    let controls = report["controls"].as_array().unwrap();
    let control = controls.iter().find(|control| control["name"] == name).unwrap();
    (control["actual"].as_str().unwrap_or_default().to_owned(), control["evidence"].to_string())
}

#[test]
fn a_default_goes_by_the_minor_and_not_by_the_benchmark() {
    for (minor, benchmark, default) in [
        ("v1.24.17+k3s1", "1.24", "5"),
        ("1.26", "1.8", "5"),
        ("1.26", "1.11", "5"),
        ("1.27", "1.8", "50"),
        ("v1.36.3+k3s1", "1.8", "50"),
        ("1.37", "2.1", "50"),
    ] {
        let words = ["--k3s-version", minor, "--role", "server", "--benchmark", benchmark];
        let (actual, text) = evidence(&Node::new(), &words, "event-qps");
        assert_eq!(actual, default, "{minor} by {benchmark}: {text}");
        assert!(text.contains(&format!("the default is {default}")), "{minor} by {benchmark}: {text}");
    }
    // A drop-in that takes the field out leaves it to the default of files, which is the same.
    let path = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-own.conf";
    let null =
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\neventRecordQPS: null\n";
    let node = Node::new().file(path, null);
    let (actual, _) = evidence(&node, &["--k3s-version", "1.36", "--role", "server"], "event-qps");
    assert_eq!(actual, "50");
}

#[test]
fn what_zero_events_mean_is_said() {
    for (minor, means) in
        [("1.24", "5 a second"), ("1.30", "5 a second"), ("1.36", "5 a second"), ("1.37", "no limit")]
    {
        let node = Node::new().file(CONFIG, "kubelet-arg: [event-qps=0]\n");
        let (actual, text) = evidence(&node, &["--k3s-version", minor, "--role", "server"], "event-qps");
        assert_eq!(actual, "0");
        assert!(text.contains(&format!("which is {means} in Kubernetes {minor}")), "{minor}: {text}");
    }
}

#[test]
fn an_argument_that_the_benchmark_wants_is_told_from_a_default() {
    for (name, default) in
        [("audit-log-maxage", "366"), ("audit-log-maxbackup", "100"), ("audit-log-maxsize", "100")]
    {
        let of = |minor: &str| evidence(&Node::new(), &["--k3s-version", minor, "--role", "server"], name);
        let (actual, text) = of("1.36");
        assert_eq!(actual, "not set");
        let says = format!("the default is {default}, but the benchmark requires the argument");
        assert!(text.contains(&says), "{text}");
        assert!(!of("1.35").1.contains("by itself"), "{}", of("1.35").1);
    }
}
