// SPDX-License-Identifier: Apache-2.0
//! The page of the files on a node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::markdown::{NOTHING, Page, anchor, code, plain};
use super::versions;
use crate::Role;
use crate::apply::{STATE_DIRECTORY, state_directory};
use crate::document::{
    DropInMerge, PackagedPolicies, PresentFiles, RenderTarget, Rendered, UsersFiles, is_users, node_files,
};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{DEFAULT_CONFIG, DEFAULT_DATA_DIR, Datastore, RunningComponents};
use crate::mode::{FileMode, Owner};
use crate::node::RootedPath;
use crate::plan::{Desired, DirectoryRule, PlanSubject, Resource};
use crate::profile::{Profile, ProfileRequest, SETTINGS_FILE};
use crate::version::KubernetesMinor;

/// The profiles that the page is about: the default, and with the overlay that sets more.
const PROFILES: [&[&str]; 2] = [&["cis"], &["cis", "strict"]];

/// On which nodes something is there: the minors, by role, with the first of the profiles that has it.
type Places = BTreeMap<(Role, usize), BTreeSet<KubernetesMinor>>;

/// What `apply` brings to a node.
#[derive(Default)]
struct NodeContent {
    files: BTreeMap<String, (FileMode, Places)>,
    /// Directories with an exact mode.
    exact: BTreeMap<String, (FileMode, Places)>,
    /// Directories that get a mode only if they are made.
    made: BTreeMap<String, (FileMode, Places)>,
    /// Kernel parameters and their values.
    sysctls: BTreeMap<String, (String, Places)>,
}

/// Returns the page.
pub(super) fn page() -> Result<Page> {
    let content = NodeContent::of_all_minors()?;
    let mut page = Page::new(
        "files.md",
        "Files on a node",
        "What `apply` writes on a node whose K3s has its files where it has them by default, with exact modes.",
    );
    page.paragraph("All of it belongs to root, or to `--owner`. A drop-in lies beside the configuration file that K3s reads, and what is below the data directory lies below that of the node. `k3s-harden plan` shows the files of a node.");
    page.heading("Files");
    let known = node_files();
    page.table(
        &["path", "mode", "nodes", "what it is"],
        known.iter().map(|file| {
            let nodes = match content.files.get(file.path.as_str()) {
                Some((_, places)) => in_words(places),
                None if is_users(&file.path) => {
                    "those that were hardened by hand, if there is something".to_owned()
                }
                None => "none, unless a setting asks for it".to_owned(),
            };
            let path = format!("{}{}", anchor(file.key), code(file.path.as_str()));
            vec![path, file.mode.to_string(), nodes, plain(file.about)]
        }),
    );
    page.heading("Directories with an exact mode");
    page.table(&["path", "mode", "nodes"], rows(&content.exact));
    page.heading("Directories that are made if they are missing");
    page.paragraph("One that is there keeps its mode.");
    page.table(&["path", "mode", "nodes"], rows(&content.made));
    page.heading("Kernel parameters");
    page.paragraph("Of the running kernel; the file above brings them at each boot.");
    page.table(
        &["parameter", "value", "nodes"],
        content.sysctls.iter().map(|(key, (value, places))| vec![code(key), value.clone(), in_words(places)]),
    );
    page.heading("k3s-harden's own");
    let private = FileMode::PRIVATE_DIRECTORY.to_string();
    page.table(
        &["path", "mode", "what it is"],
        [
            [
                code(STATE_DIRECTORY),
                private,
                "The history of runs, with what they replaced. `uninstall` removes it.".to_owned(),
            ],
            [
                code(SETTINGS_FILE),
                NOTHING.to_owned(),
                "The settings of the node, if its administrator has written them. It is only read."
                    .to_owned(),
            ],
        ]
        .map(Vec::from),
    );
    Ok(page)
}

