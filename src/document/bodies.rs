// SPDX-License-Identifier: Apache-2.0
//! What writes the body of each file.

use std::collections::BTreeMap;

use serde::Serialize;
use tera::Context;

use super::drop_in::DropInContext;
use super::drop_in_merge::UsersConfigurations;
use super::engine::Engine;
use super::excluded::Exclusion;
use super::file_table::{LOCAL_POLICY, LOCAL_SYSCTL, ROWS};
use super::target::RenderTarget;
use super::users::admission::{AdmissionUnion, RenderedPlugins};
use super::users::audit::{self, AuditUnion};
use super::users::objects::{ObjectUnion, RenderedObjects};
use super::users::strictness;
use super::users::sysctls::{LocalText, SysctlUnion};
use super::users::{ADMISSION_FILE, AUDIT_FILE};
use super::{
    DropIn, MergedDropIn, OnConflict, PresentFiles, UsersPart, admission, admission_files, anonymous_health,
    drop_in, policy,
};
use crate::Role;
use crate::k3s::RunningComponents;
use crate::kubernetes::kernel_parameters::{self, KernelParameter};
use crate::node::RootedPath;
use crate::profile::{ArgumentTable, ControlId, ControlSelection, Profile};

/// What the functions that write a body share.
pub(super) struct RenderContext<'a> {
    pub(super) profile: &'a Profile,
    pub(super) target: &'a RenderTarget,
    pub(super) engine: Engine,
    /// The values that templates read: all settings, and what a function adds for its template.
    pub(super) values: Context,
    /// The documents written so far, by key, with the controls that each implements: the drop-in refers to them.
    pub(super) written: Vec<(&'a str, Vec<ControlId>)>,
    /// The K3s configuration that the profile sets, before and after it is merged with the node's.
    pub(super) requested: DropIn,
    pub(super) merged: MergedDropIn,
    /// What the user's arguments leave of the authentication configuration.
    pub(super) exclusion: Exclusion,
    /// Why files that the user's configuration names in place of ours are weaker, by argument, and who wins.
    pub(super) weaker_files: BTreeMap<&'static str, (String, OnConflict)>,
    /// Whether psa.yaml has limits of events that are the user's.
    pub(super) has_users_limits: bool,
    /// What of the user's is taken over into audit.yaml and psa.yaml.
    pub(super) parts: Vec<UsersPart>,
    sysctls: Option<SysctlUnion>,
    objects: Option<(ObjectUnion, Vec<&'static str>)>,
}

impl<'a> RenderContext<'a> {
    /// Begins with the settings of a profile and no document.
    pub(super) fn new(profile: &'a Profile, target: &'a RenderTarget, templates: Vec<&str>) -> Self {
        let settings = profile.values.iter().map(|(name, resolved)| (name, &resolved.value));
        let mut values = Context::new();
        values.insert("settings", &settings.collect::<BTreeMap<_, _>>());
        Self {
            profile,
            target,
            engine: Engine::new(templates),
            values,
            written: Vec::new(),
            requested: DropIn::default(),
            merged: MergedDropIn::default(),
            exclusion: Exclusion::default(),
            weaker_files: BTreeMap::new(),
            has_users_limits: false,
            parts: Vec::new(),
            sysctls: None,
            objects: None,
        }
    }

    /// Returns where a file of the table goes on this node.
    fn path_of(&self, key: &str) -> RootedPath {
        let row = ROWS.iter().find(|row| row.key == key).expect("it is in the table");
        row.place.on_node(&self.target.config, &self.target.data_dir)
    }

    /// Returns the kernel parameters, united with the user's.
    fn united_sysctls(&mut self) -> &SysctlUnion {
        let union = self.sysctls.take().unwrap_or_else(|| {
            let ours: Vec<(String, String)> = sysctls(self.profile, &self.target.running)
                .into_iter()
                .map(|row| (row.key.clone(), row.value.to_string()))
                .collect();
            let (path, local) = (self.path_of("sysctl"), self.path_of(LOCAL_SYSCTL));
            let is_written = self.profile.selection.wants(&[KERNEL]) && !ours.is_empty();
            match is_written {
                true => SysctlUnion::new(&self.target.users, &ours, &path, &local),
                false => SysctlUnion::untouched(&self.target.users),
            }
        });
        self.sysctls.insert(union)
    }

    /// Returns policy.yaml, united with the user's objects.
    fn united_objects(&mut self) -> &(ObjectUnion, Vec<&'static str>) {
        let union = self.objects.take().unwrap_or_else(|| {
            let (profile, target) = (self.profile, self.target);
            let (text, mut controls) = policy::render(&self.engine, profile, target, &mut self.values);
            let all = (profile.selection != ControlSelection::default())
                .then(|| policy::render_all(profile, &self.values));
            let rendered = RenderedObjects {
                text: &text,
                all: all.as_deref(),
                is_gone: &|kind, name| policy::is_gone(profile, kind, name),
                rank: &policy::rank,
                minor: profile.minor,
            };
            let (path, local) = (self.path_of("policy"), self.path_of(LOCAL_POLICY));
            let union = match policy::is_changed_by(profile, &target.present) {
                true => ObjectUnion::new(&target.users, rendered, &path, &local),
                false => ObjectUnion::untouched(&target.users, text.clone()),
            };
            // Nobody has judged what waits for a run about it.
            for (kind, name) in &union.pending {
                controls.retain(|control| !policy::controls_of_object(kind, name).contains(control));
            }
            (union, controls)
        });
        self.objects.insert(union)
    }

    /// Returns what of the user's the run takes over.
    pub(super) fn taken_over(&self) -> Vec<UsersPart> {
        let sysctls = self.sysctls.iter().flat_map(|union| &union.parts);
        let objects = self.objects.iter().flat_map(|(union, _)| &union.parts);
        self.parts.iter().chain(sysctls).chain(objects).cloned().collect()
    }

    /// Returns what the user should know of his objects.
    pub(super) fn object_warnings(&self) -> Vec<String> {
        self.objects.as_ref().map_or_else(Vec::new, |(union, _)| union.warnings.clone())
    }

    /// Returns the kernel parameters of ours in whose place the user's count.
    pub(super) fn left_sysctls(&self) -> Vec<String> {
        self.sysctls.as_ref().map_or_else(Vec::new, |union| union.left.clone())
    }

    /// Tells whether the run is about `controls`, or the node's document `key` is there already.
    fn wants_document(&self, controls: &[&str], key: &str) -> bool {
        self.profile.selection.wants(controls) || self.target.present.has_document(key)
    }

    /// Returns what psa.yaml has for an admission plugin, if it has anything: `rendered` if the run is about its control.
    fn admission_plugin(&self, control: &str, plugin: &str, is_on: bool) -> Option<PluginText> {
        let present = self.target.present.admission_plugins();
        if self.profile.selection.wants(&[control]) {
            return is_on.then_some(PluginText::Rendered);
        }
        match present {
            Some(plugins) => {
                let entry = plugins.iter().find(|(name, _)| name == plugin);
                entry.map(|(_, text)| PluginText::Kept(text.clone()))
            }
            // The file cannot be taken apart: nothing of it is removed.
            None => is_on.then_some(PluginText::Rendered),
        }
    }

    /// Tells whether the files with policies are there after the run, some of them at least.
    fn has_policies(&self) -> bool {
        let present = &self.target.present;
        let is_left =
            |key: &str| present.has_document(key) && !admission::is_changed_by(key, self.profile, present);
        self.written.iter().any(|(key, _)| admission_files::is_admission_file(key))
            || admission_files::KEYS.into_iter().any(is_left)
    }
}

/// The text of an admission plugin in psa.yaml.
pub(super) enum PluginText {
    /// That of the template.
    Rendered,
    /// What the node has.
    Kept(String),
}

impl PluginText {
    fn kept(text: Option<&Self>) -> &str {
        match text {
            Some(Self::Kept(text)) => text,
            _ => "",
        }
    }
}

/// A file without its header, and the controls that it implements.
pub(super) type Body = (String, Vec<ControlId>);

/// Returns the K3s configuration of a role; `documents` are the files that it refers to, by key and controls.
#[must_use]
pub fn configuration(
    profile: &Profile,
    role: Role,
    running: &RunningComponents,
    data_dir: &RootedPath,
    documents: &[(&str, Vec<ControlId>)],
    present: &PresentFiles,
) -> DropIn {
    let pod_security_policies = policy::has_pod_security_policies(profile, present);
    let context = DropInContext { role, running, data_dir, documents, pod_security_policies, present };
    DropIn::new(profile, ArgumentTable::get(), context)
}

/// Returns the kernel parameters that the profile sets in the running kernel; none if the run is not about them.
pub(super) fn live_sysctls(profile: &Profile, running: &RunningComponents) -> Vec<&'static KernelParameter> {
    if profile.selection.wants(&[KERNEL]) { sysctls(profile, running) } else { Vec::new() }
}

