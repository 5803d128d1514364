// SPDX-License-Identifier: Apache-2.0
//! The configuration file that kube-proxy's argument `config` names.
//!
//! Source: cmd/kube-proxy/app/options.go (`loadConfig`, `Complete`), pkg/proxy/apis/config/validation and
//! k8s.io/component-base/featuregate of Kubernetes.

use super::config_fields::{self, DecodedFields};
use super::config_settings;
use super::gate_flag::{self, GateFault};
use super::object::{self, Fault, Located, ObjectFile, Position, Refusal};
use super::settings::{self, ComponentSettings, RefusedSetting};
use super::yaml::{YamlNode, YamlValue};
use crate::version::KubernetesMinor;

const KIND: &str = "KubeProxyConfiguration";
const NAME: &str = "kube-proxy";
/// The name of the rules (data/rules-kube-proxy-config.yaml).
const RULES: &str = "kube-proxy-config";

/// The first minor whose kube-proxy looks at the field `logging`.
const LOGGING_FROM: KubernetesMinor = KubernetesMinor::new(28);

/// A configuration that kube-proxy decodes.
#[derive(Debug, Default)]
pub struct ProxyConfig {
    /// What kube-proxy refuses in it: the field, and where it is; an argument has no place there.
    pub refused: Vec<(RefusedSetting, Option<Position>)>,
    /// Fields that are unknown or there twice: kube-proxy logs them and drops them.
    pub dropped: Vec<Fault>,
    /// The kubeconfig, which the argument does not override; none if the file names none.
    pub kubeconfig: Option<Located<String>>,
    /// The position of a second document, which is not read.
    pub second_document: Option<Position>,
}

/// Why kube-proxy cannot decode a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyRefusal {
    /// It is no YAML or JSON, or a field has the wrong type.
    Syntax,
    /// Its API version or kind is another.
    Version,
}

/// Reads a configuration as kube-proxy of a minor reads it. `flags` has its arguments, of which those of logging count more.
///
/// # Errors
/// Why kube-proxy cannot decode it.
pub fn read(
    bytes: &[u8],
    minor: KubernetesMinor,
    flags: &ComponentSettings,
) -> Result<ProxyConfig, Refusal<ProxyRefusal>> {
    let syntax = || Refusal::with_reason(ProxyRefusal::Syntax);
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    document.kind().map_err(syntax())?;
    document
        .expect(&config_fields::registered(KIND, minor))
        .map_err(Refusal::with_reason(ProxyRefusal::Version))?;
    let decoded = config_fields::decode_file(&document, minor).map_err(syntax())?;
    let mut settings = config_settings::settings(&decoded, KIND, flags);
    settings.know_minor(minor);
    let mut refused = refused_gates(&decoded, minor);
    if minor >= LOGGING_FROM {
        refused.extend(refused_modules(&decoded));
    }
    for one in settings::refused(RULES, &settings, minor) {
        let position = decoded.fields.get(&one.setting).map(|node| node.position);
        refused.push((one, position));
    }
    let kubeconfig = decoded.fields.get("clientConnection.kubeconfig");
    let kubeconfig = kubeconfig.map(|node| Located { value: node.go_text(), position: node.position });
    Ok(ProxyConfig {
        refused,
        dropped: decoded.unknown,
        kubeconfig: kubeconfig.filter(|named| !named.value.is_empty()),
        second_document: document.second_document,
    })
}

/// `Validate` of logs/api/v1, for the field `logging.vmodule`.
fn refused_modules(decoded: &DecodedFields) -> Vec<(RefusedSetting, Option<Position>)> {
    let Some(YamlValue::List(items)) = decoded.fields.get("logging.vmodule").map(|node| &node.value) else {
        return Vec::new();
    };
    let refusal = |(index, item): (usize, &YamlNode)| {
        let pattern = object::text(item, "filePattern");
        let says = match pattern {
            "" => "Required value: File pattern must not be empty".to_owned(),
            pattern if pattern.contains(['=', ',']) => {
                format!("Invalid value: {pattern:?}: File pattern must not contain equal sign or comma")
            }
            _ => return None,
        };
        let setting = format!("logging.vmodule[{index}]");
        let message = format!("{setting}: {says}");
        let write = "write the pattern of a file's name".to_owned();
        Some((
            RefusedSetting {
                part: None,
                is_up_to_machine: false,
                setting,
                others: Vec::new(),
                is_by_itself: true,
                rests_on_names: false,
                code: "argument-refused",
                says: message.clone(),
                message,
                write,
            },
            Some(item.position),
        ))
    };
    items.iter().enumerate().filter_map(refusal).collect()
}

