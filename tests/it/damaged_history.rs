// SPDX-License-Identifier: Apache-2.0
//! A history that is damaged, or that holds the only copy of something: what is said, what is kept, and how one goes on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use crate::support::journal::of_0_1_0;
use crate::support::{Node, Output};

const SERVER: [&str; 4] = ["--k3s-version", "1.33", "--role", "server"];
const SYSCTL: &str = "etc/sysctl.d/90-kubelet.conf";
const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";
const STATE: &str = "var/lib/k3s-harden";

fn all(output: &Output) -> String {
    format!("{}{}[exit {}]", output.stdout, output.stderr, output.code)
}

#[track_caller]
fn ends(node: &Node, words: &[&str], code: i32) -> Output {
    let output = node.run(words);
    assert_eq!(output.code, code, "{words:?}: {}", all(&output));
    output
}

#[track_caller]
fn apply(node: &Node, words: &[&str]) {
    ends(node, &[&["apply", "-q"], &SERVER[..], words].concat(), 0);
}

fn state(node: &Node) -> PathBuf {
    node.path().join(STATE)
}

/// Returns the backup of a run that holds these bytes.
fn backup(node: &Node, run: &str, bytes: &str) -> PathBuf {
    let files = fs::read_dir(state(node).join("runs").join(run)).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| fs::read(path).unwrap() == bytes.as_bytes());
    files.next().unwrap_or_else(|| panic!("no backup of {bytes:?}"))
}

/// A node on which a file of somebody's was replaced, then changed by somebody, and replaced once more.
fn with_an_edit_in_between(runs: &str) -> Node {
    let node = Node::new().file(SYSCTL, "first\n");
    let runs = format!("history_runs={runs}");
    apply(&node, &["--set", &runs]);
    fs::write(node.path().join(SYSCTL), "edited\n").unwrap();
    apply(&node, &[]);
    for age in ["audit_log_maxage=41", "audit_log_maxage=42", "audit_log_maxage=43"] {
        apply(&node, &["--set", age]);
    }
    node
}

#[test]
fn an_uninstall_does_not_remove_the_only_copy_of_an_edit() {
    for (runs, what) in [("50", "run 2 replaced it"), ("1", "run 2 replaced it")] {
        let node = with_an_edit_in_between(runs);
        let before = node.fingerprint();
        let refused = ends(&node, &["uninstall"], 1);
        assert!(
            refused.stderr.contains("the only copy of files that k3s-harden did not write")
                && refused.stderr.contains(&format!("/{SYSCTL}: {what}")),
            "{}",
            all(&refused)
        );
        assert!(
            node.fingerprint()
                .iter()
                .filter(|entry| !entry.0.starts_with("var"))
                .eq(before.iter().filter(|entry| !entry.0.starts_with("var")))
        );
        let kept = backup(&node, if runs == "1" { "0001" } else { "0002" }, "edited\n");
        assert!(kept.exists());
        // Who has it elsewhere, or does not want it, goes on.
        ends(&node, &["uninstall", "--force"], 0);
        assert_eq!(node.read(SYSCTL), "first\n");
        assert!(!state(&node).exists());
    }
}

#[test]
fn a_damaged_backup_stops_what_needs_it_and_nothing_else() {
    let node = Node::new().file(SYSCTL, "first\n");
    apply(&node, &[]);
    apply(&node, &["--set", "audit_log_maxage=41"]);
    fs::write(backup(&node, "0001", "first\n"), "First\n").unwrap();
    // The second run is sound.
    ends(&node, &["rollback"], 0);
    let before = node.fingerprint();
    for words in [&["rollback", "1"][..], &["uninstall"]] {
        let refused = ends(&node, words, 1);
        assert!(
            refused.stderr.contains("the history is damaged; nothing was rolled back")
                && refused.stderr.contains("its digest is another")
                && refused.stderr.contains("--skip-damaged"),
            "{}",
            all(&refused)
        );
    }
    let outside = |print: &[(PathBuf, i64, i64, u64)]| -> Vec<_> {
        print.iter().filter(|entry| !entry.0.starts_with("var")).cloned().collect()
    };
    assert_eq!(outside(&node.fingerprint()), outside(&before));
    let undone = ends(&node, &["uninstall", "--skip-damaged"], 4);
    assert!(undone.stderr.contains(&format!("/{SYSCTL}: not restored: ")), "{}", all(&undone));
    assert!(!node.path().join(AUDIT).exists(), "the rest is restored");
    assert!(node.read(SYSCTL).contains("kernel.panic=10"));
    assert_eq!(fs::read(backup(&node, "0001", "First\n")).unwrap(), b"First\n");
}

