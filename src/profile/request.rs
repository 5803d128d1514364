// SPDX-License-Identifier: Apache-2.0
//! Merges profiles, each with those it extends, and the site's settings into one profile for a minor.

use std::collections::BTreeMap;

use serde_json::Value;

use super::control::{ControlNumbers, ControlSelection};
use super::document::{ProfileDocument, read_settings};
use super::fields::{DocumentText, unknown};
use super::resolved::{Origin, Profile, Resolved};
use super::setting::{self, Declaration, WAIVERS};
use super::source::SourceText;
use crate::embedded;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::version::KubernetesMinor;

/// Longest chain of `extends`.
pub const MAX_EXTENDS: usize = 16;

/// What the user asks for: everything that decides the profile of a node, except the node itself.
#[derive(Debug, Clone)]
pub struct ProfileRequest {
    /// Profiles in the order of `--profile`: built-in names, `cis`, or paths of files.
    pub profiles: Vec<String>,
    /// The Kubernetes minor.
    pub minor: KubernetesMinor,
    /// The site's settings file, if there is one.
    pub settings: Option<SourceText>,
    /// Single settings, later ones over earlier ones.
    pub assignments: Vec<Assignment>,
    /// `--only`.
    pub only: Vec<String>,
    /// `--skip`.
    pub skip: Vec<String>,
}

/// One `name=value` as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The setting.
    pub name: String,
    /// The value as text.
    pub text: String,
    /// Where it was typed, such as `--set`.
    pub origin: String,
}

impl Assignment {
    /// Tells whether it takes an earlier value back: `name=null`, or `name=` without a value.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        matches!(self.text.trim(), "" | "null")
    }

    /// Returns the assignments that count: none that is taken back later, and none that takes one back.
    #[must_use]
    pub fn in_force(assignments: &[Self]) -> Vec<&Self> {
        let mut counting: Vec<&Self> = Vec::new();
        for one in assignments {
            if one.takes_back() {
                counting.retain(|earlier| earlier.name != one.name);
            } else {
                counting.push(one);
            }
        }
        counting
    }
}

/// Opens a file of the user's by the path that the user gave.
pub type OpenFile<'a> = dyn Fn(&str) -> Result<SourceText> + 'a;

impl ProfileRequest {
    /// Merges and checks everything.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if something is unknown, does not fit, or contradicts something else.
    pub fn resolve(&self, open: &OpenFile<'_>) -> Result<Profile> {
        let best = self.minor.default_profile()?;
        let layers = self.layers(&best, open)?;
        let benchmark_layer = benchmark_layer(&layers)?;
        for layer in &layers {
            layer.check_fit(self.minor, &best)?;
        }
        let declarations = setting::declarations();
        let assigned = self.site_values(declarations)?;
        check_contradictions(&layers, benchmark_layer, &assigned, self.minor)?;

        let numbers = layers[benchmark_layer].numbers();
        let benchmark = layers[benchmark_layer].benchmark().unwrap_or_default().to_owned();
        let selection = ControlSelection::new(&self.only, &self.skip, &benchmark, &numbers)?;
        let mut values = BTreeMap::new();
        for (name, declaration) in declarations {
            let in_profile = layers.iter().rev().find_map(|layer| layer.value(name, self.minor));
            let resolved = match (assigned.get(name), in_profile) {
                // Profiles serve many minors: what one does not have is left out silently.
                _ if !declaration.kubernetes.contains(self.minor) => {
                    Resolved { value: Value::Null, origin: Origin::Default }
                }
                (Some(resolved), _) => resolved.clone(),
                (None, Some((value, place))) => {
                    Resolved { value: value.clone(), origin: Origin::Profile(place) }
                }
                _ => Resolved { value: declaration.default_on(self.minor), origin: Origin::Default },
            };
            values.insert(name.clone(), resolved);
        }
        let names = layers.into_iter().map(|layer| layer.leaf().name.clone()).collect();
        Ok(Profile { minor: self.minor, names, benchmark, numbers, selection, values })
    }

