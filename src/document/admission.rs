// SPDX-License-Identifier: Apache-2.0
//! The policies that the API server loads from files before it serves its first request: server/admission.d.
//!
//! A policy and its binding stand in one file, so that the API server takes every state between two writes. A file begins
//! with an object and ends with one: the API server refuses a document that has comments alone.
//!
//! Source: pkg/admission/plugin/manifest and plugin/policy/manifest of k8s.io/apiserver v0.37.2; Kubernetes Enhancement
//! Proposal 5793.

use tera::Context;

use super::admission_files::{ACCESS, ADMISSION_FOLDER, PODS, SERVICES};
use super::engine::Engine;
use super::present::{PresentFiles, PresentObject};
use super::{DropIn, DropInArgument};
use crate::error::{Error, ErrorKind, Result};
use crate::kubernetes::admission_parts::SUFFIX;
use crate::kubernetes::feature_gates;
use crate::profile::Profile;

/// The plugin that takes the policies, and its entry in psa.yaml.
pub const POLICY_PLUGIN: &str = "ValidatingAdmissionPolicy";
/// The longest expression that Kubernetes compiles, in characters (cel-go, parser/options.go).
const MAX_EXPRESSION: usize = 100_000;
/// The argument that names the configuration of the admission plugins.
const ADMISSION_FILE: &str = "admission-control-config-file";

/// What a policy does with what it is against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AdmissionEffect {
    /// Nothing: it is not written.
    Off,
    /// The user gets a warning, and the audit log an entry.
    Audit,
    /// The request is refused.
    Deny,
}

impl AdmissionEffect {
    fn of(profile: &Profile, setting: &str) -> Self {
        match profile.value(setting).as_str() {
            Some("deny") => Self::Deny,
            Some("audit") => Self::Audit,
            _ => Self::Off,
        }
    }

    /// Returns the actions of a binding. The API server refuses Deny together with Warn.
    fn actions(self) -> [&'static str; 2] {
        [if self == Self::Deny { "Deny" } else { "Warn" }, "Audit"]
    }
}

/// A policy.
struct AdmissionPolicy {
    /// Its name without the ending.
    name: &'static str,
    file: &'static str,
    template: &'static str,
    /// The setting that has its effect.
    setting: &'static str,
    /// A list without which it is about nothing.
    list: Option<&'static str>,
    controls: &'static [&'static str],
    /// What it is against, for a message.
    about: &'static str,
}

const POLICIES: &[AdmissionPolicy] = &[
    AdmissionPolicy {
        name: "k3s-harden-system-masters",
        file: ACCESS,
        template: "admission/system-masters.yaml.tera",
        setting: "admission_system_masters",
        list: None,
        controls: &["system-masters"],
        about: "new bindings to the group system:masters",
    },
    AdmissionPolicy {
        name: "k3s-harden-wildcard-cluster-roles",
        file: ACCESS,
        template: "admission/wildcard-cluster-roles.yaml.tera",
        setting: "admission_wildcard_roles",
        list: None,
        controls: &["wildcards-in-roles"],
        about: WILDCARD_ROLES,
    },
    AdmissionPolicy {
        name: "k3s-harden-host-paths",
        file: PODS,
        template: "admission/host-paths.yaml.tera",
        setting: "admission_host_paths",
        list: None,
        controls: &["pod-security-host-path"],
        about: "pods that mount directories of their node",
    },
    AdmissionPolicy {
        name: "k3s-harden-token-mounts",
        file: PODS,
        template: "admission/token-mounts.yaml.tera",
        setting: "admission_token_mounts",
        list: None,
        controls: &["service-account-token-mounts"],
        about: "pods that get a service account's token without saying so",
    },
    AdmissionPolicy {
        name: "k3s-harden-image-digests",
        file: PODS,
        template: "admission/image-digests.yaml.tera",
        setting: "admission_image_digests",
        list: None,
        controls: &["image-provenance"],
        about: "images that are not named by their digest",
    },
    AdmissionPolicy {
        name: "k3s-harden-image-registries",
        file: PODS,
        template: "admission/image-registries.yaml.tera",
        setting: "admission_image_registries",
        list: Some("admission_registries"),
        controls: &["image-provenance"],
        about: "images from elsewhere than admission_registries",
    },
    AdmissionPolicy {
        name: "k3s-harden-exposed-services",
        file: SERVICES,
        template: "admission/exposed-services.yaml.tera",
        setting: "admission_exposed_services",
        list: None,
        controls: &["deny-service-external-ips"],
        about: "Services that can be reached from outside the cluster",
    },
];

