// SPDX-License-Identifier: Apache-2.0
//! A saved plan: the inputs that it was made from, and what it would change.
//!
//! `apply FILE` makes the plan again from the same inputs, and carries it out only if it is the same to the byte. So
//! nothing is done that the file does not say, and nothing to a node that has changed since.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::context::Context;
use super::newer_minor::ASSUME;
use super::request::{RunRequest, VersionRequest, given, recorded_assignment, words};
use super::usage::usage_error;
use crate::Role;
use crate::apply::RunInputs;
use crate::document::OnConflict;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::masked;
use crate::node::{MAX_FILE_BYTES, PathState, host, sha256};
use crate::plan::{Action, CurrentState, OnForeign, Plan};
use crate::profile::Assignment;

const FORMAT_VERSION: &str = "1.0";

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedInputs {
    /// What the run records.
    #[serde(rename = "told")]
    recorded: RunInputs,
    k3s_version: String,
    role: Role,
    only: Vec<String>,
    owner: Option<String>,
    no_live_sysctl: bool,
    on_foreign: OnForeign,
    on_conflict: OnConflict,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPlan {
    format_version: String,
    tool: String,
    inputs: SavedInputs,
    actions: Vec<Value>,
}

impl SavedPlan {
    pub(super) fn new(plan: &Plan, context: &Context<'_>) -> Self {
        let Context { request, inputs, version, target, .. } = context;
        let inputs = SavedInputs {
            recorded: inputs.clone(),
            k3s_version: version.to_string(),
            role: target.role,
            only: request.only.clone(),
            owner: request.owner.clone(),
            no_live_sysctl: !request.live_sysctl,
            on_foreign: request.on_foreign.unwrap_or_default(),
            on_conflict: request.on_conflict.unwrap_or_default(),
        };
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            inputs,
            actions: plan.actions.iter().map(describe).collect(),
        }
    }

    pub(super) fn read(path: &str) -> Result<Self> {
        let bytes = host::read_file(path, MAX_FILE_BYTES)?;
        let bad = |why: String| {
            Error::new(ErrorKind::BadInput, format!("{path} is not a saved plan: {why}"))
                .hint("make one with `k3s-harden plan --out FILE`")
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

    /// Returns the request that makes the same plan. A flag or a variable that asks for something else is an error;
    /// one that asks for the same, as the environment in which the plan was made does, is none.
    pub(super) fn request(&self, named: RunRequest) -> Result<RunRequest> {
        self.refuse_others(&named)?;
        let SavedInputs { recorded, .. } = &self.inputs;
        let assignment = |(name, text): &(String, String)| Assignment {
            name: name.clone(),
            text: text.clone(),
            origin: "--set".to_owned(),
        };
        Ok(RunRequest {
            profiles: recorded.profiles.clone(),
            version: VersionRequest::Named(self.inputs.k3s_version.clone()),
            role: Some(self.inputs.role),
            assignments: recorded.assignments.iter().map(assignment).collect(),
            settings: recorded.settings.clone(),
            only: words(&self.inputs.only),
            skip: Some(recorded.skip.clone()),
            owner: named.owner.clone().or_else(|| given(self.inputs.owner.as_ref())),
            data_dir: recorded.data_dir.clone(),
            assume_minor: recorded.assume_minor,
            on_foreign: Some(self.inputs.on_foreign),
            on_conflict: Some(self.inputs.on_conflict),
            live_sysctl: !self.inputs.no_live_sysctl,
            saved: Some(recorded.clone()),
            ..named
        })
    }

    fn refuse_others(&self, named: &RunRequest) -> Result<()> {
        let SavedInputs { recorded, .. } = &self.inputs;
        let same_profile =
            |(named, saved): (&String, &String)| named == saved || host::absolute(named) == *saved;
        let same_profiles = named.profiles.len() == recorded.profiles.len()
            && named.profiles.iter().zip(&recorded.profiles).all(same_profile);
        let is_new = |one: &Assignment| match one.takes_back() {
            true => recorded.assignments.iter().any(|(name, _)| *name == one.name),
            false => !recorded.assignments.contains(&recorded_assignment(one)),
        };
        let settings = named.settings.as_deref().map(host::absolute);
        let differs = [
            ("--profile", !named.profiles.is_empty() && !same_profiles),
            ("--set", named.assignments.iter().any(is_new)),
            ("--settings", settings.is_some() && settings != recorded.settings),
            ("--only", !named.only.is_empty() && named.only != words(&self.inputs.only)),
            ("--skip", named.skip.as_ref().is_some_and(|skip| *skip != recorded.skip)),
            ("--role", named.role.is_some_and(|role| role != self.inputs.role)),
            (
                "--k3s-version",
                matches!(&named.version, VersionRequest::Named(text) if *text != self.inputs.k3s_version),
            ),
            ("--data-dir", named.data_dir.is_some() && named.data_dir != recorded.data_dir),
            (ASSUME, named.assume_minor.is_some() && named.assume_minor != recorded.assume_minor),
            ("--no-live-sysctl", !named.live_sysctl && !self.inputs.no_live_sysctl),
            ("--on-foreign", named.on_foreign.is_some_and(|other| other != self.inputs.on_foreign)),
            ("--on-conflict", named.on_conflict.is_some_and(|other| other != self.inputs.on_conflict)),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((flag, _)) => Err(usage_error(format!("{flag}: a saved plan already contains this"))
                .hint("remove it, also from the environment, or save a new plan")),
        }
    }

    /// Checks that `plan` is what was saved.
    pub(super) fn check(&self, plan: &Plan) -> Result<()> {
        let now: Vec<Value> = plan.actions.iter().map(describe).collect();
        let differs = |index: &usize| self.actions.get(*index) != now.get(*index);
        let Some(index) = (0..self.actions.len().max(now.len())).find(differs) else { return Ok(()) };
        let path = now.get(index).or(self.actions.get(index)).and_then(|action| action["path"].as_str());
        let path = path.unwrap_or_default();
        let message = if self.tool == env!("CARGO_PKG_VERSION") {
            format!("the node has changed since the plan was saved: {path} differs, and nothing was changed")
        } else {
            format!(
                "the plan was saved by k3s-harden {}, and this version plans other changes: {path} differs; nothing was changed",
                self.tool
            )
        };
        Err(Error::new(ErrorKind::BadInput, message)
            .hint("check the new plan with `k3s-harden plan`, then save it with --out"))
    }
}

fn describe(action: &Action) -> Value {
    json!({
        "path": action.resource.path().to_string(),
        "resource": action.resource.kind(),
        "action": action.change,
        "before": state(&action.before),
        "after": state(&action.resource.desired_state()),
    })
}

fn state(current: &CurrentState) -> Value {
    match current {
        CurrentState::Path(PathState::Absent) => json!({"kind": "absent"}),
        CurrentState::Path(PathState::Other | PathState::Large { .. }) => json!({"kind": "other"}),
        CurrentState::Path(PathState::Symlink { target, .. }) => {
            json!({"kind": "symlink", "target": target.to_string_lossy()})
        }
        CurrentState::Path(PathState::Directory { mode, owner, .. }) => {
            json!({"kind": "directory", "mode": mode.to_string(), "owner": owner.to_string()})
        }
        CurrentState::Path(PathState::File { mode, owner, bytes, .. }) => {
            let content = content(bytes);
            json!({"kind": "file", "mode": mode.to_string(), "owner": owner.to_string(), "content": content})
        }
        CurrentState::Value(value) => json!({"kind": "value", "value": value}),
        CurrentState::Unreadable(_) => json!({"kind": "unknown"}),
        CurrentState::Permissions(mode, owner) => {
            json!({"kind": "permissions", "mode": mode.to_string(), "owner": owner.to_string()})
        }
    }
}

/// Describes the content of a file. One with secrets is shown without them, and compared by its digest.
fn content(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    match (masked(&text), &text) {
        (Cow::Owned(shown), _) => json!({"text": shown, "sha256": sha256(bytes)}),
        (Cow::Borrowed(_), Cow::Borrowed(text)) => json!({"text": text}),
        (Cow::Borrowed(_), Cow::Owned(_)) => json!({"bytes": bytes.escape_ascii().to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Cli;

    /// The inputs of a plan, as release 0.1.0 saves them.
    const RELEASE_0_1_0: &str = r#"{
        "told": {
            "profiles": ["cis"], "k3s_version": null, "role": null, "assignments": [["pod_max_pids", "90"]],
            "settings": null, "skip": [], "on_foreign": null, "on_conflict": null, "data_dir": null, "files": {}
        },
        "k3s_version": "v1.33.4+k3s1", "role": "server", "only": [" 5.2"], "owner": "0:0", "no_live_sysctl": true,
        "on_foreign": "replace", "on_conflict": "ours"
    }"#;

    fn saved() -> SavedPlan {
        SavedPlan {
            format_version: FORMAT_VERSION.to_owned(),
            tool: "0.1.0".to_owned(),
            inputs: serde_json::from_str(RELEASE_0_1_0).unwrap(),
            actions: Vec::new(),
        }
    }

    fn named(arguments: &[&str]) -> RunRequest {
        let arguments = ["k3s-harden", "apply", "PLAN"].iter().chain(arguments);
        RunRequest::from_arguments(&Cli::try_parse_from(arguments).unwrap()).unwrap()
    }

    #[test]
    fn a_plan_of_0_1_0_is_read_and_written_as_it_is() {
        let json: Value = serde_json::from_str(RELEASE_0_1_0).unwrap();
        assert_eq!(serde_json::to_value(saved().inputs).unwrap(), json);
    }

    #[test]
    fn a_saved_plan_is_a_request_of_its_own() {
        let request = saved().request(named(&[])).unwrap();
        assert_eq!(request.version, VersionRequest::Named("v1.33.4+k3s1".to_owned()));
        assert_eq!((request.role, request.live_sysctl), (Some(Role::Server), false));
        assert_eq!((request.only, request.owner), (vec!["5.2".to_owned()], Some("0:0".to_owned())));
        // It records what the plan records, not what the plan found out.
        assert_eq!(request.saved.unwrap().k3s_version, None);
        let same = [
            "--profile",
            "cis",
            "--set",
            "pod_max_pids=90",
            "--only",
            "5.2",
            "--skip",
            "none",
            "--k3s-version",
            "auto",
        ];
        assert!(saved().request(named(&same)).is_ok());
    }

    #[test]
    fn flags_that_ask_for_something_else_are_refused() {
        for flags in [
            ["--profile", "strict"],
            ["--set", "pod_max_pids=91"],
            ["--settings", "/s.yaml"],
            ["--only", "5.3"],
            ["--skip", "5.2"],
            ["--role", "agent"],
            ["--k3s-version", "1.33"],
            ["--data-dir", "/srv"],
            ["--on-foreign", "keep"],
            ["--on-conflict", "keep"],
            ["--assume-minor", "1.37"],
        ] {
            let error = saved().request(named(&flags)).unwrap_err();
            assert!(error.message().starts_with(flags[0]), "{flags:?}: {}", error.message());
        }
    }
}
