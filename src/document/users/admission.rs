// SPDX-License-Identifier: Apache-2.0
//! psa.yaml, united with an admission configuration of the user's: exemptions are united, a stricter level stays, a weaker one
//! is a conflict, his limits of events and the entries of other plugins stay.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::exemptions::{Exempt, OwnExemptions};
use super::files::{ADMISSION_FILE, UsersFile, UsersFiles};
use super::memory::FileMemory;
use super::part::UsersPart;
use super::psa::{self, MODES, POD_SECURITY, PluginValue, ReadAdmission, ReadPodSecurity};
use super::strictness::{
    Strictness, VERSION, compare, is_set, ours_of, setting_of, shown, weakness_of_named,
};
use super::yaml_text::block;
use crate::document::{OnConflict, POLICY_PLUGIN};
use crate::error::Place;
use crate::kubernetes::object::Located;
use crate::node::RootedPath;
use crate::profile::Profile;

const PRESET: &str = "pod_security_preset";
const LIMITS: &str = "event_rate_limits";

/// What a run renders of psa.yaml itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::document) struct RenderedPlugins {
    /// Whether it is about Pod Security.
    pub(in crate::document) pod_security: bool,
    /// Whether it writes limits of ours.
    pub(in crate::document) limits: bool,
    /// Whether it names the folder of the policies.
    pub(in crate::document) policies: bool,
}

/// What psa.yaml has of the user's, besides ours.
#[derive(Debug, Default)]
pub(in crate::document) struct AdmissionUnion {
    pub(in crate::document) namespaces: Vec<String>,
    pub(in crate::document) usernames: Vec<String>,
    pub(in crate::document) runtime_classes: Vec<String>,
    /// The level and the version of each mode, by the names of the fields.
    pub(in crate::document) defaults: BTreeMap<&'static str, (String, String)>,
    /// The limits, those of ours among them.
    pub(in crate::document) limits: Vec<Value>,
    /// Whether some of them are the user's.
    pub(in crate::document) has_users_limits: bool,
    /// The entry for Pod Security, as it was, in a run that is not about it.
    pub(in crate::document) kept_pod_security: Option<String>,
    /// The user's entry where ours names the folder of the policies.
    pub(in crate::document) kept_policies: Option<String>,
    /// The entries of other plugins.
    pub(in crate::document) others: String,
    pub(in crate::document) memory: FileMemory,
    pub(in crate::document) parts: Vec<UsersPart>,
    /// Whether Pod Security enforces less than the profile has.
    pub(in crate::document) is_weaker: bool,
}

/// A configuration with the file that it is from.
struct Source<'a> {
    file: &'a UsersFile,
    read: ReadAdmission,
    /// Whether it is at our path: then ours takes its place whatever becomes of its parts.
    is_at_our_path: bool,
}

impl AdmissionUnion {
    /// Unites ours with what the user has: in psa.yaml at `path`, and in the file that his configuration names if ours takes its
    /// place.
    pub(in crate::document) fn new(
        profile: &Profile,
        users: &UsersFiles,
        path: &RootedPath,
        rendered: RenderedPlugins,
    ) -> Self {
        let mut union = Self::default();
        for mode in MODES {
            union.defaults.insert(mode, ours_of(profile, mode));
        }
        let own =
            users.ours.get("psa").map(|text| UsersFile { path: path.clone(), bytes: text.clone().into() });
        let mut sources = Vec::new();
        let named = users.named.get(ADMISSION_FILE).filter(|_| {
            weakness_of_named(profile, users).is_some()
                && users.decision_of_named(ADMISSION_FILE) != OnConflict::Keep
        });
        for (file, is_at_our_path) in [(users.foreign.get("psa"), true), (named, false)]
            .into_iter()
            .filter_map(|(file, is)| Some((file?, is)))
        {
            match psa::read(file, &users.beside, profile.minor) {
                Ok(read) => sources.push(Source { file, read, is_at_our_path }),
                Err(fault) => {
                    let (place, what) = (file.place(fault.position), "the admission configuration");
                    union.parts.push(UsersPart::unreadable(path, place, what, fault.message));
                }
            }
        }
        if let Some(own) = &own {
            union.remember(profile, users, own, rendered, &mut sources);
        }
        for source in &mut sources {
            let lost = std::mem::take(&mut source.read.lost);
            union.parts.extend(lost.into_iter().map(|(what, why, position)| {
                UsersPart::left_out(path, source.file.place(position), what, why)
            }));
            if let Some(pod_security) = source.read.pod_security.take() {
                union.take_pod_security(profile, users, path, source, pod_security, rendered);
            }
            union.take_limits(profile, path, source);
            union.take_others(users, path, source, rendered);
        }
        if rendered.limits {
            let theirs: Vec<Value> = union.limits.iter().map(|limit| limit["type"].clone()).collect();
            for limit in profile.value(LIMITS).as_array().into_iter().flatten() {
                if !theirs.contains(&limit["type"]) {
                    union.limits.push(limit.clone());
                }
            }
        }
        union
    }

