// SPDX-License-Identifier: Apache-2.0
//! Merges the drop-in with the existing configuration of K3s: no value is lost, no argument is given twice, and the
//! hardened value is the one that counts.
//!
//! If nothing collides, the drop-in appends its arguments (`key+`). If an argument is set already, or the last item of the
//! kubelet's would take the first of ours as its value, the drop-in takes
//! the component's whole list over (plain key, every value, each with the file that it came from): lists are merged,
//! a value that satisfies the control stays, and any other value is a conflict that `--on-conflict` decides. What one of ours
//! excludes is left out of the list (`excluded`).
//!
//! A field in a file of the kubelet's configuration is judged in the same way (`kubelet_files`): an argument of the kubelet
//! is not written where the file's value stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::existing::{self, ExistingConfig};
use super::kubelet_files::{KUBELET, KubeletFileValue, KubeletFileValues, LeftToFile};
use super::{DropIn, DropInArgument, DropInComponent, DropInKey};
use crate::error::Place;
use crate::k3s::arguments::{self, sets};
use crate::k3s::merge::ConfigItem;
use crate::kubernetes::{feature_gates, flag_values};
use crate::profile::{Accepts, ArgumentTable};

/// Which value counts if an existing one does not satisfy the control (`--on-conflict`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// Override it with the profile's value, with a warning.
    #[default]
    Ours,
    /// Keep the existing value, with a warning.
    Keep,
    /// Stop with an error.
    Fail,
}

/// The existing configuration, and which value counts in a conflict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DropInMerge {
    /// The existing configuration, without the drop-in.
    pub existing: ExistingConfig,
    /// The values of the user's files of the kubelet's configuration.
    pub kubelet_files: KubeletFileValues,
    /// The arguments that the command line of K3s gives each component.
    pub command_line: BTreeMap<String, Vec<ConfigItem>>,
    /// Which value counts in a conflict.
    pub on_conflict: OnConflict,
    /// Whether K3s takes an item of the kubelet's arguments without `=` together with the next one.
    pub kubelet_takes_pairs: bool,
    /// Admission plugins that the minor does not have: with one the API server does not start.
    pub removed_plugins: Vec<String>,
}

/// The drop-in, merged with the existing configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedDropIn {
    /// The content of the drop-in.
    pub configuration: DropIn,
    /// Existing values that do not satisfy their control, with their places.
    pub conflicts: Vec<(String, Place)>,
    /// What is not written, because a file of the kubelet's configuration has it.
    pub left: Vec<LeftToFile>,
    /// Why a file is not written that a setting asks for: what of the user's it does not go with, with its place.
    pub excluded: Vec<(String, Place)>,
}

/// What the files say that the user's arguments name, and psa.yaml.
#[derive(Debug, Default)]
pub(super) struct UsersConfigurations {
    /// Why a file is weaker than ours, by argument, and who wins.
    pub(super) weaker: BTreeMap<&'static str, (String, OnConflict)>,
    /// Whether psa.yaml has limits of events that were the user's.
    pub(super) has_limits: bool,
}

/// What merging finds out besides the drop-in.
#[derive(Debug, Default)]
struct MergeNotes {
    conflicts: Vec<(String, Place)>,
    left: Vec<LeftToFile>,
    /// Values of the user's that are not in force, because what stands in the drop-in stays: the run is not about it.
    overridden: Vec<(String, Place)>,
}

impl DropInMerge {
    /// Merges the drop-in `ours` with the existing configuration; `users` is what is known of the files that it names.
    #[must_use]
    pub(super) fn merge(&self, mut ours: DropIn, users: &UsersConfigurations) -> MergedDropIn {
        let mut notes = MergeNotes::default();
        self.leave_arguments(&mut ours, &mut notes);
        let keys = std::mem::take(&mut ours.keys);
        for key in keys {
            let file = self.file_value_of_key(&key);
            if file.is_some_and(|file| self.is_left(file, &DropInArgument::of_key(&key), &mut notes)) {
                continue;
            }
            // Here K3s writes the key into the first drop-in of the kubelet, and the user's file counts more.
            if file.is_some() && self.kubelet_takes_pairs {
                ours.kubelet().arguments.insert(0, DropInArgument::of_key(&key));
            }
            if self.keeps_key(&key, &mut notes) {
                ours.keys.push(key);
            }
        }
        let components = std::mem::take(&mut ours.components);
        let merged = components.into_iter().filter(|component| !component.arguments.is_empty());
        ours.components = merged.map(|component| self.component(component, users, &mut notes)).collect();
        let MergeNotes { conflicts, left, overridden } = notes;
        MergedDropIn { configuration: ours, conflicts, left, excluded: overridden }
    }

