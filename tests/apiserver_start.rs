//! What the real kube-apiserver answered to 429 sets of flags and files, against what `preflight` says to a K3s
//! configuration that gives it those. The rules are in src/preflight; here are only the answers.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use k3s_harden::Role;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::preflight::{self, Class, Judged, Verdict};
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

fn judge(case: &Value) -> Verdict {
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
    let minor = version.rsplit_once('.').unwrap().0.parse().unwrap();
    let root = Root::open(node.path()).unwrap();
    let data_dir: RootedPath = "/var/lib/rancher/k3s".parse().unwrap();
    preflight::judge(&Judged::of(&root, Role::Server, minor, &data_dir).unwrap())
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
            let unknown = &verdict.unknown;
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
        for finding in &verdict.findings {
            assert!(finding.place.is_some(), "{shown}: {finding:?} has no place");
        }
    }
    let left = skipped.values().sum::<usize>();
    println!("{agreed} of {} agree; {left} skipped: {skipped:#?}; {effects} effects", cases.len() - left);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((cases.len(), agreed + left), (429, 429));
}
