// SPDX-License-Identifier: Apache-2.0
//! Random services, environments and configuration files of K3s, most of them close to what K3s takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::random::Random;
use k3s_harden::Role;
use k3s_harden::k3s::flags::{self, K3sFlag, K3sFlagType};
use k3s_harden::version::{Availability, K3sRelease};
use serde_json::{Value, json};

/// Releases, and the generation of urfave/cli that each has.
pub(crate) const RELEASES: [(&str, u8); 6] =
    [("v1.25.16", 1), ("v1.31.7", 1), ("v1.32.3", 1), ("v1.32.4", 2), ("v1.34.1", 2), ("v1.36.2", 2)];

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct NodeInput {
    pub(crate) release: &'static str,
    generation: u8,
    pub(crate) role: Role,
    words: Vec<String>,
    variables: BTreeMap<String, String>,
    keys: Vec<(String, Vec<String>)>,
}

impl NodeInput {
    pub(crate) fn unit(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut unit = String::from("[Service]\n");
        for (name, value) in &self.variables {
            writeln!(unit, "Environment={}", quoted(&format!("{name}={value}"))).unwrap();
        }
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        writeln!(unit, "ExecStart=/usr/local/bin/k3s {}", words.join(" ")).unwrap();
        unit
    }

    /// JSON is YAML. A value that is one is written as one, without a list.
    pub(crate) fn config(&self) -> String {
        let pairs: Vec<String> = self
            .keys
            .iter()
            .map(|(name, items)| match items.as_slice() {
                [item] => format!("{}: {}\n", json!(name), json!(item)),
                items => format!("{}: {}\n", json!(name), json!(items)),
            })
            .collect();
        pairs.concat()
    }

    /// Returns what the Go program is asked.
    pub(crate) fn question(&self, argv: &[String]) -> Value {
        json!({"table": self.release, "generation": self.generation, "argv": argv, "env": self.variables})
    }
}

/// Tells whether a release reads the variables of a flag: of data-dir's, from that of 2024-07-31 on.
pub(crate) fn reads_variables(flag: &K3sFlag, release: K3sRelease) -> bool {
    flag.names[0] != "data-dir" || release.minor().number() >= 31
}

pub(crate) fn node(random: &mut Random) -> NodeInput {
    let (release, generation) = RELEASES[random.below(RELEASES.len())];
    let role = if chance(random, 70) { Role::Server } else { Role::Agent };
    let mut dice = Dice { random, role, release: super::release(release) };
    let mut words = dice.words_before();
    for _ in 0..dice.random.below(5) {
        dice.add_words(&mut words);
    }
    let mut variables = BTreeMap::new();
    while chance(dice.random, 20) {
        let (name, value) = dice.variable();
        variables.insert(name, value);
    }
    let keys = (0..dice.random.below(4)).map(|_| dice.key()).collect();
    NodeInput { release, generation, role, words, variables, keys }
}

fn chance(random: &mut Random, percent: usize) -> bool {
    random.below(100) < percent
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

const BOOLEANS: [&str; 14] =
    ["true", "false", "true", "T", "1", "0", "f", "TRUE", "False", "yes", "tRUE", "", "true ", "2"];
const INTEGERS: [&str; 22] = [
    "1",
    "6443",
    "0",
    "+7",
    "-1",
    "0x1F",
    "0b11",
    "0o17",
    "017",
    "1_000",
    "0_7",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "0x_1",
    "08",
    "1__0",
    "_1",
    "",
    "1.0",
    " 1",
    "x",
];
const DURATIONS: [&str; 14] =
    ["5m", "1h30m", "0", "-5s", "1.5h", "10ms", "+3s", "5", "", "5 m", "m", ".5s", "1d", "2562048h"];
const TEXTS: [&str; 16] = [
    "x",
    "/srv/k3s",
    "",
    "a=b",
    "a,b",
    " a ",
    "-x",
    "--debug",
    "server",
    "agent",
    "é",
    "a b",
    "x=",
    "true",
    "\"q\"",
    "https://10.0.0.1:6443",
];
const STRAY: [&str; 14] = [
    "extra",
    "true",
    "-",
    "--",
    "help",
    "h",
    "#",
    "",
    "server",
    "agent",
    "--help",
    "-h",
    "false",
    "-help=false",
];
const UNKNOWN: [&str; 12] = [
    "bogus",
    "kubelet-args",
    "Debug",
    "data_dir",
    "no-deploy",
    "disable",
    "x",
    "dd",
    "helpme",
    "version",
    "cluster-secret",
    "no-flannel",
];

struct Dice<'a> {
    random: &'a mut Random,
    role: Role,
    release: K3sRelease,
}

