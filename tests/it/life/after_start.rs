// SPDX-License-Identifier: Apache-2.0
//! `apply --after-start`: modes and owners of what K3s made, on every kind of node that has started; and its timer.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use k3s_harden::Role;
use k3s_harden::k3s::Datastore;

use super::bed::{K3S, State, chmod, json, run, same, start, state};
use crate::support::{Node, Output, walk};

const CERTIFICATE: &str = "server/tls/client-admin.crt";

fn mode(node: &Node, path: &str) -> String {
    node.mode(&format!("{K3S}/{path}"))
}

/// Loosens some modes, as an old K3s or somebody left them.
fn loosen(node: &Node) {
    for path in [
        "server/cred/admin.kubeconfig",
        "agent/kubelet.kubeconfig",
        "server/tls/client-admin.key",
        "server/db/etcd",
    ] {
        let path = node.path().join(K3S).join(path);
        if path.exists() {
            chmod(&path, if path.is_dir() { 0o755 } else { 0o644 });
        }
    }
}

fn without_modes(state: &State) -> Vec<(&PathBuf, &Vec<u8>)> {
    state.iter().map(|(path, (_, _, _, bytes))| (path, bytes)).collect()
}

#[test]
fn modes_change_and_nothing_else_and_come_back() {
    // 1.26 wants certificates to be 600 (1.1.20 of 1.7), 1.33 does not.
    for minor in ["1.26", "1.33"] {
        for (role, datastore) in [
            (Role::Server, Datastore::Sqlite),
            (Role::Server, Datastore::Etcd),
            (Role::Server, Datastore::External),
            (Role::Agent, Datastore::Sqlite),
        ] {
            let when = format!("{minor} {role} {datastore:?}");
            let config = match (role, datastore) {
                (Role::Agent, _) => "server: https://10.0.0.1:6443\ntoken: t\n",
                (_, Datastore::Etcd) => "cluster-init: true\n",
                (_, Datastore::External) => "datastore-endpoint: mysql://u:p@tcp(10.0.0.9:3306)/k3s\n",
                _ => "",
            };
            let node = Node::new().file("etc/rancher/k3s/config.yaml", config);
            let words = ["--k3s-version", minor, "--role", &role.to_string()];
            run(&node, 0, &[&["apply", "-q"], &words[..]].concat());
            start(&node, minor, role, datastore);
            loosen(&node);
            let before = state(&node);
            let plan = json(&node, 0, &["plan", "-q", "--after-start"]);
            same(&state(&node), &before, "a plan");
            let actions = plan["actions"].as_array().unwrap();
            assert!(
                !actions.is_empty()
                    && actions.iter().all(|action| {
                        action["resource"] == "permissions"
                            && action["action"] == "metadata"
                            && !action["controls"].as_array().unwrap().is_empty()
                    }),
                "{when}: {plan:#}"
            );
            run(&node, 0, &["apply", "-q", "--after-start"]);
            let after = state(&node);
            assert_eq!(without_modes(&after), without_modes(&before), "{when}: the content");
            let changed = before.iter().filter(|(path, was)| after[*path] != **was).count();
            assert_eq!(changed, actions.len(), "{when}");
            assert_eq!(mode(&node, "agent/kubelet.kubeconfig"), "0600", "{when}");
            if role == Role::Server {
                assert_eq!(mode(&node, CERTIFICATE), if minor == "1.26" { "0600" } else { "0644" }, "{when}");
                assert_eq!(mode(&node, "server/tls/client-admin.key"), "0600", "{when}");
            }
            if datastore == Datastore::Etcd {
                assert_eq!(mode(&node, "server/db/etcd"), "0700", "{when}");
            }
            // No verdict about a mode is left that K3s's own files do not meet.
            let report = node.run(&["verify", "--format", "json"]).stdout;
            let report: serde_json::Value = serde_json::from_str(&report).unwrap();
            for control in report["controls"].as_array().unwrap() {
                let id = control["id"].as_str().unwrap();
                if id.starts_with("1.1.") || id.starts_with("4.1.") {
                    assert!(
                        control["status"] != "fail" && control["status"] != "warn",
                        "{when}: {control:#}"
                    );
                }
            }
            let fingerprint = node.fingerprint();
            let again = run(&node, 0, &["apply", "--after-start"]).stdout;
            assert!(again.ends_with("Nothing to change.\n"), "{when}: {again}");
            assert_eq!(node.fingerprint(), fingerprint, "{when}: the second run writes nothing");
            // What earlier runs were told stays in force, and no key lies in the history.
            let backups = walk(&node.path().join("var/lib/k3s-harden/runs/0002"));
            assert!(backups.iter().all(|(path, _)| path.ends_with("journal.json")), "{when}: {backups:?}");
            assert!(run(&node, 0, &["plan", "-q"]).stdout.ends_with("Nothing to change.\n"), "{when}");
            run(&node, 0, &["rollback"]);
            same(&state(&node), &before, &format!("{when}: the rollback"));
        }
    }
}