    /// Takes away the arguments of the kubelet that are left to the user's files.
    fn leave_arguments(&self, ours: &mut DropIn, notes: &mut MergeNotes) {
        for component in ours.components.iter_mut().filter(|component| component.name == KUBELET) {
            component.arguments.retain(|argument| {
                let file = self.kubelet_files.get(&argument.name).filter(|_| !argument.kept);
                !file.is_some_and(|file| self.is_left(file, argument, notes))
            });
        }
    }

    /// Tells whether one of K3s's own keys is written beside the user's.
    fn keeps_key(&self, key: &DropInKey, notes: &mut MergeNotes) -> bool {
        let Some(item) = self.existing.before_ours(&key.name).last().cloned() else { return true };
        if existing::is_same_value(&item.text, &key.value) || item.text.is_empty() {
            return true;
        }
        if key.kept {
            notes.overridden.push((overridden(&key.name, &item.text, &key.value.to_string()), item.place));
            return true;
        }
        notes
            .conflicts
            .push((self.conflict_message(&key.name, &item.text, &key.value.to_string()), item.place.clone()));
        self.on_conflict != OnConflict::Keep
    }

    /// Returns the value of a user's file that counts as much as a key of K3s's own, or more.
    fn file_value_of_key(&self, key: &DropInKey) -> Option<&KubeletFileValue> {
        // Where K3s makes an argument of the key, the user's key counts more than the file.
        let counts = self.kubelet_takes_pairs || self.existing.before_ours(&key.name).is_empty();
        self.kubelet_files.get(&key.name).filter(|_| counts && !key.kept)
    }

    /// Tells whether an argument of the kubelet is left to a user's file: its value satisfies the control, or it is to be
    /// kept all the same.
    fn is_left(&self, file: &KubeletFileValue, ours: &DropInArgument, notes: &mut MergeNotes) -> bool {
        let KubeletFileValue { field, text, place } = file;
        let DropInArgument { name, value, controls, .. } = ours;
        let serves = satisfies(ours.accepts, text, value);
        if !serves {
            let is_replaced = self.kubelet_files.is_ours_replaced && self.on_conflict == OnConflict::Ours;
            let end = if is_replaced { REPLACED } else { conflict_end(self.on_conflict) };
            let message =
                format!("{KUBELET}: {field} is {text:?}, but k3s-harden sets {name} to {value:?}: {end}");
            notes.conflicts.push((message, place.clone()));
        }
        if !serves && self.on_conflict != OnConflict::Keep {
            return false;
        }
        let reason = serves.then(|| {
            let control = if controls.is_empty() { "it".to_owned() } else { format!("CIS {controls}") };
            format!("{place}: {field} is {text:?}, which satisfies {control}: the value is kept, and {name} is not written")
        });
        notes.left.push(LeftToFile {
            name: name.clone(),
            // In a comment: YAML ends a line at more than a line feed.
            file: place.file.escape_debug().to_string(),
            controls: controls.clone(),
            ids: ours.ids.clone(),
            reason,
        });
        true
    }

    fn component(
        &self,
        ours: DropInComponent,
        users: &UsersConfigurations,
        notes: &mut MergeNotes,
    ) -> DropInComponent {
        let written = self.existing.before_ours(&format!("{}-arg", ours.name));
        let (theirs, takes_next) = if ours.name == KUBELET && self.kubelet_takes_pairs {
            items_in_force(&written)
        } else {
            (written, false)
        };
        let collides = |item: &ConfigItem| {
            ours.arguments.iter().any(|argument| {
                let mut names = argument.excludes.iter().chain([&argument.name]);
                names.any(|name| sets(&item.text, name))
            })
        };
        let enabled = ours
            .arguments
            .iter()
            .find(|argument| argument.name == ENABLE)
            .map_or_else(String::new, |argument| argument.value.clone());
        let disables = |item: &ConfigItem| {
            sets(&item.text, DISABLE)
                && value_of(item).split(',').any(|word| enabled.split(',').any(|on| on == word))
        };
        if !takes_next && !theirs.iter().any(|item| collides(item) || disables(item)) {
            return ours;
        }
        let others = theirs.iter().filter(|item| !collides(item)).map(|item| DropInArgument {
            name: argument_name(&item.text).to_owned(),
            value: value_of(item).to_owned(),
            controls: String::new(),
            from: Some(item.place.file.clone()),
            accepts: Accepts::Any,
            excludes: &[],
            ids: Vec::new(),
            kept: false,
        });
        let mut arguments: Vec<DropInArgument> = others.collect();
        for argument in ours.arguments {
            let same: Vec<&ConfigItem> =
                theirs.iter().filter(|item| sets(&item.text, &argument.name)).collect();
            arguments.push(self.argument(&ours.name, argument, &same, users, notes));
        }
        let mut component = DropInComponent { name: ours.name, arguments, append: false };
        notes.conflicts.extend(leave_out_event_rate_limit(
            &mut component,
            &enabled,
            &theirs,
            users.has_limits,
        ));
        if let Some(disabled) = theirs.iter().rfind(|item| sets(&item.text, DISABLE)) {
            notes.conflicts.extend(self.resolve_disabled(&mut component, disabled));
        }
        component
    }

