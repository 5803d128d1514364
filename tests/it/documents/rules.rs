// SPDX-License-Identifier: Apache-2.0
//! What holds for every set of documents, whatever was asked for: K3s would not start otherwise.

use std::collections::BTreeSet;

use super::support::input;
use crate::minors::newest;
use k3s_harden::Role;
use k3s_harden::document::{Document, Rendered, is_users, paths};
use k3s_harden::profile::titles;
use k3s_harden::render::RenderFormat;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

use super::support::{
    EVERYTHING, ROLES, argument, find, minor, one, profile, rendered, request, resolve, target, texts, value,
};

/// Otherwise the tests of all documents do not see it.
#[test]
fn every_file_is_rendered_by_some_settings() {
    let seen: BTreeSet<&str> = EVERYTHING.iter().map(|rendered| rendered.key).collect();
    let paths = paths(&target(Role::Server).config, &target(Role::Server).data_dir).into_iter();
    // What the user has alone, no setting has.
    for (key, path) in paths.filter(|(_, path)| !is_users(path)) {
        assert!(seen.contains(key), "no setting in opt_ins has {path} written");
    }
}

#[test]
fn pod_security_policies_end_with_1_24() {
    let mentions = |text: &str| text.to_lowercase().contains("podsecuritypolic");
    let mut seen = BTreeSet::new();
    for rendered in EVERYTHING.iter() {
        if rendered.minor < minor("1.25") && rendered.role == Role::Server {
            if mentions(&rendered.text) {
                seen.insert(rendered.key);
            }
        } else {
            assert!(!mentions(&rendered.text), "{}", rendered.from);
        }
    }
    // Where they are allowed they are there, so the search does find them.
    assert_eq!(seen, BTreeSet::from(["config", "policy", "rancher-cluster.yaml", "rancher-files.yaml"]));
}

/// Returns the keys that K3s's agent, which exits on any other, does not know.
fn servers_keys(config: &Value) -> Vec<&String> {
    let keys = config.as_object().unwrap().keys();
    keys.filter(|key| !matches!(key.as_str(), "kubelet-arg+" | "protect-kernel-defaults")).collect()
}

#[test]
fn an_agent_gets_nothing_of_a_servers() {
    for rendered in EVERYTHING.iter().filter(|rendered| rendered.role == Role::Agent) {
        assert!(matches!(rendered.key, "sysctl" | "config"), "{}", rendered.from);
        if rendered.key == "config" {
            assert_eq!(servers_keys(&one(&rendered.text)), Vec::<&String>::new(), "{}", rendered.from);
        }
    }
    let server = rendered(&profile(minor("1.33"), "cis", &[]), Role::Server);
    let keys = value(&server, "config");
    assert_eq!(
        servers_keys(&keys),
        ["kube-apiserver-arg+", "kube-controller-manager-arg+", "secrets-encryption"]
    );
}

/// Returns the lists of arguments in a K3s configuration, or in a Rancher cluster all together.
fn argument_lists(value: &Value) -> Vec<(String, Vec<&str>)> {
    let mut lists: Vec<(String, Vec<&str>)> = Vec::new();
    let rke = &value["spec"]["rkeConfig"];
    let mut maps = vec![&rke["machineGlobalConfig"]];
    maps.extend(rke["machineSelectorConfig"].as_array().into_iter().flatten().map(|row| &row["config"]));
    if rke.is_null() {
        maps = vec![value];
    }
    for (key, list) in maps.into_iter().filter_map(Value::as_object).flatten() {
        if let Some(component) = key.strip_suffix("-arg+").or_else(|| key.strip_suffix("-arg")) {
            match lists.iter_mut().find(|(known, _)| known == component) {
                Some((_, known)) => known.extend(texts(list)),
                None => lists.push((component.to_owned(), texts(list))),
            }
        }
    }
    lists
}

/// Returns the arguments that a component gets a second time; scanners judge the first one only.
fn repeated(value: &Value) -> Vec<String> {
    let mut repeated = Vec::new();
    for (component, arguments) in argument_lists(value) {
        let mut seen = BTreeSet::new();
        for argument in arguments {
            let name = argument.split('=').next().unwrap();
            if !seen.insert(name) {
                repeated.push(format!("{component}: {name}"));
            }
        }
    }
    repeated
}