const WILDCARD_ROLES: &str = "ClusterRoles of all verbs on all resources";

/// A policy as readers of a node know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenPolicy {
    /// The name of its objects.
    pub name: &'static str,
    /// The controls that it is about.
    pub controls: &'static [&'static str],
    /// What it is against.
    pub about: &'static str,
}

/// Returns the policy of ours that an object with this name belongs to, if there is one.
#[must_use]
pub fn written_policy(name: &str) -> Option<WrittenPolicy> {
    let found = POLICIES.iter().find(|policy| name.strip_suffix(SUFFIX) == Some(policy.name));
    found.map(|AdmissionPolicy { name, controls, about, .. }| WrittenPolicy { name, controls, about })
}

/// The text of a policy with its binding.
#[derive(Debug, PartialEq, Eq)]
enum AdmissionText {
    /// That of its template.
    Rendered(AdmissionEffect),
    /// What the node has of it, which may be nothing.
    Kept(String),
}

impl AdmissionPolicy {
    /// Returns the weaker of its own effect and of that of all policies.
    fn effect(&self, profile: &Profile) -> AdmissionEffect {
        if self.list.is_some_and(|list| profile.texts(list).is_empty()) {
            return AdmissionEffect::Off;
        }
        AdmissionEffect::of(profile, self.setting).min(AdmissionEffect::of(profile, "admission_policies"))
    }

    fn text(&self, profile: &Profile, present: &PresentFiles) -> AdmissionText {
        let effect = self.effect(profile);
        let rendered = match effect {
            AdmissionEffect::Off => AdmissionText::Kept(String::new()),
            effect => AdmissionText::Rendered(effect),
        };
        if profile.selection.wants(self.controls) || self.is_gone(profile) {
            return rendered;
        }
        match present.admission_objects(self.file) {
            Some(objects) => {
                let own = objects.iter().filter(|object| self.has(object));
                AdmissionText::Kept(own.map(|object| object.text.as_str()).collect())
            }
            // The file cannot be taken apart: nothing of it is removed.
            None => rendered,
        }
    }

    /// Tells whether the minor has no such policies: the setting has no value then.
    fn is_gone(&self, profile: &Profile) -> bool {
        profile.value(self.setting).is_null()
    }

    fn has(&self, object: &PresentObject) -> bool {
        object.name.strip_suffix(SUFFIX) == Some(self.name)
    }
}

fn of_file(key: &str) -> impl Iterator<Item = &'static AdmissionPolicy> {
    POLICIES.iter().filter(move |policy| policy.file == key)
}

/// Returns the templates.
pub(super) fn templates() -> impl Iterator<Item = &'static str> {
    POLICIES.iter().map(|policy| policy.template)
}

/// Returns the controls of all policies, each once.
pub(super) fn controls() -> Vec<&'static str> {
    let mut controls: Vec<&str> = POLICIES.iter().flat_map(|policy| policy.controls).copied().collect();
    controls.sort_unstable();
    controls.dedup();
    controls
}

/// Tells whether a run is about a policy of the file `key`, or drops one that the minor does not have.
pub(super) fn is_changed_by(key: &str, profile: &Profile, present: &PresentFiles) -> bool {
    let has = |policy: &AdmissionPolicy| {
        present.admission_objects(key).unwrap_or_default().iter().any(|object| policy.has(object))
    };
    of_file(key)
        .any(|policy| profile.selection.wants(policy.controls) || policy.is_gone(profile) && has(policy))
}

