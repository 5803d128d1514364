// SPDX-License-Identifier: Apache-2.0
//! The same mistake through every source of a component's arguments: K3s's configuration file, a drop-in, the service, a
//! drop-in of the service, a file that the environment names, and the component's own file. Each has to turn the same
//! controls. Where the component is off, they do not apply.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use k3s_harden::k3s::forecast_journal;
use k3s_harden::verify::{ControlRule, benchmarks, controls};
use serde_json::{Map, Value, json};

use super::node::{Datastore, Node, OURS, Statuses, split};
use super::{Change, number};

const MAIN: &str = "etc/rancher/k3s/config.yaml";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/10-by-hand.yaml";
const ELSEWHERE: &str = "etc/k3s/own.yaml";
const UNIT: &str = "etc/systemd/system/k3s.service";
const UNIT_DROP_IN: &str = "etc/systemd/system/k3s.service.d/10-by-hand.conf";
const ENVIRONMENT: &str = "etc/systemd/system/k3s.service.env";
const KUBELET_DROP_IN: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-by-hand.conf";
const KUBELET_FILE: &str = "etc/kubelet.yaml";
const PROXY_FILE: &str = "etc/kube-proxy.yaml";
/// The first minor whose kubelet reads drop-ins that K3s names.
const DROP_INS_SINCE: u16 = 32;

/// Where the arguments of a component come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// K3s's configuration file.
    Main,
    /// A drop-in of it.
    DropIn,
    /// The command line of the service.
    Service,
    /// The command line in a drop-in of the service.
    ServiceDropIn,
    /// A configuration file that the service's environment names.
    Environment,
    /// The component's own configuration file.
    OwnFile,
    /// Any, and the component is off.
    Off,
}

impl Source {
    pub(crate) const ALL: [Self; 7] = [
        Self::Main,
        Self::DropIn,
        Self::Service,
        Self::ServiceDropIn,
        Self::Environment,
        Self::OwnFile,
        Self::Off,
    ];
}

/// What K3s is started with, in no file yet: keys with their values.
#[derive(Debug, Clone)]
struct Settings(Map<String, Value>);

impl Settings {
    /// Those of a node that `apply` has hardened.
    fn of(node: &Node) -> Self {
        let ours = fs::read_to_string(node.path(OURS)).unwrap();
        let ours: Map<String, Value> = serde_yaml::from_str(&ours).unwrap();
        let mut settings: Map<String, Value> =
            ours.into_iter().map(|(key, value)| (key.trim_end_matches('+').to_owned(), value)).collect();
        if node.kind().datastore == Datastore::Etcd {
            settings.insert("cluster-init".to_owned(), true.into());
        }
        Self(settings)
    }

    fn arguments(&mut self, component: &str) -> &mut Vec<Value> {
        let list = self.0.entry(format!("{component}-arg")).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap()
    }

    /// Takes an argument out; tells whether there was one.
    fn take(&mut self, component: &str, name: &str) -> bool {
        let list = self.arguments(component);
        let before = list.len();
        list.retain(|text| text.as_str().unwrap().split('=').next() != Some(name));
        list.len() < before
    }

    /// Makes a mistake in the arguments; tells whether it is one that can be made there.
    fn mistake(&mut self, change: &Change) -> bool {
        match change {
            Change::Set(text) => {
                let (component, name, value) = split(text);
                self.arguments(component).push(format!("{name}={value}").into());
                true
            }
            Change::Add(text) => {
                let (component, name, value) = split(text);
                self.arguments(component).push(format!("{name}+={value}").into());
                true
            }
            Change::Without(text) => {
                let (component, name, _) = split(text);
                self.take(component, name)
            }
            Change::Drop(text) => {
                let (component, name, value) = split(text);
                let prefix = format!("{name}=");
                let list = self.arguments(component);
                let Some(at) = list.iter().position(|text| text.as_str().unwrap().starts_with(&prefix))
                else {
                    return false;
                };
                let items: Vec<&str> = list[at].as_str().unwrap()[prefix.len()..].split(',').collect();
                let kept: Vec<&str> = items.into_iter().filter(|item| *item != value).collect();
                list[at] = format!("{prefix}{}", kept.join(",")).into();
                true
            }
            _ => false,
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap()
    }

    /// As words of a command line.
    fn words(&self) -> String {
        let mut words = String::new();
        let mut add = |key: &str, value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words += &format!(" \"--{key}={text}\"");
        };
        for (key, value) in &self.0 {
            match value {
                Value::Array(items) => items.iter().for_each(|item| add(key, item)),
                value => add(key, value),
            }
        }
        words
    }

