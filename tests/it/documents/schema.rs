// SPDX-License-Identifier: Apache-2.0
//! Every object is what its API type says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_yaml::Value;

use crate::minors::newest;

use super::strict::read;
use super::support::{EVERYTHING, minor};

fn objects(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

#[test]
fn every_object_has_known_fields_only() {
    let mut kinds: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rendered in EVERYTHING.iter().filter(|rendered| rendered.is_yaml() && rendered.key != "config") {
        for object in objects(&rendered.text) {
            read(rendered.minor, &object).unwrap_or_else(|error| panic!("{}: {error}", rendered.from));
            let kind = object["kind"].as_str().unwrap().to_owned();
            kinds.entry(rendered.key).or_default().insert(kind);
        }
    }
    let expected = [
        ("account_update.yaml", &["ServiceAccount"][..]),
        ("admission-access", POLICY_KINDS),
        ("admission-pods", POLICY_KINDS),
        ("admission-services", POLICY_KINDS),
        ("audit", &["Policy"]),
        ("authentication", &["AuthenticationConfiguration"]),
        (
            "policy",
            &[
                "ClusterRole",
                "ClusterRoleBinding",
                "NetworkPolicy",
                "PodSecurityPolicy",
                "RoleBinding",
                "ServiceAccount",
            ],
        ),
        ("psa", &["AdmissionConfiguration"]),
        ("rancher-cluster.yaml", &["Cluster"]),
        ("rancher-files.yaml", &["Secret"]),
    ];
    let expected = expected.map(|(key, kinds)| (key, kinds.iter().map(ToString::to_string).collect()));
    assert_eq!(kinds, BTreeMap::from(expected));
}

#[test]
fn no_object_is_there_twice() {
    for rendered in EVERYTHING.iter().filter(|rendered| rendered.key == "policy") {
        let mut seen = BTreeSet::new();
        for object in objects(&rendered.text) {
            let metadata = &object["metadata"];
            let name =
                [&object["kind"], &metadata["name"], metadata.get("namespace").unwrap_or(&Value::Null)];
            let name = serde_yaml::to_string(&name).unwrap();
            assert!(seen.insert(name.clone()), "{}: {name}", rendered.from);
        }
    }
}

const POLICY_KINDS: &[&str] = &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

/// Reads the first rendered text of a key on a minor that holds `from`, with `to` in its place.
fn complaint(key: &str, kubernetes: &str, from: &str, to: &str) -> String {
    let minor = minor(kubernetes);
    let rendered = EVERYTHING
        .iter()
        .find(|rendered| rendered.key == key && rendered.minor == minor && rendered.text.contains(from))
        .unwrap_or_else(|| panic!("no {key} on {kubernetes} holds {from}"));
    let changed = rendered.text.replacen(from, to, 1);
    let errors = objects(&changed).into_iter().filter_map(|object| read(minor, &object).err());
    errors.collect::<Vec<_>>().join("; ")
}

#[test]
fn mistakes_are_found() {
    for (key, kubernetes, from, to, error) in [
        (
            "policy",
            "1.24",
            "requiredDropCapabilities",
            "requiredDropCapabilites",
            "unknown field spec.requiredDropCapabilites",
        ),
        ("policy", "1.24", "- from:", "- fromm:", "unknown field spec.ingress.0.fromm"),
        ("policy", newest(), "- from:", "- fromm:", "unknown field spec.ingress.0.fromm"),
        (
            "policy",
            newest(),
            "automountServiceAccountToken",
            "automountToken",
            "unknown field automountToken",
        ),
        ("policy", "1.24", "resourceNames", "resourceName", "unknown field rules.0.resourceName"),
        ("policy", "1.24", "roleRef", "roleref", "unknown field roleref"),
        ("account_update.yaml", "1.33", "metadata", "meta", "unknown field meta"),
        ("audit", "1.33", "- level", "- levle", "rules[0].levle: unknown field `levle`"),
        ("audit", "1.33", "verbs:", "verb:", "unknown field `verb`"),
        ("audit", "1.33", "deletecollection", "deletecolection", "unknown variant `deletecolection`"),
        ("audit", "1.33", "RequestReceived", "RequestRecieved", "unknown variant `RequestRecieved`"),
        ("psa", "1.33", "enforce-version", "enforceVersion", "unknown field `enforceVersion`"),
        ("psa", "1.33", "runtimeClasses", "runtimeclasses", "unknown field `runtimeclasses`"),
        ("psa", "1.33", "burst: 20000", "burst: \"20000\"", "limits[0].burst: invalid type: string"),
        ("psa", "1.33", "- \"on\"", "- \"12\"", "a namespace is exempt twice"),
        ("psa", "1.33", "cacheSize", "cache", "unknown field `cache`"),
        ("psa", "1.33", "name: PodSecurity", "name: Podsecurity", "unknown plugin"),
        ("psa", "1.37", "staticManifestsDir", "manifestsDir", "unknown field `manifestsDir`"),
        (
            "admission-access",
            "1.37",
            "matchConstraints",
            "matchConstraint",
            "unknown field spec.matchConstraint",
        ),
        ("admission-pods", "1.37", "validationActions", "actions", "unknown field spec.actions"),
        (
            "rancher-cluster.yaml",
            "1.33",
            "machineGlobalConfig",
            "machineConfig",
            "unknown field `machineConfig`",
        ),
        ("policy", "1.33", "kind: ServiceAccount", "kind: Namespace", "unknown kind \"Namespace\" of \"v1\""),
        ("policy", "1.33", "networking.k8s.io/v1", "networking.k8s.io/v1beta1", "unknown kind"),
    ] {
        let found = complaint(key, kubernetes, from, to);
        assert!(found.contains(error), "{from} -> {to}: {found:?}");
        assert_eq!(complaint(key, kubernetes, from, from), "");
    }
}

#[test]
fn a_pod_security_policy_is_unknown_from_1_25_on() {
    let mut old =
        EVERYTHING.iter().filter(|rendered| rendered.key == "policy" && rendered.minor == minor("1.24"));
    let objects = objects(&old.next().unwrap().text);
    let policy = objects.iter().find(|object| object["kind"] == "PodSecurityPolicy").unwrap();
    assert_eq!(read(minor("1.24"), policy), Ok(()));
    assert!(read(minor("1.25"), policy).unwrap_err().starts_with("unknown kind"));
}
