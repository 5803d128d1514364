// SPDX-License-Identifier: Apache-2.0
//! policy.yaml: the objects that K3s creates in the cluster when it starts, one template for each kind of policy.

use serde::Serialize;
use tera::Context;

use super::engine::Engine;
use super::present::{PresentFiles, PresentObject};
use crate::kubernetes::names;
use crate::profile::Profile;

/// One part of policy.yaml: written when its setting is on (none: always), if the run is about its controls. Otherwise
/// what the node's file has of it stays.
struct PolicyPart {
    template: &'static str,
    setting: Option<&'static str>,
    controls: &'static [&'static str],
    objects: PartObjects,
}

/// The objects of a part in the node's file; without a name any of these kinds.
#[derive(Debug, Clone, Copy)]
struct PartObjects {
    kinds: &'static [&'static str],
    name: Option<&'static str>,
}

const fn network_policy(name: &'static str) -> PartObjects {
    PartObjects { kinds: &["NetworkPolicy"], name: Some(name) }
}

/// The parts in the order in which they are written.
const PARTS: &[PolicyPart] = &[
    PolicyPart {
        template: "policy/intra-namespace.yaml.tera",
        setting: Some("intra_namespace_policy"),
        controls: NETWORK,
        objects: network_policy("intra-namespace"),
    },
    PolicyPart {
        template: "policy/ingress-to.yaml.tera",
        setting: None,
        controls: NETWORK,
        objects: network_policy("allow-traefik"),
    },
    PolicyPart {
        template: "policy/dns.yaml.tera",
        setting: Some("dns_policy"),
        controls: NETWORK,
        objects: network_policy("default-network-dns-policy"),
    },
    PolicyPart {
        template: "policy/metrics-server.yaml.tera",
        setting: Some("metrics_server_policy"),
        controls: NETWORK,
        objects: network_policy("allow-all-metrics-server"),
    },
    PolicyPart {
        template: "policy/svclb.yaml.tera",
        setting: Some("svclb_policy"),
        controls: NETWORK,
        objects: network_policy("allow-all-svclbtraefik-ingress"),
    },
    PolicyPart {
        template: "policy/traefik.yaml.tera",
        setting: Some("traefik_policy"),
        controls: NETWORK,
        objects: network_policy("allow-all-traefik-v121-ingress"),
    },
    PolicyPart {
        template: "policy/default-service-accounts.yaml.tera",
        setting: Some("default_service_accounts"),
        controls: &["default-service-account"],
        objects: PartObjects { kinds: &["ServiceAccount"], name: Some("default") },
    },
    PolicyPart {
        template: POD_SECURITY_POLICIES,
        setting: Some("pod_security_policies"),
        controls: &["pod-security", "pod-security-policy-plugin"],
        objects: PartObjects {
            kinds: &["PodSecurityPolicy", "ClusterRole", "ClusterRoleBinding", "RoleBinding"],
            name: None,
        },
    },
];
const NETWORK: &[&str] = &["network-policies"];
const POD_SECURITY_POLICIES: &str = "policy/pod-security-policies.yaml.tera";

/// The roles that may use a PodSecurityPolicy: (role, policy).
const ROLES: [(&str, &str); 5] = [
    ("psp:restricted-psp", "restricted-psp"),
    ("psp:system-unrestricted-psp", "system-unrestricted-psp"),
    ("psp:svclb-psp", "svclb-psp"),
    ("psp:svc-local-path-provisioner-psp", "system-unrestricted-psp"),
    ("psp:svc-coredns-psp", "system-unrestricted-psp"),
];