/// Returns the kernel parameters that the profile sets on a node, for its kubelet.
fn sysctls(profile: &Profile, running: &RunningComponents) -> Vec<&'static KernelParameter> {
    if !running.has("kubelet") {
        return Vec::new();
    }
    let settings = &ArgumentTable::get().sysctl_settings;
    let is_written = |parameter: &&KernelParameter| {
        settings.get(&parameter.key).into_iter().flatten().all(|setting| profile.is_on(setting))
    };
    kernel_parameters::all().iter().filter(is_written).collect()
}

/// The control of the kernel parameters.
pub(super) const KERNEL: &str = "protect-kernel-defaults";
/// The admission plugins that psa.yaml configures, with their controls.
pub(super) const ADMISSION_PLUGINS: [(&str, &str); 2] =
    [("pod-security", "PodSecurity"), ("event-rate-limit", "EventRateLimit")];

pub(super) fn wants_admission_configuration(profile: &Profile) -> bool {
    ADMISSION_PLUGINS.iter().any(|(control, _)| profile.selection.wants(&[control]))
        || wants_policies(profile)
}

/// Tells whether the run is about a policy of the API server's own files.
pub(super) fn wants_policies(profile: &Profile) -> bool {
    admission::controls().iter().any(|control| profile.selection.wants(&[control]))
}

