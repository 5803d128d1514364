// SPDX-License-Identifier: Apache-2.0
//! What we write passes our own judge: of every minor, role and strictness nothing stops K3s, and nothing is in vain.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use crate::support::Node;
use k3s_harden::Role;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::node::Root;
use k3s_harden::preflight::{self, Class};
use k3s_harden::version::KubernetesMinor;

#[test]
fn what_apply_writes_starts_and_hardens() {
    let mut wrong = Vec::new();
    for minor in KubernetesMinor::supported() {
        for role in [Role::Server, Role::Agent] {
            for profile in ["cis", "cis,strict"] {
                let shown = format!("{minor} {role} {profile}");
                let node = Node::new();
                let version = minor.to_string();
                let role_text = role.to_string();
                let arguments =
                    ["apply", "--k3s-version", &version, "--role", &role_text, "--profile", profile];
                let output = node.run(&arguments);
                assert_eq!(output.code, 0, "{shown}: {}", output.stderr);
                let root = Root::open(node.path()).unwrap();
                let data_dir = "/var/lib/rancher/k3s".parse().unwrap();
                let verdict = preflight::check(&NodeConfig::read(&root, role, minor, &data_dir).unwrap());
                let bad = |class| matches!(class, Class::Stops | Class::HardensNothing);
                for finding in verdict.findings.iter().filter(|finding| bad(finding.class)) {
                    wrong.push(format!("{shown}: {finding:?}"));
                }
                if verdict.starts() != Some(true) {
                    wrong.push(format!("{shown}: {:?} {:?}", verdict.starts(), verdict.findings));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