/// Returns the controls of each object of the file `key`; none if one is not ours, or it cannot be taken apart.
pub(super) fn controls_of(key: &str, present: &PresentFiles) -> Option<Vec<&'static [&'static str]>> {
    let controls =
        |object: &PresentObject| of_file(key).find(|policy| policy.has(object)).map(|policy| policy.controls);
    present.admission_objects(key)?.iter().map(controls).collect()
}

/// Writes the policies of the file `key`; returns their text and the controls that they implement.
pub(super) fn render(
    key: &str,
    engine: &Engine,
    profile: &Profile,
    present: &PresentFiles,
    context: &mut Context,
) -> (String, Vec<&'static str>) {
    for (name, text) in expressions(profile) {
        context.insert(name, &text);
    }
    let (mut texts, mut controls): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    for policy in of_file(key) {
        let text = match policy.text(profile, present) {
            AdmissionText::Rendered(effect) => {
                context.insert("name", &format!("{}{SUFFIX}", policy.name));
                context.insert("actions", &effect.actions());
                engine.render(policy.template, context)
            }
            // Each object begins with its line `---`, and the first of a file must not.
            AdmissionText::Kept(text) => text.strip_prefix("---\n").unwrap_or(&text).to_owned(),
        };
        if !text.is_empty() {
            texts.push(text);
            controls.extend(policy.controls);
        }
    }
    (texts.join("---\n"), controls)
}

/// Tells whether a profile has any policy written, on a node that has none yet.
#[must_use]
pub fn has_admission_policies(profile: &Profile) -> bool {
    POLICIES.iter().any(|policy| {
        profile.selection.wants(policy.controls) && policy.effect(profile) != AdmissionEffect::Off
    })
}

/// Refuses lists that make an expression too long: the API server would not start.
///
/// # Errors
/// [`ErrorKind::BadInput`], with the number of characters.
pub fn check(profile: &Profile) -> Result<()> {
    if AdmissionEffect::of(profile, "admission_policies") == AdmissionEffect::Off {
        return Ok(());
    }
    let longest = expressions(profile).map(|(_, text)| text.chars().count()).into_iter().max().unwrap_or(0);
    if longest <= MAX_EXPRESSION {
        return Ok(());
    }
    let message = format!(
        "an admission policy in {ADMISSION_FOLDER} would have an expression of {longest} characters; the limit of Kubernetes is {MAX_EXPRESSION}"
    );
    Err(Error::new(ErrorKind::BadInput, message)
        .hint("shorten the lists of exempt namespaces, roles or registries"))
}

