// SPDX-License-Identifier: Apache-2.0
//! What a real K3s 1.36.3 did with a configuration, against `preflight`.
//!
//! One recorded answer is left out: a server that joins with disable-etcd, which exited because the other server was not
//! there.
//!
//! A K3s that waits for ever is never ready: it does not start. Where the answer depends on the machine or the network
//! (an address, a server that does not answer), "not judged" is right as well.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Deserialize;
use serde_json::Value;

use super::case::{self, NodeFile};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    name: String,
    #[serde(rename = "kind")]
    _kind: Option<String>,
    k3s: String,
    /// The command line after the program.
    args: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, NodeFile>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    starts: bool,
    /// What K3s said.
    error: String,
    #[serde(rename = "exits")]
    _exits: Option<bool>,
    depends: Option<String>,
    #[serde(rename = "multicall")]
    _multicall: Option<bool>,
}

impl Start {
    fn role(&self) -> &'static str {
        let command = self.args.iter().find(|word| !word.starts_with('-'));
        if command.is_some_and(|word| word == "agent") { "agent" } else { "server" }
    }

    /// Lays the unit and the environment file as K3s's installer does, unless the node has a unit of its own.
    fn lay(&self) -> crate::support::Node {
        let mut files = self.files.clone();
        if !files.keys().any(|path| path.starts_with("etc/systemd/system/")) {
            let unit = if self.role() == "agent" { "k3s-agent" } else { "k3s" };
            let words: String = self.args.iter().map(|word| format!(" \\\n    {}", quoted(word))).collect();
            let path = format!("etc/systemd/system/{unit}.service");
            let variables = self.env.iter().map(|(name, value)| format!("{name}={}\n", variable(value)));
            files.insert(format!("{path}.env"), NodeFile::Text(variables.collect()));
            files.insert(path.clone(), NodeFile::Text(format!(
                "[Unit]\nDescription=Lightweight Kubernetes\n\n[Service]\nType=notify\nEnvironmentFile=-/etc/default/%N\nEnvironmentFile=-/{path}.env\nExecStart=/usr/local/bin/k3s{words}\n"
            )));
        }
        case::lay(&files)
    }

    /// Returns what `preflight` says against what K3s did; none if both agree.
    fn fault(&self) -> Option<String> {
        let node = self.lay();
        let version = format!("v{}+k3s1", self.k3s);
        let output =
            node.run(&["preflight", "--k3s-version", &version, "--role", self.role(), "--format", "json"]);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        let starts = &answer["starts"];
        if *starts == self.starts || (starts.is_null() && self.depends.is_some() && answer.is_object()) {
            return None;
        }
        let what = if self.starts { "false alarm" } else { "missed" };
        let says = if self.starts { &answer["now"].to_string() } else { &self.error };
        Some(format!("{what}: {}: starts is {starts}: {says} {}", self.name, output.stderr))
    }
}

/// Returns a word of `ExecStart=` that systemd hands on unchanged.
fn quoted(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    format!("'{}'", word.replace('%', "%%").replace('$', "$$"))
}

/// Returns a value of an environment file.
fn variable(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:,=@%+-".contains(&byte);
    if value.bytes().all(plain) {
        return value.to_owned();
    }
    let escaped: String = value
        .chars()
        .flat_map(|letter| {
            matches!(letter, '\\' | '"' | '$' | '`').then_some('\\').into_iter().chain([letter])
        })
        .collect();
    format!("\"{escaped}\"")
}

#[test]
fn preflight_says_what_a_real_k3s_did() {
    let starts: Vec<Start> = super::lines("start.jsonl");
    assert!(!starts.is_empty());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.lock().unwrap().extend(start.fault());
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {} differ:\n{}", faults.len(), starts.len(), faults.join("\n"));
}
