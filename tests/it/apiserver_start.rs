// SPDX-License-Identifier: Apache-2.0
//! What the real kube-apiserver answered to 429 sets of flags and files, against what `preflight` says to a K3s
//! configuration that gives it those. The rules are in src/preflight; here are only the answers.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use k3s_harden::Role;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::preflight::{self, Class, StartVerdict};
use k3s_harden::version::K3sVersion;
use serde_json::Value;

/// Where the files of a case are on the node.
const DIRECTORY: &str = "/etc/case";

/// Cases that a K3s configuration cannot say, and why.
const SKIPPED: [(&str, &str); 4] = [
    ("flag-no-dash", "K3s puts two dashes before every argument"),
    ("flag-bare-word", "K3s makes --x=true of it, which is another case"),
    ("flag-sa-lookup-next-word", "K3s makes --false=true of the second word"),
    ("flag-double-dash-then-word", "K3s makes --=true and --x=true of it"),
];

/// What begins the codes of findings about each thing that a case is about.
const ROOMS: [(&str, &[&str]); 6] = [
    ("audit-", &["audit-", "argument-"]),
    ("psa-", &["admission-", "pod-security-"]),
    ("plugins-", &["admission-", "event-rate-limit-", "image-policy-", "pod-security-"]),
    ("encryption-", &["encryption-"]),
    ("guide-", &["pod-security-"]),
    ("flag-", &["argument-", "admission-"]),
];

fn cases() -> Vec<Value> {
    let text = fs::read_to_string("tests/oracle/apiserver-start.jsonl").unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn judge(case: &Value) -> StartVerdict {
    let node = tempfile::tempdir().unwrap();
    let at = |path: &str| node.path().join(path.trim_start_matches('/'));
    fs::create_dir_all(at(DIRECTORY)).unwrap();
    for (name, text) in case["files"].as_object().unwrap() {
        let path = at(DIRECTORY).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.as_str().unwrap()).unwrap();
    }
    // A key without a value would be an empty argument.
    let mut configuration = "kube-apiserver-arg:\n- v=2\n".to_owned();
    for flag in case["flags"].as_array().unwrap() {
        let flag = flag.as_str().unwrap().replace("{dir}", DIRECTORY);
        let flag = flag.strip_prefix("--").unwrap_or(&flag);
        writeln!(configuration, "- {}", serde_json::to_string(flag).unwrap()).unwrap();
    }
    fs::create_dir_all(at("/etc/rancher/k3s")).unwrap();
    fs::write(at("/etc/rancher/k3s/config.yaml"), configuration).unwrap();
    fs::create_dir_all(at("/var/lib/rancher/k3s/server")).unwrap();
    let version = case["version"].as_str().unwrap();
    let version: K3sVersion = version.parse().unwrap();
    let root = Root::open(node.path()).unwrap();
    let data_dir: RootedPath = "/var/lib/rancher/k3s".parse().unwrap();
    preflight::check(&NodeConfig::read(&root, Role::Server, version.number(), &data_dir).unwrap())
}

/// Tells whether the server was seen to harden nothing: a privileged pod is admitted, or nothing is recorded.
fn hardens_nothing(case: &Value) -> Option<bool> {
    let effect = &case["effect"];
    if let Some(pods) = effect["pods"].as_object() {
        return Some(pods["default/priv"].as_str().unwrap().starts_with("allowed"));
    }
    effect["levels"].as_array().map(Vec::is_empty)
}

#[test]
fn the_verdict_is_the_api_servers() {
    let (mut agreed, mut skipped, mut effects) = (0, BTreeMap::new(), 0);
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        if let Some((_, reason)) = SKIPPED.iter().find(|(skipped, _)| *skipped == name) {
            *skipped.entry(*reason).or_insert(0) += 1;
            continue;
        }
        let verdict = judge(case);
        let shown = format!("{} {name}", case["version"].as_str().unwrap());
        let codes: Vec<&str> = verdict.stopping().map(|finding| finding.code).collect();
        if verdict.starts() != case["starts"].as_bool() {
            let unknown: Vec<_> = verdict.of_class(Class::Unknown).collect();
            wrong.push(format!("{shown}: {codes:?} {unknown:?}, the server's {}", case["message"]));
            continue;
        }
        agreed += 1;
        let room = ROOMS.iter().find(|(prefix, _)| name.starts_with(prefix));
        if let (false, Some((_, room))) = (case["starts"] == true, room) {
            let fits = |code: &&str| room.iter().any(|prefix| code.starts_with(prefix));
            if !codes.iter().any(fits) {
                wrong.push(format!("{shown}: stopped by {codes:?}, the server's {}", case["message"]));
            }
        }
        let vain: Vec<&str> = verdict
            .findings
            .iter()
            .filter(|finding| finding.class == Class::HardensNothing)
            .map(|finding| finding.code)
            .collect();
        if let (true, Some(nothing)) = (case["starts"] == true, hardens_nothing(case)) {
            effects += 1;
            // The rest of a file may harden although nobody reads a part of it.
            let vain = vain.iter().filter(|code| !code.ends_with("-second-document")).count();
            if nothing != (vain > 0) {
                wrong.push(format!(
                    "{shown}: {vain} findings that it hardens nothing, but {}",
                    case["effect"]
                ));
            }
        }
        for finding in verdict.findings.iter().filter(|finding| finding.class != Class::NotJudged) {
            assert!(finding.place.is_some(), "{shown}: {finding:?} has no place");
        }
    }
    let left = skipped.values().sum::<usize>();
    println!("{agreed} of {} agree; {left} skipped: {skipped:#?}; {effects} effects", cases.len() - left);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((cases.len(), agreed + left), (429, 429));
}

