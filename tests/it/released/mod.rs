// SPDX-License-Identifier: Apache-2.0
//! Nodes that an earlier release hardened: this version reads them, changes nothing on them but what the table of
//! changes names, and takes them back to the byte.
//!
//! ```text
//! released/cases/<case>/steps      written by hand: what a release is told, a line a run
//! released/cases/<case>/before/    … and the node before (none: empty); its modes are in `modes` where they are
//!                                  not 0755 and 0644, and its symlinks
//! released/cases/<case>/told/      … and files that are not on the node, and not there any more later
//! released/<version>/<case>/after  the node after the steps, with the state directory; modes in `after.modes`
//! released/<version>/<case>/then   the node without it after the release's own `rollback`, or, where its last run was
//!                                  killed, after the same run once more; modes in `then.modes`
//! released/<version>/<case>/plans  plans that the release saved
//! ```
//!
//! Everything below `<version>` is written by that release, and never by hand:
//! `K3S_HARDEN_RELEASED=<its binary> cargo test --test it released` (strace is needed). In a step, `killed N` in front
//! kills the run when it calls renameat for the Nth time, `TOLD` is the case's directory `told`, and `PLANS` is
//! where plans go: `before.json` is of the node before the first step, `after.json` of the node after the last. In
//! journals and plans the owner is written OWNER, every time is the same, and TOLD is /srv/told.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

mod make;
mod table;
mod tree;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Node, Output, owner, walk};
use table::{assert_changed, assert_shown, update};
use tree::{Tree, assert_same, lay, tree};

const STATE: &str = "var/lib/k3s-harden";
const TOLD: &str = "/srv/told";
const THIS_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a release left of a case.
#[derive(Debug)]
struct Case {
    version: String,
    name: String,
    steps: Vec<Vec<String>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released")
}

/// Every case of every release; made anew first where a release's binary is named.
fn cases() -> Vec<Case> {
    static MADE: std::sync::Once = std::sync::Once::new();
    MADE.call_once(|| {
        if let Some(binary) = std::env::var_os("K3S_HARDEN_RELEASED") {
            make::make(Path::new(&binary));
        }
    });
    let mut cases = Vec::new();
    for version in
        names(&folder()).into_iter().filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
    {
        for name in names(&folder().join(&version)) {
            cases.push(Case { version: version.clone(), steps: steps(&name), name });
        }
    }
    assert!(cases.len() >= 15, "there are only {} cases", cases.len());
    cases
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

fn steps(case: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder().join("cases").join(case).join("steps")).unwrap();
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

impl Case {
    fn folder(&self) -> PathBuf {
        folder().join(&self.version).join(&self.name)
    }

    /// The node before the release changed it.
    fn before(&self) -> Node {
        before(&self.name)
    }

    /// The node as the release left it.
    fn after(&self) -> Node {
        let node = lay(&self.folder().join("after"), &self.folder().join("after.modes"));
        for (path, _) in walk(node.path()).iter().filter(|(path, _)| is_journal(path)) {
            fill_in(&node.path().join(path));
        }
        node
    }

    /// What the release itself made of it.
    fn then(&self) -> Tree {
        tree(&lay(&self.folder().join("then"), &self.folder().join("then.modes")))
    }

    fn has_history(&self) -> bool {
        self.folder().join("after").join(STATE).exists()
    }

    fn was_killed(&self) -> bool {
        self.steps.last().unwrap()[0] == "killed"
    }

    /// The last run, as it is told again.
    fn last(&self) -> Vec<String> {
        let last = self.steps.iter().rfind(|step| step[0] != "plan").unwrap();
        let words = if self.was_killed() { &last[2..] } else { last };
        words.iter().map(|word| word.replace("TOLD", TOLD)).collect()
    }

    fn plan(&self, name: &str) -> Option<(tempfile::TempDir, String)> {
        let saved = self.folder().join("plans").join(name);
        if !saved.exists() {
            return None;
        }
        let text = fs::read(saved).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fill_in(&path);
        Some((folder, path.to_str().unwrap().to_owned()))
    }
}

fn before(case: &str) -> Node {
    let case = folder().join("cases").join(case);
    lay(&case.join("before"), &case.join("modes"))
}

/// A journal, or one that a killed run was about to put in its place.
fn is_journal(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("journal.json"))
}

