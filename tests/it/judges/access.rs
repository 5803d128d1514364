// SPDX-License-Identifier: Apache-2.0
//! Who may do what, and how the API server reaches others: its authentication, authorization and egress configurations,
//! generated from samples, and read by Kubernetes and by us.

use std::path::Path;

use k3s_harden::kubernetes::authentication_config::{self, AuthenticationFlags};
use k3s_harden::kubernetes::{authorization_config, egress_config};
use k3s_harden::version::KubernetesMinor;

use serde_json::{Value, json};

use super::{Judge, Verdict};
use crate::support::counts::pick;
use crate::support::random::Random;

const SEED: u64 = 0x6163_6365_7373;
const OPEN_PATHS_SEED: u64 = 0x6f70_656e;
/// How many files with mistakes are asked about that say who is let in without credentials.
const OPEN_PATHS: usize = pick(150, 1_500);
const AUTHENTICATION: &str = "var/lib/rancher/k3s/server/authentication.yaml";
/// How many documents of each kind are asked about.
const DOCUMENTS: usize = pick(250, 5_000);
/// The most of them that may not be judged, in a hundred.
const MOST_UNJUDGED: usize = 40;

/// A kind of document: documents to begin with, and words to put into them.
struct DocumentKind {
    name: &'static str,
    /// Whether it is accepted; none where ours does not judge.
    read: fn(&[u8], KubernetesMinor) -> Option<bool>,
    samples: &'static [&'static str],
    words: &'static [&'static str],
}

const KINDS: [DocumentKind; 3] = [
    DocumentKind {
        name: "authentication",
        read: |bytes, minor| {
            let flags = AuthenticationFlags { anonymous_gate: true, service_account_issuers: &[] };
            match authentication_config::read(bytes, minor, flags) {
                Ok(config) => config.unknown.is_empty().then_some(true),
                Err(_) => Some(false),
            }
        },
        samples: &[
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous:\n  enabled: true\n  conditions:\n  - path: /livez\n  - path: /readyz\n",
            "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: https://a.example\n    discoveryURL: https://b.example/x\n    audiences:\n    - one\n    - two\n    audienceMatchPolicy: MatchAny\n  claimMappings:\n    username:\n      claim: sub\n      prefix: ''\n    groups:\n      claim: groups\n      prefix: 'oidc:'\n    uid:\n      claim: id\n    extra:\n    - key: a.example/team\n      valueExpression: claims.team\n",
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: https://a.example\n    audiences:\n    - one\n  claimValidationRules:\n  - claim: hd\n    requiredValue: x\n  claimMappings:\n    username:\n      expression: claims.sub\n- issuer:\n    url: https://c.example\n    audiences:\n    - two\n    egressSelectorType: cluster\n  claimMappings:\n    username:\n      claim: sub\n      prefix: 'c:'\nanonymous:\n  enabled: false\n",
        ],
        words: &[
            "https://a.example",
            "http://a.example",
            "https://u@a.example",
            "https://a.example?x=1",
            "https://a.example:x",
            "https://",
            "''",
            "true",
            "false",
            "null",
            "3",
            "[]",
            "{}",
            "one",
            "MatchAny",
            "MatchAll",
            "claims.sub",
            "claims.sub(",
            "a.example/team",
            "k8s.io/team",
            "Team",
            "cluster",
            "etcd",
            "/livez",
            "x: y",
            "apiserver.config.k8s.io/v1",
            "apiserver.config.k8s.io/v1alpha1",
            "apiserver.config.k8s.io/v2",
        ],
    },
    DocumentKind {
        name: "authorization",
        read: |bytes, minor| match authorization_config::read(bytes, minor) {
            Ok(config) => {
                let is_there = config.kubeconfigs.iter().all(|file| Path::new(&file.value).is_file());
                if is_there { config.unknown.is_empty().then_some(true) } else { Some(false) }
            }
            Err(_) => Some(false),
        },
        samples: &[
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- type: Node\n  name: node\n- type: RBAC\n  name: rbac\n",
            "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthorizationConfiguration\nauthorizers:\n- type: Webhook\n  name: hook\n  webhook:\n    timeout: 3s\n    authorizedTTL: 30s\n    unauthorizedTTL: 30s\n    failurePolicy: NoOpinion\n    subjectAccessReviewVersion: v1\n    matchConditionSubjectAccessReviewVersion: v1\n    connectionInfo:\n      type: KubeConfigFile\n      kubeConfigFile: /etc/passwd\n- type: Node\n  name: node\n- type: RBAC\n  name: rbac\n",
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- type: Webhook\n  name: hook\n  webhook:\n    timeout: 10s\n    failurePolicy: Deny\n    subjectAccessReviewVersion: v1beta1\n    connectionInfo:\n      type: InClusterConfig\n- type: AlwaysAllow\n  name: alwaysallow\n",
        ],
        words: &[
            "Node",
            "RBAC",
            "Webhook",
            "AlwaysAllow",
            "AlwaysDeny",
            "ABAC",
            "Rbac",
            "node",
            "rbac",
            "alwaysdeny",
            "a.b",
            "'A b'",
            "''",
            "null",
            "3",
            "[]",
            "{}",
            "0s",
            "31s",
            "-1s",
            "30s",
            "3",
            "v1",
            "v1beta1",
            "v2",
            "Deny",
            "Allow",
            "/etc/passwd",
            "/none",
            "/etc",
            "relative",
            "InClusterConfig",
            "KubeConfigFile",
        ],
    },
    DocumentKind {
        name: "egress",
        read: |bytes, minor| {
            let files = egress_config::read(bytes, minor).ok().map(|config| config.files);
            Some(files.is_some_and(|files| files.iter().all(|(_, file)| Path::new(&file.value).exists())))
        },
        samples: &[
            "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n- name: controlplane\n  connection:\n    proxyProtocol: Direct\n- name: cluster\n  connection:\n    proxyProtocol: HTTPConnect\n    transport:\n      tcp:\n        url: https://127.0.0.1:8131\n        tlsConfig:\n          caBundle: /etc/passwd\n          clientKey: /etc/passwd\n          clientCert: /etc/passwd\n",
            "apiVersion: apiserver.k8s.io/v1alpha1\nkind: EgressSelectorConfiguration\negressSelections:\n- name: master\n  connection:\n    proxyProtocol: GRPC\n    transport:\n      uds:\n        udsName: /run/x.sock\n- name: etcd\n  connection:\n    proxyProtocol: HTTPConnect\n    transport:\n      tcp:\n        url: http://127.0.0.1:8131\n",
        ],
        words: &[
            "controlplane",
            "cluster",
            "etcd",
            "master",
            "Cluster",
            "bogus",
            "Direct",
            "HTTPConnect",
            "GRPC",
            "direct",
            "''",
            "null",
            "3",
            "[]",
            "{}",
            "http://a",
            "https://a",
            "a",
            "/etc/passwd",
            "/none",
            "apiserver.k8s.io/v1beta1",
            "apiserver.k8s.io/v1alpha1",
        ],
    },
];