pub(super) fn kernel_parameters(context: &mut RenderContext<'_>) -> Option<Body> {
    if !context.wants_document(&[KERNEL], "sysctl") {
        return None;
    }
    let left = context.united_sysctls().left.clone();
    let mut rows = sysctls(context.profile, &context.target.running);
    rows.retain(|row| !left.contains(&row.key));
    let parameters: Vec<Parameter<'_>> =
        rows.iter().map(|row| Parameter { key: &row.key, value: row.value }).collect();
    context.values.insert("sysctls", &parameters);
    (!rows.is_empty()).then(|| {
        let body = context.engine.render("90-kubelet.conf.tera", &context.values);
        (body, context.profile.ids(&[KERNEL]))
    })
}

pub(super) fn audit_policy(context: &mut RenderContext<'_>) -> Option<Body> {
    context.wants_document(&["audit-policy"], "audit").then(|| {
        let own = context.target.audit_policy.clone();
        let is_told = own.is_some();
        let is_chosen = strictness::is_set(context.profile, &["audit_policy"]);
        let ours = own.unwrap_or_else(|| context.engine.render("audit.yaml.tera", &context.values));
        let RenderContext { profile, target, .. } = *context;
        if profile.selection.wants(&["audit-policy"])
            && let Some(why) = audit::weakness_of_named(&target.users, &ours, profile.minor)
        {
            context.weaker_files.insert(AUDIT_FILE, (why, target.users.decision_of_named(AUDIT_FILE)));
        }
        let path = context.path_of("audit");
        let union = AuditUnion::new(&target.users, &path, ours, profile.minor, is_told, is_chosen);
        context.parts.extend(union.parts);
        let controls = if union.is_weaker { Vec::new() } else { profile.ids(&["audit-policy"]) };
        (union.body, controls)
    })
}

