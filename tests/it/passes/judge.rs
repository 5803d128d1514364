// SPDX-License-Identifier: Apache-2.0
//! The two programs that are not ours: K3s's own reading of its configuration (`tests/oracle/k3s_cli`), and Kubernetes' own
//! reading of what K3s then gives its components (`tests/oracle/component_values` with `tests/oracle/passes`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::node::{ARGUMENTS, Argument, DROP_INS, Datastore, Node, OF_AGENTS, OWN_DROP_IN};
use super::started::Started;
use crate::support::{go_program, kubernetes};

/// What the judges say of a node.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Why K3s does not take its configuration.
    pub(super) refused: Option<String>,
    /// The command lines of the components that run.
    pub(super) lines: BTreeMap<String, Vec<String>>,
    /// The controls of these components: whether each is met.
    pub(super) met: BTreeMap<String, bool>,
    /// The controls whose arguments or files a component refuses, with its words.
    pub(super) unread: BTreeMap<String, String>,
    /// The components that do not start, whatever is left out.
    pub(super) broken: BTreeMap<String, String>,
}

/// A question about a component of a node.
#[derive(Debug, Clone)]
struct Question {
    node: usize,
    component: &'static str,
    args: Vec<String>,
    own: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    benchmark: &'static str,
}

/// What a component does not take, each by itself: arguments by their place, and fields of drop-ins by path and name.
#[derive(Debug, Clone, Default)]
struct RefusedParts {
    args: BTreeSet<usize>,
    fields: BTreeSet<(String, String)>,
}

pub(super) struct Judge {
    k3s: PathBuf,
    program: PathBuf,
    directory: PathBuf,
}

const COMPONENTS: [(&str, &[&str]); 5] = [
    ("kube-apiserver", &["disable-apiserver"]),
    ("kube-controller-manager", &["disable-controller-manager"]),
    ("kube-proxy", &["disable-agent", "disable-kube-proxy"]),
    ("kube-scheduler", &["disable-scheduler"]),
    ("kubelet", &["disable-agent"]),
];

impl Judge {
    pub(super) fn build(directory: &Path, release: &str) -> Self {
        let sources = ["tests/oracle/component_values", "tests/oracle/passes"].map(Path::new);
        let given = std::env::var_os("K3S_HARDEN_PASSES_JUDGE").map(PathBuf::from);
        Self {
            k3s: go_program::build("k3s_cli", directory),
            program: given.unwrap_or_else(|| kubernetes::build_of(directory, release, &sources)),
            directory: directory.to_owned(),
        }
    }

    /// Asks about nodes.
    pub(super) fn ask(&self, nodes: &[Node]) -> Vec<Judged> {
        let mut judged: Vec<Judged> = nodes.iter().map(|_| Judged::default()).collect();
        let mut questions = Vec::new();
        for (at, (node, said)) in nodes.iter().zip(self.read_configuration(nodes)).enumerate() {
            let error = said["error"].as_str().unwrap_or_default();
            if !error.is_empty() || said["command"] != node.role {
                judged[at].refused = Some(format!("{error} {}", said["command"]));
                continue;
            }
            questions.extend(questions_of(at, node, &said["values"]));
        }
        let answers = self.ask_components(&questions);
        let mut again = Vec::new();
        for (question, answer) in questions.iter().zip(&answers) {
            let node = &mut judged[question.node];
            let line = strings(&answer["found"]["line"]);
            if answer["accepted"] == true {
                node.met.extend(met(answer));
                node.lines.insert(question.component.to_owned(), line);
            } else {
                // K3s still writes the line into its log.
                node.lines.insert(question.component.to_owned(), line);
                again.push(question.clone());
            }
        }
        self.ask_in_parts(&again, &mut judged);
        judged
    }

