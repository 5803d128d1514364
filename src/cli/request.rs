// SPDX-License-Identifier: Apache-2.0
//! The request of one run: what the arguments and the environment mean, read once.
//!
//! A verb never looks at the raw arguments of a run. [`RunRequest::from_arguments`] drops empty values, interprets `auto` and
//! `none`, and reads the variables of K3s's installer. [`RunRequest::or_recorded`] adds what earlier runs recorded, and
//! [`RunRequest::inputs`] is what this run records.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tracing::info;

use super::args::{Cli, CliVerb, GlobalArguments, PlanningArguments, SET_VARIABLE};
use super::newer_minor::{self, ASSUME};
use super::usage::usage_error;
use crate::Role;
use crate::apply::RunInputs;
use crate::document::OnConflict;
use crate::error::Result;
use crate::node::host;
use crate::plan::OnForeign;
use crate::profile::{Assignment, Declaration, declarations};
use crate::version::KubernetesMinor;

/// The profile of a run that names none.
pub(super) const DEFAULT_PROFILE: &str = "cis";
/// The word of `--skip` that ends the skipping of earlier runs.
const SKIP_NOTHING: &str = "none";
/// The word of `--k3s-version` that ends the version of earlier runs.
const DETECT_VERSION: &str = "auto";

/// Where a setting comes from that an earlier run was told.
pub(super) const RECORDED: &str = "--set of an earlier run";

/// Which K3s version a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VersionRequest {
    /// The user named none.
    Unnamed,
    /// `auto`: whatever earlier runs recorded, the node decides.
    Detect,
    /// The user named it: it counts more than what is installed.
    Named(String),
    /// An earlier run recorded it: what is installed counts more, because K3s may have been upgraded since.
    Recorded(String),
}

/// What K3s's installer is going to do, by its variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InstallerVariables {
    /// `INSTALL_K3S_VERSION`.
    pub(super) version: Option<String>,
    /// An agent if `K3S_URL` is set.
    pub(super) role: Option<Role>,
}

/// What the user asks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunRequest {
    /// `--root`.
    pub(super) root: PathBuf,
    /// `--profile`, in order; empty for none.
    pub(super) profiles: Vec<String>,
    /// `--k3s-version`.
    pub(super) version: VersionRequest,
    /// `--role`.
    pub(super) role: Option<Role>,
    /// `K3S_HARDEN_SET` and `--set`, in order.
    pub(super) assignments: Vec<Assignment>,
    /// `--settings`, as it was typed.
    pub(super) settings: Option<String>,
    /// `--only`.
    pub(super) only: Vec<String>,
    /// `--skip`; an empty list for `none`.
    pub(super) skip: Option<Vec<String>>,
    /// `--owner`.
    pub(super) owner: Option<String>,
    /// `--data-dir`.
    pub(super) data_dir: Option<String>,
    /// `--assume-minor`.
    pub(super) assume_minor: Option<KubernetesMinor>,
    /// `--on-foreign`.
    pub(super) on_foreign: Option<OnForeign>,
    /// `--on-conflict`.
    pub(super) on_conflict: Option<OnConflict>,
    /// Whether the verb renders what the node gets: what of the user's is united with it is read then.
    pub(super) renders: bool,
    /// Whether a node may go back to an older minor than K3s has started with.
    pub(super) allow_downgrade: bool,
    /// Whether the encryption of Secrets is turned on where K3s has started without it.
    pub(super) late_encryption: bool,
    /// Whether the running kernel's parameters are set too.
    pub(super) live_sysctl: bool,
    /// Whether what is replaced is kept: not with `--no-history`.
    pub(super) keeps_history: bool,
    /// The variables of K3s's installer.
    pub(super) installer: InstallerVariables,
    /// What a saved plan records, if the run carries one out.
    pub(super) saved: Option<RunInputs>,
}

