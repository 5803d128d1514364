// SPDX-License-Identifier: Apache-2.0
//! Random nodes: most of what they have is as it should be, and a few things are not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::started::Started;
use crate::support::random::Random;

pub(super) const DATA_DIR: &str = "/var/lib/rancher/k3s";
pub(super) const DROP_INS: &str = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d";
/// The drop-in that K3s writes at every start.
pub(super) const OWN_DROP_IN: &str = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf";

/// An argument of a component that controls read (arguments.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Argument {
    pub(super) name: String,
    good: Option<String>,
    field: Option<(String, Vec<Value>)>,
    pub(super) controls: Vec<String>,
    values: Vec<String>,
}

impl Argument {
    /// Tells whether a text has the argument as a hardened node has it.
    pub(super) fn is_good(&self, text: &str) -> bool {
        self.good.as_ref().is_some_and(|good| text == format!("{}={good}", self.name))
    }

    /// Tells whether a drop-in of the kubelet has the field that says the same.
    pub(super) fn is_in(&self, document: &str) -> bool {
        let document: Value = serde_json::from_str(document).unwrap();
        let pointer = |(path, _): &(String, Vec<Value>)| format!("/{}", path.replace('.', "/"));
        self.field.as_ref().is_some_and(|field| document.pointer(&pointer(field)).is_some())
    }
}

/// The arguments by component.
pub(super) static ARGUMENTS: LazyLock<BTreeMap<String, Vec<Argument>>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("arguments.yaml")).unwrap());

/// The documents by kind, as `/etc/documents/KIND-NUMBER.yaml`.
static DOCUMENTS: LazyLock<BTreeMap<String, Vec<Value>>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("documents.yaml")).unwrap());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datastore {
    Sqlite,
    Etcd,
    /// An etcd of somebody else, with or without a certificate authority.
    External,
}

/// A random node. Texts are by path.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) benchmark: &'static str,
    pub(super) role: &'static str,
    pub(super) datastore: Datastore,
    pub(super) started: bool,
    /// K3s's configuration files, in the order in which K3s reads them.
    pub(super) config: Vec<(String, String)>,
    /// What the service has behind the role.
    pub(super) words: Vec<String>,
    pub(super) files: BTreeMap<String, String>,
    /// What is wrong with files of K3s's own, once it has started.
    pub(super) wrong: Vec<(String, Wrong)>,
    /// A started node without what K3s writes for the kubelet at every start.
    pub(super) without_own_drop_in: bool,
}

/// What is wrong with a file.
#[derive(Debug, Clone)]
pub(super) enum Wrong {
    Mode(u32),
    Owner(u32, u32),
    /// It is a link to a file that everybody may write.
    Link,
    Text(String),
    Gone,
}

/// A kubeconfig that everybody may read.
const KUBECONFIG: &str = "apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: 'https://127.0.0.1:6444', insecure-skip-tls-verify: true}}]
contexts: [{name: default, context: {cluster: local, user: user}}]
current-context: default
users: [{name: user, user: {token: abc}}]
";

/// What of etcd's configuration is changed into what.
const ETCD: [(&str, &str); 9] = [
    ("  client-cert-auth: true", "  client-cert-auth: false"),
    ("  client-cert-auth: true", "  client-cert-auth: \"true\""),
    ("  client-cert-auth: true\n", ""),
    ("  client-cert-auth: true", "  client-cert-auth: true\n  auto-tls: true"),
    ("  client-cert-auth: true", "  client-cert-auth: true\n  auto-tls: false"),
    ("  cert-file: ", "  cert-file: \"\" # "),
    ("  key-file: ", "  # key-file: "),
    ("  trusted-ca-file: ", "  trusted-ca: "),
    ("  trusted-ca-file: ", "  trusted-ca-file: \"\" # "),
];

/// Lines of a key of K3s's configuration.
type Keys = Vec<(String, Vec<String>)>;

const BENCHMARKS: [&str; 8] = ["2.1", "2.1", "2.1", "2.0", "1.12", "1.11", "1.9", "1.23"];

