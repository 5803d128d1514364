// SPDX-License-Identifier: Apache-2.0
//! A node, the runs of the binary on it, and what must be seen after each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Node, Output};

/// Folders that every node has.
const FOLDERS: [&str; 6] =
    ["etc/sysctl.d", "etc/systemd/system", "etc/rancher", "var/lib", "usr/local/bin", "run"];
/// Verbs that take the version and the role from the run that they undo.
const WITHOUT_VERSION: [&str; 3] = ["rollback", "history", "uninstall"];
const WITH_FORMAT: [&str; 5] = ["plan", "apply", "verify", "preflight", "effective-config"];

/// One node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// The rule of K3s that it is about.
    #[serde(rename = "kind")]
    _kind: String,
    /// Where the rule stands: a file of K3s, a page of its documentation, a report.
    #[serde(rename = "source")]
    _source: String,
    /// Why the answer is right.
    why: String,
    /// The version of K3s; none if the node has to say it.
    k3s: Option<String>,
    role: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, NodeFile>,
    steps: Vec<Step>,
}

/// A file of a node: its text, or more about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum NodeFile {
    Text(String),
    Special(SpecialFile),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpecialFile {
    #[serde(default)]
    text: String,
    /// Bytes in hexadecimal, instead of a text.
    hex: Option<String>,
    link: Option<String>,
    #[serde(default)]
    dir: bool,
    mode: Option<String>,
}

/// A run of the binary.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Whether the arguments are complete.
    #[serde(default)]
    plain: bool,
    /// The exit codes that are right.
    exit: Option<Vec<i32>>,
    /// Values of the JSON answer by pointer; of a list, any is right.
    #[serde(default)]
    json: BTreeMap<String, Value>,
    /// The states of controls that are right.
    #[serde(default)]
    controls: BTreeMap<String, Vec<String>>,
    /// Expressions that the output has, ignoring case.
    #[serde(default)]
    says: Vec<String>,
    /// Expressions that it has not.
    #[serde(default)]
    silent: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, SeenFile>,
}

/// What must be seen of a file after a run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenFile {
    #[serde(default)]
    has: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default)]
    absent: bool,
    /// Whether it is byte for byte as the case has it.
    #[serde(default)]
    same: bool,
    mode: Option<String>,
}

