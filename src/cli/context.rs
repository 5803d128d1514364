//! From what was typed to what it means: the root, the version, the role, and the resolved profile.
//!
//! Each answer is looked for in the same order: the command line, what an earlier run on this root was told,
//! the node itself, the default.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, info};

use super::args::{BenchmarkArguments, GlobalArguments, SET_VARIABLE};
use super::usage_error;
use crate::Role;
use crate::apply::{RecordedInputs, RunInputs, is_at_work};
use crate::document::{self, DROP_IN, DropIn, NodeSite, PresentFiles};
use crate::document::{DropInMerge, ExistingConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::{self, service_data_dir};
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, accounts, host};
use crate::profile::{
    ArgumentTable, Assignment, ControlSelection, Declaration, MAX_SOURCE_BYTES, Origin, Profile,
    ProfileRequest, SourceText, declarations,
};
use crate::verify::{Waiver, waivers};
use crate::version::K3sVersion;

/// K3s' own data directory.
pub(super) const DATA_DIR: &str = "/var/lib/rancher/k3s";
const SETTINGS: &str = "/etc/k3s-harden/settings.yaml";

/// Everything that the verbs need.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) root: &'a Root,
    pub(super) profile: Profile,
    pub(super) site: NodeSite,
    pub(super) version: K3sVersion,
    pub(super) owner: Owner,
    pub(super) told: RunInputs,
    /// Whether an earlier run was told something else.
    pub(super) retold: bool,
    /// What it was told.
    pub(super) earlier: Option<RunInputs>,
    pub(super) recorded: BTreeSet<RootedPath>,
    /// What somebody has accepted, by the settings file; checked by every verb, and used by `verify` alone.
    pub(super) waivers: Vec<Waiver>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Context<'a> {
    /// Finds out everything, reading only.
    pub(super) fn new(
        root: &'a Root,
        global: &GlobalArguments,
        judging: &BenchmarkArguments,
    ) -> Result<Self> {
        Self::after(earlier(root)?, root, global, judging, &BTreeMap::new())
    }

    /// The same after the runs that are `recorded`; `texts` are those of files that may not be there.
    pub(super) fn after(
        recorded: RecordedInputs,
        root: &'a Root,
        global: &GlobalArguments,
        judging: &BenchmarkArguments,
        texts: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let earlier = recorded.told.clone().unwrap_or_default();
        let mut told = RunInputs::default();
        let mut warnings = Vec::new();

        let existing = ExistingConfig::read(root, &RootedPath::fixed(DROP_IN))?;
        told.data_dir = given(global.data_dir.as_ref()).or_else(|| earlier.data_dir.clone());
        let data_dir = data_dir(root, told.data_dir.as_deref(), &existing, &mut warnings)?;
        let version = version(global, &earlier, root, &mut told)?;
        told.role = global.role.or(earlier.role);
        let role =
            told.role.or_else(|| k3s::role(root, &data_dir)).or_else(installers_role).unwrap_or(Role::Server);
        let owner = owner(global, root)?.unwrap_or(Owner::ROOT);

        let files = NamedFiles::new(&earlier, texts);
        let settings = settings(global, &earlier, root, &files, &mut told)?;
        let waivers = settings.as_ref().map(waivers::read).transpose()?.unwrap_or_default();
        // Each setting defaults to what it was told; `--set name=` or `name=null` takes a word back.
        let mut assignments = remembered(&earlier);
        let typed = assignments_typed(global)?;
        assignments.retain(|old| !typed.iter().any(|new| new.name == old.name));
        assignments.extend(typed);
        told.assignments = assignments.iter().map(remember).collect();
        let profiles = match (words(&global.profile), &earlier.profiles) {
            (typed, _) if !typed.is_empty() => typed,
            (_, remembered) if !remembered.is_empty() => remembered.clone(),
            _ => vec!["cis".to_owned()],
        };
        told.profiles = profiles
            .iter()
            .map(|name| if name.contains('/') { host::absolute(name) } else { name.clone() })
            .collect();
        told.skip = match words(&global.skip) {
            typed if typed.is_empty() => earlier.skip.clone(),
            typed => typed.into_iter().filter(|word| word != "none").collect(),
        };
        let (only, skip) = (words(&global.only), told.skip.clone());
        let about_some = !only.is_empty() || !skip.is_empty();
        let request = ProfileRequest { profiles, minor: version.minor(), settings, assignments, only, skip };
        let profile = request.resolve(&|path| files.open(path))?;
        let audit_policy = audit_policy(&profile, root, &files)?;
        told.files = files.opened.into_inner();
        let present = if about_some { present(root, &data_dir)? } else { PresentFiles::default() };
        told.on_foreign = judging.on_foreign.or(earlier.on_foreign);
        told.on_conflict = judging.on_conflict.or(earlier.on_conflict);
        let removed = ArgumentTable::get().removed_plugins.iter().filter(|row| row.from <= version.minor());
        let removed_plugins = removed.map(|row| row.plugin.clone()).collect();
        let placing =
            DropInMerge { existing, on_conflict: told.on_conflict.unwrap_or_default(), removed_plugins };
        let site = NodeSite { role, data_dir, audit_policy, present, placing };
        let retold = recorded.told.as_ref().is_some_and(|earlier| *earlier != told);
        if let Some(id) = recorded.interrupted {
            warnings.push(if is_at_work(root) {
                format!("run {id} is at work here, and what the node is like changes while it is")
            } else {
                format!("run {id} was interrupted: the next apply or rollback undoes or finishes it first, and this is what the node is like until then")
            });
        }
        Ok(Self {
            root,
            profile,
            site,
            version,
            owner,
            told,
            retold,
            earlier: recorded.told,
            recorded: recorded.paths,
            waivers,
            warnings,
        })
    }

    /// Returns what our drop-in asks of K3s, for comparing it with what is there.
    pub(super) fn configuration(&self) -> DropIn {
        document::configuration_of(&self.profile, &self.site)
    }

    /// Tells whether our drop-in on the node has Secrets encrypted.
    pub(super) fn encrypts_now(&self) -> Result<bool> {
        Ok(present(self.root, &self.site.data_dir)?.has_key("secrets-encryption"))
    }

    /// Returns the paths of files of ours that the profile may no longer want: those of its table, and those
    /// that earlier runs wrote for another data directory. A run about some controls says nothing of the others.
    pub(super) fn forgettable(&self) -> Vec<RootedPath> {
        if self.profile.selection != ControlSelection::default() {
            return Vec::new();
        }
        let table = document::paths(&self.site.data_dir).into_iter().map(|(_, path)| path);
        table.chain(self.recorded.iter().cloned()).collect()
    }
}