    /// Takes what our own psa.yaml remembers of earlier runs; a part that no run was about yet is one more source.
    fn remember<'a>(
        &mut self,
        profile: &Profile,
        users: &UsersFiles,
        own: &'a UsersFile,
        rendered: RenderedPlugins,
        sources: &mut Vec<Source<'a>>,
    ) {
        let text = String::from_utf8_lossy(&own.bytes);
        let memory = match FileMemory::read(&text) {
            Ok(memory) => memory,
            Err(why) => return self.parts.push(UsersPart::damaged(&own.path, why)),
        };
        if memory == FileMemory::default() {
            return;
        }
        let mut read = match psa::read(own, &BTreeMap::new(), profile.minor) {
            Ok(read) => read,
            Err(fault) => {
                let (place, what) = (own.place(fault.position), "what an earlier run took over");
                let why = format!("the file cannot be read ({})", fault.message);
                return self.parts.push(UsersPart::left_out(&own.path, place, what, why));
            }
        };
        let is_pending = memory.pending.iter().any(|name| name == POD_SECURITY);
        if !rendered.pod_security {
            // Its text is kept as it stands.
            let enforced = read.pod_security.as_ref().map(|found| &found.defaults["enforce"].value);
            let is_weak = |theirs| compare(theirs, &ours_of(profile, "enforce")) == Strictness::Weaker;
            let is_taken = memory.defaults.iter().any(|mode| mode == "enforce");
            self.is_weaker = is_pending || is_taken && enforced.is_some_and(is_weak);
            self.memory.namespaces = memory.namespaces;
            self.memory.usernames = memory.usernames;
            self.memory.runtime_classes = memory.runtime_classes;
            self.memory.defaults = memory.defaults;
            self.memory.pending = memory.pending;
        } else if is_pending {
            let pod_security = read.pod_security.take();
            let read = ReadAdmission { pod_security, ..ReadAdmission::default() };
            sources.push(Source { file: own, read, is_at_our_path: true });
        } else if let Some(found) = read.pod_security {
            let names = |found: Vec<Located<String>>, known: &[String]| {
                let names = found.into_iter().map(|name| name.value);
                names.filter(|name| known.contains(name)).collect::<Vec<_>>()
            };
            let ours = OwnExemptions::of(profile);
            self.exempt(&ours, names(found.namespaces, &memory.namespaces), Exempt::Namespace);
            self.exempt(&ours, names(found.usernames, &memory.usernames), Exempt::User);
            self.exempt(&ours, names(found.runtime_classes, &memory.runtime_classes), Exempt::RuntimeClass);
            for (mode, theirs) in found.defaults {
                if memory.defaults.iter().any(|known| known == mode) {
                    let place = own.place(theirs.position);
                    let decision = users.decision_of_remembered();
                    self.remember_default(profile, decision, (&own.path, place), mode, theirs.value);
                }
            }
        }
        for limit in read.limits {
            let kind = limit.value["type"].as_str().unwrap_or_default().to_owned();
            if memory.limits.contains(&kind) && !self.is_ours(profile, &limit.value) {
                self.push_limit(limit.value, kind);
            }
        }
        for other in read.others {
            if memory.plugins.contains(&other.name) {
                self.push_other(&own.path, own.place(other.position), &other, users.decision(), rendered);
            }
        }
    }

    /// A level that an earlier run took over stays unless the user has said another one since.
    fn remember_default(
        &mut self,
        profile: &Profile,
        decision: OnConflict,
        (file, place): (&RootedPath, Place),
        mode: &'static str,
        theirs: (String, String),
    ) {
        if is_set(profile, &[setting_of(mode), VERSION]) {
            return;
        }
        match compare(&theirs, &ours_of(profile, mode)) {
            Strictness::Same => return,
            Strictness::Stricter => {}
            Strictness::Weaker if decision == OnConflict::Ours => {
                let what = default_in_words(profile, mode, &theirs);
                return self.parts.push(UsersPart::conflict(file, place, what, decision));
            }
            Strictness::Weaker => self.is_weaker |= mode == "enforce",
        }
        self.memory.defaults.push(mode.to_owned());
        self.defaults.insert(mode, theirs);
    }

    fn take_pod_security(
        &mut self,
        profile: &Profile,
        users: &UsersFiles,
        path: &RootedPath,
        source: &Source<'_>,
        found: ReadPodSecurity,
        rendered: RenderedPlugins,
    ) {
        if !rendered.pod_security {
            if source.is_at_our_path {
                self.kept_pod_security = Some(entry_text(&found.entry));
                self.memory.pending = vec![POD_SECURITY.to_owned()];
                // Nobody has judged it yet.
                self.is_weaker = true;
                let what = "the entry of the plugin PodSecurity";
                let part = UsersPart::stays(path, source.file.place(found.position), what);
                self.parts.push(part.because("this run does not include its control"));
            }
            return;
        }
        for (mode, theirs) in &found.defaults {
            self.take_default(
                profile,
                users,
                path,
                (source.file.place(theirs.position), mode),
                &theirs.value,
            );
        }
        let ours = OwnExemptions::of(profile);
        let theirs: Vec<&str> = found.namespaces.iter().map(|name| name.value.as_str()).collect();
        let more: Vec<&str> =
            ours.namespaces.iter().map(String::as_str).filter(|name| !theirs.contains(name)).collect();
        if !more.is_empty() {
            let what = format!("Pod Security applies to the namespaces {}", more.join(", "));
            let part = UsersPart::stays(path, source.file.place(found.exemptions), what).replaced();
            let why =
                format!("k3s-harden exempts the namespaces of {PRESET} and pod_security_exempt_namespaces");
            self.parts.push(part.weakening().because(why));
        }
        for (names, kind) in [
            (found.namespaces, Exempt::Namespace),
            (found.usernames, Exempt::User),
            (found.runtime_classes, Exempt::RuntimeClass),
        ] {
            for name in names {
                if self.exempt(&ours, vec![name.value.clone()], kind) {
                    let what = format!("{} {} is exempt from Pod Security", kind.noun(), name.value);
                    let part = UsersPart::stays(path, source.file.place(name.position), what);
                    self.parts.push(part.weakening());
                }
            }
        }
    }

    fn take_default(
        &mut self,
        profile: &Profile,
        users: &UsersFiles,
        path: &RootedPath,
        (place, mode): (Place, &'static str),
        theirs: &(String, String),
    ) {
        let ours = ours_of(profile, mode);
        // What only warns or is only recorded is no conflict where the user has not said it.
        if theirs.0.is_empty() && mode != "enforce" {
            return;
        }
        let what = default_in_words(profile, mode, theirs);
        let strictness = compare(theirs, &ours);
        if strictness == Strictness::Same {
            return;
        }
        if is_set(profile, &[setting_of(mode), VERSION]) {
            let why = format!("the setting {} overrides it", setting_of(mode));
            self.parts.push(UsersPart::stays(path, place, what).replaced().because(why));
            return;
        }
        if strictness == Strictness::Stricter {
            self.parts.push(UsersPart::stays(path, place, what));
        } else {
            self.parts.push(UsersPart::conflict(path, place, what, users.decision()));
            if users.decision() != OnConflict::Keep {
                return;
            }
            self.is_weaker |= mode == "enforce";
        }
        let (level, version) = theirs.clone();
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        self.defaults.insert(mode, (or(level, "privileged"), or(version, "latest")));
        self.memory.defaults.retain(|known| known != mode);
        self.memory.defaults.push(mode.to_owned());
    }

    fn take_limits(&mut self, profile: &Profile, path: &RootedPath, source: &mut Source<'_>) {
        let limits = std::mem::take(&mut source.read.limits);
        // Of one that another source has already, that one stays.
        let known: Vec<Value> = self.limits.iter().map(|limit| limit["type"].clone()).collect();
        for limit in limits.into_iter().filter(|limit| !known.contains(&limit.value["type"])) {
            let kind = limit.value["type"].as_str().unwrap_or_default().to_owned();
            let place = source.file.place(limit.position);
            let what = format!(
                "the limit of events {kind}, qps {} and burst {}",
                limit.value["qps"], limit.value["burst"]
            );
            if self.is_ours(profile, &limit.value) {
                let part = UsersPart::stays(path, place, what).replaced();
                self.parts.push(part.because(format!("the setting {LIMITS} overrides it")));
                continue;
            }
            let part = UsersPart::stays(path, place, what);
            self.parts.push(match looser_than_ours(profile, &limit.value) {
                true => part.weakening().because(format!("that of {LIMITS} is lower")),
                false => part,
            });
            self.push_limit(limit.value, kind);
        }
    }

    /// Tells whether the user has told k3s-harden itself another limit of that type.
    fn is_ours(&self, profile: &Profile, limit: &Value) -> bool {
        profile.is_on("event_rate_limit")
            && is_set(profile, &[LIMITS])
            && ours_of_type(profile, limit).is_some()
    }

    fn push_limit(&mut self, limit: Value, kind: String) {
        if !self.memory.limits.contains(&kind) {
            self.memory.limits.push(kind);
        }
        self.limits.push(limit);
        self.has_users_limits = true;
    }

    fn take_others(
        &mut self,
        users: &UsersFiles,
        path: &RootedPath,
        source: &mut Source<'_>,
        rendered: RenderedPlugins,
    ) {
        for other in std::mem::take(&mut source.read.others) {
            let place = source.file.place(other.position);
            if self.memory.plugins.contains(&other.name) {
                continue;
            }
            if !(other.name == POLICY_PLUGIN && rendered.policies) {
                self.parts.push(UsersPart::stays(path, place.clone(), entry_name(&other)));
            }
            self.push_other(path, place, &other, users.decision(), rendered);
        }
    }

    /// Adds an entry of another plugin. That of the policies is a conflict where the profile has some, also if an earlier run, whose
    /// profile had none, has taken it over.
    fn push_other(
        &mut self,
        path: &RootedPath,
        place: Place,
        other: &PluginValue,
        decision: OnConflict,
        rendered: RenderedPlugins,
    ) {
        let text = entry_text(&other.entry);
        if other.name == POLICY_PLUGIN && rendered.policies {
            self.parts.push(UsersPart::conflict(path, place, entry_name(other), decision));
            if decision != OnConflict::Keep {
                return;
            }
            self.kept_policies = Some(text);
        } else {
            self.others.push_str(&text);
        }
        self.memory.plugins.push(other.name.clone());
    }

    /// Exempts names that ours does not exempt; tells whether one was added.
    fn exempt(&mut self, ours: &OwnExemptions, names: Vec<String>, kind: Exempt) -> bool {
        let (ours, list, remembered) = match kind {
            Exempt::Namespace => (&ours.namespaces, &mut self.namespaces, &mut self.memory.namespaces),
            Exempt::User => (&ours.usernames, &mut self.usernames, &mut self.memory.usernames),
            Exempt::RuntimeClass => {
                (&ours.runtime_classes, &mut self.runtime_classes, &mut self.memory.runtime_classes)
            }
        };
        let before = list.len();
        for name in names {
            if !ours.contains(&name) && !list.contains(&name) {
                list.push(name.clone());
                remembered.push(name);
            }
        }
        list.len() > before
    }
}