    fn argument(
        &self,
        component: &str,
        mut ours: DropInArgument,
        theirs: &[&ConfigItem],
        users: &UsersConfigurations,
        notes: &mut MergeNotes,
    ) -> DropInArgument {
        let conflicts = &mut notes.conflicts;
        let Some(last) = theirs.last() else { return ours };
        let file = Some(last.place.file.clone());
        if ours.accepts == Accepts::Union {
            // A component merges a list that is given more than once.
            let all = theirs
                .iter()
                .map(|item| value_of(item))
                .chain([ours.value.as_str()])
                .collect::<Vec<_>>()
                .join(",");
            let mut united: Vec<&str> = Vec::new();
            for word in all.split(',').filter(|word| !word.is_empty()) {
                if self.removed_plugins.iter().any(|removed| removed == word) {
                    let message = format!(
                        "{word} is left out: this minor does not have it, and the API server would not start"
                    );
                    conflicts.push((message, last.place.clone()));
                } else if !united.contains(&word) {
                    united.push(word);
                }
            }
            return DropInArgument { value: united.join(","), from: file, ..ours };
        }
        if ours.accepts == Accepts::Gates {
            let (value, conflict) = self.gates(component, &ours, theirs);
            conflicts.extend(conflict);
            return DropInArgument { value, from: file, ..ours };
        }
        if ours.kept {
            if value_of(last) != ours.value {
                let name = format!("{component}: {}", ours.name);
                let message = overridden(&name, value_of(last), &ours.value);
                notes.overridden.push((message, last.place.clone()));
            }
            return ours;
        }
        // For any other flag the last value counts.
        let theirs = value_of(last).to_owned();
        if theirs == ours.value {
            return ours;
        }
        if let Some((why, decision)) = users.weaker.get(ours.name.as_str()) {
            let end = conflict_end(*decision);
            let message = format!("{component}: {} is set to {theirs:?}: {why}: {end}", ours.name);
            conflicts.push((message, last.place.clone()));
            if *decision != OnConflict::Keep {
                return ours;
            }
            // The control is not met with it.
            ours.controls = String::new();
            ours.ids = Vec::new();
        } else if !satisfies(ours.accepts, &theirs, &ours.value) {
            let name = format!("{component}: {}", ours.name);
            conflicts.push((self.conflict_message(&name, &theirs, &ours.value), last.place.clone()));
            if self.on_conflict != OnConflict::Keep {
                return ours;
            }
        }
        ours.value = theirs;
        ours.from = file;
        ours
    }

