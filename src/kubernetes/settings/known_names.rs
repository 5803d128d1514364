// SPDX-License-Identifier: Apache-2.0
//! The names that a table knows in a minor, and that a flag may have: those of controllers (data/controllers.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::map::{ComponentSettings, OF_MINOR};
use super::value::TypedValue;
use crate::embedded;
use crate::version::KubernetesMinor;

/// A table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NameTable {
    /// The controllers of the controller manager.
    Controllers,
    /// Those of the cloud controller manager.
    CloudControllers,
    /// The webhooks of the cloud controller manager: none.
    CloudWebhooks,
}

/// The minors that know a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameMinors {
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
}

type Table = BTreeMap<String, BTreeMap<String, NameMinors>>;

static CONTROLLERS: LazyLock<Table> = LazyLock::new(|| embedded::table("controllers"));

impl NameTable {
    /// Tells whether the component, whose minor is in its settings, knows a name, `-name`, or `*` for all.
    pub(super) fn knows(self, settings: &ComponentSettings, text: &str) -> bool {
        let component = match self {
            Self::Controllers => "kube-controller-manager",
            Self::CloudControllers => "cloud-controller-manager",
            Self::CloudWebhooks => return text == "*",
        };
        let minor = match settings.value(OF_MINOR[0]) {
            Some(TypedValue::Whole(number)) => u16::try_from(*number).ok().map(KubernetesMinor::new),
            _ => None,
        };
        let name = text.strip_prefix('-').unwrap_or(text);
        let known = CONTROLLERS.get(component).and_then(|names| names.get(name));
        text == "*"
            || known.is_some_and(|known| minor.is_none_or(|minor| minor.is_within(known.from, known.until)))
    }

    /// Returns what the table has, in words.
    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Controllers | Self::CloudControllers => {
                "the names of controllers that the minor has, with or without - before them, or *"
            }
            Self::CloudWebhooks => "only *: there are no webhooks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_have_names_by_minor() {
        let knows = |table: NameTable, minor: u16, text: &str| {
            let mut settings = ComponentSettings::default();
            settings.know_minor(KubernetesMinor::new(minor));
            table.knows(&settings, text)
        };
        let (of_kube, of_cloud) = (NameTable::Controllers, NameTable::CloudControllers);
        for text in ["*", "tokencleaner", "-tokencleaner", "-service-lb-controller", "job-controller"] {
            assert!(knows(of_kube, 36, text), "{text}");
        }
        for text in ["", "-*", "--job", " tokencleaner", "nosuch", "cloud-node", "TokenCleaner"] {
            assert!(!knows(of_kube, 36, text), "{text:?}");
        }
        assert!(!knows(of_kube, 27, "job-controller") && knows(of_kube, 27, "job"));
        assert!(!knows(of_kube, 37, "service") && knows(of_cloud, 37, "service"));
        assert!(knows(of_cloud, 36, "-route") && !knows(of_cloud, 36, "job"));
        assert!(!knows(of_cloud, 27, "cloud-node-controller"));
        assert!(knows(NameTable::CloudWebhooks, 36, "*") && !knows(NameTable::CloudWebhooks, 36, "a"));
    }
}
