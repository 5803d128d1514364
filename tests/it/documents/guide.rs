// SPDX-License-Identifier: Apache-2.0
//! The documents mean what the guide's documents mean.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::support::input;
use k3s_harden::Role;
use k3s_harden::document::Document;
use k3s_harden::profile::Profile;
use k3s_harden::render::RenderFormat;
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

use super::support::{find, minor, one, profile, rendered, target, texts, value, yaml};

static OBJECTS: LazyLock<BTreeMap<String, Vec<Value>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../guide/objects.json")).unwrap());

/// Returns the documents of a file of the guide.
fn guide(name: &str) -> Vec<Value> {
    OBJECTS.get(name).unwrap_or_else(|| panic!("the guide has no {name}")).clone()
}

fn guide_one(name: &str) -> Value {
    let mut documents = guide(name);
    assert_eq!(documents.len(), 1, "{name}");
    documents.remove(0)
}

/// The guide's reference template for a minor.
fn template(minor: KubernetesMinor) -> Value {
    guide_one(match has_pod_security(minor) {
        true => "verbatim/rancher-cluster-1.25-and-newer.yaml",
        false => "verbatim/rancher-cluster-1.24-and-older.yaml",
    })
}

fn has_pod_security(minor: KubernetesMinor) -> bool {
    minor >= self::minor("1.25")
}

/// The minors that the guide is for.
fn guided() -> [KubernetesMinor; 4] {
    ["1.23", "1.24", "1.25", "1.26"].map(minor)
}

fn server(minor: KubernetesMinor, settings: &[(&str, &str)]) -> Vec<Document> {
    rendered(&profile(minor, "cis", settings), Role::Server)
}

/// Brings objects into one order, so that lists of them compare by meaning.
fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    let name = |object: &Value| {
        let metadata = &object["metadata"];
        [&object["kind"], &metadata["namespace"], &metadata["name"]].map(ToString::to_string)
    };
    objects.sort_by_key(name);
    objects
}

fn intra_namespace(namespace: &str) -> Value {
    let mut policy = guide("corrected/networkpolicy-intra-namespace.yaml").remove(0);
    policy["metadata"]["namespace"] = namespace.into();
    policy
}

/// What policy.yaml should hold.
fn policies(minor: KubernetesMinor, pod_security_policies: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = [
        "corrected/networkpolicy-intra-namespace.yaml",
        "corrected/networkpolicy-dns.yaml",
        "verbatim/networkpolicy-metrics-server.yaml",
        "verbatim/networkpolicy-svclb-traefik.yaml",
        "verbatim/networkpolicy-traefik.yaml",
        "corrected/default-serviceaccounts.yaml",
    ]
    .into_iter()
    .flat_map(guide)
    .collect();
    // The guide asks for a policy in every namespace and forgets this one.
    objects.push(intra_namespace("kube-node-lease"));
    if !has_pod_security(minor) {
        objects.extend(guide(pod_security_policies));
    }
    sorted(objects)
}

fn policy(documents: &[Document]) -> Vec<Value> {
    sorted(yaml(&find(documents, "policy").unwrap().text))
}

#[test]
fn sysctls() {
    for minor in KubernetesMinor::supported() {
        for role in [Role::Server, Role::Agent] {
            let documents = rendered(&profile(minor, "cis", &[]), role);
            let text = &find(&documents, "sysctl").unwrap().text;
            let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            lines.sort_unstable();
            let guide =
                ["kernel.panic=10", "kernel.panic_on_oops=1", "vm.overcommit_memory=1", "vm.panic_on_oom=0"];
            assert_eq!(lines, guide, "{minor} {role}");
        }
    }
}

#[test]
fn audit_policy() {
    let guide = guide_one("verbatim/audit.yaml");
    for minor in KubernetesMinor::supported() {
        assert_eq!(value(&server(minor, &[]), "audit"), guide, "{minor}");
        assert_ne!(value(&server(minor, &[("audit_policy", "writes")]), "audit"), guide, "{minor}");
    }
}

/// The namespaces that a preset exempts.
fn exempt(preset: &str) -> Vec<String> {
    let psa = value(&server(minor("1.33"), &[("pod_security_preset", preset)]), "psa");
    let namespaces = &psa["plugins"][0]["configuration"]["exemptions"]["namespaces"];
    texts(namespaces).into_iter().map(str::to_owned).collect()
}

#[test]
fn pod_security() {
    // A departure: the guide of today exempts the compliance operator too, and older installations of it are in the
    // namespace that it had before.
    let with_operator = |file: &str| {
        let mut psa = guide_one(file);
        let namespaces = &mut psa["plugins"][0]["configuration"]["exemptions"]["namespaces"];
        assert_eq!(*namespaces, json!(["kube-system"]), "{file}");
        *namespaces = json!(["kube-system", "compliance-operator-system", "cis-operator-system"]);
        psa
    };
    let plain = with_operator("corrected/psa.yaml");
    let limited = with_operator("corrected/psa-with-event-rate-limit.yaml");
    for minor in KubernetesMinor::supported() {
        if !has_pod_security(minor) {
            assert_eq!(find(&server(minor, &[]), "psa"), None, "{minor}");
            continue;
        }
        assert_eq!(value(&server(minor, &[]), "psa"), plain, "{minor}");
        assert_eq!(value(&server(minor, &[("event_rate_limit", "true")]), "psa"), limited, "{minor}");
    }
}