/// Returns the texts that depend on lists of the profile, by the names that the templates have for them.
fn expressions(profile: &Profile) -> [(&'static str, String); 5] {
    let registries: Vec<String> = profile
        .texts("admission_registries")
        .into_iter()
        // Else ghcr.io would stand for ghcr.io.example.com too.
        .map(|registry| if registry.ends_with('/') { registry } else { registry + "/" })
        .collect();
    let not_in = |what: &str, names: &[String]| format!("!({what} in [{}])", listed(names));
    let mut roles = profile.texts("admission_allowed_wildcard_roles");
    if RANCHER_PRESETS.contains(&profile.texts("pod_security_preset").concat().as_str()) {
        roles.extend(RANCHER_ROLES.map(str::to_owned));
    }
    let mut exposing = vec![KUBE_SYSTEM.to_owned()];
    exposing.extend(profile.texts("admission_exposing_namespaces"));
    [
        ("not_exempt", not_in("request.namespace", &exempt_namespaces(profile))),
        ("not_exposing", not_in("request.namespace", &exposing)),
        // A request has no name where the API server is to generate one.
        ("not_allowed", format!("!(has(request.name) && request.name in [{}])", listed(&roles))),
        (
            "from_registries",
            format!("variables.added.all(i, [{}].exists(r, i.startsWith(r)))", listed(&registries)),
        ),
        ("registries_message", format!("images come from {} alone", registries.join(", "))),
    ]
}

/// The presets of Pod Security for clusters that Rancher manages.
const RANCHER_PRESETS: [&str; 2] = ["rancher", "rancher-documented"];
/// The ClusterRoles of all verbs on all resources that Rancher creates in each cluster that it manages: that of its agent
/// (pkg/systemtemplate/template.go), and that of the cluster's owners (pkg/data/management/role_data.go of rancher/rancher).
const RANCHER_ROLES: [&str; 2] = ["cattle-admin", "cluster-owner"];

/// K3s's own pods and Services are there.
const KUBE_SYSTEM: &str = "kube-system";

/// Returns the namespaces whose pods the policies leave alone: those that are exempt from Pod Security, and more.
fn exempt_namespaces(profile: &Profile) -> Vec<String> {
    let mut exempt = vec![KUBE_SYSTEM.to_owned()];
    for name in profile.exempt_namespaces().into_iter().chain(profile.texts("admission_exempt_namespaces")) {
        if !exempt.contains(&name) {
            exempt.push(name);
        }
    }
    exempt
}

/// Writes texts as strings of the Common Expression Language, behind commas.
fn listed(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| {
        let mut quoted = String::from("'");
        for letter in text.chars() {
            match letter {
                '\'' | '\\' => quoted.extend(['\\', letter]),
                ' '..='~' => quoted.push(letter),
                _ => quoted.push_str(&format!("\\U{:08x}", u32::from(letter))),
            }
        }
        quoted + "'"
    });
    quoted.collect::<Vec<_>>().join(", ")
}

/// Returns warnings for a run that changes the files: what is refused, and what the files need elsewhere. `gate` is the
/// feature gate that has to be set for them, if any, and `drop_in` the configuration as it is written.
pub(super) fn warnings(profile: &Profile, gate: Option<&str>, drop_in: &DropIn) -> Vec<String> {
    let mut warnings = vec![format!(
        "each API server reads only its own {ADMISSION_FOLDER}: run apply on every server of the cluster"
    )];
    let wanted = POLICIES.iter().filter(|policy| profile.selection.wants(policy.controls));
    let denied: Vec<&str> = wanted
        .filter(|policy| policy.effect(profile) == AdmissionEffect::Deny)
        .map(|policy| policy.about)
        .collect();
    if !denied.is_empty() {
        let roles = denied.contains(&WILDCARD_ROLES).then_some(
            "; if a workload creates such a ClusterRole (for example Argo CD), add it to admission_allowed_wildcard_roles; for Rancher, set pod_security_preset=rancher",
        );
        warnings.push(format!(
            "after the next restart, the API server rejects {}{}. To warn only: --set admission_policies=audit",
            denied.join(", "),
            roles.unwrap_or_default()
        ));
    }
    let mut arguments = drop_in.components.iter().flat_map(|component| &component.arguments);
    // A value of somebody else's stays: the file may be Rancher's.
    let theirs = arguments.find(|argument| argument.name == ADMISSION_FILE && argument.from.is_some());
    warnings.extend(theirs.map(|argument| {
        let DropInArgument { value, from, .. } = argument;
        format!(
            "{}: {ADMISSION_FILE} is {value} and is kept: the policies in {ADMISSION_FOLDER} take effect only if that file refers to their directory (plugin {POLICY_PLUGIN}, field staticManifestsDir)",
            from.as_deref().unwrap_or_default()
        )
    }));
    warnings.extend(gate.map(|gate| {
        let state = feature_gates::of_any(gate, profile.minor);
        let stage = state.map_or("not known", |state| state.stage.word());
        format!(
            "the admission policies need the feature gate {gate}, which is {stage} in Kubernetes {} and off by default: K3s enables it for all of its components, and its behaviour may change",
            profile.minor
        )
    }));
    warnings
}
