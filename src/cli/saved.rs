//! A saved plan: what was typed and told when it was made, and what it would do to which state.
//!
//! `apply FILE` makes the plan anew from the same words and does it only if it is the same to the byte. So nothing
//! is done that the file does not say, and nothing to a node that is no longer what was planned against.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::{ApplyArguments, BenchmarkArguments, GlobalArguments};
use super::context::{Context, assignments_typed, given, remember, words};
use super::usage_error;
use crate::Role;
use crate::apply::RunInputs;
use crate::document::OnConflict;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{MAX_FILE_BYTES, PathState, host};
use crate::plan::{Action, CurrentState, OnForeign, Plan};

const FORMAT_VERSION: &str = "1.0";

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    pub(super) told: RunInputs,
    k3s_version: String,
    role: Role,
    only: Vec<String>,
    owner: Option<String>,
    pub(super) no_live_sysctl: bool,
    on_foreign: OnForeign,
    on_conflict: OnConflict,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPlan {
    format_version: String,
    tool: String,
    pub(super) inputs: Inputs,
    actions: Vec<Value>,
}

impl Inputs {
    pub(super) fn new(context: &Context<'_>, global: &GlobalArguments, no_live_sysctl: bool) -> Self {
        Self {
            told: context.told.clone(),
            k3s_version: context.version.to_string(),
            role: context.site.role,
            only: global.only.clone(),
            owner: global.owner.clone(),
            no_live_sysctl,
            on_foreign: context.told.on_foreign.unwrap_or_default(),
            on_conflict: context.told.on_conflict.unwrap_or_default(),
        }
    }
}

