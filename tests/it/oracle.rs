// SPDX-License-Identifier: Apache-2.0
//! What real programs answered, case by case: K3s's own configuration parser, its merging of arguments, its
//! command line, and its YAML reader. The rules are in src/k3s; here are only the answers.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::BTreeMap;
use std::fs;

use k3s_harden::Role;
use k3s_harden::k3s::{ConfigQuery, EffectiveConfig, K3sRefusal, arguments};
use k3s_harden::kubernetes::{scalar, yaml};
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::version::{K3sRelease, KubernetesMinor};
use serde_json::Value;

/// The minor of the K3s that answered.
const MINOR: &str = "1.36";

/// Reads the configuration under a root for the command line `words`, which begins with the command.
fn effective(root: &Root, words: &[String]) -> Result<EffectiveConfig, k3s_harden::Error> {
    let role = if words[0] == "agent" { Role::Agent } else { Role::Server };
    let query = ConfigQuery {
        role,
        release: K3sRelease::of_minor(MINOR.parse::<KubernetesMinor>().unwrap()),
        data_dir: &RootedPath::fixed("/var/lib/rancher/k3s"),
        words: &words[1..],
        show_secrets: true,
    };
    EffectiveConfig::read(root, query)
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("tests/oracle/{name}")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn scalars_are_yaml_v2s() {
    let table = fs::read_to_string("tests/oracle/yaml-v2-scalars.tsv").unwrap();
    let mut wrong = Vec::new();
    for line in table.lines() {
        let mut columns = line.split('\t');
        let (text, answer) = (columns.next().unwrap(), columns.next().unwrap());
        let read = yaml::read(format!("k: {text}\n").as_bytes());
        let ours = match read {
            Err(problem) => format!("ERR {}", problem.message),
            Ok(node) => {
                let yaml::YamlValue::Map(pairs) = node.unwrap().value else { panic!("{text} is no mapping") };
                match &pairs[0].1.value {
                    yaml::YamlValue::Scalar(scalar::Scalar::Null) => "<nil> --k=".to_owned(),
                    yaml::YamlValue::Scalar(value) => format!("{} --k={}", go_type(value), value.go_text()),
                    other => format!("{other:?}"),
                }
            }
        };
        if ours != answer && !(ours.starts_with("ERR") && answer.starts_with("ERR")) {
            wrong.push(format!("{text}: ours {ours}, yaml.v2's {answer}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(table.lines().count(), 74);
}

fn go_type(value: &scalar::Scalar) -> &'static str {
    match value {
        scalar::Scalar::Null => "<nil>",
        scalar::Scalar::Bool(_) => "bool",
        scalar::Scalar::Int(_) => "int",
        scalar::Scalar::Uint(_) => "uint64",
        scalar::Scalar::Float(_) => "float64",
        scalar::Scalar::Text(_) => "string",
    }
}

#[test]
fn arguments_meet_k3s_own_as_k3s_merges_them() {
    let cases = lines("k3s-args.jsonl");
    for case in &cases {
        let defaults: BTreeMap<String, String> = serde_json::from_value(case["defaults"].clone()).unwrap();
        let extra = texts(&case["extra"]);
        let ours = arguments::merge(&defaults, extra.iter().map(String::as_str));
        assert_eq!(ours, texts(&case["args"]), "{}", case["name"]);
    }
    assert_eq!(cases.len(), 51);
}

#[test]
fn configuration_files_become_k3s_own_command_line() {
    let cases = lines("k3s-config.jsonl");
    let mut wrong = Vec::new();
    for case in &cases {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("etc/rancher/k3s");
        fs::create_dir_all(base.join("config.yaml.d")).unwrap();
        for (path, text) in case["files"].as_object().unwrap() {
            fs::create_dir_all(base.join(path).parent().unwrap()).unwrap();
            fs::write(base.join(path), text.as_str().unwrap()).unwrap();
        }
        for path in texts(&case["dirs"]) {
            fs::create_dir_all(base.join(path)).unwrap();
        }
        for (path, target) in case["symlinks"].as_object().into_iter().flatten() {
            std::os::unix::fs::symlink(target.as_str().unwrap(), base.join(path)).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        let mut words = vec![case["command"].as_str().unwrap().to_owned()];
        words.extend(texts(&case["args"]));
        if !["server", "agent"].contains(&words[0].as_str()) {
            // Only a service has words before the command.
            let units = directory.path().join("etc/systemd/system");
            fs::create_dir_all(&units).unwrap();
            let unit = format!("[Service]\nExecStart=/usr/local/bin/k3s {}\n", words.join(" "));
            fs::write(units.join("k3s.service"), unit).unwrap();
            words = vec!["server".to_owned()];
        }
        let ours = effective(&root, &words);
        match (&ours, case["error"].as_str()) {
            (Err(_), Some(_)) => {}
            (Ok(reading), None) => {
                let mut warnings = texts(&case["warnings"]);
                let mut found: Vec<String> = reading.skipped.iter().map(|key| key.message.clone()).collect();
                warnings.sort();
                found.sort();
                if reading.argv != texts(&case["argv"]) || found != warnings {
                    wrong.push(format!(
                        "{}: {:?} {found:?}, K3s' {} {warnings:?}",
                        case["name"], reading.argv, case["argv"]
                    ));
                }
            }
            _ => wrong.push(format!("{}: {ours:?}, K3s' {:?}", case["name"], case["error"])),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(cases.len(), 169);
}

#[test]
fn the_command_line_takes_what_k3s_takes() {
    let cases = lines("k3s-cli.jsonl");
    let mut wrong = Vec::new();
    for case in &cases {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("etc/rancher/k3s")).unwrap();
        fs::write(directory.path().join("etc/rancher/k3s/config.yaml"), case["config"].as_str().unwrap())
            .unwrap();
        let command = case["command"].as_str().unwrap();
        let root = Root::open(directory.path()).unwrap();
        let reading = effective(&root, &[command.to_owned()]).unwrap();
        let refusal =
            reading.refusals.into_iter().find(K3sRefusal::is_certain).map(|refusal| refusal.message);
        if (refusal.is_none(), refusal.as_deref()) != (case["accepted"] == true, case["error"].as_str()) {
            wrong.push(format!("{}: {refusal:?}, K3s' {}", case["config"], case["error"]));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(cases.len(), 172);
}