    fn layers(&self, best: &str, open: &OpenFile<'_>) -> Result<Vec<ProfileLayer>> {
        let mut names: Vec<&str> = self.profiles.iter().map(String::as_str).collect();
        names.dedup();
        let mut layers =
            names.iter().map(|name| ProfileLayer::load(name, best, open)).collect::<Result<Vec<_>>>()?;
        // Overlays alone go over the benchmark that fits the minor best.
        if layers.iter().all(|layer| layer.benchmark().is_none()) {
            layers.insert(0, ProfileLayer::load("cis", best, open)?);
        }
        Ok(layers)
    }

    /// Reads the settings file and the assignments.
    fn site_values(
        &self,
        declarations: &BTreeMap<String, Declaration>,
    ) -> Result<BTreeMap<String, Resolved>> {
        let mut values = BTreeMap::new();
        if let Some(source) = &self.settings {
            let text = DocumentText::File(source.clone());
            let mut written = source.value()?;
            if let Value::Object(map) = &mut written {
                map.remove(WAIVERS);
            }
            for (name, value) in read_settings(&text, &[], written)? {
                // Null in the settings file: the setting is as if the file did not have it.
                let Some(value) = value.on(self.minor).filter(|value| !value.is_null()) else { continue };
                let place = text.place(&[&name]);
                self.check_applies(&name, &declarations[&name], value)
                    .map_err(|error| error.at(place.clone()))?;
                values.insert(name, Resolved { value: value.clone(), origin: Origin::Settings(place) });
            }
        }
        let is_unknown = |one: &&Assignment| !declarations.contains_key(&one.name);
        if let Some(Assignment { name, origin, .. }) = self.assignments.iter().find(is_unknown) {
            let error = Error::new(ErrorKind::BadInput, format!("{origin}: unknown setting {name:?}"));
            return Err(setting::unknown_setting(error, name, declarations, &[]));
        }
        for Assignment { name, text, origin } in Assignment::in_force(&self.assignments) {
            let declaration = &declarations[name];
            let value = declaration
                .parse(text)
                .map_err(|invalid| setting::invalid_value_error(name, origin, &invalid))?;
            self.check_applies(name, declaration, &value)?;
            values.insert(name.clone(), Resolved { value, origin: Origin::Assignment(origin.clone()) });
        }
        Ok(values)
    }

    /// Refuses a setting of the site that has no effect on the minor.
    fn check_applies(&self, name: &str, declaration: &Declaration, value: &Value) -> Result<()> {
        if declaration.kubernetes.contains(self.minor) || matches!(value, Value::Null | Value::Bool(false)) {
            return Ok(());
        }
        let error =
            Error::new(ErrorKind::BadInput, format!("{name} does nothing on Kubernetes {}", self.minor));
        Err(error.hint(format!("it is for {}: leave it out", declaration.kubernetes)))
    }
}

/// One `--profile` with all that it extends, the root first.
struct ProfileLayer {
    documents: Vec<ProfileDocument>,
}

impl ProfileLayer {
    fn load(name: &str, best: &str, open: &OpenFile<'_>) -> Result<Self> {
        let mut documents: Vec<ProfileDocument> = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next {
            let by = documents.last();
            let document = load(&name, best, by, open)?;
            if documents.iter().any(|known| known.text.name() == document.text.name())
                || documents.len() == MAX_EXTENDS
            {
                let chain: Vec<&str> = documents.iter().map(|document| document.text.name()).collect();
                let error = documents[0].text.error(
                    &["extends"],
                    format!("the profile extends itself: {} → {}", chain.join(" → "), document.text.name()),
                );
                return Err(error);
            }
            next = document.extends.clone();
            documents.push(document);
        }
        documents.reverse();
        Ok(Self { documents })
    }

    fn leaf(&self) -> &ProfileDocument {
        self.documents.last().expect("a layer is loaded from one document at least")
    }

    fn benchmark(&self) -> Option<&str> {
        self.documents.iter().rev().find_map(|document| document.benchmark.as_deref())
    }

    fn numbers(&self) -> ControlNumbers {
        let mut numbers = ControlNumbers::new();
        for document in &self.documents {
            numbers.extend(document.controls.clone());
        }
        numbers.retain(|_, ids| !ids.is_empty());
        numbers
    }

    /// Returns the value on `minor`, and its place.
    fn value(&self, name: &str, minor: KubernetesMinor) -> Option<(&Value, Place)> {
        self.documents.iter().rev().find_map(|document| {
            let value = document.settings.get(name)?.on(minor)?;
            Some((value, document.text.place(&["settings", name])))
        })
    }

