// SPDX-License-Identifier: Apache-2.0
//! Random configuration files of the components: valid ones (`seeds`), of which parts are left out, renamed, repeated or
//! given another value.

use std::collections::BTreeMap;
use std::fs;

use regex::Regex;
use serde_yaml::Value;

use super::node::{Case, CaseFile};
use super::pools;
use crate::judges::mutate;
use crate::support::random::Random;

const SAMPLES: &str = "/etc/rancher/k3s/sample";
const CERT: &str = include_str!("cert.pem");
const KEY: &str = include_str!("key.pem");

/// A kind of file.
struct Kind {
    name: &'static str,
    component: &'static str,
    /// The argument that names the file.
    argument: &'static str,
    /// Top keys that are always kept; of the others a few, if the list has any.
    kept: &'static [&'static str],
    /// How often it is tried among all.
    share: usize,
}

const KINDS: [Kind; 10] = [
    Kind {
        name: "kubelet",
        component: "kubelet",
        argument: "config",
        kept: &["apiVersion", "kind"],
        share: 8,
    },
    Kind {
        name: "scheduler",
        component: "kube-scheduler",
        argument: "config",
        kept: &["apiVersion", "kind", "clientConnection", "leaderElection"],
        share: 4,
    },
    Kind {
        name: "proxy",
        component: "kube-proxy",
        argument: "config",
        kept: &["apiVersion", "kind", "clientConnection"],
        share: 4,
    },
    Kind {
        name: "authentication",
        component: "kube-apiserver",
        argument: "authentication-config",
        kept: &[],
        share: 4,
    },
    Kind {
        name: "authorization",
        component: "kube-apiserver",
        argument: "authorization-config",
        kept: &[],
        share: 4,
    },
    Kind {
        name: "egress",
        component: "kube-apiserver",
        argument: "egress-selector-config-file",
        kept: &[],
        share: 2,
    },
    Kind {
        name: "tracing",
        component: "kube-apiserver",
        argument: "tracing-config-file",
        kept: &[],
        share: 1,
    },
    Kind {
        name: "admission",
        component: "kube-apiserver",
        argument: "admission-control-config-file",
        kept: &[],
        share: 4,
    },
    Kind {
        name: "encryption",
        component: "kube-apiserver",
        argument: "encryption-provider-config",
        kept: &[],
        share: 2,
    },
    Kind { name: "audit", component: "kube-apiserver", argument: "audit-policy-file", kept: &[], share: 1 },
];

/// Where the kubelet's file may lie besides: what names the folder, and the file.
const DROP_INS: [(Option<&str>, &str); 3] = [
    (None, "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-user.conf"),
    (Some("config-dir=/etc/rancher/k3s/kubelet.d"), "/etc/rancher/k3s/kubelet.d/50-user.conf"),
    (None, "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/90-user.yaml"),
];

/// The admission plugins that take a configuration and are off by themselves: a document that names one is for it.
const PLUGINS: [&str; 4] =
    ["EventRateLimit", "ImagePolicyWebhook", "PodNodeSelector", "PodTolerationRestriction"];

/// Values for any field.
const ANY: &[&str] =
    &["[]", "{}", "null", "\"\"", "1", "true", "[{}]", "[null]", "text", "{a: b}", "[a, b]", "-1", "~"];

/// Expressions of the Common Expression Language.
const EXPRESSIONS: &[&str] = &[
    "claims.sub",
    "claims.sub(",
    "claims",
    "'a'",
    "claims.email_verified ? 'a' : 'b'",
    "user.username",
    "request.user",
    "has(claims.sub)",
    "claims.sub == 'a'",
    "claims.?sub.orValue('')",
    "claims.sub + ",
    "x.y",
    "true",
    "1 + 1",
    "",
    "request.resourceAttributes.namespace == 'a'",
    "has(request.resourceAttributes)",
    "user.groups.all(g, g != 'a')",
];

/// Returns the documents of a seed.
fn seeds(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("tests/it/component_values/seeds/{name}.yaml")).unwrap();
    text.split("\n---\n").map(|text| serde_yaml::from_str(text).unwrap()).collect()
}

/// The names of the components' own certificates and keys.
const PAIRS: [&str; 4] = [
    "kube-scheduler",
    "kube-controller-manager",
    "cloud-controller-manager",
    "cloud-controller-manager-webhook",
];