#[test]
fn no_argument_reaches_a_component_twice() {
    let mut lists = 0;
    for rendered in EVERYTHING.iter() {
        if matches!(rendered.key, "config" | "rancher-cluster.yaml") {
            let value = one(&rendered.text);
            lists += argument_lists(&value).len();
            assert_eq!(repeated(&value), Vec::<String>::new(), "{}", rendered.from);
        }
    }
    assert!(lists > EVERYTHING.len() / 4, "{lists}");

    let twice = one("kubelet-arg+: [event-qps=0, pod-max-pids=1, event-qps=5]");
    assert_eq!(repeated(&twice), ["kubelet: event-qps"]);
    let twice = one("spec: {rkeConfig: {machineGlobalConfig: {kubelet-arg: [a=1]}, \
         machineSelectorConfig: [{config: {kubelet-arg: [a=1]}}]}}");
    assert_eq!(repeated(&twice), ["kubelet: a"]);
}

/// Returns what would keep K3s from starting, or its pods from running.
fn contradictions(documents: &[Document]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(config) = find(documents, "config").map(|document| one(&document.text)) else {
        return found;
    };
    let plugins = argument(&config, "kube-apiserver", "enable-admission-plugins").unwrap_or_default();
    let plugins: Vec<&str> = plugins.split(',').collect();
    let admission = find(documents, "psa").map(|document| one(&document.text));
    let limits = admission.iter().flat_map(|psa| psa["plugins"].as_array().unwrap());
    let limits = limits.filter(|plugin| plugin["name"] == "EventRateLimit");
    let limits: usize =
        limits.map(|plugin| plugin["configuration"]["limits"].as_array().unwrap().len()).sum();
    if plugins.contains(&"EventRateLimit") && limits == 0 {
        found.push("EventRateLimit without limits".to_owned());
    }
    if limits > 0 && !plugins.contains(&"EventRateLimit") {
        found.push("limits without EventRateLimit".to_owned());
    }
    let objects =
        find(documents, "policy").is_some_and(|policy| policy.text.contains("kind: PodSecurityPolicy"));
    if plugins.contains(&"PodSecurityPolicy") != objects {
        found.push("PodSecurityPolicy with one of plugin and objects only".to_owned());
    }
    for (name, key) in [
        ("admission-control-config-file", "psa"),
        ("audit-policy-file", "audit"),
        ("authentication-config", "authentication"),
    ] {
        let named = argument(&config, "kube-apiserver", name);
        let written = find(documents, key).map(|document| document.path.as_str());
        if named != written {
            found.push(format!("{name} is {named:?}, the file is {written:?}"));
        }
    }
    if config["protect-kernel-defaults"] == true && find(documents, "sysctl").is_none() {
        found.push("protect-kernel-defaults without the kernel parameters".to_owned());
    }
    found
}

#[test]
fn documents_fit_each_other_whatever_is_selected() {
    let all: Vec<String> = titles().keys().cloned().collect();
    for minor in ["1.23", "1.24", "1.25", newest()].map(minor) {
        let limit = [("event_rate_limit", "true")];
        let limit = if minor < self::minor("1.25") { &[][..] } else { &limit[..] };
        let mut request = request(minor, "strict", limit);
        for name in &all {
            for only in [true, false] {
                let list = vec![name.clone()];
                (request.only, request.skip) = if only { (list, Vec::new()) } else { (Vec::new(), list) };
                let profile = resolve(&request);
                for role in ROLES {
                    let found = contradictions(&rendered(&profile, role));
                    assert_eq!(found, Vec::<String>::new(), "{minor} {role} {name} only: {only}");
                }
            }
        }
    }
}

#[test]
fn documents_fit_each_other_on_every_minor() {
    for minor in KubernetesMinor::supported() {
        for name in ["cis", "strict"] {
            let found = contradictions(&rendered(&profile(minor, name, &[]), Role::Server));
            assert_eq!(found, Vec::<String>::new(), "{minor} {name}");
        }
    }
}

#[test]
fn contradictions_are_found() {
    let changed = |minor: &str, key: &str, from: &str, to: &str| {
        let mut documents = rendered(&profile(self::minor(minor), "strict", &[]), Role::Server);
        let document = documents.iter_mut().find(|document| document.key == key).unwrap();
        assert!(document.text.contains(from), "{from}: {}", document.text);
        document.text = document.text.replace(from, to);
        contradictions(&documents).concat()
    };
    let without = |minor: &str, key: &str| {
        let mut documents = rendered(&profile(self::minor(minor), "strict", &[]), Role::Server);
        documents.retain(|document| document.key != key);
        contradictions(&documents).join("; ")
    };
    let limit = "limits:\n        - type: \"Server\"\n          qps: 5000\n          burst: 20000";
    assert_eq!(changed("1.33", "psa", limit, "limits: []"), "EventRateLimit without limits");
    assert_eq!(changed("1.33", "config", ",EventRateLimit", ""), "limits without EventRateLimit");
    let halves = "PodSecurityPolicy with one of plugin and objects only";
    assert_eq!(changed("1.33", "config", "EventRateLimit", "EventRateLimit,PodSecurityPolicy"), halves);
    assert_eq!(changed("1.24", "config", ",PodSecurityPolicy", ""), halves);
    assert_eq!(without("1.24", "policy"), halves);
    assert_eq!(without("1.24", "sysctl"), "protect-kernel-defaults without the kernel parameters");
    assert!(without("1.33", "audit").starts_with("audit-policy-file is Some"));
    assert!(without("1.33", "psa").contains("admission-control-config-file is Some"));
}

