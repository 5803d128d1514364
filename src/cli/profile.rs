//! `profile`: what there is, what it amounts to, and what differs.

use super::args::{Global, ProfileArguments, ProfileVerb};
use super::ui::Ui;
use crate::error::{Error, Kind, Result, exit};
use crate::node::host;
use crate::output;
use crate::profile::{
    K3sVersion, KubernetesMinor, MAX_SOURCE_BYTES, Profile, ProfileDocument, Request, Source, built_in_names,
};

pub(super) fn run(global: &Global, arguments: &ProfileArguments, ui: &mut Ui) -> Result<u8> {
    let text = match &arguments.verb {
        ProfileVerb::List => {
            let documents: Vec<ProfileDocument> = built_in_names().into_iter().filter_map(ProfileDocument::built_in).collect();
            if ui.json() { json(&output::list_json(&documents)) } else { output::list_text(&documents) }
        }
        ProfileVerb::Show { names } => {
            let profile = resolve(global, names)?;
            if ui.json() { json(&output::show_json(&profile)) } else { output::show_text(&profile) }
        }
        ProfileVerb::Diff { a, b } => {
            let (a, b) = (resolve(global, std::slice::from_ref(a))?, resolve(global, std::slice::from_ref(b))?);
            if ui.json() { json(&output::diff_json(&a, &b)) } else { output::diff_text(&a, &b) }
        }
        ProfileVerb::Validate { files } => {
            let mut text = String::new();
            for file in files {
                resolve(global, std::slice::from_ref(file))?;
                text.push_str(&format!("{file}: valid\n"));
            }
            text
        }
    };
    ui.out(&text)?;
    Ok(exit::OK)
}

fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Resolves profiles without a node: for the minor that was named, else the newest that they fit.
fn resolve(global: &Global, names: &[String]) -> Result<Profile> {
    let request = |minor| Request {
        profiles: names.to_vec(),
        minor,
        settings: None,
        assignments: Vec::new(),
        only: Vec::new(),
        skip: Vec::new(),
    };
    let open = |path: &str| Source::new(path, host::read_file(path, MAX_SOURCE_BYTES)?);
    if let Some(text) = global.k3s_version.as_deref().filter(|text| *text != "auto") {
        return request(text.parse::<K3sVersion>()?.minor()).resolve(&open);
    }
    let mut first_error = None;
    for minor in KubernetesMinor::supported().into_iter().rev() {
        match request(minor).resolve(&open) {
            Ok(profile) => return Ok(profile),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Error::new(Kind::Failed, "no Kubernetes minor is supported")))
}
