// SPDX-License-Identifier: Apache-2.0
//! The plugins for the credentials of images, where the kubelet's own arguments name them. K3s's keys are judged with its
//! other keys.

use super::Finding;
use crate::error::Result;
use crate::k3s::{NodeConfig, own_values};

const NAME: &str = "kubelet";
const CONFIG: &str = "image-credential-provider-config";
const FOLDER: &str = "image-credential-provider-bin-dir";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let place = node.place_of(NAME, CONFIG).or_else(|| node.place_of(NAME, FOLDER));
    let Some(place) = place.filter(|_| node.runs(NAME)) else { return Ok(Vec::new()) };
    let settings = node.settings(NAME);
    let (config, folder) =
        (settings.text(CONFIG).unwrap_or_default(), settings.text(FOLDER).unwrap_or_default());
    if config.is_empty() && folder.is_empty() {
        return Ok(Vec::new());
    }
    let Some(reason) = own_values::refused_credential_providers(node, &config, &folder)? else {
        return Ok(Vec::new());
    };
    let message = format!("the kubelet refuses {CONFIG} {config:?} with {FOLDER} {folder:?}: {reason}");
    let remedy = "name a CredentialProviderConfig and the folder of its plugins, or remove both arguments";
    let finding = Finding::stops("argument-refused", message, remedy).at(place);
    Ok(vec![finding.says(format!("Failed to register CRI auth plugins: {reason}"))])
}
