// SPDX-License-Identifier: Apache-2.0
//! The answers of `plan`, `apply`, `rollback`, `preflight`, `effective-config`, `--version`, `profile` and `history` against
//! their schemas.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema;
use crate::minors::newest;
use crate::newer_minor::newer;
use crate::support::Node;

/// A schema of docs/schema, and the fields of the answers that were held against it.
struct Published {
    schema: Value,
    seen: BTreeSet<String>,
}

impl Published {
    fn new(text: &str) -> Self {
        Self { schema: serde_json::from_str(text).unwrap(), seen: BTreeSet::new() }
    }

    /// Holds an answer against the schema. `items` are the lists in it, each with the name of its definition.
    fn check(&mut self, answer: &Value, items: &[(&str, &str)]) {
        schema::check(&self.schema, answer);
        self.see("", answer);
        for (list, definition) in items {
            let found = match &answer[*list] {
                Value::Array(items) => items.iter().collect(),
                Value::Object(items) => items.values().collect(),
                _ => Vec::new(),
            };
            found.into_iter().for_each(|item| self.see(definition, item));
        }
    }

    fn see(&mut self, definition: &str, value: &Value) {
        self.seen.extend(value.as_object().unwrap().keys().map(|name| format!("{definition}.{name}")));
    }

    /// Fails where the schema has a field that no answer had, or the other way round. `elsewhere` are seen in another test.
    fn knows_every_field(&self, elsewhere: &[&str]) {
        let names = |definition: &str, properties: &Value| -> Vec<String> {
            properties.as_object().unwrap().keys().map(|name| format!("{definition}.{name}")).collect()
        };
        let mut known = names("", &self.schema["properties"]);
        for (name, definition) in self.schema["$defs"].as_object().into_iter().flatten() {
            known.extend(names(name, &definition["properties"]));
        }
        let known: BTreeSet<String> =
            known.into_iter().filter(|name| !elsewhere.contains(&name.as_str())).collect();
        assert_eq!(known, self.seen);
    }
}

fn answer(node: &Node, words: &[&str]) -> Value {
    let done = node.run(&[words, ["--format", "json"].as_slice()].concat());
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{words:?}: {}", done.stderr))
}

fn node() -> Node {
    Node::new().file("etc/machine-id", "0123456789\n")
}

#[test]
fn a_run_is_what_its_schema_says() {
    let mut published = Published::new(include_str!("../../../docs/schema/plan.json"));
    let node = node().file("etc/rancher/k3s/config.yaml", "kube-apiserver-arg: [anonymous-auth=true]\n");
    // The diff of a long file is cut.
    let node = node.file("etc/sysctl.d/90-kubelet.conf", "# mine\n".repeat(5000));
    for words in [
        ["rollback"].as_slice(),
        &["plan", "--k3s-version", "1.33"],
        &["apply", "--k3s-version", "1.33"],
        &["apply"],
        &["plan", "--set", "pod_max_pids=90"],
        &["apply", "--set", "pod_max_pids=90"],
        &["rollback"],
        &["uninstall"],
    ] {
        published.check(&answer(&node, words), &[("actions", "action")]);
    }
    // A node that somebody hardened by hand.
    let by_hand =
        self::node().file("etc/sysctl.d/90-kubelet.conf", "kernel.panic=0\nnet.core.somaxconn=4096\n");
    let lists = [("actions", "action"), ("taken_over", "part")];
    published.check(&answer(&by_hand, &["plan", "--k3s-version", "1.33"]), &lists);
    // A node on which K3s has started, over the end of PodSecurityPolicy, and too late for the encryption of Secrets.
    let upgraded = self::node().file("var/lib/rancher/k3s/server/token", "");
    let first = ["apply", "--k3s-version", "1.24", "--set", "secrets_encryption=false"];
    published.check(&answer(&upgraded, &first), &[("actions", "action")]);
    let words = ["plan", "--k3s-version", "1.25", "--set", "secrets_encryption=true"];
    published.check(&answer(&upgraded, &words), &[("actions", "action")]);
    let (minor, newest) = (newer(), newest());
    let words = ["plan", "--k3s-version", &minor, "--assume-minor", newest];
    published.check(&answer(&node, &words), &[("actions", "action")]);
    // What changed since a release: tests/it/released has nodes of releases.
    let elsewhere =
        ["action.changed_since", "changed_since.since", "changed_since.what", "changed_since.why"];
    published.knows_every_field(&elsewhere);
}

