// SPDX-License-Identifier: Apache-2.0
//! policy.yaml: objects of the user's that are not ours go to policy-local.yaml, which is his from then on. An object of ours that
//! stands in that file is not written into policy.yaml: K3s would put one of the two into the cluster, and then the other.

use serde_json::Value;

use super::files::{UsersFile, UsersFiles};
use super::memory::FileMemory;
use super::part::UsersPart;
use super::sysctls::LocalText;
use super::yaml_text::block;
use crate::document::OnConflict;
use crate::document::file_table::LOCAL_POLICY;
use crate::document::header::without_header;
use crate::error::Place;
use crate::kubernetes::manifest;
use crate::kubernetes::object::{Fault, Position};
use crate::kubernetes::runtime_config::RuntimeSwitches;
use crate::kubernetes::served_kinds::{self, Unserved};
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

/// policy.yaml without its header, and the file of the user's beside it.
#[derive(Debug, Default)]
pub(in crate::document) struct ObjectUnion {
    pub(in crate::document) policy: String,
    pub(in crate::document) local: Option<LocalText>,
    pub(in crate::document) parts: Vec<UsersPart>,
    /// What the user should know of the objects that move.
    pub(in crate::document) warnings: Vec<String>,
    /// Kind and name of the objects that stay as they are, because no run was about them yet.
    pub(in crate::document) pending: Vec<(String, String)>,
}

/// What a run has of policy.yaml itself.
#[derive(Clone, Copy)]
pub(in crate::document) struct RenderedObjects<'a> {
    /// The text of the parts that are in the run, and of what the node has of the others.
    pub(in crate::document) text: &'a str,
    /// The text of all parts of the profile; none for a run about all of them.
    pub(in crate::document) all: Option<&'a str>,
    /// Tells whether the guide has an object of this kind and name that the minor does not have any more.
    pub(in crate::document) is_gone: &'a dyn Fn(&str, &str) -> bool,
    /// Returns the place of an object of this kind and name in the order in which ours are written.
    pub(in crate::document) rank: &'a dyn Fn(&str, &str) -> usize,
    pub(in crate::document) minor: KubernetesMinor,
}

/// An object with the lines that it is written in.
#[derive(Debug, Clone, PartialEq)]
struct ManifestPart {
    name: ObjectName,
    value: Value,
    /// A YAML document, with the line `---` before it.
    text: String,
    position: Position,
}

/// What tells an object from others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ObjectName {
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl ObjectName {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = text(&value["apiVersion"]);
        let namespace = value["metadata"]["namespace"].as_str().map(str::to_owned);
        Self {
            group: served_kinds::group_and_version(&version).0.to_owned(),
            kind: text(&value["kind"]),
            namespace: namespace.filter(|namespace| !namespace.is_empty()),
            name: text(&value["metadata"]["name"]),
        }
    }

    /// Tells whether both name the same object. K3s puts one without a namespace into `default`.
    fn is_same(&self, other: &Self) -> bool {
        let namespace = |name: &Self| name.namespace.clone().unwrap_or_else(|| "default".to_owned());
        (&self.group, &self.kind, &self.name) == (&other.group, &other.kind, &other.name)
            && namespace(self) == namespace(other)
    }

    fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// Objects that stay in policy.yaml as they are, because no run was about them yet.
#[derive(Debug, Default)]
struct PendingObjects {
    names: Vec<String>,
    /// Those that are not in the text of ours.
    parts: Vec<ManifestPart>,
}

