// SPDX-License-Identifier: Apache-2.0
//! The policies of server/admission.d against Kubernetes' own code: a Go program (tests/oracle/admission_policies) is linked
//! against the minors that load policies from files. Its loader takes what we render, for each value of each setting, and its
//! validator says of objects (samples.yaml) what it should: ordinary ones are admitted.
//!
//! For mistakes in the files `preflight` never contradicts the loader. `SEED` and `COUNT` change the mistakes.
//!
//! It is part of the second tier: `cargo test --test it admission_policies -- --include-ignored`, with Go.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use k3s_harden::Role;
use serde_json::{Value, json};

use crate::documents::support::{minor, profile, rendered};
use crate::judges::Judge;
use crate::judges::mutate::{self, Dice};
use crate::support::counts::pick;
use crate::support::{Node, kubernetes, turns};

const SEED: u64 = 0x706f_6c69_6379;
const COUNT: usize = pick(120, 600);
const FOLDER: &str = "var/lib/rancher/k3s/server/admission.d";
const EFFECTS: [&str; 3] = ["off", "audit", "deny"];

/// Everything that there is, with something in each list.
const ALL: &[(&str, &str)] = &[
    ("admission_policies", "deny"),
    ("admission_host_paths", "deny"),
    ("admission_token_mounts", "deny"),
    ("admission_image_digests", "deny"),
    ("admission_image_registries", "deny"),
    ("admission_exposed_services", "deny"),
    ("admission_registries", "registry.example.com,ghcr.io/acme/"),
    ("admission_allowed_wildcard_roles", "[cluster-admin, 'it''s', 'a\\b']"),
    ("admission_exempt_namespaces", "tools"),
    ("admission_exposing_namespaces", "edge"),
];

/// The settings that decide over the policies of one file: files do not depend on one another.
const FILES: [(&str, &[&str]); 3] = [
    ("access.yaml", &["admission_system_masters", "admission_wildcard_roles"]),
    (
        "pods.yaml",
        &[
            "admission_host_paths",
            "admission_token_mounts",
            "admission_image_digests",
            "admission_image_registries",
        ],
    ),
    ("services.yaml", &["admission_exposed_services"]),
];

/// Mistakes in expressions: a text, and another in its place.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("orValue", "orvalue"),
    (".?", "."),
    ("==", "="),
    ("&&", "&"),
    ("||", "|"),
    ("[])", "[)"),
    ("object.", "objekt."),
    ("oldObject", "old"),
    ("variables.", "vars."),
    ("variables.masters", "variables.mastres"),
    ("size(", "length("),
    (".all(", ".every("),
    (".all(v, ", ".all("),
    (".exists(r, ", ".exists(1, "),
    ("filter(s, ", "filter(s.t, "),
    ("startsWith('", "startsWith("),
    (" in ['", " in '"),
    ("'kube-system'", "kube-system"),
    ("request.userInfo.username", "request.userInfo.name"),
    ("request.namespace", "request.nameSpace"),
    ("!= 'system:apiserver'", "!= 1"),
    ("size(variables.masters) == 0", "size(variables.masters)"),
    ("validationActions: [\"Deny\", \"Audit\"]", "validationActions: [\"Deny\", \"Warn\"]"),
    ("validationActions: [\"Warn\", \"Audit\"]", "validationActions: []"),
    ("failurePolicy: Fail", "failurePolicy: Never"),
    ("reason: Forbidden", "reason: Refused"),
    (".static.k8s.io", ".k8s.io"),
    ("policyName: \"k3s-harden-", "policyName: \"other-"),
    ("operations: [CREATE, UPDATE]", "operations: [WRITE]"),
    ("admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"),
    ("name: \"k3s-harden-", "name: \"K3s-harden-"),
    ("apiVersions: [v1]", "apiVersions: []"),
    ("resources: [pods", "resources: [\"*/*\", pods"),
    ("matchConditions:", "paramKind: {apiVersion: v1, kind: ConfigMap}\n  matchConditions:"),
    ("- name: not-exempt", "- name: not exempt"),
];

#[test]
#[ignore = "needs Go"]
fn kubernetes_loads_the_policies_and_they_say_what_they_should() {
    let _busy = turns::busy();
    for (release, kubernetes) in [(kubernetes::RELEASES[0], "1.37"), (kubernetes::RELEASES[1], "1.36")] {
        assert!(release.starts_with(&format!("v{kubernetes}.")), "{release} is not of {kubernetes}");
        let directory = tempfile::tempdir().unwrap();
        let sources = Path::new("tests/oracle/admission_policies");
        let mut judge = Judge::new(Command::new(kubernetes::build(directory.path(), release, sources)));
        every_setting_is_loaded(&mut judge, kubernetes);
        samples(&mut judge, kubernetes);
        mistakes(&mut judge, kubernetes);
    }
}

/// The loader takes every file of every combination of the settings that decide over it.
fn every_setting_is_loaded(judge: &mut Judge, kubernetes: &str) {
    let mut loaded = 0;
    for (file, settings) in FILES {
        for number in 0..EFFECTS.len().pow(u32::try_from(settings.len()).unwrap()) {
            let effect =
                |at: usize| EFFECTS[number / EFFECTS.len().pow(u32::try_from(at).unwrap()) % EFFECTS.len()];
            let mut chosen: Vec<(&str, &str)> = ALL.to_vec();
            chosen.extend(settings.iter().enumerate().map(|(at, setting)| (*setting, effect(at))));
            let folder = folder_of(kubernetes, &chosen);
            let bindings = settings.iter().enumerate().filter(|(at, _)| effect(*at) != "off").count();
            let path = folder.path().join(file);
            assert_eq!(path.exists(), bindings > 0, "{chosen:?}");
            let alone = tempfile::tempdir().unwrap();
            if bindings > 0 {
                fs::copy(path, alone.path().join(file)).unwrap();
            }
            let said = judge.put(&json!({"folder": alone.path()}));
            assert_eq!(said["error"], Value::Null, "{kubernetes} {chosen:?}");
            assert_eq!(said["policies"], bindings, "{kubernetes} {chosen:?}: {said}");
            assert_eq!(said["bindings"], bindings, "{kubernetes} {chosen:?}: {said}");
            loaded += usize::from(bindings > 0);
        }
    }
    println!("{kubernetes}: {loaded} files are loaded");
}

