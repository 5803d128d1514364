//! Manifests that K3s' deploy controller will apply: what the minor does not serve, and what has no effect.
//!
//! None of it stops K3s. A file with a document that is no object is not applied at all, an object that cannot be
//! made is tried again every 15 s (pkg/deploy/controller.go).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_yaml::Value;

use super::Finding;
use crate::Role;
use crate::document::BUILT_IN_NAMESPACES;
use crate::embedded;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::NodeConfig;
use crate::node::{PathState, RootedPath};
use crate::version::KubernetesMinor;

/// The one label that every namespace has (set by the API server from 1.21 on).
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The code of the finding for a file of which K3s applies nothing.
const UNREADABLE: &str = "manifest-unreadable";
/// Deepest directory below `manifests` that is looked at.
const MAX_DEPTH: usize = 16;

/// An API version that not every minor serves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiVersion {
    version: String,
    kind: Option<String>,
    from: Option<KubernetesMinor>,
    until: Option<KubernetesMinor>,
    instead: Option<String>,
}

/// An object of a manifest.
#[derive(Debug)]
pub(crate) struct ManifestObject {
    /// What it is.
    pub(crate) value: Value,
    /// Where it begins.
    pub(crate) place: Place,
}

pub(super) fn judge(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    if node.role == Role::Agent {
        return Ok(Vec::new());
    }
    let (objects, mut findings) = read_all(node)?;
    let namespaces = namespaces(&objects);
    let labels = labels(&objects);
    // A cluster that has started may have namespaces and labels from elsewhere.
    let is_new = node.traces().started.is_none();
    for object in &objects {
        findings.extend(not_served(object, node.minor));
        findings.extend(no_namespace(object, &namespaces).filter(|_| is_new));
        findings.extend(selects_nothing(object, &labels));
    }
    Ok(findings)
}

/// Returns the objects that K3s will apply and that the minor serves.
///
/// # Errors
/// Where a manifest cannot be read, or where K3s applies none because of it.
pub(crate) fn applied(node: &NodeConfig<'_>) -> Result<Vec<ManifestObject>> {
    let (objects, findings) = read_all(node)?;
    if let Some(finding) = findings.into_iter().find(|finding| finding.code != UNREADABLE) {
        let place = finding.place.unwrap_or(Place { file: "server/manifests".to_owned(), position: None });
        return Err(Error::new(ErrorKind::Failed, finding.message).at(place));
    }
    let base = format!("{}/server/manifests/", node.data_dir);
    let disabled = |object: &ManifestObject| is_disabled(node, object.place.file.trim_start_matches(&base));
    let is_served = |object: &ManifestObject| not_served(object, node.minor).is_none() && !disabled(object);
    Ok(objects.into_iter().filter(is_served).collect())
}

/// Tells whether K3s' key `disable` names a manifest, by its name without its ending, or a directory that it is in:
/// then K3s removes it, be it the user's (`shouldDisableFile` in pkg/deploy/controller.go).
fn is_disabled(node: &NodeConfig<'_>, path: &str) -> bool {
    let Some(values) = node.effective.as_ref().ok().and_then(|effective| effective.values.get("disable"))
    else {
        return false;
    };
    let disables: Vec<&str> = values.items.iter().flat_map(|item| item.split(',')).map(str::trim).collect();
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let folders = folder.match_indices('/').map(|(at, _)| &folder[..at]).chain([folder]);
    disables.contains(&stem)
        || folders.filter(|folder| !folder.is_empty()).any(|folder| disables.contains(&folder))
}

/// Reads the objects that the controller would apply, and says what it cannot read.
fn read_all(node: &NodeConfig<'_>) -> Result<(Vec<ManifestObject>, Vec<Finding>)> {
    let (mut findings, mut objects) = (Vec::new(), Vec::new());
    for path in files(node, &node.data_dir.join("server/manifests"), 0)? {
        if !node.root.exists(&path) {
            findings.push(dangling(&path));
            continue;
        }
        let bytes = match node.root.read(&path) {
            Err(error) if error.kind() != ErrorKind::NotPermitted => {
                let place = Place { file: path.to_string(), position: None };
                let remedy = "look at it by hand";
                findings.push(Finding::not_judged("manifest-not-read", error.to_string(), remedy).at(place));
                continue;
            }
            other => other?.unwrap_or_default(),
        };
        match read(&path, &bytes) {
            Ok(read) => objects.extend(read),
            Err(finding) => findings.push(*finding),
        }
    }
    Ok((objects, findings))
}

