// SPDX-License-Identifier: Apache-2.0
//! The kubelet's settings: what its files say, what its arguments say over them, and the defaults of what is left. A setting
//! is a field of KubeletConfiguration by its path, or an argument that has no field by its name.
//!
//! Source: cmd/kubelet/app/server.go of Kubernetes (`kubeletConfigFlagPrecedence`): gates of the argument add to those of
//! the files, and any other argument replaces the field.

use std::collections::BTreeMap;

use super::component_flags::{self, ComponentFlag};
use super::kubelet_defaults::DEFAULTS;
use super::kubelet_fields::{self, DecodedFields};
use super::object::{self, Position};
use super::settings::{ComponentSettings, RefusedSetting, TypedValue};
use super::yaml::{YamlNode, YamlValue};
use super::{flag_values, kubelet_reserved, settings};
use crate::version::KubernetesMinor;

const NAME: &str = "kubelet";
/// The field of the feature gates.
const GATES: &str = "featureGates";

/// Tells whether zero, or an empty text, in a file stands for the default of a field.
#[must_use]
pub fn zero_is_default(path: &str) -> bool {
    DEFAULTS.get(path).is_some_and(|row| row.zero)
}

/// Returns what a field is in a minor where a file is read and does not give it a value.
#[must_use]
pub fn default_of_file(path: &str, minor: KubernetesMinor) -> Option<String> {
    let row = DEFAULTS.get(path);
    let of_flag = || {
        let flags = component_flags::all().get(NAME)?.values();
        let mut flags = flags.filter(|flag| flag.field.as_deref() == Some(path));
        flags.find(|flag| flag.is_of(minor)).map(|flag| flag.unset_in(minor).text())
    };
    let of_row = row.and_then(|row| row.of_file.clone());
    of_row.or_else(of_flag).or_else(|| row.and_then(|row| row.default.clone()))
}

/// An argument of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletFlag {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whether K3s gives it, and not the user.
    pub is_own: bool,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// The last argument of this name.
    Flag(String),
    /// A value of the merged files.
    Field(Position),
}

/// The settings of a kubelet.
#[derive(Debug, Default)]
pub struct KubeletSettings {
    settings: ComponentSettings,
    origins: BTreeMap<String, SettingOrigin>,
}

impl KubeletSettings {
    /// Puts together what the files and the arguments say. `is_own` tells whether a value of the files is K3s's own.
    #[must_use]
    pub fn new(
        decoded: &DecodedFields,
        flags: &[KubeletFlag],
        minor: KubernetesMinor,
        is_own: &dyn Fn(Position) -> bool,
    ) -> Self {
        let mut found = Self::default();
        found.add_files(decoded, minor, is_own);
        found.add_flags(flags, minor);
        found.add_defaults(minor);
        kubelet_reserved::derive(&mut found.settings);
        found.derive_sysctls();
        found.settings.assume("minor.previous", TypedValue::Text(minor.previous().to_string()));
        found
    }