pub(super) fn admission_policies(key: &'static str, context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, engine, values, .. } = context;
    let (body, controls) = admission::render(key, engine, profile, &target.present, values);
    (!body.is_empty()).then(|| (body, profile.ids(&controls)))
}

/// From 1.25 on, when one of its plugins is wanted.
pub(super) fn admission_configuration(context: &mut RenderContext<'_>) -> Option<Body> {
    let profile = context.profile;
    // Without a part that the run is about there is nothing to write beside a file in another data directory.
    if !wants_admission_configuration(profile) && !context.target.present.has_document("psa") {
        return None;
    }
    // The settings of PodSecurity are null on minors without it.
    let has_pod_security = !profile.value("pod_security_enforce").is_null();
    let pod_security = context.admission_plugin("pod-security", "PodSecurity", has_pod_security);
    let is_on = profile.is_on("event_rate_limit");
    let event_rate_limit = context.admission_plugin("event-rate-limit", "EventRateLimit", is_on);
    let policies = match context.target.present.admission_plugins() {
        Some(plugins) if !wants_policies(profile) => {
            let entry = plugins.iter().find(|(name, _)| name == admission::POLICY_PLUGIN);
            entry.map(|(_, text)| PluginText::Kept(text.clone()))
        }
        _ => context.has_policies().then_some(PluginText::Rendered),
    };
    if pod_security.is_none() && event_rate_limit.is_none() && policies.is_none() {
        return None;
    }
    let is_rendered = |text: &Option<PluginText>| matches!(text, Some(PluginText::Rendered));
    let rendered = RenderedPlugins {
        pod_security: is_rendered(&pod_security),
        limits: is_rendered(&event_rate_limit),
        policies: policies.is_some(),
    };
    let users = &context.target.users;
    if let Some(why) = strictness::weakness_of_named(profile, users) {
        context.weaker_files.insert(ADMISSION_FILE, (why, users.decision_of_named(ADMISSION_FILE)));
    }
    let union = AdmissionUnion::new(profile, users, &context.path_of("psa"), rendered);
    context.has_users_limits = union.has_users_limits;
    context.parts.extend(union.parts.iter().cloned());
    let pod_security = union.kept_pod_security.clone().map(PluginText::Kept).or(pod_security);
    let policies = union.kept_policies.clone().map(PluginText::Kept).or(policies);
    context.values.insert("kept_pod_security", PluginText::kept(pod_security.as_ref()));
    context.values.insert("kept_event_rate_limit", PluginText::kept(event_rate_limit.as_ref()));
    context.values.insert("kept_policies", PluginText::kept(policies.as_ref()));
    context.values.insert("policies", &policies.is_some());
    for (mode, (level, version)) in &union.defaults {
        context.values.insert(format!("{mode}_level"), level);
        context.values.insert(format!("{mode}_version"), version);
    }
    let with = |ours: &str, theirs: &[String]| [profile.texts(ours), theirs.to_vec()].concat();
    context.values.insert("exempt_users", &with("pod_security_exempt_users", &union.usernames));
    context.values.insert(
        "exempt_runtime_classes",
        &with("pod_security_exempt_runtime_classes", &union.runtime_classes),
    );
    context.values.insert("event_rate_limits", &union.limits);
    context.values.insert("other_plugins", &union.others);
    let folder = context.target.data_dir.join(admission_files::ADMISSION_FOLDER);
    context.values.insert("policies_folder", folder.as_str());
    let (pod_security, event_rate_limit) = (pod_security.is_some(), event_rate_limit.is_some());
    context.values.insert("pod_security", &pod_security);
    context.values.insert("event_rate_limit", &(event_rate_limit || union.has_users_limits));
    context.values.insert("exempt_namespaces", &[profile.exempt_namespaces(), union.namespaces].concat());
    let mut controls: Vec<&str> = Vec::new();
    controls.extend((pod_security && !union.is_weaker).then_some("pod-security"));
    controls.extend(event_rate_limit.then_some("event-rate-limit"));
    let mut ids = profile.ids(&controls);
    if policies.is_some() {
        let written = context.written.iter().filter(|(key, _)| admission_files::is_admission_file(key));
        let mut of_policies: Vec<ControlId> = written.flat_map(|(_, ids)| ids).cloned().collect();
        of_policies.sort();
        of_policies.dedup();
        context.written.push((admission_files::ANY, of_policies.clone()));
        ids.extend(of_policies);
        ids.sort();
        ids.dedup();
    }
    Some((union.memory.line() + &context.engine.render("psa.yaml.tera", &context.values), ids))
}

