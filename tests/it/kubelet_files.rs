// SPDX-License-Identifier: Apache-2.0
//! A flag of the kubelet and the field of its configuration are one setting: how `plan`, `apply` and `verify` meet a user's
//! file of the kubelet's configuration.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;

use serde_json::Value;

use crate::support::{Node, Output};

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const FILE: &str = "etc/rancher/k3s/kubelet.yaml";
const DROP_IN: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-user.conf";
const OURS: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const NAMES_FILE: &str = "kubelet-arg: [config=/etc/rancher/k3s/kubelet.yaml]\n";

/// Returns a node whose user gives the kubelet the file, with `fields` in it.
fn node(fields: &str) -> Node {
    Node::new().file(CONFIG, NAMES_FILE).file(FILE, format!("{HEAD}{fields}\n"))
}

/// Returns a node whose user has a drop-in in K3s's own folder, with `fields` in it.
fn node_with_drop_in(fields: &str) -> Node {
    Node::new().file(DROP_IN, format!("{HEAD}{fields}\n"))
}

fn run(node: &Node, verb: &str, minor: &str, arguments: &[&str]) -> Output {
    node.run(&[&[verb, "--k3s-version", minor, "--role", "server"], arguments].concat())
}

/// Applies, checks that a second run has nothing to do, and returns the output and the drop-in.
#[track_caller]
fn apply(node: &Node, minor: &str, arguments: &[&str]) -> (Output, String) {
    let output = run(node, "apply", minor, arguments);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    (output, node.read(OURS))
}

/// Tells whether a drop-in gives a component an argument.
fn gives(drop_in: &str, argument: &str) -> bool {
    drop_in.lines().any(|line| line.trim_start().starts_with(&format!("- \"{argument}=")))
}

/// Every argument of the kubelet that a profile writes: field, values that satisfy, values that do not.
const FIELDS: [(&str, &str, &[&str], &[&str]); 8] = [
    (
        "streaming-connection-idle-timeout",
        "streamingConnectionIdleTimeout",
        &["5m", "10m", "1h30m"],
        &["0s", "0h0m"],
    ),
    ("make-iptables-util-chains", "makeIPTablesUtilChains", &["true"], &["false"]),
    ("event-qps", "eventRecordQPS", &["50", "7"], &[]),
    ("pod-max-pids", "podPidsLimit", &["100", "9000"], &["-1"]),
    ("read-only-port", "readOnlyPort", &["0"], &["10255"]),
    ("seccomp-default", "seccompDefault", &["true"], &["false"]),
    (
        "tls-cipher-suites",
        "tlsCipherSuites",
        &["[TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]"],
        &[
            "[TLS_RSA_WITH_AES_128_CBC_SHA]",
            "[TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_RSA_WITH_AES_128_CBC_SHA]",
        ],
    ),
    ("tls-min-version", "tlsMinVersion", &["VersionTLS12", "VersionTLS13"], &["VersionTLS11"]),
];

/// Returns what is said of a plan for an empty node whose kubelet has a file with a field, and the drop-in in it.
fn planned(minor: &str, field: &str, decision: &str) -> (Output, String) {
    let arguments = ["--profile", "strict", "--on-conflict", decision];
    let output = run(&node(field), "plan", minor, &arguments);
    let added = output.stdout.lines().filter_map(|line| line.strip_prefix('+'));
    let added = added.collect::<Vec<_>>().join("\n");
    (output, added)
}

