// SPDX-License-Identifier: Apache-2.0
//! SELinux: files that we make on a running node get the label of its policy.
//!
//! A file that is replaced keeps its label (see `attributes`). A new one gets that of its directory, which is
//! not always what the policy says, and only the policy's own tool knows that.

use super::path::RootedPath;
use super::program;
use super::root::Root;

const RESTORECON: &str = "restorecon";
const CONFIG: &str = "/etc/selinux/config";

/// Sets the labels of the node's policy on new files and directories. Returns what the user has to do if that is
/// not possible; nothing on a node without SELinux.
#[must_use]
pub fn label_new(root: &Root, paths: &[RootedPath]) -> Option<String> {
    if paths.is_empty() {
        return None;
    }
    if !root.is_live() {
        return is_enabled_in(root).then(|| {
            format!("the image uses SELinux, but its policy is not loaded here: new files have no labels. To label them at the first boot: touch {}", root.display(&RootedPath::fixed("/.autorelabel")))
        });
    }
    // The file is there where SELinux is on, whether it enforces its policy or not.
    if !root.exists(&RootedPath::fixed("/sys/fs/selinux/enforce")) {
        return None;
    }
    let by_hand = || {
        let paths: Vec<&str> = paths.iter().map(RootedPath::as_str).collect();
        format!("restorecon {}", paths.join(" "))
    };
    let Some(program) = program::find(RESTORECON) else {
        return Some(format!(
            "SELinux is enabled, but restorecon is not installed; run it later: {}",
            by_hand()
        ));
    };
    let failed = program::run(&program, paths.iter().map(RootedPath::as_str)).err()?;
    Some(format!("new files may have the wrong SELinux label: {failed}; run it again: {}", by_hand()))
}

/// Tells whether an image will run with SELinux.
fn is_enabled_in(root: &Root) -> bool {
    let text = root.read(&RootedPath::fixed(CONFIG)).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .any(|line| matches!(line.trim(), "SELINUX=enforcing" | "SELINUX=permissive"))
}