fn fill_in(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replace("\"OWNER\"", &format!("\"{}\"", owner()))).unwrap();
}

#[track_caller]
fn run(case: &Case, node: &Node, words: &[impl AsRef<str>], codes: &[i32]) -> Output {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let output = node.run(&words);
    assert!(
        codes.contains(&output.code),
        "{case:?} {words:?}: {}{}[exit {}]",
        output.stdout,
        output.stderr,
        output.code
    );
    output
}

fn json(case: &Case, node: &Node, words: &[&str], codes: &[i32]) -> serde_json::Value {
    let words: Vec<&str> = words.iter().copied().chain(["--format", "json"]).collect();
    serde_json::from_str(&run(case, node, &words, codes).stdout).unwrap()
}

/// A verb with what it has to be told again: everything where there is no history, and `--only` in any case.
fn words(case: &Case, verb: &str) -> Vec<String> {
    let last = case.last();
    let is_known = case.has_history() && !last.contains(&"--only".to_owned());
    let told = if is_known { Vec::new() } else { last[1..].to_vec() };
    let wanted = |word: &String| verb == "apply" || word != "--no-history";
    std::iter::once(verb.to_owned()).chain(told.into_iter().filter(wanted)).collect()
}

fn finished() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| !case.was_killed())
}

/// Nothing below would mean anything if the files said that this version wrote them.
#[test]
fn every_case_was_written_by_another_version() {
    for case in cases() {
        assert_ne!(case.version, THIS_VERSION);
        let texts: Vec<String> = walk(&case.folder().join("after"))
            .into_iter()
            .filter_map(|(path, _)| fs::read_to_string(case.folder().join("after").join(path)).ok())
            .collect();
        let header = format!("\n# Written by k3s-harden {} from profile ", case.version);
        assert!(texts.iter().any(|text| text.contains(&header)), "{case:?}");
        assert!(!texts.iter().any(|text| text.contains(THIS_VERSION)), "{case:?}");
    }
}

#[test]
fn only_what_the_table_of_changes_names_is_changed() {
    for case in finished() {
        let node = case.after();
        let planned = words(&case, "plan");
        let planned: Vec<&str> = planned.iter().map(String::as_str).collect();
        let in_detail = [&planned[..], &["--detailed-exitcode"]].concat();
        let named = case.named(&tree(&node));
        let text = run(&case, &node, &in_detail, &[if named.is_empty() { 0 } else { 2 }]).stdout;
        assert_shown(&case, &text, &json(&case, &node, &planned, &[0]), &named);
        update(&case, &node);
        let before = node.fingerprint();
        run(&case, &node, &in_detail, &[0]);
        assert_eq!(
            run(&case, &node, &words(&case, "apply"), &[0]).stdout,
            "Nothing to change.\n",
            "{case:?}"
        );
        if case.last()[0] == "apply" {
            // Told what the release was told.
            assert_eq!(run(&case, &node, &case.last(), &[0]).stdout, "Nothing to change.\n", "{case:?}");
        }
        assert!(node.fingerprint() == before, "{case:?}: something was written");
    }
}

#[test]
fn history_verify_and_preflight_read_it() {
    for case in finished() {
        let node = case.after();
        let before = node.fingerprint();
        let history = json(&case, &node, &["history"], &[0]);
        let runs = fs::read_dir(node.path().join(STATE).join("runs")).map_or(0, Iterator::count);
        assert_eq!(history["runs"].as_array().map_or(0, Vec::len), runs, "{case:?}");
        let verify = words(&case, "verify");
        let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
        let report = json(&case, &node, &verify, &[0, 2, 3]);
        assert!(report["summary"]["pass"].as_u64().unwrap() > 0, "{case:?}: {}", report["summary"]);
        let preflight = words(&case, "preflight");
        let preflight: Vec<&str> = preflight.iter().map(String::as_str).collect();
        let report = json(&case, &node, &preflight, &[0, 2, 3]);
        assert!(report.get("starts").is_some(), "{case:?}: {report}");
        assert!(node.fingerprint() == before, "{case:?}: something was written");
    }
}

