//! The configuration of the admission plugin PodSecurity.
//!
//! Source: admission/api of k8s.io/pod-security-admission. It is read strictly in every minor.

use std::collections::HashSet;

use super::Finding;
use super::admission::PluginConfig;
use super::apiserver::{ApiServer, in_file, refused};
use crate::kubernetes::names;
use crate::kubernetes::object::{self, Fault, FieldType, ObjectFile, STRINGS};
use crate::kubernetes::yaml::YamlNode;

const GROUP: &str = "pod-security.admission.config.k8s.io";
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const MODES: [&str; 3] = ["enforce", "warn", "audit"];

const CONFIGURATION: FieldType = FieldType::Object(&[
    ("apiVersion", FieldType::String),
    ("kind", FieldType::String),
    ("defaults", DEFAULTS),
    ("exemptions", EXEMPTIONS),
]);
const DEFAULTS: FieldType = FieldType::Object(&[
    ("enforce", FieldType::String),
    ("enforce-version", FieldType::String),
    ("audit", FieldType::String),
    ("audit-version", FieldType::String),
    ("warn", FieldType::String),
    ("warn-version", FieldType::String),
]);
const EXEMPTIONS: FieldType =
    FieldType::Object(&[("usernames", STRINGS), ("namespaces", STRINGS), ("runtimeClasses", STRINGS)]);

pub(super) fn judge(server: &ApiServer<'_>, own: &PluginConfig) -> Vec<Finding> {
    let document = match &own.document {
        Ok(Some(document)) => document,
        Ok(None) => {
            let finding = Finding::hardens_nothing(
                "pod-security-empty",
                "the entry for PodSecurity has no configuration: any pod is admitted",
                "write a PodSecurityConfiguration below configuration:",
            );
            return vec![finding.at(in_file(&own.path, own.position))];
        }
        Err(fault) => return vec![refuse(own, "pod-security-syntax", fault)],
    };
    match check(server, document) {
        Err((code, fault)) => vec![refuse(own, code, &fault)],
        Ok(()) => effect(own, document),
    }
}

fn refuse(own: &PluginConfig, code: &'static str, fault: &Fault) -> Finding {
    let remedy = match code {
        "pod-security-version" => {
            "write the apiVersion that this minor knows, and kind: PodSecurityConfiguration"
        }
        "pod-security-level" => "write privileged, baseline or restricted, and latest or v1.x",
        "pod-security-exemption" => "write each name once, as Kubernetes writes it",
        "pod-security-field" => "write the field as Kubernetes does, once",
        _ => "mend the YAML",
    };
    refused(code, &own.path, fault, "failed to initialize admission plugin \"PodSecurity\": ", remedy)
}

fn check(server: &ApiServer<'_>, document: &ObjectFile) -> Result<(), (&'static str, Fault)> {
    let root = &document.root;
    let syntax = |fault| ("pod-security-syntax", fault);
    let (version, kind) = document.kind().map_err(syntax)?;
    let known: &[&str] =
        if server.is_from("1.25") { &["v1", "v1beta1", "v1alpha1"] } else { &["v1beta1", "v1alpha1"] };
    let is_known =
        version.split_once('/').is_some_and(|(group, name)| group == GROUP && known.contains(&name));
    if !is_known || kind != "PodSecurityConfiguration" {
        let (field, message) = if kind.is_empty() {
            ("kind", "Object 'Kind' is missing".to_owned())
        } else if version.is_empty() {
            ("apiVersion", "Object 'apiVersion' is missing".to_owned())
        } else {
            let field = if is_known { "kind" } else { "apiVersion" };
            (field, format!("no kind {kind:?} is registered for version {version:?}"))
        };
        return Err(("pod-security-version", Fault::new(object::place(root, field), message)));
    }
    let loose = document.decode(&CONFIGURATION).map_err(syntax)?;
    if let Some(fault) = loose.first() {
        let message = format!("strict decoding error: {}", fault.message);
        return Err(("pod-security-field", Fault::new(fault.position, message)));
    }
    if let Some(defaults) = object::field(root, "defaults") {
        check_defaults(defaults)?;
    }
    if let Some(exemptions) = object::field(root, "exemptions") {
        check_exemptions(exemptions)?;
    }
    Ok(())
}

