// SPDX-License-Identifier: Apache-2.0
//! The configuration of the admission plugin ImagePolicyWebhook.

use super::apiserver::{ApiServer, NAME, in_file, refused};
use super::plugin_config::PluginConfig;
use super::{Finding, argument_files};
use crate::error::Result;
use crate::kubernetes::argument_files::FileContent;
use crate::kubernetes::image_policy::{self, FIELD, KUBECONFIG};

pub(super) const PLUGIN: &str = "ImagePolicyWebhook";
const CODE: &str = "image-policy-webhook-configuration";

/// Checks the configuration.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn check(server: &ApiServer<'_>, config: &PluginConfig) -> Result<Vec<Finding>> {
    let document = match &config.document {
        Ok(Some(document)) => document,
        // Another check reports that there is none.
        Ok(None) => return Ok(Vec::new()),
        Err(fault) => return Ok(vec![refused(CODE, &config.path, fault, &says(), "fix the YAML")]),
    };
    let kubeconfig = match image_policy::read(document) {
        Ok(kubeconfig) => kubeconfig,
        Err(fault) => {
            let remedy = "write the field as Kubernetes reads it";
            return Ok(vec![refused(CODE, &config.path, &fault, &says(), remedy)]);
        }
    };
    let place = in_file(&config.path, kubeconfig.position);
    if kubeconfig.value.is_empty() {
        let message = format!("{PLUGIN} has no {FIELD}.{KUBECONFIG}: it knows no server to ask");
        let finding = Finding::stops(CODE, message, format!("write {FIELD}.{KUBECONFIG}"));
        let text = "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable";
        return Ok(vec![finding.at(place).says(format!("{}{text}", says()))]);
    }
    let named = (KUBECONFIG, kubeconfig.value.as_str());
    let found = argument_files::content(server.node, NAME, named, FileContent::Kubeconfig)?;
    Ok(found.map(|finding| finding.at(place)).into_iter().collect())
}

fn says() -> String {
    format!("couldn't init admission plugin {PLUGIN:?}: ")
}
