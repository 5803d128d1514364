// SPDX-License-Identifier: Apache-2.0
//! The settings of a node: what is in force and where it comes from, as text and JSON; and a settings file that sets nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::origin::ReportOrigin;
use super::screen::{Ink, ScreenText, Style};
use super::wrap::wrap;
use crate::profile::{Declaration, Origin, Profile, Resolved, WAIVERS, declarations};
use crate::version::KubernetesMinor;

/// The widest line of prose in a settings file.
const FILE_WIDTH: usize = 100;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingSource {
    /// Its kind, which never changes: `default`, `profile`, `settings-file`, `environment`, `command-line` or `record`.
    pub kind: &'static str,
    /// In words, such as `profiles/cis-1.12.yaml:33:3` or `record of run 3`.
    pub words: String,
}

/// What the sources of a node's settings are called: the words of the origins that [`Profile`] has.
#[derive(Debug, Clone, Copy)]
pub struct SourceWords<'a> {
    /// The origin of what an earlier run was told.
    pub recorded: &'a str,
    /// The run that recorded it, if it is known.
    pub run: Option<u32>,
    /// The origin of the variable.
    pub variable: &'a str,
}

impl SourceWords<'_> {
    fn source(self, resolved: &Resolved, declaration: &Declaration, minor: KubernetesMinor) -> SettingSource {
        let (kind, words) = match &resolved.origin {
            Origin::Default if declaration.differs_by_minor() => ("default", format!("default on {minor}")),
            Origin::Default => ("default", "default".to_owned()),
            Origin::Profile(place) => ("profile", format!("profile {place}")),
            Origin::Settings(place) => ("settings-file", place.to_string()),
            Origin::Assignment(origin) if origin == self.recorded => {
                let run = self.run.map_or_else(|| "an earlier run".to_owned(), |run| format!("run {run}"));
                ("record", format!("record of {run}"))
            }
            Origin::Assignment(origin) if origin == self.variable => ("environment", origin.clone()),
            Origin::Assignment(origin) => ("command-line", origin.clone()),
        };
        SettingSource { kind, words }
    }
}

/// The settings that mean something on the minor of a profile.
fn rows(profile: &Profile) -> impl Iterator<Item = (&String, &Resolved, &'static Declaration)> {
    profile.values.iter().filter_map(|(name, resolved)| {
        let declaration = declarations().get(name)?;
        declaration.kubernetes.contains(profile.minor).then_some((name, resolved, declaration))
    })
}

/// Returns each setting with its value, where it comes from, and its default.
#[must_use]
pub fn settings_text(profile: &Profile, words: SourceWords<'_>, style: Style) -> ScreenText {
    let mut text = ScreenText::new(style);
    let names = profile.names.join(" + ");
    text.paint_line(
        Ink::Bold,
        format!("# {names} for Kubernetes {}, CIS {}", profile.minor, profile.benchmark),
    );
    for (name, resolved, declaration) in rows(profile) {
        let source = words.source(resolved, declaration, profile.minor);
        let default = declaration.default_on(profile.minor);
        let ink = if matches!(source.kind, "default" | "profile") { Ink::Plain } else { Ink::BoldCyan };
        text.paint(ink, format!("{name}: {}", resolved.value));
        let default = if default == resolved.value { String::new() } else { format!("; default {default}") };
        text.paint_line(Ink::Faint, format!("  # {}{default}", source.words));
    }
    text
}

/// Returns the same for programs.
#[must_use]
pub fn settings_json(profile: &Profile, words: SourceWords<'_>, origin: &ReportOrigin) -> Value {
    let settings: BTreeMap<&String, Value> = rows(profile)
        .map(|(name, resolved, declaration)| {
            let source = words.source(resolved, declaration, profile.minor);
            let setting = json!({
                "value": resolved.value,
                "source": source.kind,
                "origin": source.words,
                "default": declaration.default_on(profile.minor),
                "type": declaration.type_in_words(),
                "description": declaration.description,
            });
            (name, setting)
        })
        .collect();
    origin.answer(json!({
        "profile": profile.names,
        "kubernetes": profile.minor.to_string(),
        "benchmark": profile.benchmark,
        "run": words.run,
        "settings": settings,
    }))
}

/// Returns a settings file with every setting in a comment: it sets nothing, and each line means what it says once its first
/// `#` is taken away. The values are the defaults on `minor`; a setting that means nothing there is null.
#[must_use]
pub fn settings_file(minor: KubernetesMinor) -> String {
    let mut file = String::new();
    let prose = |file: &mut String, text: &str| {
        for line in wrap(text, Some(FILE_WIDTH), Some(FILE_WIDTH)) {
            file.push_str("## ");
            file.push_str(&line);
            file.push('\n');
        }
    };
    prose(
        &mut file,
        &format!(
            "Settings of k3s-harden on this node. Nothing is set here yet: take the # in front of a line away, and change its value. The values are the defaults on Kubernetes {minor}."
        ),
    );
    prose(
        &mut file,
        "`k3s-harden settings show` tells what is in force, `k3s-harden explain NAME` what a setting does and why. A value may differ by minor: name: {by_minor: {\"1.23\": 10, \"1.29\": 100}}",
    );
    for (name, declaration) in declarations() {
        file.push('\n');
        let applies = declaration.kubernetes.contains(minor);
        let only = if declaration.kubernetes == crate::version::MinorRange::default() {
            String::new()
        } else {
            format!(" Kubernetes {}.", declaration.kubernetes)
        };
        let takes = declaration.type_in_words();
        prose(&mut file, &format!("{} Takes {takes}.{only}", declaration.description.trim()));
        let value = if applies { declaration.default_on(minor) } else { Value::Null };
        file.push_str(&format!("#{name}: {value}\n"));
    }
    file.push('\n');
    prose(
        &mut file,
        "Accepted findings: each with a reason and a name; ticket, until and value are optional.",
    );
    file.push_str(&format!(
        "#{WAIVERS}: [{{control: event-rate-limit, reason: one administrator, who: J. Doe}}]\n"
    ));
    file
}
