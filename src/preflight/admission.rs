//! The configuration of admission plugins: the file that `admission-control-config-file` names, and what each plugin
//! needs of it.
//!
//! Source: pkg/admission/config.go of k8s.io/apiserver.

use super::apiserver::{ApiServer, FileAt, in_file, refused};
use super::{Class, Finding, event_rate_limit, pod_security};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::NodeConfig;
use crate::kubernetes::flag_values;
use crate::kubernetes::object::{self, Fault, FieldType, MAX_FAULTS, ObjectFile};
use crate::kubernetes::yaml::YamlNode;
use crate::node::RootedPath;

const FLAG: &str = "admission-control-config-file";
const VERSIONS: [&str; 2] = ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];
/// What begins the files of two plugins from before there was a kind of file for all.
const LEGACY: [&str; 2] = ["imagePolicy", "podNodeSelectorPluginConfig"];
/// The plugins that read a configuration.
const CONFIGURED: [&str; 9] = [
    "EventRateLimit",
    "ImagePolicyWebhook",
    "MutatingAdmissionWebhook",
    "PodNodeSelector",
    "PodSecurity",
    "PodTolerationRestriction",
    "ResourceQuota",
    "ValidatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
];

const CONFIGURATION: FieldType = FieldType::Object(&[
    ("apiVersion", FieldType::String),
    ("kind", FieldType::String),
    ("plugins", FieldType::List(&PLUGIN)),
]);
const PLUGIN: FieldType = FieldType::Object(&[
    ("name", FieldType::String),
    ("path", FieldType::String),
    ("configuration", FieldType::Any),
]);

/// A plugin's own configuration.
pub(super) struct PluginConfig {
    pub(super) path: RootedPath,
    /// What it is; the fault where it cannot be read; none where there is nothing at all in its file.
    pub(super) document: std::result::Result<Option<ObjectFile>, Fault>,
    /// Where its entry is.
    pub(super) position: (usize, usize),
}

pub(super) fn judge(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::of(node) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    let plugins = server.plugins();
    let policies = plugins.contains("PodSecurityPolicy");
    if !plugins.contains("PodSecurity") && !policies {
        let finding = Finding::hardens_nothing(
            "pod-security-disabled",
            "the admission plugin PodSecurity is switched off: any pod is admitted",
            "remove it from disable-admission-plugins",
        );
        findings.push(server.at("disable-admission-plugins", finding));
    }
    let Some(text) = server.value(FLAG) else {
        needed(&server, None, &mut findings);
        return Ok(findings);
    };
    let path = node.path(text)?;
    let bytes = match server.look(&path)? {
        FileAt::File(bytes) => bytes,
        other => {
            let (what, error) = match other {
                FileAt::Directory => ("is a directory", format!("read {path}: is a directory")),
                _ => ("does not exist", format!("open {path}: no such file or directory")),
            };
            let finding = Finding::stops(
                "admission-file-missing",
                format!("the admission configuration {path} {what}"),
                format!("write it, or remove {FLAG}"),
            );
            let says = format!("unable to read admission control configuration from \"{path}\" [{error}]");
            findings.push(server.at(FLAG, finding.says(says)));
            return Ok(findings);
        }
    };
    match read(&server, &bytes) {
        Ok((document, loose)) => {
            for fault in loose {
                findings.push(unknown_field("admission-field", &path, &fault));
            }
            if let Some(position) = document.further {
                let finding = Finding::hardens_nothing(
                    "admission-second-document",
                    "nobody reads a second document",
                    "put all plugins into the first",
                );
                findings.push(finding.at(in_file(&path, position)));
            }
            entries(&server, &path, &document, &mut findings)?;
        }
        Err(AdmissionFault::Legacy(key)) => {
            let finding = Finding::hardens_nothing(
                "admission-legacy",
                format!("a file with {key:?} configures no other plugin, and not PodSecurity"),
                "write an AdmissionConfiguration that has an entry for each plugin",
            );
            findings.push(finding.at(in_file(&path, (1, 1))));
        }
        Err(AdmissionFault::Refused(code, fault)) => {
            let remedy = match code {
                "admission-version" => {
                    "write apiVersion: apiserver.config.k8s.io/v1 and kind: AdmissionConfiguration"
                }
                "admission-field" => "write the field as Kubernetes does, once",
                _ => "mend the YAML",
            };
            findings.push(refused(code, &path, &fault, "failed to read plugin config: ", remedy));
        }
    }
    Ok(findings)
}