    /// Unites feature gates, which a component merges over all its arguments of that name; the last value of each counts. A
    /// component refuses gates of which some have `kube:` before them, and others nothing.
    fn gates(
        &self,
        component: &str,
        ours: &DropInArgument,
        theirs: &[&ConfigItem],
    ) -> (String, Option<(String, Place)>) {
        let name = ours.value.split('=').next().unwrap_or_default();
        let is_ours = |entry: &str| feature_gates::parts(entry).is_some_and(|(_, gate, _)| gate == name);
        let contradicts = |entry: &str| {
            feature_gates::parts(entry)
                .is_some_and(|(_, gate, value)| gate == name && flag_values::boolean(value) == Some(false))
        };
        let entries = |item: &&ConfigItem| value_of(item).split(',').map(str::to_owned).collect::<Vec<_>>();
        let against = theirs.iter().rfind(|item| value_of(item).split(',').any(contradicts));
        let keeps = against.is_some() && self.on_conflict == OnConflict::Keep;
        let mut united: Vec<String> = Vec::new();
        for entry in theirs.iter().flat_map(entries).filter(|entry| !entry.is_empty()) {
            if (keeps || !is_ours(&entry)) && !united.contains(&entry) {
                united.push(entry);
            }
        }
        if !keeps {
            let theirs = theirs.iter().flat_map(entries);
            let before = theirs.filter_map(|entry| Some(feature_gates::parts(&entry)?.0.to_owned())).next();
            united.push(format!("{}{}", before.unwrap_or_default(), ours.value));
        }
        let conflict = against.map(|item| {
            let flag = format!("{component}: {}", ours.name);
            (self.conflict_message(&flag, value_of(item), &ours.value), item.place.clone())
        });
        (united.join(","), conflict)
    }

    /// The API server does not start with a plugin that is both enabled and disabled.
    fn resolve_disabled(
        &self,
        component: &mut DropInComponent,
        disabled: &ConfigItem,
    ) -> Option<(String, Place)> {
        let words = |component: &DropInComponent, name: &str| -> Vec<String> {
            let argument = component
                .arguments
                .iter()
                .find(|argument| argument.name.trim_end_matches(['+', '-']) == name);
            argument.map_or_else(Vec::new, |argument| argument.value.split(',').map(str::to_owned).collect())
        };
        let (on, off) = (words(component, ENABLE), words(component, DISABLE));
        let both: Vec<&String> = on.iter().filter(|word| off.contains(word)).collect();
        let names_of = both.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(",");
        let loser = if self.on_conflict == OnConflict::Keep { ENABLE } else { DISABLE };
        for argument in &mut component.arguments {
            if argument.name.trim_end_matches(['+', '-']) == loser {
                let left = argument.value.split(',').filter(|word| !both.iter().any(|both| both == word));
                argument.value = left.collect::<Vec<_>>().join(",");
            }
        }
        component.arguments.retain(|argument| !argument.value.is_empty() || argument.name != loser);
        (!both.is_empty()).then(|| {
            (
                self.conflict_message(&format!("{DISABLE} with {names_of}"), &off.join(","), &on.join(",")),
                disabled.place.clone(),
            )
        })
    }

    fn conflict_message(&self, name: &str, theirs: &str, ours: &str) -> String {
        format!(
            "{name} is {theirs:?}, but k3s-harden's value is {ours:?}: {}",
            conflict_end(self.on_conflict)
        )
    }
}

fn conflict_end(decision: OnConflict) -> &'static str {
    match decision {
        OnConflict::Ours => "k3s-harden's value is used; to keep the existing value: --on-conflict keep",
        OnConflict::Keep => "the existing value is kept, and the control is not met",
        OnConflict::Fail => "they contradict",
    }
}

const REPLACED: &str = "k3s-harden's value is written, but has no effect until the later file uses kubelet-arg+ instead of kubelet-arg";
const ENABLE: &str = "enable-admission-plugins";
const DISABLE: &str = "disable-admission-plugins";
const ADMISSION_FILE: &str = "admission-control-config-file";
const EVENT_RATE_LIMIT: &str = "EventRateLimit";

/// Says that a value of the user's is not in force where the drop-in keeps another one.
fn overridden(name: &str, theirs: &str, ours: &str) -> String {
    format!(
        "{name} is {theirs:?}, but the drop-in overrides it with {ours:?}: this run does not include the control, so it does not change the drop-in"
    )
}

/// Returns the value of an argument as K3s splits it.
fn value_of(item: &ConfigItem) -> &str {
    item.text.split_once('=').map_or("true", |(_, value)| value)
}