    /// Returns what the kubelet of a minor refuses, each with its origin.
    #[must_use]
    pub fn refused(&self, minor: KubernetesMinor) -> Vec<(RefusedSetting, SettingOrigin)> {
        let refused = settings::refused(NAME, &self.settings, minor);
        let placed = refused.into_iter().filter_map(|refused| {
            let part = refused.part.as_ref().and_then(|part| self.origins.get(part));
            let origin = part.or_else(|| self.origins.get(&refused.setting))?.clone();
            Some((refused, origin))
        });
        placed.collect()
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &ComponentSettings {
        &self.settings
    }

    fn add_files(
        &mut self,
        decoded: &DecodedFields,
        minor: KubernetesMinor,
        is_own: &dyn Fn(Position) -> bool,
    ) {
        // AddFlags of k8s.io/component-base/logs/api/v1 gives this field the default of its argument, whatever a file says.
        let is_lost = |path: &str| path == "logging.options.text.splitStream";
        for (path, node) in decoded.fields.iter().filter(|(path, _)| !is_lost(path)) {
            // An item of a list, or a value of a map, is a part of another setting.
            let Some(of) = kubelet_fields::type_of(path, minor) else {
                if !is_own(node.position) {
                    self.origins.insert(path.clone(), SettingOrigin::Field(node.position));
                }
                continue;
            };
            let value = typed(node, of);
            if value.is_zero() && DEFAULTS.get(path).is_some_and(|row| row.zero) {
                continue;
            }
            if path == "registerWithTaints"
                && let YamlValue::List(taints) = &node.value
            {
                let times = taints.iter().filter_map(|taint| object::field(taint, "timeAdded"));
                let times: Vec<_> = times.map(YamlNode::go_text).collect();
                self.give("registerWithTaints.timeAdded", TypedValue::List(times), node, is_own);
            }
            self.give(path, value, node, is_own);
        }
    }

    fn give(&mut self, path: &str, value: TypedValue, node: &YamlNode, is_own: &dyn Fn(Position) -> bool) {
        // A map may have entries of several files.
        let mut positions = vec![node.position];
        if let YamlValue::Map(pairs) = &node.value {
            positions = pairs.iter().map(|(_, value)| value.position).collect();
        }
        match positions.into_iter().find(|position| !is_own(*position)) {
            Some(position) => {
                self.settings.set(path, value);
                self.origins.insert(path.to_owned(), SettingOrigin::Field(position));
            }
            None => self.settings.assume(path, value),
        }
    }

    fn add_flags(&mut self, flags: &[KubeletFlag], minor: KubernetesMinor) {
        let Some(known) = component_flags::all().get(NAME) else { return };
        let mut gates = match self.settings.value(GATES) {
            Some(TypedValue::Map(gates)) => gates.clone(),
            _ => Vec::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        for given in flags {
            let Some(flag) = known.get(&given.name).filter(|flag| flag.is_of(minor)) else { continue };
            let Ok(value) = flag.kind.read(&given.text, minor) else { continue };
            let setting = name_of(&given.name, flag);
            if let (GATES, TypedValue::Map(more)) = (setting, &value) {
                gates.extend(more.clone());
                if !given.is_own {
                    self.origins.insert(GATES.to_owned(), SettingOrigin::Flag(given.name.clone()));
                }
                continue;
            }
            let is_again = seen.contains(&setting);
            seen.push(setting);
            self.origins.retain(|path, _| path != setting && !is_below(path, setting));
            match (given.is_own, is_again) {
                (true, _) => self.settings.assume(setting, value),
                (false, true) => self.settings.give(setting, value),
                (false, false) => self.settings.set(setting, value),
            }
            if !given.is_own {
                self.origins.insert(setting.to_owned(), SettingOrigin::Flag(given.name.clone()));
            }
        }
        match self.origins.contains_key(GATES) {
            true => self.settings.set(GATES, TypedValue::Map(gates)),
            false => self.settings.assume(GATES, TypedValue::Map(gates)),
        }
    }

    fn add_defaults(&mut self, minor: KubernetesMinor) {
        if matches!(self.settings.value("maxParallelImagePulls"), Some(TypedValue::Whole(pulls)) if *pulls > 1)
        {
            self.settings.default_to("serializeImagePulls", TypedValue::Bool(false));
        }
        // A gate that is on by itself has the default set before anybody can switch it off.
        for (gate, path, value) in [
            (
                "KubeletEnsureSecretPulledImages",
                "imagePullCredentialsVerificationPolicy",
                TypedValue::Text("NeverVerifyPreloadedImages".to_owned()),
            ),
            (
                "KubeletCrashLoopBackOffMax",
                "crashLoopBackOff.maxContainerRestartPeriod",
                TypedValue::Duration(300_000_000_000),
            ),
        ] {
            let is_on = |settings: &ComponentSettings| settings.gate(gate, minor) == Some(true);
            if is_on(&ComponentSettings::default()) || is_on(&self.settings) {
                self.settings.default_to(path, value);
            }
        }
        for (name, flag) in component_flags::all().get(NAME).into_iter().flatten() {
            if flag.is_of(minor) {
                self.settings.default_to(name_of(name, flag), flag.unset_in(minor));
            }
        }
        for (path, row) in DEFAULTS.iter() {
            if let (Some(of), Some(text)) = (kubelet_fields::type_of(path, minor), &row.default) {
                self.settings.default_to(path, typed_text(text, of));
            }
        }
    }

    /// The names of sysctls as the kubelet looks them up: with dots, and without what a star stands for (`GetNamespace` of
    /// k8s.io/component-helpers/node/util/sysctl).
    fn derive_sysctls(&mut self) {
        let Some(TypedValue::List(patterns)) = self.settings.value("allowedUnsafeSysctls") else { return };
        let names = patterns.iter().map(|pattern| {
            let name = dotted(pattern);
            name.split('*').next().unwrap_or_default().to_owned()
        });
        let names = TypedValue::List(names.collect());
        self.settings.assume("allowedUnsafeSysctls.names", names);
    }
}

/// `NormalizeName`: where a slash is the first separator, slashes and dots change places.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name[at..].starts_with('/') => {
            let other = |letter| match letter {
                '.' => '/',
                '/' => '.',
                _ => letter,
            };
            name.chars().map(other).collect()
        }
        _ => name.to_owned(),
    }
}

