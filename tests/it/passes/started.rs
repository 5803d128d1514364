// SPDX-License-Identifier: Apache-2.0
//! What K3s leaves behind once it has started: files with their modes, and what it has logged, as they were recorded of a
//! real one (`tests/oracle/passes/started.json`): a K3s of 1.36 as it is installed. Left out are what ended with 1.36, the kubelet's
//! argument containerd and the controllers of clouds in the controller manager's, and the section logging of the kubelet's
//! drop-in, which has defaults alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;

use super::node::{Datastore, Node, OWN_DROP_IN, Wrong};

#[derive(Debug, Deserialize)]
pub(super) struct Started {
    dirs: BTreeMap<String, Vec<String>>,
    files: BTreeMap<String, Vec<String>>,
    pub(super) texts: BTreeMap<String, String>,
    /// The arguments that K3s gives each component by itself.
    pub(super) lines: BTreeMap<String, BTreeMap<String, String>>,
    log: Vec<String>,
}

static RECORDED: LazyLock<BTreeMap<String, Started>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../oracle/passes/started.json")).unwrap());

impl Started {
    pub(super) fn of(datastore: Datastore) -> &'static Self {
        &RECORDED[if datastore == Datastore::Etcd { "etcd" } else { "sqlite" }]
    }

    /// The files that K3s makes.
    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.values().flatten()
    }

    /// Lays what K3s makes on a node.
    pub(super) fn lay(&self, root: &Path, node: &Node) {
        let is_there = |path: &&String| {
            !(path.starts_with("/etc/rancher/k3s/config.yaml")
                || node.role == "agent" && (path.contains("/k3s/server") || path.ends_with("k3s.yaml"))
                || node.without_own_drop_in && *path == OWN_DROP_IN)
        };
        let at = |path: &String| root.join(path.trim_start_matches('/'));
        fn all(of: &BTreeMap<String, Vec<String>>) -> impl Iterator<Item = (&String, &String)> {
            of.iter().flat_map(|(mode, paths)| paths.iter().map(move |path| (mode, path)))
        }
        for (_, path) in all(&self.dirs).filter(|(_, path)| is_there(path)) {
            fs::create_dir_all(at(path)).unwrap();
        }
        for (mode, path) in all(&self.files).filter(|(_, path)| is_there(path)) {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), self.texts.get(path).map_or("x\n", String::as_str)).unwrap();
            chmod(&at(path), u32::from_str_radix(mode, 8).unwrap());
        }
        for (mode, path) in all(&self.dirs).filter(|(_, path)| is_there(path)) {
            chmod(&at(path), u32::from_str_radix(mode, 8).unwrap());
        }
        for (path, wrong) in node.wrong.iter().filter(|(path, _)| at(path).exists()) {
            match wrong {
                Wrong::Mode(mode) => chmod(&at(path), *mode),
                Wrong::Owner(uid, gid) => chown(at(path), Some(*uid), Some(*gid)).unwrap(),
                Wrong::Link => {
                    let elsewhere = at(&format!("{path}.elsewhere"));
                    fs::rename(at(path), &elsewhere).unwrap();
                    chmod(&elsewhere, 0o666);
                    symlink(format!("{path}.elsewhere"), at(path)).unwrap();
                }
                Wrong::Text(text) => fs::write(at(path), text).unwrap(),
                Wrong::Gone => fs::remove_file(at(path)).unwrap(),
            }
        }
    }

    /// What K3s logs, where it starts these components with these arguments.
    pub(super) fn journal(&self, lines: &BTreeMap<String, Vec<String>>) -> String {
        let head = r#"Nov 23 22:08:40 server-0 k3s[2226]: time="2026-11-23T22:08:40Z" level=info msg="#;
        let said = lines.iter().map(|(component, line)| format!("Running {component} {}", line.join(" ")));
        let said = self.log.iter().cloned().chain(said);
        said.map(|text| format!("{head}\"{}\"\n", text.replace('\\', "\\\\").replace('"', "\\\""))).collect()
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