fn check_defaults(defaults: &YamlNode) -> Result<(), (&'static str, Fault)> {
    for mode in MODES {
        let level = object::text(defaults, mode);
        if !level.is_empty() && !LEVELS.contains(&level) {
            let message = format!(
                "PodSecurity configuration error: {mode}: must be one of privileged, baseline, restricted, not {level:?}"
            );
            return Err(("pod-security-level", Fault::new(object::place(defaults, mode), message)));
        }
        let name = format!("{mode}-version");
        let version = object::text(defaults, &name);
        if !version.is_empty() && !is_version(version) {
            let message = format!(
                "PodSecurity configuration error: {name}: must be \"latest\" or \"v1.x\", not {version:?}"
            );
            return Err(("pod-security-level", Fault::new(object::place(defaults, &name), message)));
        }
    }
    Ok(())
}

fn is_version(text: &str) -> bool {
    let minor = |minor: &str| {
        minor.bytes().all(|byte| byte.is_ascii_digit())
            && (minor == "0" || !minor.starts_with('0'))
            && minor.parse::<i64>().is_ok()
    };
    text == "latest" || text.strip_prefix("v1.").is_some_and(minor)
}

fn check_exemptions(exemptions: &YamlNode) -> Result<(), (&'static str, Fault)> {
    type Rule = (&'static str, fn(&str) -> bool, &'static str);
    const RULES: [Rule; 3] = [
        (
            "namespaces",
            names::is_label,
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character, and be no more than 63 characters",
        ),
        (
            "runtimeClasses",
            names::is_subdomain,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        ),
        ("usernames", |name| !name.is_empty(), "username must not be empty"),
    ];
    for (field, fits, rule) in RULES {
        let mut seen = HashSet::new();
        for (index, item) in object::items(exemptions, field).iter().enumerate() {
            let name = object::content(item);
            let wrong = if !fits(name) {
                format!("Invalid value: {name:?}: {rule}")
            } else if seen.insert(name) {
                continue;
            } else {
                format!("Duplicate value: {name:?}")
            };
            let message = format!("PodSecurity invalid: exemptions.{field}[{index}]: {wrong}");
            return Err(("pod-security-exemption", Fault::new(item.position, message)));
        }
    }
    Ok(())
}

/// What a configuration that the server takes does.
fn effect(own: &PluginConfig, document: &ObjectFile) -> Vec<Finding> {
    let root = &document.root;
    let mut findings = Vec::new();
    if let Some(position) = document.further {
        let finding = Finding::hardens_nothing(
            "pod-security-second-document",
            "nobody reads a second document",
            "put everything into the first",
        );
        findings.push(finding.at(in_file(&own.path, position)));
    }
    let defaults = object::field(root, "defaults");
    let level = defaults.map_or("", |defaults| object::text(defaults, "enforce"));
    if matches!(level, "" | "privileged") {
        let position = defaults.map_or(root.position, |defaults| object::place(defaults, "enforce"));
        let how = if level.is_empty() { "no level is enforced" } else { "the level enforced is privileged" };
        let finding = Finding::hardens_nothing(
            "pod-security-privileged",
            format!("{how}: any pod is admitted"),
            "write enforce: restricted (or baseline) below defaults:",
        );
        findings.push(finding.at(in_file(&own.path, position)));
        return findings;
    }
    let exemptions = object::field(root, "exemptions");
    let system = exemptions.is_some_and(|exemptions| {
        object::items(exemptions, "namespaces").iter().any(|item| object::content(item) == "kube-system")
    });
    if !system {
        let position = exemptions.map_or(root.position, |exemptions| exemptions.position);
        let finding = Finding::warns(
            "pod-security-kube-system",
            format!("kube-system is not exempt: K3s' own pods are refused there where they are not {level}"),
            "write kube-system below exemptions.namespaces",
        );
        findings.push(finding.at(in_file(&own.path, position)));
    }
    findings
}