impl SavedPlan {
    pub(super) fn new(plan: &Plan, inputs: Inputs) -> Self {
        let actions = plan.actions.iter().map(describe).collect();
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            inputs,
            actions,
        }
    }

    pub(super) fn read(path: &str) -> Result<Self> {
        let bytes = host::read_file(path, MAX_FILE_BYTES)?;
        let bad = |why: String| {
            Error::new(ErrorKind::BadInput, format!("{path} is not a saved plan: {why}"))
                .hint("make one with k3s-harden plan --out FILE")
        };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(bad(format!("it is larger than {MAX_FILE_BYTES} bytes")));
        }
        let saved: Self = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if !saved.format_version.starts_with("1.") {
            return Err(bad(format!("its format is {}", saved.format_version)));
        }
        Ok(saved)
    }

    pub(super) fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(ErrorKind::Failed, error.to_string()))?;
        if text.len() >= MAX_FILE_BYTES {
            let message =
                format!("the plan would be larger than {MAX_FILE_BYTES} bytes, and could not be read again");
            return Err(Error::new(ErrorKind::CannotWrite, message).hint("apply it without saving it"));
        }
        Ok(text + "\n")
    }

    /// Returns the words that give the same plan, refusing others beside them. What says the same, as the
    /// environment in which the plan was made does, is no other word.
    pub(super) fn words(
        &self,
        global: &GlobalArguments,
        arguments: &ApplyArguments,
    ) -> Result<(GlobalArguments, BenchmarkArguments)> {
        let Inputs { told, only, .. } = &self.inputs;
        let judging = &arguments.judging;
        let set: Vec<String> = told.assignments.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let typed_set: Vec<(String, String)> = assignments_typed(global)?.iter().map(remember).collect();
        let differs = |typed: &[String], saved: &[String]| {
            let typed = words(typed);
            !typed.is_empty() && typed != words(saved)
        };
        let differs_from = |typed: Option<&String>, saved: Option<&String>| {
            given(typed).is_some_and(|typed| Some(&typed) != saved)
        };
        let settings = given(global.settings.as_ref()).map(|path| host::absolute(&path));
        let none = || vec!["none".to_owned()];
        let skip = if told.skip.is_empty() { none() } else { told.skip.clone() };
        let version = global.k3s_version.as_ref().filter(|version| *version != "auto");
        let profiles = words(&global.profile);
        let same_profiles = profiles.len() == told.profiles.len()
            && profiles
                .iter()
                .zip(&told.profiles)
                .all(|(typed, told)| typed == told || host::absolute(typed) == *told);
        let typed = [
            ("--profile", !profiles.is_empty() && !same_profiles),
            ("--set", typed_set.iter().any(|one| !told.assignments.contains(one))),
            ("--settings", settings.is_some() && settings != told.settings),
            ("--only", differs(&global.only, only)),
            ("--skip", differs(&global.skip, &skip)),
            ("--role", global.role.is_some_and(|role| role != self.inputs.role)),
            ("--k3s-version", differs_from(version, Some(&self.inputs.k3s_version))),
            ("--data-dir", differs_from(global.data_dir.as_ref(), told.data_dir.as_ref())),
            ("--no-live-sysctl", arguments.no_live_sysctl && !self.inputs.no_live_sysctl),
            ("--on-foreign", judging.on_foreign.is_some_and(|other| other != self.inputs.on_foreign)),
            ("--on-conflict", judging.on_conflict.is_some_and(|other| other != self.inputs.on_conflict)),
        ];
        if let Some((flag, _)) = typed.iter().find(|(_, other)| *other) {
            return Err(usage_error(format!("{flag}: a saved plan says already what is done"))
                .hint("leave it out, also in the environment, or make another plan"));
        }
        let global = GlobalArguments {
            profile: told.profiles.clone(),
            k3s_version: Some(self.inputs.k3s_version.clone()),
            role: Some(self.inputs.role),
            set,
            settings: told.settings.clone(),
            only: only.clone(),
            skip,
            owner: global.owner.clone().or_else(|| self.inputs.owner.clone()),
            data_dir: told.data_dir.clone(),
            ..global.clone()
        };
        let judging = BenchmarkArguments {
            on_foreign: Some(self.inputs.on_foreign),
            on_conflict: Some(self.inputs.on_conflict),
            ..judging.clone()
        };
        Ok((global, judging))
    }

    /// Checks that `plan` is what was saved.
    pub(super) fn check(&self, plan: &Plan) -> Result<()> {
        let now: Vec<Value> = plan.actions.iter().map(describe).collect();
        let differs = |index: &usize| self.actions.get(*index) != now.get(*index);
        let Some(index) = (0..self.actions.len().max(now.len())).find(differs) else { return Ok(()) };
        let path = now.get(index).or(self.actions.get(index)).and_then(|action| action["path"].as_str());
        let path = path.unwrap_or_default();
        let message = if self.tool == env!("CARGO_PKG_VERSION") {
            format!("the node is no longer what was planned against: {path} differs, and nothing was changed")
        } else {
            format!(
                "the plan was saved by k3s-harden {}, and what this version would do now is not what it says: {path} differs, and nothing was changed",
                self.tool
            )
        };
        Err(Error::new(ErrorKind::BadInput, message)
            .hint("look at what would be done now: k3s-harden plan; then save a new plan"))
    }
}

fn describe(action: &Action) -> Value {
    json!({
        "path": action.resource.path().to_string(),
        "resource": action.resource.noun(),
        "action": action.change,
        "before": state(&action.before),
        "after": state(&action.resource.wanted()),
    })
}

fn state(current: &CurrentState) -> Value {
    match current {
        CurrentState::Node(PathState::Absent) => json!({"kind": "absent"}),
        CurrentState::Node(PathState::Other) => json!({"kind": "other"}),
        CurrentState::Node(PathState::Symlink { target, .. }) => {
            json!({"kind": "symlink", "target": target.to_string_lossy()})
        }
        CurrentState::Node(PathState::Directory { mode, owner, .. }) => {
            json!({"kind": "directory", "mode": mode.to_string(), "owner": owner.to_string()})
        }
        CurrentState::Node(PathState::File { mode, owner, bytes, .. }) => {
            let content = match std::str::from_utf8(bytes) {
                Ok(text) => json!({"text": text}),
                Err(_) => json!({"bytes": bytes.escape_ascii().to_string()}),
            };
            json!({"kind": "file", "mode": mode.to_string(), "owner": owner.to_string(), "content": content})
        }
        CurrentState::Value(Ok(value)) => json!({"kind": "value", "value": value}),
        CurrentState::Value(Err(_)) => json!({"kind": "unknown"}),
    }
}