#[test]
fn what_k3s_made_anew_or_removed_since_is_no_obstacle() {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.26"]);
    start(&node, "1.26", Role::Server, Datastore::Sqlite);
    run(&node, 0, &["apply", "-q", "--after-start"]);
    let at = |path: &str| node.path().join(K3S).join(path);
    fs::remove_file(at(CERTIFICATE)).unwrap();
    // K3s rotates a certificate: another content, and its own mode again.
    fs::write(at("server/tls/client-ca.crt"), "new").unwrap();
    chmod(&at("server/tls/client-ca.crt"), 0o644);
    chmod(&at("server/tls/server-ca.crt"), 0o640);
    let back = run(&node, 0, &["rollback"]);
    assert!(
        back.stderr.contains("server-ca.crt: mode or owner was changed after the run"),
        "{}",
        back.stderr
    );
    assert!(!at(CERTIFICATE).exists());
    assert_eq!(fs::read_to_string(at("server/tls/client-ca.crt")).unwrap(), "new");
    let modes = ["server/tls/client-ca.crt", "server/tls/server-ca.crt", "server/tls/request-header-ca.crt"];
    assert_eq!(modes.map(|path| mode(&node, path)), ["0644", "0640", "0644"]);
}

#[test]
fn no_symlink_is_followed_and_no_file_of_the_users_is_touched() {
    let node = Node::new()
        .file("srv/elsewhere.crt", "x")
        .file("srv/folder/inner.crt", "x")
        .file("etc/mine.crt", "x")
        .file("etc/rancher/k3s/config.yaml", "kube-apiserver-arg: [tls-cert-file=/etc/mine.crt]\n");
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.26", "--no-preflight"]);
    start(&node, "1.26", Role::Server, Datastore::Sqlite);
    let at = |path: &str| node.path().join(path);
    for path in ["srv/elsewhere.crt", "srv/folder/inner.crt", "etc/mine.crt"] {
        chmod(&at(path), 0o644);
    }
    symlink("/srv/elsewhere.crt", at(K3S).join("server/tls/linked.crt")).unwrap();
    symlink("/srv/folder", at(K3S).join("server/tls/folder")).unwrap();
    let output = run(&node, 0, &["apply", "--after-start"]);
    for path in ["srv/elsewhere.crt", "srv/folder/inner.crt", "etc/mine.crt"] {
        assert_eq!(fs::metadata(at(path)).unwrap().permissions().mode() & 0o7777, 0o644, "{path}");
    }
    for name in ["server/tls/linked.crt", "server/tls/folder"] {
        assert!(output.stderr.contains(&format!("{name} is a symlink")), "{name}: {}", output.stderr);
    }
    assert_eq!(mode(&node, CERTIFICATE), "0600");
}

#[test]
fn skipped_controls_and_nodes_that_have_not_started_are_left_alone() {
    let node = Node::new();
    run(&node, 0, &["apply", "-q", "--k3s-version", "1.26"]);
    let output = run(&node, 0, &["apply", "--after-start"]);
    assert!(output.stderr.contains("K3s has not started here"), "{}", output.stderr);
    start(&node, "1.26", Role::Server, Datastore::Sqlite);
    loosen(&node);
    run(&node, 0, &["apply", "-q", "--after-start", "--skip", "1.1.20"]);
    assert_eq!(
        (mode(&node, CERTIFICATE), mode(&node, "server/cred/admin.kubeconfig")),
        ("0644".to_owned(), "0600".to_owned())
    );
    run(&node, 64, &["apply", "--after-start", "plan.json"]);
}

/// Renders the timer and its unit into the node's folder out.
fn timer(node: &Node, role: &str, binary: &str) -> Output {
    let out = node.path().join("out");
    let words = ["render", "--as", "systemd-timer", "--k3s-version", "1.33", "--role", role];
    let places = ["--binary", binary, "--out", out.to_str().unwrap()];
    run(node, 0, &[&words[..], &places].concat())
}

#[test]
fn the_timer_is_rendered_with_its_unit() {
    let node = Node::new();
    let text = timer(&node, "agent", "/opt/k3s-harden");
    assert!(text.stderr.is_empty(), "{}", text.stderr);
    let unit = node.read("out/k3s-harden-after-start.service");
    for line in [
        "ExecStart=/opt/k3s-harden apply --after-start --role agent --lock-timeout 60",
        "TimeoutStartSec=5min",
        "Type=oneshot",
        "After=k3s-agent.service",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}: {unit}");
    }
    let timer = node.read("out/k3s-harden-after-start.timer");
    assert!(
        timer.contains("OnUnitInactiveSec=1h\n") && timer.contains("WantedBy=timers.target\n"),
        "{timer}"
    );
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_takes_the_timer_and_its_unit() {
    use std::process::Command;
    let node = Node::new();
    let out = node.path().join("out");
    timer(&node, "server", "/bin/true");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    let units = ["k3s-harden-after-start.service", "k3s-harden-after-start.timer"];
    let output = verify.args(units.map(|unit| out.join(unit))).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("k3s-harden"), "{said}");
}
