//! K3s' data directory: K3s' own configuration has precedence over `--data-dir`.

use super::usage::usage_error;
use crate::document::ExistingConfig;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::{DEFAULT_CONFIG, DEFAULT_DATA_DIR, service_data_dir};
use crate::node::{Root, RootedPath};

/// Returns the data directory. `named` is what the user or an earlier run named; it is an error if K3s' service or
/// configuration names another one.
pub(super) fn find(
    root: &Root,
    named: Option<&str>,
    existing: &ExistingConfig,
    warnings: &mut Vec<String>,
) -> Result<RootedPath> {
    let named: Option<RootedPath> = named
        .map(|text| {
            text.parse().map_err(|error: Error| {
                usage_error(format!("--data-dir: {error}")).hint("write it from the root on")
            })
        })
        .transpose()?;
    match (named, configured(root, existing)?) {
        (Some(named), Some((own, place))) if named != own => {
            let message = format!("--data-dir is {named}, and K3s' own data-dir is {own}");
            Err(Error::new(ErrorKind::BadInput, message)
                .at(place)
                .hint("leave --data-dir out: K3s' configuration decides"))
        }
        (_, Some((own, _))) => Ok(own),
        (Some(named), None) => {
            if named.as_str() != DEFAULT_DATA_DIR {
                warnings.push(format!("nothing tells K3s that its data directory is {named}: write data-dir: {named} into {DEFAULT_CONFIG}"));
            }
            Ok(named)
        }
        (None, None) => Ok(RootedPath::fixed(DEFAULT_DATA_DIR)),
    }
}

/// Returns the data directory of the node as it is configured.
pub(super) fn of_node(root: &Root, existing: &ExistingConfig) -> Result<RootedPath> {
    find(root, None, existing, &mut Vec::new())
}

/// Returns the data directory that K3s' service or its configuration files set.
fn configured(root: &Root, existing: &ExistingConfig) -> Result<Option<(RootedPath, Place)>> {
    let by_service = service_data_dir(root)?.map(|(text, origin)| (text, origin.place()));
    let by_files = || existing.value("data-dir").map(|item| (item.text.clone(), item.place.clone()));
    let found = by_service.filter(|(text, _)| !text.is_empty()).or_else(by_files);
    let Some((text, place)) = found else { return Ok(None) };
    // As Go's filepath.Join cleans it.
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let clean = if text.starts_with('/') { format!("/{}", parts.join("/")) } else { text };
    let path = clean.parse::<RootedPath>().map_err(|error| error.at(place.clone()))?;
    Ok(Some((path, place)))
}
