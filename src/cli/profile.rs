// SPDX-License-Identifier: Apache-2.0
//! `profile`: lists, shows, compares and validates profiles.

use tracing::warn;

use super::args::{GlobalArguments, ProfileArguments, ProfileVerb};
use super::newer_minor;
use super::ui::Ui;
use crate::document;
use crate::error::{Error, ErrorKind, Result, exit};
use crate::node::{Root, host};
use crate::output::{self, ReportOrigin, ScreenText, Style};
use crate::profile::{
    MAX_SOURCE_BYTES, Profile, ProfileDocument, ProfileRequest, SourceText, built_in_names,
};
use crate::version::{K3sVersion, KubernetesMinor};

pub(super) fn run(global: &GlobalArguments, arguments: &ProfileArguments, ui: &mut Ui) -> Result<u8> {
    let assumed = named_minor(global, &arguments.verb)?.and_then(KubernetesMinor::assumed);
    if let Some(assumed) = assumed {
        warn!("{}", newer_minor::warning(assumed));
    }
    let origin = || {
        let origin = match Root::open(&global.root) {
            Ok(root) => ui.origin(&root, None),
            Err(_) => ReportOrigin::default(),
        };
        ReportOrigin { assumed: assumed.map(Into::into), ..origin }
    };
    let text = match &arguments.verb {
        ProfileVerb::List => {
            let documents: Vec<ProfileDocument> =
                built_in_names().into_iter().filter_map(ProfileDocument::built_in).collect();
            if ui.json() {
                ScreenText::json(&output::list_json(&documents, &origin()))?
            } else {
                output::list_text(&documents)
            }
        }
        ProfileVerb::Show { names } => {
            let profile = resolve(global, names)?;
            if ui.json() {
                ScreenText::json(&output::show_json(&profile, &origin()))?
            } else {
                output::show_text(&profile)
            }
        }
        ProfileVerb::Diff { a, b } => {
            let (a, b) = resolve_both(global, a, b)?;
            if ui.json() {
                ScreenText::json(&output::diff_json(&a, &b, &origin()))?
            } else {
                output::diff_text(&a, &b)
            }
        }
        ProfileVerb::Validate { files } => {
            let mut text = ScreenText::new(Style::Plain);
            for file in files {
                document::cipher_suites::check(&resolve(global, std::slice::from_ref(file))?)?;
                text.line(format!("{file}: valid"));
            }
            text
        }
    };
    ui.out(&text)?;
    Ok(exit::OK)
}

/// Returns the minor that the user names, for a verb that resolves profiles for one.
fn named_minor(global: &GlobalArguments, verb: &ProfileVerb) -> Result<Option<KubernetesMinor>> {
    let named = global.k3s_version.as_deref().filter(|text| !matches!(*text, "" | "auto"));
    match (verb, named) {
        (ProfileVerb::List, _) | (_, None) => Ok(None),
        (_, Some(text)) => Ok(Some(text.parse::<K3sVersion>()?.minor())),
    }
}

/// Resolves two profiles for the newest minor that both support, else each for the newest that it supports.
///
/// A name may say its minor: `cis@1.28`.
fn resolve_both(global: &GlobalArguments, a: &str, b: &str) -> Result<(Profile, Profile)> {
    if a.contains('@') || b.contains('@') {
        return Ok((resolve_named(global, a)?, resolve_named(global, b)?));
    }
    let (a, b) = ([a.to_owned()], [b.to_owned()]);
    if global.k3s_version.is_none() {
        for minor in KubernetesMinor::supported().into_iter().rev() {
            if let (Ok(a), Ok(b)) = (resolve_for(minor, &a), resolve_for(minor, &b)) {
                return Ok((a, b));
            }
        }
    }
    Ok((resolve(global, &a)?, resolve(global, &b)?))
}

/// Resolves a profile that may say its minor: `cis@1.28`. A file's name may hold the sign, too.
fn resolve_named(global: &GlobalArguments, name: &str) -> Result<Profile> {
    match name.rsplit_once('@').map(|(name, minor)| (name, minor.parse::<K3sVersion>())) {
        Some((name, Ok(version))) => resolve_for(version.minor().judged(), &[name.to_owned()]),
        _ => resolve(global, &[name.to_owned()]),
    }
}

/// Resolves profiles without a node: for the named minor, else the newest that they support.
fn resolve(global: &GlobalArguments, names: &[String]) -> Result<Profile> {
    if let Some(text) = global.k3s_version.as_deref().filter(|text| *text != "auto") {
        return resolve_for(text.parse::<K3sVersion>()?.minor().judged(), names);
    }
    let mut first_error = None;
    for minor in KubernetesMinor::supported().into_iter().rev() {
        match resolve_for(minor, names) {
            Ok(profile) => return Ok(profile),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Error::new(ErrorKind::Failed, "no Kubernetes minor is supported")))
}

fn resolve_for(minor: KubernetesMinor, names: &[String]) -> Result<Profile> {
    let request = ProfileRequest {
        profiles: names.to_vec(),
        minor,
        settings: None,
        assignments: Vec::new(),
        only: Vec::new(),
        skip: Vec::new(),
    };
    request.resolve(&|path| SourceText::new(path, host::read_file(path, MAX_SOURCE_BYTES)?))
}