/// Reads the objects of a manifest, each with its lines if it has some of its own.
fn read(bytes: &[u8]) -> Result<Vec<ManifestPart>, Fault> {
    // Before a comment it would be a document of its own.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let objects = manifest::read(bytes)?;
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let documents = manifest::documents(text.as_bytes()).unwrap_or_default();
    let own_lines = |value: &Value, position: Position| {
        let (_, document) = documents.iter().rfind(|(line, _)| *line <= position.0)?;
        let document = std::str::from_utf8(document).ok()?;
        // Of a list, each object is written anew.
        let same = manifest::read(document.as_bytes()).ok()?;
        let has_one = matches!(same.as_slice(), [one] if one.value == *value);
        let is_odd = document.lines().any(|line| line.starts_with("...") || line.starts_with('%'));
        (has_one && !is_odd).then(|| {
            let lines = document.trim_start_matches("---\n").trim_end_matches(['\n', ' ']);
            format!("---\n{lines}\n")
        })
    };
    let parts = objects.into_iter().map(|object| ManifestPart {
        name: ObjectName::of(&object.value),
        text: own_lines(&object.value, object.position)
            .filter(|text| matches!(manifest::read(text.as_bytes()).as_deref(), Ok([one]) if one.value == object.value))
            .unwrap_or_else(|| format!("---\n{}", block(&object.value, 0))),
        value: object.value,
        position: object.position,
    });
    Ok(parts.collect())
}

/// The objects of the user's own file.
struct LocalObjects {
    /// The whole file, if it is one of ours: its header is still there.
    whole: Option<String>,
    parts: Vec<ManifestPart>,
    is_changed: bool,
}

impl LocalObjects {
    fn position(&self, name: &ObjectName) -> Option<usize> {
        self.parts.iter().position(|part| part.name.is_same(name))
    }

    /// Adds an object; returns another version of it that was there.
    fn put(&mut self, part: ManifestPart) -> Option<ManifestPart> {
        match self.position(&part.name) {
            Some(at) if self.parts[at].value == part.value => None,
            Some(at) => {
                self.is_changed = true;
                Some(std::mem::replace(&mut self.parts[at], part))
            }
            None => {
                self.parts.push(part);
                self.is_changed = true;
                None
            }
        }
    }

    fn into_text(self) -> Option<LocalText> {
        match self.whole {
            Some(whole) if !self.is_changed => Some(LocalText::Same(whole)),
            // A file of somebody's that nothing is added to stays as it is.
            None if !self.is_changed => None,
            _ => Some(LocalText::Body(self.parts.into_iter().map(|part| part.text).collect())),
        }
    }
}

impl ObjectUnion {
    /// Leaves what an earlier run took over as it is.
    pub(in crate::document) fn untouched(users: &UsersFiles, policy: String) -> Self {
        let local = users.ours.get(LOCAL_POLICY).cloned().map(LocalText::Same);
        Self { policy, local, ..Self::default() }
    }