    fn extends(&self, other: &Self) -> bool {
        self.documents.iter().any(|document| document.text.name() == other.leaf().text.name())
    }

    fn check_fit(&self, minor: KubernetesMinor, best: &str) -> Result<()> {
        let Some(document) = self.documents.iter().rev().find(|document| document.kubernetes.is_some())
        else {
            return Ok(());
        };
        let range = document.kubernetes.unwrap_or_default();
        if range.contains(minor) {
            return Ok(());
        }
        let message = format!("profile {} fits Kubernetes {range}, not {minor}", self.leaf().name);
        Err(Error::new(ErrorKind::BadInput, message)
            .hint(format!("for {minor} use --profile {best}, or --profile cis, which picks it")))
    }
}

fn load(
    name: &str,
    best: &str,
    by: Option<&ProfileDocument>,
    open: &OpenFile<'_>,
) -> Result<ProfileDocument> {
    if let Some(document) = ProfileDocument::built_in(if name == "cis" { best } else { name }) {
        return Ok(document);
    }
    let is_file = name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml");
    if !is_file {
        let message = format!("unknown profile {name:?}");
        let error = by.map_or_else(
            || Error::new(ErrorKind::BadInput, &message),
            |by| by.text.error(&["extends"], &message),
        );
        let mut names = embedded::profile_names();
        names.insert(0, "cis");
        return Err(unknown(error, name, &names).hint("the path of a file contains a slash: ./site.yaml"));
    }
    // What a file extends lies beside it; without ./ a circle closes at its second file.
    let name = if by.is_some() { name.trim_start_matches("./") } else { name };
    let path = match by.map(|by| &by.text) {
        Some(DocumentText::File(source)) if !name.starts_with('/') => source
            .name()
            .rsplit_once('/')
            .map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}")),
        _ => name.to_owned(),
    };
    let source = open(&path)?;
    let value = source.value()?;
    let stem = path.rsplit('/').next().unwrap_or(&path);
    let stem = stem.trim_end_matches(".yaml").trim_end_matches(".yml").to_owned();
    ProfileDocument::read(DocumentText::File(source), &stem, value)
}

/// Finds the layer with the benchmark. All layers that name a benchmark must name the same.
fn benchmark_layer(layers: &[ProfileLayer]) -> Result<usize> {
    let mut found: Option<usize> = None;
    for (index, layer) in layers.iter().enumerate() {
        let Some(benchmark) = layer.benchmark() else { continue };
        if let Some(first) = found.map(|first| &layers[first]) {
            let known = first.benchmark().unwrap_or_default();
            if known != benchmark {
                let message = format!(
                    "profiles {} and {} conflict: they are for different benchmarks, {known} and {benchmark}",
                    first.leaf().name,
                    layer.leaf().name
                );
                return Err(Error::new(ErrorKind::BadInput, message).hint("name one of them only"));
            }
        }
        found.get_or_insert(index);
    }
    Ok(found.unwrap_or(0))
}

/// Refuses two overlays that set the same setting differently, unless one extends the other or the site decides.
fn check_contradictions(
    layers: &[ProfileLayer],
    benchmark_layer: usize,
    assigned: &BTreeMap<String, Resolved>,
    minor: KubernetesMinor,
) -> Result<()> {
    let overlays: Vec<&ProfileLayer> = layers
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != benchmark_layer)
        .map(|(_, layer)| layer)
        .collect();
    for (index, later) in overlays.iter().enumerate() {
        for earlier in &overlays[..index] {
            if later.extends(earlier) {
                continue;
            }
            let names = earlier.documents.iter().flat_map(|document| document.settings.keys());
            for name in names.filter(|name| !assigned.contains_key(*name)) {
                let (Some((a, at)), Some((b, place))) =
                    (earlier.value(name, minor), later.value(name, minor))
                else {
                    continue;
                };
                if a != b {
                    let message = format!("{name} is {b} here and {a} in {at}: the overlays contradict");
                    return Err(Error::new(ErrorKind::BadInput, message).at(place).hint(format!(
                        "add `extends: {}` to one of them, or set the value: --set {name}=…",
                        earlier.leaf().name
                    )));
                }
            }
        }
    }
    Ok(())
}
