//! What the kubelet refuses in the values of its configuration (data/kubelet-rules.yaml), and in pairs of them.
//!
//! Source: pkg/kubelet/apis/config/validation of Kubernetes, pkg/kubelet/eviction/helpers.go and cmd/kubelet/app/server.go.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::kubelet_fields::DecodedFields;
use super::kubelet_values::{is_cpu_set, is_threshold, taint_fault};
use super::object::{self, Fault};
use super::yaml::{YamlNode, YamlValue};
use super::{flag_values, gate_flag, quantity, tls};
use crate::embedded;
use crate::version::KubernetesMinor;

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleRow {
    field: String,
    flag: Option<String>,
    from: Option<KubernetesMinor>,
    least: Option<String>,
    most: Option<String>,
    #[serde(default)]
    zero: bool,
    one_of: Option<Vec<String>>,
}

static RULES: LazyLock<Vec<RuleRow>> = LazyLock::new(|| embedded::table("kubelet-rules"));

/// Why the kubelet refuses a value.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedValue {
    /// The field.
    pub field: String,
    /// What it takes.
    pub wanted: String,
    /// The message, and the position.
    pub fault: Fault,
}

/// Signals of eviction (pkg/kubelet/eviction/api/types.go).
const SIGNALS: [&str; 9] = [
    "allocatableMemory.available",
    "containerfs.available",
    "containerfs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
];
/// What may be reserved (`parseResourceList`).
const RESERVED: [&str; 4] = ["cpu", "ephemeral-storage", "memory", "pid"];
/// The options of the static policy of CPUs (pkg/kubelet/cm/cpumanager/policy_options.go).
const CPU_OPTIONS: [&str; 6] = [
    "align-by-socket",
    "distribute-cpus-across-cores",
    "distribute-cpus-across-numa",
    "full-pcpus-only",
    "prefer-align-cpus-by-uncorecache",
    "strict-cpu-reservation",
];
/// The default of `imageMinimumGCAge`, in nanoseconds.
const DEFAULT_MINIMUM_AGE: i128 = 120_000_000_000;
/// What may be enforced; the last with no other.
const ENFORCED: [&str; 6] = [
    "pods",
    "system-reserved",
    "system-reserved-compressible",
    "kube-reserved",
    "kube-reserved-compressible",
    "none",
];

/// Returns the values that the kubelet of a minor refuses. `given` tells whether an argument sets a flag, which then
/// counts instead of the field.
#[must_use]
pub fn refused(
    decoded: &DecodedFields,
    minor: KubernetesMinor,
    given: &dyn Fn(&str) -> bool,
) -> Vec<RefusedValue> {
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.from.is_none_or(|from| from <= minor)) {
        if rule.flag.as_deref().is_some_and(given) {
            continue;
        }
        let node = decoded.fields.get(&rule.field);
        if let Some((node, wanted)) = node.and_then(|node| Some((node, rule.refuses(node)?))) {
            found.push(refuse(&rule.field, node, wanted));
        }
    }
    let values = Values { decoded, given, minor };
    values.lists(&mut found);
    values.maps(&mut found);
    values.pairs(&mut found);
    found
}

fn refuse(field: &str, node: &YamlNode, wanted: impl Into<String>) -> RefusedValue {
    let wanted = wanted.into();
    let message = format!("{field} is {}, and takes {wanted}", node.go_text());
    RefusedValue { field: field.to_owned(), wanted, fault: Fault::new(node.position, message) }
}

/// Reads a number or a duration.
fn amount(text: &str) -> Option<i128> {
    flag_values::integer(text).or_else(|| flag_values::duration(text))
}

impl RuleRow {
    /// Returns what is taken, if the value is not.
    fn refuses(&self, node: &YamlNode) -> Option<String> {
        let text = match object::whole_number(&node.value, false) {
            Some(number) => number.to_string(),
            None => node.go_text(),
        };
        if let Some(known) = &self.one_of {
            let shown: Vec<&str> =
                known.iter().map(String::as_str).filter(|known| !known.is_empty()).collect();
            return (!known.contains(&text)).then(|| shown.join(", "));
        }
        let value = amount(&text)?;
        let bound = |text: &Option<String>| text.as_deref().and_then(amount);
        let is_within = bound(&self.least).is_none_or(|least| least <= value)
            && bound(&self.most).is_none_or(|most| value <= most);
        if is_within || (self.zero && value == 0) {
            return None;
        }
        let zero = if self.zero { "0, or " } else { "" };
        Some(match (&self.least, &self.most) {
            (Some(least), Some(most)) => format!("{zero}{least} to {most}"),
            (Some(least), None) => format!("{zero}{least} or more"),
            (None, most) => format!("{} or less", most.as_deref().unwrap_or_default()),
        })
    }
}