/// Rancher writes the admission configuration itself, and it has no limits.
#[test]
fn a_rancher_cluster_never_asks_for_event_rate_limit() {
    let profile = profile(minor("1.33"), "cis", &[("event_rate_limit", "true")]);
    assert!(find(&rendered(&profile, Role::Server), "config").unwrap().text.contains("EventRateLimit"));
    let carried = RenderFormat::RancherCluster.render(&input(&profile, &target(Role::Server), None)).unwrap();
    assert!(!carried.files[0].text().contains("EventRateLimit"), "{}", carried.files[0].text());
    assert!(carried.warnings.iter().any(|warning| warning.contains("EventRateLimit")));
}

/// What the arguments name, and nothing that Rancher writes itself; in the Secret is what the cluster asks for.
#[test]
fn a_rancher_cluster_brings_its_files() {
    let profile = profile(minor("1.33"), "cis", &[]);
    let target = target(Role::Server);
    let [cluster, secret] = [RenderFormat::RancherCluster, RenderFormat::RancherFiles].map(|format| {
        let carried = format.render(&input(&profile, &target, None)).unwrap();
        one(&carried.files[0].text())
    });
    let mut brought = Vec::new();
    for files in cluster["spec"]["rkeConfig"]["machineSelectorFiles"].as_array().unwrap() {
        let servers = files.get("machineLabelSelector").is_some();
        for item in files["fileSources"][0]["secret"]["items"].as_array().unwrap() {
            let path = item["path"].as_str().unwrap();
            let document = Rendered::new(&profile, &target)
                .documents
                .into_iter()
                .find(|it| it.path.as_str() == path)
                .unwrap();
            assert_eq!(secret["stringData"][item["key"].as_str().unwrap()], document.text);
            assert_eq!(item["permissions"], document.mode.to_string());
            brought.push((document.key, servers));
        }
    }
    assert_eq!(brought, [("audit", true), ("policy", true), ("sysctl", false)]);
}

/// A cluster for Rancher is about the same selection as the documents of a node.
#[test]
fn a_rancher_cluster_leaves_out_what_is_skipped() {
    let cluster = |skip: &str| {
        let mut request = request(minor("1.33"), "cis", &[]);
        request.skip = vec![skip.to_owned()];
        let files = RenderFormat::RancherCluster
            .render(&input(&resolve(&request), &target(Role::Server), None))
            .unwrap()
            .files;
        files[0].text().into_owned()
    };
    let mut left_in = Vec::new();
    for (control, trace) in [
        ("audit-log-path", "audit-log-path="),
        ("encryption-provider-config", "secrets-encryption:"),
        ("service-account-plugin", ",ServiceAccount"),
        ("audit-policy", "audit-policy-file="),
        ("pod-security", "rancher-restricted"),
    ] {
        assert!(cluster("event-qps").contains(trace), "{trace}");
        if cluster(control).contains(trace) {
            left_in.push(trace);
        }
    }
    assert_eq!(left_in, Vec::<&str>::new());
}

/// The argument replaces K3s's own value, which has NodeRestriction: a list without it would turn it off.
#[test]
fn node_restriction_is_in_every_list_of_plugins() {
    for skip in ["node-restriction", "service-account-plugin", "audit-log-path"] {
        let mut request = request(minor("1.33"), "cis", &[("event_rate_limit", "true")]);
        request.skip = vec![skip.to_owned()];
        let documents = rendered(&resolve(&request), Role::Server);
        let config = value(&documents, "config");
        let plugins = argument(&config, "kube-apiserver", "enable-admission-plugins").unwrap();
        assert!(plugins.split(',').any(|plugin| plugin == "NodeRestriction"), "{skip}: {plugins}");
    }
    let mut only = request(minor("1.33"), "cis", &[]);
    only.only = vec!["audit-log-path".to_owned()];
    let documents = rendered(&resolve(&only), Role::Server);
    assert!(argument(&value(&documents, "config"), "kube-apiserver", "enable-admission-plugins").is_none());
}