/// `SetFromMap`, for the field `featureGates`.
fn refused_gates(decoded: &DecodedFields, minor: KubernetesMinor) -> Vec<(RefusedSetting, Option<Position>)> {
    let Some(YamlValue::Map(pairs)) = decoded.fields.get("featureGates").map(|node| &node.value) else {
        return Vec::new();
    };
    let texts: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", name.go_text(), value.go_text())).collect();
    let faults = gate_flag::faults(NAME, minor, &[&texts.join(",")]).into_iter();
    let refused = |fault: GateFault| {
        let named = pairs.iter().find(|(name, _)| fault.gate() == Some(name.go_text().as_str()));
        let (name, value) = named.or(pairs.last())?;
        let refused = RefusedSetting {
            part: None,
            is_up_to_machine: false,
            others: Vec::new(),
            is_by_itself: true,
            rests_on_names: !matches!(fault, GateFault::NoValue { .. } | GateFault::Value { .. }),
            setting: format!("featureGates.{}", name.go_text()),
            code: "argument-refused",
            message: fault.message(),
            says: fault.message(),
            write: fault.remedy(),
        };
        Some((refused, Some(value.position)))
    };
    faults.filter_map(|(_, fault)| refused(fault)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kube-proxy refuses first: a reason, or a setting; empty if it takes the document.
    fn refused(text: &str, minor: &str, flags: &[(&str, &str)]) -> String {
        let minor = minor.parse().unwrap();
        let flags = crate::kubernetes::component_flags::settings("kube-proxy", minor, flags.iter().copied());
        let text =
            format!("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{text}");
        match read(text.as_bytes(), minor, &flags) {
            Ok(config) => config.refused.first().map(|(one, _)| one.setting.clone()).unwrap_or_default(),
            Err(refusal) => format!("{:?}", refusal.reason),
        }
    }

    #[test]
    fn what_kube_proxy_of_a_minor_refuses() {
        for (text, minor, setting) in [
            ("", "1.36", ""),
            ("mode: nope", "1.36", "mode"),
            ("mode: userspace", "1.25", ""),
            ("mode: nftables", "1.28", "mode"),
            ("mode: nftables", "1.30", "mode"),
            ("mode: nftables\nfeatureGates: {NFTablesProxyMode: true}", "1.30", ""),
            ("mode: nftables", "1.31", ""),
            ("mode: ipvs\nfeatureGates: {KubeProxyIPVS: false}", "1.37", "mode"),
            ("mode: 3", "1.36", "Syntax"),
            ("configSyncPeriod: null", "1.36", "Syntax"),
            ("conntrack: {tcpCloseWaitTimeout: null}", "1.36", ""),
            ("nope: 1", "1.36", ""),
            ("clusterCIDR: 10.42.0.0/16,fd00::/48", "1.36", ""),
            ("clusterCIDR: 10.42.0.0/16,10.44.0.0/16", "1.36", "clusterCIDR"),
            ("clusterCIDR: abc\ndetectLocalMode: NodeCIDR", "1.36", ""),
            ("clusterCIDR: abc\ndetectLocalMode: NodeCIDR", "1.30", "clusterCIDR"),
            ("metricsBindAddress: abc", "1.36", "metricsBindAddress"),
            ("metricsBindAddress: 127.0.0.1", "1.36", ""),
            ("metricsBindAddress: 127.0.0.1:0", "1.36", "metricsBindAddress"),
            ("healthzBindAddress: ''", "1.36", ""),
            ("iptables: {syncPeriod: 500ms}", "1.36", "iptables.syncPeriod"),
            ("iptables: {syncPeriod: 500ms}\nmode: ipvs", "1.36", ""),
            ("iptables: {syncPeriod: -1s}\nmode: ipvs", "1.30", "iptables.syncPeriod"),
            ("iptables: {syncPeriod: 0s}", "1.36", ""),
            ("nodePortAddresses: [primary]", "1.36", ""),
            ("nodePortAddresses: [primary]", "1.30", "nodePortAddresses"),
            ("nodePortAddresses: [primary, localhost]", "1.37", ""),
            ("detectLocalMode: BridgeInterface", "1.36", "detectLocalMode"),
            ("featureGates: {Nope: true}", "1.36", "featureGates.Nope"),
            ("logging: {format: nope}", "1.36", "logging.format"),
            ("logging: {vmodule: [{filePattern: 'a=b', verbosity: 1}]}", "1.36", "logging.vmodule[0]"),
            ("showHiddenMetricsForVersion: '1.34'", "1.36", "showHiddenMetricsForVersion"),
            ("showHiddenMetricsForVersion: '1.35'", "1.36", ""),
            (
                "logging: {options: {json: {infoBufferSize: 1Ki}}}",
                "1.36",
                "logging.options.json.infoBufferSize",
            ),
            ("logging: {options: {json: {infoBufferSize: '0'}}}", "1.36", ""),
        ] {
            assert_eq!(refused(text, minor, &[]), setting, "{minor}: {text}");
        }
    }

    #[test]
    fn arguments_of_logging_count_more_than_the_file() {
        assert_eq!(refused("logging: {format: nope}", "1.36", &[("logging-format", "text")]), "");
        assert_eq!(refused("", "1.36", &[("logging-format", "nope")]), "logging.format");
        assert_eq!(refused("mode: ipvs", "1.36", &[("proxy-mode", "nope")]), "");
    }
}
