//! From what was typed to what it means: the root, the version, the role, and the resolved profile.
//!
//! Each answer is looked for in the same order: the command line, what an earlier run on this root was told,
//! the node itself, the default.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tracing::{debug, info};

use super::args::{Global, SET_VARIABLE};
use super::usage_error;
use crate::Role;
use crate::apply::{Told, recorded};
use crate::document::{self, Configuration, DROP_IN, Site};
use crate::error::{Error, Kind, Result};
use crate::k3s::Existing;
use crate::node::{Node, Owner, Root, RootedPath, accounts, host, k3s};
use crate::profile::{Assignment, K3sVersion, MAX_SOURCE_BYTES, Origin, Profile, Request, Source};

const DATA_DIR: &str = "/var/lib/rancher/k3s";
const SETTINGS: &str = "/etc/k3s-harden/settings.yaml";

/// Everything that the verbs need.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) root: Root,
    pub(super) profile: Profile,
    pub(super) site: Site,
    pub(super) version: K3sVersion,
    pub(super) owner: Owner,
    pub(super) existing: Existing,
    pub(super) told: Told,
    pub(super) recorded: BTreeSet<RootedPath>,
    pub(super) warnings: Vec<String>,
}

impl Context {
    /// Finds out everything, reading only.
    pub(super) fn new(global: &Global) -> Result<Self> {
        let root = Root::open(&global.root)?;
        let (earlier, recorded) = earlier(&root)?;
        let earlier = earlier.unwrap_or_default();
        let mut told = Told::default();
        let mut warnings = Vec::new();

        let existing = Existing::read(&root, &RootedPath::fixed(DROP_IN))?;
        told.data_dir = global.data_dir.clone().or_else(|| earlier.data_dir.clone());
        let data_dir = data_dir(told.data_dir.as_deref(), &existing, &mut warnings)?;
        let version = version(global, &earlier, &root, &mut told)?;
        told.role = global.role.or(earlier.role);
        // What was guessed is guessed again: an agent may be installed where nothing was.
        let role = told.role.or_else(|| k3s::role(&root)).unwrap_or(Role::Server);
        let owner =
            global.owner.as_deref().map_or(Ok(Owner::ROOT), |text| accounts::parse_owner(text, &root))?;

        let files = Files::new(&earlier);
        let settings = settings(global, &earlier, &root, &files, &mut told)?;
        let typed = assignments(global)?;
        let assignments = if typed.is_empty() { remembered(&earlier) } else { typed };
        told.assignments = assignments.iter().map(|one| (one.name.clone(), one.text.clone())).collect();
        told.profiles = match (global.profile.is_empty(), earlier.profiles.is_empty()) {
            (false, _) => global.profile.clone(),
            (true, false) => earlier.profiles.clone(),
            (true, true) => vec!["cis".to_owned()],
        };
        let request = Request {
            profiles: told.profiles.clone(),
            minor: version.minor(),
            settings,
            assignments,
            only: global.only.clone(),
            skip: global.skip.clone(),
        };
        let profile = request.resolve(&|path| files.open(path))?;
        let audit_policy = audit_policy(&profile, &root, &files)?;
        told.files = files.opened.into_inner();
        let site = Site { role, data_dir, audit_policy };
        Ok(Self { root, profile, site, version, owner, existing, told, recorded, warnings })
    }

    /// Returns what our drop-in asks of K3s, for comparing it with what is there.
    pub(super) fn configuration(&self) -> Configuration {
        let documents = [("audit", Vec::new()), ("psa", Vec::new())];
        document::configuration(&self.profile, self.site.role, &self.site.data_dir, &documents)
    }

    /// Returns the paths of files of ours that the profile may no longer want. A run about some controls only
    /// says nothing of the files of the others.
    pub(super) fn forgettable(&self, global: &Global) -> Vec<RootedPath> {
        if global.only.is_empty() && global.skip.is_empty() {
            document::paths(&self.site.data_dir)
        } else {
            Vec::new()
        }
    }
}

/// Reads the journals. Who may not read them (a plan without root) goes on without.
fn earlier(root: &Root) -> Result<(Option<Told>, BTreeSet<RootedPath>)> {
    match recorded(root) {
        Err(error) if error.kind() == Kind::NotPermitted => {
            info!("{error}: what earlier runs were told is not known");
            Ok((None, BTreeSet::new()))
        }
        other => other,
    }
}

