// SPDX-License-Identifier: Apache-2.0
//! The setting `encryption_provider`: which releases take it, what it writes, and what is said on a cluster that has started
//! with another provider.
#![allow(clippy::unwrap_used, reason = "a test has no other answer")]

use serde_json::Value;

use crate::support::{Node, Output};

const CONFIG: &str = "etc/rancher/k3s/config.yaml";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
const ENCRYPTION: &str = "var/lib/rancher/k3s/server/cred/encryption-config.json";
const TOKEN: &str = "var/lib/rancher/k3s/server/token";
const SECRETBOX: [&str; 2] = ["--set", "encryption_provider=secretbox"];

/// K3s's own encryption configuration, as it writes it.
fn written_with(provider: &str) -> String {
    let keys = r#"{"keys":[{"name":"key","secret":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}"#;
    format!(
        r#"{{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{{"resources":["secrets"],"providers":[{{"{provider}":{keys}}},{{"identity":{{}}}}]}}]}}"#
    )
}

/// A server that has started, and encrypts Secrets.
fn started(provider: &str) -> Node {
    let log = format!(
        "time=\"t\" level=info msg=\"Running kube-apiserver --encryption-provider-config=/{ENCRYPTION}\"\n"
    );
    Node::new().file(TOKEN, "").file("var/log/k3s.log", log).file(ENCRYPTION, written_with(provider))
}

fn run(node: &Node, verb: &str, version: &str, more: &[&str]) -> Output {
    node.run(&[&[verb, "--k3s-version", version, "--role", "server"][..], more].concat())
}

#[test]
fn a_release_without_the_key_is_refused_and_a_minor_alone_is_warned() {
    let is_refused = |version: &str, first: &str| {
        for verb in ["plan", "apply", "render"] {
            let node = Node::new();
            let mut more = SECRETBOX.to_vec();
            if verb == "render" {
                more.extend(["--as", "shell"]);
            }
            let output = run(&node, verb, version, &more);
            assert_eq!(output.code, 65, "{verb} {version}: {}", output.stderr);
            assert!(
                output.stderr.contains("does not support secrets-encryption-provider"),
                "{}",
                output.stderr
            );
            assert!(output.stderr.contains(&format!("{first} is the first release of")), "{}", output.stderr);
            assert!(!node.path().join(DROP_IN).exists());
        }
    };
    is_refused("v1.30.11+k3s1", "1.30.12");
    is_refused("v1.31.7+k3s1", "1.31.8");
    is_refused("v1.32.3+k3s1", "1.32.4");
    let line = "secrets-encryption-provider: \"secretbox\" # CIS ";
    for (version, warning) in [
        ("v1.30.12+k3s1", ""),
        ("v1.32.4+k3s1", ""),
        ("1.32", "since 1.32.4: an older release ignores the key, and encrypts Secrets with aescbc"),
        ("1.31", "since 1.31.8: an older release"),
        ("v1.33.0+k3s1", ""),
        ("1.33", ""),
        ("1.37", ""),
    ] {
        let node = Node::new();
        let output = run(&node, "apply", version, &SECRETBOX);
        assert_eq!(output.code, 0, "{version}: {}", output.stderr);
        assert!(node.read(DROP_IN).contains(line), "{version}: {}", node.read(DROP_IN));
        let is_warned = output.stderr.contains("supports secrets-encryption-provider since");
        assert_eq!(is_warned, !warning.is_empty(), "{version}: {}", output.stderr);
        assert!(output.stderr.contains(warning), "{version}: {}", output.stderr);
        let output = run(&node, "preflight", version, &[]);
        assert_eq!(output.code, 0, "{version}: {}", output.stdout);
    }
}