/// Who has them; without a namespace the binding is for the whole cluster.
const BINDINGS: [RbacBinding; 6] = [
    RbacBinding {
        name: "default:restricted-psp",
        namespace: "",
        role: "psp:restricted-psp",
        kind: "Group",
        subject: "system:authenticated",
    },
    RbacBinding {
        name: "system-unrestricted-node-psp-rolebinding",
        namespace: "",
        role: "psp:system-unrestricted-psp",
        kind: "Group",
        subject: "system:nodes",
    },
    RbacBinding {
        name: "system-unrestricted-svc-acct-psp-rolebinding",
        namespace: "kube-system",
        role: "psp:system-unrestricted-psp",
        kind: "Group",
        subject: "system:serviceaccounts",
    },
    RbacBinding {
        name: "svclb-psp-rolebinding",
        namespace: "kube-system",
        role: "psp:svclb-psp",
        kind: "ServiceAccount",
        subject: "svclb",
    },
    RbacBinding {
        name: "svc-local-path-provisioner-psp-rolebinding",
        namespace: "kube-system",
        role: "psp:svc-local-path-provisioner-psp",
        kind: "ServiceAccount",
        subject: "local-path-provisioner-service-account",
    },
    RbacBinding {
        name: "svc-coredns-psp-rolebinding",
        namespace: "kube-system",
        role: "psp:svc-coredns-psp",
        kind: "ServiceAccount",
        subject: "coredns",
    },
];

/// Rancher's CIS operator, whose namespace K3s does not make: while it is missing, K3s logs an error every 15 s.
const CIS_OPERATOR_ROLE: (&str, &str) = ("psp:svc-cis-operator-psp", "system-unrestricted-psp");
const CIS_OPERATOR_BINDING: RbacBinding = RbacBinding {
    name: "svc-cis-operator-psp-rolebinding",
    namespace: "cis-operator-system",
    role: "psp:svc-cis-operator-psp",
    kind: "ServiceAccount",
    subject: "cis-operator-serviceaccount",
};

#[derive(Debug, Clone, Copy, Serialize)]
struct RbacBinding {
    name: &'static str,
    namespace: &'static str,
    role: &'static str,
    kind: &'static str,
    subject: &'static str,
}

#[derive(Debug, Serialize)]
struct RbacRole {
    name: &'static str,
    policy: &'static str,
}

/// Returns the templates of the parts that are rendered.
pub(super) fn templates(profile: &Profile, present: &PresentFiles) -> impl Iterator<Item = &'static str> {
    PARTS.iter().filter(|part| part.text(profile, present) == PartText::Rendered).map(|part| part.template)
}

/// Writes the parts; returns their text and the controls that they implement.
pub(super) fn render(
    engine: &Engine,
    profile: &Profile,
    present: &PresentFiles,
    context: &mut Context,
) -> (String, Vec<&'static str>) {
    let mut roles = ROLES.to_vec();
    let mut bindings = BINDINGS.to_vec();
    if profile.is_on("cis_operator_binding") {
        roles.push(CIS_OPERATOR_ROLE);
        bindings.push(CIS_OPERATOR_BINDING);
    }
    if has_pod_security_policies(profile, present) {
        context.insert(
            "roles",
            &roles.into_iter().map(|(name, policy)| RbacRole { name, policy }).collect::<Vec<_>>(),
        );
        context.insert("bindings", &bindings);
    }
    let (mut text, mut controls) = (String::new(), Vec::new());
    for part in PARTS {
        let body = match part.text(profile, present) {
            PartText::Rendered => engine.render(part.template, context),
            PartText::Kept(body) => body,
        };
        if !body.is_empty() {
            text.push_str(&body);
            controls.extend(part.controls);
        }
    }
    (text, controls)
}

/// Writes all parts that the profile has on, whatever the run is about.
pub(super) fn render_all(profile: &Profile, context: &Context) -> String {
    let is_on = |part: &&PolicyPart| part.setting.is_none_or(|setting| profile.is_on(setting));
    // Those of PodSecurityPolicies are on minors that no admission configuration is for, and need a context of their own.
    let parts: Vec<&PolicyPart> =
        PARTS.iter().filter(is_on).filter(|part| part.template != POD_SECURITY_POLICIES).collect();
    let engine = Engine::new(parts.iter().map(|part| part.template));
    parts.iter().map(|part| engine.render(part.template, context)).collect()
}

/// Tells whether an object is one of the guide's PodSecurityPolicies, or gives somebody one, and the minor has none.
pub(super) fn is_gone(profile: &Profile, kind: &str, name: &str) -> bool {
    let is_role =
        kind == "ClusterRole" && ROLES.iter().chain([&CIS_OPERATOR_ROLE]).any(|(role, _)| *role == name);
    let is_binding = ["ClusterRoleBinding", "RoleBinding"].contains(&kind)
        && BINDINGS.iter().chain([&CIS_OPERATOR_BINDING]).any(|binding| binding.name == name);
    let is_gone = PARTS.iter().any(|part| part.template == POD_SECURITY_POLICIES && part.is_gone(profile));
    is_gone && (is_role || is_binding)
}

