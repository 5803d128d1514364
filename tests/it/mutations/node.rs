// SPDX-License-Identifier: Apache-2.0
//! A node that is as it should be, before K3s has started and after.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k3s_harden::Role;
use k3s_harden::k3s::K3sLog;
use k3s_harden::k3s::NodeConfig;
use k3s_harden::k3s::forecast_journal;
use k3s_harden::k3s::{ConfigQuery, EffectiveConfig};
use k3s_harden::mode::Owner;
use k3s_harden::node::{Root, RootedPath};
use k3s_harden::verify::{self, Cluster, NodeFacts, Status, verify};
use k3s_harden::version::KubernetesMinor;
use serde_json::{Value, json};

use super::{Change, number};
use crate::support;

const DATA_DIR: &str = "/var/lib/rancher/k3s";
pub(crate) const OURS: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
/// Where somebody else's arguments are, behind ours.
const THEIRS: &str = "etc/rancher/k3s/config.yaml.d/95-mine.yaml";
const MANIFEST: &str = "var/lib/rancher/k3s/server/manifests/policy.yaml";
const DROP_IN: &str = "var/lib/rancher/k3s/agent/etc/kubelet.conf.d/99-mine.conf";
const ETCD: &str = "var/lib/rancher/k3s/server/db/etcd/config";
/// The minors whose files were recorded (tests/scanner/files.txt).
const RECORDED: [&str; 5] = ["1.24", "1.26", "1.29", "1.32", "1.36"];
/// The benchmarks that want certificates to be private, which K3s's own are not.
const PRIVATE_CERTIFICATES: [&str; 5] = ["1.24", "1.7", "1.8", "1.9", "1.10"];
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The status of each control, by its name.
pub(crate) type Statuses = BTreeMap<String, Status>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datastore {
    Etcd,
    Sqlite,
}

/// A kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) role: Role,
    pub(crate) datastore: Datastore,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.role, self.datastore) {
            (Role::Agent, _) => f.write_str("agent"),
            (Role::Server, Datastore::Etcd) => f.write_str("server with etcd"),
            (Role::Server, Datastore::Sqlite) => f.write_str("server with SQLite"),
        }
    }
}

/// A node, and what is known of it beside its files.
pub(crate) struct Node {
    node: support::Node,
    root: Root,
    data_dir: RootedPath,
    minor: KubernetesMinor,
    benchmark: String,
    kind: Kind,
    owner: Owner,
    /// Its log, once K3s has started.
    journal: Option<String>,
    /// The objects of its cluster, once K3s has started.
    objects: Vec<Value>,
}

impl Node {
    /// Makes one on which K3s has not started yet, as `apply` makes it.
    pub(crate) fn hardened(minor: &str, benchmark: &str, kind: Kind) -> Self {
        let mut node = support::Node::new();
        if kind.datastore == Datastore::Etcd {
            node = node.file("etc/rancher/k3s/config.yaml", "cluster-init: true\n");
            chmod(&node.path().join("etc/rancher/k3s/config.yaml"), 0o600);
        }
        let (role, profile) = (kind.role.to_string(), format!("cis-{benchmark}"));
        let said = node.run(&["apply", "-q", "--k3s-version", minor, "--role", &role, "--profile", &profile]);
        assert_eq!(said.code, 0, "{minor} {profile} {kind}: {}", said.stderr);
        let root = Root::open(node.path()).unwrap();
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Self {
            node,
            root,
            data_dir: RootedPath::fixed(DATA_DIR),
            minor: minor.parse().unwrap(),
            benchmark: benchmark.to_owned(),
            kind,
            owner: Owner { uid, gid },
            journal: None,
            objects: Vec::new(),
        }
    }