impl Dice<'_> {
    /// Returns the words before the command, and the command.
    fn words_before(&mut self) -> Vec<String> {
        let role = self.role.to_string();
        let before: &[&str] = match self.random.below(60) {
            0 => &["--debug"],
            1 => &["-d", "/x"],
            2 => &["--data-dir=/x"],
            3 => &["--bogus"],
            4 => &["--help"],
            5 => &["-v"],
            6 => &["--debug=maybe"],
            7 => &["--"],
            8 => &["-d", "/x", "--data-dir", "/y"],
            9 => &["--data-dir", "server"],
            10 => &["--version=false"],
            11 => &["---debug"],
            _ => &[],
        };
        before.iter().map(|word| (*word).to_owned()).chain([role]).collect()
    }

    fn flag(&mut self) -> &'static K3sFlag {
        // Which configuration file K3s reads is another test's.
        let all: Vec<_> =
            super::flags_of(self.role, self.release).filter(|flag| flag.names[0] != "config").collect();
        // Flags with two names or with a variable are rare, and have rules of their own.
        let special: Vec<_> =
            all.iter().copied().filter(|flag| flag.names.len() > 1 || !flag.env.is_empty()).collect();
        let from = if chance(self.random, 40) { special } else { all };
        from[self.random.below(from.len())]
    }

    fn value(&mut self, kind: K3sFlagType) -> String {
        let good = chance(self.random, 70);
        let text = match kind {
            K3sFlagType::Boolean if good => pick(self.random, &BOOLEANS[..9]),
            K3sFlagType::Boolean => pick(self.random, &BOOLEANS),
            K3sFlagType::Integer if good => pick(self.random, &INTEGERS[..10]),
            K3sFlagType::Integer => pick(self.random, &INTEGERS),
            K3sFlagType::Duration if good => pick(self.random, &DURATIONS[..7]),
            K3sFlagType::Duration => pick(self.random, &DURATIONS),
            K3sFlagType::Text | K3sFlagType::List => pick(self.random, &TEXTS),
        };
        text.to_owned()
    }

    /// Adds a flag with its value, or a word that is none.
    fn add_words(&mut self, words: &mut Vec<String>) {
        if chance(self.random, 12) {
            words.push(pick(self.random, &STRAY).to_owned());
            return;
        }
        let flag = self.flag();
        let name = &flag.names[self.random.below(flag.names.len())];
        let name = if chance(self.random, 5) { pick(self.random, &UNKNOWN) } else { name };
        let dashes = match self.random.below(40) {
            0 => "---",
            1..=10 => "-",
            _ => "--",
        };
        let value = self.value(flag.kind);
        let is_bare = if flag.kind == K3sFlagType::Boolean { 60 } else { 3 };
        if chance(self.random, is_bare) {
            words.push(format!("{dashes}{name}"));
        } else if chance(self.random, if flag.kind == K3sFlagType::Boolean { 90 } else { 50 }) {
            words.push(format!("{dashes}{name}={value}"));
        } else {
            words.extend([format!("{dashes}{name}"), value]);
        }
    }

    fn variable(&mut self) -> (String, String) {
        loop {
            let flag = self.flag();
            if let Some(name) = flag.env.first() {
                return (name.clone(), self.value(flag.kind));
            }
        }
    }

    fn key(&mut self) -> (String, Vec<String>) {
        let flag = self.flag();
        let name = flag.names[self.random.below(flag.names.len())].clone();
        let name = match self.random.below(30) {
            0 => pick(self.random, &UNKNOWN).to_owned(),
            1 => format!("--{name}"),
            2 => format!("{name}=x"),
            3 => format!("{name}+"),
            _ => name,
        };
        let count =
            if flag.kind == K3sFlagType::List || chance(self.random, 10) { self.random.below(4) } else { 1 };
        (name, (0..count).map(|_| self.value(flag.kind)).collect())
    }
}

/// Holds the rule of [`reads_variables`] to the table.
#[test]
fn the_releases_that_read_the_variable_are_those_of_the_table() {
    for (name, _) in RELEASES {
        let release = super::release(name);
        for flag in flags::of_release(Role::Server, release) {
            let reads = flag.availability_of_variables(release) != Availability::Absent;
            assert_eq!(reads, reads_variables(flag, release), "{name}: {}", flag.names[0]);
        }
    }
}