/// Tells whether PodSecurityPolicy objects are among the parts.
pub(super) fn has_pod_security_policies(profile: &Profile, present: &PresentFiles) -> bool {
    let part = PARTS.iter().find(|part| part.template == POD_SECURITY_POLICIES);
    part.is_some_and(|part| part.text(profile, present) != PartText::Kept(String::new()))
}

/// Tells whether a run is about a part of policy.yaml, or drops one that the minor does not have.
pub(super) fn is_changed_by(profile: &Profile, present: &PresentFiles) -> bool {
    let has = |part: &PolicyPart| present.objects().unwrap_or_default().iter().any(|object| part.has(object));
    PARTS.iter().any(|part| profile.selection.wants(part.controls) || part.is_gone(profile) && has(part))
}

/// Returns the controls of each object of policy.yaml; none if one is not ours.
pub(super) fn controls_of(present: &PresentFiles) -> Option<Vec<&'static [&'static str]>> {
    let part = |object: &PresentObject| PARTS.iter().find(|part| part.has(object)).map(|part| part.controls);
    present.objects()?.iter().map(part).collect()
}

/// Returns warnings about traffic that the policies block, and about namespaces that do not exist.
pub(super) fn warnings(profile: &Profile) -> Vec<String> {
    let mut warnings = Vec::new();
    if !profile.selection.wants(NETWORK) {
        return warnings;
    }
    let isolated =
        if profile.is_on("intra_namespace_policy") { profile.texts("namespaces") } else { Vec::new() };
    let reachable = profile.texts("ingress_to");
    for namespace in isolated.iter().chain(&reachable) {
        let text = format!(
            "the namespace {namespace} does not exist at K3s' first start: until somebody makes it, K3s logs an error every 15 s"
        );
        if !names::BUILT_IN_NAMESPACES.contains(&namespace.as_str()) && !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    if isolated.iter().any(|name| name == "kube-system") && !profile.is_on("dns_policy") {
        warnings.push("without dns_policy no pod outside of kube-system resolves names".to_owned());
    }
    let closed: Vec<&str> = isolated
        .iter()
        .map(String::as_str)
        .filter(|name| !name.starts_with("kube-") && !reachable.iter().any(|open| open == name))
        .collect();
    if !closed.is_empty() {
        let names = closed.join(", ");
        warnings.push(format!(
            "applications in {names} will not be reached through Traefik or NodePorts, because intra-namespace keeps \
             other namespaces out; let Traefik in with --set ingress_to={}",
            closed.join(",")
        ));
    }
    warnings
}

/// The text of a part.
#[derive(Debug, PartialEq, Eq)]
enum PartText {
    /// That of its template.
    Rendered,
    /// What the node has of it, which may be nothing.
    Kept(String),
}

impl PolicyPart {
    fn text(&self, profile: &Profile, present: &PresentFiles) -> PartText {
        let on = self.setting.is_none_or(|setting| profile.is_on(setting));
        match present.objects() {
            _ if profile.selection.wants(self.controls) && on => PartText::Rendered,
            _ if profile.selection.wants(self.controls) || self.is_gone(profile) => {
                PartText::Kept(String::new())
            }
            Some(objects) => {
                let own = objects.iter().filter(|object| self.has(object));
                PartText::Kept(own.map(|object| object.text.as_str()).collect())
            }
            // The file cannot be taken apart: nothing of it is removed.
            None if on => PartText::Rendered,
            None => PartText::Kept(String::new()),
        }
    }

    /// Tells whether the minor does not have the objects: their setting has no value then.
    fn is_gone(&self, profile: &Profile) -> bool {
        self.setting.is_some_and(|setting| profile.value(setting).is_null())
    }

    fn has(&self, object: &PresentObject) -> bool {
        let PartObjects { kinds, name } = self.objects;
        kinds.contains(&object.kind.as_str()) && name.is_none_or(|name| name == object.name)
    }
}