/// Removes EventRateLimit if the admission configuration that counts has no limits for it: the API server would not
/// start. A file that k3s-harden did not write counts as having limits if the user enables the plugin.
fn leave_out_event_rate_limit(
    component: &mut DropInComponent,
    ours: &str,
    theirs: &[ConfigItem],
    has_limits: bool,
) -> Option<(String, Place)> {
    let plugins_of_theirs = theirs.iter().rfind(|item| sets(&item.text, ENABLE));
    let named =
        plugins_of_theirs.filter(|item| value_of(item).split(',').any(|plugin| plugin == EVENT_RATE_LIMIT));
    let file = component.arguments.iter().find(|argument| argument.name == ADMISSION_FILE);
    let file_is_theirs = file.is_some_and(|argument| argument.from.is_some());
    let place = named.or_else(|| theirs.iter().rfind(|item| sets(&item.text, ADMISSION_FILE)))?.place.clone();
    let message = match (named.is_some(), file_is_theirs) {
        (true, true) => {
            return Some(("EventRateLimit needs limits in the admission configuration. k3s-harden did not write that file and did not check it".to_owned(), place));
        }
        (false, true) => {
            "EventRateLimit is left out: k3s-harden did not write this admission configuration, and it may have no limits for the plugin"
        }
        _ if has_limits || ours.split(',').any(|plugin| plugin == EVENT_RATE_LIMIT) => return None,
        _ => "EventRateLimit is left out: psa.yaml has limits for it only with --set event_rate_limit=true",
    };
    let plugins = component.arguments.iter_mut().find(|argument| argument.name == ENABLE)?;
    let left: Vec<&str> = plugins.value.split(',').filter(|plugin| *plugin != EVENT_RATE_LIMIT).collect();
    let left = left.join(",");
    let removed = left != plugins.value;
    plugins.value = left;
    removed.then(|| (message.to_owned(), place))
}

/// Returns the items of the kubelet's arguments that are in force, each with its value behind a `=`, and whether the last
/// takes what comes behind it: an argument of ours would be lost.
fn items_in_force(written: &[ConfigItem]) -> (Vec<ConfigItem>, bool) {
    let texts: Vec<&str> = written.iter().map(|item| item.text.as_str()).collect();
    let items = arguments::kubelet_items(&texts);
    let takes_next = items.last().is_some_and(|item| item.value.is_none());
    let in_force = items.into_iter().map(|item| {
        let value = if item.is_of_k3s() { item.value.unwrap_or_default() } else { "true" };
        let text = match texts[item.at].contains('=') {
            true => texts[item.at].to_owned(),
            false => format!("{}={value}", item.name),
        };
        ConfigItem { text, ..written[item.at].clone() }
    });
    (in_force.collect(), takes_next)
}

/// Returns the name of an argument as it is written, with a `+` or `-` at its end.
fn argument_name(text: &str) -> &str {
    let text = text.strip_prefix("--").unwrap_or(text);
    text.split('=').next().unwrap_or(text)
}

/// Tells whether the value `theirs` satisfies the control that `ours` implements.
fn satisfies(accepts: Accepts, theirs: &str, ours: &str) -> bool {
    match accepts {
        Accepts::Same => theirs == ours,
        Accepts::Any | Accepts::Union | Accepts::Gates => !theirs.is_empty(),
        Accepts::AtLeast => match (flag_values::integer(theirs), flag_values::integer(ours)) {
            (Some(theirs), Some(ours)) => theirs >= ours,
            (None, None) => theirs >= ours,
            _ => false,
        },
        // Zero in any unit: 0, 0s, 0h0m.
        Accepts::NonZero => {
            theirs.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) && !theirs.starts_with('-')
        }
        Accepts::Strong => {
            let suites = flag_values::comma_separated(theirs).unwrap_or_default();
            !suites.is_empty()
                && suites.iter().all(|suite| ArgumentTable::get().is_strong_cipher_suite(suite))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_knows_what_satisfies_it() {
        for (accepts, theirs, ours, wanted) in [
            (Accepts::Same, "false", "false", true),
            (Accepts::Same, "true", "false", false),
            (Accepts::AtLeast, "90", "30", true),
            (Accepts::AtLeast, "7", "30", false),
            (Accepts::AtLeast, "0x1e", "30", true),
            (Accepts::AtLeast, "030", "30", false),
            (Accepts::AtLeast, "many", "30", false),
            (Accepts::AtLeast, "VersionTLS13", "VersionTLS12", true),
            (Accepts::AtLeast, "VersionTLS10", "VersionTLS12", false),
            (Accepts::NonZero, "0s", "5m", false),
            (Accepts::NonZero, "4h", "5m", true),
            (Accepts::NonZero, "-1", "100", false),
            (Accepts::Strong, "TLS_AES_128_GCM_SHA256", "x", true),
            (Accepts::Strong, "TLS_RSA_WITH_RC4_128_SHA", "x", false),
            (Accepts::Any, "", "x", false),
        ] {
            assert_eq!(satisfies(accepts, theirs, ours), wanted, "{accepts:?} {theirs} {ours}");
        }
    }
}