/// Lists the files that the controller takes, in its order: hidden ones and those with a `.skip` beside are left out.
fn files(node: &NodeConfig<'_>, folder: &RootedPath, depth: usize) -> Result<Vec<RootedPath>> {
    let mut found = Vec::new();
    let names = node.root.list(folder)?;
    for name in &names {
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.') && !name.contains('\n')) else {
            continue;
        };
        let path = folder.join(name);
        let lower = name.to_ascii_lowercase();
        if node.root.is_directory(&path) {
            if depth < MAX_DEPTH {
                found.extend(files(node, &path, depth + 1)?);
            }
        } else if [".yaml", ".yml", ".json"].iter().any(|end| lower.ends_with(end))
            && !names.iter().any(|other| other.to_str() == Some(&format!("{name}.skip")))
            && !matches!(node.root.look(&path)?, PathState::Other)
        {
            found.push(path);
        }
    }
    Ok(found)
}

/// The controller's walk over the directory fails on it, every time.
fn dangling(path: &RootedPath) -> Finding {
    let message = "this is a symlink to nothing: K3s applies no manifest at all as long as it is there";
    Finding::hardens_nothing("manifest-dangling-link", message, "remove it")
        .at(Place { file: path.to_string(), position: None })
}

/// Reads the documents of a file, each an object, or a list of objects.
fn read(path: &RootedPath, bytes: &[u8]) -> std::result::Result<Vec<ManifestObject>, Box<Finding>> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let at = |line| Place { file: path.to_string(), position: Some((line, 1)) };
    let not_applied = |message: String, place| {
        let message = format!("{message}: K3s applies nothing of this file");
        Box::new(Finding::hardens_nothing(UNREADABLE, message, "mend this document, or remove it").at(place))
    };
    let mut objects = Vec::new();
    for (line, document) in documents(text) {
        let parsed: std::result::Result<Value, _> = serde_yaml::from_str(document);
        // The controller takes the last of two equal keys; this reader takes neither.
        if matches!(&parsed, Err(error) if error.to_string().contains("duplicate entry")) {
            continue;
        }
        let value = parsed.map_err(|error| {
            let inside = error.location().map_or(0, |location| location.line().saturating_sub(1));
            not_applied(format!("this is no YAML ({error})"), at(line + inside))
        })?;
        if value.is_null() || value.as_mapping().is_some_and(serde_yaml::Mapping::is_empty) {
            continue;
        }
        if ["apiVersion", "kind"].iter().any(|key| text_of(&value, key).is_empty()) {
            return Err(not_applied("this document has no apiVersion or no kind".to_owned(), at(line)));
        }
        match value.get("items").and_then(Value::as_sequence) {
            Some(items) if text_of(&value, "kind").ends_with("List") => {
                objects
                    .extend(items.iter().map(|item| ManifestObject { value: item.clone(), place: at(line) }));
            }
            _ => objects.push(ManifestObject { value, place: at(line) }),
        }
    }
    Ok(objects)
}

/// Splits a file at the lines that begin a document; with the line at which each begins.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut begin, mut first_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            found.push((first_line, &text[begin..at]));
            (begin, first_line) = (at + line.len().min(3), index + 1);
        }
        at += line.len();
    }
    found.push((first_line, &text[begin..]));
    let first_of = |(line, text): (usize, &str)| {
        let blank = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        line + text.lines().take_while(blank).count()
    };
    found
        .into_iter()
        .map(|(line, text)| (first_of((line, text)), (line, text)))
        .map(|(first, (_, text))| (first, text))
        .collect()
}

