// SPDX-License-Identifier: Apache-2.0
//! Readers that take nothing they do not know: the API types, and the configurations that have none.

use std::collections::{BTreeMap, BTreeSet};

use k3s_harden::version::KubernetesMinor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::support::minor;

/// Reads one object as its kind; the error names the field.
pub(crate) fn read(minor: KubernetesMinor, object: &Value) -> Result<(), String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let old = minor < self::minor("1.25");
    match (text("apiVersion"), text("kind")) {
        ("networking.k8s.io/v1", "NetworkPolicy") if old => {
            known_fields::<k8s_1_24::api::networking::v1::NetworkPolicy>(object)
        }
        ("networking.k8s.io/v1", "NetworkPolicy") => {
            known_fields::<k8s_1_37::api::networking::v1::NetworkPolicy>(object)
        }
        ("v1", "ServiceAccount") if old => known_fields::<k8s_1_24::api::core::v1::ServiceAccount>(object),
        ("v1", "ServiceAccount") => known_fields::<k8s_1_37::api::core::v1::ServiceAccount>(object),
        ("policy/v1beta1", "PodSecurityPolicy") if old => {
            known_fields::<k8s_1_24::api::policy::v1beta1::PodSecurityPolicy>(object)
        }
        ("rbac.authorization.k8s.io/v1", "ClusterRole") if old => {
            known_fields::<k8s_1_24::api::rbac::v1::ClusterRole>(object)
        }
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") if old => {
            known_fields::<k8s_1_24::api::rbac::v1::ClusterRoleBinding>(object)
        }
        ("rbac.authorization.k8s.io/v1", "RoleBinding") if old => {
            known_fields::<k8s_1_24::api::rbac::v1::RoleBinding>(object)
        }
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => {
            known_fields::<k8s_1_37::api::rbac::v1::ClusterRole>(object)
        }
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            known_fields::<k8s_1_37::api::rbac::v1::ClusterRoleBinding>(object)
        }
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => {
            known_fields::<k8s_1_37::api::rbac::v1::RoleBinding>(object)
        }
        ("v1", "Secret") => {
            // Whoever takes it fills the cluster's name in.
            let mut object = object.clone();
            let annotations = object["metadata"]["annotations"].as_mapping_mut().ok_or("no annotations")?;
            annotations.retain(|_, value| !value.is_null());
            known_fields::<k8s_1_37::api::core::v1::Secret>(&object)
        }
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => {
            known_fields::<k8s_1_37::api::admissionregistration::v1::ValidatingAdmissionPolicy>(object)
        }
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding") => {
            known_fields::<k8s_1_37::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding>(object)
        }
        ("audit.k8s.io/v1", "Policy") => known_fields::<AuditPolicy>(object),
        ("apiserver.config.k8s.io/v1", "AdmissionConfiguration") => {
            let configuration: AdmissionConfiguration = parsed(object)?;
            configuration.plugins.iter().try_for_each(plugin)
        }
        ("apiserver.config.k8s.io/v1" | "apiserver.config.k8s.io/v1beta1", "AuthenticationConfiguration") => {
            known_fields::<AuthenticationConfiguration>(object)
        }
        ("provisioning.cattle.io/v1", "Cluster") => known_fields::<Cluster>(object),
        (version, kind) => Err(format!("unknown kind {kind:?} of {version:?}")),
    }
}

fn known_fields<T: DeserializeOwned>(object: &Value) -> Result<(), String> {
    parsed::<T>(object).map(drop)
}

fn parsed<T: DeserializeOwned>(object: &Value) -> Result<T, String> {
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(object.clone(), &mut track);
    let mut unknown = Vec::new();
    // In a path, ? stands for an optional field that is there.
    let read = serde_ignored::deserialize(reader, |path| unknown.push(path.to_string().replace("?.", "")));
    let read = read.map_err(|error| format!("{}: {error}", track.path()))?;
    if unknown.is_empty() { Ok(read) } else { Err(format!("unknown field {}", unknown.join(", "))) }
}

