// SPDX-License-Identifier: Apache-2.0
//! The way back: rollback, history, uninstall, what a killed run leaves, and plans that were saved.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use crate::support::journal::rewritten_by_0_1_0;
use crate::support::{Node, Output, walk};

const SERVER: [&str; 4] = ["--k3s-version", "1.33", "--role", "server"];
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";
const POLICY: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";
const SYSCTL: &str = "etc/sysctl.d/90-kubelet.conf";

fn all(output: &Output) -> String {
    format!("{}{}[exit {}]", output.stdout, output.stderr, output.code)
}

/// Runs a verb that must end well.
#[track_caller]
fn run(node: &Node, arguments: &[&str]) -> String {
    let output = node.run(arguments);
    assert_eq!(output.code, 0, "{arguments:?}: {}", all(&output));
    output.stdout
}

#[track_caller]
fn apply(node: &Node, arguments: &[&str]) -> String {
    let words: Vec<&str> = ["apply", "-q"].iter().chain(&SERVER).chain(arguments).copied().collect();
    run(node, &words)
}

/// Everything but the state directory and what leads to it: path, mode and content or target.
#[derive(PartialEq, Eq)]
struct State(Vec<(PathBuf, String, Vec<u8>)>);

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |(path, mode, bytes): &(PathBuf, String, Vec<u8>)| {
            format!("{mode} {} {}", path.display(), bytes.len())
        };
        f.debug_list().entries(self.0.iter().map(line)).finish()
    }
}

fn state(node: &Node) -> State {
    let content = |path: &PathBuf| {
        let path = node.path().join(path);
        let target = fs::read_link(&path).map(|target| target.into_os_string().into_encoded_bytes());
        target.or_else(|_| fs::read(&path)).unwrap_or_default()
    };
    let leads_there = |path: &PathBuf| "var/lib".starts_with(path.to_str().unwrap());
    let found = walk(node.path()).into_iter();
    let found = found.filter(|(path, _)| !path.starts_with("var/lib/k3s-harden") && !leads_there(path));
    State(found.map(|(path, mode)| (path.clone(), mode, content(&path))).collect())
}

