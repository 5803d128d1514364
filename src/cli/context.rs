// SPDX-License-Identifier: Apache-2.0
//! One run on one node: the request resolved against what earlier runs recorded and what the node is.
//!
//! Each value comes from the first of these that has one: the command line and the environment, the recorded inputs of
//! the newest run in force, the node itself, the default.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::data_dir;
use super::named_files::NamedFiles;
use super::newer_minor;
use super::own_places;
use super::places::{NodePlaces, check_places};
use super::request::{RunRequest, VersionRequest};
use super::usage::usage_error;
use crate::Role;
use crate::apply::{RecordedInputs, RecordedRun, RunInputs, is_run_in_progress};
use crate::document::{
    self, DropInMerge, KubeletFileValues, PackagedPolicies, PresentEntry, PresentFiles, RenderTarget,
    UsersFiles, encryption_provider,
};
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::flags::ENCRYPTION_KEY;
use crate::k3s::{self, ConfigFile, NodeConfig, kubelet, packaged};
use crate::kubernetes::admission_plugins;
use crate::mode::Owner;
use crate::node::{PathState, Root, RootedPath, accounts};
use crate::plan::OnForeign;
use crate::profile::{ControlSelection, Profile, ProfileRequest, SETTINGS_FILE, SourceText};
use crate::verify::{Waiver, waivers};
use crate::version::{AssumedMinor, K3sVersion};