/// The components of an agent.
pub(super) const OF_AGENTS: [&str; 2] = ["kubelet", "kube-proxy"];

/// A component, its argument and a value.
type Card = (&'static String, &'static Argument, &'static String);

pub(super) struct Dice<'a> {
    random: &'a mut Random,
    /// What no node has yet: each value is dealt once before any is dealt again.
    deck: Vec<Card>,
}

impl<'a> Dice<'a> {
    pub(super) fn new(random: &'a mut Random) -> Self {
        Self { random, deck: Vec::new() }
    }

    /// Returns the next card for a node of this role.
    fn card(&mut self, role: &str) -> Card {
        let fits = |(component, ..): &Card| role == "server" || OF_AGENTS.contains(&component.as_str());
        loop {
            if let Some(at) = self.deck.iter().rposition(fits) {
                return self.deck.remove(at);
            }
            let mut fresh: Vec<Card> = ARGUMENTS
                .iter()
                .flat_map(|(component, all)| all.iter().map(move |argument| (component, argument)))
                .flat_map(|(component, argument)| {
                    argument.values.iter().map(move |value| (component, argument, value))
                })
                .collect();
            while !fresh.is_empty() {
                let at = self.random.below(fresh.len());
                self.deck.push(fresh.swap_remove(at));
            }
        }
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.random.below(100) < percent
    }

