// SPDX-License-Identifier: Apache-2.0
//! How the value of each argument of a component, and of each field of its files, is judged: a page of the manual, and how
//! much is not judged at all.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files by hand")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::support::Node;
use crate::support::kubernetes::RELEASES;
use k3s_harden::kubernetes::component_flags;
use k3s_harden::kubernetes::config_fields;
use k3s_harden::kubernetes::value_judgement::{self, ValueJudgement};
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const PAGE: &str = "docs/COMPONENT-VALUES.md";
const CONFIG: &str = "etc/rancher/k3s/config.yaml";
/// The kinds whose fields the page lists; readers of their own judge the others as a whole.
const LISTED: [&str; 3] = ["KubeProxyConfiguration", "KubeSchedulerConfiguration", "KubeletConfiguration"];
/// The kind that nobody reads: the argument that names its file counts as not judged.
const UNREAD: &str = "CredentialProviderConfig";
/// How many settings of a component, or of a kind, may not be judged, in percent.
const MOST_NOT_JUDGED: usize = 2;

/// A setting: its name, its type, and how it is judged; none if no table says it.
type Setting = (String, String, Option<ValueJudgement>);

/// The newest minor that there is: the tests may run with a made-up one above it.
fn newest() -> KubernetesMinor {
    let (minor, _) = RELEASES[0].strip_prefix('v').and_then(|release| release.rsplit_once('.')).unwrap();
    minor.parse().unwrap()
}

/// Returns the arguments of each component, and the fields of each kind, of a minor.
fn settings(minor: KubernetesMinor) -> Vec<(String, Vec<Setting>)> {
    let mut found = Vec::new();
    for (component, flags) in component_flags::all() {
        let of_minor = flags.iter().filter(|(_, flag)| flag.is_of(minor));
        let setting = |(name, flag): (&String, &component_flags::ComponentFlag)| {
            let kind = format!("{:?}", flag.kind);
            (name.clone(), kind, value_judgement::of_flag(component, name))
        };
        found.push((component.clone(), of_minor.map(setting).collect()));
    }
    let kinds: BTreeSet<&str> = config_fields::typed_fields(minor).iter().map(|field| field.kind).collect();
    for kind in kinds.into_iter().filter(|kind| *kind != UNREAD) {
        let fields = value_judgement::fields(kind, minor).into_iter().map(|(path, of)| {
            let judged = value_judgement::of_field(kind, &path, of);
            (path, of.to_owned(), judged)
        });
        found.push((kind.to_owned(), fields.collect()));
    }
    found
}

/// Returns the class of a judgement, and what is said of it.
fn class(judged: Option<&ValueJudgement>) -> (&'static str, String) {
    match judged {
        Some(ValueJudgement::Rules(bounds)) => ("judged", bounds.join("; ")),
        Some(ValueJudgement::Type(_)) => ("judged", "by its type".to_owned()),
        Some(ValueJudgement::Elsewhere(by)) => ("by another check", (*by).to_owned()),
        Some(ValueJudgement::AnyValue(why)) => ("any value", (*why).to_owned()),
        Some(ValueJudgement::Machine(what)) => ("the machine decides", (*what).to_owned()),
        Some(ValueJudgement::NotJudged(why)) => ("not judged", (*why).to_owned()),
        None => ("not judged", "no table says it".to_owned()),
    }
}

#[test]
fn the_page_of_values_is_what_the_tables_say() {
    let mut page = format!(
        "# The values of the components, and how each is judged\n\nThis page is made by a test (`tests/it/value_judgements.rs`) from the tables of `src/kubernetes/data` for Kubernetes {}.\nEvery value is read as its type first. What is not judged makes the verdict of `preflight` unknown where it is set.\n",
        newest()
    );
    for (of, settings) in settings(newest()) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut rows = String::new();
        for (name, kind, judged) in &settings {
            let (class, said) = class(judged.as_ref());
            *counts.entry(class).or_default() += 1;
            let said = said.replace('|', "\\|");
            writeln!(rows, "| `{name}` | {kind} | {class} | {said} |").unwrap();
        }
        let count = |class: &str| counts.get(class).copied().unwrap_or_default();
        writeln!(
            page,
            "\n## {of}: {} settings; judged {}, by another check {}, any value {}, the machine decides {}, not judged {}\n",
            settings.len(),
            count("judged"),
            count("by another check"),
            count("any value"),
            count("the machine decides"),
            count("not judged")
        )
        .unwrap();
        if component_flags::all().contains_key(&of) || LISTED.contains(&of.as_str()) {
            write!(page, "| setting | type | how | what it takes, or why |\n|---|---|---|---|\n{rows}")
                .unwrap();
        } else {
            let readers: BTreeSet<String> =
                settings.iter().map(|(.., judged)| class(judged.as_ref()).1).collect();
            writeln!(page, "{}.", readers.into_iter().collect::<Vec<_>>().join("; ")).unwrap();
        }
    }
    if std::env::var_os("K3S_HARDEN_BLESS").is_some() {
        std::fs::write(PAGE, page).unwrap();
        return;
    }
    let there = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(there == page, "{PAGE} is not what the tables say: K3S_HARDEN_BLESS=1 writes it");
}