    /// Makes it one on which K3s has started: its files, its log, its cluster, and what has to be done by hand then.
    pub(crate) fn start(&mut self) {
        let server = self.kind.role == Role::Server;
        let mut directories = Vec::new();
        for line in self.recorded() {
            let (mode, path) = line.split_once(' ').unwrap();
            let at = self.path(path);
            // What was there before it started stays.
            if at.exists() || (!server && path.contains("/k3s/server/")) {
                continue;
            }
            let mode = u32::from_str_radix(mode, 8).unwrap();
            if path.ends_with('/') {
                fs::create_dir_all(&at).unwrap();
                directories.push((at, mode));
            } else {
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(&at, content(path)).unwrap();
                chmod(&at, mode);
            }
        }
        directories.into_iter().for_each(|(at, mode)| chmod(&at, mode));
        if !server {
            // Only a server has it.
            fs::remove_file(self.path("etc/rancher/k3s/k3s.yaml")).unwrap();
        }
        let wants_private = PRIVATE_CERTIFICATES.contains(&self.benchmark.as_str());
        if server && wants_private {
            for (path, _) in support::walk(&self.path("var/lib/rancher/k3s/server/tls")) {
                let at = self.path("var/lib/rancher/k3s/server/tls").join(path);
                if at.extension().is_some_and(|extension| extension == "crt") {
                    chmod(&at, 0o600);
                }
            }
        }
        self.journal = Some(forecast_journal(&self.config()));
        if server {
            self.objects = self.cluster_objects();
        }
    }

