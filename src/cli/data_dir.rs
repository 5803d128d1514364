// SPDX-License-Identifier: Apache-2.0
//! K3s's data directory: K3s's own configuration has precedence over `--data-dir`.

use super::usage::usage_error;
use crate::document::ExistingConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{ConfigFile, DEFAULT_DATA_DIR, DataDir, K3sStart};
use crate::node::RootedPath;

/// Returns the data directory. `named` is what the user or an earlier run named; it is an error if K3s's service or
/// configuration names another one. Where it is not known what they name, `own` is none, and `likely` is what they seem to.
pub(super) fn find(
    named: Option<&str>,
    own: Option<&DataDir>,
    likely: &RootedPath,
    config: &ConfigFile,
    warnings: &mut Vec<String>,
) -> Result<RootedPath> {
    let named: Option<RootedPath> = named
        .map(|text| {
            text.parse().map_err(|error: Error| {
                usage_error(format!("--data-dir: {error}")).hint("write an absolute path")
            })
        })
        .transpose()?;
    let Some(own) = own else { return Ok(named.unwrap_or_else(|| likely.clone())) };
    match (named, own.place()) {
        (Some(named), Some(place)) if named != own.path => {
            let message = format!("--data-dir is {named}, and K3s's own data-dir is {}", own.path);
            Err(Error::new(ErrorKind::BadInput, message)
                .at(place)
                .hint("remove --data-dir: the K3s configuration sets the data directory"))
        }
        (Some(named), None) => {
            if named.as_str() != DEFAULT_DATA_DIR {
                let file = config.path_or_default();
                warnings.push(format!(
                    "K3s does not use the data directory {named}: add data-dir: {named} to {file}"
                ));
            }
            Ok(named)
        }
        (_, _) => Ok(own.path.clone()),
    }
}

/// Returns the data directory that K3s uses in `role`. From a configuration that K3s cannot read, the last name of one
/// that can be read counts: what is there is not overlooked.
pub(super) fn of_start(start: &K3sStart, existing: &ExistingConfig) -> Result<DataDir> {
    match start.data_dir() {
        Err(error) if error.kind() == ErrorKind::BadInput => {
            let named = existing.value("data-dir").and_then(|item| {
                let path = RootedPath::fixed("/").resolve(&item.text).ok()?;
                Some(DataDir::written(path, &item.text, item.place.clone()))
            });
            named.map_or_else(|| Ok(DataDir::default()), Ok)
        }
        other => other,
    }
}
