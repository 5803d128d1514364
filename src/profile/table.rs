// SPDX-License-Identifier: Apache-2.0
//! How settings reach K3s: the rows of data/arguments.yaml.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Role;
use crate::embedded;

/// data/arguments.yaml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentTable {
    /// K3s's own keys.
    pub keys: Vec<KeyRow>,
    /// Arguments of the components.
    pub arguments: Vec<ArgumentRow>,
    /// Admission plugins.
    pub plugins: Vec<PluginRow>,
    /// Cipher suites that the benchmarks take for strong.
    pub strong_cipher_suites: Vec<String>,
    /// Cipher suites that an earlier version took for strong: they are read, and never written.
    pub once_strong_cipher_suites: Vec<String>,
    /// The settings that must all be true for a kernel parameter to be written, by the parameter.
    pub sysctl_settings: BTreeMap<String, Vec<String>>,
    /// Exempt namespaces by preset.
    pub exempt_namespaces: BTreeMap<String, Vec<String>>,
}

impl ArgumentTable {
    /// Returns the table.
    #[must_use]
    pub fn get() -> &'static Self {
        static TABLE: LazyLock<ArgumentTable> = LazyLock::new(|| embedded::table("arguments"));
        &TABLE
    }

    /// Tells whether the setting for cipher suites takes a name, now or in an earlier version.
    pub(crate) fn is_readable_cipher_suite(&self, name: &str) -> bool {
        self.is_strong_cipher_suite(name) || self.once_strong_cipher_suites.iter().any(|once| once == name)
    }

    /// Tells whether the benchmarks take a cipher suite for strong.
    #[must_use]
    pub fn is_strong_cipher_suite(&self, name: &str) -> bool {
        self.strong_cipher_suites.iter().any(|strong| strong == name)
    }
}

/// A key of K3s's own configuration; written unless its setting is null or false.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRow {
    /// The key.
    pub key: String,
    /// The setting that has its value.
    pub setting: String,
    /// The setting without which it is not written, because K3s does not read it then.
    #[serde(default)]
    pub needs: Option<String>,
    /// The controls that it implements.
    #[serde(default)]
    pub controls: Vec<String>,
    /// The only component that reads the key; none if K3s does.
    #[serde(default)]
    pub component: Option<String>,
    /// The roles that know the key: an agent exits on a key it does not know.
    pub roles: Vec<Role>,
}

/// An argument of a component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentRow {
    /// The component, such as kube-apiserver.
    pub component: String,
    /// The argument without dashes.
    pub name: String,
    /// Which value of the user's also satisfies its control.
    #[serde(default)]
    pub accepts: Accepts,
    /// What its value is.
    pub value: ValueOf,
    /// The document without which it is not written, and with which it always is.
    pub document: Option<String>,
    /// The arguments that the component does not take beside it.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// The controls that it implements.
    #[serde(default)]
    pub controls: Vec<String>,
}

/// Which value of the user's satisfies the control of an argument, compared with k3s-harden's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accepts {
    /// Only the same value.
    #[default]
    Same,
    /// Any value that is not empty.
    Any,
    /// A value that is not less; names of TLS versions compare as text.
    AtLeast,
    /// Any value except zero.
    NonZero,
    /// A list of strong cipher suites.
    Strong,
    /// Any list: it is merged with k3s-harden's.
    Union,
    /// Any list of feature gates: it is merged with k3s-harden's, and a gate of ours that it turns off is a conflict.
    Gates,
}

/// Where the value of an argument comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueOf {
    /// A setting; not written when null.
    Setting(String),
    /// A path under K3s's data directory.
    Path(String),
    /// A feature gate that is on; not written on a minor where it is on by default.
    Gate(String),
    /// The admission plugins that are on.
    Plugins,
}

/// An admission plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRow {
    /// Its name.
    pub plugin: String,
    /// Whether K3s turns it on by default.
    #[serde(default)]
    pub default: bool,
    /// The setting that turns it on; without one it is always on.
    pub setting: Option<String>,
    /// The controls that it implements.
    pub controls: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{kernel_parameters, tls};
    use crate::profile::{declarations, titles};

    #[test]
    fn rows_name_settings_and_controls_that_exist() {
        let (table, settings, controls) = (ArgumentTable::get(), declarations(), titles());
        let mut names: Vec<String> = table.keys.iter().map(|row| row.setting.clone()).collect();
        names.extend(table.arguments.iter().filter_map(|row| match &row.value {
            ValueOf::Setting(name) => Some(name.clone()),
            _ => None,
        }));
        names.extend(table.plugins.iter().filter_map(|row| row.setting.clone()));
        names.extend(table.sysctl_settings.values().flatten().cloned());
        for name in names {
            assert!(settings.contains_key(&name), "{name}");
        }
        for key in table.sysctl_settings.keys() {
            assert!(kernel_parameters::all().iter().any(|parameter| parameter.key == *key), "{key}");
        }
        let used = table.keys.iter().flat_map(|row| &row.controls);
        let used = used.chain(table.arguments.iter().flat_map(|row| &row.controls));
        for control in used.chain(table.plugins.iter().flat_map(|row| &row.controls)) {
            assert!(controls.contains_key(control), "{control}");
        }
    }

    #[test]
    fn strong_cipher_suites_are_those_that_kubernetes_has_and_go_calls_secure() {
        let table = ArgumentTable::get();
        for name in &table.strong_cipher_suites {
            assert!(tls::cipher_suite(name).is_some_and(|suite| !suite.insecure), "{name}");
        }
        for name in &table.once_strong_cipher_suites {
            assert!(tls::cipher_suite(name).is_some_and(|suite| suite.insecure), "{name}");
            assert!(table.is_readable_cipher_suite(name) && !table.is_strong_cipher_suite(name), "{name}");
        }
        // The rest of the secure ones are CBC.
        for suite in tls::cipher_suites().iter().filter(|suite| !suite.insecure) {
            let strong = table.is_strong_cipher_suite(&suite.name);
            assert_ne!(strong, suite.name.contains("_CBC_"), "{}", suite.name);
        }
    }

    #[test]
    fn plugins_on_by_default_are_those_that_k3s_turns_on() {
        type Flags = BTreeMap<String, BTreeMap<String, String>>;
        let on = ArgumentTable::get().plugins.iter().filter(|row| row.default);
        let names: Vec<&str> = on.map(|row| row.plugin.as_str()).collect();
        for (minor, json) in embedded::entries("default-flags") {
            let flags: Flags = embedded::read(json);
            assert_eq!(flags["kube-apiserver"]["enable-admission-plugins"], names.join(","), "{minor}");
        }
    }

    #[test]
    fn no_argument_is_there_twice() {
        let rows = &ArgumentTable::get().arguments;
        for (index, row) in rows.iter().enumerate() {
            assert!(
                !rows[..index]
                    .iter()
                    .any(|other| (&other.component, &other.name) == (&row.component, &row.name))
            );
        }
    }
}
