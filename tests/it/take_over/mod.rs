// SPDX-License-Identifier: Apache-2.0
//! Nodes that somebody hardened by hand: what was his stays in force or is named, once and for all runs, and comes back to the
//! byte. What each file becomes stands in fixtures/by-hand* and fixtures/named-elsewhere*.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod beside;
mod random;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Node, walk};

const TOLD: [&str; 4] = ["--k3s-version", "1.33", "--role", "server"];
const SERVER: &str = "var/lib/rancher/k3s/server";
const PSA: &str = "var/lib/rancher/k3s/server/psa.yaml";
const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";
const POLICY: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";
const LOCAL_POLICY: &str = "var/lib/rancher/k3s/server/manifests/policy-local.yaml";
const SYSCTL: &str = "etc/sysctl.d/90-kubelet.conf";
const LOCAL_SYSCTL: &str = "etc/sysctl.d/89-kubelet-local.conf";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";

fn fixture(name: &str) -> Node {
    Node::new().copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).join("root"))
}

/// Every file but the journal's, with its bytes; links as what they lead to.
fn files(node: &Node) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = walk(node.path()).into_iter().map(|(path, _)| path);
    let paths = paths.filter(|path| !path.starts_with("var/lib/k3s-harden"));
    let bytes = |path: PathBuf| match fs::read_link(node.path().join(&path)) {
        Ok(target) => Some((path, target.into_os_string().into_encoded_bytes())),
        Err(_) => fs::read(node.path().join(&path)).ok().map(|bytes| (path, bytes)),
    };
    paths.filter_map(bytes).collect()
}

#[track_caller]
fn apply(node: &Node, more: &[&str]) -> String {
    let output = node.run(&[&["apply"], more].concat());
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    output.stdout + &output.stderr
}

#[track_caller]
fn first(node: &Node, more: &[&str]) -> String {
    apply(node, &[&TOLD, more].concat())
}

/// Nothing is opened for writing.
#[track_caller]
fn rests(node: &Node, arguments: &[&str]) {
    let before = node.fingerprint();
    let said = apply(node, arguments);
    assert!(said.starts_with("Nothing to change.\n"), "{said}");
    assert!(node.fingerprint() == before, "something was written");
}

fn taken_over(node: &Node, more: &[&str]) -> Vec<Value> {
    let arguments = [&["plan"], &TOLD[..], more, &["--format", "json"]].concat();
    let output = node.run(&arguments);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let plan: Value = serde_json::from_str(&output.stdout).unwrap();
    plan["taken_over"].as_array().cloned().unwrap_or_default()
}

