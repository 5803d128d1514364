// SPDX-License-Identifier: Apache-2.0
//! `apply` keeps a user's cipher suite exactly where `verify` accepts it: every suite, on every minor.
#![allow(clippy::unwrap_used, reason = "tests")]

use k3s_harden::Role;
use k3s_harden::document::{
    DropInMerge, ExistingConfig, PackagedPolicies, PresentFiles, RenderTarget, Rendered, UsersFiles,
    drop_in_path,
};
use k3s_harden::k3s::{DEFAULT_CONFIG, Datastore, K3sLog, NodeConfig, RunningComponents};
use k3s_harden::kubernetes::tls;
use k3s_harden::mode::Owner;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::profile::{Assignment, ProfileRequest};
use k3s_harden::verify::{NodeFacts, RuleOutcome, controls, evaluate_rule};
use k3s_harden::version::KubernetesMinor;

use crate::support::Node;

const OURS: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";

/// What `apply` makes of the user's `suites`: whether they stay, without a conflict.
fn stay(root: &Root, minor: KubernetesMinor, suites: &str) -> (bool, String) {
    let request = ProfileRequest {
        profiles: Vec::new(),
        minor,
        settings: None,
        assignments: vec![Assignment {
            name: "kubelet_tls_cipher_suites".into(),
            text: OURS.into(),
            origin: "--set".into(),
        }],
        only: Vec::new(),
        skip: Vec::new(),
    };
    let profile = request.resolve(&|path| panic!("{path} is not opened")).unwrap();
    let config = RootedPath::fixed(DEFAULT_CONFIG);
    let target = RenderTarget {
        role: Role::Server,
        config: config.clone(),
        running: RunningComponents::of_role(Role::Server, Datastore::Sqlite),
        data_dir: RootedPath::fixed("/var/lib/rancher/k3s"),
        audit_policy: None,
        present: PresentFiles::default(),
        packaged: PackagedPolicies::default(),
        users: UsersFiles::default(),
        drop_in_merge: DropInMerge {
            existing: ExistingConfig::read(root, &config, &drop_in_path(&config)).unwrap(),
            ..DropInMerge::default()
        },
    };
    let placed = Rendered::new(&profile, &target).drop_in;
    let arguments = placed.configuration.components.iter().flat_map(|component| &component.arguments);
    let written: Vec<&str> = arguments
        .filter(|argument| argument.name == "tls-cipher-suites")
        .map(|argument| argument.value.as_str())
        .collect();
    let conflicts = placed.conflicts.iter().filter(|(text, _)| text.contains("tls-cipher-suites")).count();
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(written == [suites], conflicts == 0, "{suites} on {minor}");
    (conflicts == 0, profile.benchmark)
}

/// Whether `verify` takes what the kubelet gets for strong.
fn strong(root: &Root, minor: KubernetesMinor, benchmark: &str) -> bool {
    let data_dir = RootedPath::fixed("/var/lib/rancher/k3s");
    let node = NodeConfig::read(root, Role::Server, minor, &data_dir).unwrap();
    let controls = controls(benchmark).unwrap();
    let control = controls.iter().find(|control| control.name == "kubelet-cipher-suites").unwrap();
    let owner = Owner { uid: 0, gid: 0 };
    match evaluate_rule(&NodeFacts::new(node, owner, K3sLog::default()), &control.rule).outcome {
        RuleOutcome::Met => true,
        RuleOutcome::NotMet => false,
        other => panic!("{other:?} on {minor}"),
    }
}

#[test]
fn apply_keeps_what_verify_accepts() {
    let one = tls::cipher_suites().iter().map(|suite| suite.name.clone());
    let two = tls::cipher_suites().iter().map(|suite| format!("TLS_AES_128_GCM_SHA256,{}", suite.name));
    let (mut kept, mut replaced) = (0, 0);
    for suites in one.chain(two) {
        let node = Node::new()
            .file("etc/rancher/k3s/config.yaml", format!("kubelet-arg: [\"tls-cipher-suites={suites}\"]\n"));
        let root = Root::open(node.path()).unwrap();
        for minor in KubernetesMinor::supported() {
            let (stays, benchmark) = stay(&root, minor, &suites);
            assert_eq!(stays, strong(&root, minor, &benchmark), "{suites} on {minor}, CIS {benchmark}");
            *(if stays { &mut kept } else { &mut replaced }) += 1;
        }
    }
    assert!(kept > 0 && replaced > kept, "{kept} {replaced}");
}

#[test]
fn no_insecure_suite_can_be_set() {
    for suite in tls::cipher_suites().iter().filter(|suite| suite.insecure) {
        let assignment = format!("kubelet_tls_cipher_suites={}", suite.name);
        let output = Node::new().run(&["plan", "--k3s-version", "1.33", "--set", &assignment]);
        assert_eq!(output.code, 65, "{}", output.stderr);
        assert!(output.stderr.contains("is not a strong cipher suite"), "{}", output.stderr);
    }
}
