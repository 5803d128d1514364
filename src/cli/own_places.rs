// SPDX-License-Identifier: Apache-2.0
//! Places of K3s that are those of k3s-harden too, and paths of a plan that lead to one another by symlinks.

use crate::apply::state_directory;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::{ConfigFile, DEFAULT_DATA_DIR, DataDir};
use crate::node::{PathState, Root, RootedPath};
use crate::plan::{Action, Change, CurrentState, Plan, Resource};

/// What is in the wrong place, and where it belongs.
type Misplaced = (&'static str, &'static str);

const DATA_DIRECTORY: Misplaced = ("K3s's data directory", DEFAULT_DATA_DIR);
const CONFIGURATION: Misplaced = ("K3s's configuration file", "/etc/rancher/k3s");
const PATH_OF_PLAN: Misplaced = ("a path of this plan", DEFAULT_DATA_DIR);

/// Returns why K3s's data directory, or its configuration file, is in the wrong place: at or below the directory of
/// k3s-harden, which an uninstall removes. The paths are looked at as they are written; `data_dir` is the one in force.
pub(super) fn inside_own(
    config: &ConfigFile,
    own_data_dir: &DataDir,
    data_dir: &RootedPath,
) -> Option<Error> {
    let own = state_directory();
    let is_inside = |path: &RootedPath| path.is_within(&own);
    if is_inside(data_dir) {
        let place = own_data_dir.place().filter(|_| own_data_dir.path == *data_dir);
        return Some(refusal(DATA_DIRECTORY, data_dir, data_dir, place));
    }
    let path = config.path.as_ref().filter(|path| is_inside(path))?;
    Some(refusal(CONFIGURATION, path, path, config.place()))
}

/// Refuses a plan whose paths lead into the directory of k3s-harden, or to one another, by symlinks; returns warnings about
/// directories elsewhere that get another mode.
pub(super) fn check(
    root: &Root,
    plan: &Plan,
    config: &RootedPath,
    data_dir: &RootedPath,
) -> Result<Vec<String>> {
    check_data_dir(root, data_dir)?;
    let own = root.real_path(&state_directory())?;
    let real = root.real_path(config)?;
    if real.is_within(&own) {
        return Err(refusal(CONFIGURATION, config, &real, None));
    }
    let mut places = Vec::new();
    for action in &plan.actions {
        let path = action.resource.path();
        let real = match &action.resource {
            Resource::Directory(_) => root.real_path(&path)?,
            // A symlink in the place of a file is replaced, not followed.
            Resource::File(_) => match path.parent() {
                Some(parent) => root.real_path(&parent)?.join(path.name()),
                None => continue,
            },
            Resource::Sysctl(_) | Resource::Permissions(_) => continue,
        };
        if real.is_within(&own) {
            return Err(refusal(PATH_OF_PLAN, &path, &real, None));
        }
        places.push((path, real));
    }
    let mut warnings = Vec::new();
    for action in plan.changes().filter(|action| action.change == Change::Metadata) {
        let Resource::Directory(directory) = &action.resource else { continue };
        let Some((_, real)) = places.iter().find(|(path, _)| *path == directory.path) else { continue };
        if *real == directory.path {
            continue;
        }
        let is_other = |(path, other): &&(RootedPath, RootedPath)| {
            !path.is_within(&directory.path) && other.is_within(real)
        };
        // A file says more than the directories above it.
        let met = places.iter().rfind(is_other).map(|(path, _)| path.clone());
        let met = met.or_else(|| own.is_within(real).then(state_directory));
        if let Some(met) = met {
            return Err(meeting(action, &directory.path, real, &met));
        }
        if let PathState::Symlink { .. } = root.look_without_attributes(&directory.path)? {
            warnings.push(format!("{}: {}", directory.path, mode_change(action, real)));
        }
    }
    Ok(warnings)
}

/// Refuses a data directory that leads into the directory of k3s-harden by symlinks.
pub(super) fn check_data_dir(root: &Root, data_dir: &RootedPath) -> Result<()> {
    let own = root.real_path(&state_directory())?;
    let real = root.real_path(data_dir)?;
    if real.is_within(&own) { Err(refusal(DATA_DIRECTORY, data_dir, &real, None)) } else { Ok(()) }
}

/// Returns the error for a path that is where k3s-harden has its own files.
fn refusal(
    (what, where_it_belongs): Misplaced,
    path: &RootedPath,
    real: &RootedPath,
    place: Option<Place>,
) -> Error {
    let own = state_directory();
    let leads = if path == real { String::new() } else { format!(", which resolves to {real}") };
    let message = format!(
        "{what} is {path}{leads}: it must not be inside {own}, because an uninstall removes this directory"
    );
    let error = Error::new(ErrorKind::BadInput, message);
    let error = match place {
        Some(place) => error.at(place),
        None => error,
    };
    error.hint(format!("move it out of {own}, for example to {where_it_belongs}, and set the new path"))
}

/// Returns the error for a directory that leads to one that holds another path of the plan.
fn meeting(action: &Action, path: &RootedPath, real: &RootedPath, met: &RootedPath) -> Error {
    let message = format!("{path}: {}, and {met} is there too", mode_change(action, real));
    Error::new(ErrorKind::BadInput, message).hint(format!(
        "make {path} a dedicated directory, or a symlink to a directory with nothing else in it"
    ))
}

fn mode_change(action: &Action, real: &RootedPath) -> String {
    let now = match &action.before {
        CurrentState::Path(PathState::Directory { mode, owner, .. }) => format!("{mode} {owner}"),
        _ => "unknown".to_owned(),
    };
    let Resource::Directory(directory) = &action.resource else { return String::new() };
    let (mode, owner) = (directory.metadata.mode, directory.metadata.owner);
    format!(
        "it is a symlink to {real}: the mode and owner of that directory would change from {now} to {mode} {owner}"
    )
}