/// What Kubernetes' own packages (1.36) said to files that the cases do not have.
#[test]
fn files_are_read_as_kubernetes_reads_them() {
    let policy = |rest: &str| format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rest}");
    let security = |rest: &str| {
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n{rest}"
        )
    };
    let encryption = |rest: &str| {
        format!("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n{rest}")
    };
    let (audit, admission, keys) =
        ("audit-policy-file", "admission-control-config-file", "encryption-provider-config");
    for (flag, text, code) in [
        // Of keys that are there twice only the last is decoded.
        (audit, policy("rules: yes\nrules:\n- level: Metadata\n"), ""),
        (audit, policy("rules:\n- level: Metadata\nrules: yes\n"), "audit-policy-decoding"),
        // Merge keys are followed.
        (audit, policy("metadata: &x {name: a}\nrules:\n- <<: {level: Metadata}\n"), ""),
        (audit, policy("rules:\n- level: Metadata\n  <<: {level: x}\n"), "audit-level"),
        // A directive ends a document; the end of one that did not begin is none.
        (audit, policy("rules:\n- level: Metadata\n%YAML 1.1\nx: [\n"), ""),
        (audit, format!("...\n{}", policy("rules:\n- level: Metadata\n")), "audit-policy-syntax"),
        // Capitals do not matter for the kind, which Go's own reader looks for.
        (audit, "apiVersion: audit.k8s.io/v1\nKIND: Policy\nrules:\n- level: None\n".to_owned(), ""),
        (audit, "{apiVersion: audit.k8s.io/v1, rules: [{level: None}]}".to_owned(), "audit-policy-syntax"),
        (audit, policy("rules:\n- level: Metadata\n  omitManagedFields: yes\n"), ""),
        (audit, policy("rules:\n- level: Metadata\n  nonResourceURLs: [/é]\n"), ""),
        (audit, policy("rules:\n- level: Metadata\n  resources: [{group: '*'}]\n"), ""),
        (audit, policy("rules:\n- level: Metadata\n  users: [yes]\n"), "audit-policy-decoding"),
        (admission, security("    defaults: {enforce-version: v1.99}\n"), ""),
        (admission, security("    defaults: {enforce-version: v1.01}\n"), "pod-security-level"),
        (admission, security("    exemptions: {usernames: [~]}\n"), "pod-security-exemption"),
        (admission, security("    exemptions: {runtimeClasses: [a.b, a.b]}\n"), "pod-security-exemption"),
        (admission, security("    exemption: {}\n"), "pod-security-field"),
        (admission, security("  configuration: {}\n"), "admission-field"),
        (keys, encryption("- resources: [secrets]\n  providers:\n  - identity:\n"), "encryption-provider"),
        (
            keys,
            encryption("- resources: [secrets, '*.']\n  providers: [{identity: {}}]\n"),
            "encryption-resource",
        ),
        (keys, encryption("- resources: [pods.*]\n  providers: [{identity: {}}]\n"), "encryption-resource"),
        (
            keys,
            encryption("- resources: [a]\n  providers: [{aesgcm: {keys: [{name: k, secret: MDE=}]}}]\n"),
            "encryption-key",
        ),
    ] {
        let case = serde_json::json!({
            "version": "1.36.2",
            "files": {"f.yaml": text.clone()},
            "flags": [format!("--{flag}={{dir}}/f.yaml")],
        });
        let verdict = judge(&case);
        let codes: Vec<&str> = verdict.stopping().map(|finding| finding.code).collect();
        let expected: Vec<&str> = if code.is_empty() { Vec::new() } else { vec![code] };
        assert_eq!(codes, expected, "{text}");
    }
}

/// What is taken and does nothing, or not what it looks like.
#[test]
fn what_is_in_vain_is_said() {
    let policy = |rules: &str| format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}");
    let admission = |plugins: &str| {
        format!("apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n{plugins}")
    };
    let (audit, file) = ("audit-policy-file", "admission-control-config-file");
    for (flag, text, code) in [
        (audit, policy("rules: [{level: None}, {level: Metadata}]\n"), "audit-level-none"),
        (audit, policy("rules: [{level: None, verbs: [get]}, {level: Metadata}]\n"), "audit-no-log"),
        (audit, policy("rules: [{level: Metadata, verbs: [GET]}]\n"), "audit-verb"),
        (audit, policy("rules: [{level: Metadata, verb: [get]}]\n"), "audit-policy-field"),
        (audit, policy("rules: [{level: Metadata}]\n---\nrules: []\n"), "audit-second-document"),
        (file, admission("- name: podSecurity\n"), "admission-plugin-name"),
        (file, admission("- name: PodSecurity\n"), "pod-security-empty"),
        (file, admission("- name: EventRateLimit\n"), "admission-plugin-off"),
        (file, admission("- name: EventRateLimit\n"), "pod-security-absent"),
    ] {
        let case = serde_json::json!({
            "version": "1.36.2",
            "files": {"f.yaml": text.clone()},
            "flags": [format!("--{flag}={{dir}}/f.yaml")],
        });
        let verdict = judge(&case);
        let vain = |finding: &&preflight::Finding| finding.class == Class::HardensNothing;
        let codes: Vec<&str> = verdict.findings.iter().filter(vain).map(|finding| finding.code).collect();
        assert_eq!(verdict.starts(), Some(true), "{text}");
        assert!(codes.contains(&code), "{text}: {codes:?}");
    }
}
