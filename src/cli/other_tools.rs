// SPDX-License-Identifier: Apache-2.0
//! Unknown flags: what to write instead, also of those of other tools, such as `--dry-run`.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::usage::usage_error;
use crate::error::Error;

/// A row: flags, the verbs for which it counts (none: every verb), and what to write instead.
type OtherFlags = (&'static [&'static str], &'static [&'static str], &'static str);

/// What people type who know kubectl, Helm, Ansible, Terraform or apt. The first row that fits counts.
const OTHERS: [OtherFlags; 14] = [
    (&["--dry-run", "--check", "--noop", "--simulate"], &["apply"], "preview the changes: k3s-harden plan"),
    (&["--dry-run", "--check", "--noop", "--simulate"], &["plan"], "leave it out: plan changes nothing"),
    (
        &["--dry-run", "--check", "--noop", "--simulate"],
        &["rollback", "uninstall"],
        "list the runs first: k3s-harden history. A rollback is a run that can be rolled back",
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

/// Returns the error that explains an unknown flag; none for any other mistake.
pub(super) fn explained(error: &clap::Error, arguments: &[OsString]) -> Option<Error> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = typed.split('=').next().filter(|flag| flag.starts_with('-'))?;
    let is_typed = |verb: &&str| arguments.iter().any(|word| word.to_str() == Some(verb));
    let fits = |(flags, verbs, _): &&OtherFlags| {
        flags.contains(&flag) && (verbs.is_empty() || verbs.iter().any(is_typed))
    };
    let unknown = usage_error(format!("unknown flag {flag}"));
    let similar = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(similar)) => Some(format!("did you mean {similar}?")),
        _ => None,
    };
    let instead = OTHERS.iter().find(fits).map(|(_, _, instead)| (*instead).to_owned());
    Some(unknown.hint(instead.or(similar).unwrap_or_else(|| "list the flags: add -h".to_owned())))
}