impl RunRequest {
    /// Reads the arguments and the environment.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for an assignment without a value.
    pub(super) fn from_arguments(cli: &Cli) -> Result<Self> {
        let (planning, no_live_sysctl) = match &cli.verb {
            CliVerb::Plan(arguments) => (arguments.planning.clone(), arguments.no_live_sysctl),
            CliVerb::Apply(arguments) => (arguments.planning.clone(), arguments.no_live_sysctl),
            CliVerb::Render(arguments) => (PlanningArguments::default(), arguments.no_live_sysctl),
            _ => (PlanningArguments::default(), false),
        };
        let global = &cli.global;
        let skip = Some(words(&global.skip)).filter(|words| !words.is_empty());
        Ok(Self {
            root: global.root.clone(),
            profiles: words(&global.profile),
            version: version(global),
            role: global.role,
            assignments: assignments(global)?,
            settings: given(global.settings.as_ref()),
            only: words(&global.only),
            skip: skip.map(|words| words.into_iter().filter(|word| word != SKIP_NOTHING).collect()),
            owner: given(global.owner.as_ref()),
            data_dir: given(global.data_dir.as_ref()),
            assume_minor: given(global.assume_minor.as_ref())
                .map(|text| newer_minor::parse(&text))
                .transpose()?,
            on_foreign: planning.on_foreign,
            on_conflict: planning.on_conflict,
            renders: matches!(&cli.verb, CliVerb::Plan(_) | CliVerb::Apply(_) | CliVerb::Explain(_)),
            allow_downgrade: planning.allow_downgrade,
            late_encryption: planning.late_encryption,
            live_sysctl: !no_live_sysctl,
            keeps_history: !matches!(&cli.verb, CliVerb::Apply(arguments) if arguments.no_history),
            installer: InstallerVariables::read(),
            saved: None,
        })
    }

    /// Returns the same request for all controls: for verbs that select controls from the result.
    pub(super) fn about_all_controls(&self) -> Self {
        Self { only: Vec::new(), skip: Some(Vec::new()), ..self.clone() }
    }

    /// Returns the request for a node of a minor that this version knows, or does not: nobody stands for a known one.
    pub(super) fn on_minor(self, minor: KubernetesMinor) -> Self {
        let assume_minor = self.assume_minor.filter(|_| minor.is_newer_than_known());
        if let (Some(told), None) = (self.assume_minor, assume_minor) {
            info!("{ASSUME} {told} is not needed: {minor} is known");
        }
        Self { assume_minor, ..self }
    }

    /// Returns the request with what earlier runs recorded for everything that the user did not name.
    pub(super) fn or_recorded(&self, recorded: &RunInputs) -> Self {
        let mut request = self.clone();
        if request.profiles.is_empty() {
            request.profiles.clone_from(&recorded.profiles);
        }
        if request.profiles.is_empty() {
            request.profiles.push(DEFAULT_PROFILE.to_owned());
        }
        if let (VersionRequest::Unnamed, Some(text)) = (&request.version, &recorded.k3s_version) {
            request.version = VersionRequest::Recorded(text.clone());
        }
        // Each setting keeps its recorded value until it is named again; `--set name=` and `name=null` take it back.
        let is_named = |name: &String| self.assignments.iter().any(|named| named.name == *name);
        let kept = recorded.assignments.iter().filter(|(name, _)| !is_named(name));
        let kept = kept.map(|(name, text)| Assignment {
            name: name.clone(),
            text: text.clone(),
            origin: RECORDED.to_owned(),
        });
        request.assignments = kept.chain(self.assignments.iter().cloned()).collect();
        request.role = request.role.or(recorded.role);
        request.settings = request.settings.or_else(|| recorded.settings.clone());
        // What a run is only about is not skipped because an earlier run was told so.
        let skip = recorded.skip.iter().filter(|word| !self.only.contains(word));
        request.skip = request.skip.or_else(|| Some(skip.cloned().collect()));
        request.data_dir = request.data_dir.or_else(|| recorded.data_dir.clone());
        request.assume_minor = request.assume_minor.or(recorded.assume_minor);
        request.on_foreign = request.on_foreign.or(recorded.on_foreign);
        request.on_conflict = request.on_conflict.or(recorded.on_conflict);
        request
    }

    /// Returns the request that a run was which recorded `inputs`, as far as they tell.
    pub(super) fn of_recorded(&self, inputs: &RunInputs) -> Self {
        let nothing = Self {
            profiles: Vec::new(),
            version: VersionRequest::Detect,
            role: None,
            assignments: Vec::new(),
            settings: None,
            skip: None,
            data_dir: None,
            ..self.clone()
        };
        nothing.or_recorded(inputs)
    }

    /// Returns what the run records; `files` are the texts of the files that the request names, by absolute path.
    pub(super) fn inputs(&self, files: BTreeMap<String, String>) -> RunInputs {
        let absolute = |name: &String| if name.contains('/') { host::absolute(name) } else { name.clone() };
        RunInputs {
            profiles: self.profiles.iter().map(absolute).collect(),
            k3s_version: match &self.version {
                VersionRequest::Named(text) | VersionRequest::Recorded(text) => Some(text.clone()),
                VersionRequest::Unnamed | VersionRequest::Detect => None,
            },
            role: self.role,
            assignments: Assignment::in_force(&self.assignments)
                .into_iter()
                .map(recorded_assignment)
                .collect(),
            settings: self.settings.as_deref().map(host::absolute),
            skip: self.skip.clone().unwrap_or_default(),
            assume_minor: self.assume_minor,
            on_foreign: self.on_foreign,
            on_conflict: self.on_conflict,
            data_dir: self.data_dir.clone(),
            files,
        }
    }
}

