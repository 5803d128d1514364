// SPDX-License-Identifier: Apache-2.0
//! The value of a setting as it is written: the same on every minor, or one from each of some minors on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::version::KubernetesMinor;

/// The key under which a value is written for each minor: `{by_minor: {"1.23": null, "1.29": false}}`.
pub(super) const BY_MINOR: &str = "by_minor";

/// A value of a setting as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum SettingValue {
    /// The same on every minor.
    Same(Value),
    /// From each minor on until the next that is named; none before the first.
    ByMinor(BTreeMap<KubernetesMinor, Value>),
}

impl SettingValue {
    /// Returns the value on `minor`; a minor that is newer than those named has the newest one's.
    #[must_use]
    pub fn on(&self, minor: KubernetesMinor) -> Option<&Value> {
        match self {
            Self::Same(value) => Some(value),
            Self::ByMinor(values) => values.range(..=minor).next_back().map(|(_, value)| value),
        }
    }
}

impl TryFrom<Value> for SettingValue {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value.get(BY_MINOR) {
            Some(values) => BTreeMap::deserialize(values).map(Self::ByMinor),
            None => Ok(Self::Same(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_minor_that_is_not_newer_counts() {
        let on = |value: &SettingValue, minor: &str| value.on(minor.parse().unwrap()).cloned();
        let value =
            SettingValue::try_from(json!({"by_minor": {"1.30": "c", "1.9": "a", "1.25": "b"}})).unwrap();
        assert_eq!(on(&value, "1.8"), None);
        assert_eq!(on(&value, "1.9"), Some(json!("a")));
        assert_eq!(on(&value, "1.29"), Some(json!("b")));
        assert_eq!(on(&value, "1.99"), Some(json!("c")));
        let same = SettingValue::try_from(json!({"a": 1})).unwrap();
        assert_eq!(on(&same, "1.1"), Some(json!({"a": 1})));
        assert!(SettingValue::try_from(json!({"by_minor": {"1.x": 1}})).is_err());
        assert!(SettingValue::try_from(json!({"by_minor": 1})).is_err());
    }
}