/// Reads the files of ours that are on the node.
fn present(root: &Root, data_dir: &RootedPath) -> Result<PresentFiles> {
    let read = |(key, path): (&'static str, RootedPath)| match root.look(&path)? {
        PathState::File { bytes, .. } => Ok(Some((key, bytes))),
        _ => Ok(None),
    };
    let files = document::paths(data_dir).into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(PresentFiles::new(files.into_iter().flatten()))
}

/// Returns what was typed, unless it is empty: templates often set variables to nothing.
pub(super) fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

pub(super) fn words(typed: &[String]) -> Vec<String> {
    typed.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// The installer makes an agent of a machine where K3S_URL is set.
fn installers_role() -> Option<Role> {
    std::env::var_os("K3S_URL").is_some_and(|url| !url.is_empty()).then_some(Role::Agent)
}

/// Reads the journals. Who may not read them (a plan without root) goes on without.
pub(super) fn earlier(root: &Root) -> Result<RecordedInputs> {
    match RecordedInputs::read(root) {
        Err(error) if error.kind() == ErrorKind::NotPermitted => {
            info!("{error}: what earlier runs were told is not known");
            Ok(RecordedInputs::default())
        }
        other => other,
    }
}

/// Returns the owner that was named.
pub(super) fn owner(global: &GlobalArguments, root: &Root) -> Result<Option<Owner>> {
    given(global.owner.as_ref()).map(|text| accounts::parse_owner(&text, root)).transpose()
}

/// Refuses, before anything is made, where this process could not make files that belong to `owner`.
pub(super) fn check_rights(global: &GlobalArguments, owner: Owner) -> Result<()> {
    if accounts::may_give_to(owner) {
        return Ok(());
    }
    let own = accounts::own();
    let whose = global.owner.as_ref().map_or_else(|| "root".to_owned(), |_| owner.to_string());
    let message = format!("only root can make files that belong to {whose}");
    Err(Error::new(ErrorKind::NotPermitted, message).hint(match global.owner {
        None => format!("run it as root, or for an image build name the owner: --owner {own}"),
        Some(_) => format!("without root only --owner {own} works, or another group of yours"),
    }))
}

/// The data directory is K3s' own; a flag may name it only where K3s' service and configuration do not.
pub(super) fn data_dir(
    root: &Root,
    told: Option<&str>,
    existing: &ExistingConfig,
    warnings: &mut Vec<String>,
) -> Result<RootedPath> {
    let told: Option<RootedPath> = told
        .map(|text| {
            text.parse().map_err(|error: Error| {
                usage_error(format!("--data-dir: {error}")).hint("write it from the root on")
            })
        })
        .transpose()?;
    let by_service = service_data_dir(root)?.map(|(text, origin)| (text, origin.place()));
    let by_files = || existing.value("data-dir").map(|item| (item.text.clone(), item.place.clone()));
    let own = by_service.filter(|(text, _)| !text.is_empty()).or_else(by_files).map(|(text, place)| {
        // As Go's filepath.Join cleans it.
        let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let clean = if text.starts_with('/') { format!("/{}", parts.join("/")) } else { text };
        clean.parse::<RootedPath>().map_err(|error| error.at(place.clone())).map(|path| (path, place))
    });
    match (told, own.transpose()?) {
        (Some(told), Some((own, place))) if told != own => {
            let message = format!("--data-dir is {told}, and K3s' own data-dir is {own}");
            Err(Error::new(ErrorKind::BadInput, message)
                .at(place)
                .hint("leave --data-dir out: K3s' configuration decides"))
        }
        (_, Some((own, _))) => Ok(own),
        (Some(told), None) => {
            if told.as_str() != DATA_DIR {
                warnings.push(format!("nothing tells K3s that its data directory is {told}: write data-dir: {told} into /etc/rancher/k3s/config.yaml"));
            }
            Ok(told)
        }
        (None, None) => Ok(RootedPath::fixed(DATA_DIR)),
    }
}

/// What is installed counts more than what was told: K3s may have been upgraded since.
fn version(
    global: &GlobalArguments,
    earlier: &RunInputs,
    root: &Root,
    told: &mut RunInputs,
) -> Result<K3sVersion> {
    if let Some(text) = given(global.k3s_version.as_ref()).filter(|text| text != "auto") {
        told.k3s_version = Some(text.clone());
        return text.parse();
    }
    if global.k3s_version.is_none() {
        told.k3s_version.clone_from(&earlier.k3s_version);
    }
    if let Some((version, path)) = k3s::version(root)? {
        info!("K3s {version} is installed at {path}");
        return Ok(version);
    }
    if let Some(text) = &told.k3s_version {
        return text.parse();
    }
    if let Ok(text) = std::env::var("INSTALL_K3S_VERSION") {
        return text.parse().map_err(|error: Error| usage_error(format!("INSTALL_K3S_VERSION: {error}")));
    }
    Err(usage_error("no K3s is installed here, so its version is not known")
        .hint("name the version that will be installed: --k3s-version v1.33.4+k3s1, or just 1.33"))
}

/// Opens the settings file: the one that was named, else the node's own where it has one.
fn settings(
    global: &GlobalArguments,
    earlier: &RunInputs,
    root: &Root,
    files: &NamedFiles,
    told: &mut RunInputs,
) -> Result<Option<SourceText>> {
    if let Some(path) = given(global.settings.as_ref()).or_else(|| earlier.settings.clone()) {
        told.settings = Some(host::absolute(&path));
        return files.open(&path).map(Some);
    }
    let path = RootedPath::fixed(SETTINGS);
    root.read(&path)?.map(|bytes| SourceText::new(root.display(&path), bytes)).transpose()
}

pub(super) fn assignments_typed(global: &GlobalArguments) -> Result<Vec<Assignment>> {
    let variable = std::env::var_os(SET_VARIABLE).unwrap_or_default();
    let variable = variable.to_str().ok_or_else(|| usage_error(format!("{SET_VARIABLE} is not UTF-8")))?;
    let from_variable = variable
        .split([';', '\n'])
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| (text, SET_VARIABLE));
    from_variable
        .chain(global.set.iter().map(|text| (text.as_str(), "--set")))
        .map(|(text, origin)| match text.split_once('=') {
            Some((name, text)) => Ok(Assignment {
                name: name.trim().to_owned(),
                text: text.to_owned(),
                origin: origin.to_owned(),
            }),
            None => Err(usage_error(format!("{origin} {text}: there is no value"))
                .hint("write it as --set audit_log_maxage=90")),
        })
        .collect()
}

