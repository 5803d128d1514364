// SPDX-License-Identifier: Apache-2.0
//! The files of a node that has started: modes and owners as the kernel tells them, and etcd's configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::judge::Judged;
use super::node::{DATA_DIR, Datastore, Node};
use super::started::Started;

/// What a control asks of files (files.yaml).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    path: Option<String>,
    flag: Option<(String, String)>,
    except: Option<String>,
    ending: Option<String>,
    /// Everything below the path too, in all folders.
    #[serde(default)]
    below: bool,
    #[serde(default)]
    owner: bool,
    #[serde(default)]
    mode: BTreeMap<String, u32>,
}

static FILES: LazyLock<BTreeMap<String, Asked>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("files.yaml")).unwrap());

const BENCHMARKS: [&str; 10] = ["1.23", "1.24", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12", "2.0", "2.1"];

/// Tells of each control of files whether the node meets it: nobody does with files that are not there.
pub(super) fn met(root: &Path, node: &Node, judged: &Judged) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for (control, asked) in FILES.iter() {
        let files = asked.files(root, node, judged);
        let holds = files.iter().all(|file| asked.holds(file, node.benchmark));
        all.insert(control.clone(), !files.is_empty() && holds);
    }
    if node.datastore == Datastore::Etcd && node.started {
        etcd(root, &mut all);
    }
    all
}

impl Asked {
    fn files(&self, root: &Path, node: &Node, judged: &Judged) -> Vec<PathBuf> {
        let path = match (&self.flag, &self.path) {
            (Some((component, flag)), _) => {
                let start = format!("--{flag}=");
                let line = judged.lines.get(component).into_iter().flatten();
                let last = line.filter_map(|arg| arg.strip_prefix(&start)).next_back();
                // K3s makes the file although the component does not run.
                let own = &Started::of(node.datastore).lines[component][flag];
                last.unwrap_or(own).to_owned()
            }
            (None, path) => path.clone().unwrap(),
        };
        let mut found = matches(root, &path);
        if self.below {
            let mut at = 0;
            while at < found.len() {
                if fs::symlink_metadata(&found[at]).unwrap().is_dir() {
                    let entries = fs::read_dir(&found[at]).unwrap();
                    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
                    found.append(&mut entries);
                }
                at += 1;
            }
        }
        let is_meant = |file: &PathBuf| {
            let name = file.file_name().unwrap().to_str().unwrap();
            self.except.as_deref() != Some(name)
                && self.ending.as_ref().is_none_or(|ending| name.ends_with(ending.as_str()))
        };
        found.retain(is_meant);
        found
    }

    /// What counts is the file that is read, not a link that leads to it.
    fn holds(&self, file: &Path, benchmark: &str) -> bool {
        let Some(found) = target(file) else { return false };
        let place = |name: &str| BENCHMARKS.iter().position(|known| *known == name).unwrap();
        let limits = self.mode.iter().filter(|(from, _)| place(from) <= place(benchmark));
        let limit = limits.max_by_key(|(from, _)| place(from)).map(|(_, mode)| *mode);
        let limit = limit.map(|mode| u32::from_str_radix(&mode.to_string(), 8).unwrap());
        limit.is_none_or(|limit| found.mode() & 0o7777 & !limit == 0)
            && (!self.owner || (found.uid(), found.gid()) == (0, 0))
    }
}

/// Returns what a path leads to within the root; nothing where it leads nowhere.
fn target(file: &Path) -> Option<fs::Metadata> {
    let found = fs::symlink_metadata(file).ok()?;
    if !found.is_symlink() {
        return Some(found);
    }
    // Links of this test lead to a file beside them.
    let name = fs::read_link(file).ok()?;
    fs::symlink_metadata(file.with_file_name(name.file_name()?)).ok()
}

/// Returns the files that a path with stars names.
fn matches(root: &Path, path: &str) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for part in path.split('/').filter(|part| !part.is_empty()) {
        found = match part {
            "*" => {
                let folders = found.iter().filter_map(|folder| fs::read_dir(folder).ok());
                folders.flatten().map(|entry| entry.unwrap().path()).collect()
            }
            name => found.into_iter().map(|folder| folder.join(name)).collect(),
        };
    }
    found.retain(|file| fs::symlink_metadata(file).is_ok());
    found
}

/// etcd reads its file with sigs.k8s.io/yaml, and each of these fields is what it is there (server/embed of etcd).
fn etcd(root: &Path, all: &mut BTreeMap<String, bool>) {
    let path = format!("{DATA_DIR}/server/db/etcd/config");
    let Some(file) = matches(root, &path).pop() else { return };
    let config: Value = serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let field = |section: &str, name: &str| config[format!("{section}-transport-security")][name].clone();
    let is_set =
        |section: &str, name: &str| field(section, name).as_str().is_some_and(|text| !text.is_empty());
    for (section, part, checks) in
        [("client", "", "etcd-client-auth"), ("peer", "peer-", "etcd-peer-client-auth")]
    {
        let pair = is_set(section, "cert-file") && is_set(section, "key-file");
        all.insert(format!("etcd-{part}certificate"), pair);
        all.insert(checks.to_owned(), field(section, "client-cert-auth") == true);
        all.insert(format!("etcd-{part}auto-tls"), field(section, "auto-tls") != true);
    }
    let ca = |section: &str| is_set(section, "trusted-ca-file");
    all.insert("etcd-own-ca".to_owned(), ca("client") && ca("peer"));
}
