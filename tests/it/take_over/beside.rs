// SPDX-License-Identifier: Apache-2.0
//! What stands beside the files at our paths, and what later runs make of what was taken over.

use std::fs;

use super::{AUDIT, LOCAL_POLICY, POLICY, PSA, apply, exempt, first, fixture, plugin, rests};
use crate::support::Node;

const MANIFESTS: &str = "var/lib/rancher/k3s/server/manifests";

fn config_map(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: default}}\ndata: {{v: {value}}}\n"
    )
}

#[test]
fn an_entry_for_policies_is_a_conflict_once_the_profile_has_some() {
    let entry = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n\
                 - name: ValidatingAdmissionPolicy\n  configuration:\n\
                 \x20   apiVersion: apiserver.config.k8s.io/v1\n    kind: ValidatingAdmissionPolicyConfiguration\n\
                 \x20   staticManifestsDir: /etc/adm.d\n";
    let folder = |node: &Node| {
        plugin(node, "ValidatingAdmissionPolicy")["configuration"]["staticManifestsDir"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let told = ["--k3s-version", "1.37", "--role", "server"];
    let node = Node::new().file(PSA, entry);
    fs::create_dir_all(node.path().join("etc/adm.d")).unwrap();
    apply(&node, &told);
    assert_eq!(folder(&node), "/etc/adm.d");
    let said = apply(&node, &["--profile", "cis,strict"]);
    assert!(said.contains("the entry of the plugin ValidatingAdmissionPolicy: it is replaced"), "{said}");
    assert_eq!(folder(&node), "/var/lib/rancher/k3s/server/admission.d");
    rests(&node, &[]);
    // Who keeps it is not told that ours is in force.
    let node = Node::new().file(PSA, entry);
    fs::create_dir_all(node.path().join("etc/adm.d")).unwrap();
    apply(&node, &told);
    apply(&node, &["--profile", "cis,strict", "--on-conflict", "keep"]);
    assert_eq!(folder(&node), "/etc/adm.d");
    rests(&node, &[]);
}

#[test]
fn another_version_of_an_object_is_named() {
    let node = Node::new().file(POLICY, config_map("policy")).file(LOCAL_POLICY, config_map("local"));
    let said = first(&node, &[]);
    assert!(said.contains("policy-local.yaml:1:1: ConfigMap default/a: it is left out"), "{said}");
    assert!(node.read(LOCAL_POLICY).contains("v: policy") && !node.read(LOCAL_POLICY).contains("v: local"));
    rests(&node, &[]);
}

#[test]
fn files_that_decide_what_k3s_makes_of_the_users_own_are_named() {
    for (name, says) in [
        ("policy-local.yaml.skip", "have no effect until you remove the .skip file"),
        ("policy-local.yml", "as the same Addon"),
        ("policy.yaml.skip", "will be applied"),
    ] {
        let node = Node::new().file(POLICY, config_map("policy")).file(&format!("{MANIFESTS}/{name}"), "");
        let said = first(&node, &[]);
        assert!(said.contains(&format!("{MANIFESTS}/{name}")) && said.contains(says), "{name}: {said}");
    }
    // One that has nothing to do with it is not.
    let node = Node::new().file(POLICY, config_map("policy")).file(&format!("{MANIFESTS}/policies.yaml"), "");
    assert!(!first(&node, &[]).contains("policies.yaml"));
}

#[test]
fn what_the_next_minor_does_not_serve_is_named() {
    let budget = "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: b, namespace: default}\nspec: {minAvailable: 1}\n";
    let node = Node::new().file(POLICY, budget);
    apply(&node, &["--k3s-version", "1.24", "--role", "server"]);
    let said = apply(&node, &["--k3s-version", "1.25"]);
    assert!(
        said.contains(
            "does not serve policy/v1beta1 PodDisruptionBudget, so K3s applies no object of this file"
        ),
        "{said}"
    );
}

#[test]
fn a_policy_that_is_chosen_later_counts() {
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: Request, resources: [{group: apps}]}\n- {level: Metadata}\n";
    let node = Node::new().file(AUDIT, policy);
    first(&node, &[]);
    assert!(node.read(AUDIT).contains("group: apps"));
    let said = apply(&node, &["--set", "audit_policy=detailed"]);
    assert!(said.contains("the audit policy: it is left out"), "{said}");
    assert!(!node.read(AUDIT).contains("# Taken over"), "{}", node.read(AUDIT));
    rests(&node, &[]);
}

#[test]
fn what_goes_with_a_file_is_named() {
    let node = fixture("by-hand");
    first(&node, &[]);
    assert!(exempt(&node).contains(&"longhorn-system".to_owned()));
    let said = apply(&node, &["--role", "agent", "--no-preflight"]);
    assert!(
        said.contains("/server/psa.yaml will be removed with the lines it has taken over from your file"),
        "{said}"
    );
    // One that somebody has edited since stays, and nothing goes with it.
    let node = fixture("by-hand");
    first(&node, &[]);
    fs::write(node.path().join(PSA), node.read(PSA) + "# mine\n").unwrap();
    let said = apply(&node, &["--role", "agent", "--no-preflight"]);
    assert!(said.contains("/server/psa.yaml is no longer needed, but was edited"), "{said}");
    assert!(!said.contains("/server/psa.yaml goes"), "{said}");
}

#[test]
fn an_edit_that_is_replaced_is_named() {
    let node = Node::new();
    first(&node, &[]);
    let edited = node.read(PSA).replace("- \"kube-system\"", "- \"kube-system\"\n          - \"mine\"");
    assert!(edited.contains("mine"), "{edited}");
    fs::write(node.path().join(PSA), edited).unwrap();
    let said = apply(&node, &[]);
    assert!(said.contains("psa.yaml was edited since k3s-harden wrote it"), "{said}");
    rests(&node, &[]);
}

#[test]
fn a_file_that_the_service_names_is_read() {
    let file = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n    defaults: {enforce: privileged}\n    exemptions: {namespaces: [first]}\n";
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=admission-control-config-file=/etc/adm.yaml\n";
    let node = Node::new().file("etc/adm.yaml", file).file("etc/systemd/system/k3s.service", unit);
    let said = first(&node, &[]);
    assert!(said.contains("/etc/adm.yaml:9:31: the namespace first is exempt"), "{said}");
    assert!(exempt(&node).contains(&"first".to_owned()));
}
