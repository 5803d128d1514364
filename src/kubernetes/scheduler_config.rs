// SPDX-License-Identifier: Apache-2.0
//! The configuration file that kube-scheduler's argument `config` names.
//!
//! Source: cmd/kube-scheduler/app/options, pkg/scheduler/apis/config/validation and pkg/scheduler/scheduler.go of
//! Kubernetes. Every minor decodes the file strictly.

use std::collections::HashSet;

use super::config_fields;
use super::config_settings;
use super::names;
use super::object::{self, Fault, Located, ObjectFile, Refusal, refuse_dropped};
use super::scheduler_outcome::{RULES, SchedulerConfig, SchedulerContext, SchedulerRefusal, Validated};
use super::scheduler_profiles;
use super::settings::{self, ComponentSettings};
use super::yaml::YamlNode;
use crate::version::KubernetesMinor;

const KIND: &str = "KubeSchedulerConfiguration";
/// The files of an extender's TLS configuration.
const TLS_FILES: [&str; 3] = ["certFile", "keyFile", "caFile"];

/// Reads a configuration as kube-scheduler of a minor reads it. `flags` has its arguments, of which those of leader election
/// count more than the file; of the others only feature gates count.
///
/// # Errors
/// Why kube-scheduler cannot decode it.
pub fn read(bytes: &[u8], minor: KubernetesMinor, flags: &ComponentSettings) -> Validated<SchedulerConfig> {
    let context = SchedulerContext { minor, flags };
    let syntax = || Refusal::with_reason(SchedulerRefusal::Syntax);
    let document = ObjectFile::read(bytes).map_err(syntax())?;
    let (version, _) = document.kind().map_err(syntax())?;
    document
        .expect(&config_fields::registered(KIND, minor))
        .map_err(Refusal::with_reason(SchedulerRefusal::Version))?;
    let decoded = config_fields::decode_file(&document, minor).map_err(syntax())?;
    refuse_dropped(&decoded.unknown).map_err(Refusal::with_reason(SchedulerRefusal::Field))?;
    let mut config =
        SchedulerConfig { second_document: document.second_document, ..SchedulerConfig::default() };
    let root = &document.root;
    let profiles = object::items(root, "profiles");
    scheduler_profiles::check(&document, profiles, &version, context, &mut config)?;
    for one in settings::refused(RULES, &config_settings::settings(&decoded, KIND, flags), minor) {
        let position = decoded.fields.get(&one.setting).map(|node| node.position);
        config.refused.push((one, position));
    }
    config.check_extenders(object::items(root, "extenders"));
    let connection = object::field(root, "clientConnection");
    config.kubeconfig = connection.and_then(|connection| located(connection, "kubeconfig"));
    Ok(config)
}

/// Returns the text of a field, if it has one.
fn located(node: &YamlNode, name: &str) -> Option<Located<String>> {
    let text = object::text(node, name);
    (!text.is_empty()).then(|| Located { value: text.to_owned(), position: object::position_of(node, name) })
}

impl SchedulerConfig {
    /// `validateExtenders`, and what `NewHTTPExtender` opens.
    fn check_extenders(&mut self, extenders: &[YamlNode]) {
        let mut managed = HashSet::new();
        let mut binders = 0;
        for (index, extender) in extenders.iter().enumerate() {
            let path = format!("extenders[{index}]");
            let weight = object::number(extender, "weight");
            if !object::text(extender, "prioritizeVerb").is_empty() && weight <= 0 {
                let message = format!(
                    "{path}.weight: Invalid value: {weight}: must have a positive weight applied to it"
                );
                self.faults.push(Fault::new(object::position_of(extender, "weight"), message));
            }
            if !object::text(extender, "bindVerb").is_empty() {
                binders += 1;
                if binders > 1 {
                    let message = "extenders: Invalid value: only one extender can implement bind";
                    self.faults.push(Fault::new(object::position_of(extender, "bindVerb"), message));
                }
            }
            for (at, resource) in object::items(extender, "managedResources").iter().enumerate() {
                let name = object::text(resource, "name");
                let path = format!("{path}.managedResources[{at}].name: Invalid value: {name:?}");
                let message = if !names::is_qualified(name) {
                    format!("{path}: name part must consist of alphanumeric characters, '-', '_' or '.'")
                } else if !is_extended_resource(name) {
                    format!("{path}: is an invalid extended resource name")
                } else if !managed.insert(name.to_owned()) {
                    format!("{path}: duplicate extender managed resource name")
                } else {
                    continue;
                };
                self.faults.push(Fault::new(object::position_of(resource, "name"), message));
            }
            if let Some(tls) = object::field(extender, "tlsConfig") {
                self.check_tls(extender, tls);
            }
        }
    }

    /// `TLSConfigFor` of client-go: the files count as soon as one thing asks for TLS.
    fn check_tls(&mut self, extender: &YamlNode, tls: &YamlNode) {
        let is_on = |node: &YamlNode, name: &str| {
            object::field(node, name).is_some_and(|value| value.go_text() == "true")
        };
        let has = |name: &str| {
            let names = [name.to_owned(), name.replace("File", "Data")];
            names.iter().any(|name| !object::text(tls, name).is_empty())
        };
        let [certificate, key, authority] = TLS_FILES.map(has);
        let insecure = is_on(tls, "insecure") || (is_on(extender, "enableHTTPS") && !authority);
        if insecure && authority {
            let message = "specifying a root certificates file with the insecure flag is not allowed";
            self.faults.push(Fault::new(tls.position, message));
        }
        if insecure || authority || (certificate && key) || !object::text(tls, "serverName").is_empty() {
            let is_file = |name: &&str| object::text(tls, &name.replace("File", "Data")).is_empty();
            self.files.extend(TLS_FILES.into_iter().filter(is_file).filter_map(|name| located(tls, name)));
        }
    }
}

