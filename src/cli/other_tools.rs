// SPDX-License-Identifier: Apache-2.0
//! Flags and verbs of other tools, such as `--dry-run` and `status`, and what to write instead.

/// A row: flags, the verbs for which it counts (none: every verb), and what to write instead.
type OtherFlags = (&'static [&'static str], &'static [&'static str], &'static str);

/// What people type who know kubectl, Helm, Ansible, Terraform or apt. The first row that fits counts.
const OTHERS: [OtherFlags; 14] = [
    (&["--dry-run", "--check", "--noop", "--simulate"], &["apply"], "preview the changes: `k3s-harden plan`"),
    (&["--dry-run", "--check", "--noop", "--simulate"], &["plan"], "leave it out: plan changes nothing"),
    (
        &["--dry-run", "--check", "--noop", "--simulate"],
        &["rollback", "uninstall"],
        "list the runs first: `k3s-harden history`. A rollback is a run that can be rolled back",
    ),
    (&["-y", "--yes", "--assume-yes", "--auto-approve"], &[], "leave it out: k3s-harden asks no questions"),
    (
        &["-o", "--output"],
        &["plan", "render", "generate"],
        "name a file: --out FILE; for JSON: --format json",
    ),
    (
        &["-o", "--output"],
        &["verify"],
        "choose a format: --format json, and redirect stdout to a file: > FILE",
    ),
    (&["-o", "--output"], &[], "choose a format: --format json"),
    (&["--json"], &[], "choose the format: --format json"),
    (&["--html"], &["verify", "report"], "choose the format: --format html"),
    (
        &["-f", "--force", "--overwrite"],
        &["plan", "apply"],
        "replace existing files: --on-foreign replace; override conflicting configuration: --on-conflict ours",
    ),
    (&["--debug", "--trace"], &[], "show everything: -vv"),
    (&["-s", "--silent"], &[], "show errors only: --quiet"),
    (&["-c", "--config"], &[], "name a file with settings: --settings FILE"),
    (&["--chroot", "--rootfs", "--prefix", "--destdir"], &[], "name the root filesystem: --root DIR"),
];

/// What people type as a verb who know other tools, and what to write instead.
const OTHER_VERBS: [(&[&str], &str); 13] = [
    (
        &["status", "state", "check", "scan", "audit", "test", "assess", "report", "bench"],
        "check the node: `k3s-harden verify`",
    ),
    (&["diff", "preview", "dry-run", "show"], "preview the changes: `k3s-harden plan`"),
    (
        &["harden", "fix", "remediate", "run", "install", "enable", "up"],
        "harden the node: `k3s-harden apply`",
    ),
    (&["undo", "revert", "restore", "reset"], "undo the newest run: `k3s-harden rollback`"),
    (
        &["remove", "delete", "clean", "purge", "destroy", "down", "disable"],
        "undo all runs: `k3s-harden uninstall`",
    ),
    (&["log", "logs", "runs", "list"], "list previous runs: `k3s-harden history`"),
    (&["version"], "print the version: `k3s-harden --version`"),
    (&["config", "configuration"], "show the configuration of K3s: `k3s-harden effective-config`"),
    (&["validate", "lint", "precheck", "doctor"], "check that K3s will start: `k3s-harden preflight`"),
    (&["profiles"], "list the profiles: `k3s-harden profile list`"),
    (&["set", "setting"], "set a value: `k3s-harden apply --set NAME=VALUE`"),
    (
        &["template", "export", "generate-config", "cloud-init"],
        "write the files for another tool: `k3s-harden render --as FORMAT`",
    ),
    (&["completion", "completions", "man"], "generate them: `k3s-harden generate completions bash`"),
];

/// Returns what to write instead of a flag after one of the `verbs`.
pub(super) fn instead_of_flag(flag: &str, is_typed: impl Fn(&str) -> bool) -> Option<&'static str> {
    let fits = |(flags, verbs, _): &&OtherFlags| {
        flags.contains(&flag) && (verbs.is_empty() || verbs.iter().any(|verb| is_typed(verb)))
    };
    OTHERS.iter().find(fits).map(|(_, _, instead)| *instead)
}

/// Returns what to write instead of a verb.
pub(super) fn instead_of_verb(verb: &str) -> Option<&'static str> {
    OTHER_VERBS.iter().find(|(verbs, _)| verbs.contains(&verb)).map(|(_, instead)| *instead)
}