/// Rancher's template and Rancher's documentation name different namespaces; what both leave out is not exempt.
#[test]
fn the_presets_of_rancher_are_its_templates_and_its_documentations() {
    let (template, documented) = (exempt("rancher"), exempt("rancher-documented"));
    assert_eq!((template.len(), documented.len()), (24, 44));
    let of_template_alone: Vec<&String> = template.iter().filter(|name| !documented.contains(name)).collect();
    assert_eq!(of_template_alone, ["ingress-nginx"]);
    assert!(documented.is_sorted(), "the documentation's order: {documented:?}");
    for name in ["kube-public", "cert-manager", "traefik", "fleet-default"] {
        assert!(documented.iter().any(|other| other == name), "{name}");
    }
    for name in exempt("k3s") {
        assert!(template.contains(&name) && documented.contains(&name), "{name}");
    }
}

#[test]
fn policies_are_the_guides_and_no_others() {
    for minor in KubernetesMinor::supported() {
        let expected = policies(minor, "corrected/psp-policy.yaml");
        assert_eq!(policy(&server(minor, &[])), expected, "{minor}");
    }
}

#[test]
fn the_cis_operators_binding_is_the_guides() {
    for minor in ["1.23", "1.24"].map(minor) {
        let documents = server(minor, &[("cis_operator_binding", "true")]);
        assert_eq!(policy(&documents), policies(minor, "verbatim/psp-policy.yaml"), "{minor}");
    }
}

#[test]
fn opt_ins_change_their_own_policies_only() {
    let minor = minor("1.33");
    let expected = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut objects = policies(minor, "");
        change(&mut objects);
        sorted(objects)
    };
    let tight = expected(&|objects| {
        let ports =
            [("allow-all-svclbtraefik-ingress", [80, 443]), ("allow-all-traefik-v121-ingress", [8000, 8443])];
        for (name, [http, https]) in ports {
            let policy = objects.iter_mut().find(|object| object["metadata"]["name"] == name).unwrap();
            policy["spec"]["ingress"] = json!([{"ports": [
                {"port": http, "protocol": "TCP"},
                {"port": https, "protocol": "TCP"},
            ]}]);
        }
    });
    assert_eq!(policy(&server(minor, &[("tight_ports", "true")])), tight);

    let open = expected(&|objects| {
        objects.push(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "allow-traefik", "namespace": "web"},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}},
                }]}],
            },
        }));
    });
    assert_eq!(policy(&server(minor, &[("ingress_to", "web")])), open);

    let elsewhere = expected(&|objects| {
        objects.retain(|object| object["metadata"]["name"] != "intra-namespace");
        objects.push(intra_namespace("web"));
    });
    assert_eq!(policy(&server(minor, &[("namespaces", "web")])), elsewhere);

    for (setting, name) in [
        ("intra_namespace_policy", "intra-namespace"),
        ("dns_policy", "default-network-dns-policy"),
        ("metrics_server_policy", "allow-all-metrics-server"),
        ("svclb_policy", "allow-all-svclbtraefik-ingress"),
        ("traefik_policy", "allow-all-traefik-v121-ingress"),
        ("default_service_accounts", "default"),
    ] {
        let without = expected(&|objects| {
            let all = objects.len();
            objects.retain(|object| object["metadata"]["name"] != name);
            assert_ne!(objects.len(), all, "{name}");
        });
        assert_eq!(policy(&server(minor, &[(setting, "false")])), without, "{setting}");
    }
}

fn carried(profile: &Profile, format: RenderFormat, release: Option<&str>, name: &str) -> Value {
    let files = format.render(&input(profile, &target(Role::Server), release)).unwrap().files;
    one(&files.iter().find(|file| file.name == name).unwrap().text())
}

#[test]
fn account_update() {
    let guide = guide_one("verbatim/account_update.yaml");
    for minor in KubernetesMinor::supported() {
        let profile = profile(minor, "cis", &[]);
        assert_eq!(
            carried(&profile, RenderFormat::AccountUpdate, None, "account_update.yaml"),
            guide,
            "{minor}"
        );
    }
}