/// Returns the finding for a field that the API server drops.
pub(super) fn unknown_field(code: &'static str, path: &RootedPath, fault: &Fault) -> Finding {
    Finding::hardens_nothing(
        code,
        format!("{}: the API server drops it without a word", fault.message),
        "write the field as Kubernetes does, once",
    )
    .at(in_file(path, fault.position))
}

/// What the API server is told about the security of pods.
#[derive(Debug)]
pub(crate) struct PodSecurity {
    /// Whether the admission plugin PodSecurity is on.
    pub(crate) on: bool,
    /// Whether PodSecurityPolicy is, which the minors up to 1.24 have.
    pub(crate) policies: bool,
    /// What PodSecurity is configured with, and where; none where nothing configures it, so that any pod is admitted.
    pub(crate) configuration: Option<(RootedPath, ObjectFile)>,
}

/// Reads what an API server with these flags (names without dashes, and values) is told about the security of pods.
///
/// # Errors
/// Where it cannot be read, or where the server would not start on it.
pub(crate) fn pod_security(node: &NodeConfig<'_>, flags: Vec<(String, String)>) -> Result<PodSecurity> {
    let server = ApiServer::with(node, flags);
    let plugins = server.plugins();
    let on = plugins.contains("PodSecurity") && !is_gated(&server);
    let policies = plugins.contains("PodSecurityPolicy");
    let own = configured(&server)?;
    if let Some(own) = &own
        && let Some(stops) =
            pod_security::judge(&server, own).into_iter().find(|finding| finding.class == Class::Stops)
    {
        return Err(refusal(&own.path, own.position, stops.says.unwrap_or(stops.message)));
    }
    let configuration = own.and_then(|own| match own.document {
        Ok(Some(document)) => Some((own.path, document)),
        _ => None,
    });
    Ok(PodSecurity { on, policies, configuration })
}

/// Tells whether a feature gate keeps PodSecurity from looking at pods: it is beta before 1.25, then locked.
fn is_gated(server: &ApiServer<'_>) -> bool {
    let gates = server.list("feature-gates");
    let value = |name: &str| {
        let pairs = gates.iter().rev().filter_map(|gate| gate.split_once('='));
        let mut values = pairs.filter(|(gate, _)| gate.trim() == name).map(|(_, value)| value.trim());
        values.next().and_then(flag_values::boolean)
    };
    !server.is_from("1.25") && value("PodSecurity").or_else(|| value("AllBeta")) == Some(false)
}

/// Finds the first entry for PodSecurity, which counts.
fn configured(server: &ApiServer<'_>) -> Result<Option<PluginConfig>> {
    let Some(text) = server.value(FLAG) else { return Ok(None) };
    let path = server.node.path(text)?;
    let FileAt::File(bytes) = server.look(&path)? else {
        let message = format!("the admission configuration {path} is no file: the API server does not start");
        return Err(Error::new(ErrorKind::BadInput, message)
            .at(server.place(FLAG).unwrap_or(Place { file: FLAG.to_owned(), position: None })));
    };
    let document = match read(server, &bytes) {
        Ok((document, _)) => document,
        Err(AdmissionFault::Legacy(_)) => return Ok(None),
        Err(AdmissionFault::Refused(_, fault)) => return Err(refusal(&path, fault.position, fault.message)),
    };
    let mut entries = object::items(&document.root, "plugins").iter();
    let Some(entry) = entries.find(|entry| object::text(entry, "name") == "PodSecurity") else {
        return Ok(None);
    };
    let mut findings = Vec::new();
    match own(server, &path, &document, entry, &mut findings)? {
        Some(own) => Ok(Some(own)),
        None => {
            let message = findings.pop().map_or_else(String::new, |finding| finding.message);
            Err(refusal(&path, entry.position, message))
        }
    }
}