/// Returns an assignment for the journal; a path must mean the same to a run from elsewhere.
pub(super) fn remember(one: &Assignment) -> (String, String) {
    let is_path = declarations().get(&one.name).is_some_and(Declaration::is_path)
        && !one.text.is_empty()
        && one.text != "null";
    (one.name.clone(), if is_path { host::absolute(&one.text) } else { one.text.clone() })
}

fn remembered(earlier: &RunInputs) -> Vec<Assignment> {
    let origin = "--set of an earlier run";
    earlier
        .assignments
        .iter()
        .map(|(name, text)| Assignment { name: name.clone(), text: text.clone(), origin: origin.to_owned() })
        .collect()
}

/// Reads and checks the user's own audit policy, from where the setting says: beside the file that names it.
fn audit_policy(profile: &Profile, root: &Root, files: &NamedFiles) -> Result<Option<String>> {
    let Some(resolved) = profile.values.get("audit_policy_file") else { return Ok(None) };
    let Some(path) = resolved.value.as_str() else { return Ok(None) };
    let beside = |file: &str| match file.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => format!("{folder}/{path}"),
        _ => path.to_owned(),
    };
    let own_settings = RootedPath::fixed(SETTINGS);
    let source = match &resolved.origin {
        Origin::Settings(place) if place.file == root.display(&own_settings) => {
            let inside: RootedPath =
                beside(own_settings.as_str()).parse().map_err(|error: Error| error.at(place.clone()))?;
            let bytes = match root.look(&inside)? {
                PathState::Absent => None,
                _ => root.read(&inside)?,
            };
            let bytes = bytes.ok_or_else(|| {
                Error::new(
                    ErrorKind::BadInput,
                    format!("audit_policy_file: there is no {}", root.display(&inside)),
                )
                .at(place.clone())
            })?;
            SourceText::new(root.display(&inside), bytes)?
        }
        Origin::Settings(place) | Origin::Profile(place) => files.open(&beside(&place.file))?,
        Origin::Assignment(_) | Origin::Default => files.open(path)?,
    };
    document::audit::check(&source, profile.minor)?;
    let mut text = source.text().to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(Some(text))
}

/// Opens files that the user names, and remembers their texts: on the node they may not be there.
#[derive(Debug)]
struct NamedFiles {
    remembered: BTreeMap<String, String>,
    opened: RefCell<BTreeMap<String, String>>,
}

impl NamedFiles {
    fn new(earlier: &RunInputs, texts: &BTreeMap<String, String>) -> Self {
        let mut remembered = earlier.files.clone();
        remembered.extend(texts.clone());
        Self { remembered, opened: RefCell::default() }
    }

    fn open(&self, path: &str) -> Result<SourceText> {
        let absolute = host::absolute(path);
        let bytes = match self.remembered.get(&absolute) {
            Some(text) if !host::exists(path) => {
                debug!("{path} is not here: taken as an earlier run read it");
                text.clone().into_bytes()
            }
            _ => host::read_file(path, MAX_SOURCE_BYTES)?,
        };
        let source = SourceText::new(path, bytes)?;
        self.opened.borrow_mut().insert(absolute, source.text().to_owned());
        Ok(source)
    }
}