impl NodeFile {
    /// Puts the file on a node.
    pub(super) fn lay(&self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let special = match self {
            Self::Text(text) => &SpecialFile { text: text.clone(), ..SpecialFile::default() },
            Self::Special(special) => special,
        };
        if let Some(target) = &special.link {
            return std::os::unix::fs::symlink(target, path).unwrap();
        }
        if special.dir {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::write(
                path,
                special.hex.as_ref().map_or_else(|| special.text.clone().into(), |hex| bytes(hex)),
            )
            .unwrap();
        }
        if let Some(mode) = &special.mode {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// Returns the bytes that hexadecimal digits stand for.
fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Lays files on a new node.
pub(super) fn lay(files: &BTreeMap<String, NodeFile>) -> Node {
    let node = Node::new();
    fs::set_permissions(node.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for folder in FOLDERS {
        fs::create_dir_all(node.path().join(folder)).unwrap();
    }
    for (path, file) in files {
        file.lay(&node.path().join(path.trim_start_matches('/')));
    }
    node
}

impl Case {
    /// Lays the node, takes the steps, and returns what was not as it must be.
    pub(super) fn faults(&self) -> Vec<String> {
        let node = lay(&self.files);
        let mut faults = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let output = self.run(&node, step);
            let found = step.faults_of(&output).into_iter().chain(self.faults_of_files(&node, step));
            let (name, why, verb) = (&self.name, &self.why, &step.args[0]);
            faults.extend(found.map(|fault| format!("{name}: step {} ({verb}): {fault}\n  {why}", at + 1)));
        }
        faults
    }

    fn run(&self, node: &Node, step: &Step) -> Output {
        let mut words: Vec<&str> = vec![&step.args[0]];
        let verb = step.args[0].as_str();
        let named = |flag: &str| step.args.iter().any(|word| word == flag);
        if !step.plain {
            for (flag, value) in [("--k3s-version", &self.k3s), ("--role", &self.role)] {
                if let Some(value) = value
                    && !named(flag)
                    && !WITHOUT_VERSION.contains(&verb)
                {
                    words.extend([flag, value]);
                }
            }
            if !named("--format") && WITH_FORMAT.contains(&verb) {
                words.extend(["--format", "json"]);
            }
        }
        let root = node.path().to_str().unwrap();
        let own: Vec<String> = step.args[1..].iter().map(|word| word.replace("{root}", root)).collect();
        words.extend(own.iter().map(String::as_str));
        let variables: Vec<(&str, &str)> =
            step.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        node.run_with(&words, &variables)
    }

    fn faults_of_files(&self, node: &Node, step: &Step) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, seen) in &step.files {
            let whole = node.path().join(path);
            if seen.absent {
                if fs::symlink_metadata(&whole).is_ok() {
                    faults.push(format!("{path} is there"));
                }
                continue;
            }
            let Ok(metadata) = fs::metadata(&whole) else {
                faults.push(format!("{path} is missing"));
                continue;
            };
            let text = if metadata.is_file() { fs::read_to_string(&whole).unwrap() } else { String::new() };
            let has = |expression: &&String| {
                RegexBuilder::new(expression).multi_line(true).build().unwrap().is_match(&text)
            };
            faults.extend(seen.has.iter().filter(|it| !has(it)).map(|it| format!("{path} lacks /{it}/")));
            faults.extend(seen.lacks.iter().filter(has).map(|it| format!("{path} has /{it}/")));
            if seen.same && !matches!(self.files.get(path), Some(NodeFile::Text(own)) if *own == text) {
                faults.push(format!("{path} changed"));
            }
            let mode = metadata.permissions().mode() & 0o7777;
            if seen.mode.as_ref().is_some_and(|wanted| u32::from_str_radix(wanted, 8) != Ok(mode)) {
                faults.push(format!("{path} has the mode {mode:04o}"));
            }
        }
        faults
    }
}

impl Step {
    fn faults_of(&self, output: &Output) -> Vec<String> {
        let mut faults = Vec::new();
        let text = format!("{}{}", output.stdout, output.stderr);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        if self.exit.as_ref().is_some_and(|right| !right.contains(&output.code)) {
            faults.push(format!("exit {}: {}", output.code, output.stderr));
        }
        for (pointer, wanted) in &self.json {
            let found = answer.pointer(pointer).unwrap_or(&Value::Null);
            if found != wanted && !wanted.as_array().is_some_and(|any| any.contains(found)) {
                faults.push(format!("{pointer} is {found}, not {wanted}"));
            }
        }
        for (id, right) in &self.controls {
            let state = state_of(&answer, id);
            if !right.iter().any(|right| right.eq_ignore_ascii_case(&state)) {
                faults.push(format!("{id} is {state}, not {right:?}"));
            }
        }
        let has = |expression: &str| {
            let mut builder = RegexBuilder::new(expression);
            builder.case_insensitive(true).dot_matches_new_line(true).build().unwrap().is_match(&text)
        };
        faults.extend(self.says.iter().filter(|it| !has(it)).map(|it| format!("does not say /{it}/")));
        faults.extend(self.silent.iter().filter(|it| has(it)).map(|it| format!("says /{it}/")));
        faults
    }
}

/// Returns the state of a control in the answer of `verify`.
fn state_of(answer: &Value, id: &str) -> String {
    let controls = answer["controls"].as_array();
    let control = controls.and_then(|all| all.iter().find(|control| control["id"] == id));
    let state = control.and_then(|control| control.get("status").or_else(|| control.get("state")));
    state.and_then(Value::as_str).unwrap_or("not there").to_owned()
}