fn not_served(object: &ManifestObject, minor: KubernetesMinor) -> Option<Finding> {
    static TABLE: LazyLock<Vec<ApiVersion>> = LazyLock::new(|| embedded::table("api-versions"));
    let (version, kind) = (text_of(&object.value, "apiVersion"), text_of(&object.value, "kind"));
    let row =
        TABLE.iter().find(|row| row.version == version && row.kind.as_deref().is_none_or(|of| of == kind))?;
    let message = match (row.from, row.until) {
        (Some(from), _) if minor < from => {
            format!("Kubernetes {minor} does not serve {version} {kind} yet: it comes with {from}")
        }
        (_, Some(until)) if minor > until => {
            format!("Kubernetes {minor} no longer serves {version} {kind}: {until} was the last")
        }
        _ => return None,
    };
    let remedy = match &row.instead {
        Some(instead) => format!("write it as {instead}"),
        None => "remove it".to_owned(),
    };
    let finding = Finding::hardens_nothing(
        "manifest-not-served",
        format!("{message}; K3s tries it again every 15 s"),
        remedy,
    );
    Some(
        finding.says(format!("no matches for kind {kind:?} in version {version:?}")).at(object.place.clone()),
    )
}

fn no_namespace(object: &ManifestObject, namespaces: &BTreeSet<String>) -> Option<Finding> {
    let namespace = metadata(&object.value, "namespace");
    if namespace.is_empty() || namespaces.contains(&namespace) {
        return None;
    }
    let (kind, name) = (text_of(&object.value, "kind"), metadata(&object.value, "name"));
    let message = format!(
        "{kind} {name} is for the namespace {namespace}, which a new cluster does not have: K3s tries it again every 15 s until it does"
    );
    let remedy = format!(
        "make the namespace first, in a file that sorts before, or leave {name} out until it is there"
    );
    let finding = Finding::warns("manifest-no-namespace", message, remedy);
    Some(finding.says(format!("namespaces {namespace:?} not found")).at(object.place.clone()))
}

/// A namespaceSelector on a label that nothing sets matches no namespace: what it should let in stays out.
fn selects_nothing(object: &ManifestObject, labels: &BTreeSet<String>) -> Option<Finding> {
    if text_of(&object.value, "kind") != "NetworkPolicy" {
        return None;
    }
    let mut keys = BTreeSet::new();
    for direction in ["ingress", "egress"] {
        let rules =
            object.value.get("spec").and_then(|spec| spec.get(direction)).and_then(Value::as_sequence);
        for peer in rules.into_iter().flatten().flat_map(peers) {
            let selector = peer.get("namespaceSelector").and_then(|selector| selector.get("matchLabels"));
            let wanted = selector.and_then(Value::as_mapping).into_iter().flat_map(|map| map.keys());
            keys.extend(wanted.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let unknown: Vec<String> = keys.into_iter().filter(|key| !labels.contains(key)).collect();
    let key = unknown.first()?;
    let name = metadata(&object.value, "name");
    let message = format!(
        "NetworkPolicy {name} selects namespaces by the label {key}, which no namespace has: it lets nothing in, and DNS in kube-system is blocked by it"
    );
    Some(
        Finding::hardens_nothing("manifest-selects-nothing", message, format!("select by {NAME_LABEL}"))
            .at(object.place.clone()),
    )
}

fn peers(rule: &Value) -> impl Iterator<Item = &Value> {
    ["from", "to"].into_iter().filter_map(|key| rule.get(key)?.as_sequence()).flatten()
}

/// The namespaces that a new cluster has, and those that manifests make.
fn namespaces(objects: &[ManifestObject]) -> BTreeSet<String> {
    let made = objects.iter().filter(|object| text_of(&object.value, "kind") == "Namespace");
    let made = made.map(|object| metadata(&object.value, "name"));
    BUILT_IN_NAMESPACES.iter().map(|name| (*name).to_owned()).chain(made).collect()
}

/// The labels that namespaces have.
fn labels(objects: &[ManifestObject]) -> BTreeSet<String> {
    let made = objects.iter().filter(|object| text_of(&object.value, "kind") == "Namespace");
    let labels = made.filter_map(|object| object.value.get("metadata")?.get("labels")?.as_mapping());
    let keys = labels.flat_map(|labels| labels.keys().filter_map(Value::as_str).map(str::to_owned));
    keys.chain([NAME_LABEL.to_owned()]).collect()
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn metadata(value: &Value, key: &str) -> String {
    value.get("metadata").map(|metadata| text_of(metadata, key)).unwrap_or_default()
}
