// SPDX-License-Identifier: Apache-2.0
//! Where k3s-harden is on the node: what units that run it name.

use super::args::RenderArguments;
use super::usage::usage_error;
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, host};
use crate::render::ProgramPath;

/// Folders in which users write, or that a boot empties.
const UNSAFE_FOLDERS: [&str; 7] = ["/home", "/var/home", "/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"];
const HINT: &str =
    "install k3s-harden in /usr/local/bin, and pass that path: --binary /usr/local/bin/k3s-harden";

/// Returns the path that `--binary` names, or else that of the running program; none for a format that names no program.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if no unit can name it.
pub(super) fn choose(arguments: &RenderArguments) -> Result<Option<ProgramPath>> {
    if !arguments.render_format.runs_program() {
        return Ok(None);
    }
    match arguments.binary.clone().or_else(host::running_program) {
        Some(path) => ProgramPath::parse(&path).map(Some),
        None => Err(usage_error("the running program has no path: it was removed, or /proc is missing")
            .hint(ProgramPath::HINT)),
    }
}

/// Returns a warning if others than root could replace what the units run as root. What is not on this root, or cannot
/// be looked at, cannot be told.
pub(super) fn warnings(root: &Root, program: &ProgramPath, owner: Owner) -> Vec<String> {
    let path = program.as_str();
    let below = |folder: &&&str| path.strip_prefix(**folder).is_some_and(|rest| rest.starts_with('/'));
    if let Some(folder) = UNSAFE_FOLDERS.iter().find(below) {
        return vec![format!(
            "the unit would run {path} as root, but users other than root can write to {folder}, or a reboot empties it: {HINT}"
        )];
    }
    let found = writable(root, path, owner).into_iter();
    found
        .map(|(place, why)| {
            let place = root.display(&place);
            format!(
                "the unit would run {path} as root, but users other than root can replace it: {place} {why}; {HINT}"
            )
        })
        .collect()
}

/// Returns the first directory on the way to a program, or the program, that others than root can write to, and why.
fn writable(root: &Root, path: &str, owner: Owner) -> Option<(RootedPath, String)> {
    let named = RootedPath::listed(path).ok()?;
    let real = root.real_path(&named).ok()?;
    let folders = ways(&named).into_iter().chain(ways(&real));
    let states = folders
        .filter_map(|folder| Some((root.look_directory(&folder).ok()?, folder)))
        .chain(root.look_without_attributes(&real).ok().map(|state| (state, real.clone())));
    states.into_iter().find_map(|(state, place)| {
        let (mode, has) = match state {
            PathState::Directory { mode, owner, .. }
            | PathState::File { mode, owner, .. }
            | PathState::Large { mode, owner } => (mode, owner),
            PathState::Absent | PathState::Symlink { .. } | PathState::Other => return None,
        };
        let why = match mode.bits() {
            _ if has.uid != Owner::ROOT.uid && has.uid != owner.uid => {
                format!("belongs to the user {}", has.uid)
            }
            bits if bits & 0o002 != 0 => format!("has the mode {mode}"),
            bits if bits & 0o020 != 0 && has.gid != Owner::ROOT.gid && has.gid != owner.gid => {
                format!("has the mode {mode} and belongs to the group {}", has.gid)
            }
            _ => return None,
        };
        Some((place, why))
    })
}

/// Returns the directories above a path.
fn ways(path: &RootedPath) -> Vec<RootedPath> {
    std::iter::successors(path.parent(), RootedPath::parent).collect()
}