#[test]
fn a_rollback_gives_what_the_release_itself_would_have_given() {
    for case in finished().filter(Case::has_history) {
        let node = case.after();
        run(&case, &node, &["rollback"], &[0]);
        assert_same(&case, &tree(&node), &case.then());
    }
}

#[test]
fn what_the_table_names_is_taken_back_to_the_byte() {
    for case in finished().filter(Case::has_history) {
        let node = case.after();
        // Where it names nothing, nothing is recorded, and the last run is the release's.
        let wanted = if update(&case, &node).is_empty() { case.then() } else { tree(&case.after()) };
        run(&case, &node, &["rollback"], &[0]);
        assert_same(&case, &tree(&node), &wanted);
        run(&case, &node, &["uninstall"], &[0]);
        assert_same(&case, &tree(&node), &tree(&case.before()));
    }
}

/// A row that changes no node here is wrong, or nobody has seen what it does.
#[test]
fn every_row_of_the_table_changes_a_node() {
    let mut rows = table::rows();
    for case in finished() {
        let named = case.named(&tree(&case.after()));
        rows.retain(|row| !named.values().flatten().any(|other| other == row));
    }
    assert!(rows.is_empty(), "no case of tests/released is about these: {rows:#?}");
}

#[test]
fn an_uninstall_gives_the_first_state() {
    for case in finished() {
        let updated = case.after();
        update(&case, &updated);
        for node in [case.after(), updated] {
            if case.has_history() {
                run(&case, &node, &["uninstall"], &[0]);
                assert!(!node.path().join(STATE).exists(), "{case:?}");
                assert_same(&case, &tree(&node), &tree(&case.before()));
            } else {
                let before = node.fingerprint();
                let refused = run(&case, &node, &["uninstall"], &[1]);
                assert!(refused.stderr.contains("90-k3s-harden.yaml"), "{case:?}: {}", refused.stderr);
                assert!(node.fingerprint() == before, "{case:?}: something was written");
            }
        }
    }
}

#[test]
fn a_killed_run_is_put_right() {
    let killed: Vec<Case> = cases().into_iter().filter(Case::was_killed).collect();
    assert!(killed.len() >= 4, "there are only {} cases", killed.len());
    for case in killed {
        let node = case.after();
        let says = run(&case, &node, &case.last(), &[0]).stderr;
        assert!(says.contains("was interrupted"), "{case:?}: {says}");
        // This version wrote what the run had left to do; `rollback` writes what was there before.
        let then = case.then();
        let is_apply = case.last()[0] == "apply";
        let named = if is_apply { case.named(&then) } else { table::Named::new() };
        assert_changed(&case, &then, &tree(&node), &named);
        if is_apply {
            let before = node.fingerprint();
            assert_eq!(run(&case, &node, &["apply"], &[0]).stdout, "Nothing to change.\n", "{case:?}");
            assert!(node.fingerprint() == before, "{case:?}: something was written");
        }
        run(&case, &node, &["uninstall"], &[0]);
        assert!(!node.path().join(STATE).exists(), "{case:?}");
        assert_same(&case, &tree(&node), &tree(&case.before()));
    }
}

