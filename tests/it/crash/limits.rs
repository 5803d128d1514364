// SPDX-License-Identifier: Apache-2.0
//! What ends a run from outside: limits of its session, and attributes of a directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::bed::{APPLY, Bed, FILES, OLDER, Run, lax, undisturbed};
use super::strace::{Call, calls};
use super::tree::{STATE, Tree};
use crate::support::{tools, turns};

/// Returns the hidden files and directories of k3s-harden below `root`.
fn leftovers(root: &Path) -> Vec<String> {
    let is_left = |path: &&String| {
        let name = path.rsplit('/').next().unwrap();
        name.starts_with('.')
            && (name.ends_with(".tmp") || name.contains(".coming") || name.contains(".leaving"))
    };
    Tree::of(root).0.keys().filter(is_left).cloned().collect()
}

#[test]
#[ignore = "needs root"]
fn a_limit_of_file_sizes_is_an_error_like_any_other() {
    let _busy = turns::busy();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    let mut failed = 0;
    // In blocks of 512 bytes.
    for blocks in 0..200 {
        let bed = Bed::of(&first);
        let words = bed.command(&APPLY);
        let script = format!("ulimit -f {blocks}; exec \"$@\"");
        let run = Run::by(Command::new("sh").args(["-c", &script, "sh"]).args(&words));
        let when = format!("{blocks} blocks: {run:?}");
        assert_eq!(run.signal, None, "{when}");
        if run.code == Some(0) {
            bed.is(&new, &when);
            break;
        }
        assert!(matches!(run.code, Some(1 | 73)) && run.stderr.contains("File too large"), "{when}");
        bed.is(&first, &when);
        assert_eq!(leftovers(&bed.root()), [""; 0], "{when}");
        failed += 1;
    }
    assert!((3..200).contains(&failed), "{failed} limits were too low");
}

#[test]
#[ignore = "needs root and strace"]
fn an_ignored_hangup_does_not_end_a_run() {
    let _busy = turns::busy();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    let bed = Bed::of(&first);
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat:signal=HUP:when=3"];
    let script = "trap '' HUP; exec \"$@\"";
    let run = Run::by(Command::new("sh").args(["-c", script, "sh"]).args(strace).args(bed.command(&APPLY)));
    assert_eq!((run.code, run.signal), (Some(0), None), "{run:?}");
    bed.is(&new, "under nohup");
}

/// Runs an apply in a directory on ext4, and makes a directory append-only at one of its calls.
fn append_only_during(bed: &Bed, call: &Call, folder: &Path) -> Run {
    let (name, occurrence) = (&call.name, call.occurrence);
    let strace = tools::command("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={name}")])
        .args(["-e", &format!("inject={name}:delay_enter=1500000:when={occurrence}")])
        .args(bed.command(&APPLY))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let has_temporary = || {
        let names = fs::read_dir(folder).unwrap().flatten();
        names.into_iter().any(|entry| entry.file_name().as_encoded_bytes().ends_with(b".tmp"))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !has_temporary() {
        assert!(std::time::Instant::now() < deadline, "no temporary file came to {}", folder.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    chattr("+a", folder);
    Run::of(strace.wait_with_output().unwrap())
}

fn chattr(change: &str, path: &Path) {
    Run::by(tools::command("chattr").arg(change).arg(path)).expect_when(0, change);
}

/// Takes the attributes away, so that the image can be removed.
struct Loosen<'a>(&'a Path);

impl Drop for Loosen<'_> {
    fn drop(&mut self) {
        Run::by(tools::command("chattr").args(["-R", "-f", "-i", "-a"]).arg(self.0));
    }
}

#[test]
#[ignore = "needs root and chattr"]
fn what_is_append_only_or_immutable_is_found_before_anything_is_made() {
    let _busy = turns::busy();
    let first = lax();
    let bed = Bed::of(&first);
    let root = bed.root();
    let _loosen = Loosen(&root);
    for (folder, attribute) in [
        ("var/lib/rancher/k3s/server", "a"),
        ("var/lib/rancher/k3s/server", "i"),
        ("var/lib", "a"),
        ("etc/rancher/k3s/config.yaml.d", "a"),
    ] {
        let path = root.join(folder);
        chattr(&format!("+{attribute}"), &path);
        let before = Tree::of(&root);
        let run = bed.run(&APPLY);
        assert_eq!(run.code, Some(77), "+{attribute} {folder}: {run:?}");
        assert!(run.stderr.contains(&format!("chattr -{attribute} {}", path.display())), "{run:?}");
        assert_eq!(Tree::of(&root).differs_from(&before), "", "+{attribute} {folder}");
        chattr(&format!("-{attribute}"), &path);
    }
    bed.run(&APPLY).expect(0);
    for folder in [STATE, "var/lib/k3s-harden/runs"] {
        let path = root.join(folder);
        chattr("+a", &path);
        let before = Tree::of(&root);
        bed.run(&OLDER).expect_when(77, folder);
        assert_eq!(Tree::of(&root).differs_from(&before), "", "+a {folder}");
        chattr("-a", &path);
    }
    bed.run(&OLDER).expect(0);
}

#[test]
#[ignore = "needs root, strace and chattr"]
fn a_temporary_file_that_could_not_be_removed_goes_with_the_next_run_and_with_uninstall() {
    let _busy = turns::busy();
    let first = lax();
    let new = undisturbed(&first, &APPLY).1;
    let is_placing = |call: &Call| call.name.starts_with("renameat") && call.line.contains("audit.yaml");
    let call =
        calls(&Bed::of(&first), &APPLY).into_iter().find(is_placing).expect("the audit policy gets its name");
    for next in [&APPLY[..], &["uninstall"]] {
        let bed = Bed::of(&first);
        let root = bed.root();
        let _loosen = Loosen(&root);
        let folder = root.join(FILES[2]).parent().unwrap().to_owned();
        let run = append_only_during(&bed, &call, &folder);
        assert_ne!(run.code, Some(0), "{run:?}");
        assert!(!leftovers(&root).is_empty(), "{run:?}");
        chattr("-a", &folder);
        // Names that are almost ours stay, and so does what another program may have saved as a run was killed.
        let others = [
            ".audit.yaml.tmp",
            ".audit.yaml.12345678.bak",
            ".audit.yaml.12345678.swap",
            ".other.yaml.12345678.tmp",
        ];
        others.iter().for_each(|name| fs::write(folder.join(name), "mine").unwrap());
        let run = bed.run(next);
        // The image has files that look like k3s-harden's from the start.
        let is_gone = run.has_no_history();
        // What may be somebody's stays, and an end of the history says so.
        let names_it = run.code == Some(4)
            && run.stderr.contains(".audit.yaml.12345678.swap: kept: another program saved");
        let is_told = if next == APPLY { run.code == Some(0) } else { is_gone || names_it };
        assert!(is_told, "{next:?}: {run:?}");
        for name in others {
            assert_eq!(fs::read(folder.join(name)).unwrap(), b"mine", "{name}");
            fs::remove_file(folder.join(name)).unwrap();
        }
        bed.is(if next == APPLY { &new } else { &first }, &format!("{next:?}"));
        assert_eq!(leftovers(&root), [""; 0], "{next:?}");
    }
}
