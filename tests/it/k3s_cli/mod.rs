// SPDX-License-Identifier: Apache-2.0
//! K3s's command line against the library that K3s reads it with: many random command lines, environments and
//! configuration files go to a small Go program (tests/oracle/k3s_cli), which builds the flags of K3s with either
//! generation of urfave/cli, and to ours. Both have to refuse the same, in the same words, and to read the same values.
//!
//! It is part of the second tier, with 250 nodes: `cargo test --test it k3s_cli -- --include-ignored`, with Go. The third
//! tier takes 5 000 (`tests/full`). `SEED` and `NODES` change them, `SHOW` how many of those that differ are shown.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod generate;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::support::counts::pick;
use crate::support::random::Random;
use crate::support::{go_program, turns};
use generate::{NodeInput, RELEASES};
use k3s_harden::Role;
use k3s_harden::k3s::flags::{self, K3sFlag, K3sFlagType};
use k3s_harden::k3s::{ConfigQuery, EffectiveConfig, K3sRefusal, RefusalKind};
use k3s_harden::kubernetes::flag_values;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::version::{K3sRelease, K3sVersion};
use serde_json::{Value, json};

const SEED: u64 = 0x6b33_735f_636c_6921;
const NODES: usize = pick(250, 5_000);

fn release(text: &str) -> K3sRelease {
    text.parse::<K3sVersion>().unwrap().number()
}

/// The flags of a release, without those of which it is not known whether it has them.
fn flags_of(role: Role, release: K3sRelease) -> impl Iterator<Item = &'static K3sFlag> {
    flags::of_release(role, release).filter(move |flag| flag.doubt(release).is_none())
}

#[test]
fn the_pause_image_is_that_of_the_release() {
    let image = |version: &str| {
        let flag = flags::of_any_minor(Role::Agent, "pause-image").unwrap();
        flag.default_in(version.parse::<K3sVersion>().unwrap().number())
            .map(|text| text.trim_matches('"').to_owned())
    };
    let (old, new) = (Some("rancher/mirrored-pause:3.6"), Some("rancher/mirrored-pause:3.10.2"));
    for (version, wanted) in [
        ("1.24", old),
        ("1.33", old),
        ("v1.34.9+k3s1", old),
        ("v1.34.10+k3s1", new),
        ("1.34", None),
        ("v1.35.6+k3s1", old),
        ("v1.35.7+k3s1", new),
        ("v1.36.2+k3s1", old),
        ("v1.36.3+k3s1", new),
        ("v1.37.0+k3s1", new),
        ("1.37", new),
    ] {
        assert_eq!(image(version).as_deref(), wanted, "{version}");
    }
}

#[test]
fn the_table_is_that_of_k3s() {
    let text = std::fs::read_to_string("tests/oracle/k3s_cli/flags-1.36.json").unwrap();
    let theirs: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).unwrap();
    let described = |flag: &K3sFlag, is_whole: bool| {
        let kind = match flag.kind {
            K3sFlagType::Boolean => "BoolFlag",
            K3sFlagType::Integer => "IntFlag",
            K3sFlagType::Duration => "DurationFlag",
            K3sFlagType::Text => "StringFlag",
            K3sFlagType::List => "StringSliceFlag",
        };
        let default = flag.default_in(release("v1.36.2")).filter(|_| is_whole);
        json!({"names": flag.names, "type": kind, "env": flag.env, "default": default, "hidden": flag.hidden})
    };
    let of_library = ["help", "version"];
    let roles = [("server", Role::Server), ("agent", Role::Agent)];
    let tables =
        roles.map(|(name, role)| (name, flags_of(role, release("v1.36.2")).collect::<Vec<_>>(), true));
    let own = flags::global().iter().filter(|flag| !of_library.contains(&flag.names[0].as_str()));
    for (name, ours, is_whole) in tables.into_iter().chain([("global", own.collect(), false)]) {
        let ours: Vec<Value> = ours.into_iter().map(|flag| described(flag, is_whole)).collect();
        let theirs: Vec<Value> = theirs[name]
            .iter()
            .map(|flag| {
                let or = |key: &str, or: Value| if flag[key].is_null() { or } else { flag[key].clone() };
                let default = if is_whole { flag["default"].clone() } else { Value::Null };
                json!({
                    "names": flag["names"], "type": flag["type"], "env": or("env", json!([])),
                    "default": default, "hidden": or("hidden", json!(false))
                })
            })
            .collect();
        let only = |some: &[Value], others: &[Value]| -> Vec<Value> {
            some.iter().filter(|flag| !others.contains(flag)).cloned().collect()
        };
        assert_eq!(only(&ours, &theirs), Vec::<Value>::new(), "{name}: K3s does not have them so");
        assert_eq!(only(&theirs, &ours), Vec::<Value>::new(), "{name}: ours does not have them so");
        assert!(!ours.is_empty());
    }
}