#[test]
fn a_run_that_is_gone_is_missed() {
    let gone: [(&str, &[&str]); 3] =
        [("0001", &["uninstall"]), ("0002", &["rollback", "1"]), ("0003", &["rollback"])];
    for (run, words) in gone {
        let node = Node::new().file(SYSCTL, "first\n");
        apply(&node, &[]);
        apply(&node, &["--set", "audit_log_maxage=41"]);
        apply(&node, &["--set", "audit_log_maxage=42"]);
        fs::remove_dir_all(state(&node).join("runs").join(run)).unwrap();
        let refused = ends(&node, words, 1);
        assert!(refused.stderr.contains(&format!("runs/{run}: it is not there")), "{}", all(&refused));
        let history = ends(&node, &["history"], 0);
        assert!(history.stderr.contains(&format!("runs/{run}: it is not there")), "{}", all(&history));
    }
    // The only run: nothing else tells of it.
    let node = Node::new();
    apply(&node, &[]);
    fs::remove_dir_all(state(&node).join("runs/0001")).unwrap();
    for words in [&["rollback"][..], &["uninstall"], &["apply", "--set", "audit_log_maxage=41"], &["plan"]] {
        let refused = ends(&node, words, 1);
        assert!(refused.stderr.contains("runs/0001: it is not there"), "{words:?}: {}", all(&refused));
    }
}

#[test]
fn what_has_no_business_among_the_runs_is_named_and_so_is_an_empty_directory() {
    let node = Node::new();
    apply(&node, &[]);
    let runs = state(&node).join("runs");
    fs::create_dir(runs.join("0007")).unwrap();
    for words in [&["apply"][..], &["plan"], &["rollback"], &["uninstall"]] {
        let refused = ends(&node, words, 1);
        assert!(refused.stderr.contains("runs/0007/journal.json: it is not there"), "{}", all(&refused));
    }
    assert!(runs.join("0007").exists());
    fs::remove_dir(runs.join("0007")).unwrap();
    ends(&node, &["rollback"], 0);
    fs::write(runs.join("notes"), "").unwrap();
    symlink("0001", runs.join("0009")).unwrap();
    let refused = ends(&node, &["uninstall"], 1);
    assert!(
        refused.stderr.contains("runs/notes: it is no run of k3s-harden")
            && refused.stderr.contains("runs/0009: it is a symlink"),
        "{}",
        all(&refused)
    );
}