#[test]
fn a_value_that_satisfies_its_control_stays_and_another_is_a_conflict() {
    for minor in ["1.31", "1.32", "1.36"] {
        let all = planned(minor, "maxPods: 50", "fail").1;
        for (argument, field, satisfying, others) in FIELDS {
            // K3s gives the kubelet this one by itself, except in 1.32.0 to 1.32.3: no file counts.
            if (argument == "read-only-port") != (minor == "1.32") {
                continue;
            }
            assert!(gives(&all, argument), "{minor} {argument}: {all}");
            let place = format!("/{FILE}:3:{}: ", field.len() + 3);
            for value in satisfying {
                let (output, drop_in) = planned(minor, &format!("{field}: {value}"), "fail");
                assert_eq!(output.code, 0, "{minor} {field}: {value}: {}", output.stderr);
                assert!(!gives(&drop_in, argument), "{minor} {field}: {value}: {drop_in}");
                assert!(drop_in.contains(&format!("# {argument} is left to /{FILE} (CIS ")), "{drop_in}");
                let end = format!("the value is kept, and {argument} is not written\n");
                assert!(
                    output.stderr.contains(&format!("{place}{field} is ")),
                    "{minor} {value}: {}",
                    output.stderr
                );
                assert!(output.stderr.contains(&end), "{minor} {value}: {}", output.stderr);
            }
            for value in others {
                let field = format!("{field}: {value}");
                let (output, _) = planned(minor, &field, "fail");
                assert_eq!(output.code, 1, "{minor} {field}: {}", output.stderr);
                assert!(output.stderr.contains(&format!("error: {place}kubelet: ")), "{}", output.stderr);
                for (decision, is_given) in [("keep", false), ("ours", true)] {
                    let (output, drop_in) = planned(minor, &field, decision);
                    assert_eq!(gives(&drop_in, argument), is_given, "{minor} {field}: {drop_in}");
                    assert!(output.stderr.contains(&format!("WARN {place}kubelet: ")), "{}", output.stderr);
                }
            }
        }
    }
}