#[test]
#[ignore = "needs Go"]
fn ours_reads_what_urfave_cli_reads() {
    let _busy = turns::busy();
    let number = |name: &str, or: u64| std::env::var(name).ok().map_or(or, |text| text.parse().unwrap());
    let (seed, begin) = (number("SEED", SEED), Instant::now());
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut asked = Vec::new();
    for _ in 0..number("NODES", NODES as u64) {
        let input = generate::node(&mut random);
        let ours = read(&directory.path().join("node"), &input);
        asked.push((input, ours));
    }
    let questions: Vec<Value> = asked.iter().map(|(input, ours)| input.question(&ours.argv)).collect();
    let answers = go_program::ask(
        &go_program::build("k3s_cli", directory.path()),
        std::iter::once(tables()).chain(questions.iter().cloned()),
    );
    assert_eq!(answers.len(), asked.len(), "the Go program answered less than it was asked");

    let (mut agree, mut refused, mut misses, mut alarms, mut differ) = (0, 0, 0, 0, 0);
    let mut wrong = String::new();
    for ((input, ours), theirs) in asked.iter().zip(&answers) {
        let our_refusal = ours.refusals.iter().find(|refusal| refusal.is_certain());
        let starts = theirs["command"] == input.role.to_string();
        refused += usize::from(!starts);
        let fault = match (our_refusal, starts) {
            (None, false) => {
                misses += 1;
                Some("missed")
            }
            (Some(_), true) => {
                alarms += 1;
                Some("false alarm")
            }
            (Some(refusal), false) => {
                let same = says_the_same(refusal, theirs);
                differ += usize::from(!same);
                (!same).then_some("another message")
            }
            (None, true) => {
                let same = values_of(input, ours) == theirs["values"] && json!(ours.rest) == theirs["rest"];
                differ += usize::from(!same);
                (!same).then_some("other values")
            }
        };
        let Some(fault) = fault else {
            agree += 1;
            continue;
        };
        if misses + alarms + differ <= usize::try_from(number("SHOW", 10)).unwrap() {
            let ours = (our_refusal.map(|refusal| &refusal.message), values_of(input, ours), &ours.rest);
            writeln!(wrong, "{fault}: {input:?}\n  ours {ours:?}\n  theirs {theirs}").unwrap();
        }
    }
    println!(
        "{agree} of {} command lines agree ({refused} are refused): {misses} refusals missed, {alarms} false alarms, {differ} read otherwise; seed {seed:#x}, {:.1} s",
        asked.len(),
        begin.elapsed().as_secs_f64()
    );
    assert!(
        refused * 5 > asked.len() && (asked.len() - refused) * 5 > asked.len(),
        "the inputs are one-sided"
    );
    assert!(
        misses + alarms + differ == 0,
        "{misses} missed, {alarms} false alarms, {differ} differ:\n{wrong}"
    );
}

/// Reads a node with the service, the environment and the configuration file of an input.
fn read(root: &Path, input: &NodeInput) -> EffectiveConfig {
    for (path, text) in
        [("etc/systemd/system/k3s.service", input.unit()), ("etc/rancher/k3s/config.yaml", input.config())]
    {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let query = ConfigQuery {
        role: input.role,
        release: release(input.release),
        data_dir: &RootedPath::fixed("/var/lib/rancher/k3s"),
        words: &[],
        show_secrets: true,
    };
    EffectiveConfig::read(&Root::open(root).unwrap(), query).unwrap()
}

/// Tells whether a refusal of ours is what the library says.
fn says_the_same(refusal: &K3sRefusal, theirs: &Value) -> bool {
    let error = theirs["error"].as_str().unwrap();
    match refusal.kind {
        // The library prints its help, or says what its command help does not understand.
        RefusalKind::Help => theirs["command"] == "",
        RefusalKind::Command if error.is_empty() => {
            theirs["command"] == refusal.flag.as_str() || theirs["command"] == ""
        }
        // Ours shows no secrets.
        _ => match refusal.message.split_once("********") {
            Some((before, "")) => error.starts_with(before),
            _ => error == refusal.message,
        },
    }
}

/// Returns our values as the Go program prints its own.
fn values_of(input: &NodeInput, ours: &EffectiveConfig) -> Value {
    let values = ours.values.iter().map(|(name, value)| {
        let kind = flags::find(input.role, release(input.release), name).unwrap().kind;
        let items = value.items.iter().map(|text| match kind {
            K3sFlagType::Boolean => {
                flag_values::boolean(text).map_or_else(|| text.clone(), |value| value.to_string())
            }
            K3sFlagType::Integer => {
                flag_values::integer(text).map_or_else(|| text.clone(), |value| value.to_string())
            }
            K3sFlagType::Duration => {
                flag_values::duration(text).map_or_else(|| text.clone(), |value| value.to_string())
            }
            K3sFlagType::Text | K3sFlagType::List => text.clone(),
        });
        (name.clone(), json!(items.collect::<Vec<_>>()))
    });
    Value::Object(values.collect())
}

/// Returns the tables of flags that the questions name.
fn tables() -> Value {
    let described = |flag: &K3sFlag, of: K3sRelease| {
        let kind = match flag.kind {
            K3sFlagType::Boolean => "boolean",
            K3sFlagType::Integer => "integer",
            K3sFlagType::Duration => "duration",
            K3sFlagType::Text => "text",
            K3sFlagType::List => "list",
        };
        let env: &[String] = if generate::reads_variables(flag, of) { &flag.env } else { &[] };
        let into = Some(flag.destination()).filter(|into| *into != flag.names[0]);
        json!({"names": flag.names, "type": kind, "env": env, "into": into})
    };
    let tables = RELEASES.map(|(name, _)| {
        let of = release(name);
        let role = |role| flags_of(role, of).map(|flag| described(flag, of)).collect::<Vec<_>>();
        let own =
            flags::global().iter().filter(|flag| !["help", "version"].contains(&flag.names[0].as_str()));
        let global: Vec<Value> = own.map(|flag| described(flag, of)).collect();
        (name.to_owned(), json!({"global": global, "server": role(Role::Server), "agent": role(Role::Agent)}))
    });
    json!({"tables": Value::Object(tables.into_iter().collect())})
}
