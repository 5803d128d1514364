// SPDX-License-Identifier: Apache-2.0
//! A profile as it is written: one document, nothing resolved.

use std::collections::BTreeMap;

use serde_json::Value;

use super::by_minor::{BY_MINOR, SettingValue};
use super::control::{ControlId, titles};
use super::fields::{DocumentText, Fields, describe, unknown};
use super::setting::{self, Declaration, InvalidValue, WAIVERS};
use crate::embedded;
use crate::error::{Error, Result};
use crate::version::{KubernetesMinor, MinorRange};

/// The settings file of a node, if none is named.
pub const SETTINGS_FILE: &str = "/etc/k3s-harden/settings.yaml";

/// One profile document. Everything but its text may be absent.
#[derive(Debug, Clone)]
pub struct ProfileDocument {
    /// The text, for places in errors.
    pub text: DocumentText,
    /// Its name; a file without one is named after the file.
    pub name: String,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// The profile that this one goes on from.
    pub extends: Option<String>,
    /// The benchmark whose numbers it gives, such as 1.12.
    pub benchmark: Option<String>,
    /// The minors that it fits.
    pub kubernetes: Option<MinorRange>,
    /// Numbers of controls; an empty list takes an inherited number away.
    pub controls: BTreeMap<String, Vec<ControlId>>,
    /// Values of settings, as written, each checked.
    pub settings: BTreeMap<String, SettingValue>,
}

impl ProfileDocument {
    /// Returns the built-in profile `name`, if there is one.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let value = embedded::profile(name)?;
        let text = DocumentText::BuiltIn(format!("profiles/{name}.yaml"));
        let mut document = Self::read(text, name, value).expect("the tests read every built-in profile");
        // The table of the minors decides that a profile fits the minors that it is the default of.
        if let Some(to) = document.kubernetes.as_mut().and_then(|range| range.to.as_mut()) {
            *to = KubernetesMinor::newest_with_default(name).map_or(*to, |newest| newest.max(*to));
        }
        Some(document)
    }

    /// Reads a document. `fallback_name` is its name where it states none.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::BadInput`] with the place.
    pub fn read(text: DocumentText, fallback_name: &str, value: Value) -> Result<Self> {
        let mut fields = Fields::new(&text, &[], value)?;
        let name = fields.text("name")?.unwrap_or_else(|| fallback_name.to_owned());
        // The name is in the header of every file, so it may hold nothing that ends a comment line.
        if name.is_empty()
            || name.len() > 64
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            let error = text.error(&["name"], format!("{name:?} is not a name for a profile"));
            return Err(
                error.hint("use letters, digits, dots, dashes and underscores, 64 at most: name: site")
            );
        }
        let description = fields.text("description")?;
        let extends = fields.text("extends")?;
        let benchmark = fields.text("benchmark")?;
        if let Some(benchmark) =
            benchmark.as_ref().filter(|benchmark| benchmark.parse::<ControlId>().is_err())
        {
            return Err(text
                .error(&["benchmark"], format!("{benchmark:?} is not a version of the benchmark"))
                .hint("write it as \"1.12\""));
        }
        let kubernetes = fields.take("kubernetes").map(|value| read_range(&text, value)).transpose()?;
        let controls = fields
            .take("controls")
            .map_or_else(|| Ok(BTreeMap::new()), |value| read_controls(&text, value))?;
        let settings = fields
            .take("settings")
            .map_or_else(|| Ok(BTreeMap::new()), |value| read_settings(&text, &["settings"], value))?;
        fields.finish()?;
        Ok(Self { name, description, extends, benchmark, kubernetes, controls, settings, text })
    }
}

fn read_range(text: &DocumentText, value: Value) -> Result<MinorRange> {
    let mut fields = Fields::new(text, &["kubernetes"], value)?;
    let mut range = MinorRange::default();
    for (key, end) in [("from", &mut range.from), ("to", &mut range.to)] {
        if let Some(minor) = fields.text(key)? {
            *end = Some(minor.parse().map_err(|error: Error| error.at(text.place(&["kubernetes", key])))?);
        }
    }
    fields.finish()?;
    if range.from.is_some_and(|from| range.to.is_some_and(|to| to < from)) {
        return Err(text.error(&["kubernetes"], format!("there is no minor from {range}")));
    }
    Ok(range)
}