/// The words that are put into the file behind the setting anonymous_health.
const ANONYMOUS_WORDS: &[&str] = &[
    "true",
    "false",
    "null",
    "''",
    "3",
    "[]",
    "{}",
    "yes",
    "/livez",
    "/api",
    "'*'",
    "[{path: /x}]",
    "{enabled: true}",
    "{enabled: false}",
    "path: /x",
    "apiserver.config.k8s.io/v1alpha1",
    "apiserver.config.k8s.io/v1beta1",
    "apiserver.config.k8s.io/v2",
    "AuthenticationConfigurations",
];

/// Returns the mistakes in the file that `apply` writes for anonymous_health about which `preflight` on the node and
/// Kubernetes differ: whether the API server starts, whether everybody is let in, and to which paths.
pub(super) fn open_paths(judge: &mut Judge, newest: &str) -> Vec<String> {
    let minor = newest.parse().unwrap();
    let node = super::applied(newest, &["--set", "anonymous_health=true"]);
    let written = node.read(AUTHENTICATION);
    // The same without the field, and without the paths.
    let (head, _) = written.split_once("anonymous:").unwrap();
    let samples = [written.clone(), head.to_owned(), format!("{head}anonymous:\n  enabled: true\n")];
    let flags = AuthenticationFlags { anonymous_gate: true, service_account_issuers: &[] };
    let mut random = Random::new(OPEN_PATHS_SEED);
    let (mut counts, mut differences) = ([0; 3], Vec::new());
    for index in 0..OPEN_PATHS {
        let sample = &samples[index % samples.len()];
        // Each is asked about as it is, too.
        let mistakes = if index < samples.len() { 0 } else { 1 + random.below(2) };
        let text = mutated(sample, ANONYMOUS_WORDS, mistakes, &mut random);
        std::fs::write(node.path().join(AUTHENTICATION), &text).unwrap();
        let said = judge.ask("authentication", &text, &[]);
        let listed = said["anonymous"]["paths"].as_array();
        let is_open = match &said["anonymous"]["enabled"] {
            Value::Null => true,
            enabled => *enabled == true && listed.is_some_and(Vec::is_empty),
        };
        let theirs = match (said["error"].is_null(), is_open) {
            (false, _) => Verdict::DoesNotStart,
            (true, true) => Verdict::HardensNothing,
            (true, false) => Verdict::Fine,
        };
        counts[theirs as usize] += 1;
        let (ours, found) = super::preflight(&node, newest);
        let our_paths = authentication_config::read(text.as_bytes(), minor, flags).ok();
        let our_paths = our_paths
            .and_then(|config| config.anonymous)
            .map(|anonymous| json!({ "enabled": anonymous.enabled, "paths": anonymous.paths }));
        let same_paths =
            theirs == Verdict::DoesNotStart || our_paths.unwrap_or_default() == said["anonymous"];
        if ours != theirs || !same_paths || index == 0 && ours != Verdict::Fine {
            differences.push(format!("Kubernetes: {theirs:?} {said}, ours: {ours:?} {found}:\n{text}"));
        }
    }
    let [stops, open, closed] = counts;
    println!(
        "anonymous requests: {} of {OPEN_PATHS} files agree, seed {OPEN_PATHS_SEED:#x}: {stops} do not start, {open} let everybody in, {closed} do not",
        OPEN_PATHS - differences.len()
    );
    assert!(counts.iter().all(|count| *count > OPEN_PATHS / 50), "one kind of file is hardly asked about");
    differences
}