    /// The files that say so in a source, by path.
    fn files(&self, source: Source) -> BTreeMap<&'static str, String> {
        let unit = |words: &str, more: &str| {
            format!("[Service]\n{more}ExecStart=/usr/local/bin/k3s server{words}\n")
        };
        match source {
            Source::Main | Source::OwnFile | Source::Off => BTreeMap::from([(MAIN, self.text())]),
            Source::DropIn => BTreeMap::from([(DROP_IN, self.text())]),
            Source::Service => BTreeMap::from([(UNIT, unit(&self.words(), ""))]),
            Source::ServiceDropIn => BTreeMap::from([
                (UNIT, unit(" --with-node-id", "")),
                (
                    UNIT_DROP_IN,
                    format!("[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server{}\n", self.words()),
                ),
            ]),
            Source::Environment => BTreeMap::from([
                (UNIT, unit("", "EnvironmentFile=-/etc/systemd/system/%N.service.env\n")),
                (ENVIRONMENT, "K3S_CONFIG_FILE=/etc/k3s/own.yaml\n".to_owned()),
                (ELSEWHERE, self.text()),
            ]),
        }
    }
}

/// A node, whose arguments each source can have: what verify says of it, and of the same with a mistake.
pub(crate) struct Sources<'a> {
    node: &'a Node,
    settings: Settings,
    /// What verify says of the node without a mistake, by source.
    good: RefCell<BTreeMap<Source, Statuses>>,
}

impl<'a> Sources<'a> {
    pub(crate) fn of(node: &'a Node) -> Self {
        Self { node, settings: Settings::of(node), good: RefCell::default() }
    }

    /// Returns what verify says without the mistake and with it; none where the source cannot make it.
    pub(crate) fn run(&self, source: Source, change: &Change) -> Option<(Statuses, Statuses)> {
        let mut bad = self.settings.clone();
        if source == Source::OwnFile {
            return self.own_file(bad, change);
        }
        if !bad.mistake(change) {
            return None;
        }
        if source == Source::Off {
            bad.0.insert(switch_of(component_of(change)?)?.to_owned(), true.into());
        }
        let look = || self.look(source, &self.settings, &BTreeMap::new());
        let good = self.good.borrow_mut().entry(source).or_insert_with(look).clone();
        Some((good, self.look(source, &bad, &BTreeMap::new())))
    }

    /// Moves an argument into the component's own file, and makes the mistake there.
    fn own_file(&self, mut settings: Settings, change: &Change) -> Option<(Statuses, Statuses)> {
        let Change::Set(text) = change else { return None };
        let (component, name, value) = split(text);
        let field = FIELDS.get(&(component.to_owned(), name.to_owned()))?;
        let (path, head) = match component {
            "kubelet" if number(&self.node.minor().to_string()) >= DROP_INS_SINCE => {
                (KUBELET_DROP_IN, kubelet_head())
            }
            "kubelet" => {
                settings.arguments(component).push(format!("config=/{KUBELET_FILE}").into());
                (KUBELET_FILE, kubelet_head())
            }
            "kube-proxy" => {
                settings.arguments(component).push(format!("config=/{PROXY_FILE}").into());
                let head = json!({"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
                    "clientConnection": {"kubeconfig": "/var/lib/rancher/k3s/agent/kubeproxy.kubeconfig"}});
                (PROXY_FILE, head)
            }
            _ => return None,
        };
        let was = settings.0.get(&format!("{component}-arg")).and_then(|list| {
            let texts = list.as_array()?.iter().filter_map(Value::as_str);
            texts.filter_map(|text| text.split_once('=')).rfind(|(key, _)| *key == name)
        });
        let was = was.map(|(_, value)| typed(value));
        settings.take(component, name);
        if component == "kubelet" && self.is_given(&settings, component, name) {
            // An argument wins over the file, and K3s itself gives this one.
            return None;
        }
        let file = |value: Option<Value>| {
            let mut file = head.clone();
            if let Some(value) = value {
                put(&mut file, field, value);
            }
            BTreeMap::from([(path, file.to_string())])
        };
        let good = self.look(Source::OwnFile, &settings, &file(was));
        Some((good, self.look(Source::OwnFile, &settings, &file(Some(typed(value))))))
    }