    /// Asks about each argument and file alone where the component does not take all together, and then about those that it
    /// takes.
    fn ask_in_parts(&self, refused: &[Question], judged: &mut [Judged]) {
        let mut parts = Vec::new();
        for (at, question) in refused.iter().enumerate() {
            for (index, _) in
                question.args.iter().enumerate().filter(|(_, arg)| !is_good(question.component, arg))
            {
                parts.push((at, question.with(|arg| arg == index, |_, _| false), vec![index], None));
            }
            for (path, text) in question.files.iter().filter(|(path, _)| is_drop_in(path)) {
                for field in fields_of(text) {
                    let only = |one: &str, other: &str| one == path && other == field;
                    parts.push((at, question.with(|_| false, only), vec![], Some((path.clone(), field))));
                }
            }
        }
        let asked: Vec<Question> = parts.iter().map(|(_, question, ..)| question.clone()).collect();
        let mut bad = vec![RefusedParts::default(); refused.len()];
        for ((at, question, index, field), answer) in parts.iter().zip(self.ask_components(&asked)) {
            if answer["accepted"] == true {
                continue;
            }
            bad[*at].args.extend(index);
            bad[*at].fields.extend(field.clone());
            let error = answer["error"].as_str().unwrap_or_default();
            for control in question.controls(field.is_some()) {
                judged[question.node].unread.insert(control, error.to_owned());
            }
        }
        let rest: Vec<Question> = refused
            .iter()
            .zip(&bad)
            .map(|(question, RefusedParts { args, fields })| {
                let is_good =
                    |path: &str, field: &str| !fields.contains(&(path.to_owned(), field.to_owned()));
                question.with(|at| !args.contains(&at), is_good)
            })
            .collect();
        for (question, answer) in rest.iter().zip(self.ask_components(&rest)) {
            let node = &mut judged[question.node];
            if answer["accepted"] == true {
                node.met.extend(met(&answer).into_iter().filter(|(name, _)| !node.unread.contains_key(name)));
            } else {
                let error = answer["error"].as_str().unwrap_or_default();
                let has_fields =
                    |(path, text): (&String, &String)| is_drop_in(path) && !fields_of(text).is_empty();
                assert!(
                    !question.args.is_empty() || question.files.iter().any(has_fields),
                    "K3s's own arguments of {} are refused, so the judge is wrong: {error}",
                    question.component
                );
                node.broken.insert(question.component.to_owned(), error.to_owned());
            }
        }
    }

    /// Has K3s's own library read words and files.
    fn read_configuration(&self, nodes: &[Node]) -> Vec<Value> {
        let questions = nodes.iter().map(|node| {
            let argv: Vec<&str> =
                std::iter::once(node.role).chain(node.words.iter().map(String::as_str)).collect();
            let texts: Vec<&str> = node.config.iter().map(|(_, text)| text.as_str()).collect();
            json!({"table": "1.36", "generation": 2, "argv": argv, "env": {}, "config": texts})
        });
        let questions: Vec<Value> = questions.collect();
        go_program::ask(&self.k3s, std::iter::once(flags_of_k3s()).chain(questions))
    }

    fn ask_components(&self, questions: &[Question]) -> Vec<Value> {
        if questions.is_empty() {
            return Vec::new();
        }
        let node = self.directory.join("node.json");
        // Certificates are made for what K3s names in its arguments.
        fs::write(&node, json!({"flags": Started::of(Datastore::Etcd).lines}).to_string()).unwrap();
        let input = self.directory.join("questions.jsonl");
        let lines: String = questions.iter().map(|question| format!("{}\n", question.json())).collect();
        fs::write(&input, lines).unwrap();
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let output = Command::new(&self.program)
            .arg(&node)
            .arg(jobs.to_string())
            .stdin(fs::File::open(&input).unwrap())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the judge failed");
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), questions.len(), "the judge did not answer all questions");
        answers
    }
}

impl Question {
    fn json(&self) -> Value {
        json!({"component": self.component, "args": self.args, "own": self.own, "files": self.files,
            "asked": {"benchmark": self.benchmark}})
    }

    /// The question with a part of the arguments, and of the fields of drop-ins.
    fn with(&self, arg: impl Fn(usize) -> bool, field: impl Fn(&str, &str) -> bool) -> Self {
        let args = self.args.iter().enumerate().filter(|(at, _)| arg(*at)).map(|(_, text)| text.clone());
        let files = self.files.iter().map(|(path, text)| {
            if !is_drop_in(path) {
                return (path.clone(), text.clone());
            }
            let mut document: Map<String, Value> = serde_json::from_str(text).unwrap();
            document.retain(|name, _| OF_EVERY_DOCUMENT.contains(&name.as_str()) || field(path, name));
            (path.clone(), Value::Object(document).to_string())
        });
        Self { args: args.collect(), files: files.collect(), ..self.clone() }
    }

    /// The controls that read the arguments, or the fields of the drop-ins.
    fn controls(&self, by_field: bool) -> Vec<String> {
        let names: Vec<&str> = self
            .args
            .iter()
            .map(|arg| arg.trim_start_matches('-').split('=').next().unwrap().trim_end_matches(['+', '-']))
            .collect();
        let reads = |argument: &&Argument| match by_field {
            true => self.files.iter().any(|(path, text)| is_drop_in(path) && argument.is_in(text)),
            false => names.contains(&argument.name.as_str()),
        };
        ARGUMENTS[self.component]
            .iter()
            .filter(reads)
            .flat_map(|argument| argument.controls.clone())
            .collect()
    }
}

