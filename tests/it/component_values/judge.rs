// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' own code (tests/oracle/component_values), built against a release and asked about cases.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::node::Case;
use crate::support::kubernetes;

/// The values of flags that depend on the node: what stands for them in the table, and on the judge's node.
const OF_NODE: [(&str, &str); 2] = [("<node name>", "server-0"), ("<node ip>", "10.10.10.100")];

/// Words of errors that come from the machine on which the judge runs, not from the value: an address that it does not
/// have, a name that nobody resolves, a server that does not answer.
const OF_MACHINE: [&str; 9] = [
    "bind: ",
    "cannot assign requested address",
    "connection refused",
    "context deadline exceeded",
    "dial tcp",
    "lookup ",
    "no acceptable interface with global unicast address",
    "no such host",
    "unable to select an IP from default routes",
];

/// The program, and what K3s itself gives the components.
pub(super) struct Judge {
    release: &'static str,
    program: PathBuf,
    node: PathBuf,
}

impl Judge {
    /// Builds the judge of a release in a directory.
    pub(super) fn build(directory: &Path, release: &'static str) -> Self {
        let program = kubernetes::build(directory, release, Path::new("tests/oracle/component_values"));
        let node = directory.join("node.json");
        fs::write(&node, defaults(release).to_string()).unwrap();
        Self { release, program, node }
    }

    pub(super) fn release(&self) -> &'static str {
        self.release
    }

    /// Asks about cases; returns them with the answers, without those whose answer depends on the machine.
    pub(super) fn ask(&self, cases: &[Case]) -> Vec<Case> {
        let lines: String =
            cases.iter().map(|case| format!("{}\n", serde_json::to_string(case).unwrap())).collect();
        let input = self.node.with_file_name("cases.jsonl");
        fs::write(&input, lines).unwrap();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let output = Command::new(&self.program)
            .arg(&self.node)
            .arg(jobs.to_string())
            .stdin(fs::File::open(&input).unwrap())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the judge of {} failed", self.release);
        let answers: Vec<Case> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(answers.len(), cases.len(), "the judge did not answer all cases");
        let of_machine = |case: &Case| {
            case.error.as_ref().is_some_and(|error| OF_MACHINE.iter().any(|word| error.contains(word)))
        };
        answers.into_iter().filter(|case| !of_machine(case)).collect()
    }
}

/// Returns what K3s itself gives the components of a release, as the project's tables have it.
fn defaults(release: &str) -> Value {
    let minor: u32 = release.split('.').nth(1).unwrap().parse().unwrap();
    let mut flags = generation("default-flags", minor).unwrap().to_string();
    for (name, value) in OF_NODE {
        flags = flags.replace(name, value);
    }
    let mut flags: Value = serde_json::from_str(&flags).unwrap();
    let components = flags.as_object_mut().unwrap();
    if let Some(cloud) = components.remove("cloud-controller-manager") {
        components.insert("kube-cloud-controller-manager".to_owned(), cloud);
    }
    // K3s sets it where it finds out the address; here it has to be given.
    components["kube-apiserver"]["advertise-address"] = Value::from(OF_NODE[1].1);
    json!({ "flags": flags, "drop_in": generation("kubelet-config", minor) })
}

/// Returns the newest generation of a table that is not newer than a minor.
fn generation(table: &str, minor: u32) -> Option<Value> {
    let text = fs::read_to_string(format!("src/k3s/data/{table}.yaml")).unwrap();
    let (_, body) = text.split_once("\n---\n").unwrap();
    let mut table: serde_yaml::Value = serde_yaml::from_str(body).unwrap();
    table.apply_merge().unwrap();
    let table: serde_json::Map<String, Value> = serde_yaml::from_value(table).unwrap();
    let number = |name: &str| -> u32 { name.split_once('.').unwrap().1.parse().unwrap() };
    let fitting = table.into_iter().filter(|(name, _)| number(name) <= minor);
    fitting.max_by_key(|(name, _)| number(name)).map(|(_, value)| value)
}