fn read_controls(text: &DocumentText, value: Value) -> Result<BTreeMap<String, Vec<ControlId>>> {
    let Value::Object(map) = value else {
        return Err(text.error(&["controls"], format!("expected a mapping, found {}", describe(&value))));
    };
    let titles = titles();
    let mut controls = BTreeMap::new();
    for (name, value) in map {
        let path = ["controls", name.as_str()];
        if !titles.contains_key(&name) {
            let names: Vec<&String> = titles.keys().collect();
            return Err(unknown(
                text.error_at_key(&path, format!("unknown control {name:?}")),
                &name,
                &names,
            ));
        }
        let ids = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            one => vec![one],
        };
        let ids = ids.iter().map(|id| match id {
            Value::String(id) => id.parse().map_err(|error: Error| error.at(text.place(&path))),
            other => Err(text
                .error(&path, format!("expected the number of a control, found {}", describe(other)))
                .hint("write it as \"1.2.16\"")),
        });
        controls.insert(name.clone(), ids.collect::<Result<_>>()?);
    }
    Ok(controls)
}

/// Reads and checks a mapping of settings, which is under `path` of `text`.
///
/// # Errors
/// [`crate::error::ErrorKind::BadInput`] with the place.
pub fn read_settings(
    text: &DocumentText,
    path: &[&str],
    value: Value,
) -> Result<BTreeMap<String, SettingValue>> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => serde_json::Map::new(),
        other => {
            let error = text.error(path, format!("expected settings, found {}", describe(&other)));
            return Err(error.hint("write them as name: value, one to a line"));
        }
    };
    let declarations = setting::declarations();
    let mut settings = BTreeMap::new();
    for (name, value) in map {
        let here: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        let Some(declaration) = declarations.get(&name) else {
            let error = text.error_at_key(&here, format!("unknown setting {name:?}"));
            // A settings file has its settings at the top, and one key more.
            let others: &[&str] = if path.is_empty() { &[WAIVERS] } else { &[] };
            return Err(setting::unknown_setting(error, &name, declarations, others));
        };
        let checked = match value.get(BY_MINOR) {
            None => SettingValue::Same(check_one(text, &here, &name, declaration, &value)?),
            Some(Value::Object(values)) if value.as_object().is_some_and(|outer| outer.len() == 1) => {
                let mut checked = BTreeMap::new();
                for (minor, value) in values {
                    let here: Vec<&str> = here.iter().copied().chain([BY_MINOR, minor]).collect();
                    let from: KubernetesMinor =
                        minor.parse().map_err(|error: Error| error.at(text.place(&here)))?;
                    // 1.30 without quotes is the number 1.3 to YAML.
                    if let DocumentText::File(source) = text
                        && source.key_spot(&here).is_none_or(|spot| spot.plain)
                    {
                        let error = text.error_at_key(
                            &here,
                            format!("{name}: a minor without quotes is a number to YAML"),
                        );
                        return Err(error.hint("write it in quotes: \"1.30\""));
                    }
                    checked.insert(from, check_one(text, &here, &name, declaration, value)?);
                }
                SettingValue::ByMinor(checked)
            }
            Some(_) => {
                let error =
                    text.error(&here, format!("{name}: by_minor must be a mapping, and the only key"));
                return Err(error.hint("write by_minor: {\"1.23\": …, \"1.29\": …}"));
            }
        };
        settings.insert(name, checked);
    }
    Ok(settings)
}