impl NodeContent {
    fn of_all_minors() -> Result<Self> {
        let mut content = Self::default();
        for minor in KubernetesMinor::supported() {
            for role in [Role::Server, Role::Agent] {
                for (index, names) in PROFILES.iter().enumerate() {
                    let profile = resolve(names, minor)?;
                    let subject = PlanSubject::new(PathBuf::from("/"), &profile, role);
                    let rendered = Rendered::new(&profile, &target(role));
                    let desired = Desired::new(subject, &rendered, Owner::ROOT, true)?;
                    desired.resources.iter().for_each(|resource| content.add(resource, (role, index), minor));
                }
            }
            // The history lies below directories that an agent needs for nothing else.
            for path in std::iter::successors(state_directory().parent(), RootedPath::parent) {
                let path = path.to_string();
                let Some((_, places)) = content.made.get_mut(&path) else { continue };
                for index in 0..PROFILES.len() {
                    places.entry((Role::Agent, index)).or_default().insert(minor);
                }
            }
        }
        Ok(content)
    }

    fn add(&mut self, resource: &Resource, place: (Role, usize), minor: KubernetesMinor) {
        let (places, path, mode) = match resource {
            Resource::File(file) => (&mut self.files, &file.path, file.metadata.mode),
            Resource::Directory(directory) if directory.rule == DirectoryRule::Exact => {
                (&mut self.exact, &directory.path, directory.metadata.mode)
            }
            Resource::Directory(directory) => (&mut self.made, &directory.path, directory.metadata.mode),
            // They exist on a started node alone.
            Resource::Permissions(_) => return,
            Resource::Sysctl(sysctl) => {
                let entry = self.sysctls.entry(sysctl.key.to_string());
                let (_, places) = entry.or_insert_with(|| (sysctl.value.to_string(), Places::new()));
                places.entry(place).or_default().insert(minor);
                return;
            }
        };
        let (_, places) = places.entry(path.to_string()).or_insert_with(|| (mode, Places::new()));
        places.entry(place).or_default().insert(minor);
    }
}

fn resolve(names: &[&str], minor: KubernetesMinor) -> Result<Profile> {
    let request = ProfileRequest {
        profiles: names.iter().map(ToString::to_string).collect(),
        minor,
        settings: None,
        assignments: Vec::new(),
        only: Vec::new(),
        skip: Vec::new(),
    };
    // A built-in profile reads no file.
    request.resolve(&|path| Err(Error::new(ErrorKind::BadInput, path)))
}

/// An empty node of a role.
fn target(role: Role) -> RenderTarget {
    RenderTarget {
        role,
        config: RootedPath::fixed(DEFAULT_CONFIG),
        running: RunningComponents::of_role(role, Datastore::Sqlite),
        data_dir: RootedPath::fixed(DEFAULT_DATA_DIR),
        audit_policy: None,
        present: PresentFiles::default(),
        packaged: PackagedPolicies::default(),
        users: UsersFiles::default(),
        drop_in_merge: DropInMerge::default(),
    }
}

fn rows(directories: &BTreeMap<String, (FileMode, Places)>) -> impl Iterator<Item = Vec<String>> {
    directories.iter().map(|(path, (mode, places))| vec![code(path), mode.to_string(), in_words(places)])
}

/// Returns the nodes in words: `server, agent`; with the minors where not all have it, and the profile where only one has.
fn in_words(places: &Places) -> String {
    let all = KubernetesMinor::supported();
    let mut words = Vec::new();
    for role in [Role::Server, Role::Agent] {
        let on = |index: usize| -> Vec<KubernetesMinor> {
            places.get(&(role, index)).into_iter().flatten().copied().collect()
        };
        let (plain, strict) = (on(0), on(1));
        let by = |minors: &[KubernetesMinor], profile: &str| {
            let range =
                if minors == all { String::new() } else { format!(" ({})", versions::in_words(minors)) };
            format!("{role}{range}{profile}")
        };
        let only_strict: Vec<KubernetesMinor> =
            strict.into_iter().filter(|minor| !plain.contains(minor)).collect();
        if !plain.is_empty() {
            words.push(by(&plain, ""));
        }
        if !only_strict.is_empty() {
            words.push(by(&only_strict, " with strict"));
        }
    }
    words.join(", ")
}