/// The values of a configuration.
struct Values<'a> {
    decoded: &'a DecodedFields,
    given: &'a dyn Fn(&str) -> bool,
    minor: KubernetesMinor,
}

impl Values<'_> {
    fn get(&self, field: &str) -> Option<&YamlNode> {
        self.decoded.fields.get(field)
    }

    /// Returns a field that no argument overrides.
    fn own(&self, field: &str, flag: &str) -> Option<&YamlNode> {
        self.get(field).filter(|_| !(self.given)(flag))
    }

    fn items(&self, field: &str, flag: &str) -> &[YamlNode] {
        match self.own(field, flag).map(|node| &node.value) {
            Some(YamlValue::List(items)) => items,
            _ => &[],
        }
    }

    fn entries(&self, field: &str, flag: &str) -> Vec<(String, &YamlNode)> {
        match self.own(field, flag).map(|node| &node.value) {
            Some(YamlValue::Map(pairs)) => pairs.iter().map(|(key, value)| (key.go_text(), value)).collect(),
            _ => Vec::new(),
        }
    }

    fn text(&self, field: &str) -> &str {
        self.get(field).map_or("", object::node_text)
    }

    fn lists(&self, found: &mut Vec<RefusedValue>) {
        for item in self.items("tlsCipherSuites", "tls-cipher-suites") {
            if tls::cipher_suite(object::node_text(item)).is_none() {
                let wanted = "Go's names, such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
                found.push(refuse("tlsCipherSuites", item, wanted));
            }
        }
        if let Some(node) = self.own("tlsMinVersion", "tls-min-version") {
            let text = object::node_text(node);
            if !text.is_empty() && !tls::versions().iter().any(|known| known == text) {
                found.push(refuse("tlsMinVersion", node, tls::versions().join(", ")));
            }
        }
        for taint in self.items("registerWithTaints", "register-with-taints") {
            if let Some(wanted) = taint_fault(taint) {
                found.push(refuse("registerWithTaints", taint, wanted));
            }
        }
        let enforced = self.items("enforceNodeAllocatable", "enforce-node-allocatable");
        for item in enforced {
            let text = object::node_text(item);
            let cgroup = match text {
                "kube-reserved" | "kube-reserved-compressible" => "kubeReservedCgroup",
                "system-reserved" | "system-reserved-compressible" => "systemReservedCgroup",
                _ => "",
            };
            let flag = if cgroup == "kubeReservedCgroup" {
                "kube-reserved-cgroup"
            } else {
                "system-reserved-cgroup"
            };
            let wanted = if !ENFORCED.contains(&text) {
                ENFORCED.join(", ")
            } else if text == "none" && enforced.len() > 1 {
                "none with no other".to_owned()
            } else if !cgroup.is_empty() && self.text(cgroup).is_empty() && !(self.given)(flag) {
                format!("{text} only with {cgroup}")
            } else {
                continue;
            };
            found.push(refuse("enforceNodeAllocatable", item, wanted));
        }
    }

    fn maps(&self, found: &mut Vec<RefusedValue>) {
        // The argument feature-gates adds to the gates of the files.
        let gates: Vec<_> = self.entries("featureGates", "").into_iter().collect();
        let texts: Vec<String> =
            gates.iter().map(|(name, value)| format!("{name}={}", value.go_text())).collect();
        for (_, fault) in gate_flag::faults("kubelet", self.minor, &[&texts.join(",")]) {
            let named = gates.iter().find(|(name, _)| fault.gate() == Some(name.as_str()));
            if let Some((name, value)) = named.or(gates.last()) {
                found.push(refuse(&format!("featureGates.{name}"), value, fault.wanted(self.minor)));
            }
        }
        for (field, flag) in [("kubeReserved", "kube-reserved"), ("systemReserved", "system-reserved")] {
            for (name, value) in self.entries(field, flag) {
                let path = format!("{field}.{name}");
                let amount = quantity::parse(object::node_text(value));
                if !RESERVED.contains(&name.as_str()) {
                    let wanted = format!("nothing: only {} can be reserved", RESERVED.join(", "));
                    found.push(refuse(&path, value, wanted));
                } else if amount.is_none_or(|amount| amount < 0) {
                    found.push(refuse(&path, value, "a quantity such as 100m or 1Gi, 0 or more"));
                }
            }
        }
        for (field, flag) in [
            ("evictionHard", "eviction-hard"),
            ("evictionSoft", "eviction-soft"),
            ("evictionMinimumReclaim", "eviction-minimum-reclaim"),
            ("evictionSoftGracePeriod", "eviction-soft-grace-period"),
        ] {
            for (signal, value) in self.entries(field, flag) {
                let path = format!("{field}.{signal}");
                if !SIGNALS.contains(&signal.as_str()) {
                    let wanted = format!("nothing: the signals of eviction are {}", SIGNALS.join(", "));
                    found.push(refuse(&path, value, wanted));
                    continue;
                }
                let text = object::node_text(value);
                let wanted = if field == "evictionSoftGracePeriod" {
                    let is_fine = flag_values::duration(text).is_some_and(|length| length >= 0);
                    (!is_fine).then_some("a duration such as 90s")
                } else {
                    (!is_threshold(text)).then_some("a quantity such as 100Mi, or a percentage such as 5%")
                };
                found.extend(wanted.map(|wanted| refuse(&path, value, wanted)));
            }
        }
        if self.text("cpuManagerPolicy") == "static" {
            for (name, value) in self.entries("cpuManagerPolicyOptions", "cpu-manager-policy-options") {
                if !CPU_OPTIONS.contains(&name.as_str()) {
                    let wanted = format!("nothing: the options are {}", CPU_OPTIONS.join(", "));
                    found.push(refuse(&format!("cpuManagerPolicyOptions.{name}"), value, wanted));
                }
            }
        }
        for (index, memory) in self.items("reservedMemory", "reserved-memory").iter().enumerate() {
            let Some(YamlValue::Map(limits)) = object::field(memory, "limits").map(|limits| &limits.value)
            else {
                continue;
            };
            for (name, value) in limits {
                let name = name.go_text();
                if name != "memory" && !name.starts_with("hugepages-") {
                    let path = format!("reservedMemory[{index}].limits.{name}");
                    found.push(refuse(&path, value, "nothing: the limits are memory and hugepages-SIZE"));
                }
            }
        }
        let periods: BTreeMap<String, &YamlNode> =
            self.entries("evictionSoftGracePeriod", "eviction-soft-grace-period").into_iter().collect();
        if !(self.given)("eviction-soft-grace-period") {
            for (signal, value) in self.entries("evictionSoft", "eviction-soft") {
                if SIGNALS.contains(&signal.as_str()) && !periods.contains_key(&signal) {
                    let wanted = "a value only with evictionSoftGracePeriod of the same signal";
                    found.push(refuse(&format!("evictionSoft.{signal}"), value, wanted));
                }
            }
        }
    }

    fn pairs(&self, found: &mut Vec<RefusedValue>) {
        let number = |field: &str, default: i128| {
            let node = self.get(field);
            node.and_then(|node| amount(&node.go_text())).unwrap_or(default)
        };
        let mut pair = |is_wrong: bool, field: &str, flags: &[&str], wanted: &str| {
            if let Some(node) =
                self.get(field).filter(|_| is_wrong && !flags.iter().any(|flag| (self.given)(flag)))
            {
                found.push(refuse(field, node, wanted));
            }
        };
        let (low, high) = ("imageGCLowThresholdPercent", "imageGCHighThresholdPercent");
        let is_wrong = number(low, 80) >= number(high, 85);
        let flags = ["image-gc-low-threshold", "image-gc-high-threshold"];
        let named = if self.get(low).is_some() { low } else { high };
        pair(is_wrong, named, &flags, "a low threshold below the high one (80 and 85 by default)");
        // 0 means the default.
        let least = match number("imageMinimumGCAge", 0) {
            0 => DEFAULT_MINIMUM_AGE,
            least => least,
        };
        let most = number("imageMaximumGCAge", 0);
        pair(most > 0 && most <= least, "imageMaximumGCAge", &[], "more than imageMinimumGCAge");
        let critical = number("shutdownGracePeriodCriticalPods", 0);
        let is_wrong = critical > number("shutdownGracePeriod", 0);
        pair(is_wrong, "shutdownGracePeriodCriticalPods", &[], "no more than shutdownGracePeriod");
        // K3s' own configuration sets it to false.
        let serial = self.get("serializeImagePulls").is_none_or(|node| node.go_text() == "true");
        let is_wrong = number("maxParallelImagePulls", 1) > 1 && serial;
        let wanted = "1, unless serializeImagePulls is false";
        pair(is_wrong, "maxParallelImagePulls", &["serialize-image-pulls"], wanted);
        let cpus = self.text("reservedSystemCPUs");
        let has_cgroup =
            ["systemReservedCgroup", "kubeReservedCgroup"].iter().any(|field| !self.text(field).is_empty());
        let is_wrong = !cpus.is_empty() && has_cgroup;
        pair(is_wrong, "reservedSystemCPUs", &["reserved-cpus"], "nothing beside a reserved cgroup");
        let is_wrong = !cpus.is_empty() && !is_cpu_set(cpus);
        pair(is_wrong, "reservedSystemCPUs", &["reserved-cpus"], "CPUs such as 0-2,4");
        let reserves_cpu = ["systemReserved", "kubeReserved"].iter().any(|field| {
            let amount = self.get(&format!("{field}.cpu")).map(object::node_text);
            amount.and_then(quantity::parse).is_some_and(|amount| amount > 0)
        });
        let is_wrong = self.text("cpuManagerPolicy") == "static" && cpus.is_empty() && !reserves_cpu;
        let flags = ["cpu-manager-policy", "reserved-cpus", "system-reserved", "kube-reserved"];
        pair(is_wrong, "cpuManagerPolicy", &flags, "static only with CPUs reserved (reservedSystemCPUs)");
        let reserves = self.get("reservedMemory").is_some();
        let is_wrong = self.text("memoryManagerPolicy") == "Static" && !reserves;
        let flags = ["memory-manager-policy", "reserved-memory"];
        pair(is_wrong, "memoryManagerPolicy", &flags, "Static only with reservedMemory");
        let is_gate_off = self
            .get("featureGates.RotateKubeletServerCertificate")
            .is_some_and(|gate| gate.go_text() == "false");
        let is_wrong =
            is_gate_off && self.get("serverTLSBootstrap").is_some_and(|value| value.go_text() == "true");
        let wanted = "true only with the feature gate RotateKubeletServerCertificate";
        pair(is_wrong, "serverTLSBootstrap", &["rotate-server-certificates"], wanted);
        let logs = self.get("podLogsDir").map(object::node_text).unwrap_or_default();
        let is_clean = |path: &str| {
            path.starts_with('/')
                && path.is_ascii()
                && path[1..].split('/').all(|part| !matches!(part, "" | "." | ".."))
        };
        let is_wrong = !logs.is_empty() && logs != "/" && !is_clean(logs);
        pair(is_wrong, "podLogsDir", &["pod-logs-dir"], "an absolute path without . and ..");
        let lists = self
            .get("preloadedImagesVerificationAllowlist")
            .is_some_and(|node| matches!(&node.value, YamlValue::List(items) if !items.is_empty()));
        let policy = self.text("imagePullCredentialsVerificationPolicy");
        let is_wrong = lists && policy != "NeverVerifyAllowlistedImages";
        let wanted = "a list only with imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages";
        pair(is_wrong, "preloadedImagesVerificationAllowlist", &[], wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{component_flags, kubelet_fields, yaml};

    fn fields(text: &str, given: &str) -> Vec<String> {
        let minor = "1.36".parse().unwrap();
        let root = yaml::read(text.as_bytes()).unwrap().unwrap();
        let decoded = kubelet_fields::decode(&root, minor);
        assert!(decoded.faults.is_empty() && decoded.unknown.is_empty(), "{text}: {decoded:?}");
        refused(&decoded, minor, &|flag| !given.is_empty() && flag == given)
            .into_iter()
            .map(|refused| refused.field)
            .collect()
    }

    #[test]
    fn rules_name_fields_and_arguments_that_there_are() {
        let newest = *KubernetesMinor::supported().last().unwrap();
        for rule in RULES.iter() {
            let value = match (&rule.one_of, &rule.least) {
                (Some(known), _) => known.last().unwrap().clone(),
                (None, least) => least.clone().unwrap(),
            };
            let text = rule.field.split('.').rev().fold(value, |value, name| format!("{{{name}: {value}}}"));
            let root = yaml::read(text.as_bytes()).unwrap().unwrap();
            let decoded = kubelet_fields::decode(&root, newest);
            assert!(
                decoded.fields.contains_key(&rule.field) && decoded.faults.is_empty(),
                "{text}: {decoded:?}"
            );
            if let Some(flag) = &rule.flag {
                assert!(component_flags::all()["kubelet"].contains_key(flag), "{flag}");
            }
        }
    }

    #[test]
    fn values_are_refused_as_the_kubelet_does() {
        for (text, field) in [
            ("maxPods: -5", "maxPods"),
            ("oomScoreAdj: 2000", "oomScoreAdj"),
            ("shutdownGracePeriod: 10ms", "shutdownGracePeriod"),
            ("topologyManagerPolicy: bogus", "topologyManagerPolicy"),
            ("tlsCipherSuites: [TLS_NOPE]", "tlsCipherSuites"),
            ("kubeReserved: {memory: -1Gi}", "kubeReserved.memory"),
            ("systemReserved: {bogus: '1'}", "systemReserved.bogus"),
            ("evictionHard: {memory.availble: 100Mi}", "evictionHard.memory.availble"),
            ("evictionHard: {memory.available: 101%}", "evictionHard.memory.available"),
            ("evictionSoft: {memory.available: 1%}", "evictionSoft.memory.available"),
            ("imageGCHighThresholdPercent: 80", "imageGCHighThresholdPercent"),
            ("imageGCLowThresholdPercent: 90", "imageGCLowThresholdPercent"),
            ("imageMaximumGCAge: 1s", "imageMaximumGCAge"),
            ("shutdownGracePeriodCriticalPods: 10s", "shutdownGracePeriodCriticalPods"),
            ("maxParallelImagePulls: 5", "maxParallelImagePulls"),
            ("reservedSystemCPUs: abc", "reservedSystemCPUs"),
            ("cpuManagerPolicy: static", "cpuManagerPolicy"),
            ("memoryManagerPolicy: Static", "memoryManagerPolicy"),
            ("enforceNodeAllocatable: [kube-reserved]", "enforceNodeAllocatable"),
            ("registerWithTaints: [{key: a b, effect: NoSchedule}]", "registerWithTaints"),
            ("registerWithTaints: [{key: a, effect: Nope}]", "registerWithTaints"),
            ("featureGates: {NoSuchGate: true}", "featureGates.NoSuchGate"),
            ("podLogsDir: /var/log/../x", "podLogsDir"),
            ("reservedMemory: [{numaNode: 0, limits: {cpu: 1}}]", "reservedMemory[0].limits.cpu"),
            ("imageMinimumGCAge: 0s\nimageMaximumGCAge: 1s", "imageMaximumGCAge"),
            (
                "cpuManagerPolicy: static\nreservedSystemCPUs: '0'\ncpuManagerPolicyOptions: {nope: 'true'}",
                "cpuManagerPolicyOptions.nope",
            ),
            (
                "serverTLSBootstrap: true\nfeatureGates: {RotateKubeletServerCertificate: false}",
                "serverTLSBootstrap",
            ),
        ] {
            assert_eq!(fields(text, ""), [field], "{text}");
        }
        for text in [
            "maxPods: 0",
            "oomScoreAdj: -999",
            "shutdownGracePeriod: 0s",
            "topologyManagerPolicy: ''",
            "kubeReserved: {cpu: 100m, pid: '100'}",
            "evictionSoft: {memory.available: 1%}\nevictionSoftGracePeriod: {memory.available: 90s}",
            "imageGCHighThresholdPercent: 90\nimageGCLowThresholdPercent: 85",
            "serializeImagePulls: false\nmaxParallelImagePulls: 5",
            "cpuManagerPolicy: static\nreservedSystemCPUs: '0'",
            "registerWithTaints: [{key: a.b/c, value: x, effect: NoSchedule}]",
            "enforceNodeAllocatable: [pods]",
        ] {
            assert_eq!(fields(text, ""), Vec::<String>::new(), "{text}");
        }
        assert_eq!(fields("maxPods: -5", "max-pods"), Vec::<String>::new());
    }
}
