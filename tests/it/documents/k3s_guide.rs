// SPDX-License-Identifier: Apache-2.0
//! The profile k3s-guide writes what K3s's own hardening guide says, tab by tab.
//!
//! Source: k3s-io/docs@035acb07 docs/security/hardening-guide.md.

use std::collections::BTreeSet;

use k3s_harden::Role;
use k3s_harden::document::Document;
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

use super::support::{find, minor, profile, rendered, value, yaml};

const CIPHERS: &str = "tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
     TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
     TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";

fn server(minor: KubernetesMinor) -> Vec<Document> {
    rendered(&profile(minor, "k3s-guide", &[]), Role::Server)
}

/// The configuration of a tab: the lists are sets, because their order has no meaning.
fn tab(minor: KubernetesMinor) -> Vec<(&'static str, BTreeSet<String>)> {
    let [old, new] = [minor < self::minor("1.25"), minor >= self::minor("1.29")];
    let plugins = match old {
        true => {
            "enable-admission-plugins=NodeRestriction,PodSecurityPolicy,NamespaceLifecycle,ServiceAccount"
        }
        false => "enable-admission-plugins=NodeRestriction,EventRateLimit",
    };
    let mut api_server = vec![
        plugins,
        "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
        "audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml",
        "audit-log-maxage=30",
        "audit-log-maxbackup=10",
        "audit-log-maxsize=100",
    ];
    let mut kubelet = vec!["streaming-connection-idle-timeout=5m", CIPHERS];
    match old {
        true => kubelet.push("make-iptables-util-chains=true"),
        false => api_server.push("admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml"),
    }
    if new {
        api_server.push("service-account-extend-token-expiration=false");
    }
    let collected = ["terminated-pod-gc-threshold=10", "terminated-pod-gc-threshold=100"][usize::from(new)];
    let set = |items: Vec<&str>| items.into_iter().map(str::to_owned).collect();
    vec![
        ("kube-apiserver-arg", set(api_server)),
        ("kube-controller-manager-arg", set(vec![collected])),
        ("kubelet-arg", set(kubelet)),
    ]
}

#[test]
fn the_configuration_is_the_guides() {
    for minor in KubernetesMinor::supported() {
        let config = value(&server(minor), "config");
        let keys: BTreeSet<&str> =
            config.as_object().unwrap().keys().map(|key| key.trim_end_matches('+')).collect();
        let lists = tab(minor);
        let mut expected: BTreeSet<&str> = lists.iter().map(|(key, _)| *key).collect();
        expected.extend(["protect-kernel-defaults", "secrets-encryption"]);
        assert_eq!(keys, expected, "{minor}");
        for key in ["protect-kernel-defaults", "secrets-encryption"] {
            assert_eq!(config[key], json!(true), "{minor}: {key}");
        }
        for (key, expected) in lists {
            let found = config.get(key).or_else(|| config.get(format!("{key}+"))).unwrap();
            let found: BTreeSet<String> =
                found.as_array().unwrap().iter().map(|item| sorted_plugins(item.as_str().unwrap())).collect();
            let expected: BTreeSet<String> = expected.iter().map(|item| sorted_plugins(item)).collect();
            assert_eq!(found, expected, "{minor}: {key}");
        }
    }
}

/// Brings the plugins of an item into one order; the API server has an order of its own.
fn sorted_plugins(item: &str) -> String {
    let Some(plugins) = item.strip_prefix("enable-admission-plugins=") else { return item.to_owned() };
    let sorted: BTreeSet<&str> = plugins.split(',').collect();
    format!("enable-admission-plugins={}", sorted.into_iter().collect::<Vec<_>>().join(","))
}

#[test]
fn pod_security_is_the_guides_with_the_limits_that_it_forgets() {
    for minor in KubernetesMinor::supported() {
        let documents = server(minor);
        if minor < self::minor("1.25") {
            assert_eq!(find(&documents, "psa"), None, "{minor}");
            continue;
        }
        let psa = value(&documents, "psa");
        let plugins = psa["plugins"].as_array().unwrap();
        let names: BTreeSet<&str> = plugins.iter().map(|plugin| plugin["name"].as_str().unwrap()).collect();
        assert_eq!(names, BTreeSet::from(["EventRateLimit", "PodSecurity"]), "{minor}");
        let pod_security = plugins.iter().find(|plugin| plugin["name"] == "PodSecurity").unwrap();
        assert_eq!(
            pod_security["configuration"]["exemptions"],
            json!({"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system", "compliance-operator-system"]}),
            "{minor}"
        );
        let levels = pod_security["configuration"]["defaults"].as_object().unwrap().values();
        let levels: BTreeSet<&str> = levels.map(|level| level.as_str().unwrap()).collect();
        assert_eq!(levels, BTreeSet::from(["restricted", "latest"]), "{minor}");
    }
}

#[test]
fn the_policies_are_the_guides() {
    for minor in KubernetesMinor::supported() {
        let objects = yaml(&find(&server(minor), "policy").unwrap().text);
        let named = |kind: &str| -> BTreeSet<String> {
            let objects = objects.iter().filter(|object| object["kind"] == kind);
            let name = |object: &Value| {
                let part = |key: &str| object["metadata"][key].as_str().unwrap_or("-").to_owned();
                format!("{}/{}", part("namespace"), part("name"))
            };
            objects.map(name).collect()
        };
        let old = minor < self::minor("1.25");
        let mut policies = vec![
            "kube-system/intra-namespace",
            "kube-system/default-network-dns-policy",
            "kube-system/allow-all-metrics-server",
            "kube-system/allow-all-svclbtraefik-ingress",
            "kube-system/allow-all-traefik-v121-ingress",
        ];
        let mut pod_security = Vec::new();
        if old {
            policies.extend(["default/intra-namespace", "kube-public/intra-namespace"]);
            pod_security.extend(["-/restricted-psp", "-/svclb-psp", "-/system-unrestricted-psp"]);
        }
        let set = |names: Vec<&str>| -> BTreeSet<String> { names.into_iter().map(str::to_owned).collect() };
        assert_eq!(named("NetworkPolicy"), set(policies), "{minor}");
        assert_eq!(named("PodSecurityPolicy"), set(pod_security), "{minor}");
        assert_eq!(named("ServiceAccount"), BTreeSet::new(), "{minor}: the guide has a command for them");
    }
}