fn refusal(path: &RootedPath, position: (usize, usize), message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadInput, message).at(in_file(path, position))
}

enum AdmissionFault {
    Refused(&'static str, Fault),
    Legacy(&'static str),
}

fn read(
    server: &ApiServer<'_>,
    bytes: &[u8],
) -> std::result::Result<(ObjectFile, Vec<Fault>), AdmissionFault> {
    let syntax = |fault| AdmissionFault::Refused("admission-syntax", fault);
    let document = ObjectFile::read(bytes).map_err(syntax)?;
    let (version, kind) = document.kind().map_err(syntax)?;
    if !VERSIONS.contains(&version.as_str()) || kind != "AdmissionConfiguration" {
        if let Some(key) = LEGACY.into_iter().find(|key| has(&document.root, key)) {
            return Err(AdmissionFault::Legacy(key));
        }
        let message = if kind.is_empty() {
            "Object 'Kind' is missing".to_owned()
        } else if version.is_empty() {
            "Object 'apiVersion' is missing".to_owned()
        } else {
            format!("no kind {kind:?} is registered for version {version:?}")
        };
        let position = object::place(&document.root, if kind.is_empty() { "kind" } else { "apiVersion" });
        return Err(AdmissionFault::Refused("admission-version", Fault::new(position, message)));
    }
    let loose = document.decode(&CONFIGURATION).map_err(syntax)?;
    match loose.first() {
        Some(fault) if server.is_from("1.32") => {
            let message = format!("strict decoding error: {}", fault.message);
            Err(AdmissionFault::Refused("admission-field", Fault::new(fault.position, message)))
        }
        _ => Ok((document, loose)),
    }
}

fn has(node: &YamlNode, key: &str) -> bool {
    match &node.value {
        crate::kubernetes::yaml::YamlValue::Map(pairs) => pairs.iter().any(|(name, _)| name.go_text() == key),
        _ => false,
    }
}

/// Judges the entries of the plugins, of which the first of a name counts.
fn entries(
    server: &ApiServer<'_>,
    path: &RootedPath,
    document: &ObjectFile,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let plugins = server.plugins();
    let entries = object::items(&document.root, "plugins");
    let mut seen: Vec<(&str, PluginConfig)> = Vec::new();
    let mut secured = false;
    for entry in entries {
        let name = object::text(entry, "name");
        let at = |finding: Finding| finding.at(in_file(path, object::place(entry, "name")));
        let enough = findings.len() > MAX_FAULTS;
        if !server.has_plugin(name) {
            let meant = server.meant(name).map_or_else(
                || "write the name of an admission plugin of this minor".to_owned(),
                |meant| format!("write {meant}"),
            );
            let message = format!(
                "there is no admission plugin {name:?}{}: its configuration is not read",
                server.when(name)
            );
            tell(enough, findings, at(Finding::hardens_nothing("admission-plugin-name", message, meant)));
            continue;
        }
        if seen.iter().any(|(known, _)| *known == name) {
            let message = format!("of two entries for {name} the first counts: this one is not read");
            tell(enough, findings, at(Finding::warns("admission-plugin-twice", message, "keep one of them")));
            continue;
        }
        if !plugins.contains(name) {
            if CONFIGURED.contains(&name) && name != "PodSecurity" {
                let message = format!("{name} is configured, but not switched on");
                let remedy = format!("add {name} to enable-admission-plugins");
                tell(enough, findings, at(Finding::hardens_nothing("admission-plugin-off", message, remedy)));
            }
            continue;
        }
        secured |= name == "PodSecurity";
        if let Some(own) = own(server, path, document, entry, findings)? {
            seen.push((name, own));
        }
    }
    let not_secured = plugins.contains("PodSecurity") && !plugins.contains("PodSecurityPolicy") && !secured;
    if not_secured {
        let finding = Finding::hardens_nothing(
            "pod-security-absent",
            "the file configures no PodSecurity: any pod is admitted",
            "add an entry with name: PodSecurity and a PodSecurityConfiguration",
        );
        findings.push(finding.at(in_file(path, object::place(&document.root, "plugins"))));
    }
    needed(server, Some((path, &seen)), findings);
    Ok(())
}

/// Adds a finding, unless there are enough of them.
fn tell(enough: bool, findings: &mut Vec<Finding>, finding: Finding) {
    if !enough {
        findings.push(finding);
    }
}

/// Returns a plugin's configuration: what is in its entry, or else the file that the entry names.
fn own(
    server: &ApiServer<'_>,
    path: &RootedPath,
    document: &ObjectFile,
    entry: &YamlNode,
    findings: &mut Vec<Finding>,
) -> Result<Option<PluginConfig>> {
    let position = entry.position;
    let named = object::text(entry, "path");
    if let Some(inline) = object::field(entry, "configuration") {
        if !named.is_empty() {
            let finding = Finding::warns(
                "admission-path-ignored",
                format!("{named} is not read: the configuration in the entry counts"),
                "keep one of them",
            );
            findings.push(finding.at(in_file(path, object::place(entry, "path"))));
        }
        return Ok(Some(PluginConfig {
            path: path.clone(),
            document: Ok(Some(document.part(inline))),
            position,
        }));
    }
    if named.is_empty() {
        return Ok(Some(PluginConfig { path: path.clone(), document: Ok(None), position }));
    }
    let folder = path.parent().map_or_else(String::new, |parent| parent.to_string());
    let file = if named.starts_with('/') { named.to_owned() } else { format!("{folder}/{named}") };
    let file = server.node.path(&file)?;
    let FileAt::File(bytes) = server.look(&file)? else {
        let finding = Finding::stops(
            "admission-path-missing",
            format!("{file}, which the entry for {} names, is no file", object::text(entry, "name")),
            "write it; a path is looked for beside the file that names it",
        );
        let says = format!(
            "Couldn't open admission plugin configuration {file}: &fs.PathError{{Op:\"open\", Path:\"{file}\", Err:0x2}}"
        );
        findings.push(finding.at(in_file(path, object::place(entry, "path"))).says(says));
        return Ok(None);
    };
    let document = if bytes.is_empty() { Ok(None) } else { ObjectFile::read(&bytes).map(Some) };
    Ok(Some(PluginConfig { path: file, document, position }))
}

/// Judges the configurations that plugins which are on do have, or lack.
fn needed(
    server: &ApiServer<'_>,
    file: Option<(&RootedPath, &[(&str, PluginConfig)])>,
    findings: &mut Vec<Finding>,
) {
    let plugins = server.plugins();
    let entry = |name: &str| {
        file.and_then(|(_, seen)| seen.iter().find(|(known, _)| *known == name).map(|(_, own)| own))
    };
    // An entry whose own file is missing was judged already.
    let missing = findings.iter().any(|finding| finding.code == "admission-path-missing");
    if let Some(own) = entry("PodSecurity") {
        findings.extend(pod_security::judge(server, own));
    }
    if plugins.contains("EventRateLimit") {
        match entry("EventRateLimit") {
            Some(own) => findings.extend(event_rate_limit::judge(own)),
            None if missing => {}
            None => findings.push(event_rate_limit::without_limits(server)),
        }
    }
    if plugins.contains("ImagePolicyWebhook") && !missing {
        let given = entry("ImagePolicyWebhook").is_some_and(|own| !matches!(own.document, Ok(None)));
        if !given {
            let finding = Finding::stops(
                "image-policy-webhook-configuration",
                "ImagePolicyWebhook is on without a configuration",
                format!("add its configuration to the file that {FLAG} names, or take it out of enable-admission-plugins"),
            )
            .says("couldn't init admission plugin \"ImagePolicyWebhook\": no config specified");
            findings.push(server.at("enable-admission-plugins", finding));
        }
    }
}