/// Returns the files of the folder of samples that a text names.
pub(super) fn samples_in(text: &str) -> BTreeMap<String, CaseFile> {
    let mut found = BTreeMap::new();
    for part in text.split(SAMPLES).skip(1) {
        let name: String = part
            .chars()
            .skip(1)
            .take_while(|letter| letter.is_ascii_alphanumeric() || "-.".contains(*letter))
            .collect();
        let file = match name.as_str() {
            "cert.pem" => CaseFile::Text(CERT.to_owned()),
            "key.pem" => CaseFile::Text(KEY.to_owned()),
            "both.pem" => CaseFile::Text(format!("{CERT}{KEY}")),
            "empty" => CaseFile::Text(String::new()),
            "garbage" => CaseFile::Text("{[ no: yaml\n\tat all".to_owned()),
            "folder" => CaseFile::Folder { dir: true },
            // Folders of certificates with their keys: a pair, one of them, and two that do not belong together.
            "pair" | "half" | "wrong" => {
                for file in PAIRS {
                    let path = |ending| format!("{SAMPLES}/{name}/{file}.{ending}");
                    found.insert(path("crt"), CaseFile::Text(CERT.to_owned()));
                    match name.as_str() {
                        "pair" => found.insert(path("key"), CaseFile::Text(KEY.to_owned())),
                        "wrong" => found.insert(path("key"), CaseFile::Text(CERT.to_owned())),
                        _ => None,
                    };
                }
                CaseFile::Folder { dir: true }
            }
            "dangling" => CaseFile::Link { link: format!("{SAMPLES}/nowhere") },
            "kubeconfig" => CaseFile::Text(sample("kubeconfig")),
            _ => match name.strip_suffix(".yaml") {
                Some(kind) => {
                    let text = sample(kind);
                    found.extend(samples_in(&text));
                    CaseFile::Text(text)
                }
                None => continue,
            },
        };
        found.insert(format!("{SAMPLES}/{name}"), file);
    }
    found
}

/// Returns a file that is right: the first document of the seed, of the kubelet's a part.
fn sample(kind: &str) -> String {
    let mut seed = seeds(kind).remove(0);
    if kind == "kubelet" {
        let few = ["apiVersion", "kind", "maxPods", "streamingConnectionIdleTimeout", "evictionHard"];
        seed.as_mapping_mut().unwrap().retain(|key, _| few.contains(&key.as_str().unwrap()));
    }
    serde_yaml::to_string(&seed).unwrap()
}

/// Returns so many cases of a release.
pub(super) fn cases(random: &mut Random, release: &str, count: usize, only: &Regex) -> Vec<Case> {
    let group = |kind: &Kind| format!("{}:{}-file", kind.component, kind.name);
    let kinds: Vec<&Kind> = KINDS
        .iter()
        .filter(|kind| only.is_match(&group(kind)))
        .flat_map(|kind| std::iter::repeat_n(kind, kind.share))
        .collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let mut cases = Vec::new();
    while cases.len() < count {
        let kind = kinds[random.below(kinds.len())];
        let text = document(random, kind);
        let mut path = format!("/etc/rancher/k3s/{}.yaml", kind.name);
        let mut args = vec![format!("{}={path}", kind.argument)];
        if kind.name == "kubelet" && random.below(2) == 0 {
            let (argument, file) = DROP_INS[[0, 0, 0, 0, 1, 1, 2][random.below(7)]];
            args = argument.iter().map(|&it| it.to_owned()).collect();
            file.clone_into(&mut path);
        }
        if kind.name == "admission" {
            let named: Vec<&str> = PLUGINS.into_iter().filter(|plugin| text.contains(plugin)).collect();
            args.extend((!named.is_empty()).then(|| format!("enable-admission-plugins={}", named.join(","))));
        }
        let mut files = samples_in(&text);
        files.insert(path, CaseFile::Text(text));
        cases.push(Case {
            component: kind.component.to_owned(),
            kubernetes: release.to_owned(),
            args,
            files,
            group: group(kind),
            accepted: None,
            error: None,
            stage: None,
            late: None,
        });
    }
    cases
}

/// Makes a document.
fn document(random: &mut Random, kind: &Kind) -> String {
    let seeds = seeds(kind.name);
    let mut seed = seeds[random.below(seeds.len())].clone();
    let top = seed.as_mapping_mut().unwrap();
    if !kind.kept.is_empty() {
        let others: Vec<Value> =
            top.keys().filter(|key| !kind.kept.contains(&key.as_str().unwrap())).cloned().collect();
        let wanted: Vec<&Value> =
            (0..=random.below(4)).map(|_| &others[random.below(others.len())]).collect();
        top.retain(|key, _| kind.kept.contains(&key.as_str().unwrap()) || wanted.contains(&key));
    }
    // Values are put in as they are written, not as their reader here would write them.
    let mut raw = Vec::new();
    for _ in 0..random.below(3) {
        change(random, &mut seed, &mut raw);
    }
    let mut text = if random.below(15) == 0 {
        serde_json::to_string(&seed).unwrap()
    } else {
        serde_yaml::to_string(&seed).unwrap()
    };
    for (at, value) in raw.iter().enumerate() {
        let mark = format!("@{at}@");
        text = text
            .replace(&format!("'{mark}'"), value)
            .replace(&format!("\"{mark}\""), value)
            .replace(&mark, value);
    }
    match random.below(12) {
        0 => mutate::whole(&mut mutate::Dice::new(random.below(usize::MAX) as u64), &text).1,
        1 => {
            let mut lines: Vec<&str> = text.lines().collect();
            let at = random.below(lines.len());
            lines.insert(at, lines[at]);
            lines.join("\n") + "\n"
        }
        _ => text,
    }
}

