// SPDX-License-Identifier: Apache-2.0
//! Checks the level that Pod Security admission enforces: by default, and in each namespace.

use serde_json::Value;

use super::pod_check::{PodSecurityCheck, ROOT, ROOT_IN_USER_NAMESPACES};
use crate::error::{Place, Result};
use crate::kubernetes::object::Located;
use crate::kubernetes::pod_security::{
    ENFORCE_LABEL, ENFORCE_VERSION_LABEL, PodSecurityLevel, version_minor,
};
use crate::preflight::pod_security::PodSecurity;
use crate::verify::applied::{self, AppliedObject};
use crate::verify::cluster::{ObjectKind, label, name};
use crate::verify::evidence::{Evidence, list_names};
use crate::verify::facts::NodeFacts;
use crate::verify::rule_result::RuleResult;
use crate::version::KubernetesMinor;

const SERVER: &str = "kube-apiserver";
/// The namespace of K3s's own pods, which need permissions that the levels forbid.
const SYSTEM: &str = "kube-system";
/// The prefix of the user names of Kubernetes' own controllers.
const CONTROLLERS: &str = "system:serviceaccount:kube-system:";
/// The namespace that users work in unless they name another one.
const DEFAULT: &str = "default";

/// The enforced level, in the version of a minor; the newest version if the configuration names none.
#[derive(Debug, Clone, Copy)]
struct EnforcedLevel {
    level: PodSecurityLevel,
    minor: Option<u16>,
}

impl EnforcedLevel {
    /// Returns the version that counts: an API server knows no version newer than its own.
    fn version(self, server: KubernetesMinor) -> u16 {
        self.minor.map_or(server.number(), |minor| minor.min(server.number()))
    }

    /// Tells whether an API server that enforces the level forbids the pods of a check.
    fn forbids(self, pods: &PodSecurityCheck, server: KubernetesMinor) -> bool {
        let version = self.version(server);
        self.level >= pods.level_in(version) && version >= pods.since
    }

    fn describe(self) -> String {
        match self.minor {
            Some(minor) => format!("{} of v1.{minor}", self.level.name()),
            None => self.level.name().to_owned(),
        }
    }
}

/// The configuration of Pod Security admission: the defaults for namespaces without labels, and the exemptions.
struct PodSecurityDefaults {
    enforced: EnforcedLevel,
    /// The exempt namespaces.
    namespaces: Vec<String>,
    evidence: Vec<Evidence>,
    /// The other exemptions, in words.
    exempt: Vec<String>,
    /// The exemptions that anybody can use: a pod may name any runtime class, and a controller creates pods for
    /// everybody who may create its objects.
    for_anybody: Vec<String>,
}

/// Checks the enforced levels against the lowest level that forbids the pods.
pub(super) fn check(
    facts: &NodeFacts<'_>,
    pods: &PodSecurityCheck,
    security: &PodSecurity,
) -> Result<RuleResult> {
    let server = facts.node.minor();
    let required = pods.level_in(server.number());
    let expected = format!(
        "pods {} are rejected: the Pod Security level is {} or stricter",
        pods.words,
        required.name()
    );
    if !security.on {
        let text = "the admission plugin PodSecurity is switched off: any pod is admitted".to_owned();
        let flags = ["disable-admission-plugins", "feature-gates"];
        let place = flags.into_iter().find_map(|flag| facts.place_of(SERVER, flag));
        return Ok(RuleResult::met(false, expected, "no level is enforced", vec![Evidence { text, place }]));
    }
    let configured = configured(facts, security);
    let by_default = configured.enforced.forbids(pods, server);
    let mut weak = Vec::new();
    let mut evidence = configured.evidence.clone();
    if pods.about == ROOT && configured.enforced.version(server) >= ROOT_IN_USER_NAMESPACES {
        evidence.push(Evidence::without_place(
            "since 1.35 every level admits root in the pod's own user namespace (hostUsers: false); outside of it, this user is nobody",
        ));
    }
    let namespaces = labelled_namespaces(facts)?;
    if facts.started && facts.cluster.is_none() {
        let text = "namespace labels of the cluster override this, and were not checked (rerun with --live)";
        evidence.push(Evidence::without_place(text));
    }
    for LabelledNamespace { name: namespace, object, place } in namespaces {
        let level = label(&object, ENFORCE_LABEL).map(PodSecurityLevel::parse);
        let version = label(&object, ENFORCE_VERSION_LABEL);
        let enforced = EnforcedLevel {
            level: level.unwrap_or(configured.enforced.level),
            minor: version.map_or(configured.enforced.minor, version_minor),
        };
        if configured.namespaces.contains(&namespace) {
            continue;
        }
        let is_forbidden = enforced.forbids(pods, server);
        if !is_forbidden && namespace == SYSTEM {
            let level = enforced.describe();
            let text = format!("the labels of {namespace} make its level {level}, as K3s's own pods need it");
            evidence.push(Evidence { text, place });
            continue;
        }
        if !is_forbidden && (level.is_some() || by_default) {
            let text =
                format!("the labels of the namespace {namespace} make its level {}", enforced.describe());
            evidence.push(Evidence { text, place });
        }
        if !is_forbidden {
            weak.push(namespace);
        }
    }
    // Without a cluster only the namespaces of manifests are known, so the default counts.
    let is_live = facts.cluster.is_some();
    let open = configured.namespaces.iter().any(|exempt| exempt == DEFAULT);
    let met = (is_live || by_default) && weak.is_empty() && !open && configured.for_anybody.is_empty();
    let mut actual = if !weak.is_empty() && (is_live || by_default) {
        format!("weaker in {}", list_names(&weak))
    } else if is_live && !by_default {
        format!("{} by default, and stricter in every namespace", configured.enforced.describe())
    } else {
        configured.enforced.describe()
    };
    let others: Vec<&String> = configured.namespaces.iter().filter(|exempt| *exempt != SYSTEM).collect();
    if !others.is_empty() {
        let shown: Vec<&str> = others.iter().map(|exempt| exempt.as_str()).collect();
        actual.push_str(&format!(", but not for {}", list_names(&shown)));
    }
    if !configured.exempt.is_empty() {
        actual.push_str(&format!(", nor for {}", configured.exempt.join(", ")));
    }
    Ok(RuleResult::met(met, expected, actual, evidence))
}