/// A node that somebody has set up by hand: lax modes, old files, a symlink in the place of one of ours.
fn set_up_by_hand() -> Node {
    let node = Node::new()
        .file(SYSCTL, "kernel.panic=0\n")
        .file(POLICY, [0xff, 0xfe, b'\n'])
        .file("var/lib/rancher/k3s/server/mine", "");
    let mode = |path: &str, mode| {
        fs::set_permissions(node.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(SYSCTL, 0o666);
    mode(POLICY, 0o640);
    mode("var/lib/rancher/k3s/server", 0o755);
    mode("var/lib/rancher/k3s/server/manifests", 0o775);
    symlink("mine", node.path().join(AUDIT)).unwrap();
    node
}

/// The time of a run is the one thing that is never the same.
fn timeless(history: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.contains('T');
    let line = |line: &str| {
        line.split(' ')
            .map(|word| if is_time(word) { "2000-01-01T00:00:00Z" } else { word })
            .collect::<Vec<_>>()
            .join(" ")
    };
    history.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn rollbacks_walk_back_to_the_first_state_and_can_be_undone_by_their_number() {
    let node = set_up_by_hand();
    let first = state(&node);
    apply(&node, &[]);
    let second = state(&node);
    apply(&node, &["--set", "audit_log_maxage=90", "--set", "dns_policy=false"]);
    let third = state(&node);
    assert!(first != second && second != third);
    insta::assert_snapshot!(run(&node, &["rollback"]), @"
    ROOT: restored to the state before run 2.
    updated /etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml (0600)
    updated /var/lib/rancher/k3s/server/manifests/policy.yaml (0600)
    Options remembered again: --k3s-version 1.33 --role server.
    ");
    assert_eq!(state(&node), second);
    assert_eq!(
        node.run(&["apply"]).stdout,
        "Nothing to change.\n",
        "what the second run was told is not in force"
    );
    run(&node, &["rollback"]);
    assert_eq!(state(&node), first);
    assert_eq!(run(&node, &["rollback"]), "Nothing to undo.\n");
    assert_eq!(state(&node), first);
    insta::assert_snapshot!(timeless(&run(&node, &["history"])), @"
    RUN  TIME                  WHAT                         CHANGES  STATE
    1    2000-01-01T00:00:00Z  apply server 1.33, cis-1.12  11       undone
    2    2000-01-01T00:00:00Z  apply server 1.33, cis-1.12  2        undone
    3    2000-01-01T00:00:00Z  rollback to before 2         2        undone
    4    2000-01-01T00:00:00Z  rollback to before 1         11       done
    ");
    // The last rollback is undone by its own number, and then the one before it.
    run(&node, &["rollback", "4"]);
    assert_eq!(state(&node), second);
    run(&node, &["rollback", "3"]);
    assert_eq!(state(&node), third);
    assert_eq!(
        node.run(&["apply"]).stdout,
        "Nothing to change.\n",
        "what the second run was told is in force again"
    );
    // And an old number leads back over everything that came since.
    run(&node, &["rollback", "1"]);
    assert_eq!(state(&node), first);
}

#[test]
fn the_history_is_there_for_programs() {
    let node = Node::new();
    apply(&node, &[]);
    run(&node, &["rollback"]);
    let history: serde_json::Value =
        serde_json::from_str(&run(&node, &["history", "--format", "json"])).unwrap();
    assert_eq!(history["format_version"], "1.1");
    let runs = history["runs"].as_array().unwrap();
    let row = |run: &serde_json::Value| {
        ["id", "verb", "to", "state", "undone", "role", "kubernetes"]
            .map(|field| run[field].to_string())
            .join(" ")
    };
    let rows: Vec<String> = runs.iter().map(row).collect();
    assert_eq!(
        rows,
        [
            r#"1 "apply" null "committed" true "server" "1.33""#,
            r#"2 "rollback" 1 "committed" false "server" "1.33""#
        ]
    );
    assert!(runs[0]["paths"].as_array().unwrap().contains(&format!("/{DROP_IN}").into()));
}

#[test]
fn what_somebody_changed_since_is_shown_and_stays() {
    let node = Node::new();
    apply(&node, &[]);
    let path = node.path().join(SYSCTL);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("kernel.panic=10", "kernel.panic=5")).unwrap();
    let before = node.fingerprint();
    insta::assert_snapshot!(all(&node.run(&["rollback"])), @"
    error: modified since k3s-harden wrote it; nothing was rolled back: /etc/sysctl.d/90-kubelet.conf
    --- /etc/sysctl.d/90-kubelet.conf
    +++ /etc/sysctl.d/90-kubelet.conf
    @@ -3,5 +3,5 @@
     # CIS 1.12: none by itself
     vm.panic_on_oom=0
     vm.overcommit_memory=1
    -kernel.panic=10
    +kernel.panic=5
     kernel.panic_on_oops=1
     help: to discard these changes: --force
    [exit 1]
    ");
    assert_eq!(node.fingerprint(), before);
    run(&node, &["rollback", "--force"]);
    assert!(!path.exists());
    // What was forced away comes back as it was.
    run(&node, &["rollback", "2"]);
    assert!(fs::read_to_string(&path).unwrap().contains("kernel.panic=5"));
}

#[test]
fn a_mode_that_somebody_changed_counts_too() {
    let node = Node::new();
    apply(&node, &[]);
    fs::set_permissions(node.path().join(AUDIT), fs::Permissions::from_mode(0o640)).unwrap();
    let output = node.run(&["rollback"]);
    assert!(output.code == 1 && output.stderr.contains("-mode 0600\n+mode 0640\n"), "{}", all(&output));
}

#[test]
fn directories_with_something_in_them_stay() {
    let node = Node::new();
    apply(&node, &[]);
    fs::write(node.path().join("etc/rancher/k3s/mine"), "").unwrap();
    let output = node.run(&["rollback"]);
    assert_eq!(output.code, 0);
    assert!(
        output.stderr.contains("/etc/rancher/k3s stays: it is not empty, or leads elsewhere"),
        "{}",
        output.stderr
    );
    assert_eq!(
        node.tree(),
        "0755 etc\n0755 etc/rancher\n0755 etc/rancher/k3s\n0644 etc/rancher/k3s/mine\n0755 var\n0755 var/lib\n"
    );
}

#[test]
fn a_number_that_is_no_run_is_a_mistake() {
    let node = Node::new();
    apply(&node, &[]);
    run(&node, &["rollback"]);
    insta::assert_snapshot!(all(&node.run(&["rollback", "7"])), @"
    error: no run 7 can be rolled back
     help: these runs can be rolled back: 2
    [exit 64]
    ");
    insta::assert_snapshot!(all(&node.run(&["rollback", "1"])), @"
    error: run 1 is already rolled back
     help: `k3s-harden history --root ROOT` shows by which run; roll back that run by its number
    [exit 64]
    ");
}

#[test]
fn after_a_start_what_stays_in_the_cluster_is_named_with_its_commands() {
    let node = Node::new();
    apply(&node, &["--set", "secrets_encryption=false", "--set", "namespaces=default"]);
    let node = node.file("var/lib/rancher/k3s/server/token", "");
    let output = node.run(&["rollback"]);
    assert_eq!(output.code, 0);
    insta::assert_snapshot!(output.stderr, @r#"
     WARN /var/lib/rancher/k3s/server stays: it is not empty, or leads elsewhere
     WARN /var/lib/rancher/k3s stays: it is not empty, or leads elsewhere
     WARN /var/lib/rancher stays: it is not empty, or leads elsewhere
     WARN K3s has already started here: arguments and files take effect when it starts again: systemctl restart k3s
     WARN the rollback does not delete the objects of policy.yaml from the cluster. To delete them, run:
      k3s kubectl delete networkpolicy intra-namespace --namespace default
      k3s kubectl delete networkpolicy default-network-dns-policy --namespace kube-system
      k3s kubectl delete networkpolicy allow-all-metrics-server --namespace kube-system
      k3s kubectl delete networkpolicy allow-all-svclbtraefik-ingress --namespace kube-system
      k3s kubectl delete networkpolicy allow-all-traefik-v121-ingress --namespace kube-system
      k3s kubectl patch serviceaccount default --namespace default --type merge --patch '{"automountServiceAccountToken": null}'
      k3s kubectl patch serviceaccount default --namespace kube-public --type merge --patch '{"automountServiceAccountToken": null}'
      k3s kubectl patch serviceaccount default --namespace kube-node-lease --type merge --patch '{"automountServiceAccountToken": null}'
      k3s kubectl patch serviceaccount default --namespace kube-system --type merge --patch '{"automountServiceAccountToken": null}'
    "#);
}

#[test]
fn a_cluster_is_not_left_with_secrets_that_it_cannot_read() {
    let node = Node::new();
    apply(&node, &[]);
    let node = node
        .file("var/lib/rancher/k3s/server/token", "")
        .file("var/lib/rancher/k3s/server/cred/encryption-config.json", "{}");
    let before = node.fingerprint();
    for verb in ["rollback", "uninstall"] {
        let output = node.run(&[verb]);
        assert!(output.code == 1 && output.stderr.contains("it can no longer read them"), "{}", all(&output));
        assert!(output.stderr.contains("k3s secrets-encrypt disable"));
        assert_eq!(node.fingerprint(), before);
    }
    let node = node.file("etc/rancher/k3s/config.yaml", "secrets-encryption: true\n");
    run(&node, &["rollback"]);
}

#[test]
fn uninstalling_leaves_the_first_state_and_nothing_else() {
    let node = set_up_by_hand();
    let walked = || (walk(node.path()), state(&node));
    let first = walked();
    apply(&node, &[]);
    apply(&node, &["--set", "audit_log_maxage=90"]);
    run(&node, &["rollback"]);
    apply(&node, &["--set", "audit_log_maxage=91"]);
    run(&node, &["uninstall"]);
    assert_eq!(walked(), first);
    assert_eq!(run(&node, &["uninstall"]), "Nothing to undo.\n");
    // Also where everything above the state directory had to be made.
    let empty = Node::new();
    apply(&empty, &[]);
    run(&empty, &["uninstall"]);
    assert!(walk(empty.path()).is_empty(), "{:?}", walk(empty.path()));
}

#[test]
fn an_image_can_be_built_without_a_history() {
    let node = Node::new();
    apply(&node, &["--no-history"]);
    assert!(!node.path().join("var/lib/k3s-harden").exists());
    let before = node.fingerprint();
    assert_eq!(apply(&node, &["--no-history"]), "", "a quiet run is silent");
    assert_eq!(node.fingerprint(), before);
    insta::assert_snapshot!(all(&node.run(&["uninstall"])), @"
    error: no history found: the state before k3s-harden is unknown
     help: k3s-harden wrote these files; you can remove them by hand: /etc/sysctl.d/90-kubelet.conf /var/lib/rancher/k3s/server/audit.yaml /var/lib/rancher/k3s/server/psa.yaml /var/lib/rancher/k3s/server/manifests/policy.yaml /etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml
    [exit 1]
    ");
    // A history that begins later leads back to the image's state.
    let image = state(&node);
    apply(&node, &["--set", "audit_log_maxage=90"]);
    let output = node.run(&["apply", "-q", "--no-history", "--set", "audit_log_maxage=91"]);
    assert!(
        output.code == 64 && output.stderr.contains("this node already has a history"),
        "{}",
        all(&output)
    );
    run(&node, &["rollback"]);
    assert_eq!(state(&node), image);
}

#[test]
fn old_runs_become_one_that_still_leads_back() {
    let node = set_up_by_hand();
    let first = state(&node);
    let age =
        |days: u32| apply(&node, &["--set", &format!("audit_log_maxage={days}"), "--set", "history_runs=3"]);
    age(40);
    age(41);
    run(&node, &["rollback"]);
    let mut states = Vec::new();
    for days in 42..49 {
        age(days);
        states.push(state(&node));
    }
    let history: serde_json::Value =
        serde_json::from_str(&run(&node, &["history", "--format", "json"])).unwrap();
    let ids: Vec<_> = history["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["id"].clone(), run["through"].clone()))
        .collect();
    let row = |id: u32| (id.into(), serde_json::Value::Null);
    assert_eq!(ids, [(1.into(), 7.into()), row(8), row(9), row(10)]);
    let output = node.run(&["rollback", "5"]);
    assert!(output.stderr.contains("run 5 is too old: it was merged into run 1"), "{}", all(&output));
    for expected in states.iter().rev().skip(1).take(3) {
        run(&node, &["rollback"]);
        assert_eq!(state(&node), *expected);
    }
    run(&node, &["rollback"]);
    assert_eq!(state(&node), first);
}

#[test]
fn a_saved_plan_is_done_exactly_or_not_at_all() {
    let node = Node::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.json");
    let file = file.to_str().unwrap();
    let make = ["plan", "-q", "--k3s-version", "1.33", "--set", "audit_log_maxage=90", "--out", file];
    run(&node, &make);
    assert!(walk(node.path()).is_empty(), "a plan changes nothing");
    // The plan's own words are enough, and what is installed by now does not count.
    let node = node.file("usr/local/bin/k3s", "k3s version v1.30.4+k3s1");
    run(&node, &["apply", "-q", file]);
    assert!(node.read(DROP_IN).contains("audit-log-maxage=90"));
    // Now it is done, and the node is no longer what it was.
    let before = node.fingerprint();
    let output = node.run(&["apply", file]);
    assert!(
        output.code == 65 && output.stderr.contains("has changed since the plan was saved"),
        "{}",
        all(&output)
    );
    assert_eq!(node.fingerprint(), before);
    run(&node, &["rollback"]);
    for (path, text) in [
        (SYSCTL, "vm.panic_on_oom=1\n"),
        ("etc/rancher/k3s/config.yaml", "kube-apiserver-arg: [audit-log-maxage=7]\n"),
    ] {
        let node = Node::new();
        run(&node, &make);
        let node = node.file(path, text);
        let output = node.run(&["apply", file]);
        assert_eq!(output.code, 65, "{path}: {}", all(&output));
        assert!(!node.path().join(AUDIT).exists());
    }
}

#[test]
fn beside_a_saved_plan_nothing_else_can_be_asked_for() {
    let node = Node::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.json");
    let file = file.to_str().unwrap();
    run(&node, &["plan", "-q", "--k3s-version", "1.33", "--out", file]);
    let output = node.run(&["apply", file, "--set", "audit_log_maxage=7"]);
    assert!(
        output.code == 64 && output.stderr.contains("--set: a saved plan already contains"),
        "{}",
        all(&output)
    );
    let changed = fs::read_to_string(file).unwrap().replace("audit-log-maxage=30", "audit-log-maxage=1");
    fs::write(file, changed).unwrap();
    assert_eq!(node.run(&["apply", file]).code, 65);
    fs::write(file, "{}").unwrap();
    let output = node.run(&["apply", file]);
    assert!(output.code == 65 && output.stderr.contains("is not a saved plan"), "{}", all(&output));
    assert!(walk(node.path()).is_empty());
}

/// Makes the binary wait at a system call, as if the machine were busy.
fn slowly(node: &Node, inject: &str, arguments: &[&str]) -> std::process::Child {
    let mut command = crate::support::tools::command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject, env!("CARGO_BIN_EXE_k3s-harden")]);
    command.arg("--root").arg(node.path()).args(["--owner", &crate::support::owner()]).args(arguments);
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command.env_clear().env("PATH", "/usr/bin:/bin").spawn().unwrap()
}

#[test]
#[ignore = "needs strace"]
fn who_made_the_state_directory_does_not_take_the_history_of_another_away() {
    let _quiet = crate::support::turns::quiet();
    let node = Node::new().file(SYSCTL, "mine\n");
    let words: Vec<&str> = ["apply", "-q"].iter().chain(&SERVER).copied().collect();
    let mut slow = slowly(&node, "inject=flock:delay_enter=3000000:when=2", &words);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !node.path().join("var/lib/k3s-harden").exists() {
        assert!(std::time::Instant::now() < end, "the run never made its state directory");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    apply(&node, &[]);
    assert!(slow.wait().unwrap().success());
    assert!(run(&node, &["history"]).contains("apply server 1.33"), "{}", run(&node, &["history"]));
    run(&node, &["rollback"]);
    assert_eq!(node.read(SYSCTL), "mine\n");
}

#[test]
fn what_moved_to_another_place_stays_there() {
    let node = Node::new();
    apply(&node, &[]);
    fs::create_dir(node.path().join("data")).unwrap();
    fs::rename(node.path().join("var/lib/rancher"), node.path().join("data/rancher")).unwrap();
    symlink("/data/rancher", node.path().join("var/lib/rancher")).unwrap();
    let output = node.run(&["rollback"]);
    assert_eq!(output.code, 0, "{}", all(&output));
    assert!(
        output.stderr.contains("/var/lib/rancher stays: it is not empty, or leads elsewhere"),
        "{}",
        output.stderr
    );
    assert_eq!(node.tree(), "0755 data\n0755 data/rancher\n0755 var\n0755 var/lib\n0777 var/lib/rancher\n");
}

#[test]
fn a_configuration_that_k3s_could_not_read_is_no_reason_not_to_go_back() {
    let node = Node::new();
    apply(&node, &["--data-dir", "/srv/k3s"]);
    let node = node.file("etc/rancher/k3s/config.yaml", "data-dir: /other\n");
    run(&node, &["rollback"]);
    run(&node, &["rollback", "2"]);
    fs::write(node.path().join("etc/rancher/k3s/config.yaml"), "a: [\n").unwrap();
    run(&node, &["uninstall"]);
    assert_eq!(
        state(&node).0.iter().map(|(path, ..)| path.to_str().unwrap()).collect::<Vec<_>>(),
        ["etc", "etc/rancher", "etc/rancher/k3s", "etc/rancher/k3s/config.yaml"]
    );
}

#[test]
fn bytes_of_somebody_that_a_rollback_brought_back_are_not_lost_with_the_history() {
    let node = Node::new();
    apply(&node, &[]);
    fs::write(node.path().join(SYSCTL), "mine=1\n").unwrap();
    let output = node.run(&["apply"]);
    assert!(output.stderr.contains("was overwritten since k3s-harden wrote it"), "{}", output.stderr);
    run(&node, &["rollback"]);
    assert_eq!(node.read(SYSCTL), "mine=1\n");
    let output = node.run(&["uninstall"]);
    assert!(output.code == 1 && output.stderr.contains("+mine=1"), "{}", all(&output));
    assert_eq!(node.read(SYSCTL), "mine=1\n");
    // With the history still there, nothing is lost.
    run(&node, &["rollback", "1"]);
    assert!(!node.path().join(SYSCTL).exists());
}

#[test]
fn a_backup_that_is_gone_is_never_taken_for_an_empty_file() {
    let node = Node::new().file(SYSCTL, "mine\n");
    apply(&node, &["--on-foreign", "keep"]);
    apply(&node, &["--on-foreign", "replace", "--set", "history_runs=1"]);
    let run_2 = node.path().join("var/lib/k3s-harden/runs/0002");
    for entry in fs::read_dir(&run_2).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().ends_with(".before") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let output = node.run(&["apply", "--set", "audit_log_maxage=77"]);
    assert!(
        output.code == 0 && output.stderr.contains("the history could not be shortened"),
        "{}",
        all(&output)
    );
    assert_eq!(node.run(&["uninstall"]).code, 1);
    assert!(node.path().join(SYSCTL).metadata().unwrap().len() > 10, "an empty file in its place");
}

#[test]
fn a_journal_that_was_moved_away_takes_no_backups_with_it() {
    let node = Node::new().file(SYSCTL, "mine\n");
    apply(&node, &[]);
    let journal = node.path().join("var/lib/k3s-harden/runs/0001/journal.json");
    let text = fs::read_to_string(&journal).unwrap();
    let moved = node.path().join("var/lib/k3s-harden/runs/0001.damaged");
    let damage: [&dyn Fn(); 3] =
        [&|| fs::write(&journal, "{").unwrap(), &|| fs::remove_file(&journal).unwrap(), &|| {
            fs::rename(journal.parent().unwrap(), &moved).unwrap();
        }];
    let backup = text.split('"').find(|word| word.ends_with(".before")).unwrap();
    for (index, damage) in damage.into_iter().enumerate() {
        damage();
        let before = state(&node);
        for words in [&["apply"][..], &["plan"], &["rollback"], &["uninstall"], &["apply", "--no-history"]] {
            let output = node.run(words);
            let named =
                ["0001/journal.json: ", "0001/journal.json: it is not there", "0001.damaged: "][index];
            assert!(output.code == 1 && output.stderr.contains(named), "{words:?}: {}", all(&output));
            assert!(
                output.stderr.contains("keep a copy of ROOT/var/lib/k3s-harden outside"),
                "{}",
                all(&output)
            );
        }
        assert_eq!(state(&node), before);
        let place = if index == 2 { &moved } else { journal.parent().unwrap() };
        assert_eq!(fs::read(place.join(backup)).unwrap(), b"mine\n");
    }
    fs::rename(&moved, journal.parent().unwrap()).unwrap();
    // What a hand has changed leads nowhere else.
    for name in ["../journal.json", "", "/etc/passwd", ".x"] {
        // As release 0.1.0 wrote it, without digests: nothing else tells that it was changed.
        let record = rewritten_by_0_1_0(&text.replace(backup, name));
        fs::write(&journal, record.to_string()).unwrap();
        let output = node.run(&["rollback", "1"]);
        assert!(
            output.code == 1 && output.stderr.contains("is no name of a backup"),
            "{name}: {}",
            all(&output)
        );
    }
}

#[test]
fn an_image_keeps_nothing_of_runs_that_failed_and_everything_of_somebody_else() {
    let node = Node::new().file("var/lib/rancher/k3s/server/psa.yaml/in-the-way", "");
    assert_ne!(
        node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server", "--no-history"]).code,
        0
    );
    assert!(!node.path().join("var/lib/k3s-harden").exists());
    let node = Node::new().file("var/lib/k3s-harden/NOTES", "precious");
    apply(&node, &["--no-history"]);
    assert_eq!(node.read("var/lib/k3s-harden/NOTES"), "precious");
    // A history that was undone is a history.
    let node = Node::new();
    apply(&node, &[]);
    run(&node, &["rollback"]);
    assert_eq!(
        node.run(&["apply", "-q", "--k3s-version", "1.33", "--role", "server", "--no-history"]).code,
        64
    );
    run(&node, &["uninstall"]);
    assert!(walk(node.path()).is_empty());
}

#[test]
fn an_uninstall_that_was_killed_is_finished_by_the_next() {
    let node = Node::new();
    apply(&node, &[]);
    run(&node, &["rollback"]);
    // As a kill right after the first step leaves it.
    fs::rename(node.path().join("var/lib/k3s-harden"), node.path().join(".k3s-harden.leaving")).unwrap();
    assert_eq!(run(&node, &["uninstall"]), "Nothing to undo.\n");
    assert!(walk(node.path()).is_empty(), "{:?}", walk(node.path()));
}

#[test]
fn a_saved_plan_may_be_carried_out_where_the_environment_is_that_of_the_plan() {
    let node = Node::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.json");
    let file = file.to_str().unwrap();
    let environment = [
        ("K3S_HARDEN_PROFILE", "cis,strict"),
        ("K3S_HARDEN_SKIP", "none"),
        ("K3S_HARDEN_SETTINGS", ""),
        ("K3S_HARDEN_SET", "audit_log_maxage=55"),
        ("K3S_HARDEN_K3S_VERSION", "1.33"),
    ];
    assert_eq!(node.run_with(&["plan", "-q", "--out", file], &environment).code, 0);
    for (other, value) in [
        ("K3S_HARDEN_K3S_VERSION", "1.29"),
        ("K3S_HARDEN_SET", "history_runs=1"),
        ("K3S_HARDEN_NO_LIVE_SYSCTL", "1"),
    ] {
        let output = node.run_with(&["apply", file], &[(other, value)]);
        assert!(
            output.code == 64 && output.stderr.contains("a saved plan already contains this"),
            "{other}: {}",
            all(&output)
        );
    }
    let output = node.run_with(&["apply", "-q", file], &environment);
    assert_eq!(output.code, 0, "{}", all(&output));
    assert!(node.read(DROP_IN).contains("audit-log-maxage=55"));
    assert_eq!(node.run(&["plan", "--out", "/nowhere/plan"]).code, 73);
}

#[test]
fn a_report_that_cannot_be_written_is_not_called_a_failure_of_the_run() {
    let node = Node::new();
    let mut command = crate::support::binary();
    command.arg("--root").arg(node.path()).args(["--owner", &crate::support::owner(), "apply"]).args(SERVER);
    command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(5) && said.contains("the run succeeded; only its report is lost"),
        "{said}"
    );
    assert!(node.path().join(DROP_IN).exists());
}

#[test]
fn a_state_directory_elsewhere_is_refused() {
    let node = Node::new().file("elsewhere/x", "");
    fs::create_dir_all(node.path().join("var/lib")).unwrap();
    symlink("/elsewhere", node.path().join("var/lib/k3s-harden")).unwrap();
    let output = node.run(&["apply", "-q", "--k3s-version", "1.33"]);
    assert!(output.code == 73 && output.stderr.contains("is a symlink"), "{}", all(&output));
}
