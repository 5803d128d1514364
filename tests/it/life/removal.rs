// SPDX-License-Identifier: Apache-2.0
//! Files that the minor or the role no longer has go, in every run, if they are as a run left them.

use std::fs;

use super::bed::{K3S, run, same, state};
use crate::support::Node;

const PSA: &str = "server/psa.yaml";
const POLICY: &str = "server/manifests/policy.yaml";

fn has(node: &Node, path: &str) -> bool {
    node.path().join(K3S).join(path).exists()
}

#[test]
fn a_file_that_the_minor_does_not_have_goes_whatever_a_run_is_about() {
    for selection in [&["--skip", "pod-security"][..], &["--only", "audit-log-maxage"], &["--skip", "5.3.2"]]
    {
        let node = Node::new();
        run(&node, 0, &["apply", "-q", "--k3s-version", "1.25"]);
        assert!(has(&node, PSA));
        let before = state(&node);
        run(&node, 0, &[&["apply", "-q", "--k3s-version", "1.24"], selection].concat());
        assert!(!has(&node, PSA), "{selection:?}");
        run(&node, 0, &["rollback"]);
        same(&state(&node), &before, "the rollback");
    }
}

#[test]
fn a_file_that_the_role_does_not_have_goes_too() {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.33", "--role", "server"]);
    run(&node, 0, &["apply", "-q", "--role", "agent", "--skip", "network-policies,audit-policy"]);
    for path in [PSA, POLICY, "server/audit.yaml"] {
        assert!(!has(&node, path), "{path}");
    }
}

#[test]
fn a_setting_of_a_run_that_skips_its_control_removes_nothing() {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.37", "--set", "anonymous_health=true"]);
    let there = "server/authentication.yaml";
    for more in [&["--skip", "api-anonymous-auth", "--set", "anonymous_health=false"][..], &[]] {
        run(&node, 0, &[&["apply", "-q"], more].concat());
        assert!(has(&node, there), "{more:?}");
    }
    run(&node, 0, &["apply", "-q", "--skip", "none"]);
    assert!(!has(&node, there));
}

#[test]
fn an_edited_file_stays_and_is_named() {
    for selection in [&[][..], &["--skip", "pod-security"]] {
        let node = Node::new();
        run(&node, 0, &["apply", "-q", "--k3s-version", "1.25"]);
        let path = node.path().join(K3S).join(PSA);
        let edited = fs::read_to_string(&path).unwrap() + "# mine\n";
        fs::write(&path, &edited).unwrap();
        let output = run(&node, 0, &[&["apply", "--k3s-version", "1.24"], selection].concat());
        assert_eq!(fs::read_to_string(&path).unwrap(), edited, "{selection:?}");
        assert!(
            output.stderr.contains("psa.yaml is no longer needed, but was edited since"),
            "{}",
            output.stderr
        );
        // It does not come again and again as a change.
        let again = run(&node, 0, &["apply"]).stdout;
        assert!(again.ends_with("Nothing to change.\n"), "{again}");
    }
}