#[test]
fn a_saved_plan_is_carried_out_to_the_byte_or_refused() {
    let mut plans = 0;
    for case in finished() {
        // What it would write names the version that planned it.
        if let Some((_folder, plan)) = case.plan("before.json") {
            plans += 1;
            for node in [case.before(), case.after()] {
                let before = node.fingerprint();
                assert_refused(&case, &run(&case, &node, &["apply", &plan], &[65]));
                assert!(node.fingerprint() == before, "{case:?}: something was written");
            }
        }
        if let Some((_folder, plan)) = case.plan("after.json") {
            plans += 1;
            let node = case.after();
            let before = node.fingerprint();
            if case.named(&tree(&node)).is_empty() {
                let said = run(&case, &node, &["apply", &plan], &[0]).stdout;
                assert_eq!(said, "Nothing to change.\n", "{case:?}");
            } else {
                assert_refused(&case, &run(&case, &node, &["apply", &plan], &[65]));
            }
            assert!(node.fingerprint() == before, "{case:?}: something was written");
        }
    }
    assert!(plans >= 6, "there are only {plans} plans");
}

#[track_caller]
fn assert_refused(case: &Case, output: &Output) {
    let says = format!("the plan was saved by k3s-harden {}", case.version);
    assert!(output.stderr.contains(&says), "{case:?}: {}", output.stderr);
    assert_eq!(output.stderr.matches("error: ").count(), 1, "{case:?}: {}", output.stderr);
}

fn released(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const POLICY: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";
const SYSCTL: &str = "etc/sysctl.d/90-kubelet.conf";
const AUDIT: &str = "var/lib/rancher/k3s/server/audit.yaml";

#[test]
fn another_profile_writes_only_what_means_something_else() {
    let case = released("server-1.33");
    let node = case.after();
    let named = update(&case, &node);
    let updated = tree(&node);
    let said = run(&case, &node, &["apply", "--profile", "cis,strict"], &[0]).stdout;
    assert!(said.contains(DROP_IN) && !said.contains(SYSCTL) && !said.contains(AUDIT), "{said}");
    let first = |path: &str| node.read(path).lines().nth(1).unwrap().to_owned();
    assert!(first(DROP_IN).contains(&format!("k3s-harden {THIS_VERSION} from profile cis-1.12 + strict,")));
    let version = if named.contains_key(Path::new(SYSCTL)) { THIS_VERSION } else { &case.version };
    assert!(first(SYSCTL).contains(&format!("k3s-harden {version} from profile cis-1.12,")));
    run(&case, &node, &["rollback"], &[0]);
    assert_same(&case, &tree(&node), &updated);
}

#[test]
fn a_mode_is_put_right_without_writing_the_file_and_can_be_undone() {
    let case = released("server-1.33");
    let node = case.after();
    update(&case, &node);
    let updated = tree(&node);
    let mode = |mode| fs::set_permissions(node.path().join(AUDIT), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o666);
    let said = run(&case, &node, &["apply"], &[0]).stdout;
    assert!(said.contains("\n1 changed in mode or owner.\n"), "{said}");
    assert_same(&case, &tree(&node), &updated);
    // What the run recorded is what is there, so nobody else has changed it.
    run(&case, &node, &["rollback"], &[0]);
    mode(0o600);
    assert_same(&case, &tree(&node), &updated);
}

#[test]
fn whoever_undoes_a_run_compares_bytes() {
    let case = released("server-1.33");
    let node = case.after();
    let edited = node.read(AUDIT) + "# Mine.\n";
    let node = node.file(AUDIT, &edited);
    if !update(&case, &node).is_empty() {
        run(&case, &node, &["rollback"], &[0]);
    }
    assert_eq!(node.read(AUDIT), edited);
    let says = run(&case, &node, &["rollback"], &[1]).stderr;
    assert!(says.contains("modified since k3s-harden wrote it") && says.contains("+# Mine."), "{says}");
    assert_eq!(node.read(AUDIT), edited);
    // A file of ours without its header gets it back.
    let bare: String = node.read(AUDIT).split_inclusive('\n').skip(3).collect();
    let node = node.file(AUDIT, bare);
    let applied = run(&case, &node, &["apply"], &[0]);
    assert!(applied.stderr.contains("was overwritten since"), "{}", applied.stderr);
    assert!(node.read(AUDIT).contains(&format!("# Written by k3s-harden {THIS_VERSION} ")));
}
