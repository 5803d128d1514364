// SPDX-License-Identifier: Apache-2.0
//! Has a release write the data of these tests: see the top of released.rs.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Case, STATE, THIS_VERSION, TOLD, folder, is_journal, names, steps};
use crate::support::{Node, owner, walk};

const TIME: &str = "2026-11-25T09:00:00Z";

/// Has a release carry out the steps of every case, and writes down what comes of it.
pub(crate) fn make(binary: &Path) {
    let said = Command::new(binary).arg("--version").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let version = said.trim().strip_prefix("k3s-harden ").unwrap();
    assert_ne!(version, THIS_VERSION, "this is no release");
    fs::remove_dir_all(folder().join(version)).unwrap_or_default();
    for name in names(&folder().join("cases")) {
        let case = Case { version: version.to_owned(), steps: steps(&name), name };
        let release =
            Release { binary, told: folder().join("cases").join(&case.name).join("told"), case: &case };
        fs::create_dir_all(case.folder().join("plans")).unwrap();
        let node = case.before();
        for step in &case.steps {
            release.carry_out(&node, step);
        }
        release.keep(&node, "after", |_| true);
        if case.has_history() {
            let again = case.steps.last().unwrap().get(2..).filter(|_| case.was_killed());
            release.carry_out(&node, &again.map_or_else(|| vec!["rollback".to_owned()], <[String]>::to_vec));
            release.keep(&node, "then", |path| !path.starts_with(STATE));
        }
        // Only where there is one.
        fs::remove_dir(case.folder().join("plans")).unwrap_or_default();
    }
}

struct Release<'a> {
    binary: &'a Path,
    told: PathBuf,
    case: &'a Case,
}

impl Release<'_> {
    fn carry_out(&self, node: &Node, step: &[String]) {
        let (killed, words) = match step {
            [first, when, words @ ..] if first == "killed" => (Some(when), words),
            words => (None, words),
        };
        let mut command = Command::new(killed.map_or(self.binary, |_| Path::new("strace")));
        if let Some(when) = killed {
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat", "-e"]);
            command.arg(format!("inject=renameat:signal=SIGKILL:when={when}")).arg(self.binary);
        }
        let plans = self.case.folder().join("plans");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .arg("--root")
            .arg(node.path())
            .args(["--owner", &owner()]);
        for word in words {
            let word = word.replace("TOLD", self.told.to_str().unwrap());
            command.arg(word.replace("PLANS", plans.to_str().unwrap()));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), killed.is_none(), "{}: {step:?}: {said}", self.case.name);
        for plan in names(&plans) {
            self.rewrite(&plans.join(&plan));
            fs::set_permissions(plans.join(plan), fs::Permissions::from_mode(0o644)).unwrap();
        }
    }

    /// Writes a tree down in a form that git keeps.
    fn keep(&self, node: &Node, what: &str, kept: impl Fn(&Path) -> bool) {
        let mut modes = String::new();
        for (path, mode) in walk(node.path()).into_iter().filter(|(path, _)| kept(path)) {
            let (from, to) = (node.path().join(&path), self.case.folder().join(what).join(&path));
            if let Ok(target) = fs::read_link(&from) {
                writeln!(modes, "link {} -> {}", path.display(), target.display()).unwrap();
                continue;
            }
            writeln!(modes, "{mode} {}", path.display()).unwrap();
            if from.is_file() {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, &to).unwrap();
                fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
                if is_journal(&path) {
                    self.rewrite(&to);
                }
            }
        }
        fs::write(self.case.folder().join(format!("{what}.modes")), modes).unwrap();
    }

    /// Takes out what is of this machine.
    fn rewrite(&self, path: &Path) {
        let text = fs::read_to_string(path).unwrap();
        let text =
            text.replace(&format!("\"{}\"", owner()), "\"OWNER\"").replace(self.told.to_str().unwrap(), TOLD);
        let time = |line: &str| match line.split_once("\"time\": \"") {
            Some((before, _)) => format!("{before}\"time\": \"{TIME}\","),
            None => line.to_owned(),
        };
        fs::write(path, text.split('\n').map(time).collect::<Vec<_>>().join("\n")).unwrap();
    }
}