    /// Unites ours with what the user has in the file at `path`; `local` is the file beside it.
    pub(in crate::document) fn new(
        users: &UsersFiles,
        rendered: RenderedObjects<'_>,
        path: &RootedPath,
        local: &RootedPath,
    ) -> Self {
        let mut union = Self { policy: rendered.text.to_owned(), ..Self::default() };
        if rendered.text.is_empty() || has_nothing(users) {
            return union;
        }
        // The texts of ours are objects: the tests read every one of them.
        let ours = read(rendered.text.as_bytes()).unwrap_or_default();
        let Some(mut locals) = union.read_local(users, local) else {
            if let Some(file) = users.foreign.get("policy") {
                let why = format!("its destination {local} cannot be read");
                union.parts.push(UsersPart::unreadable(path, file.whole_place(), "the manifest", why));
            }
            return union;
        };
        for part in &ours {
            let Some(at) = locals.position(&part.name).filter(|at| locals.parts[*at].value != part.value)
            else {
                continue;
            };
            if users.decision_of_remembered() == OnConflict::Ours {
                let gone = locals.parts.remove(at);
                locals.is_changed = true;
                let place = Place { file: local.to_string(), position: Some(gone.position) };
                let what = format!("{} differs from k3s-harden's", part.name.shown());
                union.parts.push(UsersPart::conflict(local, place, what, OnConflict::Ours));
            }
        }
        let own =
            users.ours.get("policy").map(|text| UsersFile { path: path.clone(), bytes: text.clone().into() });
        let mut pending = PendingObjects::default();
        if let Some(file) = users.foreign.get("policy") {
            match read(&file.bytes) {
                Ok(theirs) => {
                    pending = union.take(users, file, &theirs, &ours, rendered, &mut locals, (path, local));
                }
                Err(fault) => {
                    let place = file.place(fault.position);
                    union.parts.push(UsersPart::unreadable(path, place, "the manifest", fault.message));
                }
            }
        } else if let Some(own) = &own {
            // Parts that no run was about until now.
            let memory = FileMemory::read(&String::from_utf8_lossy(&own.bytes));
            let memory = memory.unwrap_or_else(|why| {
                union.parts.push(UsersPart::damaged(path, why));
                FileMemory::default()
            });
            let mut theirs = read(&own.bytes).unwrap_or_default();
            theirs.retain(|part| memory.pending.contains(&part.name.shown()));
            let (still, now): (Vec<_>, Vec<_>) = theirs.into_iter().partition(|part| {
                rendered.all.is_some()
                    && ours.iter().any(|ours| ours.name.is_same(&part.name) && ours.value == part.value)
            });
            pending = union.take(users, own, &now, &ours, rendered, &mut locals, (path, local));
            pending.names.extend(still.iter().map(|part| part.name.shown()));
            union.pending.extend(still.into_iter().map(|part| (part.name.kind, part.name.name)));
        }
        let is_left = |part: &ManifestPart| locals.position(&part.name).is_some();
        if ours.iter().any(is_left) || !pending.parts.is_empty() {
            let mut written: Vec<&ManifestPart> = ours.iter().filter(|part| !is_left(part)).collect();
            written.extend(&pending.parts);
            // A later run finds them there, and writes them in this order.
            written.sort_by_key(|part| (rendered.rank)(&part.name.kind, &part.name.name));
            union.policy = written.into_iter().map(|part| part.text.as_str()).collect();
        }
        if locals.is_changed {
            union.warn_of_files_beside(users, local);
        }
        for part in &locals.parts {
            if let Some(why) = unserved(part, rendered.minor) {
                union.warnings.push(format!(
                    "{local}:{}:{}: {}: {why}, so K3s applies no object of this file: remove the object",
                    part.position.0,
                    part.position.1,
                    part.name.shown()
                ));
            }
        }
        union.pending.extend(pending.parts.into_iter().map(|part| (part.name.kind, part.name.name)));
        let memory = FileMemory { pending: pending.names, ..FileMemory::default() };
        union.policy = memory.line() + &union.policy;
        union.local = locals.into_text();
        union
    }

    /// Reads the user's own file; none if nobody can read it: then nothing is added to it, and nothing taken away.
    fn read_local(&mut self, users: &UsersFiles, local: &RootedPath) -> Option<LocalObjects> {
        let own = users.ours.get(LOCAL_POLICY);
        let foreign = users.foreign.get(LOCAL_POLICY);
        let bytes = match (own, foreign) {
            (Some(text), _) => without_header(text).as_bytes(),
            (None, Some(file)) => &file.bytes,
            (None, None) => &[],
        };
        let whole = own.cloned();
        // What is behind the header stands that many lines further down.
        let header = own.map_or(0, |text| text.lines().count() - without_header(text).lines().count());
        match read(bytes) {
            Ok(mut parts) => {
                parts.iter_mut().for_each(|part| part.position.0 += header);
                Some(LocalObjects { whole, parts, is_changed: false })
            }
            Err(fault) => {
                let (line, column) = fault.position;
                let place = Place { file: local.to_string(), position: Some((line + header, column)) };
                let why = format!("it cannot be read ({}): fix it, and apply again", fault.message);
                self.parts.push(UsersPart::left_out(local, place, "the manifest", why));
                self.local = whole.map(LocalText::Same);
                None
            }
        }
    }

