// SPDX-License-Identifier: Apache-2.0
//! A node whose minor is newer than the tool knows: who reads judges it as the newest known minor and says so, who writes has
//! to be told, and who undoes needs to know nothing of it.
#![allow(clippy::unwrap_used, reason = "tests look at files by hand")]

use serde_json::{Value, json};

use crate::minors::newest;
use crate::support::{Node, Output};
use k3s_harden::version::KubernetesMinor;

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const BINARY: &str = "usr/local/bin/k3s";
const FILE: &str = "etc/k3s/file.yaml";
const KUBELET_FILE: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-own.conf";
const KUBELET_HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
const WARNING: &str = "is newer than this version of k3s-harden supports";
const ASSUME: &str = "--assume-minor";

/// The minor after the newest known one.
pub(crate) fn newer() -> String {
    KubernetesMinor::newest().next().to_string()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}{}", output.stdout, output.stderr))
}

/// A node that was hardened for the newest minor, with an argument of its own.
fn hardened(role: &str) -> Node {
    let node = Node::new().file(CONFIG, "kubelet-arg: [max-pods=100]\n");
    let output = node.run(&["apply", "--k3s-version", newest(), "--role", role]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    node
}

/// A node whose installed K3s is of the newer minor.
fn with_newer_binary(node: Node) -> Node {
    let version = format!("\x7fELF...version.Version=v{}.0+k3s1\0...", newer());
    node.file(BINARY, version)
}

#[test]
fn who_reads_judges_it_as_the_newest_and_says_so_once() {
    let newer = newer();
    for role in ["server", "agent"] {
        let node = hardened(role);
        for verb in [
            &["verify"][..],
            &["preflight"],
            &["effective-config"],
            &["explain", "event-qps"],
            &["verify", "--as", "kube-bench"],
        ] {
            let run = |minor: &str, more: &[&str]| {
                node.run(&[verb, &["--k3s-version", minor, "--role", role], more].concat())
            };
            let answer = |minor: &str| {
                let output = run(minor, &["--format", "json"]);
                let mut json = json_of(&output);
                let fields = json.as_object_mut().unwrap();
                let assumed = fields.remove("assumed");
                fields.remove("k3s_version");
                // The word of the run that hardened the node, where this one has another.
                fields.remove("remembered");
                for list in ["notes", "not_judged"] {
                    if let Some(Value::Array(list)) = fields.get_mut(list) {
                        list.retain(|row| row["code"] != "newer-minor" && row["what"] != "newer-minor");
                    }
                }
                (output.code, json, assumed)
            };
            let (known, unknown) = (answer(newest()), answer(&newer));
            assert_eq!((known.0, &known.1), (unknown.0, &unknown.1), "{verb:?} {role}");
            assert_eq!(known.2, None, "{verb:?} {role}");
            let assumed = unknown.2.unwrap();
            assert_eq!((&assumed["named"], &assumed["judged_as"]), (&json!(newer), &json!(newest())));
            let changes = assumed["not_judged"].to_string();
            assert!(
                changes.contains("NodeSwap") && changes.contains("AuthorizationConditionsEnforcer"),
                "{changes}"
            );
            let said = |minor: &str| run(minor, &[]).stderr.matches(WARNING).count();
            assert_eq!((said(newest()), said(&newer)), (0, 1), "{verb:?} {role}");
        }
    }
    let preflight = hardened("server").run(&["preflight", "--k3s-version", &newer, "--format", "json"]);
    let json = json_of(&preflight);
    assert_eq!(json["starts"], true, "{}", preflight.stdout);
    assert!(json["not_judged"].as_array().unwrap().iter().any(|row| row["what"] == "newer-minor"));
    let report = hardened("server").run(&["verify", "--k3s-version", &newer]).stdout;
    assert!(report.contains(&format!("K3s {newer} (taken for {})", newest())), "{report}");
    let report = hardened("server").run(&["verify", "--k3s-version", &newer, "--format", "junit"]).stdout;
    assert!(report.contains("judged_as"), "{report}");
}

#[test]
fn who_writes_has_to_be_told_what_it_is_taken_for() {
    let newer = newer();
    let known: String = KubernetesMinor::newest().previous().to_string();
    let node = Node::new();
    let before = node.fingerprint();
    for verb in [&["plan"][..], &["apply"], &["render", "--as", "shell"]] {
        let run = |more: &[&str]| node.run(&[verb, more].concat());
        let refused = run(&["--k3s-version", &newer]);
        assert_eq!(refused.code, 65, "{verb:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("{ASSUME} {}", newest())), "{verb:?}: {}", refused.stderr);
        // The version is what it is: naming another would be a circle.
        assert!(!refused.stderr.contains("--k3s-version"), "{verb:?}: {}", refused.stderr);
        for (told, code) in [(known.as_str(), 64), (newer.as_str(), 64), ("latest", 64)] {
            let refused = run(&["--k3s-version", &newer, ASSUME, told]);
            assert_eq!(refused.code, code, "{verb:?} {told}: {}", refused.stderr);
        }
    }
    assert_eq!(node.fingerprint(), before, "a refused run touches nothing");
    for verb in ["verify", "preflight", "effective-config", "plan", "apply"] {
        let refused = node.run(&[verb, "--k3s-version", "1.22"]);
        assert_eq!(refused.code, 65, "{verb}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("supported are") && !refused.stderr.contains(ASSUME),
            "{}",
            refused.stderr
        );
    }
    // What is written is what the newest known minor gets.
    let of = |arguments: &[&str]| {
        let output = node.run(&[&["render", "--as", "shell"], arguments].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        output.stdout
    };
    assert_eq!(of(&["--k3s-version", &newer, ASSUME, newest()]), of(&["--k3s-version", newest()]));
    let variables = [("K3S_HARDEN_ASSUME_MINOR", newest())];
    assert_eq!(node.run_with(&["plan", "--k3s-version", &newer], &variables).code, 0);
    // A unit is for the node, which needs to be told as well.
    let unit = |more: &[&str]| of_unit(&node, more);
    assert!(unit(&["--k3s-version", &newer, ASSUME, newest()]).contains("K3S_HARDEN_ASSUME_MINOR="));
    assert!(!unit(&["--k3s-version", newest(), ASSUME, newest()]).contains("K3S_HARDEN_ASSUME_MINOR="));
}

fn of_unit(node: &Node, more: &[&str]) -> String {
    let output =
        node.run(&[&["render", "--as", "systemd", "--binary", "/usr/local/bin/k3s-harden"], more].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stdout
}

#[test]
fn what_it_is_taken_for_is_recorded_and_undone_without_a_flag() {
    let node = with_newer_binary(Node::new());
    let journal = |node: &Node| node.read("var/lib/k3s-harden/runs/0001/journal.json");
    let before = node.tree();
    // Before the verb or behind it, as any global flag.
    let applied = node.run(&[ASSUME, newest(), "apply"]);
    assert_eq!((applied.code, applied.stderr.matches(WARNING).count()), (0, 1), "{}", applied.stderr);
    assert!(journal(&node).contains(&format!("\"assume_minor\": \"{}\"", newest())), "{}", journal(&node));
    for verb in
        [&["verify"][..], &["preflight"], &["plan", "--detailed-exitcode"], &["apply", "--detailed-exitcode"]]
    {
        let output = node.run(verb);
        assert_eq!(output.code, 0, "{verb:?}: {}{}", output.stdout, output.stderr);
    }
    // Undoing makes no files of its own.
    for verb in ["history", "rollback", "uninstall"] {
        let output = node.run(&[verb]);
        assert_eq!(output.code, 0, "{verb}: {}", output.stderr);
        assert!(!output.stderr.contains(WARNING), "{verb}: {}", output.stderr);
    }
    assert_eq!(node.tree(), before);
    // K3s was upgraded on a node that an earlier run hardened.
    let node = with_newer_binary(hardened("server"));
    assert!(!journal(&node).contains("assume_minor"), "an older version reads what needs no assumption");
    let code = |verb: &str| node.run(&[verb]).code;
    assert_eq!((code("plan"), code("apply"), code("history"), code("uninstall")), (65, 65, 0, 0));
}

#[test]
fn a_known_minor_needs_nobody_to_stand_for_it() {
    let node = Node::new();
    let applied = node.run(&["apply", "--k3s-version", newest(), ASSUME, newest()]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert!(!node.read("var/lib/k3s-harden/runs/0001/journal.json").contains("assume_minor"));
    let told = node.run(&["plan", "--verbose", ASSUME, newest()]);
    assert!(told.stderr.contains("is not needed"), "{}", told.stderr);
}

#[test]
fn a_saved_plan_holds_what_the_minor_is_taken_for() {
    let node = with_newer_binary(Node::new());
    let file = node.path().join("plan.json");
    let file = file.to_str().unwrap();
    assert_eq!(node.run(&["plan", ASSUME, newest(), "--out", file]).code, 0);
    let applied = node.run(&["apply", file]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert_eq!(node.run(&["plan", "--detailed-exitcode"]).code, 0);
}

/// Whether K3s starts with a configuration, and what preflight prints.
fn starts(config: &str, file: &str, minor: &str, role: &str) -> (Option<bool>, String) {
    let node = Node::new().file(CONFIG, config).file(FILE, file);
    let node = if file.starts_with(KUBELET_HEAD) { node.file(KUBELET_FILE, file) } else { node };
    let output = node.run(&["preflight", "--format", "json", "--k3s-version", minor, "--role", role]);
    (json_of(&output)["starts"].as_bool(), output.stdout)
}

#[test]
fn nothing_unknown_by_name_stops_it() {
    let (newer, server, agent) = (newer(), "server", "agent");
    let joined = "server: https://a:6443\ntoken: t\n";
    let kubelet = format!("{KUBELET_HEAD}featureGates: {{NoSuchGate: true}}\n");
    let audit = "kube-apiserver-arg: [audit-policy-file=/etc/k3s/file.yaml, audit-log-path=/var/log/a]\n";
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]\n";
    let policy_version = "apiVersion: audit.k8s.io/v2\nkind: Policy\nrules: [{level: Metadata}]\n";
    let admission = "kube-apiserver-arg: [admission-control-config-file=/etc/k3s/file.yaml]\n";
    let plugins =
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\nmore: 1\n";
    let proxy = "kube-proxy-arg: [config=/etc/k3s/file.yaml]\n";
    for (config, file, role) in [
        ("kube-apiserver-arg: [no-such-argument=1]\n", "", server),
        ("kubelet-arg: [no-such-argument=1]\n", "", server),
        ("kube-apiserver-arg: [feature-gates=NoSuchGate=true]\n", "", server),
        ("kube-apiserver-arg: [enable-admission-plugins=NoSuchPlugin]\n", "", server),
        ("kube-apiserver-arg: [tls-cipher-suites=TLS_NO_SUCH]\n", "", server),
        ("kube-apiserver-arg: [tls-min-version=VersionTLS14]\n", "", server),
        ("kube-apiserver-arg: ['authorization-mode=Node,NoSuch']\n", "", server),
        ("kube-apiserver-arg: [endpoint-reconciler-type=no-such]\n", "", server),
        ("kube-apiserver-arg: [runtime-config=api/v9=true]\n", "", server),
        ("kube-controller-manager-arg: [controllers=no-such]\n", "", server),
        ("kubelet-arg: [topology-manager-policy=no-such]\n", "", server),
        ("kubelet-arg: [feature-gates=NoSuchGate=true]\n", "", server),
        ("flannel-backend: no-such\n", "", server),
        ("", &kubelet, server),
        (audit, policy, server),
        (audit, policy_version, server),
        (admission, plugins, server),
        (proxy, "apiVersion: kubeproxy.config.k8s.io/v9\nkind: KubeProxyConfiguration\n", server),
        (&format!("{joined}no-such-key: 1\n"), "", agent),
    ] {
        let (known, printed) = starts(config, file, newest(), role);
        assert_eq!(known, Some(false), "{config}{file}: {printed}");
        let (unknown, printed) = starts(config, file, &newer, role);
        assert_eq!(unknown, None, "{config}{file}: {printed}");
    }
    // What does nothing in a known minor may do something in this one.
    for (config, file) in
        [("no-such-key: 1\n", String::new()), ("", format!("{KUBELET_HEAD}noSuchField: 1\n"))]
    {
        let codes = |minor: &str| {
            let (starts, printed) = starts(config, &file, minor, server);
            let json: Value = serde_json::from_str(&printed).unwrap();
            (starts, json["now"].as_array().unwrap().len(), json["notes"].as_array().unwrap().len())
        };
        let ((is_known, named, notes), (is_unknown, others, more_notes)) = (codes(newest()), codes(&newer));
        assert_eq!((is_known, is_unknown), (Some(true), Some(true)), "{config}{file}");
        assert_eq!((named, others, more_notes), (1, 0, notes + 2), "{config}{file}");
    }
}

#[test]
fn what_rests_on_no_name_stops_it_too() {
    let newer = newer();
    let gone = "kubelet-arg: [pod-infra-container-image=x]\n";
    for (config, file) in [
        ("kube-apiserver-arg: [audit-log-maxage=many]\n", ""),
        ("kube-apiserver-arg: [audit-policy-file=/no/such, audit-log-path=/var/log/a]\n", ""),
        (
            "kube-apiserver-arg: [audit-policy-file=/etc/k3s/file.yaml, audit-log-path=/var/log/a]\n",
            "rules: [\n",
        ),
        ("kube-apiserver-arg: [goaway-chance=2]\n", ""),
        ("kube-apiserver-arg: [feature-gates=APIServerTracing]\n", ""),
        ("kube-apiserver-arg: [feature-gates=SidecarContainers=false]\n", ""),
        ("kube-apiserver-arg: [enable-admission-plugins=PodSecurityPolicy]\n", ""),
        ("kube-apiserver-arg: [enable-admission-plugins=EventRateLimit]\n", ""),
        ("kubelet-arg: [event-burst=-1]\n", ""),
        ("selinux: perhaps\n", ""),
        ("key: [\n", ""),
        ("cluster-cidr: garbage\n", ""),
        (gone, ""),
    ] {
        let (known, printed) = starts(config, file, newest(), "server");
        assert_eq!(known, Some(false), "{config}: {printed}");
        let (unknown, printed) = starts(config, file, &newer, "server");
        assert_eq!(unknown, Some(false), "{config}: {printed}");
    }
}

#[test]
fn what_upstream_is_known_to_change_is_not_judged() {
    let newer = newer();
    let kubelet = format!("{KUBELET_HEAD}featureGates: {{NodeSwap: true}}\n");
    let proxy = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclientConnection: {kubeconfig: /var/lib/rancher/k3s/agent/kubeproxy.kubeconfig}\nfeatureGates: {NFTablesProxyMode: true}\n";
    for (config, file, known, code) in [
        ("kube-apiserver-arg: [feature-gates=NodeSwap=true]\n", "", true, "next-minor-gate"),
        ("kubelet-arg: [feature-gates=NodeSwap=true]\n", "", true, "next-minor-gate"),
        ("", kubelet.as_str(), true, "next-minor-gate"),
        ("kube-proxy-arg: [config=/etc/k3s/file.yaml]\n", proxy, true, "proxy-value"),
        ("kube-apiserver-arg: [feature-gates=ConditionalAuthorization=true]\n", "", false, "next-minor-gate"),
        (
            "kube-apiserver-arg: [enable-admission-plugins=AuthorizationConditionsEnforcer]\n",
            "",
            false,
            "next-minor-plugin",
        ),
    ] {
        let (before, printed) = starts(config, file, newest(), "server");
        assert_eq!(before, Some(known), "{config}{file}: {printed}");
        let (after, printed) = starts(config, file, &newer, "server");
        assert_eq!(after, None, "{config}{file}: {printed}");
        let json: Value = serde_json::from_str(&printed).unwrap();
        let is_listed = json["not_judged"].as_array().unwrap().iter().any(|row| row["what"] == code);
        assert!(is_listed, "{config}{file}: {printed}");
    }
}

#[test]
fn profiles_are_shown_for_it_as_for_the_newest() {
    let node = Node::new();
    for verb in [&["profile", "show", "cis"][..], &["profile", "diff", "cis-2.1", "strict"]] {
        let run = |minor: &str, more: &[&str]| node.run(&[verb, &["--k3s-version", minor], more].concat());
        let (known, unknown) = (run(newest(), &[]), run(&newer(), &[]));
        assert_eq!((known.code, &known.stdout), (unknown.code, &unknown.stdout), "{verb:?}");
        assert_eq!((known.stderr.as_str(), unknown.stderr.matches(WARNING).count()), ("", 1), "{verb:?}");
        let json = json_of(&run(&newer(), &["--format", "json"]));
        assert_eq!(json["assumed"]["judged_as"], newest(), "{verb:?}");
        assert_eq!(run("1.22", &[]).code, 65, "{verb:?}");
    }
}
