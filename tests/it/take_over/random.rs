// SPDX-License-Identifier: Apache-2.0
//! Random files of somebody's, composed of parts: after a run each part is in force, or named. `K3S_HARDEN_TAKE_OVER_SEED` and
//! `K3S_HARDEN_TAKE_OVER_ROUNDS` ask for others; a failure prints its seed.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{LOCAL_POLICY, LOCAL_SYSCTL, POLICY, PSA, SYSCTL, TOLD, files, first, plugin, rests};
use crate::support::Node;
use crate::support::random::Random;

/// What the user has, and what is in force or named of it after a run.
#[derive(Debug, Default)]
struct Parts {
    namespaces: BTreeSet<String>,
    users: BTreeSet<String>,
    limits: BTreeSet<String>,
    plugins: BTreeSet<String>,
    objects: BTreeSet<String>,
    sysctls: BTreeSet<String>,
}

impl Parts {
    fn pick(random: &mut Random, from: &[&str]) -> BTreeSet<String> {
        from.iter().filter(|_| random.below(3) == 0).map(|name| (*name).to_owned()).collect()
    }

    fn of(random: &mut Random) -> Self {
        Self {
            namespaces: Self::pick(random, &["kube-system", "storage", "ci", "null", "1e3", "true-x"]),
            users: Self::pick(
                random,
                &["admin", "system:serviceaccount:ci:runner", "a b", "# c", "é\u{1f512}x"],
            ),
            limits: Self::pick(random, &["Server", "Namespace", "User", "SourceAndObject"]),
            plugins: Self::pick(random, &["PodNodeSelector", "ResourceQuota"]),
            objects: Self::pick(
                random,
                &[
                    "intra-namespace/shop",
                    "from-a/shop",
                    "from-b/default",
                    "yes/no",
                    "intra-namespace/default",
                ],
            ),
            sysctls: Self::pick(
                random,
                &["net.core.somaxconn", "fs.file-max", "kernel.panic", "vm.swappiness"],
            ),
        }
    }

    fn quoted(names: &BTreeSet<String>) -> String {
        names.iter().map(|name| serde_json::to_string(name).unwrap()).collect::<Vec<_>>().join(", ")
    }

    fn psa(&self) -> String {
        let mut text =
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n".to_owned();
        text += &format!(
            "- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n    defaults: {{enforce: restricted}}\n    exemptions: {{namespaces: [{}], usernames: [{}]}}\n",
            Self::quoted(&self.namespaces),
            Self::quoted(&self.users)
        );
        if !self.limits.is_empty() {
            let limits: Vec<String> =
                self.limits.iter().map(|name| format!("{{type: {name}, qps: 7, burst: 9}}")).collect();
            text += &format!(
                "- name: EventRateLimit\n  configuration: {{apiVersion: eventratelimit.admission.k8s.io/v1alpha1, kind: Configuration, limits: [{}]}}\n",
                limits.join(", ")
            );
        }
        for name in &self.plugins {
            text += &match name.as_str() {
                "ResourceQuota" => "- {name: ResourceQuota, configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: ResourceQuotaConfiguration}}\n".to_owned(),
                name => format!("- name: {name}\n  configuration: {{podNodeSelectorPluginConfig: {{a: \"b=c\"}}}}\n"),
            };
        }
        text
    }

    fn object(name: &str) -> String {
        let (name, namespace) = name.split_once('/').unwrap();
        format!(
            "{{\"apiVersion\": \"networking.k8s.io/v1\", \"kind\": \"NetworkPolicy\", \"metadata\": {{\"name\": \"{name}\", \"namespace\": \"{namespace}\"}}, \"spec\": {{\"podSelector\": {{}}, \"ingress\": [{{}}]}}}}"
        )
    }

    fn policy(&self, random: &mut Random) -> String {
        let objects: Vec<String> = self.objects.iter().map(|name| Self::object(name)).collect();
        match random.below(4) {
            0 => format!(
                "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}]}}\n",
                objects.join(",\n")
            ),
            1 => objects.iter().map(|object| format!("---\n# it\n{object}\n")).collect::<String>() + "---\n",
            2 => format!(
                "apiVersion: v1\nkind: List\nitems:\n{}",
                objects.iter().map(|it| format!("- {it}\n")).collect::<String>()
            ),
            _ => objects.join("\n--- # next\n") + "\n",
        }
    }

    fn sysctl(&self) -> String {
        self.sysctls.iter().map(|key| format!("{key} = 5\n")).collect::<String>() + "; end"
    }
}