#[test]
fn ours_is_not_said_to_be_in_force_where_a_later_file_replaces_it() {
    let later = "etc/rancher/k3s/config.yaml.d/95-user.yaml";
    for (key, is_replaced) in [("kubelet-arg", true), ("kubelet-arg+", false)] {
        let node = Node::new()
            .file(later, format!("{key}: [config=/{FILE}]\n"))
            .file(FILE, format!("{HEAD}podPidsLimit: -1\n"));
        let output = run(&node, "apply", "1.36", &["--profile", "strict"]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let says = |end: &str| output.stderr.contains(&format!("pod-max-pids to \"4096\": {end}"));
        assert_eq!(says("k3s-harden's value is used"), !is_replaced, "{}", output.stderr);
        assert_eq!(
            says("k3s-harden's value is written, but has no effect until"),
            is_replaced,
            "{}",
            output.stderr
        );
    }
}

#[test]
fn conflicts_are_said_as_those_of_arguments() {
    let fields = "streamingConnectionIdleTimeout: 0s\nmakeIPTablesUtilChains: true";
    let quiet = ["--set", "ingress_to=default"];
    let ours = node(fields);
    insta::assert_snapshot!(run(&ours, "apply", "1.36", &quiet).stderr, @r#"
    WARN /etc/rancher/k3s/kubelet.yaml:3:33: kubelet: streamingConnectionIdleTimeout is "0s", but k3s-harden sets streaming-connection-idle-timeout to "5m": k3s-harden's value is used; to keep the existing value: --on-conflict keep
    WARN /etc/rancher/k3s/kubelet.yaml:4:25: makeIPTablesUtilChains is "true", which satisfies CIS 4.2.6: the value is kept, and make-iptables-util-chains is not written
    "#);
    // What is decided is said again; what only changes nothing is not.
    let again = ours.run(&["plan"]).stderr;
    assert!(again.contains("kubelet.yaml:3:33: kubelet: streaming") && !again.contains(":4:"), "{again}");
    let failed = node(fields);
    let before = failed.fingerprint();
    for verb in ["plan", "apply"] {
        let output = run(&failed, verb, "1.36", &["--on-conflict", "fail"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(format!("{}[exit {}]", output.stderr, output.code), @r#"
            error: /etc/rancher/k3s/kubelet.yaml:3:33: kubelet: streamingConnectionIdleTimeout is "0s", but k3s-harden sets streaming-connection-idle-timeout to "5m": they contradict
             help: override the other value: --on-conflict ours; keep it: --on-conflict keep
            [exit 1]
            "#);
        }
    }
    assert_eq!(failed.fingerprint(), before);
}

#[test]
fn a_drop_in_a_folder_and_the_service_count_as_a_file_does() {
    let field = "streamingConnectionIdleTimeout: 10m";
    let service =
        "[Service]\nExecStart=/usr/local/bin/k3s server --kubelet-arg=config=/etc/rancher/k3s/kubelet.yaml\n";
    let text = format!("{HEAD}{field}\n");
    for node in [
        node_with_drop_in(field),
        Node::new()
            .file(CONFIG, "kubelet-arg: [config-dir=/etc/rancher/k3s/kubelet.d]\n")
            .file("etc/rancher/k3s/kubelet.d/below/10.conf", &text),
        Node::new().file("etc/systemd/system/k3s.service", service).file(FILE, &text),
        Node::new()
            .file("etc/rancher/k3s/config.yaml.d/99.yaml", NAMES_FILE.replace("arg:", "arg+:"))
            .file(FILE, &text),
        // What the last of several says counts, and letter case does not.
        node("streamingConnectionIdleTimeout: 0s")
            .file(DROP_IN, format!("{HEAD}streamingconnectionidletimeout: 10m\n")),
    ] {
        let (_, ours) = apply(&node, "1.36", &[]);
        assert!(!gives(&ours, "streaming-connection-idle-timeout"), "{ours}");
        assert!(gives(&ours, "make-iptables-util-chains"), "{ours}");
    }
    // No file is in force here: of another ending, of a component that is overridden by an argument, of an old K3s.
    for (node, minor) in [
        (
            Node::new()
                .file(&DROP_IN.replace(".conf", ".yaml").replace("kubelet.yaml.d", "kubelet.conf.d"), &text),
            "1.36",
        ),
        (node(field).file(CONFIG, NAMES_FILE.replace(']', ", streaming-connection-idle-timeout=0]")), "1.36"),
        (node_with_drop_in(field), "1.31"),
    ] {
        let (_, ours) = apply(&node, minor, &[]);
        assert!(gives(&ours, "streaming-connection-idle-timeout"), "{ours}");
    }
}

#[test]
fn drift_of_the_file_is_seen_and_mended_and_rolled_back() {
    let node = node("streamingConnectionIdleTimeout: 10m");
    let before = node.tree();
    let first = apply(&node, "1.36", &[]).1;
    assert!(!gives(&first, "streaming-connection-idle-timeout"));
    let path = node.path().join(FILE);
    fs::write(&path, format!("{HEAD}# slower\nstreamingConnectionIdleTimeout: 0s\n")).unwrap();
    // The kubelet takes its default for zero in a file.
    let plan = node.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2);
    assert!(plan.stdout.contains("streaming-connection-idle-timeout=5m"), "{}", plan.stdout);
    assert!(plan.stderr.contains("/etc/rancher/k3s/kubelet.yaml:4:33"), "{}", plan.stderr);
    let idle = control(&node, "4.2.5");
    assert_eq!(idle["actual"], "4h0m0s");
    assert_eq!(place(&idle), "/etc/rancher/k3s/kubelet.yaml:4:33", "{idle}");
    assert_eq!(node.run(&["apply"]).code, 0);
    assert!(gives(&node.read(OURS), "streaming-connection-idle-timeout"));
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    // The value that satisfies comes back, and counts again.
    fs::write(&path, format!("{HEAD}streamingConnectionIdleTimeout: 10m\n")).unwrap();
    assert_eq!(node.run(&["apply"]).code, 0);
    assert_eq!(node.read(OURS), first);
    for _ in 0..3 {
        assert_eq!(node.run(&["rollback"]).code, 0);
    }
    assert_eq!(node.run(&["uninstall"]).code, 0);
    assert_eq!(node.tree(), before);
}

/// Returns the place of the evidence for a control.
fn place(control: &Value) -> String {
    let evidence = &control["evidence"][0];
    format!("{}:{}:{}", evidence["path"].as_str().unwrap_or_default(), evidence["line"], evidence["column"])
}

/// Returns what `verify` says about a control.
fn control(node: &Node, id: &str) -> Value {
    let output = node.run(&["verify", "--fail-on", "never", "--format", "json"]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    report["controls"].as_array().unwrap().iter().find(|control| control["id"] == id).unwrap().clone()
}

#[test]
fn verify_names_the_place_of_the_value_in_force() {
    let fields = "authentication: {anonymous: {enabled: true}}\nstreamingConnectionIdleTimeout: 10m";
    let node = node(fields);
    apply(&node, "1.36", &["--no-preflight"]);
    for (id, status, text, place) in [
        (
            "4.2.1",
            "fail",
            "the kubelet's configuration has authentication.anonymous.enabled: true",
            "/etc/rancher/k3s/kubelet.yaml:3:",
        ),
        ("4.2.2", "pass", "the kubelet's configuration has, by K3s itself, authorization.mode: Webhook", ""),
        (
            "4.2.5",
            "pass",
            "the kubelet's configuration has streamingConnectionIdleTimeout: 10m",
            "/etc/rancher/k3s/kubelet.yaml:4:33",
        ),
        (
            "4.2.6",
            "pass",
            "kubelet gets --make-iptables-util-chains=true",
            "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml:",
        ),
    ] {
        let found = control(&node, id);
        assert_eq!(found["status"], status, "{found}");
        assert_eq!(found["evidence"][0]["text"], text, "{found}");
        assert!(self::place(&found).starts_with(place), "{found}");
    }
    let gates = node_with_drop_in("featureGates: {RotateKubeletServerCertificate: true}");
    apply(&gates, "1.36", &[]);
    assert_eq!(place(&control(&gates, "4.2.11")), format!("/{DROP_IN}:3:48"));
    let underscores = Node::new().file(CONFIG, "kubelet-arg: [pod_max_pids=100]\n");
    apply(&underscores, "1.36", &[]);
    assert_eq!(place(&control(&underscores, "4.2.13")), format!("/{CONFIG}:1:15"));
    // A field in other letters counts, and no value counts in a file that ends the kubelet.
    let letters = node_with_drop_in("readonlyport: 10255\nauthentication: {x509: {clientcafile: ''}}");
    apply(&letters, "1.36", &["--no-preflight"]);
    assert_eq!(control(&letters, "4.2.3")["status"], "fail");
    let broken = node_with_drop_in("podPidsLimit: many");
    assert_eq!(run(&broken, "apply", "1.36", &["--no-preflight"]).code, 0);
    assert_eq!(control(&broken, "4.2.13")["status"], "unknown");
}

#[test]
fn a_file_that_ends_the_kubelet_is_refused() {
    for fields in
        ["maxPods: -5", "streamingConnectionIdleTimeout: [", "maxPods: fifty", "maxPods: 1\nmaxPods: 2"]
    {
        for node in [node(fields), node_with_drop_in(fields)] {
            let before = node.tree();
            let output = run(&node, "apply", "1.36", &[]);
            assert_eq!(output.code, 1, "{fields}: {}", output.stderr);
            assert!(output.stderr.contains("K3s would not start"), "{fields}: {}", output.stderr);
            assert!(!node.path().join(OURS).exists());
            assert_eq!(node.run(&["uninstall"]).code, 0);
            assert_eq!(node.tree(), before, "{fields}");
        }
    }
    // Where it is to be applied all the same, ours is written, and the plan says that nothing was compared.
    let node = node("streamingConnectionIdleTimeout: [");
    let output = run(&node, "apply", "1.36", &["--no-preflight"]);
    assert!(output.stderr.contains("not compared with the managed settings"), "{}", output.stderr);
    assert!(gives(&node.read(OURS), "streaming-connection-idle-timeout"));
}

#[test]
fn kernel_defaults_are_a_key_of_k3s_and_a_field() {
    let strict = ["--no-preflight", "--set", "protect_kernel_defaults=true"];
    for minor in ["1.29", "1.36"] {
        let (_, ours) = apply(&node("protectKernelDefaults: true"), minor, &strict);
        assert!(!ours.contains("\nprotect-kernel-defaults: true"), "{ours}");
        let conflicting = node("protectKernelDefaults: false");
        let (output, ours) = apply(&conflicting, minor, &strict);
        assert!(output.stderr.contains("protectKernelDefaults is \"false\", but"), "{}", output.stderr);
        assert_eq!(output.stderr.matches("protectKernelDefaults").count(), 1, "{}", output.stderr);
        assert!(ours.contains("\nprotect-kernel-defaults: true"), "{ours}");
        // From 1.32 on the key becomes a field of an earlier drop-in: only an argument counts more than the user's.
        assert_eq!(gives(&ours, "protect-kernel-defaults"), minor == "1.36", "{ours}");
        // A run about something else leaves both.
        let output = run(&conflicting, "apply", minor, &["--no-preflight", "--only", "1.2.16"]);
        assert_eq!((output.code, conflicting.read(OURS)), (0, ours), "{}", output.stderr);
        let keep = [&strict[..], &["--on-conflict", "keep"]].concat();
        let (_, ours) = apply(&conflicting, minor, &keep);
        assert!(
            !ours.contains("- \"protect-kernel-defaults") && !ours.contains("\nprotect-kernel-defaults"),
            "{ours}"
        );
    }
}

#[test]
fn a_run_about_some_controls_leaves_the_others_as_they_are() {
    let node = Node::new().file(CONFIG, NAMES_FILE).file(FILE, HEAD);
    apply(&node, "1.36", &[]);
    fs::write(
        node.path().join(FILE),
        format!("{HEAD}streamingConnectionIdleTimeout: 10m\nmakeIPTablesUtilChains: true\n"),
    )
    .unwrap();
    let (_, ours) = apply(&node, "1.36", &["--skip", "4.2.5"]);
    assert!(
        gives(&ours, "streaming-connection-idle-timeout") && !gives(&ours, "make-iptables-util-chains"),
        "{ours}"
    );
    let node = self::node("streamingConnectionIdleTimeout: 10m");
    let output = run(&node, "apply", "1.36", &["--only", "4.2"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let output = run(&node, "apply", "1.36", &["--only", "4.2.5"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    // The file serves the control: nothing is off.
    assert!(!output.stderr.contains("does not implement"), "{}", output.stderr);
    assert!(!gives(&node.read(OURS), "streaming-connection-idle-timeout"), "{}", node.read(OURS));
    // A wish that is told is judged as the profile's own value is.
    let (_, ours) = apply(&self::node("podPidsLimit: 200"), "1.36", &["--set", "pod_max_pids=100"]);
    assert!(!gives(&ours, "pod-max-pids"), "{ours}");
    let (_, ours) = apply(&self::node("podPidsLimit: -1"), "1.36", &["--set", "pod_max_pids=100"]);
    assert!(gives(&ours, "pod-max-pids"), "{ours}");
    // What nobody wishes is no conflict.
    let output = run(&self::node("podPidsLimit: -1"), "apply", "1.36", &["--on-conflict", "fail"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn an_argument_that_an_older_version_wrote_over_a_file_is_taken_back_by_a_row() {
    let node = Node::new().file(CONFIG, NAMES_FILE).file(FILE, HEAD);
    let (_, ours) = apply(&node, "1.36", &[]);
    let this = format!("# Written by k3s-harden {} ", env!("CARGO_PKG_VERSION"));
    fs::write(node.path().join(OURS), ours.replace(&this, "# Written by k3s-harden 0.1.0 ")).unwrap();
    fs::write(node.path().join(FILE), format!("{HEAD}streamingConnectionIdleTimeout: 10m\n")).unwrap();
    let plan = node.run(&["plan"]);
    let row = "changed since 0.1.0: an argument of the kubelet is left out where a file of its configuration has a value that stays\n";
    assert!(plan.stdout.contains(row), "{}", plan.stdout);
    assert!(plan.stdout.contains("streaming-connection-idle-timeout=5m"), "{}", plan.stdout);
    assert_eq!(node.run(&["apply"]).code, 0);
    assert!(!gives(&node.read(OURS), "streaming-connection-idle-timeout"));
    // Without such a file nothing changes, and no row is named.
    fs::write(node.path().join(FILE), HEAD).unwrap();
    let plan = node.run(&["plan"]);
    assert!(!plan.stdout.contains("changed since"), "{}", plan.stdout);
}

#[test]
fn an_agent_whose_file_has_everything_gets_no_arguments() {
    let fields = "streamingConnectionIdleTimeout: 10m\nmakeIPTablesUtilChains: true\ntlsCipherSuites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]";
    let node = node(fields);
    let output = node.run(&["apply", "--k3s-version", "1.36", "--role", "agent"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let ours = node.read(OURS);
    assert!(ours.lines().all(|line| line.starts_with('#')), "{ours}");
    assert_eq!(ours.matches(" is left to /etc/rancher/k3s/kubelet.yaml (CIS 4.2.").count(), 3, "{ours}");
    assert_eq!(node.run(&["apply"]).stdout, "Nothing to change.\n");
    assert_eq!(node.run(&["preflight"]).code, 0);
    assert_eq!(control(&node, "4.2.12")["status"], "pass");
}

#[test]
fn explain_names_the_file_and_render_knows_nothing_of_it() {
    let node = node("streamingConnectionIdleTimeout: 10m");
    let told = ["--k3s-version", "1.36", "--role", "server"];
    let explained = node.run(&[&["explain", "4.2.5"], &told[..]].concat());
    assert!(
        explained.stdout.contains("kubelet.yaml:3: kubelet streaming-connection-idle-timeout=10m"),
        "{}",
        explained.stdout
    );
    assert!(!explained.stdout.contains("90-k3s-harden"), "{}", explained.stdout);
    let rendered = node.run(&[&["render", "--as", "shell"], &told[..]].concat());
    assert!(gives(&rendered.stdout, "streaming-connection-idle-timeout"), "{}", rendered.stdout);
}