fn is_below(path: &str, setting: &str) -> bool {
    path.strip_prefix(setting).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Returns the setting of an argument.
fn name_of<'a>(name: &'a str, flag: &'a ComponentFlag) -> &'a str {
    flag.field.as_deref().unwrap_or(name)
}

/// Reads a decoded value of a type.
fn typed(node: &YamlNode, of: &str) -> TypedValue {
    match &node.value {
        YamlValue::Map(pairs) => {
            let pairs = pairs.iter().filter(|(_, value)| !value.is_null());
            TypedValue::Map(pairs.map(|(name, value)| (name.go_text(), value.go_text())).collect())
        }
        YamlValue::List(items) => TypedValue::List(items.iter().map(|item| item_text(item, of)).collect()),
        YamlValue::Scalar(_) => match object::whole_number(&node.value, false) {
            Some(number) if of == "float64" => typed_text(&number.to_string(), of),
            // A frequency may be a number of nanoseconds.
            Some(number) if of == "TimeOrMetaDuration" => TypedValue::Duration(number.into()),
            Some(number) if !matches!(of, "Quantity" | "QuantityValue") => TypedValue::Whole(number.into()),
            _ => typed_text(&node.go_text(), of),
        },
    }
}

/// Writes an item of a list as its argument has it.
fn item_text(item: &YamlNode, of: &str) -> String {
    let number = |name: &str| object::number(item, name);
    match of {
        "[]Taint" => {
            let text = |name: &str| object::text(item, name);
            format!("{}={}:{}", text("key"), text("value"), text("effect"))
        }
        "[]MemoryReservation" => {
            let limits = match object::field(item, "limits").map(|limits| &limits.value) {
                Some(YamlValue::Map(limits)) => limits.as_slice(),
                _ => &[],
            };
            let limits: Vec<String> = limits
                .iter()
                .map(|(name, value)| format!("{}={}", name.go_text(), value.go_text()))
                .collect();
            format!("{}:{}", number("numaNode"), limits.join(","))
        }
        "[]VModuleItem" => format!("{}={}", object::text(item, "filePattern"), number("verbosity")),
        _ => item.go_text(),
    }
}

fn typed_text(text: &str, of: &str) -> TypedValue {
    match of {
        "bool" => TypedValue::Bool(text == "true"),
        "int32" | "int64" | "uint32" => TypedValue::Whole(flag_values::integer(text).unwrap_or_default()),
        "float64" => TypedValue::Number(flag_values::number(text).unwrap_or_default()),
        "Duration" | "TimeOrMetaDuration" => {
            TypedValue::Duration(flag_values::duration(text).unwrap_or_default())
        }
        _ if of.starts_with("[]") => TypedValue::List(Vec::new()),
        _ if of.starts_with("{}") => TypedValue::Map(Vec::new()),
        _ => TypedValue::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::yaml;

    /// Returns what the kubelet of 1.36 refuses: the argument by its name and an equals sign, a field by its path.
    fn refused(text: &str, flags: &[(&str, &str)]) -> Vec<String> {
        let minor = KubernetesMinor::new(36);
        let root = yaml::read(text.as_bytes()).unwrap().unwrap();
        let decoded = kubelet_fields::decode(&root, minor);
        assert!(decoded.faults.is_empty() && decoded.unknown.is_empty(), "{text}: {decoded:?}");
        let flag = |(name, text): &(&str, &str)| KubeletFlag {
            name: (*name).into(),
            text: (*text).into(),
            is_own: false,
        };
        let flags: Vec<KubeletFlag> = flags.iter().map(flag).collect();
        let settings = KubeletSettings::new(&decoded, &flags, minor, &|_| false);
        let named = settings.refused(minor).into_iter().map(|(refused, origin)| match origin {
            SettingOrigin::Flag(name) => format!("{name}="),
            SettingOrigin::Field(_) => refused.part.unwrap_or(refused.setting),
        });
        named.collect()
    }

    #[test]
    fn fields_are_refused_as_the_kubelet_does() {
        for (text, field) in [
            ("maxPods: -5", "maxPods"),
            ("oomScoreAdj: 2000", "oomScoreAdj"),
            ("shutdownGracePeriod: 10ms", "shutdownGracePeriod"),
            ("topologyManagerPolicy: bogus", "topologyManagerPolicy"),
            ("tlsCipherSuites: [TLS_NOPE]", "tlsCipherSuites[0]"),
            ("kubeReserved: {memory: -1Gi}", "kubeReserved.memory"),
            ("systemReserved: {bogus: '1'}", "systemReserved.bogus"),
            ("evictionHard: {memory.availble: 100Mi}", "evictionHard.memory.availble"),
            ("evictionHard: {memory.available: 101%}", "evictionHard.memory.available"),
            ("evictionSoft: {memory.available: 1%}", "evictionSoft"),
            ("imageGCHighThresholdPercent: 80", "imageGCHighThresholdPercent"),
            ("imageGCLowThresholdPercent: 90", "imageGCLowThresholdPercent"),
            ("imageMaximumGCAge: 1s", "imageMaximumGCAge"),
            ("imageMinimumGCAge: 0s\nimageMaximumGCAge: 1s", "imageMaximumGCAge"),
            ("shutdownGracePeriodCriticalPods: 10s", "shutdownGracePeriodCriticalPods"),
            ("maxParallelImagePulls: 5\nserializeImagePulls: true", "maxParallelImagePulls"),
            ("reservedSystemCPUs: abc", "reservedSystemCPUs"),
            ("reservedSystemCPUs: '0'\nkubeReservedCgroup: /k", "reservedSystemCPUs"),
            ("cpuManagerPolicy: static", "cpuManagerPolicy"),
            ("memoryManagerPolicy: Static", "memoryManagerPolicy"),
            ("enforceNodeAllocatable: [kube-reserved]", "enforceNodeAllocatable[0]"),
            ("enforceNodeAllocatable: [pods, pods]", "enforceNodeAllocatable"),
            ("registerWithTaints: [{key: a b, effect: NoSchedule}]", "registerWithTaints[0]"),
            ("registerWithTaints: [{key: a, effect: Nope}]", "registerWithTaints[0]"),
            ("podLogsDir: /var/log/../x", "podLogsDir"),
            ("reservedMemory: [{numaNode: 0, limits: {cpu: 1}}]", "reservedMemory[0]"),
            ("allowedUnsafeSysctls: [vm.overcommit_memory]", "allowedUnsafeSysctls"),
            ("logging: {format: json}", "logging.format"),
            ("userNamespaces: {idsPerPod: 65537}", "userNamespaces.idsPerPod"),
            ("tracing: {endpoint: 'http://x'}", "tracing.endpoint"),
            ("featureGates: {KubeletCrashLoopBackOffMax: false}", "featureGates"),
            (
                "serverTLSBootstrap: true\nfeatureGates: {RotateKubeletServerCertificate: false}",
                "serverTLSBootstrap",
            ),
            (
                "cpuManagerPolicy: static\nreservedSystemCPUs: '0'\ncpuManagerPolicyOptions: {nope: 'true'}",
                "cpuManagerPolicyOptions.nope",
            ),
        ] {
            assert_eq!(refused(text, &[]), [field], "{text}");
        }
        for text in [
            "maxPods: 0",
            "oomScoreAdj: -999",
            "shutdownGracePeriod: 0s",
            "topologyManagerPolicy: ''",
            "kubeReserved: {cpu: 100m, pid: '100'}",
            "kubeReserved: {cpu: abc}\nreservedSystemCPUs: '0'",
            "evictionSoft: {memory.available: 1%}\nevictionSoftGracePeriod: {memory.available: 90s}",
            "evictionSoft: {memory.available: 0%}",
            "imageGCHighThresholdPercent: 90\nimageGCLowThresholdPercent: 85",
            "maxParallelImagePulls: 5",
            "cpuManagerPolicy: static\nreservedSystemCPUs: '0'",
            "registerWithTaints: [{key: a.b/c, value: x, effect: NoSchedule}]",
            "enforceNodeAllocatable: [pods]",
            "logging: {flushFrequency: 0}",
        ] {
            assert_eq!(refused(text, &[]), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn an_argument_goes_before_its_field_and_pairs_with_others() {
        assert_eq!(refused("maxPods: -5", &[("max-pods", "10")]), Vec::<String>::new());
        assert_eq!(refused("maxPods: 10", &[("max-pods", "-5")]), ["max-pods="]);
        assert_eq!(
            refused("{}", &[("hairpin-mode", "")]),
            ["hairpin-mode="],
            "only a file has a default there"
        );
        let low = "imageGCLowThresholdPercent: 70";
        assert_eq!(refused(low, &[("image-gc-high-threshold", "70")]), ["imageGCLowThresholdPercent"]);
        let limit = "evictionHard: {memory.available: abc}";
        assert_eq!(refused(limit, &[("eviction-hard", "")]), Vec::<String>::new(), "a map is replaced");
        let gates = "featureGates: {LoggingAlphaOptions: true}";
        let flags = [("log-text-split-stream", "true"), ("feature-gates", "NodeSwap=true")];
        assert_eq!(refused(gates, &flags), Vec::<String>::new(), "gates add up");
        assert_eq!(refused("{}", &flags), ["log-text-split-stream="]);
        let memory = [("memory-manager-policy", "Static"), ("eviction-hard", "memory.available<100Mi")];
        let reserved =
            "kubeReserved: {memory: 1Gi}\nreservedMemory: [{numaNode: 0, limits: {memory: 1124Mi}}]";
        assert_eq!(refused(reserved, &memory), Vec::<String>::new());
        assert_eq!(refused(&reserved.replace("1124", "1024"), &memory), ["reservedMemory"]);
    }

    #[test]
    fn what_the_machine_decides_is_told_apart() {
        let minor = KubernetesMinor::new(36);
        let text = "cpuManagerPolicy: static\nreservedSystemCPUs: '0-1'";
        let decoded = kubelet_fields::decode(&yaml::read(text.as_bytes()).unwrap().unwrap(), minor);
        let refused = KubeletSettings::new(&decoded, &[], minor, &|_| false).refused(minor);
        assert!(refused.len() == 1 && refused[0].0.is_up_to_machine, "{refused:?}");
    }

    #[test]
    fn the_defaults_are_of_fields_that_there_are() {
        let newest = *KubernetesMinor::supported().last().unwrap();
        for (path, row) in DEFAULTS.iter() {
            let of = kubelet_fields::type_of(path, newest);
            assert!(of.is_some(), "{path}");
            assert!(
                row.default.is_some() || row.of_file.is_some() || row.zero || row.written,
                "{path} says nothing"
            );
        }
        for (name, flag) in &component_flags::all()[NAME] {
            if let Some(field) = flag.field.as_deref().filter(|_| flag.is_of(newest)) {
                assert!(kubelet_fields::type_of(field, newest).is_some(), "{name}: {field}");
            }
        }
    }
}