    fn one<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.random.below(from.len())]
    }

    pub(super) fn node(&mut self) -> Node {
        let role = if self.chance(80) { "server" } else { "agent" };
        let datastore = match self.random.below(10) {
            _ if role == "agent" => Datastore::Sqlite,
            0..=3 => Datastore::Etcd,
            4 => Datastore::External,
            _ => Datastore::Sqlite,
        };
        let mut node = Node {
            benchmark: self.one::<&str>(&BENCHMARKS),
            role,
            datastore,
            started: self.chance(50),
            config: Vec::new(),
            words: Vec::new(),
            files: documents(),
            wrong: Vec::new(),
            without_own_drop_in: false,
        };
        let mut first = self.first_keys(&node);
        // What hardens the node is in the first file or in a drop-in of its own.
        let hardens = if self.chance(90) { self.good_keys(role) } else { Keys::new() };
        let mut drop_ins = Vec::new();
        if self.chance(30) {
            first.extend(hardens);
        } else {
            drop_ins.push(("50-hardened.yaml", with_plus(hardens)));
        }
        let mut last = Keys::new();
        for _ in 0..2 + self.random.below(5) {
            let (key, text) = self.argument(role);
            match self.random.below(4) {
                0 => add(&mut first, &key, text),
                1 => add(&mut last, &format!("{key}+"), text),
                2 => add(&mut last, &key, text),
                _ => self.word(&mut node.words, &key, &text),
            }
        }
        self.disabled(&mut node, &mut last);
        // Two keys of a file that say the same thing to K3s, with and without a plus, are a mistake of another test.
        last.retain({
            let keys: Vec<String> = last.iter().map(|(key, _)| key.clone()).collect();
            move |(key, _)| !key.ends_with('+') || !keys.contains(&key.trim_end_matches('+').to_owned())
        });
        drop_ins.push(("60-more.yaml", last));
        node.config.push(("/etc/rancher/k3s/config.yaml".to_owned(), self.yaml(&first)));
        for (name, keys) in drop_ins.iter().filter(|(_, keys)| !keys.is_empty()) {
            node.config.push((format!("/etc/rancher/k3s/config.yaml.d/{name}"), self.yaml(keys)));
        }
        self.kubelet_files(&mut node);
        if node.started {
            self.wrong_files(&mut node);
            node.without_own_drop_in = self.chance(6);
        }
        node
    }

    /// What a node of this kind needs to be one.
    fn first_keys(&mut self, node: &Node) -> Keys {
        let mut keys = Keys::new();
        let mut put = |key: &str, value: &str| keys.push((key.to_owned(), vec![value.to_owned()]));
        match node.datastore {
            _ if node.role == "agent" => {
                put("server", "https://10.10.10.1:6443");
                put("token", "K10::server:secret");
            }
            Datastore::Sqlite => {}
            Datastore::Etcd => put("cluster-init", "true"),
            Datastore::External => {
                put("datastore-endpoint", "https://10.10.10.9:2379");
                for key in ["datastore-cafile", "datastore-certfile", "datastore-keyfile"] {
                    if self.chance(70) {
                        put(key, &format!("{DATA_DIR}/server/tls/etcd/{}", file_of(key)));
                    }
                }
            }
        }
        keys
    }

    fn good_keys(&mut self, role: &str) -> Keys {
        let mut keys = Keys::new();
        for (component, arguments) in components_of(role) {
            for argument in arguments {
                if let Some(good) = argument.good.as_ref().filter(|_| !self.chance(3)) {
                    add(&mut keys, &format!("{component}-arg"), format!("{}={good}", argument.name));
                }
            }
        }
        keys
    }

    /// Returns a key of K3s, and an argument of the component for it.
    fn argument(&mut self, role: &str) -> (String, String) {
        let (component, argument, value) = self.card(role);
        let key = match component.as_str() {
            "kube-controller-manager" if self.chance(25) => "kube-controller-arg".to_owned(),
            name => format!("{name}-arg"),
        };
        let name = match self.random.below(20) {
            0 => format!("--{}", argument.name),
            1 => format!("{}+", argument.name),
            _ => argument.name.clone(),
        };
        (key, format!("{name}={value}"))
    }

    fn word(&mut self, words: &mut Vec<String>, key: &str, text: &str) {
        if self.chance(50) {
            words.push(format!("--{key}={text}"));
        } else {
            words.extend([format!("--{key}"), text.to_owned()]);
        }
    }

    /// Components that do not run, or only look as if they did not.
    fn disabled(&mut self, node: &mut Node, keys: &mut Keys) {
        // K3s runs without an API server of its own only where its datastore is etcd.
        if node.role == "agent" || !self.chance(15) {
            return;
        }
        let all =
            ["disable-kube-proxy", "disable-scheduler", "disable-controller-manager", "disable-apiserver"];
        let known = if node.datastore == Datastore::Etcd { &all[..] } else { &all[..3] };
        let key = *self.one(known);
        let value = *self.one(&["true", "true", "true", "false"]);
        if self.chance(50) {
            add(keys, key, value.to_owned());
        } else {
            node.words.push(format!("--{key}={value}"));
        }
    }

    /// Drop-ins of the kubelet, and files that are none.
    fn kubelet_files(&mut self, node: &mut Node) {
        let fields: Vec<&(String, Vec<Value>)> =
            ARGUMENTS["kubelet"].iter().filter_map(|argument| argument.field.as_ref()).collect();
        for number in 0..self.random.below(3) {
            let mut document =
                json!({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"});
            for _ in 0..=self.random.below(2) {
                let (path, values) = *self.one(&fields);
                set(&mut document, path, self.one(values).clone());
            }
            let ending = *self.one(&[".conf", ".conf", ".conf", ".conf", ".conf.bak", ".yaml"]);
            let folder = *self.one(&["", "", "", "/below"]);
            node.files
                .insert(format!("{DROP_INS}{folder}/{}0-mine{ending}", number + 1), document.to_string());
        }
    }

    /// Files of K3s's own that somebody has changed.
    fn wrong_files(&mut self, node: &mut Node) {
        let recorded = Started::of(node.datastore);
        let of_controls = ["kubeconfig", ".crt", ".key", ".conf", "db/etcd/config", "networks/"];
        let known: Vec<&String> =
            recorded.paths().filter(|path| of_controls.iter().any(|part| path.contains(part))).collect();
        for _ in 0..self.random.below(4) {
            let path = (*self.one(&known)).clone();
            let wrong = match self.random.below(10) {
                0 => Wrong::Owner(1000, 0),
                1 => Wrong::Owner(0, 1000),
                2 => Wrong::Link,
                3 if path.ends_with(".kubeconfig") => Wrong::Gone,
                _ => {
                    Wrong::Mode(*self.one(&[0o644, 0o640, 0o666, 0o600, 0o400, 0o700, 0o1600, 0o604, 0o755]))
                }
            };
            if !node.wrong.iter().any(|(known, _)| *known == path) {
                node.wrong.push((path, wrong));
            }
        }
        if node.datastore == Datastore::Etcd {
            if self.chance(20) {
                let mode = *self.one(&[0o755, 0o700, 0o750, 0o500]);
                node.wrong.push((format!("{DATA_DIR}/server/db/etcd"), Wrong::Mode(mode)));
            }
            if self.chance(40) {
                let path = format!("{DATA_DIR}/server/db/etcd/config");
                let (from, to) = *self.one(&ETCD);
                let whole = &recorded.texts[&path];
                let at = if self.chance(50) { whole.find(from) } else { whole.rfind(from) }.unwrap();
                let text = format!("{}{to}{}", &whole[..at], &whole[at + from.len()..]);
                node.wrong.retain(|(known, _)| *known != path);
                node.wrong.push((path, Wrong::Text(text)));
            }
        }
    }

    /// Writes keys in one of the ways in which YAML has them.
    fn yaml(&mut self, keys: &Keys) -> String {
        let mut text = String::new();
        for (key, values) in keys {
            let flow = self.chance(20);
            let mut scalar = |value: &String| match self.random.below(3) {
                0 => format!("'{}'", value.replace('\'', "''")),
                1 if is_plain(value) => value.clone(),
                _ => json!(value).to_string(),
            };
            let values: Vec<String> = values.iter().map(&mut scalar).collect();
            match values.as_slice() {
                [one] if flow => writeln!(text, "{key}: {one}").unwrap(),
                many if flow => writeln!(text, "{key}: [{}]", many.join(", ")).unwrap(),
                many => {
                    writeln!(text, "{key}:").unwrap();
                    many.iter().for_each(|one| writeln!(text, "  - {one}").unwrap());
                }
            }
        }
        text
    }
}

fn file_of(key: &str) -> &'static str {
    match key {
        "datastore-cafile" => "server-ca.crt",
        "datastore-certfile" => "client.crt",
        _ => "client.key",
    }
}