/// Changes one place of a document at random.
fn change(random: &mut Random, seed: &mut Value, raw: &mut Vec<String>) {
    let mut paths = Vec::new();
    collect(seed, &mut Vec::new(), &mut paths);
    let path = paths[random.below(paths.len())].clone();
    let (last, above) = path.split_last().unwrap();
    let parent = above.iter().fold(seed, |value, step| match step {
        Value::Number(at) => {
            &mut value.as_sequence_mut().unwrap()[usize::try_from(at.as_u64().unwrap()).unwrap()]
        }
        key => value.as_mapping_mut().unwrap().get_mut(key).unwrap(),
    });
    let name = path.iter().rev().find_map(Value::as_str).unwrap_or_default().to_owned();
    match parent {
        Value::Sequence(items) => {
            let at = usize::try_from(last.as_u64().unwrap()).unwrap();
            match random.below(5) {
                0 => items.push(items[at].clone()),
                1 => drop(items.remove(at)),
                _ => items[at] = other(random, &name, &items[at], raw),
            }
        }
        Value::Mapping(fields) => match random.below(8) {
            0 => drop(fields.remove(last)),
            1 => {
                let value = fields.remove(last).unwrap();
                fields.insert(Value::from(misspelt(random, last.as_str().unwrap_or("x"))), value);
            }
            2 => drop(fields.insert(Value::from("unknown"), Value::from(1))),
            _ => {
                let value = other(random, &name, &fields[last], raw);
                fields.insert(last.clone(), value);
            }
        },
        _ => {}
    }
}

/// Collects the paths of everything in a document.
fn collect(value: &Value, path: &mut Vec<Value>, paths: &mut Vec<Vec<Value>>) {
    let mut add = |step: Value, inner: &Value| {
        path.push(step);
        paths.push(path.clone());
        collect(inner, path, paths);
        path.pop();
    };
    match value {
        Value::Sequence(items) => items.iter().enumerate().for_each(|(at, item)| add(Value::from(at), item)),
        Value::Mapping(fields) => fields.iter().for_each(|(key, inner)| add(key.clone(), inner)),
        _ => {}
    }
}

/// Returns another value for a field: of its type, of what its name asks for, or any.
fn other(random: &mut Random, name: &str, old: &Value, raw: &mut Vec<String>) -> Value {
    let lower = name.to_lowercase();
    let named = pools::by_name(&[&lower]);
    let text = old.as_str().unwrap_or_default();
    let is_duration = text.ends_with('s') && text.starts_with(|letter: char| letter.is_ascii_digit());
    let value = if random.below(8) == 0 || !(old.is_bool() || old.is_number() || old.is_string()) {
        None
    } else if old.is_bool() {
        Some(pools::named("booleans").value(random))
    } else if old.is_number() {
        Some(pools::named("numbers").value(random))
    } else if is_duration {
        Some(pools::named("durations").value(random))
    } else if name.ends_with("xpression") {
        Some(EXPRESSIONS[random.below(EXPRESSIONS.len())])
    } else if named.is_empty() {
        Some(pools::any(random).value(random))
    } else {
        let pool = named[random.below(named.len())];
        Some(pool.value(random))
    };
    raw.push(match value {
        None => ANY[random.below(ANY.len())].to_owned(),
        // Where the field is a text, the value is one; where it is a number, whatever YAML makes of it.
        Some(value) if old.is_string() => serde_json::to_string(value).unwrap(),
        Some(value) if value.is_empty() || value.starts_with(' ') => "''".to_owned(),
        Some(value) => value.to_owned(),
    });
    Value::from(format!("@{}@", raw.len() - 1))
}

/// Returns a name with a letter in the other case, or misspelt.
fn misspelt(random: &mut Random, name: &str) -> String {
    match random.below(4) {
        0 => name.to_lowercase(),
        1 => format!("{name}s"),
        2 => name[..1].to_uppercase() + &name[1..],
        _ => name.to_uppercase(),
    }
}