/// Everything that a verb needs to know of a run.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) root: &'a Root,
    /// The request, with the recorded inputs of earlier runs for what the user did not name.
    pub(super) request: RunRequest,
    /// What this run records.
    pub(super) inputs: RunInputs,
    /// Whether an earlier run recorded other inputs.
    pub(super) inputs_changed: bool,
    pub(super) profile: Profile,
    pub(super) target: RenderTarget,
    /// The node as it is, with the configuration in force on it.
    pub(super) node: NodeConfig<'a>,
    pub(super) version: K3sVersion,
    pub(super) owner: Owner,
    /// What the newest run in force recorded.
    pub(super) recorded: Option<RunInputs>,
    /// That run.
    pub(super) run: Option<RecordedRun>,
    /// The paths that earlier runs wrote.
    pub(super) recorded_paths: BTreeSet<RootedPath>,
    /// The configuration file that K3s reads.
    pub(super) config: ConfigFile,
    /// Why this version does not write what an earlier run took, or why nothing that it writes would be in force.
    refusal: Option<Error>,
    /// The minor of the node and the one that it is taken for, if it is newer than this version knows.
    assumed: Option<AssumedMinor>,
    /// Why K3s's files are where those of k3s-harden are.
    own_place: Option<Error>,
    /// Why it is not known what the newest run was told: who changes something, or plans to, does not go on.
    damage: Option<Error>,
    /// The waivers of the settings file; checked by every verb, and used by `verify` alone.
    pub(super) waivers: Vec<Waiver>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Context<'a> {
    /// Resolves a request, reading only.
    pub(super) fn new(root: &'a Root, request: &RunRequest) -> Result<Self> {
        let context = Self::after(recorded_inputs(root)?, root, request)?;
        context.say_decided();
        Ok(context)
    }

    /// Says what was read and decided, with `--verbose`.
    pub(super) fn say_decided(&self) {
        let Self { root, target, profile, version, .. } = self;
        info!("node: {} at {}, K3s {version}", target.role, root.path().display());
        info!("profile: {}, CIS {}", profile.names.join(" + "), profile.benchmark);
        let settings = self.inputs.settings.as_deref().unwrap_or(SETTINGS_FILE);
        info!("settings file: {settings}");
        info!("K3s configuration: {}, data directory: {}", target.config, target.data_dir);
        for file in self.node.effective.iter().flat_map(|effective| &effective.files) {
            info!("read: {file}");
        }
        if let Some(run) = &self.run {
            info!("options remembered from run {}", run.id);
        }
    }

    /// Resolves a request on a node whose earlier runs recorded `recorded`.
    pub(super) fn after(recorded: RecordedInputs, root: &'a Root, request: &RunRequest) -> Result<Self> {
        let earlier = recorded.inputs.clone().unwrap_or_default();
        let request = request.or_recorded(&earlier);
        let mut warnings = Vec::new();

        let unknown = unknown_input(&recorded, root);
        let version = version(&request, root).map_err(|error| unknown.clone().unwrap_or(error))?;
        let request = request.on_minor(version.minor());
        let assumed = version.minor().assumed();
        warnings.extend(assumed.map(newer_minor::warning));
        let NodePlaces { role, start, config, own_data_dir, existing } =
            NodePlaces::find(root, version.number(), request.role, request.installer.role)?;
        let has_role =
            || request.role.or(request.installer.role).or_else(|| k3s::role(root, &own_data_dir.path));
        if let Some(error) = unknown.filter(|_| has_role().is_none()) {
            return Err(error);
        }
        let own = Some(&own_data_dir).filter(|_| start.hidden_places().is_none());
        let data_dir =
            data_dir::find(request.data_dir.as_deref(), own, &own_data_dir.path, &config, &mut warnings)?;
        let owner = owner(request.owner.as_deref(), root)?.unwrap_or(Owner::ROOT);

        let files = NamedFiles::new(&earlier.files, request.saved.as_ref().map(|saved| &saved.files));
        let settings = files.settings(request.settings.as_deref(), root)?;
        let waivers = settings.as_ref().map(waivers::read).transpose()?.unwrap_or_default();
        let profile = ProfileRequest {
            profiles: request.profiles.clone(),
            minor: version.minor().judged(),
            settings,
            assignments: request.assignments.clone(),
            only: request.only.clone(),
            skip: request.skip.clone().unwrap_or_default(),
        }
        .resolve(&|path| files.open(path))?;
        let audit_policy = files.audit_policy(&profile, root)?;
        let refusal = check(&profile, audit_policy.as_ref(), role, &version).err();
        warnings.extend(encryption_provider::warnings(&profile, role, version.number()));
        let is_named = request.data_dir.is_some();
        let no_place = check_places(&start, &config, &own_data_dir, is_named).err();
        let own_place = own_places::inside_own(&config, &own_data_dir, &data_dir);
        // Only a run about some controls keeps what the files hold for the others.
        let about_some = profile.selection != ControlSelection::default();
        let present = if about_some {
            let present = present(root, &config.path_or_default(), &data_dir)?;
            document::present_on_minor(present, profile.minor)
        } else {
            PresentFiles::default()
        };
        let node = NodeConfig::of_start(root, start, &data_dir);
        let users = match request.renders {
            true => UsersFiles::read(
                root,
                &node,
                (&config.path_or_default(), &data_dir),
                &existing,
                request.on_foreign.unwrap_or_default() == OnForeign::Merge,
                request.on_conflict,
            )?,
            false => UsersFiles::default(),
        };
        let drop_in_merge = DropInMerge {
            kubelet_files: KubeletFileValues::read(&node, &existing),
            existing,
            command_line: document::command_line(&node),
            on_conflict: request.on_conflict.unwrap_or_default(),
            kubelet_takes_pairs: kubelet::takes_pairs(version.minor()),
            removed_plugins: admission_plugins::removed(version.minor()).map(str::to_owned).collect(),
        };
        let packaged = packaged_policies(&node)?;
        let target = RenderTarget {
            role,
            config: config.path_or_default(),
            running: node.running().into_owned(),
            data_dir,
            audit_policy: audit_policy.as_ref().map(with_final_newline),
            present,
            packaged,
            users,
            drop_in_merge,
        };

        let inputs = request.saved.clone().unwrap_or_else(|| request.inputs(files.into_texts()));
        // What an earlier run took is on the node: a verb that only reads has to go on.
        let refusal = match refusal {
            Some(error)
                if !recorded.inputs.as_ref().is_some_and(|earlier| earlier.sets_the_same(&inputs)) =>
            {
                return Err(error);
            }
            other => other.or(no_place).or_else(|| own_place.clone()),
        };
        let damage = recorded.check_newest(root).err();
        let inputs_changed = recorded.inputs.as_ref().is_some_and(|earlier| *earlier != inputs);
        warnings.extend(recorded.interrupted.map(|id| interrupted(root, id)));
        Ok(Self {
            root,
            request,
            inputs,
            inputs_changed,
            profile,
            target,
            node,
            version,
            owner,
            recorded: recorded.inputs,
            run: recorded.run,
            recorded_paths: recorded.paths,
            config,
            refusal,
            assumed,
            own_place,
            damage,
            waivers,
            warnings,
        })
    }

    /// Refuses inputs that an earlier version took, and a minor that is newer than this version knows if nobody said what it is
    /// taken for, before anything is made of them.
    pub(super) fn check_inputs(&self) -> Result<()> {
        newer_minor::check(self.assumed, self.request.assume_minor)?;
        self.refusal.clone().map_or(Ok(()), Err)
    }

    /// Refuses to plan a change where the newest run is damaged: what it was told, and what it wrote, is not known.
    pub(super) fn check_history(&self) -> Result<()> {
        self.damage.clone().map_or(Ok(()), Err)
    }

    /// Warns, for a verb that only reads, that the minor is newer than this version knows, and that K3s's files are where
    /// `apply` refuses them.
    pub(super) fn warn_of_refusals(&self) {
        if let Some(assumed) = self.assumed {
            warn!("{}", newer_minor::warning(assumed));
        }
        if let Some(error) = &self.own_place {
            warn!("{error}; apply refuses this; this command continues");
        }
    }

    /// Tells whether the drop-in on the node turns the encryption of Secrets on.
    pub(super) fn encrypts_now(&self) -> Result<bool> {
        Ok(present(self.root, &self.target.config, &self.target.data_dir)?.has_key(ENCRYPTION_KEY))
    }

    /// Returns the controls that `request` skips, or that the newest run was told to skip if it says nothing of them.
    pub(super) fn recorded_skip(&self, request: &RunRequest) -> Vec<String> {
        let recorded = || self.recorded.as_ref().map(|inputs| inputs.skip.clone());
        request.skip.clone().or_else(recorded).unwrap_or_default()
    }

    /// Returns the profile that was in force before this run: what the newest run recorded, on the minor that it was about. None if
    /// there is no such run, or if it can no longer be read.
    pub(super) fn earlier_profile(&self) -> Option<Profile> {
        let (inputs, run) = (self.recorded.as_ref()?, self.run.as_ref()?);
        let request = self.request.of_recorded(inputs);
        let files = NamedFiles::new(&inputs.files, None);
        let settings = files.settings(request.settings.as_deref(), self.root).ok()?;
        let profile = ProfileRequest {
            profiles: request.profiles,
            minor: run.about.kubernetes.judged(),
            settings,
            assignments: request.assignments,
            only: Vec::new(),
            skip: Vec::new(),
        };
        profile.resolve(&|path| files.open(path)).ok()
    }

    /// Returns the paths of files of k3s-harden that the profile may no longer have: those of the table of files, and those
    /// that earlier runs wrote for another data directory or beside another configuration file. A run about some controls
    /// leaves files that hold anything else.
    pub(super) fn removal_candidates(&self) -> Result<Vec<RootedPath>> {
        let table = document::paths(&self.target.config, &self.target.data_dir);
        let table = table.into_iter().map(|(_, path)| path);
        let mut candidates: Vec<RootedPath> = table.chain(self.recorded_paths.iter().cloned()).collect();
        candidates.retain(|path| !document::is_users(path));
        let selection = &self.profile.selection;
        if *selection != ControlSelection::default() {
            // No setting gives the node such a file: its minor or its role is another one now.
            let is_possible =
                |path: &RootedPath| document::is_possible(path, self.profile.minor, &self.target);
            let mut covered = BTreeSet::new();
            for path in &candidates {
                if let PathState::File { bytes, .. } = self.root.look(path)?
                    && (document::is_covered(selection, path, &bytes) || !is_possible(path))
                {
                    covered.insert(path.clone());
                }
            }
            candidates.retain(|path| covered.contains(path));
        }
        Ok(candidates)
    }
}