impl InstallerVariables {
    fn read() -> Self {
        let is_agent = std::env::var_os("K3S_URL").is_some_and(|url| !url.is_empty());
        Self { version: std::env::var("INSTALL_K3S_VERSION").ok(), role: is_agent.then_some(Role::Agent) }
    }
}

/// Returns a value unless it is empty: templates often set variables to nothing.
pub(super) fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

/// Returns the words of a list, without those that are empty.
pub(super) fn words(typed: &[String]) -> Vec<String> {
    typed.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn version(global: &GlobalArguments) -> VersionRequest {
    match global.k3s_version.as_deref() {
        None => VersionRequest::Unnamed,
        Some("" | DETECT_VERSION) => VersionRequest::Detect,
        Some(text) => VersionRequest::Named(text.to_owned()),
    }
}

fn assignments(global: &GlobalArguments) -> Result<Vec<Assignment>> {
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
            None => Err(usage_error(format!("{origin} {text} has no value"))
                .hint("write it as --set audit_log_maxage=90")),
        })
        .collect()
}

/// Returns an assignment as it is recorded: a path must mean the same to a run from another directory.
pub(super) fn recorded_assignment(one: &Assignment) -> (String, String) {
    let is_path = declarations().get(&one.name).is_some_and(Declaration::is_path);
    (one.name.clone(), if is_path { host::absolute(&one.text) } else { one.text.clone() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn request(arguments: &[&str]) -> RunRequest {
        let arguments = ["k3s-harden", "plan"].iter().chain(arguments);
        RunRequest::from_arguments(&Cli::try_parse_from(arguments).unwrap()).unwrap()
    }

    fn recorded() -> RunInputs {
        request(&[
            "--profile",
            "strict",
            "--k3s-version",
            "1.30",
            "--set",
            "a=1",
            "--set",
            "b=2",
            "--skip",
            "5.2",
        ])
        .inputs(BTreeMap::new())
    }

    #[test]
    fn a_run_keeps_the_inputs_of_earlier_runs() {
        let inputs = request(&[]).or_recorded(&recorded()).inputs(BTreeMap::new());
        assert_eq!(inputs, recorded());
        let first = request(&[]).or_recorded(&RunInputs::default());
        assert_eq!(first.profiles, [DEFAULT_PROFILE]);
        assert_eq!((first.version, first.skip), (VersionRequest::Unnamed, Some(Vec::new())));
    }

    #[test]
    fn named_values_replace_recorded_ones() {
        let named = [
            "--profile",
            "cis-1.12,./site.yaml",
            "--set",
            "b=3",
            "--set",
            "c=4",
            "--skip",
            "none",
            "--k3s-version",
            "auto",
        ];
        let request = request(&named).or_recorded(&recorded());
        let texts: Vec<_> =
            request.assignments.iter().map(|one| (&*one.name, &*one.text, &*one.origin)).collect();
        assert_eq!(texts, [("a", "1", "--set of an earlier run"), ("b", "3", "--set"), ("c", "4", "--set")]);
        assert_eq!((&request.version, &request.skip), (&VersionRequest::Detect, &Some(Vec::new())));
        let inputs = request.inputs(BTreeMap::new());
        assert_eq!((inputs.k3s_version, inputs.skip), (None, Vec::new()));
        assert_eq!(inputs.profiles, ["cis-1.12".to_owned(), host::absolute("./site.yaml")]);
    }

    #[test]
    fn a_recorded_version_is_told_from_a_named_one() {
        let recorded = recorded();
        assert_eq!(request(&[]).or_recorded(&recorded).version, VersionRequest::Recorded("1.30".to_owned()));
        let named = request(&["--k3s-version", "1.31"]).or_recorded(&recorded);
        assert_eq!(named.version, VersionRequest::Named("1.31".to_owned()));
    }

    #[test]
    fn empty_values_are_no_values() {
        let empty =
            request(&["--profile", " ,", "--skip", "", "--settings", "", "--data-dir", "", "--owner", ""]);
        assert_eq!(empty, request(&[]));
        assert_eq!(request(&["--k3s-version", ""]).version, VersionRequest::Detect);
    }
}
