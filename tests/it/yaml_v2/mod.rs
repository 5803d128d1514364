// SPDX-License-Identifier: Apache-2.0
//! The reader of K3s's configuration against the library that K3s reads it with: many random scalars and
//! documents go to a small Go program (tests/oracle/yaml_v2) and to ours, and every answer has to be the same.
//!
//! It is part of the second tier, with 1 250 texts: `cargo test --test it yaml_v2 -- --include-ignored`, with Go. The
//! third tier takes 25 000 (`tests/full`). `SEED`, `SCALARS` and `DOCUMENTS` change the texts, `SHOW` how many of those
//! that differ are shown.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod generate;

use std::fmt::Write as _;
use std::time::Instant;

use crate::support::counts::pick;
use crate::support::{go_program, turns};
use generate::Dice;
use k3s_harden::kubernetes::scalar::Scalar;
use k3s_harden::kubernetes::yaml::{self, YamlNode, YamlValue as Yaml};
use serde_json::{Value, json};

const SEED: u64 = 0x6b33_735f_6861_7264;
const SCALARS: usize = pick(1_000, 20_000);
const DOCUMENTS: usize = pick(250, 5_000);

/// A kind of text that the two read differently, and why it stays so.
struct Class {
    name: &'static str,
    reason: &'static str,
    /// How many there may be, of the texts of the fixed seed: a class is no place to hide in.
    most: usize,
    /// Tells by the text and the two answers whether it is of this kind.
    holds: fn(&str, &Value, &Value) -> bool,
}

const CLASSES: [Class; 5] = [
    Class {
        name: "Unicode's line separators",
        most: pick(3, 80),
        reason: "yaml.v2 keeps U+2028 and U+2029 where it folds lines",
        holds: |text, _, _| text.contains(['\u{85}', '\u{2028}', '\u{2029}']),
    },
    Class {
        name: "refused by the event parser",
        most: pick(9, 130),
        reason: "YAML 1.2's grammar is stricter; who writes it is told, and not misled",
        holds: |_, ours, theirs| !ours["error"].is_null() && theirs["error"].is_null(),
    },
    Class {
        name: "the last digit of a float",
        most: pick(0, 10),
        reason: "of two shortest forms of the same number Go prints the one, Rust the other",
        holds: |_, ours, theirs| {
            let text = |answer: &Value| {
                answer["pairs"][0]["items"][0]["text"].as_str().and_then(|text| text.parse::<f64>().ok())
            };
            text(ours).is_some() && text(ours) == text(theirs)
        },
    },
    Class {
        name: "lists and mappings as keys",
        most: pick(0, 15),
        reason: "no flag of K3s is called that way",
        holds: |_, ours, _| {
            ours["pairs"].as_array().is_some_and(|pairs| {
                pairs.iter().any(|pair| {
                    pair["key"]["type"] != "string"
                        && pair["key"]["type"]
                            .as_str()
                            .is_some_and(|kind| kind.contains('[') || kind.contains("Map"))
                })
            })
        },
    },
    Class {
        name: "tabs and keys in odd places",
        most: pick(1, 15),
        reason: "yaml.v2's scanner refuses a few more of them; none is a way that a configuration is written",
        holds: |text, _, theirs| {
            !theirs["error"].is_null()
                && (text.contains(['\t', '\u{feff}']) || text.contains("\n:") || text.contains("#"))
        },
    },
];

#[test]
#[ignore = "needs Go"]
fn ours_reads_what_yaml_v2_reads() {
    let _busy = turns::busy();
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let (seed, begin) = (number("SEED", SEED), Instant::now());
    let mut dice = Dice::new(seed);
    let mut texts: Vec<String> = (0..number("SCALARS", SCALARS as u64))
        .map(|_| format!("k: {}\n", generate::scalar(&mut dice)))
        .collect();
    let scalars = texts.len();
    texts.extend((0..number("DOCUMENTS", DOCUMENTS as u64)).map(|_| generate::document(&mut dice)));
    let directory = tempfile::tempdir().unwrap();
    let program = go_program::build("yaml_v2", directory.path());
    let theirs = go_program::ask(&program, texts.iter().map(|text| json!({ "text": text })));
    assert_eq!(theirs.len(), texts.len(), "the Go program answered less than it was asked");

    let mut agree = [0, 0];
    let mut classes = vec![0; CLASSES.len()];
    let (mut wrong, mut wrongs) = (String::new(), 0);
    for (index, (text, theirs)) in texts.iter().zip(&theirs).enumerate() {
        let ours = answer(text);
        if ours == *theirs || (!ours["error"].is_null() && !theirs["error"].is_null()) {
            agree[usize::from(index >= scalars)] += 1;
        } else if let Some(class) = CLASSES.iter().position(|class| (class.holds)(text, &ours, theirs)) {
            classes[class] += 1;
        } else {
            wrongs += 1;
            if wrongs <= number("SHOW", 10) {
                writeln!(wrong, "{text:?}\n  ours {ours}\n  yaml.v2's {theirs}").unwrap();
            }
        }
    }
    println!(
        "{} of {scalars} scalars, {} of {} documents agree, seed {seed:#x}, {:.1} s",
        agree[0],
        agree[1],
        texts.len() - scalars,
        begin.elapsed().as_secs_f64()
    );
    for (class, count) in CLASSES.iter().zip(&classes) {
        println!("{count} differ as known: {}: {}", class.name, class.reason);
    }
    for (class, count) in CLASSES.iter().zip(classes) {
        assert!(seed != SEED || count <= class.most, "{}: {count} are more than {}", class.name, class.most);
    }
    assert!(wrongs == 0, "{wrongs} differ:\n{wrong}");
}

/// What ours reads, in the form in which the Go program answers.
fn answer(text: &str) -> Value {
    let pairs = match yaml::read(text.as_bytes()) {
        Err(problem) => return json!({ "error": problem.message }),
        Ok(None) => Vec::new(),
        Ok(Some(node)) => match node.value {
            Yaml::Map(pairs) => pairs,
            Yaml::Scalar(Scalar::Null) => Vec::new(),
            other => return json!({ "error": format!("no mapping: {other:?}") }),
        },
    };
    let pairs: Vec<Value> = pairs
        .iter()
        .map(|(key, value)| {
            let (list, items) = match &value.value {
                Yaml::List(items) => (true, items.iter().map(item).collect()),
                _ => (false, vec![item(value)]),
            };
            json!({ "key": item(key), "list": list, "items": items })
        })
        .collect();
    json!({ "pairs": pairs })
}

fn item(node: &YamlNode) -> Value {
    let kind = match &node.value {
        Yaml::List(_) => "[]interface {}",
        Yaml::Map(_) => "yaml.MapSlice",
        Yaml::Scalar(Scalar::Null) => "<nil>",
        Yaml::Scalar(Scalar::Bool(_)) => "bool",
        Yaml::Scalar(Scalar::Int(_)) => "int",
        Yaml::Scalar(Scalar::Uint(_)) => "uint64",
        Yaml::Scalar(Scalar::Float(_)) => "float64",
        Yaml::Scalar(Scalar::Text(_)) => "string",
    };
    // The first of a list, and of nothing nothing: convert.ToString of rancher/wrangler.
    let single = match &node.value {
        Yaml::List(items) => items.first(),
        _ => Some(node),
    };
    let text = single.filter(|node| !node.is_null()).map(YamlNode::go_text).unwrap_or_default();
    json!({ "type": kind, "text": text.trim() })
}
