// SPDX-License-Identifier: Apache-2.0
//! The values of the fields of a component's configuration file, with the defaults of the rest, and where they stand.

use std::collections::BTreeMap;

use super::config_fields;
use super::config_settings;
use super::object::{self, Fault, ObjectFile, Position};
use super::settings::{ComponentSettings, TypedValue};
use crate::version::KubernetesMinor;

/// The kinds of configuration of the components that K3s gives an argument `config`, but for the kubelet, and whether the
/// component refuses fields that it does not know or that are there twice.
/// Source: loadConfig in cmd/kube-proxy/app and loadConfigFromFile in cmd/kube-scheduler/app/options of Kubernetes.
const COMPONENT_KINDS: [(&str, bool); 2] =
    [("KubeProxyConfiguration", false), ("KubeSchedulerConfiguration", true)];

/// The fields of a configuration file.
#[derive(Debug, Default)]
pub struct ComponentFields {
    settings: ComponentSettings,
    positions: BTreeMap<String, Position>,
}

impl ComponentFields {
    /// Reads the configuration file of kube-proxy or the scheduler as that component of a minor does. `flags` has the component's arguments, of which some
    /// count more than the file.
    ///
    /// # Errors
    /// Why the component cannot decode it.
    pub fn read(bytes: &[u8], minor: KubernetesMinor, flags: &ComponentSettings) -> Result<Self, Fault> {
        let file = ObjectFile::read(bytes)?;
        let (_, kind) = file.kind()?;
        file.expect(&COMPONENT_KINDS.map(|(kind, _)| config_fields::registered(kind, minor)).concat())?;
        let decoded = config_fields::decode_file(&file, minor)?;
        if COMPONENT_KINDS.contains(&(kind.as_str(), true)) {
            object::refuse_dropped(&decoded.unknown)?;
        }
        let settings = config_settings::settings(&decoded, &kind, flags);
        let positions = decoded.fields.into_iter().map(|(path, node)| (path, node.position)).collect();
        Ok(Self { settings, positions })
    }

    /// Returns the value of a field; none if nobody gives it and its default is not known.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&TypedValue> {
        self.settings.value(path)
    }

    /// Returns where a field stands; none if its default counts.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<Position> {
        self.positions.get(path).copied().filter(|_| self.settings.is_given(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, path: &str) -> Option<String> {
        let minor = KubernetesMinor::new(33);
        let read = ComponentFields::read(text.as_bytes(), minor, &ComponentSettings::default()).unwrap();
        read.value(path).map(TypedValue::text)
    }

    #[test]
    fn empty_fields_have_their_defaults() {
        const HEAD: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
        let local = Some("127.0.0.1:10249".to_owned());
        for text in ["", "metricsBindAddress: \"\"\n", "metricsBindAddress: null\n"] {
            assert_eq!(value(&format!("{HEAD}{text}"), "metricsBindAddress"), local, "{text}");
        }
        let open = "metricsBindAddress: 0.0.0.0\n";
        assert_eq!(value(&format!("{HEAD}{open}"), "metricsBindAddress").as_deref(), Some("0.0.0.0"));
        let merged = "bindAddress: 0.0.0.0\n<<: {metricsBindAddress: 0.0.0.0:10249}\n";
        assert_eq!(value(&format!("{HEAD}{merged}"), "metricsBindAddress").as_deref(), Some("0.0.0.0:10249"));
    }
}
