// SPDX-License-Identifier: Apache-2.0
//! The rules by which a component refuses a value, or a pair of values (data/rules-*.yaml).
//!
//! A row:
//!
//! - `setting`, or `settings`: the flags or fields that it is about, each by itself;
//! - `of`: the components, in `rules-common.yaml`;
//! - `from`, `until`: the minors;
//! - `when`: tests of other settings, by name; the rule holds where all pass. `$name` in a test is the value of that
//!   setting, and `$self` is the value of the setting that the row is about;
//! - `gates`: feature gates that are on, or off; the rule holds where all are so;
//! - `given`: settings of which somebody must give one, or the rule does not hold;
//! - `takes`: the test that the value must pass. Without it, the component refuses as soon as `when` holds;
//! - `machine`: true where the component refuses on some machines alone;
//! - `code`: the code of the finding, if it is not `argument-refused`;
//! - `says`: the component's own message; `VALUE` in it stands for the value, and `NAME` for the setting;
//! - `write`: what to write instead, if `takes` does not say it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::map::ComponentSettings;
use super::value_test::{EMPTY, NOT_EMPTY, ValueTest};
use crate::embedded;
use crate::version::KubernetesMinor;

/// A setting that a component refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSetting {
    /// The setting, or one that the rule looks at, where somebody gives only that.
    pub setting: String,
    /// The path of the item or the entry that is refused; none for the whole.
    pub part: Option<String>,
    /// Whether it is the machine that decides: the component may take it.
    pub is_up_to_machine: bool,
    /// The other settings that the rule looks at and that somebody gives.
    pub others: Vec<String>,
    /// Whether the rule looks at the value alone: at no other setting, given or not, and at no feature gate.
    pub is_by_itself: bool,
    /// Whether the rule holds a value against names that the minor knows, or asks for a feature gate: another minor may
    /// take it.
    pub rests_on_names: bool,
    /// The code of the finding.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The component's own message; empty if it is not known.
    pub says: String,
    /// What to write instead.
    pub write: String,
}

/// What a rule wants of a feature gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum GateTest {
    On,
    Off,
}

/// A row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SettingRule {
    setting: Option<String>,
    #[serde(default)]
    settings: Vec<String>,
    #[serde(default)]
    of: Vec<String>,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
    #[serde(default)]
    when: BTreeMap<String, ValueTest>,
    #[serde(default)]
    gates: BTreeMap<String, GateTest>,
    #[serde(default)]
    given: Vec<String>,
    takes: Option<ValueTest>,
    #[serde(default)]
    machine: bool,
    code: Option<String>,
    #[serde(default)]
    says: String,
    #[serde(default)]
    write: String,
}

/// The file of the rules of several components.
const COMMON_FILE: &str = "src/kubernetes/data/rules-common.yaml";
/// The rules of all components that are in `of`.
static COMMON: LazyLock<Vec<SettingRule>> = LazyLock::new(|| embedded::table("rules-common"));
/// The rules of one component each.
static OWN: [(&str, LazyLock<Vec<SettingRule>>); 8] = [
    ("cloud-controller-manager", LazyLock::new(|| embedded::table("rules-cloud-controller-manager"))),
    ("kube-apiserver", LazyLock::new(|| embedded::table("rules-kube-apiserver"))),
    ("kube-controller-manager", LazyLock::new(|| embedded::table("rules-kube-controller-manager"))),
    ("kube-proxy", LazyLock::new(|| embedded::table("rules-kube-proxy"))),
    ("kube-scheduler", LazyLock::new(|| embedded::table("rules-kube-scheduler"))),
    // Their configuration files, whose fields have other names.
    ("kube-proxy-config", LazyLock::new(|| embedded::table("rules-kube-proxy-config"))),
    ("kube-scheduler-config", LazyLock::new(|| embedded::table("rules-kube-scheduler-config"))),
    ("kubelet", LazyLock::new(|| embedded::table("rules-kubelet"))),
];

/// The code of a refusal whose row has none.
const CODE: &str = "argument-refused";
/// The name that stands for the setting that a row is about.
const SELF: &str = "$self";

/// Returns the settings that a component of a minor refuses, in the order of the tables.
#[must_use]
pub fn refused(component: &str, settings: &ComponentSettings, minor: KubernetesMinor) -> Vec<RefusedSetting> {
    rules_of(component)
        .filter(|rule| minor.is_within(rule.from, rule.until))
        .flat_map(|rule| rule.names().filter_map(move |name| rule.refusal(settings, name, minor)))
        .collect()
}