#[test]
fn damage_in_an_older_run_stops_no_apply_and_nothing_of_it_is_removed() {
    let node = Node::new().file(SYSCTL, "first\n");
    apply(&node, &["--set", "history_runs=1"]);
    apply(&node, &["--set", "audit_log_maxage=41"]);
    fs::write(state(&node).join("runs/0001/journal.json"), "{").unwrap();
    for age in ["audit_log_maxage=42", "audit_log_maxage=43"] {
        let output = ends(&node, &["apply", "--set", age], 0);
        assert!(
            output
                .stderr
                .contains("the history is damaged: ROOT/var/lib/k3s-harden/runs/0001/journal.json: "),
            "{}",
            all(&output)
        );
    }
    assert!(backup(&node, "0001", "first\n").exists());
    // A newer version's run is no damage, and stops as well. Nothing is changed.
    let newest = state(&node).join("runs/0004/journal.json");
    let written = fs::read_to_string(&newest).unwrap();
    let tool = format!("\"tool\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(written.contains(&tool), "{written}");
    for format in ["1.2", "2.0"] {
        let text = written
            .replace("\"format_version\": \"1.1\"", &format!("\"format_version\": \"{format}\""))
            .replace(&tool, "\"tool\": \"7.8.9\"")
            .replace("\"previous\"", "\"what_is_new\": {}, \"previous\"");
        fs::write(&newest, &text).unwrap();
        // Verbs that only read say it, and go on with what older runs recorded.
        let words: [(&[&str], i32); 9] = [
            (&["apply"], 1),
            (&["apply", "--no-preflight", "--set", "audit_log_maxage=44"], 1),
            (&["plan"], 1),
            (&["rollback"], 1),
            (&["rollback", "2", "--skip-damaged", "--force"], 1),
            (&["uninstall"], 1),
            (&["uninstall", "--skip-damaged", "--force"], 1),
            (&["history"], 0),
            (&["verify"], 0),
        ];
        let before = node.fingerprint();
        for (verb, code) in words {
            let refused = ends(&node, verb, code);
            let said = format!(
                "runs/0004/journal.json: k3s-harden 7.8.9 wrote it, in format {format}: use that version or a newer one; \
                 this one reads 1.0 and 1.1"
            );
            assert!(refused.stderr.contains(&said), "{verb:?}: {}", all(&refused));
            // It is no damage, and nobody is led to give up the way back.
            let newer = refused.stderr.lines().filter(|line| !line.contains("runs/0001/"));
            let newer = newer.collect::<Vec<_>>().join("\n");
            for misleading in ["damaged", "by hand", "move "] {
                assert!(!newer.contains(misleading), "{verb:?}: {}", all(&refused));
            }
            if code == 1 {
                let hint = "install the version named above and run it here; do not change ROOT/var/lib/k3s-harden: rollbacks need it";
                assert!(refused.stderr.contains(hint), "{verb:?}: {}", all(&refused));
            }
            assert_eq!(node.fingerprint(), before, "{verb:?}");
        }
        assert_eq!(fs::read_to_string(&newest).unwrap(), text);
    }
}

#[test]
fn verbs_that_read_go_on_beside_damage_where_version_and_role_are_told() {
    let node = Node::new();
    apply(&node, &[]);
    fs::write(state(&node).join("runs/0001/journal.json"), "{").unwrap();
    for verb in [
        &["verify"][..],
        &["preflight"],
        &["effective-config"],
        &["explain", "1.2.16"],
        &["render", "--as", "shell"],
    ] {
        let output = node.run(&[verb, &SERVER].concat());
        assert!([0, 2, 3].contains(&output.code), "{verb:?}: {}", all(&output));
        assert!(output.stderr.contains("the history is damaged: "), "{verb:?}: {}", all(&output));
    }
    let refused = ends(&node, &["verify"], 1);
    assert!(refused.stderr.contains("--k3s-version and --role"), "{}", all(&refused));
}

#[test]
fn files_of_ours_that_no_history_tells_of_are_named() {
    let node = Node::new();
    apply(&node, &[]);
    fs::remove_dir_all(state(&node)).unwrap();
    fs::create_dir_all(state(&node).join("runs")).unwrap();
    let output = ends(&node, &["uninstall"], 1);
    assert!(
        output.stderr.contains("90-k3s-harden.yaml") && output.stderr.contains("by hand"),
        "{}",
        all(&output)
    );
}

/// Moves what is at one path of the state directory to another.
fn mv(node: &Node, from: &str, to: &str) {
    fs::rename(state(node).join(from), state(node).join(to)).unwrap();
}

#[test]
fn runs_that_were_moved_away_are_missed_and_nothing_is_removed() {
    let moves: [(&[(&str, &str)], &str); 3] = [
        (&[("runs", "runs.bak")], "runs.bak"),
        (&[("runs/0001", "0001"), ("runs/newest.0001", "newest.0001")], "0001"),
        // Release 0.1.0 has no mark.
        (&[("runs/newest.0001", "newest.0001"), ("runs/0001", "0001.bak")], "0001.bak"),
    ];
    for (moves, found) in moves {
        let node = Node::new().file(SYSCTL, "first\n");
        apply(&node, &[]);
        moves.iter().for_each(|(from, to)| mv(&node, from, to));
        let before = node.fingerprint();
        for words in [
            &["rollback"][..],
            &["uninstall"],
            &["apply", "--set", "audit_log_maxage=44"],
            &["apply", "--no-history", "--set", "audit_log_maxage=44"],
            &["plan"],
        ] {
            let refused = ends(&node, words, 1);
            assert!(
                refused.stderr.contains(&format!("k3s-harden/{found} may be the history")),
                "{words:?}: {}",
                all(&refused)
            );
            assert_eq!(node.fingerprint(), before, "{words:?}");
        }
        if !state(&node).join("runs").exists() {
            mv(&node, found, "runs");
            ends(&node, &["uninstall"], 0);
            assert_eq!(node.read(SYSCTL), "first\n");
        }
    }
}

#[test]
fn files_of_ours_beside_a_state_directory_without_runs_stop_what_would_undo() {
    let node = Node::new();
    apply(&node, &[]);
    fs::remove_dir_all(state(&node).join("runs")).unwrap();
    fs::write(state(&node).join("runs.tgz"), "packed").unwrap();
    for words in [&["rollback"][..], &["uninstall"]] {
        let refused = ends(&node, words, 1);
        assert!(
            refused.stderr.contains("runs.tgz is the history, move it back"),
            "{words:?}: {}",
            all(&refused)
        );
    }
    let words = [&["apply", "--no-history", "--set", "audit_log_maxage=44"], &SERVER[..]].concat();
    let refused = ends(&node, &words, 1);
    assert!(refused.stderr.contains("runs.tgz may be their history"), "{}", all(&refused));
    assert_eq!(fs::read(state(&node).join("runs.tgz")).unwrap(), b"packed");
}

#[test]
fn a_symlink_or_a_file_where_the_runs_belong_stops_before_anything_is_asked_for() {
    for is_link in [true, false] {
        let node = Node::new();
        apply(&node, &[]);
        let runs = state(&node).join("runs");
        mv(&node, "runs", "elsewhere");
        let what = if is_link {
            symlink("elsewhere", &runs).unwrap();
            "runs: it is a symlink"
        } else {
            fs::write(&runs, "").unwrap();
            "runs: it is no directory"
        };
        for words in [&["plan"][..], &["apply"], &["rollback"], &["uninstall"]] {
            let refused = ends(&node, words, 1);
            assert!(refused.stderr.contains(what), "{words:?}: {}", all(&refused));
        }
        assert!(state(&node).join("elsewhere/0001/journal.json").exists());
    }
}

#[test]
fn somebodys_files_in_the_directory_of_a_run_are_not_removed() {
    let node = Node::new();
    apply(&node, &["--set", "history_runs=1"]);
    let precious = state(&node).join("runs/0001/server/db");
    fs::create_dir_all(&precious).unwrap();
    for age in ["audit_log_maxage=41", "audit_log_maxage=42"] {
        apply(&node, &["--set", age]);
    }
    let refused = ends(&node, &["uninstall"], 1);
    assert!(refused.stderr.contains("runs/0001/server: k3s-harden did not write it"), "{}", all(&refused));
    assert!(precious.exists());
    fs::remove_dir_all(state(&node).join("runs/0001/server")).unwrap();
    // The first runs are united by now, and a name of theirs is somebody's all the same.
    for name in ["runs/0000", "runs/0002.mine"] {
        fs::create_dir(state(&node).join(name)).unwrap();
        ends(&node, &["uninstall"], 1);
        fs::remove_dir(state(&node).join(name)).unwrap();
    }
    ends(&node, &["uninstall"], 0);
    assert!(!state(&node).exists());
}

#[test]
fn an_edit_of_a_file_of_ours_that_a_killed_run_has_beside_it_stays() {
    let node = Node::new();
    apply(&node, &[]);
    let ours = node.read(AUDIT);
    let folder = node.path().join(AUDIT).parent().unwrap().to_path_buf();
    let (edit, known) = (folder.join(".audit.yaml.kwIc8Kl3.swap"), folder.join(".audit.yaml.aB345678.swap"));
    fs::write(&edit, format!("{ours}# mine\n")).unwrap();
    fs::write(&known, &ours).unwrap();
    let output = ends(&node, &["uninstall"], 4);
    assert!(edit.exists() && !known.exists());
    assert!(!output.stdout.contains("restored to the state before the first run"), "{}", all(&output));
    assert!(
        output.stderr.contains(".audit.yaml.kwIc8Kl3.swap: kept: another program saved it"),
        "{}",
        all(&output)
    );
    assert_eq!(output.stderr.matches("is kept: another program saved it").count(), 1, "{}", all(&output));
}

#[test]
fn an_uninstall_names_the_files_of_ours_that_the_history_did_not_tell_of() {
    let node = Node::new();
    apply(&node, &[]);
    fs::remove_dir_all(state(&node)).unwrap();
    apply(&node, &["--set", "audit_log_maxage=77"]);
    let output = ends(&node, &["uninstall"], 4);
    assert!(!output.stdout.contains("restored to the state before the first run"), "{}", all(&output));
    assert!(output.stderr.contains(&format!("\n  /{AUDIT}: k3s-harden wrote it")), "{}", all(&output));
}

/// A node on which the first run says that it was killed before it ended.
fn with_a_killed_run() -> Node {
    let node = Node::new().file(SYSCTL, "first\n");
    apply(&node, &[]);
    let journal = state(&node).join("runs/0001/journal.json");
    let mut record = of_0_1_0(&fs::read_to_string(&journal).unwrap());
    record["state"] = "begun".into();
    fs::write(&journal, serde_json::to_vec_pretty(&record).unwrap()).unwrap();
    node
}

#[test]
fn force_restores_in_one_step_what_was_edited_after_a_kill() {
    for verb in ["rollback", "uninstall"] {
        let edited = || {
            let node = with_a_killed_run();
            fs::write(node.path().join(SYSCTL), "edited\n").unwrap();
            node
        };
        let node = edited();
        let output = ends(&node, &[verb, "--force"], 0);
        assert_eq!(node.read(SYSCTL), "first\n");
        assert!(!output.stderr.contains("help:"), "{}", all(&output));
        if verb == "rollback" {
            let node = edited();
            let output = ends(&node, &[verb], 4);
            assert_eq!(node.read(SYSCTL), "edited\n");
            assert!(
                output.stderr.contains("to restore it: `k3s-harden rollback 1 --force --root "),
                "{}",
                all(&output)
            );
            assert!(output.stdout.contains("except for the paths listed below"), "{}", all(&output));
            ends(&node, &["rollback", "1", "--force"], 0);
            assert_eq!(node.read(SYSCTL), "first\n");
            assert!(ends(&node, &["history"], 0).stdout.contains("undone"));
        }
    }
}

#[test]
fn what_is_damaged_after_a_kill_is_not_promised_and_not_called_undone() {
    for verb in ["rollback", "uninstall"] {
        let node = with_a_killed_run();
        let after = node.read(AUDIT);
        assert!(!after.is_empty());
        // The last change was not made, so that the run is undone.
        fs::remove_file(node.path().join(AUDIT)).unwrap();
        fs::remove_file(backup(&node, "0001", "first\n")).unwrap();
        let output = ends(&node, &[verb, "--skip-damaged"], 4);
        assert!(!output.stderr.contains("to restore it"), "{}", all(&output));
        assert!(!output.stdout.contains("the state before"), "{}", all(&output));
        let (_, error) = output.stderr.split_once("error:").unwrap();
        assert_eq!(error.matches(&format!("/{SYSCTL}: ")).count(), 1, "{}", all(&output));
        let history = ends(&node, &["history"], 0);
        assert!(
            history.stdout.contains(&format!("partly rolled back, all but /{SYSCTL}")),
            "{}",
            all(&history)
        );
    }
}

#[test]
#[ignore = "needs root"]
fn who_may_not_read_the_history_is_told_so() {
    let node = Node::new();
    apply(&node, &[]);
    // Nothing but the history is there that only root may read.
    for path in ["etc", "var/lib/rancher"] {
        fs::remove_dir_all(node.path().join(path)).unwrap();
    }
    fs::set_permissions(node.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let run = |words: &[&str]| {
        let mut command = crate::support::tools::command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(env!("CARGO_BIN_EXE_k3s-harden")).arg("--root").arg(node.path()).args(words);
        crate::support::run::Run::by(&mut command)
    };
    run(&["verify"]).expect(77).says("Permission denied");
    let told = run(&["verify", "--k3s-version", "1.33", "--role", "server"]);
    assert!(matches!(told.code, Some(0 | 2)), "{told:?}");
    told.says("the options of earlier runs are unknown");
}
