// SPDX-License-Identifier: Apache-2.0
//! Who reaches whom with the NetworkPolicies that are written: an interpreter of NetworkPolicies asks it for each ingress
//! controller and load balancer, on every minor.
//!
//! Source of the rules: kubernetes.io/docs/concepts/services-networking/network-policies. A pod that no policy selects takes
//! everything; else what one of the policies that select it lets in.

use std::collections::BTreeMap;

use k3s_harden::Role;
use k3s_harden::document::{PackagedPolicies, RenderTarget, Rendered};
use k3s_harden::profile::Profile;
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

use super::strict::read;
use super::support::{find, minor, profile, target, yaml};

/// A pod, or somebody outside of the cluster, who has no namespace.
#[derive(Debug, Clone)]
struct Peer {
    namespace: &'static str,
    labels: Vec<(&'static str, &'static str)>,
}

const OUTSIDE: Peer = Peer { namespace: "", labels: Vec::new() };

fn pod(namespace: &'static str, labels: &[(&'static str, &'static str)]) -> Peer {
    Peer { namespace, labels: labels.to_vec() }
}

/// Tells whether a selector selects labels; the policies have no expressions.
fn selects(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    let fields: Vec<&String> = selector.as_object().unwrap().keys().collect();
    assert!(fields.iter().all(|field| *field == "matchLabels"), "{selector}");
    let wanted = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    wanted.into_iter().all(|(key, value)| labels.get(key.as_str()).copied() == value.as_str())
}

/// Tells whether a port of a pod can be reached from somewhere.
fn reaches(policies: &[Value], from: &Peer, to: &Peer, port: u64) -> bool {
    let labels = |peer: &Peer| peer.labels.iter().copied().collect::<BTreeMap<_, _>>();
    let mut selecting = policies.iter().filter(|policy| {
        policy["metadata"]["namespace"] == to.namespace
            && policy["spec"]["policyTypes"] == json!(["Ingress"])
            && selects(&policy["spec"]["podSelector"], &labels(to))
    });
    let is_peer = |peer: &Value| {
        let namespace = match peer.get("namespaceSelector") {
            Some(selector) => {
                let own = BTreeMap::from([("kubernetes.io/metadata.name", from.namespace)]);
                !from.namespace.is_empty() && selects(selector, &own)
            }
            None => from.namespace == to.namespace,
        };
        namespace && peer.get("podSelector").is_none_or(|selector| selects(selector, &labels(from)))
    };
    let lets_in = |rule: &Value| {
        let peers = rule.get("from").and_then(Value::as_array);
        let ports = rule.get("ports").and_then(Value::as_array);
        peers.is_none_or(|peers| peers.iter().any(is_peer))
            && ports.is_none_or(|ports| ports.iter().any(|one| one["port"] == port))
    };
    let Some(first) = selecting.next() else { return true };
    [first]
        .into_iter()
        .chain(selecting)
        .any(|policy| policy["spec"]["ingress"].as_array().into_iter().flatten().any(lets_in))
}