/// The policies refuse what they are against, and nothing that K3s or ordinary users write.
fn samples(judge: &mut Judge, kubernetes: &str) {
    let samples: Vec<Value> =
        serde_yaml::from_str(&fs::read_to_string("tests/it/admission_policies/samples.yaml").unwrap())
            .unwrap();
    let folder = folder_of(kubernetes, ALL);
    let said = judge.put(&json!({"folder": folder.path(), "samples": samples}));
    assert_eq!(said["error"], Value::Null, "{kubernetes}");
    let verdicts = said["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), samples.len());
    let mut wrong = Vec::new();
    for (sample, verdict) in samples.iter().zip(verdicts) {
        let (wanted, said) = (sample["want"].as_str().unwrap(), verdict.as_str().unwrap());
        if said.split(':').next() != Some(wanted) {
            wrong.push(format!("{} {}: {wanted}, {said}", sample["policy"], sample["name"]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{kubernetes}: {} of {} differ:\n{}",
        wrong.len(),
        samples.len(),
        wrong.join("\n")
    );
    let refused = samples.iter().filter(|sample| sample["want"] == "refuse").count();
    println!("{kubernetes}: {} samples, {refused} of them refused", samples.len());
}

/// For mistakes in the files `preflight` says what the loader says, or that it does not know. The hash that `verify` shows is
/// that of the API server.
fn mistakes(judge: &mut Judge, kubernetes: &str) {
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let (seed, count) = (number("SEED", SEED), usize::try_from(number("COUNT", COUNT as u64)).unwrap());
    let mut dice = Dice::new(seed);
    let node = applied(kubernetes);
    let folder = node.path().join(FOLDER);
    let said = judge.put(&json!({"folder": folder}));
    let verified = node.run(&["verify", "--format", "json"]).stdout;
    let hash = said["hash"].as_str().unwrap();
    assert!(hash.len() > 60 && verified.contains(hash), "{hash} is not in the evidence");

    let mut cases: Vec<(&str, String, String)> = Vec::new();
    for (file, _) in FILES {
        let ours = node.read(&format!("{FOLDER}/{file}"));
        for (from, to) in EXPRESSIONS.iter().filter(|(from, _)| ours.contains(from)) {
            let places: Vec<usize> = ours.match_indices(from).map(|(at, _)| at).collect();
            let at = places[dice.below(places.len())];
            let text = format!("{}{to}{}", &ours[..at], &ours[at + from.len()..]);
            cases.push((file, format!("{from:?} becomes {to:?}"), text));
        }
        for text in [
            format!("{ours}---\n# nothing\n"),
            format!("# nothing\n---\n{ours}"),
            format!("---\n{ours}"),
            String::new(),
        ] {
            cases.push((file, "documents".to_owned(), text));
        }
    }
    let missing = count.saturating_sub(cases.len()) / FILES.len();
    for (file, _) in FILES {
        let ours = [node.read(&format!("{FOLDER}/{file}"))];
        let more = mutate::mutations(&mut dice, &ours, false, missing);
        cases.extend(more.into_iter().map(|mutation| (file, mutation.name, mutation.text)));
    }
    let (mut wrong, mut agree, mut unknown) = (Vec::new(), [0, 0], 0);
    for (file, name, text) in &cases {
        let ours = node.read(&format!("{FOLDER}/{file}"));
        fs::write(folder.join(file), text).unwrap();
        let said = judge.put(&json!({"folder": folder}));
        let output = node.run(&["preflight", "--format", "json"]);
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        match (found["starts"].as_bool(), said["error"].is_null()) {
            (Some(ours), theirs) if ours == theirs => agree[usize::from(theirs)] += 1,
            (None, _) => unknown += 1,
            (Some(ours), _) => {
                wrong.push(format!("{file}: {name}: ours {ours}, {said}\n{}\n{text}", found["now"]));
            }
        }
        fs::write(folder.join(file), ours).unwrap();
    }
    println!(
        "{kubernetes}: of {} mistakes, seed {seed:#x}, both say {} times that it does not start and {} times that it does; {unknown} times preflight does not know",
        cases.len(),
        agree[0],
        agree[1]
    );
    assert!(agree[0] > 0, "no mistake is found by both");
    let shown: Vec<String> = wrong.iter().take(5).cloned().collect();
    assert!(wrong.is_empty(), "{kubernetes}: {} contradict:\n{}", wrong.len(), shown.join("\n"));
}

/// Returns a folder with the files that a server of a minor gets.
fn folder_of(kubernetes: &str, settings: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for document in rendered(&profile(minor(kubernetes), "cis", settings), Role::Server) {
        if document.path.as_str().contains("/admission.d/") {
            fs::write(folder.path().join(document.path.name()), document.text).unwrap();
        }
    }
    folder
}

/// Returns a server of a minor with everything that there is.
fn applied(kubernetes: &str) -> Node {
    let node = Node::new();
    let settings: Vec<String> = ALL.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut words = vec!["apply", "--k3s-version", kubernetes, "--role", "server"];
    words.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let output = node.run(&words);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    node
}