fn entry_name(other: &PluginValue) -> String {
    format!("the entry of the plugin {}", other.name)
}

/// Returns the lines of a plugin's entry, its name first.
fn entry_text(entry: &Value) -> String {
    let mut rest = entry.clone();
    let name = rest.as_object_mut().and_then(|fields| fields.remove("name")).unwrap_or_default();
    let name = block(&json!([{"name": name}]), 2);
    match rest.as_object().is_some_and(|fields| !fields.is_empty()) {
        true => name + &block(&rest, 4),
        false => name,
    }
}

fn default_in_words(profile: &Profile, mode: &str, theirs: &(String, String)) -> String {
    let ours = shown(&ours_of(profile, mode));
    format!("PodSecurity has {mode}: {}, but k3s-harden's value is {ours}", shown(theirs))
}

fn ours_of_type<'p>(profile: &'p Profile, limit: &Value) -> Option<&'p Value> {
    let ours = profile.value(LIMITS).as_array()?;
    ours.iter().find(|known| known["type"] == limit["type"])
}

fn looser_than_ours(profile: &Profile, limit: &Value) -> bool {
    let is_more = |ours: &Value, field: &str| limit[field].as_i64() > ours[field].as_i64();
    profile.is_on("event_rate_limit")
        && ours_of_type(profile, limit).is_some_and(|ours| is_more(ours, "qps") || is_more(ours, "burst"))
}