    /// The files of a node that is like it, with their modes; directories end in a slash.
    fn recorded(&self) -> Vec<&'static str> {
        let minor = number(&self.minor.to_string());
        let nearest = RECORDED.iter().rev().find(|known| number(known) <= minor).unwrap_or(&RECORDED[0]);
        let datastore = if self.kind.datastore == Datastore::Etcd { "etcd" } else { "sqlite" };
        let own = [*nearest, datastore, "guide"];
        let lines = include_str!("../../scanner/files.txt").lines();
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .filter_map(|line| {
                let (text, condition) = line.split_once("  # ").unwrap_or((line, ""));
                let met = |word: &str| word.split(',').any(|one| own.contains(&one));
                condition.split_whitespace().all(met).then_some(text)
            })
            .collect()
    }

    /// What K3s has put into its cluster: our manifests, and the least of Kubernetes' own.
    fn cluster_objects(&self) -> Vec<Value> {
        let mut objects = self.manifests();
        objects.extend(NAMESPACES.map(|name| {
            json!({"kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})
        }));
        let own = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        objects.push(json!({"kind": "ClusterRole", "metadata": {"name": "cluster-admin", "labels": own},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}));
        objects.push(
            json!({"kind": "ClusterRoleBinding", "metadata": {"name": "cluster-admin", "labels": own},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "Group", "name": "system:masters"}]}),
        );
        objects.push(json!({"kind": "Pod", "metadata": {"name": "coredns", "namespace": "kube-system"},
            "spec": {"volumes": [{"projected": {"sources": [{"serviceAccountToken": {}}]}}]}}));
        objects
    }

    fn manifests(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path(MANIFEST)).unwrap();
        let documents = serde_yaml::Deserializer::from_str(&text);
        documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.node.path().join(path.trim_start_matches('/'))
    }

    /// A path from K3s's data directory on, or from the root on.
    fn below(&self, path: &str) -> PathBuf {
        if path.starts_with('/') { self.path(path) } else { self.path(DATA_DIR).join(path) }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn minor(&self) -> KubernetesMinor {
        self.minor
    }

    pub(crate) fn config(&self) -> EffectiveConfig {
        let query = ConfigQuery {
            role: self.kind.role,
            release: self.minor.into(),
            data_dir: &self.data_dir,
            words: &[],
            show_secrets: true,
        };
        EffectiveConfig::read(&self.root, query).unwrap()
    }

    /// Looks at the node while it has these files in place of another one.
    pub(crate) fn with_files<T>(
        &self,
        instead_of: &str,
        files: &BTreeMap<&'static str, String>,
        look: impl FnOnce(&Self) -> T,
    ) -> T {
        let was = |path: &str| {
            let at = self.path(path);
            let kept = fs::read(&at).ok().map(|bytes| (bytes, fs::metadata(&at).unwrap().permissions()));
            (at, kept)
        };
        let kept: Vec<_> = files.keys().copied().chain([instead_of]).map(was).collect();
        fs::remove_file(self.path(instead_of)).unwrap();
        let mut made = Vec::new();
        for (path, text) in files {
            let at = self.path(path);
            let folder = at.parent().unwrap();
            made.extend(folder.ancestors().take_while(|folder| !folder.exists()).last().map(Path::to_owned));
            fs::create_dir_all(folder).unwrap();
            fs::write(&at, text).unwrap();
            chmod(&at, 0o600);
        }
        let seen = look(self);
        for (at, kept) in kept {
            match kept {
                Some((bytes, mode)) => {
                    fs::write(&at, bytes).unwrap();
                    fs::set_permissions(&at, mode).unwrap();
                }
                None => fs::remove_file(&at).unwrap(),
            }
        }
        made.into_iter().rev().for_each(|folder| fs::remove_dir_all(folder).unwrap());
        seen
    }

    /// What verify looks at.
    pub(crate) fn facts(&self) -> NodeFacts<'_> {
        let judged = NodeConfig::read(&self.root, self.kind.role, self.minor, &self.data_dir).unwrap();
        let journal = self.journal.as_deref().map(journal).unwrap_or_default();
        let mut facts = NodeFacts::new(judged, self.owner, journal);
        facts.cluster = self.cluster(&self.objects).map(Ok);
        facts
    }

    /// What verify says of it.
    pub(crate) fn look(&self) -> Statuses {
        self.statuses(&self.facts())
    }

    pub(crate) fn statuses(&self, facts: &NodeFacts<'_>) -> Statuses {
        let report = verify(facts, &self.benchmark).unwrap();
        report.verdicts.into_iter().map(|verdict| (verdict.name, verdict.status)).collect()
    }

    /// What verify says of it, where nobody asks its cluster.
    pub(crate) fn look_unasked(&self) -> Statuses {
        let mut facts = self.facts();
        facts.cluster = None;
        self.statuses(&facts)
    }

    /// What verify says of it, where some files are not there.
    pub(crate) fn look_without(&self, facts: &NodeFacts<'_>, files: &[&str]) -> Statuses {
        let aside = tempfile::tempdir_in(self.node.path()).unwrap();
        let kept: Vec<(PathBuf, PathBuf)> = files
            .iter()
            .enumerate()
            .map(|(at, file)| (self.below(file), aside.path().join(at.to_string())))
            .collect();
        kept.iter().for_each(|(from, to)| fs::rename(from, to).unwrap());
        let statuses = self.statuses(facts);
        kept.iter().for_each(|(from, to)| fs::rename(to, from).unwrap());
        statuses
    }

    /// Others than whoever stands for root: another group, another user.
    pub(crate) fn others(&self) -> [Owner; 2] {
        let Owner { uid, gid } = self.owner;
        [Owner { uid, gid: gid + 1 }, Owner { uid: uid + 1, gid }]
    }

    /// What verify says of it, where a file belongs to another group; nothing where whoever runs the tests is in no other.
    pub(crate) fn with_another_group(&self, facts: &NodeFacts<'_>, file: &str) -> Option<Statuses> {
        let mine = nix::unistd::getegid();
        let others = || nix::unistd::getgroups().unwrap().into_iter().find(|group| *group != mine);
        let root = nix::unistd::geteuid().is_root();
        let other = if root { Some(nix::unistd::Gid::from_raw(mine.as_raw() + 1)) } else { others() };
        let at = self.below(file);
        let give = |group| nix::unistd::chown(&at, None, Some(group)).unwrap();
        give(other?);
        let statuses = self.statuses(facts);
        give(mine);
        Some(statuses)
    }

    /// The objects as a cluster answers; none before there is one.
    fn cluster(&self, objects: &[Value]) -> Option<Cluster> {
        if self.journal.is_none() || self.kind.role == Role::Agent {
            return None;
        }
        let list = |kind: verify::ObjectKind| {
            let name = format!("{kind:?}");
            objects.iter().filter(|object| object["kind"] == *name).cloned().collect()
        };
        let cluster = verify::ObjectKind::ALL
            .into_iter()
            .filter(|kind| kind.is_served_in(self.minor))
            .fold(Cluster::default(), |cluster, kind| cluster.with(kind, Ok(list(kind))));
        Some(cluster)
    }

    /// What the binary says of it.
    pub(crate) fn verify(&self) -> Statuses {
        let log = tempfile::NamedTempFile::new().unwrap();
        fs::write(log.path(), self.journal.as_deref().unwrap()).unwrap();
        let (minor, role) = (self.minor.to_string(), self.kind.role.to_string());
        let log = log.path().to_str().unwrap();
        let words =
            ["verify", "--format", "json", "--k3s-version", &minor, "--role", &role, "--journal", log];
        let words: Vec<&str> = words.into_iter().chain(["--benchmark", &self.benchmark]).collect();
        let said = self.node.run(&words);
        let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
        let status = |control: &Value| {
            let its = control["status"].as_str().unwrap();
            Status::ALL.into_iter().find(|status| status.name() == its).unwrap()
        };
        let controls = report["controls"].as_array().unwrap().iter();
        controls.map(|control| (control["name"].as_str().unwrap().to_owned(), status(control))).collect()
    }

    /// What verify says of it, once K3s has started and something is wrong.
    pub(crate) fn with_started(&self, facts: &mut NodeFacts<'_>, change: &Change) -> Option<Statuses> {
        let whole = self.journal.as_deref().unwrap();
        let mut logged = |component: &str, edit: &dyn Fn(&mut Vec<String>) -> bool| {
            facts.log = journal(&edited(whole, component, edit)?);
            let statuses = self.statuses(facts);
            facts.log = journal(whole);
            Some(statuses)
        };
        match change {
            Change::Set(text) => {
                let (component, name, value) = split(text);
                logged(component, &|flags| {
                    take(flags, name);
                    flags.push(format!("{name}={value}"));
                    true
                })
            }
            Change::Without(text) => {
                let (component, name, _) = split(text);
                logged(component, &|flags| take(flags, name))
            }
            Change::Instead { of, set } => {
                let ((component, gone, _), (_, name, value)) = (split(of), split(set));
                logged(component, &|flags| {
                    flags.push(format!("{name}={value}"));
                    take(flags, gone)
                })
            }
            Change::Add(text) => {
                let (component, name, value) = split(text);
                logged(component, &|flags| {
                    match flags.iter_mut().find(|flag| name_of(flag) == name) {
                        Some(flag) => *flag = format!("{flag},{value}"),
                        None => flags.push(format!("{name}={value}")),
                    }
                    true
                })
            }
            Change::Drop(text) => {
                let (component, name, value) = split(text);
                logged(component, &|flags| {
                    let Some(flag) = flags.iter_mut().find(|flag| name_of(flag) == name) else {
                        return false;
                    };
                    let items: Vec<&str> = flag.split_once('=').unwrap().1.split(',').collect();
                    let kept: Vec<&str> = items.iter().filter(|item| **item != value).copied().collect();
                    let is_less = kept.len() < items.len();
                    *flag = format!("{name}={}", kept.join(","));
                    is_less
                })
            }
            Change::Chmod(text) => {
                let (mode, path) = text.split_once(' ').unwrap();
                let at = self.below(path);
                let was = fs::metadata(&at).ok()?.permissions();
                chmod(&at, u32::from_str_radix(mode, 8).unwrap());
                let statuses = self.statuses(facts);
                fs::set_permissions(&at, was).unwrap();
                Some(statuses)
            }
            Change::Etcd(fields) => {
                let mut config: Value =
                    serde_yaml::from_str(&fs::read_to_string(self.path(ETCD)).ok()?).unwrap();
                for (field, value) in fields {
                    put(&mut config, &format!("/{}", field.replace('.', "/")), value);
                }
                Some(self.written(ETCD, Some(&serde_yaml::to_string(&config).unwrap())))
            }
            Change::Patch { .. } | Change::Objects(_) => {
                let mut objects = self.objects.clone();
                alter(&mut objects, change);
                let good = std::mem::replace(&mut facts.cluster, self.cluster(&objects).map(Ok));
                let statuses = self.statuses(facts);
                facts.cluster = good;
                Some(statuses)
            }
            _ => self.with_file(change),
        }
    }

    /// What verify says of it, before K3s has started and with something wrong in what it will be started with.
    pub(crate) fn with_forecast(&self, _: &mut NodeFacts<'_>, change: &Change) -> Option<Statuses> {
        let theirs = |component: &str, argument: String| {
            let text = serde_json::to_string(&json!({format!("{component}-arg+"): [argument]})).unwrap();
            self.written(THEIRS, Some(&text))
        };
        match change {
            Change::Set(text) => {
                let (component, name, value) = split(text);
                Some(theirs(component, format!("{name}={value}")))
            }
            Change::Add(text) => {
                let (component, name, value) = split(text);
                Some(theirs(component, format!("{name}+={value}")))
            }
            // K3s's own cannot be taken away, only be set to something else.
            Change::Without(text) => {
                let (component, name, _) = split(text);
                self.with_ours(component, name, &|_| String::new())
            }
            Change::Drop(text) => {
                let (component, name, value) = split(text);
                self.with_ours(component, name, &|line| {
                    assert!(line.contains(&format!("{value},")), "{line}");
                    line.replacen(&format!("{value},"), "", 1)
                })
            }
            Change::Patch { .. } => {
                let mut objects = self.manifests();
                alter(&mut objects, change);
                let text: Vec<String> = objects.iter().map(|object| format!("---\n{object}\n")).collect();
                Some(self.written(MANIFEST, Some(&text.concat())))
            }
            _ => self.with_file(change),
        }
    }

    /// What verify says of it, with another line for an argument in our own drop-in; nothing where it has none.
    fn with_ours(&self, component: &str, name: &str, edit: &dyn Fn(&str) -> String) -> Option<Statuses> {
        let ours = fs::read_to_string(self.path(OURS)).unwrap();
        let (key, start) = (format!("{component}-arg+:"), format!("  - \"{name}="));
        let (mut within, mut found) = (false, false);
        let mut text = String::new();
        for line in ours.split_inclusive('\n') {
            within = if line.starts_with(' ') { within } else { line.trim_end() == key };
            if within && line.starts_with(&start) {
                found = true;
                text += &edit(line);
            } else {
                text += line;
            }
        }
        found.then(|| self.written(OURS, Some(&text)))
    }

    /// What verify says of it, with another file than before: only what somebody has made, not K3s.
    fn with_file(&self, change: &Change) -> Option<Statuses> {
        match change {
            Change::DropIn(config) => {
                // Without them the kubelet does not start, and no field is in force.
                let mut config = config.clone();
                config["apiVersion"] = "kubelet.config.k8s.io/v1beta1".into();
                config["kind"] = "KubeletConfiguration".into();
                Some(self.written(DROP_IN, Some(&config.to_string())))
            }
            Change::Write { path, text } => Some(self.written(&relative(path), Some(text))),
            Change::Remove(path) => Some(self.written(&relative(path), None)),
            Change::Replace { path, from, to } => {
                let path = relative(path);
                let text = fs::read_to_string(self.path(&path)).unwrap();
                assert!(text.contains(from), "{path} has no {from:?}");
                Some(self.written(&path, Some(&text.replace(from, to))))
            }
            _ => None,
        }
    }

    /// What verify says of it, with another text in a file, or with none.
    fn written(&self, path: &str, text: Option<&str>) -> Statuses {
        let at = self.path(path);
        let was = fs::read(&at).ok();
        let mode = fs::metadata(&at).ok().map(|metadata| metadata.permissions());
        let folder = at.parent().unwrap();
        let missing = folder.ancestors().take_while(|folder| !folder.exists()).last();
        fs::create_dir_all(folder).unwrap();
        match text {
            Some(text) => fs::write(&at, text).unwrap(),
            None => fs::remove_file(&at).unwrap(),
        }
        chmod_if(&at, 0o600);
        let statuses = self.look();
        match (was, missing) {
            (Some(bytes), _) => fs::write(&at, bytes).unwrap(),
            (None, Some(folder)) => fs::remove_dir_all(folder).unwrap(),
            (None, None) => fs::remove_file(&at).unwrap(),
        }
        if let Some(mode) = mode {
            fs::set_permissions(&at, mode).unwrap();
        }
        statuses
    }
}