fn check_one(
    text: &DocumentText,
    path: &[&str],
    name: &str,
    declaration: &Declaration,
    value: &Value,
) -> Result<Value> {
    let is_site = path.first() == Some(&name);
    let complain = |invalid: InvalidValue| {
        let path: Vec<&str> = path.iter().copied().chain(invalid.path.iter().map(String::as_str)).collect();
        text.error(&path, format!("{name}: {}", invalid.message)).hint(invalid.hint)
    };
    // In a settings file null takes a value back, whatever the type; in a profile it has to fit.
    if value.is_null() && is_site {
        return Ok(Value::Null);
    }
    let checked = declaration.check(value).map_err(complain)?;
    if let (true, Value::String(mode), DocumentText::File(source)) = (declaration.needs_quotes(), value, text)
        && source.spot(path).is_some_and(|spot| spot.plain)
    {
        let message = format!("{mode} is a number to YAML");
        return Err(complain(InvalidValue { message, ..declaration.invalid(value) }));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::source::SourceText;

    fn read(text: &str) -> Result<ProfileDocument> {
        let source = SourceText::new("site.yaml", text.as_bytes().to_vec())?;
        let value = source.value()?;
        ProfileDocument::read(DocumentText::File(source), "site", value)
    }

    #[test]
    fn every_built_in_profile_reads_and_is_named_after_its_file() {
        for name in embedded::profile_names() {
            assert_eq!(ProfileDocument::built_in(name).unwrap().name, name);
        }
    }

    #[test]
    fn a_profile_fits_the_minors_that_it_is_the_default_of() {
        for minor in KubernetesMinor::supported() {
            let profile = ProfileDocument::built_in(&minor.default_profile().unwrap()).unwrap();
            assert!(profile.kubernetes.unwrap().contains(minor), "{} on {minor}", profile.name);
        }
    }

    #[test]
    fn mistakes_name_their_place_and_the_remedy() {
        for (text, message, hint) in [
            ("setings: {}\n", "site.yaml:1:1: unknown key \"setings\"", "did you mean settings?"),
            (
                "settings:\n  audit_log_max_age: 3\n",
                "site.yaml:2:3: unknown setting \"audit_log_max_age\"",
                "did you mean audit_log_maxage?",
            ),
            (
                "settings:\n  audit_log_maxage: \"30\"\n",
                "site.yaml:2:21: audit_log_maxage: the text \"30\" does not fit",
                "write a number from 0 to 36500, or null",
            ),
            (
                "settings:\n  secrets_encryption: yes\n",
                "site.yaml:2:23: secrets_encryption: the text \"yes\" does not fit",
                "write true or false",
            ),
            (
                "settings:\n  write_kubeconfig_mode: 0600\n",
                "site.yaml:2:26: write_kubeconfig_mode: 0600 is a number to YAML",
                "modes are octal: write \"0600\", in quotes",
            ),
            (
                "settings:\n  write_kubeconfig_mode: 600\n",
                "site.yaml:2:26: write_kubeconfig_mode: 600 does not fit",
                "modes are octal: write \"0600\", in quotes",
            ),
            (
                "settings:\n  namespaces: [default, Bad]\n",
                "site.yaml:2:25: namespaces: the text \"Bad\" is not the name of a namespace",
                "write the name of a namespace",
            ),
            (
                "benchmark: 1.12\n",
                "site.yaml:1:12: benchmark must be text, found 1.12",
                "write it in quotes: benchmark: \"1.12\"",
            ),
            (
                "kubernetes: {from: \"2.1\"}\n",
                "site.yaml:1:20: \"2.1\" is not a Kubernetes minor",
                "write it as \"1.33\"",
            ),
            (
                "controls: {audit-log-paht: \"1.2\"}\n",
                "site.yaml:1:12: unknown control \"audit-log-paht\"",
                "did you mean audit-log-path?",
            ),
            (
                "- a\n",
                "site.yaml:1:1: expected a mapping, found a list",
                "write it as key: value, one to a line",
            ),
            (
                "name: \"a\\nb\"\n",
                "site.yaml:1:7: \"a\\nb\" is not a name for a profile",
                "use letters, digits, dots, dashes and underscores, 64 at most: name: site",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hints()), (message, [hint.to_owned()].as_slice()));
        }
    }
}