    /// Takes objects of the user's. Returns those that stay in policy.yaml, because the run is not about them.
    #[allow(clippy::too_many_arguments, reason = "the objects of each side, and where they go")]
    fn take(
        &mut self,
        users: &UsersFiles,
        file: &UsersFile,
        theirs: &[ManifestPart],
        ours: &[ManifestPart],
        rendered: RenderedObjects<'_>,
        locals: &mut LocalObjects,
        (path, local): (&RootedPath, &RootedPath),
    ) -> PendingObjects {
        let all = rendered.all.and_then(|text| read(text.as_bytes()).ok()).unwrap_or_default();
        let is_in =
            |parts: &[ManifestPart], name: &ObjectName| parts.iter().any(|part| part.name.is_same(name));
        let mut pending = PendingObjects::default();
        for (index, part) in theirs.iter().enumerate() {
            let place = file.place(part.position);
            let what = part.name.shown();
            if is_in(&theirs[index + 1..], &part.name) {
                let why = "the file defines this object twice, and the last one is used";
                self.parts.push(UsersPart::left_out(path, place, what, why));
                continue;
            }
            if let Some(why) = unserved(part, rendered.minor) {
                self.parts.push(UsersPart::left_out(path, place, what, why));
                continue;
            }
            if (rendered.is_gone)(&part.name.kind, &part.name.name) {
                let why = format!(
                    "it serves PodSecurityPolicies, which Kubernetes {} does not have",
                    rendered.minor
                );
                self.parts.push(UsersPart::left_out(path, place, what, why));
                continue;
            }
            if let Some(same) = ours.iter().find(|ours| ours.name.is_same(&part.name)) {
                if same.value == part.value {
                    continue;
                }
                let what = format!("{what} differs from k3s-harden's");
                let mut conflict = UsersPart::conflict(path, place, what, users.decision());
                if users.decision() == OnConflict::Keep {
                    self.put(locals, part, (path, local));
                    conflict = conflict.moved_to(local);
                }
                self.parts.push(conflict);
            } else if is_in(&all, &part.name) {
                let stays = UsersPart::stays(path, place, what);
                self.parts.push(stays.because("this run does not include its control"));
                pending.names.push(part.name.shown());
                pending.parts.push(part.clone());
            } else {
                self.parts.push(UsersPart::stays(path, place, what).moved_to(local));
                self.put(locals, part, (path, local));
            }
        }
        pending
    }

    /// Moves an object to the user's own file. Of two versions of one object that of policy.yaml is in force: K3s applies it last.
    fn put(
        &mut self,
        locals: &mut LocalObjects,
        part: &ManifestPart,
        (path, local): (&RootedPath, &RootedPath),
    ) {
        if let Some(other) = locals.put(part.clone()) {
            let place = Place { file: local.to_string(), position: Some(other.position) };
            let why =
                format!("{} has another version of this object, and K3s applies that one last", path.name());
            self.parts.push(UsersPart::left_out(path, place, other.name.shown(), why));
        }
    }

    /// Names the files beside the user's own that decide what K3s makes of it.
    fn warn_of_files_beside(&mut self, users: &UsersFiles, local: &RootedPath) {
        let Some(folder) = local.parent() else { return };
        for name in &users.beside_local {
            let path = folder.join(name);
            self.warnings.push(match name.as_str() {
                "policy.yaml.skip" => format!(
                    "because of {path}, K3s does not apply policy.yaml: objects moved from policy.yaml to {} will be applied",
                    local.name()
                ),
                "policy-local.yaml.skip" => format!(
                    "because of {path}, K3s does not apply {}: objects moved to that file have no effect until you remove the .skip file",
                    local.name()
                ),
                _ => format!(
                    "K3s treats {path} and {} as the same Addon, so each deletes the objects of the other: rename the first file",
                    local.name()
                ),
            });
        }
    }
}

/// Tells whether the user has nothing in either file, and no run has left a part for a later one: the node of most runs, for which
/// no manifest has to be parsed.
fn has_nothing(users: &UsersFiles) -> bool {
    let is_there = |key| users.foreign.contains_key(key) || users.ours.contains_key(key);
    let awaits_nothing = |own: &String| FileMemory::read(own).is_ok_and(|memory| memory.pending.is_empty());
    !users.foreign.contains_key("policy")
        && !is_there(LOCAL_POLICY)
        && users.ours.get("policy").is_none_or(awaits_nothing)
}

/// Returns why the API server of a minor does not take an object: K3s would try again every 15 s, and apply nothing of the file.
fn unserved(part: &ManifestPart, minor: KubernetesMinor) -> Option<String> {
    let version = part.value["apiVersion"].as_str().unwrap_or_default();
    let why = served_kinds::unserved(version, &part.name.kind, minor, &RuntimeSwitches::default())?;
    // What runtime-config brings may be there.
    (why != Unserved::NotAsked)
        .then(|| format!("Kubernetes {minor} does not serve {version} {}", part.name.kind))
}