#[test]
fn it_is_written_with_encryption_alone_and_on_servers_alone() {
    let node = Node::new();
    let more = [&SECRETBOX[..], &["--set", "secrets_encryption=false"]].concat();
    let output = run(&node, "apply", "1.33", &more);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(!node.read(DROP_IN).contains("secrets-encryption"), "{}", node.read(DROP_IN));
    assert!(output.stderr.contains("encryption_provider does nothing without secrets_encryption"));
    let node = Node::new();
    // An agent exits on a key that it does not have, and has no Secrets: the release does not matter either.
    let words = ["apply", "--k3s-version", "v1.32.3+k3s1", "--role", "agent"];
    let output = node.run(&[&words[..], &SECRETBOX].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(!node.read(DROP_IN).contains("secrets-encryption"), "{}", node.read(DROP_IN));
    // What every release takes by itself is refused by none, and nothing has to be said of it.
    for version in ["v1.32.3+k3s1", "1.32"] {
        let output = run(&Node::new(), "apply", version, &["--set", "encryption_provider=aescbc"]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(!output.stderr.contains("aescbc"), "{}", output.stderr);
    }
    // By default nothing is written: K3s's own default holds.
    let node = Node::new();
    assert_eq!(run(&node, "apply", "1.33", &[]).code, 0);
    assert!(!node.read(DROP_IN).contains("secrets-encryption-provider"));
}

#[test]
fn plan_says_how_another_provider_comes_into_force() {
    let order = "To use secretbox: change it in this order: secrets-encryption-provider and a restart on every server, the one that the others join first, then `k3s secrets-encrypt rotate-keys` on one server, then a restart of every server";
    let said = |provider: &str, more: &[&str]| run(&started(provider), "plan", "1.33", more).stderr;
    let text = said("aescbc", &SECRETBOX);
    assert!(text.contains("K3s encrypts Secrets with aescbc here") && text.contains(order), "{text}");
    for text in [
        said("secretbox", &SECRETBOX),
        said("aescbc", &[]),
        said("aescbc", &["--set", "encryption_provider=aescbc"]),
    ] {
        assert!(!text.contains("K3s encrypts Secrets with"), "{text}");
    }
    // A new node starts with what it is told.
    assert!(!run(&Node::new(), "plan", "1.33", &SECRETBOX).stderr.contains("rotate-keys"));
}

/// The finding, with its place and whether K3s starts.
fn late(node: &Node, version: &str) -> Option<(Value, String, String)> {
    let output = run(node, "preflight", version, &["--format", "json"]);
    let verdict: Value = serde_json::from_str(&output.stdout).unwrap();
    let findings = verdict["now"].as_array().unwrap().clone();
    let finding = findings.into_iter().find(|finding| finding["code"] == "encryption-provider-late")?;
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    Some((verdict["starts"].clone(), text("path"), text("message")))
}

#[test]
fn preflight_names_a_provider_that_is_not_in_force() {
    let config = |provider: &str, key: &str| {
        started(provider).file(CONFIG, format!("secrets-encryption: true\n{key}"))
    };
    let to = |provider: &str| format!("secrets-encryption-provider: {provider}\n");
    let (starts, path, message) = late(&config("aescbc", &to("secretbox")), "1.33").unwrap();
    assert_eq!((starts, path.as_str()), (Value::Bool(true), "/etc/rancher/k3s/config.yaml"));
    assert!(message.starts_with("K3s encrypts Secrets with aescbc"), "{message}");
    // The key was taken out again: K3s's default is not in force either.
    let (_, path, message) = late(&config("secretbox", ""), "1.33").unwrap();
    assert_eq!(path, "");
    assert!(message.contains("aescbc, the default of K3s, is not used after a restart alone"), "{message}");
    for (node, version) in [
        (config("aescbc", &to("aescbc")), "1.33"),
        (config("secretbox", &to("secretbox")), "1.33"),
        (config("aescbc", ""), "1.33"),
        // `k3s secrets-encrypt disable`.
        (config("identity", &to("secretbox")), "1.33"),
        // Somebody's own file.
        (config("aesgcm", &to("secretbox")), "1.33"),
        // Not started: K3s takes what it is told.
        (Node::new().file(CONFIG, format!("secrets-encryption: true\n{}", to("secretbox"))), "1.33"),
        // A release that skips the key.
        (config("aescbc", &to("secretbox")), "v1.32.3+k3s1"),
    ] {
        assert_eq!(late(&node, version), None, "{version} {}", node.read(CONFIG));
    }
}

#[test]
fn verify_names_the_provider_in_force_and_the_one_that_is_wanted() {
    let text = |node: &Node| run(node, "verify", "1.33", &["--only", "1.2.28", "--format", "json"]).stdout;
    let config = "secrets-encryption: true\nsecrets-encryption-provider: secretbox\n";
    let wanted = "secretbox is configured, but is used only after `k3s secrets-encrypt rotate-keys`";
    let said = text(&started("aescbc").file(CONFIG, config));
    assert!(said.contains("the first provider of Secrets is aescbc") && said.contains(wanted), "{said}");
    let said = text(&started("secretbox").file(CONFIG, config));
    assert!(
        said.contains("the first provider of Secrets is secretbox") && !said.contains("is used only after"),
        "{said}"
    );
    let said = text(&Node::new().file(CONFIG, config));
    assert!(said.contains("with secretbox as the first provider"), "{said}");
}

#[test]
fn encryption_that_comes_late_is_refused_with_what_the_release_can() {
    let refused = |version: &str| {
        let output = run(&Node::new().file(TOKEN, ""), "apply", version, &["-q"]);
        assert_eq!(output.code, 1, "{version}: {}", output.stderr);
        output.stderr
    };
    for version in ["v1.33.10+k3s1", "v1.36.3+k3s1"] {
        let text = refused(version);
        assert!(
            text.contains("or turn it on with K3s's own command: `k3s secrets-encrypt enable`"),
            "{text}"
        );
    }
    let text = refused("v1.33.9+k3s1");
    assert!(
        text.contains("or upgrade K3s first, to one of 1.33.10, 1.34.6, 1.35.3, 1.36.0 or newer"),
        "{text}"
    );
    assert!(refused("1.34").contains("which 1.34.6 and newer have"));
}