fn plugin(plugin: &AdmissionPlugin) -> Result<(), String> {
    let text = |key: &str| plugin.configuration.get(key).and_then(Value::as_str).unwrap_or_default();
    match (plugin.name.as_str(), text("apiVersion"), text("kind")) {
        ("PodSecurity", "pod-security.admission.config.k8s.io/v1", "PodSecurityConfiguration") => {
            let configuration: PodSecurityConfiguration = parsed(&plugin.configuration)?;
            let exempt = configuration.exemptions.namespaces;
            let names: BTreeSet<&String> = exempt.iter().collect();
            // The API server refuses to start on a name that is there twice.
            if names.len() == exempt.len() { Ok(()) } else { Err("a namespace is exempt twice".to_owned()) }
        }
        ("EventRateLimit", "eventratelimit.admission.k8s.io/v1alpha1", "Configuration") => {
            known_fields::<EventRateLimits>(&plugin.configuration)
        }
        (
            "ValidatingAdmissionPolicy",
            "apiserver.config.k8s.io/v1",
            "ValidatingAdmissionPolicyConfiguration",
        ) => known_fields::<StaticPolicies>(&plugin.configuration),
        other => Err(format!("unknown plugin {other:?}")),
    }
}

// The fields of the types below are there to be read, not to be used.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct AuditPolicy {
    api_version: String,
    kind: String,
    rules: Vec<AuditRule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct AuditRule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<Verb>,
    #[serde(default)]
    resources: Vec<GroupResources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct GroupResources {
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

#[derive(Deserialize)]
enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

#[derive(Deserialize)]
enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct AuthenticationConfiguration {
    api_version: String,
    kind: String,
    anonymous: AnonymousAccess,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct AnonymousAccess {
    enabled: bool,
    conditions: Vec<AnonymousPath>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct AnonymousPath {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdmissionConfiguration {
    #[expect(dead_code)]
    api_version: String,
    #[expect(dead_code)]
    kind: String,
    plugins: Vec<AdmissionPlugin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmissionPlugin {
    name: String,
    configuration: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodSecurityConfiguration {
    #[expect(dead_code)]
    api_version: String,
    #[expect(dead_code)]
    kind: String,
    #[expect(dead_code)]
    defaults: PodSecurityDefaults,
    exemptions: PodSecurityExemptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code)]
struct PodSecurityDefaults {
    enforce: PodSecurityLevel,
    enforce_version: String,
    audit: PodSecurityLevel,
    audit_version: String,
    warn: PodSecurityLevel,
    warn_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PodSecurityLevel {
    Privileged,
    Baseline,
    Restricted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodSecurityExemptions {
    #[expect(dead_code)]
    usernames: Vec<String>,
    namespaces: Vec<String>,
    #[expect(dead_code)]
    runtime_classes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct StaticPolicies {
    api_version: String,
    kind: String,
    static_manifests_dir: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct EventRateLimits {
    api_version: String,
    kind: String,
    limits: Vec<EventRateLimit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct EventRateLimit {
    r#type: LimitType,
    qps: i32,
    burst: i32,
    cache_size: Option<i32>,
}

#[derive(Deserialize)]
enum LimitType {
    Server,
    Namespace,
    User,
    SourceAndObject,
}

/// As far as the guide's templates go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct Cluster {
    api_version: String,
    kind: String,
    metadata: ClusterName,
    spec: ClusterSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct ClusterName {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct ClusterSpec {
    default_pod_security_admission_configuration_template_name: Option<String>,
    enable_network_policy: bool,
    kubernetes_version: Option<String>,
    rke_config: RkeConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct RkeConfig {
    machine_global_config: BTreeMap<String, MachineValue>,
    machine_selector_config: Vec<MachineSelector>,
    machine_selector_files: Vec<MachineFiles>,
}

/// RKEProvisioningFiles in Rancher's pkg/apis/rke.cattle.io/v1, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct MachineFiles {
    machine_label_selector: Option<MatchLabels>,
    file_sources: Vec<FileSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code)]
struct MatchLabels {
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct FileSource {
    secret: SecretSource,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct SecretSource {
    name: String,
    items: Vec<KeyToPath>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct KeyToPath {
    key: String,
    path: String,
    permissions: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct MachineSelector {
    config: BTreeMap<String, MachineValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code)]
enum MachineValue {
    Switch(bool),
    Text(String),
    Arguments(Vec<String>),
}