#[test]
fn what_is_not_judged_is_little() {
    let mut wrong = Vec::new();
    for minor in KubernetesMinor::supported() {
        for (of, settings) in settings(minor) {
            let not_judged: Vec<&str> = settings
                .iter()
                .filter(|(.., judged)| class(judged.as_ref()).0 == "not judged")
                .map(|(name, ..)| name.as_str())
                .collect();
            let unknown =
                settings.iter().filter(|(.., judged)| judged.is_none()).map(|(name, ..)| name.as_str());
            let unknown: Vec<&str> = unknown.collect();
            if !unknown.is_empty() {
                wrong.push(format!("{minor} {of}: no table judges {}", unknown.join(", ")));
            }
            if not_judged.len() * 100 > settings.len() * MOST_NOT_JUDGED {
                let (count, all) = (not_judged.len(), settings.len());
                wrong.push(format!(
                    "{minor} {of}: {count} of {all} are not judged: {}",
                    not_judged.join(", ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_value_that_is_not_judged_makes_the_verdict_unknown() {
    for (config, is_known) in [
        ("kube-scheduler-arg: [write-config-to=/tmp/scheduler.yaml]\n", false),
        ("kube-scheduler-arg: [write-config-to=]\n", true),
        ("kubelet-arg: [max-pods=110]\n", true),
    ] {
        let node = Node::new().file(CONFIG, config);
        let words = ["preflight", "--k3s-version", "1.36", "--role", "server"];
        let answer = node.run(&[&words[..], &["--format", "json"]].concat());
        let verdict: Value = serde_json::from_str(&answer.stdout).unwrap();
        let expected = if is_known { Value::Bool(true) } else { Value::Null };
        assert_eq!(verdict["starts"], expected, "{config}");
        let listed = verdict["not_judged"].as_array().unwrap();
        let is_listed =
            listed.iter().any(|one| one["what"] == "argument-not-judged" && one["path"].is_string());
        assert_eq!(is_listed, !is_known, "{config}: {listed:?}");
        let text = node.run(&words).stdout;
        assert_eq!(text.contains("[argument-not-judged]"), !is_known, "{text}");
    }
}

#[test]
fn what_only_the_machine_tells_is_a_note() {
    let config = "kubelet-arg: [container-runtime-endpoint=unix:///run/other.sock]\n";
    let node = Node::new().file(CONFIG, config);
    let words = ["preflight", "--k3s-version", "1.36", "--role", "server", "--format", "json"];
    let verdict: Value = serde_json::from_str(&node.run(&words).stdout).unwrap();
    assert_eq!(verdict["starts"], Value::Bool(true));
    let listed = verdict["not_judged"].as_array().unwrap();
    assert!(listed.iter().any(|one| one["what"] == "argument-not-judged"), "{listed:?}");
}

#[test]
fn fail_on_unknown_tells_what_stops_from_what_cannot_be_told() {
    for (config, expected) in [
        ("kubelet-arg: [max-pods=110]\n", 0),
        ("kube-scheduler-arg: [write-config-to=/tmp/scheduler.yaml]\n", 3),
        ("kube-scheduler-arg: [write-config-to=/tmp/scheduler.yaml, no-such-argument=1]\n", 2),
    ] {
        let node = Node::new().file(CONFIG, config);
        let words = ["preflight", "--k3s-version", "1.36", "--role", "server", "--fail-on"];
        assert_eq!(node.run(&[&words[..], &["unknown"]].concat()).code, expected, "{config}");
        let otherwise = if expected == 3 { 0 } else { expected };
        assert_eq!(node.run(&[&words[..], &["stops"]].concat()).code, otherwise, "{config}");
    }
}