/// Returns what each rule about a setting of a component says, in words; empty if there is none.
#[must_use]
pub fn bounds(component: &str, setting: &str) -> Vec<String> {
    rules_of(component)
        .filter(|rule| rule.names().any(|name| name == setting))
        .map(SettingRule::words)
        .collect()
}

fn rules_of(component: &str) -> impl Iterator<Item = &'static SettingRule> {
    let common = COMMON.iter().filter(move |rule| rule.of.iter().any(|name| name == component));
    let own = OWN.iter().filter(move |(name, _)| *name == component).flat_map(|(_, rules)| rules.iter());
    common.chain(own)
}

impl SettingRule {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.setting.iter().chain(&self.settings).map(String::as_str)
    }

    /// Returns what it wants, in words, or else what the component says.
    fn words(&self) -> String {
        let mut settings = ComponentSettings::default();
        // The newest minor that the rows were checked against.
        let head = embedded::table_heads().iter().find(|(file, _)| *file == COMMON_FILE);
        if let Some(newest) = head.and_then(|(_, through)| through.parse().ok()) {
            settings.know_minor(newest);
        }
        let wanted = self.takes.as_ref().map(|takes| takes.wanted(&settings)).unwrap_or_default();
        let minors = match (self.from, self.until) {
            (Some(from), Some(until)) => format!(" ({from} to {until})"),
            (Some(from), None) => format!(" (from {from})"),
            (None, Some(until)) => format!(" (until {until})"),
            (None, None) => String::new(),
        };
        let condition =
            if self.when.is_empty() && self.gates.is_empty() { "" } else { ", under a condition" };
        match wanted.as_str() {
            "" => format!("in some combinations refused: {}{minors}", self.says),
            wanted => format!("{wanted}{condition}{minors}"),
        }
    }

    /// Returns the settings that it looks at beside `name`.
    fn others(&self, name: &str) -> impl Iterator<Item = &str> {
        let tests = self.when.values().chain(&self.takes);
        let named = self.given.iter().chain(self.when.keys()).map(String::as_str);
        named.chain(tests.flat_map(ValueTest::others)).filter(move |other| *other != name && *other != "self")
    }

    /// Returns the refusal of the setting `name`; none if the component takes it.
    fn refusal(
        &'static self,
        settings: &ComponentSettings,
        name: &str,
        minor: KubernetesMinor,
    ) -> Option<RefusedSetting> {
        let is_so = |(gate, test): (&String, &GateTest)| {
            settings.gate(gate, minor).is_some_and(|is_on| is_on == (*test == GateTest::On))
        };
        if !self.gates.iter().all(is_so) {
            return None;
        }
        let holds = |(other, test): (&String, &ValueTest)| {
            let other = if other == SELF { name } else { other };
            test.passes(settings, other) == Some(true)
        };
        if !self.when.iter().all(holds) {
            return None;
        }
        if let Some(takes) = &self.takes
            && takes.passes(settings, name) != Some(false)
        {
            return None;
        }
        if !self.given.is_empty() && !self.given.iter().any(|name| settings.is_given(name)) {
            return None;
        }
        let mut given = [name].into_iter().chain(self.others(name)).filter(|name| settings.is_given(name));
        let blamed = given.next()?;
        let others = given.map(str::to_owned).collect();
        let is_by_itself = self.gates.is_empty() && self.others(name).next().is_none();
        let rests_on_names =
            !self.gates.is_empty() || self.when.values().chain(&self.takes).any(ValueTest::rests_on_names);
        let part = settings.value(name).and_then(|value| self.takes.as_ref()?.failing_part(settings, value));
        let value = match &part {
            Some(part) => part.text.clone(),
            None => settings.text(name).unwrap_or_default(),
        };
        let wanted = match &part {
            Some(part) => part.wanted.clone(),
            None => self.takes.as_ref().map(|takes| takes.wanted(settings)).unwrap_or_default(),
        };
        let part = part.map(|part| format!("{name}{}", part.path));
        let shown = part.as_deref().unwrap_or(name);
        let says = self.says.replace("VALUE", &value).replace("NAME", name);
        let message = match (wanted.as_str(), says.as_str()) {
            ("", "") => format!("{shown} is {value:?}, which does not go together with the rest"),
            ("", says) => format!("{shown} is {value:?}: {says}"),
            (NOT_EMPTY, _) if value.is_empty() => format!("{shown} is empty"),
            (wanted, _) => format!("{shown} is {value:?}; it must be {wanted}"),
        };
        let write = match self.write.as_str() {
            "" if wanted.is_empty() => format!("change {name}, or remove it"),
            "" if wanted == EMPTY => format!("remove {shown}"),
            "" if wanted == NOT_EMPTY => format!("give {shown} a value"),
            "" => format!("give {shown} a value that is {wanted}"),
            write => write.to_owned(),
        };
        let code = self.code.as_deref().unwrap_or(CODE);
        let (setting, is_up_to_machine) = (blamed.to_owned(), self.machine);
        Some(RefusedSetting {
            setting,
            others,
            is_by_itself,
            rests_on_names,
            part,
            is_up_to_machine,
            code,
            message,
            says,
            write,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::settings::TypedValue;

    fn refusals(row: &str, settings: &[(&str, &str)]) -> Vec<String> {
        let rule: &'static SettingRule = Box::leak(Box::new(serde_yaml::from_str(row).unwrap()));
        let mut map = ComponentSettings::default();
        for (name, text) in settings {
            let value = TypedValue::amount(text).unwrap_or_else(|| TypedValue::Text((*text).to_owned()));
            match name.strip_suffix('?') {
                Some(name) => map.default_to(name, value),
                None => map.set(name, value),
            }
        }
        rule.names()
            .filter_map(|name| rule.refusal(&map, name, KubernetesMinor::new(36)))
            .map(|refused| refused.message)
            .collect()
    }

    #[test]
    fn a_value_out_of_bounds_is_refused() {
        let row = "{settings: [a, b], takes: {least: '0', most: '10'}}";
        assert_eq!(refusals(row, &[("a", "5"), ("b", "11")]), ["b is \"11\"; it must be 0 to 10"]);
        assert!(refusals(row, &[("b?", "11")]).is_empty(), "nobody gives it");
        let row = "{setting: a, takes: {least: 1h, zero: true}}";
        assert_eq!(refusals(row, &[("a", "59m")]), ["a is \"59m0s\"; it must be 0, or 1h or more"]);
        assert!(refusals(row, &[("a", "0s")]).is_empty());
        let row = "{setting: a, takes: {most: '1'}}";
        assert_eq!(refusals(row, &[("a", "NaN")]).len(), 1, "it is within no bounds");
    }

    #[test]
    fn a_bound_is_what_another_value_leaves() {
        let row = "{setting: a, when: {a: {above: 9 - $b}}}";
        assert_eq!(refusals(row, &[("a", "6"), ("b?", "4")]).len(), 1);
        assert_eq!(refusals(row, &[("a?", "6"), ("b", "4")]).len(), 1, "somebody gives what it leaves");
        assert!(refusals(row, &[("a", "5"), ("b?", "4")]).is_empty());
        let row = "{setting: a, when: {a: {most: $b * -1}}}";
        assert_eq!(refusals(row, &[("a?", "4"), ("b", "-4")]).len(), 1);
        assert!(refusals(row, &[("a?", "4"), ("b", "-3")]).is_empty());
    }

    #[test]
    fn a_pair_is_refused_where_somebody_gives_a_part_of_it() {
        let row = "{setting: lease, when: {on: {is: 'true'}}, takes: {above: $renew}, says: 'NAME VALUE'}";
        let renewed = [("lease?", "15s"), ("renew", "20s"), ("on", "true")];
        assert_eq!(refusals(row, &renewed), ["lease is \"15s\"; it must be more than the value of renew"]);
        let only_renewed = [("lease?", "15s"), ("renew", "20s"), ("on?", "true")];
        assert_eq!(refusals(row, &only_renewed).len(), 1, "somebody gives what it is compared with");
        assert!(refusals(row, &[("lease?", "15s"), ("renew?", "20s"), ("on?", "true")]).is_empty());
        assert!(refusals(row, &[("lease", "15s"), ("renew?", "10s"), ("on", "true")]).is_empty());
        assert!(refusals(row, &[("lease", "5s"), ("renew?", "10s"), ("on", "false")]).is_empty());
        let row = "{setting: a, when: {a: {given: true}, b: {empty: true}}, says: needs b}";
        assert_eq!(refusals(row, &[("a", "x"), ("b?", "")]), ["a is \"x\": needs b"]);
        assert!(refusals(row, &[("a", "x"), ("b", "y")]).is_empty());
        let row = "{setting: a, given: [b, c], takes: {empty: false}}";
        assert_eq!(refusals(row, &[("a?", ""), ("c", "")]).len(), 1);
        assert!(refusals(row, &[("a", ""), ("c?", "")]).is_empty(), "nobody gives one of the two");
    }

    #[test]
    fn every_setting_that_a_rule_gives_is_named_whoever_gives_it() {
        let row = "{setting: port, when: {on: {is: 'true'}}, takes: {within: ports}}";
        let rule: &'static SettingRule = Box::leak(Box::new(serde_yaml::from_str(row).unwrap()));
        let mut map = ComponentSettings::default();
        map.set("on", TypedValue::Bool(true));
        map.set("port", TypedValue::Whole(80));
        map.set("ports", TypedValue::Text("90-99".to_owned()));
        let refused = rule.refusal(&map, "port", KubernetesMinor::new(36)).unwrap();
        assert_eq!(
            (refused.setting.as_str(), refused.others),
            ("port", vec!["on".to_owned(), "ports".to_owned()])
        );
        assert_eq!(refused.message, "port is \"80\"; it must be a port of ports");
        map.set("port", TypedValue::Whole(99));
        assert!(rule.refusal(&map, "port", KubernetesMinor::new(36)).is_none());
    }

    #[test]
    fn versions_and_parts_are_judged_by_the_minor_and_by_other_settings() {
        let row = "{setting: v, takes: {release: {least: $minor - 1, most: $minor}}}";
        let refused = |row: &str, settings: &[(&str, TypedValue)]| {
            let rule: &'static SettingRule = Box::leak(Box::new(serde_yaml::from_str(row).unwrap()));
            let mut map = ComponentSettings::default();
            for (name, value) in settings {
                map.set(name, value.clone());
            }
            map.know_minor(KubernetesMinor::new(36));
            rule.refusal(&map, rule.names().next().unwrap(), KubernetesMinor::new(36))
                .map(|refused| refused.message)
        };
        let list = |text: &str| TypedValue::List(text.split(',').map(str::to_owned).collect());
        let message = "v is \"kube=1.34\"; it must be the version 1.N, where N is 35 to 36";
        assert_eq!(refused(row, &[("v", list("kube=1.34"))]).as_deref(), Some(message));
        assert_eq!(refused(row, &[("v", list("1.35"))]), None);
        assert_eq!(refused(row, &[("v", TypedValue::List(Vec::new()))]), None);
        let row = "{setting: v, takes: {release: {most: $e}}}";
        assert!(refused(row, &[("v", list("1.35")), ("e", list("1.34"))]).is_some());
        assert!(refused(row, &[("v", list("1.34")), ("e", list("1.34"))]).is_none());
        let row = "{setting: v, takes: {is: $previous-minor}}";
        let message = "v is \"1.36\"; it must be 1.35";
        assert_eq!(refused(row, &[("v", TypedValue::Text("1.36".to_owned()))]).as_deref(), Some(message));
        let row = "{setting: renew, takes: {above: $retry * 1.2}}";
        let seconds = |count: i128| TypedValue::Duration(count * 1_000_000_000);
        assert!(refused(row, &[("renew", seconds(12)), ("retry", seconds(10))]).is_some());
        assert!(refused(row, &[("renew", seconds(13)), ("retry", seconds(10))]).is_none());
        let row = "{setting: v, takes: {parts: {count: {most: '2'}}}}";
        assert!(refused(row, &[("v", TypedValue::Text("a,b,c".to_owned()))]).is_some());
        assert!(refused(row, &[("v", TypedValue::Text("a,b".to_owned()))]).is_none());
        let row = "{setting: v, takes: {has-in-any-case: X-Remote-Uid}}";
        assert!(refused(row, &[("v", list("a,x-remote-UID"))]).is_none());
        assert!(refused(row, &[("v", list("a"))]).is_some());
    }

    #[test]
    fn a_rule_holds_where_a_feature_gate_is_on_or_off() {
        let rule: SettingRule =
            serde_yaml::from_str("{setting: a, gates: {LoggingAlphaOptions: off}, says: too early}").unwrap();
        let rule: &'static SettingRule = Box::leak(Box::new(rule));
        let mut map = ComponentSettings::default();
        map.set("a", TypedValue::Bool(true));
        let is_refused = |map: &ComponentSettings| rule.refusal(map, "a", KubernetesMinor::new(36)).is_some();
        assert!(is_refused(&map), "it is off");
        let gate = |name: &str| TypedValue::Map(vec![(name.to_owned(), "true".to_owned())]);
        map.set("feature-gates", gate("LoggingBetaOptions"));
        assert!(is_refused(&map));
        map.set("feature-gates", gate("kube:LoggingAlphaOptions"));
        assert!(!is_refused(&map));
        map.set("feature-gates", TypedValue::Map(Vec::new()));
        map.set("featureGates", gate("AllAlpha"));
        assert!(!is_refused(&map), "a file switches all on");
    }
}
