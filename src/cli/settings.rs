// SPDX-License-Identifier: Apache-2.0
//! `settings`: shows what is in force on a node and where it comes from, and writes a settings file to begin with.

use super::args::SET_VARIABLE;
use super::context::{self, Context};
use super::request::{RECORDED, RunRequest, VersionRequest};
use super::settings_arguments::{SettingsArguments, SettingsVerb};
use super::ui::Ui;
use crate::apply::RecordedInputs;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::k3s;
use crate::mode::{FileMode, Owner};
use crate::node::{Expected, KeptMetadata, Metadata, PathState, Root, RootedPath};
use crate::output::{self, SourceWords};
use crate::profile::SETTINGS_FILE;
use crate::version::{K3sVersion, KubernetesMinor};

pub(super) fn run(request: &RunRequest, arguments: &SettingsArguments, ui: &mut Ui) -> Result<u8> {
    let root = Root::open(&request.root)?;
    match &arguments.verb {
        SettingsVerb::Show => show(request, &root, ui),
        SettingsVerb::Init { stdout } => init(request, &root, *stdout, ui),
    }
}

fn show(request: &RunRequest, root: &Root, ui: &mut Ui) -> Result<u8> {
    let recorded = context::recorded_inputs(root)?;
    let run = recorded.run.as_ref().map(|run| run.id);
    let context = Context::after(recorded, root, &request.about_all_controls())?;
    context.warn_of_refusals();
    let words = SourceWords { recorded: RECORDED, run, variable: SET_VARIABLE };
    if ui.json() {
        let origin = ui.origin(root, Some(&context.version));
        ui.out_json(&output::settings_json(&context.profile, words, &origin))?;
    } else {
        ui.out(&output::settings_text(&context.profile, words, ui.stdout_style()))?;
    }
    Ok(exit::OK)
}

fn init(request: &RunRequest, root: &Root, stdout: bool, ui: &mut Ui) -> Result<u8> {
    let text = output::settings_file(minor(request, root)?);
    if stdout {
        ui.out_document(text.as_bytes())?;
        return Ok(exit::OK);
    }
    let path = RootedPath::fixed(SETTINGS_FILE);
    let shown = root.display(&path);
    if root.look(&path)? != PathState::Absent {
        return Err(Error::new(ErrorKind::CannotWrite, format!("the file exists: {shown}"))
            .hint("edit it; to see all settings: `k3s-harden settings init --stdout`"));
    }
    let owner = context::owner(request.owner.as_deref(), root)?;
    context::check_rights(root, owner.is_some(), owner.unwrap_or(Owner::ROOT))?;
    let owner = owner.unwrap_or(Owner::ROOT);
    make_folders(root, &path, owner)?;
    let written = root.replace_if(
        &path,
        text.as_bytes(),
        &Metadata::private_file(owner),
        Expected::Known(&[&PathState::Absent]),
        KeptMetadata::Exact,
    );
    written.map_err(|error| match error.kind() {
        // Whatever came there a moment ago is not ours.
        ErrorKind::ChangedMeanwhile => error.of_kind(ErrorKind::CannotWrite),
        _ => error,
    })?;
    ui.say_line(&format!("{shown} written; every setting is a comment in it"))?;
    Ok(exit::OK)
}

/// Makes the folders of the file that are missing.
fn make_folders(root: &Root, path: &RootedPath, owner: Owner) -> Result<()> {
    let mut missing = Vec::new();
    let mut folder = path.parent();
    while let Some(path) = folder {
        if path.parent().is_none() || root.look(&path)? != PathState::Absent {
            break;
        }
        folder = path.parent();
        missing.push(path);
    }
    let metadata = Metadata { mode: FileMode::PUBLIC_DIRECTORY, owner, attributes: None };
    missing.iter().rev().try_for_each(|path| root.make_directory(path, &metadata))
}

/// Returns the minor whose defaults are written: that which is named, installed or recorded, or else the newest.
fn minor(request: &RunRequest, root: &Root) -> Result<KubernetesMinor> {
    let named = match &request.version {
        VersionRequest::Named(text) => Some(text.parse::<K3sVersion>()?),
        _ => match k3s::version(root)? {
            Some((version, _)) => Some(version),
            None => {
                let recorded = RecordedInputs::read(root).ok().and_then(|recorded| recorded.inputs);
                recorded.and_then(|inputs| inputs.k3s_version?.parse().ok())
            }
        },
    };
    Ok(named.map_or_else(KubernetesMinor::newest, |version| version.minor().judged()))
}