    /// Tells whether a component gets an argument with these settings.
    fn is_given(&self, settings: &Settings, component: &str, name: &str) -> bool {
        let journal = self
            .node
            .with_files(OURS, &settings.files(Source::OwnFile), |node| forecast_journal(&node.config()));
        let mark = format!("Running {component} ");
        let line = journal.lines().find(|line| line.contains(&mark)).unwrap();
        line.contains(&format!(" --{name}="))
    }

    fn look(&self, source: Source, settings: &Settings, more: &BTreeMap<&'static str, String>) -> Statuses {
        let mut files = settings.files(source);
        files.extend(more.iter().map(|(path, text)| (*path, text.clone())));
        self.node.with_files(OURS, &files, Node::look)
    }
}

/// The key of K3s that keeps a component from running.
fn switch_of(component: &str) -> Option<&'static str> {
    Some(match component {
        "kube-apiserver" => "disable-apiserver",
        "kube-controller-manager" => "disable-controller-manager",
        "kube-scheduler" => "disable-scheduler",
        "kubelet" => "disable-agent",
        "kube-proxy" => "disable-kube-proxy",
        _ => return None,
    })
}

fn kubelet_head() -> Value {
    json!({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"})
}

/// The fields that rules read beside arguments, by component and argument; of several benchmarks, the newest counts.
static FIELDS: LazyLock<BTreeMap<(String, String), String>> = LazyLock::new(|| {
    fn add(rule: &ControlRule, fields: &mut BTreeMap<(String, String), String>) {
        match rule {
            ControlRule::Flag(rule) => {
                if let Some(field) = &rule.field {
                    let argument = (rule.component.clone(), rule.name.clone());
                    fields.entry(argument).or_insert_with(|| field.clone());
                }
            }
            ControlRule::All(rules) | ControlRule::Any(rules) => {
                rules.iter().for_each(|rule| add(rule, fields));
            }
            _ => {}
        }
    }
    let mut fields = BTreeMap::new();
    for control in benchmarks().iter().rev().flat_map(|benchmark| controls(benchmark).unwrap()) {
        add(&control.rule, &mut fields);
    }
    fields
});

fn component_of(change: &Change) -> Option<&str> {
    match change {
        Change::Set(text) | Change::Add(text) | Change::Without(text) | Change::Drop(text) => {
            Some(split(text).0)
        }
        _ => None,
    }
}

/// The value of a field for the value of an argument; of a map, the last of each name counts.
fn typed(value: &str) -> Value {
    if let Ok(value) = value.parse::<bool>() {
        return value.into();
    }
    if let Ok(value) = value.parse::<i64>() {
        return value.into();
    }
    if value.contains('=') {
        let item =
            |(name, value): (&str, &str)| (name.to_owned(), Value::from(!matches!(value, "false" | "0")));
        return value
            .split(',')
            .filter_map(|item| item.split_once('='))
            .map(item)
            .collect::<Map<_, _>>()
            .into();
    }
    let is_list = value.contains(',') || value.starts_with("TLS_");
    if is_list { value.split(',').collect::<Vec<_>>().into() } else { value.into() }
}

/// Sets a field of a document: names with dots between them.
fn put(document: &mut Value, field: &str, value: Value) {
    match field.split_once('.') {
        Some((outer, inner)) => {
            put(document.as_object_mut().unwrap().entry(outer).or_insert(json!({})), inner, value);
        }
        None => _ = document.as_object_mut().unwrap().insert(field.to_owned(), value),
    }
}
