// SPDX-License-Identifier: Apache-2.0
//! policy.yaml: the objects that K3s creates in the cluster when it starts, one template for each kind of policy.

use serde::Serialize;
use tera::Context;

use super::engine::Engine;
use super::network_addons::{IngressController, LoadBalancer, TRAEFIK};
use super::present::{PresentFiles, PresentObject};
use super::target::RenderTarget;
use crate::k3s::packaged::SwitchedOff;
use crate::kubernetes::names;
use crate::profile::{Origin, Profile};

/// One part of policy.yaml: written when its setting is on (none: always), if the run is about its controls. Otherwise
/// what the node's file has of it stays.
struct PolicyPart {
    template: &'static str,
    setting: Option<&'static str>,
    /// K3s's packaged component that it is for; none if it is for another, or for more.
    component: Option<&'static str>,
    controls: &'static [&'static str],
    objects: PartObjects,
}

/// The objects of a part in the node's file; without names any of these kinds.
#[derive(Debug, Clone, Copy)]
struct PartObjects {
    kinds: &'static [&'static str],
    names: &'static [&'static str],
}

const fn network_policies(names: &'static [&'static str]) -> PartObjects {
    PartObjects { kinds: &["NetworkPolicy"], names }
}

/// The parts in the order in which they are written.
const PARTS: &[PolicyPart] = &[
    PolicyPart {
        template: "policy/intra-namespace.yaml.tera",
        setting: Some("intra_namespace_policy"),
        component: None,
        controls: NETWORK,
        objects: network_policies(&["intra-namespace"]),
    },
    PolicyPart {
        template: "policy/ingress-to.yaml.tera",
        setting: None,
        component: None,
        controls: NETWORK,
        objects: network_policies(&["allow-traefik", "allow-nginx", "allow-haproxy", "allow-custom"]),
    },
    PolicyPart {
        template: "policy/dns.yaml.tera",
        setting: Some("dns_policy"),
        component: None,
        controls: NETWORK,
        objects: network_policies(&["default-network-dns-policy"]),
    },
    PolicyPart {
        template: "policy/metrics-server.yaml.tera",
        setting: Some("metrics_server_policy"),
        component: Some("metrics-server"),
        controls: NETWORK,
        objects: network_policies(&["allow-all-metrics-server"]),
    },
    PolicyPart {
        template: "policy/svclb.yaml.tera",
        setting: Some("svclb_policy"),
        component: Some("servicelb"),
        controls: NETWORK,
        objects: network_policies(&["allow-all-svclbtraefik-ingress"]),
    },
    PolicyPart {
        template: "policy/traefik.yaml.tera",
        setting: Some("traefik_policy"),
        component: Some("traefik"),
        controls: NETWORK,
        objects: network_policies(&["allow-all-traefik-v121-ingress"]),
    },
    PolicyPart {
        template: "policy/ingress-controller.yaml.tera",
        setting: None,
        component: None,
        controls: NETWORK,
        objects: network_policies(&[
            "allow-all-traefik-ingress",
            "allow-all-nginx-ingress",
            "allow-all-haproxy-ingress",
            "allow-all-custom-ingress",
        ]),
    },
    PolicyPart {
        template: "policy/load-balancer.yaml.tera",
        setting: None,
        component: None,
        controls: NETWORK,
        objects: network_policies(&["allow-load-balancer-webhook"]),
    },
    PolicyPart {
        template: "policy/default-service-accounts.yaml.tera",
        setting: Some("default_service_accounts"),
        component: None,
        controls: &["default-service-account"],
        objects: PartObjects { kinds: &["ServiceAccount"], names: &["default"] },
    },
    PolicyPart {
        template: POD_SECURITY_POLICIES,
        setting: Some("pod_security_policies"),
        component: None,
        controls: &["pod-security", "pod-security-policy-plugin"],
        objects: PartObjects {
            kinds: &["PodSecurityPolicy", "ClusterRole", "ClusterRoleBinding", "RoleBinding"],
            names: &[],
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
pub(super) fn templates(profile: &Profile, target: &RenderTarget) -> impl Iterator<Item = &'static str> {
    PARTS.iter().filter(|part| part.is_rendered(profile, target)).map(|part| part.template)
}

/// Writes the parts; returns their text and the controls that they implement.
pub(super) fn render(
    engine: &Engine,
    profile: &Profile,
    target: &RenderTarget,
    context: &mut Context,
) -> (String, Vec<&'static str>) {
    let present = &target.present;
    context.insert("controller", &IngressController::of(profile));
    context.insert("balancer", &LoadBalancer::of(profile));
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
            PartText::Rendered if part.is_rendered(profile, target) => engine.render(part.template, context),
            PartText::Rendered => String::new(),
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

/// Returns the place of an object in the order in which ours are written; any other comes last.
pub(super) fn rank(kind: &str, name: &str) -> usize {
    PARTS.iter().position(|part| part.objects.has(kind, name)).unwrap_or(PARTS.len())
}

/// Returns the controls of the part that an object is of; none if it is none of ours.
pub(super) fn controls_of_object(kind: &str, name: &str) -> &'static [&'static str] {
    PARTS.iter().find(|part| part.objects.has(kind, name)).map_or(&[], |part| part.controls)
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
pub(super) fn warnings(profile: &Profile, target: &RenderTarget) -> Vec<String> {
    let mut warnings = Vec::new();
    if !profile.selection.wants(NETWORK) {
        return warnings;
    }
    warnings.extend(warnings_of_packaged(profile, target));
    let controller = IngressController::of(profile);
    let isolated =
        if profile.is_on("intra_namespace_policy") { profile.texts("namespaces") } else { Vec::new() };
    let reachable = profile.texts("ingress_to");
    for namespace in isolated.iter().chain(&reachable) {
        let text = format!(
            "the namespace {namespace} does not exist yet at K3s's first start: until it exists, K3s logs an error every 15 s"
        );
        if !names::BUILT_IN_NAMESPACES.contains(&namespace.as_str()) && !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    if isolated.iter().any(|name| name == "kube-system") && !profile.is_on("dns_policy") {
        warnings.push("dns_policy is off: pods outside kube-system cannot resolve DNS names".to_owned());
    }
    let closed: Vec<&str> = isolated
        .iter()
        .map(String::as_str)
        .filter(|name| !name.starts_with("kube-") && !reachable.iter().any(|open| open == name))
        .collect();
    if let (Some(why), false) = (controller.why, reachable.is_empty()) {
        warnings.push(format!(
            "ingress_to does not allow traffic from {}: {why}. Each of the namespaces {} needs a CiliumNetworkPolicy with fromEntities: [ingress] (docs/how-to/ingress-controllers.md)",
            controller.name,
            reachable.join(", ")
        ));
    } else if !closed.is_empty() {
        let (names, name) = (closed.join(", "), controller.name);
        let let_in = match controller.why {
            Some(why) => format!("{why}: allow its traffic with a CiliumNetworkPolicy"),
            None => format!("to allow {name}: --set ingress_to={}", closed.join(",")),
        };
        warnings.push(format!(
            "NetworkPolicy intra-namespace blocks {name} and NodePort traffic to applications in {names}; {let_in}"
        ));
    }
    if !reachable.is_empty() && controller.packaged && target.packaged.off.contains_key(TRAEFIK) {
        warnings.push(
            "ingress_to allows traffic from the Traefik of K3s, but K3s does not run it here: set ingress_controller to your ingress controller"
                .to_owned(),
        );
    }
    warnings
}

/// Returns warnings about the packaged components that K3s does not run.
fn warnings_of_packaged(profile: &Profile, target: &RenderTarget) -> Vec<String> {
    let mut warnings = Vec::new();
    let off = &target.packaged.off;
    for part in PARTS {
        let Some((component, setting)) =
            part.component.zip(part.setting).filter(|_| profile.is_on(part.setting.unwrap_or_default()))
        else {
            continue;
        };
        let Some(SwitchedOff { reason, place }) = off.get(component) else { continue };
        let names = part.objects.names.join(", ");
        match part.leftover(profile, target) {
            Leftover::None => {}
            Leftover::Gone => warnings.push(format!(
                "{place}: {reason}: policy.yaml has no NetworkPolicy for {component}. If you install your own in kube-system with the same labels, allow its traffic: --set {setting}=true"
            )),
            Leftover::Stays => warnings.push(format!(
                "{place}: {reason}: policy.yaml keeps {names} from an earlier run, for your own {component}. If you have none, remove the policy: --set {setting}=false"
            )),
        }
    }
    if let Some(SwitchedOff { reason, place }) = off.get("coredns") {
        warnings.push(if profile.is_on("dns_policy") {
            format!(
                "{place}: {reason}: the cluster does not use the CoreDNS of K3s; default-network-dns-policy allows queries only to pods in kube-system with the label k8s-app=kube-dns"
            )
        } else {
            format!("{place}: {reason}, and dns_policy is off: no NetworkPolicy allows DNS queries to kube-system")
        });
    }
    warnings
}

/// What becomes of a part whose component K3s does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leftover {
    /// K3s runs it, or somebody asks for the part.
    None,
    /// It is on the node already, and stays.
    Stays,
    /// It is not written.
    Gone,
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
    /// Tells whether the template is rendered: what is for a component that K3s does not run is written only if somebody asks for it,
    /// and stays where it is (adr/0039).
    fn is_rendered(&self, profile: &Profile, target: &RenderTarget) -> bool {
        self.text(profile, &target.present) == PartText::Rendered
            && self.leftover(profile, target) != Leftover::Gone
    }

    /// Tells what becomes of a part whose component K3s does not run.
    fn leftover(&self, profile: &Profile, target: &RenderTarget) -> Leftover {
        let is_off = self.component.is_some_and(|component| target.packaged.off.contains_key(component));
        let is_told = self.setting.is_some_and(|setting| {
            profile.values.get(setting).is_some_and(|resolved| resolved.origin != Origin::Default)
        });
        match is_off && !is_told {
            false => Leftover::None,
            true if self.objects.names.iter().any(|name| target.packaged.there.contains(*name)) => {
                Leftover::Stays
            }
            true => Leftover::Gone,
        }
    }

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
        self.objects.has(&object.kind, &object.name)
    }
}

impl PartObjects {
    fn has(self, kind: &str, name: &str) -> bool {
        self.kinds.contains(&kind) && (self.names.is_empty() || self.names.contains(&name))
    }
}