fn yaml(node: &Node, path: &str) -> Value {
    serde_yaml::from_str(&node.read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn plugin(node: &Node, name: &str) -> Value {
    let psa = yaml(node, PSA);
    let plugins = psa["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["name"] == name).cloned().unwrap_or_default()
}

fn exempt(node: &Node) -> Vec<String> {
    let names = plugin(node, "PodSecurity")["configuration"]["exemptions"]["namespaces"].clone();
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_taken_over_is_remembered_with_a_history_and_without() {
    for more in [&[][..], &["--no-history"]] {
        for name in ["by-hand", "by-ansible", "named-elsewhere", "foreign-policy"] {
            let node = fixture(name);
            first(&node, more);
            rests(&node, &[&TOLD, more].concat());
            // Told nothing but what nothing remembers.
            rests(&node, if more.is_empty() { &[] } else { &TOLD });
            assert!(taken_over(&node, &[]).is_empty());
        }
    }
}

#[test]
fn a_rollback_and_an_uninstall_give_the_first_bytes() {
    for name in ["by-hand", "by-hand-kept", "by-ansible", "named-elsewhere", "foreign-unreadable"] {
        for verb in ["rollback", "uninstall"] {
            let node = fixture(name);
            let before = (node.tree(), files(&node));
            first(&node, &[]);
            apply(&node, &["--set", "audit_log_maxage=77"]);
            if verb == "rollback" {
                assert_eq!(node.run(&["rollback"]).code, 0);
                assert!(node.path().join(PSA).exists());
            }
            let output = node.run(&[verb]);
            assert_eq!(output.code, 0, "{}", output.stderr);
            assert_eq!(files(&node), before.1, "{name}");
            // The history is below directories of its own until it goes.
            assert!(verb == "rollback" || node.tree() == before.0, "{name}");
        }
    }
}

#[test]
fn another_version_and_other_settings_keep_it() {
    let node = fixture("by-hand");
    first(&node, &["--no-history"]);
    let version = format!("k3s-harden {}", env!("CARGO_PKG_VERSION"));
    for path in [PSA, AUDIT, POLICY, LOCAL_POLICY, SYSCTL, LOCAL_SYSCTL, DROP_IN] {
        fs::write(node.path().join(path), node.read(path).replace(&version, "k3s-harden 0.1.99")).unwrap();
    }
    rests(&node, &TOLD);
    let local = (node.read(LOCAL_POLICY), node.read(LOCAL_SYSCTL));
    first(&node, &["--profile", "cis,strict", "--set", "pod_security_preset=rancher"]);
    assert!(exempt(&node).contains(&"longhorn-system".to_owned()));
    let limits = plugin(&node, "EventRateLimit")["configuration"]["limits"].clone();
    let types: Vec<&str> = limits.as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Namespace", "Server"]);
    assert_eq!(plugin(&node, "PodNodeSelector")["name"], "PodNodeSelector");
    assert_eq!((node.read(LOCAL_POLICY), node.read(LOCAL_SYSCTL)), local);
    // What strict had brought goes with it, and the user's stays.
    apply(&node, &["--profile", "cis"]);
    let limits = plugin(&node, "EventRateLimit")["configuration"]["limits"].clone();
    assert_eq!(
        limits,
        serde_json::json!([{"type": "Namespace", "qps": 50, "burst": 100, "cacheSize": 2000}])
    );
}

#[test]
fn whoever_removes_a_part_takes_it_back() {
    let node = fixture("by-hand");
    first(&node, &[]);
    let psa = node.read(PSA);
    fs::write(node.path().join(PSA), psa.replace("          - \"longhorn-system\"\n", "")).unwrap();
    rests(&node, &[]);
    apply(&node, &["--set", "pod_security_warn=baseline"]);
    assert!(!exempt(&node).contains(&"longhorn-system".to_owned()));
    // A line that nobody can read is no reason to say nothing.
    fs::write(node.path().join(PSA), psa.replace("# Taken over: {", "# Taken over: [")).unwrap();
    let said = apply(&node, &[]);
    assert!(said.contains("what an earlier run took over: it is left out"), "{said}");
}

#[test]
fn a_files_own_words_count_until_the_user_says_otherwise_here() {
    let baseline = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n    defaults: {enforce: baseline}\n";
    let enforced = |more: &[&str], then: &[&str]| {
        let node = Node::new().file(PSA, baseline);
        let said = first(&node, more);
        if !then.is_empty() {
            apply(&node, then);
        }
        let level = plugin(&node, "PodSecurity")["configuration"]["defaults"]["enforce"].clone();
        (level.as_str().unwrap().to_owned(), said, node)
    };
    let (level, said, node) = enforced(&[], &[]);
    assert_eq!(level, "restricted");
    assert!(
        said.contains("PodSecurity has enforce: baseline, but k3s-harden's value is restricted"),
        "{said}"
    );
    assert!(node.read(DROP_IN).contains("psa.yaml\" # CIS"));
    let (level, _, node) = enforced(&["--on-conflict", "keep", "--no-history"], &[]);
    assert_eq!(level, "baseline");
    assert!(!node.read(DROP_IN).contains("psa.yaml\" # CIS"), "{}", node.read(DROP_IN));
    rests(&node, &TOLD);
    assert_eq!(enforced(&["--on-conflict", "keep"], &["--on-conflict", "ours"]).0, "restricted");
    assert_eq!(
        enforced(&["--on-conflict", "keep"], &["--set", "pod_security_enforce=restricted"]).0,
        "restricted"
    );
    assert_eq!(enforced(&["--set", "pod_security_enforce=privileged"], &[]).0, "privileged");
    // One that is stricter than a profile's stays.
    let site = tempfile::tempdir().unwrap();
    let profile = site.path().join("site.yaml");
    fs::write(&profile, "name: site\nextends: cis-1.12\nsettings: {pod_security_enforce: privileged}\n")
        .unwrap();
    assert_eq!(enforced(&["--profile", profile.to_str().unwrap()], &[]).0, "baseline");
    let node = Node::new().file(PSA, baseline);
    let output = node.run(&[&["apply"], &TOLD[..], &["--on-conflict", "fail"]].concat());
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(output.stderr.contains(&format!("/{PSA}:8:")), "{}", output.stderr);
    assert_eq!(node.read(PSA), baseline);
}

#[test]
fn the_other_answers_take_nothing_over() {
    for (answer, stays) in [("replace", false), ("keep", true)] {
        let node = fixture("by-hand");
        let before = node.read(PSA);
        assert!(taken_over(&node, &["--on-foreign", answer]).is_empty());
        first(&node, &["--on-foreign", answer]);
        assert_eq!(node.read(PSA) == before, stays);
        assert!(!node.path().join(LOCAL_POLICY).exists() && !node.path().join(LOCAL_SYSCTL).exists());
    }
}

#[test]
fn each_part_is_named_in_json() {
    let node = fixture("by-hand");
    let parts = taken_over(&node, &[]);
    let becomes = |path: &str, what: &str| -> Vec<&Value> {
        let of = parts.iter().filter(|part| part["path"] == format!("/{path}"));
        of.filter(|part| part["what"].as_str().unwrap().contains(what)).collect()
    };
    let one = |path: &str, what: &str| -> &Value {
        let found = becomes(path, what);
        assert_eq!(found.len(), 1, "{what}: {parts:#?}");
        found[0]
    };
    let longhorn = one(PSA, "longhorn-system");
    assert_eq!(
        (&longhorn["becomes"], &longhorn["weakens"], &longhorn["line"]),
        (&"stays".into(), &true.into(), &19.into())
    );
    let monitoring = one(POLICY, "NetworkPolicy shop/from-monitoring");
    assert_eq!(
        (&monitoring["becomes"], &monitoring["to"]),
        (&"moves".into(), &format!("/{LOCAL_POLICY}").into())
    );
    assert_eq!(one(POLICY, "PodSecurityPolicy restricted-psp")["becomes"], "left-out");
    assert_eq!(one(POLICY, "ClusterRole psp:restricted-psp")["becomes"], "left-out");
    assert_eq!(one(POLICY, "intra-namespace")["conflict"], true);
    // Said in another order, it is the same object.
    assert!(becomes(POLICY, "dns").is_empty());
    assert_eq!(one(SYSCTL, "kernel.panic is 60")["becomes"], "replaced");
    assert_eq!(one(SYSCTL, "vm.max_map_count")["becomes"], "moves");
    assert_eq!(one(AUDIT, "rule 1 has level None")["conflict"], true);
}

#[test]
fn a_run_takes_over_what_it_is_about_and_a_later_one_the_rest() {
    let node = fixture("by-hand");
    let before = (node.read(AUDIT), node.read(SYSCTL), node.read(POLICY));
    first(&node, &["--profile", "cis,strict", "--only", "event-rate-limit"]);
    assert!(node.read(PSA).contains("# Taken over: {\"limits\":[\"Namespace\"]"), "{}", node.read(PSA));
    assert_eq!((node.read(AUDIT), node.read(SYSCTL), node.read(POLICY)), before);
    assert!(exempt(&node).contains(&"longhorn-system".to_owned()), "{}", node.read(PSA));
    assert_eq!(plugin(&node, "PodSecurity")["configuration"]["defaults"]["enforce"], "baseline");
    assert!(!node.read(DROP_IN).contains("5.2.2"), "nobody has judged it: {}", node.read(DROP_IN));
    let psa = node.read(PSA);
    apply(&node, &["--only", "event-rate-limit"]);
    assert_eq!(node.read(PSA), psa);
    let said = apply(&node, &["--skip", "network-policies"]);
    assert!(said.contains("longhorn-system is exempt"), "{said}");
    assert_eq!(plugin(&node, "PodSecurity")["configuration"]["defaults"]["enforce"], "restricted");
    let policy = node.read(POLICY);
    assert!(
        policy.contains("name: kube-system") && policy.contains("default-network-dns-policy"),
        "{policy}"
    );
    assert!(node.read(LOCAL_POLICY).contains("from-monitoring"));
    rests(&node, &[]);
    let said = apply(&node, &["--skip", "none"]);
    assert!(said.contains("NetworkPolicy kube-system/intra-namespace differs from k3s-harden's"), "{said}");
    assert!(!node.read(POLICY).contains("name: kube-system\n\n"));
    rests(&node, &[]);
    let local = node.read(LOCAL_POLICY);
    assert!(local.contains("from-monitoring") && !local.contains("intra-namespace"), "{local}");
}

#[test]
fn a_file_that_is_written_over_ours_again_is_united_again() {
    let node = fixture("by-hand");
    let role: Vec<(&str, String)> = [PSA, AUDIT, POLICY, SYSCTL].map(|path| (path, node.read(path))).into();
    first(&node, &[]);
    let after = files(&node);
    for (path, text) in &role {
        fs::write(node.path().join(path), text).unwrap();
    }
    let said = apply(&node, &[]);
    assert!(said.contains("was overwritten since k3s-harden wrote it: it is merged"), "{said}");
    assert_eq!(files(&node), after);
}

#[test]
fn the_users_own_files_are_his() {
    let node = fixture("by-hand");
    first(&node, &[]);
    for (path, more) in [(LOCAL_POLICY, "# mine\n"), (LOCAL_SYSCTL, "kernel.panic = 30\nfs.file-max=9\n")] {
        fs::write(node.path().join(path), node.read(path) + more).unwrap();
    }
    apply(&node, &[]);
    assert!(node.read(LOCAL_SYSCTL).ends_with("kernel.panic = 30\nfs.file-max=9\n"));
    assert!(!node.read(SYSCTL).contains("kernel.panic="), "{}", node.read(SYSCTL));
    rests(&node, &[]);
    // The setting that wants no policies at all takes nothing of his away.
    apply(&node, &["--set", "dns_policy=false"]);
    assert!(node.read(LOCAL_POLICY).ends_with("# mine\n"));
    let said = apply(&node, &["--on-conflict", "ours"]);
    assert!(
        said.contains("kernel.panic is 30, but") && node.read(SYSCTL).contains("kernel.panic=10"),
        "{said}"
    );
    assert!(node.read(LOCAL_SYSCTL).ends_with("fs.file-max=9\n"));
}

#[test]
fn what_a_link_leads_to_is_read_and_stays() {
    let node = fixture("by-hand");
    fs::rename(node.path().join(PSA), node.path().join("etc/psa.yaml")).unwrap();
    symlink("/etc/psa.yaml", node.path().join(PSA)).unwrap();
    let before = (node.tree(), files(&node));
    first(&node, &[]);
    assert!(exempt(&node).contains(&"longhorn-system".to_owned()));
    rests(&node, &[]);
    assert_eq!(node.run(&["uninstall"]).code, 0);
    assert_eq!((node.tree(), files(&node)), before);
}

#[test]
fn a_plan_that_was_saved_takes_the_same_over() {
    let node = fixture("by-hand");
    let saved = node.path().join("tmp.plan");
    let saved = saved.to_str().unwrap();
    assert_eq!(node.run(&[&["plan", "--out", saved], &TOLD[..]].concat()).code, 0);
    apply(&node, &[saved]);
    assert!(exempt(&node).contains(&"longhorn-system".to_owned()));
    rests(&node, &[]);
}

#[test]
fn what_comes_back_with_policy_yaml_is_not_to_be_removed_from_the_cluster() {
    let node = fixture("by-hand");
    first(&node, &["--set", "secrets_encryption=false"]);
    let local = node.read(LOCAL_POLICY);
    let node = node.file(&format!("{SERVER}/token"), "");
    let said = node.run(&["rollback"]).stderr;
    assert!(local.contains("from-monitoring") && !said.contains("from-monitoring"), "{said}");
    assert!(said.contains("k3s kubectl delete networkpolicy intra-namespace --namespace default"), "{said}");
    assert!(!said.contains("intra-namespace --namespace kube-system"), "{said}");
}

#[test]
fn a_run_about_some_controls_rests_when_it_is_made_again() {
    for name in ["by-hand", "by-ansible", "named-elsewhere"] {
        for about in [
            ["--only", "5.2"],
            ["--only", "3.2"],
            ["--only", "1.2"],
            ["--skip", "5.2"],
            ["--skip", "1.2"],
            ["--skip", "3.2.1"],
        ] {
            let node = fixture(name);
            let before = files(&node);
            first(&node, &about);
            rests(&node, &about);
            let undone = node.run(&["uninstall"]);
            assert_eq!(undone.code, 0, "{name} {about:?}: {}", undone.stderr);
            assert_eq!(files(&node), before, "{name} {about:?}");
        }
    }
}
