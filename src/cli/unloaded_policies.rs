// SPDX-License-Identifier: Apache-2.0
//! Warnings about policies of the user's in `server/admission.d` that the API server no longer loads, because ours go and with
//! them the entry of psa.yaml that names the directory.

use crate::document::ADMISSION_FOLDER;
use crate::error::Result;
use crate::kubernetes::static_manifests::ENDINGS;
use crate::node::{Root, RootedPath};
use crate::plan::{Action, Change, Plan};

/// Returns a warning for each file of the user's in the directory, if the plan removes the last of ours.
///
/// # Errors
/// If the directory cannot be read.
pub(super) fn warnings(root: &Root, plan: &Plan) -> Result<Vec<String>> {
    let folder_of = |action: &Action| {
        action.resource.path().parent().filter(|folder| folder.as_str().ends_with(ADMISSION_FOLDER))
    };
    let is_removed = |action: &&Action| action.change == Change::Remove;
    let Some(folder) = plan.actions.iter().filter(is_removed).find_map(folder_of) else {
        return Ok(Vec::new());
    };
    let ours: Vec<&Action> =
        plan.actions.iter().filter(|action| folder_of(action).as_ref() == Some(&folder)).collect();
    if ours.iter().any(|action| !is_removed(action)) {
        return Ok(Vec::new());
    }
    let is_users = |path: &RootedPath| {
        let ending = path.name().rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
            && !ours.iter().any(|action| action.resource.path() == *path)
    };
    let paths = root.names(&folder)?.into_iter().map(|name| folder.join(&name));
    Ok(paths
        .filter(is_users)
        .map(|path| {
            format!(
                "{path}: the API server no longer loads this file, because psa.yaml no longer refers to {folder}. Set the directory in your own admission configuration, or remove the file"
            )
        })
        .collect())
}
