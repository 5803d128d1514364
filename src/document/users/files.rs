// SPDX-License-Identifier: Apache-2.0
//! The files of the user's that are read before anything is rendered: those at our paths, those that his configuration of K3s
//! names in place of ours, and those that these name in turn.

use std::collections::{BTreeMap, BTreeSet};

use super::part::UsersPart;
use crate::document::file_table::{LOCAL_POLICY, LOCAL_SYSCTL, ROWS};
use crate::document::{ExistingConfig, OnConflict, has_header};
use crate::error::{ErrorKind, Place, Result};
use crate::k3s::arguments::{name_and_value, sets};
use crate::k3s::{NodeConfig, NodePaths, ValueOrigin};
use crate::kubernetes::admission_config;
use crate::node::{BootSysctls, PathState, Root, RootedPath};

/// The argument that names the configuration of admission plugins.
pub(in crate::document) const ADMISSION_FILE: &str = "admission-control-config-file";
/// The argument that names the audit policy.
pub(in crate::document) const AUDIT_FILE: &str = "audit-policy-file";
/// The component that reads both.
const SERVER: &str = "kube-apiserver";
/// The files that are united, by their keys.
const UNITED: [&str; 6] = ["sysctl", "audit", "psa", "policy", LOCAL_SYSCTL, LOCAL_POLICY];
/// The folder of manifests in K3s's data directory.
const MANIFESTS: &str = "server/manifests";
/// The plugins whose configuration is united, and read therefore where it is in a file of its own.
const OPENED_PLUGINS: [&str; 2] = ["PodSecurity", "EventRateLimit"];

/// A file that the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersFile {
    /// Its path.
    pub path: RootedPath,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What of the user's is united with ours, or judged; empty for a node that nobody else hardened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UsersFiles {
    /// Files at our paths without our header, by key. Empty unless they are to be united.
    pub(super) foreign: BTreeMap<&'static str, UsersFile>,
    /// Files of ours at our paths, by key: they remember what was the user's.
    pub(super) ours: BTreeMap<&'static str, String>,
    /// The files that the user's configuration names in place of ours, by argument.
    pub(super) named: BTreeMap<&'static str, UsersFile>,
    /// The arguments among these that stand in Rancher's own configuration.
    pub(super) of_rancher: BTreeSet<&'static str>,
    /// The files that the admission configurations among these name.
    pub(super) beside: BTreeMap<RootedPath, Vec<u8>>,
    /// The files beside policy-local.yaml that decide what K3s makes of it, and that of policy.yaml, by name.
    pub(super) beside_local: Vec<String>,
    /// The kernel parameters of all files, where some of them are to move.
    pub(super) boot: Option<BootSysctls>,
    /// Who wins in a conflict, if the user or an earlier run said it.
    pub(super) on_conflict: Option<OnConflict>,
    /// What could not be read, and is not compared therefore.
    pub problems: Vec<String>,
}

impl UsersFile {
    pub(super) fn place(&self, position: (usize, usize)) -> Place {
        Place { file: self.path.to_string(), position: Some(position) }
    }

    pub(super) fn whole_place(&self) -> Place {
        Place { file: self.path.to_string(), position: None }
    }
}

impl UsersFiles {
    /// Reads the files on a node; those at our paths that are not ours only with `unites`.
    ///
    /// # Errors
    /// If the caller may not read the files at our paths.
    pub fn read(
        root: &Root,
        node: &NodeConfig<'_>,
        places: (&RootedPath, &RootedPath),
        existing: &ExistingConfig,
        unites: bool,
        on_conflict: Option<OnConflict>,
    ) -> Result<Self> {
        let (config, data_dir) = places;
        let mut users = Self { on_conflict, ..Self::default() };
        for row in ROWS.iter().filter(|row| UNITED.contains(&row.key) && row.roles.contains(&node.role)) {
            let path = row.place.on_node(config, data_dir);
            let Some(bytes) = file_bytes(root, &path)? else { continue };
            if !has_header(&bytes) {
                if unites {
                    users.foreign.insert(row.key, UsersFile { path, bytes });
                }
            } else if let Ok(text) = String::from_utf8(bytes) {
                users.ours.insert(row.key, text);
            }
        }
        if users.foreign.contains_key("sysctl") {
            users.boot = Some(BootSysctls::read(root)?);
        }
        if users.foreign.contains_key("policy") || users.ours.contains_key(LOCAL_POLICY) {
            users.beside_local = beside_local(root, data_dir)?;
        }
        for (argument, key) in [(ADMISSION_FILE, "psa"), (AUDIT_FILE, "audit")] {
            users.find_named(root, node, existing, argument, key, places);
        }
        users.find_beside(root, node);
        Ok(users)
    }

    /// Returns the bytes of the files at our paths that are united, by path, without those of which `parts` have nothing: if one of them changes until it is replaced, what was
    /// taken over is not what was there.
    #[must_use]
    pub fn united(&self, parts: &[UsersPart]) -> BTreeMap<RootedPath, Vec<u8>> {
        let is_read = |file: &&UsersFile| !parts.iter().any(|part| part.is_whole && part.file == file.path);
        let united = self.foreign.values().filter(is_read);
        united.map(|file| (file.path.clone(), file.bytes.clone())).collect()
    }