/// Writes a text in one of the ways in which editors write it.
fn written(random: &mut Random, text: &str) -> Vec<u8> {
    let text = match random.below(4) {
        0 => text.replace('\n', "\r\n"),
        1 => format!("\u{feff}{text}"),
        2 => format!("# mine\n\n{text}"),
        _ => text.to_owned(),
    };
    text.into_bytes()
}

#[test]
fn nothing_of_a_random_node_is_lost_without_being_named() {
    let seed = std::env::var("K3S_HARDEN_TAKE_OVER_SEED").ok().and_then(|text| text.parse().ok());
    let rounds =
        std::env::var("K3S_HARDEN_TAKE_OVER_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let seed: u64 = seed.unwrap_or(20_261_130);
    for round in 0..rounds {
        println!("K3S_HARDEN_TAKE_OVER_SEED={} K3S_HARDEN_TAKE_OVER_ROUNDS=1", seed + round);
        let mut random = Random::new(seed + round);
        let parts = Parts::of(&mut random);
        let policy = if parts.objects.is_empty() { "# none\n".to_owned() } else { parts.policy(&mut random) };
        let node = Node::new()
            .file(PSA, written(&mut random, &parts.psa()))
            .file(POLICY, written(&mut random, &policy))
            .file(SYSCTL, written(&mut random, &parts.sysctl()));
        let before = (node.tree(), files(&node));
        let more: &[&str] =
            [&[][..], &["--on-conflict", "keep"], &["--profile", "cis,strict"], &["--no-history"]]
                [random.below(4)];
        let said = first(&node, more);
        all_is_there(&node, &parts, &said);
        rests(&node, &[&TOLD, more].concat());
        if !more.contains(&"--no-history") {
            assert_eq!(node.run(&["uninstall"]).code, 0);
            assert_eq!((node.tree(), files(&node)), before);
        }
    }
}

fn all_is_there(node: &Node, parts: &Parts, said: &str) {
    let security = plugin(node, "PodSecurity")["configuration"]["exemptions"].clone();
    for (field, names) in [("namespaces", &parts.namespaces), ("usernames", &parts.users)] {
        let found: BTreeSet<&str> =
            security[field].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for name in names {
            assert!(found.contains(name.as_str()), "{name:?} of {parts:#?}\n{}\n{said}", node.read(PSA));
        }
    }
    let limits = plugin(node, "EventRateLimit")["configuration"]["limits"].clone();
    for kind in &parts.limits {
        let limit = limits.as_array().unwrap().iter().find(|limit| limit["type"] == kind.as_str()).unwrap();
        assert_eq!((&limit["qps"], &limit["burst"]), (&7.into(), &9.into()), "{kind}");
    }
    for name in &parts.plugins {
        assert_eq!(plugin(node, name)["name"], name.as_str(), "{parts:#?}\n{}", node.read(PSA));
    }
    let manifests: String = [POLICY, LOCAL_POLICY]
        .into_iter()
        .filter_map(|path| fs::read_to_string(node.path().join(path)).ok())
        .map(|text| format!("---\n{text}\n"))
        .collect();
    let objects: Vec<Value> = serde_yaml::Deserializer::from_str(&manifests)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect();
    for name in &parts.objects {
        let wanted: Value = serde_json::from_str(&Parts::object(name)).unwrap();
        let is_there = objects.contains(&wanted);
        let (name, namespace) = name.split_once('/').unwrap();
        let is_named = said.contains(&format!("NetworkPolicy {namespace}/{name} differs from k3s-harden's"));
        assert!(is_there || is_named, "{namespace}/{name} of {parts:#?}\n{manifests}\n{said}");
        let count = objects
            .iter()
            .filter(|it| it["metadata"]["name"] == name && it["metadata"]["namespace"] == namespace)
            .count();
        assert_eq!(count, 1, "{namespace}/{name} is there {count} times");
    }
    for key in &parts.sysctls {
        let in_force = [LOCAL_SYSCTL, SYSCTL]
            .into_iter()
            .filter_map(|path| fs::read_to_string(node.path().join(path)).ok())
            .flat_map(|text| text.lines().map(|line| line.replace(' ', "")).collect::<Vec<_>>())
            .rfind(|line| line.starts_with(&format!("{key}=")));
        let is_named = said.contains(&format!("{key} is 5, but"));
        assert!(in_force == Some(format!("{key}=5")) || is_named, "{key} is {in_force:?}: {said}");
    }
}