/// Returns the documents that the two judge differently.
pub(super) fn differences(judge: &mut Judge, newest: &str) -> Vec<String> {
    let minor = newest.parse().unwrap();
    let mut random = Random::new(SEED);
    let mut differences = Vec::new();
    for kind in &KINDS {
        let (mut accepted, mut refused, mut unjudged, mut missed, mut alarms) = (0, 0, 0, 0, 0);
        for _ in 0..DOCUMENTS {
            let text = document(kind, &mut random);
            let answer = judge.ask(kind.name, &text, &[]);
            let theirs = answer["error"].as_str().is_none();
            *(if theirs { &mut accepted } else { &mut refused }) += 1;
            match (kind.read)(text.as_bytes(), minor) {
                None => unjudged += 1,
                Some(ours) if ours == theirs => continue,
                Some(true) => missed += 1,
                Some(false) => alarms += 1,
            }
            if (kind.read)(text.as_bytes(), minor).is_some() {
                differences.push(format!("{}: {answer}:\n{text}", kind.name));
            }
        }
        println!(
            "{}: {accepted} documents accepted, {refused} refused, seed {SEED:#x}: {missed} refusals missed, {alarms} false alarms, {unjudged} not judged",
            kind.name
        );
        assert!(accepted > 0 && refused > 0, "{} is asked about in one way only", kind.name);
        assert!(unjudged * 100 <= DOCUMENTS * MOST_UNJUDGED, "{}: {unjudged} are not judged", kind.name);
    }
    differences
}

/// Makes a document of a sample, with up to three mistakes.
fn document(kind: &DocumentKind, random: &mut Random) -> String {
    let sample = kind.samples[random.below(kind.samples.len())];
    let mistakes = random.below(4);
    mutated(sample, kind.words, mistakes, random)
}

/// Makes mistakes in a sample: lines are left out, repeated, or given another name or value.
fn mutated(sample: &str, words: &[&str], mistakes: usize, random: &mut Random) -> String {
    let mut lines: Vec<String> = sample.lines().map(str::to_owned).collect();
    for _ in 0..mistakes {
        let at = random.below(lines.len());
        match random.below(8) {
            0 if lines.len() > 1 => {
                lines.remove(at);
            }
            1 => lines.insert(at, lines[at].clone()),
            2 => lines[at] = format!("{}x", lines[at].trim_end()),
            3 => {
                let end = lines[at].find(':').unwrap_or(lines[at].len());
                lines[at].insert(end, 's');
            }
            _ => {
                let word = words[random.below(words.len())];
                let line = &lines[at];
                let begin =
                    line.find(": ").map_or_else(|| line.rfind("- ").map_or(0, |at| at + 2), |at| at + 2);
                lines[at] = format!("{}{word}", &line[..begin]);
            }
        }
    }
    lines.join("\n") + "\n"
}