#[test]
#[should_panic(expected = "$.actions[0].action: enum")]
fn the_schema_of_a_run_refuses_another_action() {
    let mut run = answer(&node(), &["plan", "--k3s-version", "1.33"]);
    run["actions"][0]["action"] = "replace".into();
    Published::new(include_str!("../../../docs/schema/plan.json")).check(&run, &[]);
}

#[test]
fn a_preflight_is_what_its_schema_says() {
    let mut published = Published::new(include_str!("../../../docs/schema/preflight.json"));
    for config in [
        "",
        "kube-apiserver-arg: [request-timeout=0s, x=1]\nkubelet-arg: [config=/nowhere]\n",
        "flannel-backend: nothing\nsecrets-encryption: maybe\nnode-label: [a/b/c=1]\n",
        "datastore-endpoint: https://10.0.0.5:2379\ntls-san: [a]\n",
    ] {
        let node = node().file("etc/rancher/k3s/config.yaml", config);
        let lists = [("now", "finding"), ("notes", "finding"), ("not_judged", "not_judged")];
        for minor in ["1.33", &newer()] {
            published.check(&answer(&node, &["preflight", "--k3s-version", minor]), &lists);
        }
    }
    published.knows_every_field(&[]);
}

#[test]
fn an_effective_configuration_is_what_its_schema_says() {
    let mut published = Published::new(include_str!("../../../docs/schema/effective-config.json"));
    for role in ["server", "agent"] {
        let node = node().file("etc/rancher/k3s/config.yaml", "node-label: [a=b, c=d]\nnode-name: x\n");
        let found = answer(&node, &["effective-config", "--k3s-version", "1.33", "--role", role]);
        assert_eq!(found["values"]["node-label"]["value"], serde_json::json!(["a=b", "c=d"]));
        published.check(&found, &[("values", "value")]);
    }
    published.check(&answer(&node(), &["effective-config", "--k3s-version", &newer()]), &[]);
    published.knows_every_field(&[]);
}

#[test]
fn a_version_is_what_its_schema_says() {
    let mut published = Published::new(include_str!("../../../docs/schema/version.json"));
    published.check(&answer(&node(), &["--version"]), &[]);
    published.knows_every_field(&[]);
}

#[test]
fn profiles_are_what_their_schemas_say() {
    let mut published = Published::new(include_str!("../../../docs/schema/profile-list.json"));
    let listed = answer(&node(), &["profile", "list"]);
    published.check(&listed, &[("profiles", "profile")]);
    published.knows_every_field(&[]);

    let mut published = Published::new(include_str!("../../../docs/schema/profile-show.json"));
    let names =
        listed["profiles"].as_array().unwrap().iter().map(|profile| profile["name"].as_str().unwrap());
    for name in names.chain(["cis"]) {
        published.check(&answer(&node(), &["profile", "show", name]), &[("settings", "setting")]);
    }
    published.check(&answer(&node(), &["profile", "show", "cis", "--k3s-version", &newer()]), &[]);
    published.knows_every_field(&[]);

    let mut published = Published::new(include_str!("../../../docs/schema/profile-diff.json"));
    for (a, b) in [("cis-1.11", "cis-1.12"), ("cis-1.23", "cis-2.0"), ("cis", "strict"), ("cis", "cis")] {
        let differences = answer(&node(), &["profile", "diff", a, b]);
        published.check(&differences, &[]);
        assert_eq!(differences["same"], a == b, "{a} {b}");
    }
    published.check(&answer(&node(), &["profile", "diff", "cis", "strict", "--k3s-version", &newer()]), &[]);
    published.knows_every_field(&[]);
}

#[test]
#[should_panic(expected = "$.profiles[0]: required")]
fn the_schema_of_profiles_refuses_one_without_a_name() {
    let mut listed = answer(&node(), &["profile", "list"]);
    listed["profiles"][0].as_object_mut().unwrap().remove("name");
    Published::new(include_str!("../../../docs/schema/profile-list.json")).check(&listed, &[]);
}

#[test]
fn a_history_is_what_its_schema_says() {
    let mut published = Published::new(include_str!("../../../docs/schema/history.json"));
    let node = node();
    published.check(&answer(&node, &["history"]), &[]);
    for words in [["apply", "--k3s-version", "1.33"].as_slice(), &["rollback"]] {
        assert_eq!(node.run(words).code, 0);
        published.check(&answer(&node, &["history"]), &[("runs", "run")]);
    }
    let node = node.file("var/lib/k3s-harden/runs/0001/journal.json", "{");
    published.check(&answer(&node, &["history"]), &[("runs", "run"), ("damage", "damage")]);
    published.knows_every_field(&[]);
}