/// Returns the NetworkPolicies of a node, each read as Kubernetes reads it strictly.
fn policies(profile: &Profile, target: &RenderTarget) -> Vec<Value> {
    let documents = Rendered::new(profile, target).documents;
    let text = &find(&documents, "policy").unwrap().text;
    for object in serde_yaml::Deserializer::from_str(text) {
        let object = <serde_yaml::Value as serde::Deserialize>::deserialize(object).unwrap();
        read(profile.minor, &object).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    yaml(text).into_iter().filter(|object| object["kind"] == "NetworkPolicy").collect()
}

fn written(minor: KubernetesMinor, settings: &[(&str, &str)]) -> Vec<Value> {
    policies(&profile(minor, "cis", settings), &target(Role::Server))
}

/// Settings with their values.
type Settings = Vec<(&'static str, &'static str)>;

/// The choices of ingress_controller that have pods, with the namespace and the labels of one of them.
fn controllers() -> Vec<(&'static str, Settings, Peer)> {
    let name = "app.kubernetes.io/name";
    let nginx = [(name, "ingress-nginx"), ("app.kubernetes.io/component", "controller")];
    vec![
        ("traefik", vec![], pod("kube-system", &[(name, "traefik"), ("pod-template-hash", "1")])),
        ("nginx", vec![], pod("ingress-nginx", &nginx)),
        ("haproxy", vec![], pod("haproxy-controller", &[(name, "kubernetes-ingress")])),
        (
            "custom",
            vec![
                ("ingress_controller_namespace", "contour"),
                ("ingress_controller_labels", "app=envoy,tier=edge"),
            ],
            pod("contour", &[("app", "envoy"), ("tier", "edge")]),
        ),
        ("traefik", vec![("ingress_controller_namespace", "traefik")], pod("traefik", &[(name, "traefik")])),
        (
            "haproxy",
            vec![("ingress_controller_labels", "run=haproxy-ingress")],
            pod("haproxy-controller", &[("run", "haproxy-ingress")]),
        ),
    ]
}

#[test]
fn an_ingress_controller_reaches_the_namespaces_that_are_opened_and_nobody_else_does() {
    for minor in KubernetesMinor::supported() {
        for (choice, more, controller) in controllers() {
            let about = format!("{minor} {choice} {more:?}");
            let mut settings = vec![
                ("ingress_controller", choice),
                ("ingress_to", "web"),
                ("namespaces", "kube-system,default,web,shop"),
            ];
            settings.extend(more);
            let policies = written(minor, &settings);
            let (web, shop) = (pod("web", &[("app", "a")]), pod("shop", &[]));
            assert!(reaches(&policies, &controller, &web, 8080), "{about}");
            assert!(!reaches(&policies, &controller, &shop, 8080), "{about}: a namespace that is not opened");
            assert!(reaches(&policies, &web, &web, 8080), "{about}: its own namespace");
            for (who, stranger) in [
                ("outside", OUTSIDE),
                ("another namespace", pod("default", &[])),
                ("its labels elsewhere", Peer { namespace: "default", ..controller.clone() }),
                ("its namespace without its labels", pod(controller.namespace, &[("app", "x")])),
            ] {
                assert!(!reaches(&policies, &stranger, &web, 8080), "{about}: {who}");
            }
            // With a label less it is somebody else.
            for at in 0..controller.labels.len() {
                let mut other = controller.clone();
                let (key, _) = other.labels.remove(at);
                let counts = key != "pod-template-hash";
                assert_eq!(reaches(&policies, &other, &web, 80), !counts, "{about}: without {key}");
            }
        }
    }
}

#[test]
fn an_ingress_controller_is_reached_where_its_namespace_keeps_others_out() {
    for minor in KubernetesMinor::supported() {
        for (choice, more, controller) in controllers() {
            let about = format!("{minor} {choice} {more:?}");
            let namespaces = format!("kube-system,{}", controller.namespace);
            let mut settings = vec![("ingress_controller", choice), ("namespaces", namespaces.as_str())];
            settings.extend(more);
            let policies = written(minor, &settings);
            assert!(reaches(&policies, &OUTSIDE, &controller, 443), "{about}");
            let neighbour = pod(controller.namespace, &[("app", "x")]);
            assert!(!reaches(&policies, &OUTSIDE, &neighbour, 443), "{about}: its neighbour");
            // Where its namespace lets everybody in, no policy has to.
            let mut open = settings.clone();
            open[1].1 = "kube-system";
            let written = written(minor, &open);
            assert_eq!(written.len() < policies.len(), controller.namespace != "kube-system", "{about}");
            assert!(reaches(&written, &OUTSIDE, &controller, 443), "{about}");
        }
    }
}

#[test]
fn what_k3s_runs_itself_is_reached_as_before_whatever_else_is_named() {
    let name = "app.kubernetes.io/name";
    for minor in KubernetesMinor::supported() {
        for choice in ["traefik", "nginx", "haproxy", "cilium"] {
            for balancer in ["servicelb", "metallb", "kube-vip", "cilium", "other"] {
                let about = format!("{minor} {choice} {balancer}");
                let policies = written(
                    minor,
                    &[
                        ("ingress_controller", choice),
                        ("load_balancer", balancer),
                        ("namespaces", "kube-system,default,metallb-system"),
                    ],
                );
                let dns = pod("kube-system", &[("k8s-app", "kube-dns")]);
                assert!(reaches(&policies, &pod("web", &[]), &dns, 53), "{about}");
                assert!(!reaches(&policies, &OUTSIDE, &dns, 9153), "{about}");
                for label in [
                    (name, "traefik"),
                    ("k8s-app", "metrics-server"),
                    ("svccontroller.k3s.cattle.io/svcname", "traefik"),
                ] {
                    assert!(
                        reaches(&policies, &OUTSIDE, &pod("kube-system", &[label]), 443),
                        "{about} {label:?}"
                    );
                }
                assert!(!reaches(&policies, &OUTSIDE, &pod("kube-system", &[("app", "x")]), 443), "{about}");
                // The API server calls MetalLB's webhook, from the network of a host.
                let webhook = pod("metallb-system", &[("component", "controller")]);
                assert_eq!(reaches(&policies, &OUTSIDE, &webhook, 9443), balancer == "metallb", "{about}");
                assert!(!reaches(&policies, &OUTSIDE, &webhook, 8080), "{about}");
            }
        }
    }
}

#[test]
fn ciliums_ingress_is_let_in_by_no_network_policy_and_that_is_said() {
    let profile = profile(minor("1.33"), "cis", &[("ingress_controller", "cilium"), ("ingress_to", "web")]);
    let rendered = Rendered::new(&profile, &target(Role::Server));
    let text = &find(&rendered.documents, "policy").unwrap().text;
    assert!(!text.contains("namespace: \"web\""), "{text}");
    let said = rendered.policy_warnings.join("\n");
    assert!(
        said.contains("ingress_to does not allow traffic from Cilium")
            && said.contains("fromEntities: [ingress]"),
        "{said}"
    );
}

/// A target on which K3s runs none of the packaged components.
fn without_packaged(there: Option<&str>) -> RenderTarget {
    let node = crate::support::Node::new()
        .file("etc/rancher/k3s/config.yaml", "disable: [coredns, metrics-server, servicelb, traefik]\n");
    let root = k3s_harden::node::Root::open(node.path()).unwrap();
    let data_dir = "/var/lib/rancher/k3s".parse().unwrap();
    let read = k3s_harden::k3s::NodeConfig::read(&root, Role::Server, minor("1.33"), &data_dir).unwrap();
    let off = k3s_harden::k3s::packaged::switched_off(&read);
    assert_eq!(
        off.keys().copied().collect::<Vec<_>>(),
        ["coredns", "metrics-server", "servicelb", "traefik"]
    );
    let packaged = PackagedPolicies::new(off, there.map(|text| text.as_bytes().to_vec()));
    RenderTarget { packaged, ..target(Role::Server) }
}

fn names(policies: &[Value]) -> Vec<&str> {
    let all = policies.iter().map(|policy| policy["metadata"]["name"].as_str().unwrap());
    all.filter(|name| *name != "intra-namespace").collect()
}

#[test]
fn what_k3s_does_not_run_gets_no_policy_unless_it_is_asked_for_or_has_one() {
    let minor = minor("1.33");
    let stock = profile(minor, "cis", &[]);
    let fresh = without_packaged(None);
    assert_eq!(names(&policies(&stock, &fresh)), ["default-network-dns-policy"]);
    let said = Rendered::new(&stock, &fresh).policy_warnings.join("\n");
    for text in [
        "disable has traefik: policy.yaml has no NetworkPolicy for traefik",
        "allow its traffic: --set metrics_server_policy=true",
        "disable has coredns: the cluster does not use the CoreDNS of K3s",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let asked = profile(minor, "cis", &[("traefik_policy", "true")]);
    let traefik = "allow-all-traefik-v121-ingress";
    assert_eq!(names(&policies(&asked, &fresh)), ["default-network-dns-policy", traefik]);
    // A node that has them keeps them: they may be for somebody's own, and nothing on the node says it.
    let all = Rendered::new(&stock, &target(Role::Server)).documents;
    let has = without_packaged(Some(&find(&all, "policy").unwrap().text));
    let kept = Rendered::new(&stock, &has);
    assert_eq!(find(&kept.documents, "policy"), find(&all, "policy"));
    let said = kept.policy_warnings.join("\n");
    assert!(said.contains(&format!("policy.yaml keeps {traefik} from an earlier run")), "{said}");
    let refused = profile(minor, "cis", &[("traefik_policy", "false")]);
    assert!(!names(&policies(&refused, &has)).contains(&traefik));
}

#[test]
fn an_ingress_controller_that_is_nowhere_is_refused() {
    let refusal = |settings: &[(&str, &str)]| {
        let profile = profile(minor("1.33"), "cis", settings);
        k3s_harden::document::check_ingress_controller(&profile).err().map(|error| error.message().to_owned())
    };
    assert_eq!(refusal(&[]), None);
    let custom = ("ingress_controller", "custom");
    let (namespace, labels) =
        (("ingress_controller_namespace", "edge"), ("ingress_controller_labels", "a=b"));
    assert_eq!(refusal(&[custom, namespace, labels]), None);
    for settings in [&[custom][..], &[custom, namespace], &[custom, labels]] {
        assert!(
            refusal(settings).unwrap().contains("needs the namespace of the ingress controller"),
            "{settings:?}"
        );
    }
    let cilium = ("ingress_controller", "cilium");
    for setting in [namespace, labels] {
        assert!(refusal(&[cilium, setting]).unwrap().contains("has no meaning"), "{setting:?}");
    }
}