#[test]
fn rancher_clusters() {
    for minor in guided() {
        let profile = profile(minor, "cis", &[]);
        let cluster = |release| {
            let mut cluster =
                carried(&profile, RenderFormat::RancherCluster, release, "rancher-cluster.yaml");
            // The guide leaves its reader to bring the files; Rancher does not write out an audit policy.
            let rke = cluster["spec"]["rkeConfig"].as_object_mut().unwrap();
            assert!(rke.remove("machineSelectorFiles").is_some());
            cluster
        };
        let mut expected = template(minor);
        assert_eq!(cluster(None), expected, "{minor}");
        expected["spec"]["kubernetesVersion"] = "v1.26.1+k3s1".into();
        assert_eq!(cluster(Some("v1.26.1+k3s1")), expected, "{minor}");
    }
}

/// Turns the machine configuration of a template into a drop-in, whose lists are appended to.
fn drop_in(machine: &[&Value]) -> Value {
    let keys = machine.iter().flat_map(|config| config.as_object().unwrap());
    let name = |key: &str| if key.ends_with("-arg") { format!("{key}+") } else { key.to_owned() };
    Value::Object(keys.map(|(key, value)| (name(key), value.clone())).collect())
}

/// Sorts the arguments of each component.
fn by_name(mut config: Value) -> Value {
    for (_, value) in config.as_object_mut().unwrap() {
        if value.is_array() {
            let mut arguments = texts(value);
            arguments.sort_unstable();
            *value = json!(arguments);
        }
    }
    config
}

fn add(config: &mut Value, component: &str, argument: &str) {
    config[format!("{component}-arg+")].as_array_mut().unwrap().push(argument.into());
}

/// What the drop-in should say: the guide's template, and what later guides of K3s's added to it.
fn expected_config(minor: KubernetesMinor, role: Role) -> Value {
    let spec = &template(minor)["spec"]["rkeConfig"];
    let for_all = &spec["machineSelectorConfig"][0]["config"];
    let mut config = match role {
        Role::Server => drop_in(&[&spec["machineGlobalConfig"], for_all]),
        Role::Agent => drop_in(&[for_all]),
    };
    let since = |first: &str| minor >= self::minor(first);
    // K3s 1.32.0 to 1.32.3 leave the port open; the guide knows nothing of it.
    if minor == self::minor("1.32") {
        add(&mut config, "kubelet", "read-only-port=0");
    }
    if since("1.27") {
        add(&mut config, "kubelet", "streaming-connection-idle-timeout=5m");
        add(
            &mut config,
            "kubelet",
            "tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
             TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
             TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        );
    }
    if role == Role::Server {
        if since("1.25") {
            let file = "admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml";
            add(&mut config, "kube-apiserver", file);
        }
        if since("1.29") {
            add(&mut config, "kube-apiserver", "service-account-extend-token-expiration=false");
            config["kube-controller-manager-arg+"] = json!(["terminated-pod-gc-threshold=100"]);
        }
    }
    by_name(config)
}

#[test]
fn k3s_configuration() {
    for minor in KubernetesMinor::supported() {
        for role in [Role::Server, Role::Agent] {
            let documents = rendered(&profile(minor, "cis", &[]), role);
            let config = by_name(value(&documents, "config"));
            assert_eq!(config, expected_config(minor, role), "{minor} {role}");
        }
    }
}

#[test]
fn paths_and_modes() {
    let server = "/var/lib/rancher/k3s/server";
    let mut expected = vec![
        ("/etc/sysctl.d/90-kubelet.conf".to_owned(), "0644".to_owned()),
        (format!("{server}/audit.yaml"), "0600".to_owned()),
        (format!("{server}/psa.yaml"), "0600".to_owned()),
        (format!("{server}/manifests/policy.yaml"), "0600".to_owned()),
        ("/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml".to_owned(), "0600".to_owned()),
    ];
    let found = |role| -> Vec<(String, String)> {
        let documents = rendered(&profile(minor("1.33"), "cis", &[]), role);
        documents.iter().map(|document| (document.path.to_string(), document.mode.to_string())).collect()
    };
    assert_eq!(found(Role::Server), expected);
    expected.drain(1..4);
    assert_eq!(found(Role::Agent), expected);
}

#[test]
fn comparing_by_meaning_sees_a_difference() {
    let documents = server(minor("1.24"), &[]);
    let text = &find(&documents, "policy").unwrap().text;
    let expected = policies(minor("1.24"), "corrected/psp-policy.yaml");
    assert_eq!(sorted(yaml(&text.replace("  - ports:", "  -   ports: # a comment"))), expected);
    for (from, to) in [
        ("        - podSelector: {}", "        - namespaceSelector: {}"),
        ("port: 53", "port: \"53\""),
        ("requiredDropCapabilities: [ALL]", "requiredDropCapabilities: []"),
        ("system:authenticated", "system:unauthenticated"),
        ("automountServiceAccountToken: false", "automountServiceAccountToken: true"),
        ("  policyTypes:\n    - Ingress\n", ""),
    ] {
        assert!(text.contains(from), "{from}");
        assert_ne!(sorted(yaml(&text.replacen(from, to, 1))), expected, "{from}");
    }
}