/// Tells whether YAML reads a text as that text, without quotes.
fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.contains('=')
        && !text.contains([' ', '#', ':', '[', '{', '"', '\'', ','])
}

fn components_of(role: &str) -> impl Iterator<Item = (&'static String, &'static Vec<Argument>)> {
    ARGUMENTS.iter().filter(move |(name, _)| role == "server" || OF_AGENTS.contains(&name.as_str()))
}

fn with_plus(keys: Keys) -> Keys {
    keys.into_iter().map(|(key, values)| (format!("{key}+"), values)).collect()
}

fn add(keys: &mut Keys, key: &str, value: String) {
    match keys.iter_mut().find(|(known, _)| known == key) {
        Some((_, values)) => values.push(value),
        None => keys.push((key.to_owned(), vec![value])),
    }
}

fn set(document: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => document[path] = value,
        Some((first, rest)) => {
            if document[first].is_null() {
                document[first] = json!({});
            }
            set(&mut document[first], rest, value);
        }
    }
}

fn documents() -> BTreeMap<String, String> {
    let of_kind = |(kind, documents): (&String, &Vec<Value>)| -> Vec<(String, String)> {
        let path =
            |(at, text): (usize, &Value)| (format!("/etc/documents/{kind}-{at}.yaml"), text.to_string());
        documents.iter().enumerate().map(path).collect()
    };
    let mut all: BTreeMap<String, String> = DOCUMENTS.iter().flat_map(of_kind).collect();
    all.insert("/etc/documents/open.kubeconfig".to_owned(), KUBECONFIG.to_owned());
    all.insert("/etc/documents/tokens.csv".to_owned(), "token,user,uid\n".to_owned());
    all
}
