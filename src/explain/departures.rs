// SPDX-License-Identifier: Apache-2.0
//! Where the profiles of k3s-harden depart from K3s's own hardening guide, and why (data/departures.yaml).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::profile_values::resolved_on;
use crate::embedded;
use crate::profile::declarations;
use crate::version::{KubernetesMinor, MinorRange};

/// The profile that has the guide's values.
const GUIDE: &str = "k3s-guide";

/// A setting that has another value by default than in the guide.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingDeparture {
    /// The setting.
    pub setting: &'static str,
    /// The values, the oldest minor first; minors without a difference are left out.
    pub values: Vec<DepartureValues>,
    /// The reason.
    pub why: &'static str,
    /// Its source.
    pub source: &'static str,
}

/// The two values of a setting on some minors.
#[derive(Debug, Clone, PartialEq)]
pub struct DepartureValues {
    /// The first minor.
    pub from: KubernetesMinor,
    /// The last one.
    pub to: KubernetesMinor,
    /// The value of the guide; null if nothing is written for it.
    pub guide: Value,
    /// The value of the default profile.
    pub ours: Value,
}

/// A departure that no setting decides, so that each profile has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedDeparture {
    /// What it is about.
    pub what: String,
    /// The minors.
    #[serde(default)]
    pub kubernetes: MinorRange,
    /// What the guide has.
    pub guide: String,
    /// What k3s-harden has.
    pub ours: String,
    /// The reason.
    pub why: String,
    /// Its source.
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonRow {
    why: String,
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DepartureTable {
    settings: BTreeMap<String, ReasonRow>,
    others: Vec<FixedDeparture>,
}

fn table() -> &'static DepartureTable {
    static TABLE: LazyLock<DepartureTable> = LazyLock::new(|| embedded::table("departures"));
    &TABLE
}

/// Returns the settings whose default departs from the guide on some minor, by their names.
#[must_use]
pub fn setting_departures() -> Vec<SettingDeparture> {
    table().settings.iter().map(departure).collect()
}

fn departure((setting, row): (&'static String, &'static ReasonRow)) -> SettingDeparture {
    SettingDeparture { setting, values: differences(setting), why: &row.why, source: &row.source }
}

/// Returns the departures that no setting decides.
#[must_use]
pub fn fixed_departures() -> &'static [FixedDeparture] {
    &table().others
}

/// Returns the departure of a setting that is in force on a minor.
pub(super) fn departure_on(setting: &str, minor: KubernetesMinor) -> Option<(SettingDeparture, Value)> {
    let departure = departure(table().settings.get_key_value(setting)?);
    let here = departure.values.iter().find(|values| (values.from..=values.to).contains(&minor))?;
    let guide = here.guide.clone();
    Some((departure, guide))
}

/// Returns the minors on which the default profile has another value than the guide.
fn differences(setting: &str) -> Vec<DepartureValues> {
    let mut found: Vec<DepartureValues> = Vec::new();
    let means_something = |minor: &KubernetesMinor| {
        declarations().get(setting).is_some_and(|declaration| declaration.kubernetes.contains(*minor))
    };
    for minor in KubernetesMinor::supported().into_iter().filter(means_something) {
        let base = minor.default_profile().unwrap_or_default();
        let value = |profile: &str| resolved_on(profile, minor).map(|profile| profile.value(setting).clone());
        let (Some(guide), Some(ours)) = (value(GUIDE), value(&base)) else { continue };
        match found.last_mut() {
            _ if guide == ours => {}
            Some(last) if last.to.next() == minor && last.guide == guide && last.ours == ours => {
                last.to = minor;
            }
            _ => found.push(DepartureValues { from: minor, to: minor, guide, ours }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_has_exactly_the_settings_that_differ() {
        let differ: Vec<&str> = declarations()
            .keys()
            .map(String::as_str)
            .filter(|setting| !differences(setting).is_empty())
            .collect();
        let rows: Vec<&str> = table().settings.keys().map(String::as_str).collect();
        assert_eq!(differ, rows);
    }

    #[test]
    fn every_row_has_a_sentence_and_a_source() {
        let settings = table().settings.values().map(|row| (&row.why, &row.source));
        let others = table().others.iter().map(|row| (&row.why, &row.source));
        for (why, source) in settings.chain(others) {
            assert!(why.ends_with('.') && !why.contains('\n'), "{why}");
            assert!(!source.is_empty() && !source.ends_with('.'), "{source}");
        }
    }

    #[test]
    fn the_values_are_those_of_the_profiles_by_minor() {
        let idle = differences("streaming_connection_idle_timeout");
        let [values] = idle.as_slice() else { panic!("{idle:?}") };
        assert_eq!((values.from, values.to), (KubernetesMinor::new(23), KubernetesMinor::new(26)));
        assert_eq!((&values.guide, &values.ours), (&json!("5m"), &Value::Null));
        let (departure, guide) = departure_on("event_rate_limit", KubernetesMinor::new(30)).unwrap();
        assert_eq!((departure.setting, guide), ("event_rate_limit", json!(true)));
        assert!(departure_on("event_rate_limit", KubernetesMinor::new(24)).is_none());
        assert!(departure_on("audit_log_maxage", KubernetesMinor::new(30)).is_none());
    }
}