fn journal(text: &str) -> K3sLog {
    K3sLog::new(text, "/journal")
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn chmod_if(path: &Path, mode: u32) {
    if path.exists() {
        chmod(path, mode);
    }
}

/// A path from the root on, without the slash that it begins with.
fn relative(path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{DATA_DIR}/{path}") };
    whole.trim_start_matches('/').to_owned()
}

/// The text of the files that anybody reads.
fn content(path: &str) -> &'static str {
    match path.rsplit('/').next().unwrap() {
        "00-k3s-defaults.conf" => include_str!("../../scanner/00-k3s-defaults.conf"),
        "config" => include_str!("../../scanner/etcd-config.yaml"),
        "kubelet.kubeconfig" => "apiVersion: v1\nkind: Config\n",
        "encryption-config.json" => {
            r#"{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"aescbckey","secret":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]}},{"identity":{}}]}]}"#
        }
        _ => "",
    }
}

/// `component --name=value`.
pub(crate) fn split(text: &str) -> (&str, &str, &str) {
    let (component, flag) = text.split_once(" --").unwrap();
    let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
    (component, name, value)
}

fn name_of(flag: &str) -> &str {
    flag.split_once('=').map_or(flag, |(name, _)| name)
}

/// Takes a flag away, if it is there.
fn take(flags: &mut Vec<String>, name: &str) -> bool {
    let before = flags.len();
    flags.retain(|flag| name_of(flag) != name);
    flags.len() < before
}

