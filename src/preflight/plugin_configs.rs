// SPDX-License-Identifier: Apache-2.0
//! The configurations of the admission plugins ResourceQuota and PodTolerationRestriction.

use super::Finding;
use super::apiserver::{dropped_field, refused};
use super::plugin_config::PluginConfig;
use crate::kubernetes::object::Refusal;
use crate::kubernetes::plugin_configs::{self, PluginConfigRefusal};
use crate::version::KubernetesMinor;

/// Checks the configuration of such a plugin; nothing for another plugin.
pub(super) fn check(plugin: &str, config: &PluginConfig, minor: KubernetesMinor) -> Vec<Finding> {
    if !plugin_configs::reads(plugin) {
        return Vec::new();
    }
    let result = match config.decoded() {
        Ok(Some(document)) => plugin_configs::read(&document, plugin, minor),
        Ok(None) => return Vec::new(),
        Err(fault) => Err(Refusal { reason: PluginConfigRefusal::Syntax, fault }),
    };
    match result {
        Ok(dropped) => {
            dropped.iter().map(|fault| dropped_field("plugin-config-field", &config.path, fault)).collect()
        }
        Err(refusal) => {
            let (code, remedy) = match refusal.reason {
                PluginConfigRefusal::Syntax => {
                    ("plugin-config-syntax", "write the configuration as Kubernetes reads it".to_owned())
                }
                PluginConfigRefusal::Version => ("plugin-config-version", version_remedy(plugin, minor)),
                PluginConfigRefusal::Field => (
                    "plugin-config-field",
                    "spell the field exactly as Kubernetes does, and set it once".to_owned(),
                ),
                PluginConfigRefusal::Value => {
                    ("plugin-config-value", "write a value that the message allows".to_owned())
                }
            };
            let says = format!("couldn't init admission plugin {plugin:?}: ");
            vec![refused(code, &config.path, &refusal.fault, &says, &remedy)]
        }
    }
}

fn version_remedy(plugin: &str, minor: KubernetesMinor) -> String {
    let first = plugin_configs::registered(plugin, minor).into_iter().next();
    first.map_or_else(String::new, |(version, kind)| format!("write apiVersion: {version} and kind: {kind}"))
}