/// Checks the cipher suites of the profile, whether the release starts with what it asks for, and the user's audit policy.
fn check(
    profile: &Profile,
    audit_policy: Option<&SourceText>,
    role: Role,
    version: &K3sVersion,
) -> Result<()> {
    document::cipher_suites::check(profile)?;
    document::check_admission(profile)?;
    document::check_ingress_controller(profile)?;
    encryption_provider::check(profile, role, version.number())?;
    // An agent has no API server.
    if role == Role::Server {
        document::anonymous_health::check(profile, version.number())?;
    }
    audit_policy.map_or(Ok(()), |source| document::audit::check(source, profile.minor))
}

/// Returns the text of a file; its last line ends with a line break.
fn with_final_newline(source: &SourceText) -> String {
    let mut text = source.text().to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Reads the inputs of earlier runs. A user who may not read them (a plan without root) goes on without, if everything
/// that is needed is named or found elsewhere.
pub(super) fn recorded_inputs(root: &Root) -> Result<RecordedInputs> {
    match RecordedInputs::read(root) {
        Err(error) if error.kind() == ErrorKind::NotPermitted => {
            warn!("{error}: the options of earlier runs are unknown");
            Ok(RecordedInputs { hidden: Some(error), ..RecordedInputs::default() })
        }
        other => other.inspect(|recorded| {
            for damage in &recorded.damage {
                warn!("{}", damage.warning(root));
            }
        }),
    }
}

/// Returns why it is not known what the newest run was told: it must be named then, or found elsewhere. None if it is known.
fn unknown_input(recorded: &RecordedInputs, root: &Root) -> Option<Error> {
    let hint = "read-only verbs continue if you pass --k3s-version and --role";
    let hidden = recorded.hidden.clone().map(|error| error.hint("run it as root"));
    Some(hidden.or_else(|| recorded.check_newest(root).err())?.hint(hint))
}

/// What to do where only root may go on.
pub(super) const AS_ROOT: &str = "run it as root, for example with sudo";

/// Returns the owner that `--owner` names.
pub(super) fn owner(named: Option<&str>, root: &Root) -> Result<Option<Owner>> {
    named.map(|text| accounts::parse_owner(text, root)).transpose()
}

/// Refuses, before anything is made, if this process cannot create files that belong to `owner`. `named` tells
/// whether the user named that owner.
pub(super) fn check_rights(root: &Root, named: bool, owner: Owner) -> Result<()> {
    if accounts::may_give_to(owner) {
        return Ok(());
    }
    let own = accounts::own();
    let whose = if named { owner.to_string() } else { "root".to_owned() };
    let message = format!("only root can create files owned by {whose}");
    let error = Error::new(ErrorKind::NotPermitted, message);
    Err(match (named, root.is_live()) {
        (false, true) => error.hint(AS_ROOT),
        (false, false) => {
            error.hint(format!("{AS_ROOT}, or set the owner of the image's files: --owner {own}"))
        }
        (true, _) => error.hint(format!("without root, use --owner {own} or one of your own groups")),
    })
}

/// Reads the files of k3s-harden that are on the node.
fn present(root: &Root, config: &RootedPath, data_dir: &RootedPath) -> Result<PresentFiles> {
    let read = |(key, path): (&'static str, RootedPath)| match root.look(&path)? {
        PathState::File { bytes, .. } => Ok(Some((key, bytes))),
        _ => Ok(None),
    };
    let files = document::paths(config, data_dir).into_iter().map(read).collect::<Result<Vec<_>>>()?;
    let present = PresentFiles::new(files.into_iter().flatten());
    // The drop-in may still name the admission configuration of another data directory.
    let named = present.argument("kube-apiserver", "admission-control-config-file").map(PresentEntry::text);
    let named = named.filter(|_| !present.has_document("psa")).and_then(|path| path.parse().ok());
    match named.map(|path: RootedPath| root.look(&path)).transpose()? {
        Some(PathState::File { bytes, .. }) => Ok(present.with_admission_plugins_of(&bytes)),
        _ => Ok(present),
    }
}

/// Returns what decides over the policies for K3s's packaged components.
fn packaged_policies(node: &NodeConfig<'_>) -> Result<PackagedPolicies> {
    let off = packaged::switched_off(node);
    if off.is_empty() {
        return Ok(PackagedPolicies::default());
    }
    let places = document::paths(&node.config.path_or_default(), &node.data_dir);
    let place = places.into_iter().find(|(key, _)| *key == "policy");
    let policy = match place.map(|(_, path)| node.root.look(&path)).transpose()? {
        Some(PathState::File { bytes, .. }) => Some(bytes),
        _ => None,
    };
    Ok(PackagedPolicies::new(off, policy))
}

fn version(request: &RunRequest, root: &Root) -> Result<K3sVersion> {
    if let VersionRequest::Named(text) = &request.version {
        return text.parse();
    }
    if let Some((version, path)) = k3s::version(root)? {
        info!("K3s {version} is installed at {path}");
        return Ok(version);
    }
    if let VersionRequest::Recorded(text) = &request.version {
        return text.parse();
    }
    if let Some(text) = &request.installer.version {
        return text.parse().map_err(|error: Error| usage_error(format!("INSTALL_K3S_VERSION: {error}")));
    }
    Err(usage_error("K3s is not installed here: its version is unknown")
        .hint("pass the version that you will install: --k3s-version v1.33.4+k3s1, or just 1.33"))
}

/// Says that a run has not ended.
fn interrupted(root: &Root, id: u32) -> String {
    if is_run_in_progress(root) {
        format!("run {id} is in progress: the state of the node may change while you read this")
    } else {
        format!(
            "run {id} was interrupted: the next apply or rollback first completes it or rolls it back. Until then, the node is in the state shown here"
        )
    }
}
