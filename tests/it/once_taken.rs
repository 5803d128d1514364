// SPDX-License-Identifier: Apache-2.0
//! Inputs that an earlier version took and this one does not write: what only reads goes on, what writes refuses them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;

use crate::support::Node;
use crate::support::journal::of_0_1_0;

const JOURNAL: &str = "var/lib/k3s-harden/runs/0001/journal.json";
const STRONG: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
const WEAK: &str = "TLS_RSA_WITH_AES_128_GCM_SHA256";

/// A node with a run that recorded `setting`, with `recorded` put in the place of `taken` in its journal.
fn node(setting: &str, taken: &str, recorded: &str) -> Node {
    let node = Node::new();
    let run = ["apply", "-q", "--k3s-version", "1.33", "--role", "server", "--set", setting];
    let applied = node.run(&run);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let journal = node.read(JOURNAL);
    assert!(journal.contains(taken), "{journal}");
    fs::write(node.path().join(JOURNAL), of_0_1_0(&journal.replace(taken, recorded)).to_string()).unwrap();
    node
}

#[track_caller]
fn writes_refuse_and_reads_go_on(node: &Node, complaint: &str) {
    for verb in [&["plan"][..], &["apply"], &["render", "--as", "shell"]] {
        let output = node.run(verb);
        assert_eq!(output.code, 65, "{verb:?}: {}", output.stderr);
        assert!(output.stderr.contains(complaint), "{verb:?}: {}", output.stderr);
    }
    for verb in [
        &["preflight"][..],
        &["verify", "--fail-on", "never"],
        &["verify", "--fail-on", "never", "--as", "kube-bench"],
        &["effective-config"],
        &["explain", "audit-policy"],
        &["history"],
    ] {
        let output = node.run(verb);
        assert_eq!(output.code, 0, "{verb:?}: {}", output.stderr);
    }
}

#[test]
fn a_recorded_cipher_suite_stops_no_verb_that_only_reads() {
    let setting = format!("kubelet_tls_cipher_suites=[{STRONG}]");
    let node = node(&setting, STRONG, WEAK);
    let complaint =
        format!("--set of an earlier run: kubelet_tls_cipher_suites: the text {WEAK:?} is not a strong");
    writes_refuse_and_reads_go_on(&node, &complaint);
    // Named anew, it is refused at once; another value is the way on.
    let weak = format!("kubelet_tls_cipher_suites=[{WEAK},{STRONG}]");
    assert_eq!(node.run(&["preflight", "--set", &weak]).code, 65);
    assert_eq!(node.run(&["plan", "--set", &setting]).code, 0);
    assert_eq!(node.run(&["uninstall"]).code, 0);
}

#[test]
fn a_recorded_audit_policy_stops_no_verb_that_only_reads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.yaml");
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n- level: None\n  resources: [{group: apps}]\n";
    fs::write(&file, policy).unwrap();
    let setting = format!("audit_policy_file={}", file.display());
    let node = node(&setting, "{group: apps}", "{group: apps/v1}");
    let refused = policy.replace("apps", "apps/v1");
    fs::write(&file, &refused).unwrap();
    let complaint = "audit.yaml:6:23: rules[1].resources.group: Invalid value: \"apps/v1\"";
    writes_refuse_and_reads_go_on(&node, complaint);
    // Another text than the recorded one is refused at once.
    fs::write(&file, format!("# changed\n{refused}")).unwrap();
    assert_eq!(node.run(&["preflight"]).code, 65);
}