/// What a document of Kubernetes has beside its fields.
const OF_EVERY_DOCUMENT: [&str; 2] = ["apiVersion", "kind"];

fn fields_of(document: &str) -> Vec<String> {
    let document: Map<String, Value> = serde_json::from_str(document).unwrap();
    document
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !OF_EVERY_DOCUMENT.contains(&name.as_str()))
        .collect()
}

/// A file that keeps the folder of the kubelet's drop-ins.
const KEPT: &str = ".kept";

/// Returns the questions about the components that run on a node.
fn questions_of(at: usize, node: &Node, values: &Value) -> Vec<Question> {
    let is_on = |key: &str| values[key][0] == "true";
    let runs = |component: &str, off: &[&str]| {
        (node.role == "server" || OF_AGENTS.contains(&component)) && !off.iter().any(|key| is_on(key))
    };
    let all = COMPONENTS.iter().filter(|(component, off)| runs(component, off));
    all.map(|(component, _)| {
        let mut own = Started::of(node.datastore).lines[*component].clone();
        if node.datastore == Datastore::External {
            external(component, &mut own, values);
        }
        if *component == "kube-apiserver" {
            // K3s sets it where it finds out the address; here nobody does.
            own.insert("advertise-address".to_owned(), "10.10.10.100".to_owned());
        }
        let mut files = node.files.clone();
        if *component == "kubelet" && !node.without_own_drop_in {
            files.insert(OWN_DROP_IN.to_owned(), Started::of(node.datastore).texts[OWN_DROP_IN].clone());
        } else if *component == "kubelet" {
            // It started once, so that the folder is there; the kubelet does not read a file of this name.
            files.insert(format!("{DROP_INS}/{KEPT}"), String::new());
        }
        let args = strings(&values[format!("{component}-arg")]);
        Question { node: at, component, args, own, files, benchmark: node.benchmark }
    })
    .collect()
}

/// What K3s gives its components where etcd is somebody else's: startStorage of pkg/cluster hands on the endpoint and the
/// files of its keys; nobody leads, as with every datastore of another kind than SQLite.
fn external(component: &str, own: &mut BTreeMap<String, String>, values: &Value) {
    own.remove("leader-elect");
    if component == "kube-apiserver" {
        for (flag, key) in [
            ("etcd-servers", "datastore-endpoint"),
            ("etcd-cafile", "datastore-cafile"),
            ("etcd-certfile", "datastore-certfile"),
            ("etcd-keyfile", "datastore-keyfile"),
        ] {
            if let Some(value) = values[key][0].as_str() {
                own.insert(flag.to_owned(), value.to_owned());
            }
        }
    }
}

fn is_drop_in(path: &str) -> bool {
    path.contains("kubelet.conf.d/") && path != OWN_DROP_IN && !path.ends_with(KEPT)
}

fn is_good(component: &str, text: &str) -> bool {
    ARGUMENTS[component].iter().any(|argument| argument.is_good(text))
}

fn met(answer: &Value) -> BTreeMap<String, bool> {
    let all = answer["found"]["met"].as_object().unwrap();
    all.iter().map(|(name, met)| (name.clone(), met.as_bool().unwrap())).collect()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The flags of K3s as they were recorded of it, as `k3s_cli` takes them.
fn flags_of_k3s() -> Value {
    let text = include_str!("../../oracle/k3s_cli/flags-1.36.json");
    let recorded: BTreeMap<String, Vec<Value>> = serde_json::from_str(text).unwrap();
    let kind = |flag: &Value| match flag["type"].as_str().unwrap() {
        "BoolFlag" => "boolean",
        "IntFlag" => "integer",
        "DurationFlag" => "duration",
        "StringFlag" => "text",
        "StringSliceFlag" => "list",
        other => panic!("K3s has no flags of {other}"),
    };
    // Both names fill one list (pkg/cli/cmds of K3s: the second is the hidden, older one).
    let into = |flag: &Value| {
        let old = flag["names"][0].as_str()?.strip_suffix("controller-arg")?;
        Some(format!("{old}controller-manager-arg"))
    };
    let table: BTreeMap<&String, Vec<Value>> = recorded
        .iter()
        .map(|(name, flags)| {
            let flag = |flag: &Value| json!({"names": flag["names"], "type": kind(flag), "env": [], "into": into(flag)});
            (name, flags.iter().map(flag).collect())
        })
        .collect();
    json!({"tables": {"1.36": table}})
}