/// Changes the flags in the line of a component; nothing where it has none, or where they cannot be changed so.
fn edited(journal: &str, component: &str, edit: &dyn Fn(&mut Vec<String>) -> bool) -> Option<String> {
    let mark = format!("Running {component} --");
    let mut changed = false;
    let mut text = String::new();
    for line in journal.split_inclusive('\n') {
        if let Some((before, flags)) = line.split_once(&mark) {
            let flags = flags.trim_end().strip_suffix('"').unwrap();
            let mut flags: Vec<String> = flags.split(" --").map(str::to_owned).collect();
            changed = edit(&mut flags);
            text += &format!("{before}{mark}{}\"\n", flags.join(" --"));
        } else {
            text += line;
        }
    }
    changed.then_some(text)
}

/// Sets what a pointer points to, and makes what leads there; null takes it away.
fn put(object: &mut Value, pointer: &str, value: &Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    match parent {
        Value::Object(fields) if value.is_null() => {
            assert!(fields.remove(key).is_some(), "there is no {pointer}");
        }
        Value::Object(fields) => _ = fields.insert(key.replace("~1", "/"), value.clone()),
        other => panic!("{pointer} in {other}"),
    }
}

fn alter(objects: &mut Vec<Value>, change: &Change) {
    match change {
        Change::Objects(more) => objects.extend(more.iter().cloned()),
        Change::Patch { object, field, to } => {
            let (kind, full) = object.split_once(' ').unwrap();
            let (namespace, name) = full.split_once('/').unwrap_or(("", full));
            let is_it = |object: &&mut Value| {
                object["kind"] == kind
                    && object["metadata"]["name"] == name
                    && object["metadata"]["namespace"].as_str().unwrap_or_default() == namespace
            };
            let found = objects.iter_mut().find(is_it);
            put(found.unwrap_or_else(|| panic!("there is no {object}")), field, to);
        }
        _ => {}
    }
}