/// `IsExtendedResourceName`.
fn is_extended_resource(name: &str) -> bool {
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    !is_native && !name.starts_with("requests.") && names::is_qualified(&format!("requests.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

    /// What kube-scheduler refuses first: a reason, a setting, or a fault; empty if it takes the document.
    fn refused(text: &str, minor: &str, flags: &[(&str, &str)]) -> String {
        let minor = minor.parse().unwrap();
        let flags =
            crate::kubernetes::component_flags::settings("kube-scheduler", minor, flags.iter().copied());
        let text = if text.starts_with("apiVersion") { text.to_owned() } else { format!("{HEAD}{text}") };
        match read(text.as_bytes(), minor, &flags) {
            Ok(config) => {
                let fault = config.faults.first().map(|fault| fault.message.clone());
                config.refused.first().map(|(one, _)| one.setting.clone()).or(fault).unwrap_or_default()
            }
            Err(refusal) => format!("{:?}: {}", refusal.reason, refusal.fault.message),
        }
    }

    #[test]
    fn what_kube_scheduler_refuses() {
        let args = |name: &str, args: &str| {
            format!("profiles: [{{pluginConfig: [{{name: {name}, args: {args}}}]}}]")
        };
        for (text, minor, says) in [
            (String::new(), "1.36", ""),
            (HEAD.replace("/v1", "/v1beta3"), "1.28", ""),
            (HEAD.replace("/v1", "/v1beta3"), "1.29", "Version"),
            (HEAD.replace("KubeSch", "Sch"), "1.36", "Version"),
            ("nope: 1".into(), "1.36", "Field: strict decoding error: unknown field \"nope\""),
            ("parallelism: 1\nparallelism: 2".into(), "1.36", "Field"),
            ("parallelism: '1'".into(), "1.36", "Syntax"),
            ("parallelism: 0".into(), "1.36", "parallelism"),
            ("podMaxBackoffSeconds: 0".into(), "1.36", "podMaxBackoffSeconds"),
            ("leaderElection: {leaseDuration: 5s}".into(), "1.36", "leaderElection.leaseDuration"),
            ("leaderElection: {leaseDuration: 5s, leaderElect: false}".into(), "1.36", ""),
            ("leaderElection: {resourceLock: endpoints}".into(), "1.36", "leaderElection.resourceLock"),
            ("leaderElection: {resourceLock: endpoints}".into(), "1.26", ""),
            (
                "profiles: [{schedulerName: a}, {schedulerName: a}]".into(),
                "1.36",
                "profiles[1].schedulerName: Duplicate",
            ),
            ("profiles: [{}, {schedulerName: a}]".into(), "1.36", "profiles[0].schedulerName: Required"),
            (
                "profiles: [{percentageOfNodesToScore: 101}]".into(),
                "1.36",
                "profiles[0].percentageOfNodesToScore",
            ),
            (args("NodeResourcesFit", "{scoringStrategy: {type: Most}}"), "1.36", "scoringStrategy.type"),
            (args("NodeResourcesFit", "{nope: 1}"), "1.36", "Field"),
            (args("NodeResourcesFit", "{ignoredResources: 3}"), "1.36", "Syntax"),
            (args("NodeResourcesFit", "{kind: VolumeBindingArgs}"), "1.36", "Version"),
            (args("InterPodAffinity", "{hardPodAffinityWeight: 101}"), "1.36", "hardPodAffinityWeight"),
            (args("Mine", "{whatever: 1}"), "1.36", ""),
            (
                args("VolumeBinding", "{shape: [{utilization: 0, score: 1}]}"),
                "1.36",
                "profiles[0].pluginConfig[0].args.shape",
            ),
            (args("VolumeBinding", "{shape: [{utilization: 0, score: 1}]}"), "1.37", ""),
            (
                args("VolumeBinding", "{shape: [{utilization: 0, score: 11}]}"),
                "1.37",
                "profiles[0].pluginConfig[0].args.shape",
            ),
            ("extenders: [{urlPrefix: x, prioritizeVerb: p}]".into(), "1.36", "extenders[0].weight"),
            (
                "extenders: [{managedResources: [{name: cpu}]}]".into(),
                "1.36",
                "extenders[0].managedResources[0].name",
            ),
            ("extenders: [{managedResources: [{name: a.example/b}]}]".into(), "1.36", ""),
        ] {
            let found = refused(&text, minor, &[]);
            assert!(
                found.starts_with(says) && found.is_empty() == says.is_empty(),
                "{minor} {text}: {found}"
            );
        }
    }

    #[test]
    fn arguments_of_leader_election_count_more_than_the_file() {
        let off = "leaderElection: {leaderElect: false}";
        assert_eq!(refused(off, "1.36", &[("leader-elect-lease-duration", "5s")]), "");
        let flags = [("leader-elect", "true"), ("leader-elect-lease-duration", "5s")];
        assert_eq!(refused(off, "1.36", &flags), "leaderElection.leaseDuration");
    }
}