/// From 1.32 on, unless the user's arguments exclude it. A run that is not about it takes no decision anew.
pub(super) fn authentication_configuration(context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, .. } = *context;
    let control = [anonymous_health::CONTROL];
    if !profile.is_on(anonymous_health::SETTING)
        || !context.wants_document(&control, anonymous_health::DOCUMENT)
    {
        return None;
    }
    let rows = &ArgumentTable::get().arguments;
    let row = rows.iter().find(|row| row.document.as_deref() == Some(anonymous_health::DOCUMENT))?;
    if profile.selection.wants(&control) {
        let value = drop_in::text_of(&row.value, profile, &target.data_dir).unwrap_or_default();
        context.exclusion = target.drop_in_merge.exclusion(row, &value, anonymous_health::SETTING);
    }
    context.exclusion.left.is_none().then(|| {
        context.values.insert("authentication_version", anonymous_health::api_version(profile.minor));
        (context.engine.render("authentication.yaml.tera", &context.values), profile.ids(&control))
    })
}

pub(super) fn policies(context: &mut RenderContext<'_>) -> Option<Body> {
    let profile = context.profile;
    let (union, controls) = context.united_objects();
    (!union.policy.is_empty()).then(|| (union.policy.clone(), profile.ids(controls)))
}

/// What of the user's is in a file of his own. A file that stays as it is has its header already.
pub(super) fn local(key: &str, context: &mut RenderContext<'_>) -> Option<Body> {
    let local = match key {
        LOCAL_SYSCTL => &context.united_sysctls().local,
        _ => &context.united_objects().0.local,
    };
    let (LocalText::Same(text) | LocalText::Body(text)) = local.as_ref()?;
    Some((text.clone(), Vec::new()))
}

pub(super) fn configuration_file(context: &mut RenderContext<'_>) -> Option<Body> {
    let RenderContext { profile, target, .. } = context;
    let mut requested = configuration(
        profile,
        target.role,
        &target.running,
        &target.data_dir,
        &context.written,
        &target.present,
    );
    if let Some((_, ids)) = context.written.iter().find(|(key, _)| *key == admission_files::ANY) {
        requested.set_gates_that_are_off(profile, &target.drop_in_merge.existing, ids);
    }
    context.requested = requested;
    let users = UsersConfigurations {
        weaker: std::mem::take(&mut context.weaker_files),
        has_limits: context.has_users_limits,
    };
    context.merged = target.drop_in_merge.merge(context.requested.clone(), &users);
    context.merged.conflicts.append(&mut context.exclusion.conflicts);
    context.merged.excluded.extend(context.exclusion.left.take());
    let configuration = &context.merged.configuration;
    context.values.insert("keys", &configuration.keys);
    context.values.insert("components", &configuration.components);
    context.values.insert("left", &context.merged.left);
    // What is left to other files is said also where nothing else is.
    (!configuration.is_empty() || !context.merged.left.is_empty())
        .then(|| (context.engine.render("config.yaml.tera", &context.values), configuration.ids()))
}

#[derive(Debug, Serialize)]
pub(super) struct Parameter<'a> {
    key: &'a str,
    value: u64,
}