/// The data directory is K3s' own; a flag may name it only where K3s' configuration does not.
fn data_dir(told: Option<&str>, existing: &Existing, warnings: &mut Vec<String>) -> Result<RootedPath> {
    let told: Option<RootedPath> = told
        .map(|text| {
            text.parse().map_err(|error: Error| {
                usage_error(format!("--data-dir: {error}")).hint("write it from the root on")
            })
        })
        .transpose()?;
    match (told, existing.value("data-dir")) {
        (Some(told), Some((value, place))) if told.as_str() != value.trim_end_matches('/') => {
            let message = format!("--data-dir is {told}, and K3s' own data-dir is {value}");
            Err(Error::new(Kind::BadInput, message)
                .at(place.clone())
                .hint("leave --data-dir out: K3s' configuration decides"))
        }
        (_, Some((value, place))) => value.parse().map_err(|error: Error| error.at(place.clone())),
        (Some(told), None) => {
            if told.as_str() != DATA_DIR {
                warnings.push(format!("nothing tells K3s that its data directory is {told}: write data-dir: {told} into /etc/rancher/k3s/config.yaml"));
            }
            Ok(told)
        }
        (None, None) => Ok(RootedPath::fixed(DATA_DIR)),
    }
}

fn version(global: &Global, earlier: &Told, root: &Root, told: &mut Told) -> Result<K3sVersion> {
    let named = match global.k3s_version.as_deref() {
        Some("auto") => None,
        Some(text) => Some(text.to_owned()),
        None => earlier.k3s_version.clone(),
    };
    if let Some(text) = named {
        told.k3s_version = Some(text.clone());
        return text.parse();
    }
    if let Some((version, path)) = k3s::version(root)? {
        info!("K3s {version} is installed at {path}");
        return Ok(version);
    }
    if let Ok(text) = std::env::var("INSTALL_K3S_VERSION") {
        return text.parse().map_err(|error: Error| usage_error(format!("INSTALL_K3S_VERSION: {error}")));
    }
    Err(usage_error("no K3s is installed here, so its version is not known")
        .hint("name the version that will be installed: --k3s-version v1.33.4+k3s1, or just 1.33"))
}

/// Opens the settings file: the one that was named, else the node's own where it has one.
fn settings(
    global: &Global,
    earlier: &Told,
    root: &Root,
    files: &Files,
    told: &mut Told,
) -> Result<Option<Source>> {
    told.settings = global.settings.clone().or_else(|| earlier.settings.clone());
    if let Some(path) = &told.settings {
        return files.open(path).map(Some);
    }
    let path = RootedPath::fixed(SETTINGS);
    root.read(&path)?.map(|bytes| Source::new(root.display(&path), bytes)).transpose()
}

fn assignments(global: &Global) -> Result<Vec<Assignment>> {
    let variable = std::env::var(SET_VARIABLE).unwrap_or_default();
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

fn remembered(earlier: &Told) -> Vec<Assignment> {
    let origin = "--set of an earlier run";
    earlier
        .assignments
        .iter()
        .map(|(name, text)| Assignment { name: name.clone(), text: text.clone(), origin: origin.to_owned() })
        .collect()
}

/// Reads and checks the user's own audit policy, from where the setting says: beside the file that names it.
fn audit_policy(profile: &Profile, root: &Root, files: &Files) -> Result<Option<String>> {
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
                Node::Absent => None,
                _ => root.read(&inside)?,
            };
            let bytes = bytes.ok_or_else(|| {
                Error::new(
                    Kind::BadInput,
                    format!("audit_policy_file: there is no {}", root.display(&inside)),
                )
                .at(place.clone())
            })?;
            Source::new(root.display(&inside), bytes)?
        }
        Origin::Settings(place) | Origin::Profile(place) => files.open(&beside(&place.file))?,
        Origin::Assignment(_) | Origin::Default => files.open(path)?,
    };
    document::audit::check(&source)?;
    let mut text = source.text().to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(Some(text))
}

/// Opens files that the user names, and remembers their texts: on the node they may not be there.
#[derive(Debug)]
struct Files {
    remembered: BTreeMap<String, String>,
    opened: RefCell<BTreeMap<String, String>>,
}

impl Files {
    fn new(earlier: &Told) -> Self {
        Self { remembered: earlier.files.clone(), opened: RefCell::default() }
    }

    fn open(&self, path: &str) -> Result<Source> {
        let bytes = match (host::read_file(path, MAX_SOURCE_BYTES), self.remembered.get(path)) {
            (Err(error), Some(text)) => {
                debug!("{error}: taken as an earlier run read it");
                text.clone().into_bytes()
            }
            (read, _) => read?,
        };
        let source = Source::new(path, bytes)?;
        self.opened.borrow_mut().insert(path.to_owned(), source.text().to_owned());
        Ok(source)
    }
}