    /// Returns who wins in a conflict with something that the user has still.
    pub(super) fn decision(&self) -> OnConflict {
        self.on_conflict.unwrap_or_default()
    }

    /// Returns who wins in a conflict with the file that an argument names. One that Rancher names stays until somebody says
    /// otherwise: the cluster's own settings in Rancher chose it.
    pub(in crate::document) fn decision_of_named(&self, argument: &str) -> OnConflict {
        let is_ranchers = self.of_rancher.contains(argument);
        self.on_conflict.unwrap_or(if is_ranchers { OnConflict::Keep } else { OnConflict::default() })
    }

    /// Returns who wins in a conflict with something that an earlier run has taken over: it stays until somebody says otherwise.
    pub(super) fn decision_of_remembered(&self) -> OnConflict {
        match self.on_conflict {
            Some(OnConflict::Ours) => OnConflict::Ours,
            _ => OnConflict::Keep,
        }
    }

    /// Reads the file that the user's configuration names in place of ours: the last one that counts before our drop-in.
    fn find_named(
        &mut self,
        root: &Root,
        node: &NodeConfig<'_>,
        existing: &ExistingConfig,
        argument: &'static str,
        key: &str,
        (config, data_dir): (&RootedPath, &RootedPath),
    ) {
        let before = existing.before_ours(&format!("{SERVER}-arg"));
        let of_files = before.iter().rfind(|item| sets(&item.text, argument));
        let of_files = of_files.map(|item| (item.text.clone(), item.place.clone()));
        // What the service gives it counts more than any file.
        let Some((item, place)) = of_service(node, argument).or(of_files) else { return };
        let (_, text) = name_and_value(&item);
        let ours = ROWS.iter().find(|row| row.key == key).map(|row| row.place.on_node(config, data_dir));
        let Ok(path) = node.path(&text) else { return };
        if Some(&path) == ours.as_ref() {
            return;
        }
        match file_bytes(root, &path) {
            Ok(Some(bytes)) => {
                if NodePaths::get().is_ranchers(&place.file) {
                    self.of_rancher.insert(argument);
                }
                self.named.insert(argument, UsersFile { path, bytes });
            }
            Ok(None) => {
                self.problems.push(format!(
                    "{place}: {argument} refers to {path}, which does not exist: it was not compared with the managed settings"
                ));
            }
            Err(error) => self.problems.push(format!("{error}: it is not compared with what k3s-harden has")),
        }
    }

    fn find_beside(&mut self, root: &Root, node: &NodeConfig<'_>) {
        let files = self.foreign.get("psa").into_iter().chain(self.named.get(ADMISSION_FILE));
        let mut paths = Vec::new();
        for file in files {
            let Ok(config) = admission_config::read(&file.bytes, node.minor()) else { continue };
            let entries = config.plugins.into_iter();
            let opened = entries.filter(|entry| OPENED_PLUGINS.contains(&entry.name.as_str()));
            paths.extend(opened.filter(|entry| entry.configuration.is_none()).filter_map(|entry| {
                (!entry.path.is_empty()).then(|| named_beside(&file.path, &entry.path).ok()).flatten()
            }));
        }
        for path in paths {
            // One that is missing keeps the API server from starting, which preflight says.
            if let Ok(Some(bytes)) = file_bytes(root, &path) {
                self.beside.insert(path, bytes);
            }
        }
    }
}

/// Returns the last item with which the service that starts K3s sets an argument of the API server, and where it stands.
fn of_service(node: &NodeConfig<'_>, argument: &str) -> Option<(String, Place)> {
    let given = node.effective.as_ref().ok()?.values.get(&format!("{SERVER}-arg"))?;
    let mut items = given.items.iter().zip(&given.origins).rev();
    let (text, origin) =
        items.find(|(text, origin)| matches!(origin, ValueOrigin::Service(_)) && sets(text, argument))?;
    Some((text.clone(), origin.place()))
}

/// Returns the names of files in the folder of manifests that K3s counts as the same as policy-local.yaml, or that switch it or
/// policy.yaml off (pkg/deploy/controller.go: shouldSkipFile, and the name of an Addon up to the first dot).
fn beside_local(root: &Root, data_dir: &RootedPath) -> Result<Vec<String>> {
    let names = root.names(&data_dir.join(MANIFESTS))?;
    let counts = |name: &String| {
        name == "policy.yaml.skip" || (name.starts_with("policy-local.") && name != "policy-local.yaml")
    };
    Ok(names.into_iter().filter(counts).collect())
}

/// Returns the path that a file names: a relative one is looked for beside it.
pub(super) fn named_beside(file: &RootedPath, named: &str) -> Result<RootedPath> {
    if named.starts_with('/') {
        return named.parse();
    }
    file.parent().unwrap_or_else(|| RootedPath::fixed("/")).resolve(named)
}

/// Returns the bytes of a file, also behind a link; none if there is none, or if it is too large to be replaced.
fn file_bytes(root: &Root, path: &RootedPath) -> Result<Option<Vec<u8>>> {
    match root.look_without_attributes(path) {
        Ok(PathState::File { bytes, .. }) => Ok(Some(bytes)),
        // A link to something that is no file is replaced as it is.
        Ok(PathState::Symlink { .. }) => Ok(root.read(path).ok().flatten()),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotPermitted => Err(error),
        // What is wrong with the path is said where it is looked at to be changed.
        Err(_) => Ok(None),
    }
}
