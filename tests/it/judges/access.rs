// SPDX-License-Identifier: Apache-2.0
//! Who may do what, and how the API server reaches others: its authentication, authorization and egress configurations,
//! generated from samples, and read by Kubernetes and by us.

use std::path::Path;

use k3s_harden::kubernetes::authentication_config::{self, AuthenticationFlags};
use k3s_harden::kubernetes::{authorization_config, egress_config};
use k3s_harden::version::KubernetesMinor;

use super::Judge;
use crate::support::counts::pick;
use crate::support::random::Random;

const SEED: u64 = 0x6163_6365_7373;
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

/// Makes a document of a sample: a few lines are left out, repeated, indented or given another value.
fn document(kind: &DocumentKind, random: &mut Random) -> String {
    let sample = kind.samples[random.below(kind.samples.len())];
    let mut lines: Vec<String> = sample.lines().map(str::to_owned).collect();
    for _ in 0..random.below(4) {
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
                let word = kind.words[random.below(kind.words.len())];
                let line = &lines[at];
                let begin =
                    line.find(": ").map_or_else(|| line.rfind("- ").map_or(0, |at| at + 2), |at| at + 2);
                lines[at] = format!("{}{word}", &line[..begin]);
            }
        }
    }
    lines.join("\n") + "\n"
}