/// A namespace with its labels.
struct LabelledNamespace {
    name: String,
    object: Value,
    /// The manifest that has it; none for a namespace of the running cluster.
    place: Option<Place>,
}

/// Returns the namespaces of the running cluster; without `--live` those of the manifests, which K3s applies repeatedly.
fn labelled_namespaces(facts: &NodeFacts<'_>) -> Result<Vec<LabelledNamespace>> {
    if let Some(cluster) = facts.live_cluster()? {
        let namespaces = cluster.list(ObjectKind::Namespace)?;
        let live = |object: &Value| LabelledNamespace {
            name: name(object).to_owned(),
            object: object.clone(),
            place: None,
        };
        return Ok(namespaces.iter().map(live).collect());
    }
    let namespaces = applied::of_kind(facts.applied_objects()?, ObjectKind::Namespace)?;
    let from_manifest = |namespace: &AppliedObject| LabelledNamespace {
        name: namespace.name().to_owned(),
        object: namespace.object.clone(),
        place: Some(namespace.place.clone()),
    };
    Ok(namespaces.into_iter().map(from_manifest).collect())
}

/// Reads the defaults and the exemptions.
fn configured(facts: &NodeFacts<'_>, security: &PodSecurity) -> PodSecurityDefaults {
    let Some((path, config)) = &security.configuration else {
        let text = "nothing configures PodSecurity: Kubernetes admits any pod by default".to_owned();
        let place =
            facts.place_of(SERVER, "admission-control-config-file").unwrap_or_else(|| facts.drop_in());
        return PodSecurityDefaults {
            enforced: EnforcedLevel { level: PodSecurityLevel::Privileged, minor: None },
            namespaces: Vec::new(),
            evidence: vec![Evidence { text, place: Some(place) }],
            exempt: Vec::new(),
            for_anybody: Vec::new(),
        };
    };
    let level = config.enforce.unwrap_or(PodSecurityLevel::Privileged);
    let enforced = EnforcedLevel { level, minor: version_minor(&config.enforce_version) };
    let at = |position| Some(Place { file: path.to_string(), position: Some(position) });
    let mut evidence = vec![Evidence {
        text: format!("defaults.enforce is {}", enforced.describe()),
        place: at(config.enforce_position),
    }];
    let (mut exempt, mut for_anybody) = (Vec::new(), Vec::new());
    let exemptions = [
        ("namespaces", None, &config.namespaces),
        ("usernames", Some("user"), &config.usernames),
        ("runtimeClasses", Some("runtime class"), &config.runtime_classes),
    ];
    for (field, word, Located { value: names, position }) in exemptions {
        if names.is_empty() {
            continue;
        }
        let reason = if *names == [SYSTEM] { ", as K3s's own pods need it" } else { "" };
        let text = format!("exemptions.{field} has {}{reason}", list_names(names));
        evidence.push(Evidence { text, place: at(*position) });
        let Some(word) = word else { continue };
        let is_for_anybody = |name: &&String| field == "runtimeClasses" || name.starts_with(CONTROLLERS);
        for_anybody.extend(names.iter().filter(is_for_anybody).cloned());
        exempt.push(format!("the {word} {}", list_names(names)));
    }
    if !for_anybody.is_empty() {
        evidence.push(Evidence::without_place(format!(
            "anybody's pods are exempt by {}",
            list_names(&for_anybody)
        )));
    }
    let namespaces = config.namespaces.value.clone();
    PodSecurityDefaults { enforced, namespaces, evidence, exempt, for_anybody }
}
