// SPDX-License-Identifier: Apache-2.0
//! The configuration of the admission plugin PodSecurity, and what the API server makes of it.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, in_file, refused, second_document};
use super::plugin_config::{FLAG, PluginConfig};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::k3s::NodeConfig;
use crate::kubernetes::admission_config::{self, AdmissionRefusal};
use crate::kubernetes::object::{Fault, Position, Refusal};
use crate::kubernetes::pod_security::{self, PodSecurityConfig, PodSecurityLevel, PodSecurityRefusal};
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

/// The admission of pods that the flags and files of an API server configure.
#[derive(Debug)]
pub(crate) struct PodSecurity {
    /// Whether the admission plugin PodSecurity is on.
    pub(crate) on: bool,
    /// Whether the admission plugin PodSecurityPolicy is on, which the minors up to 1.24 have.
    pub(crate) policies: bool,
    /// The configuration of PodSecurity, and its file; none if nothing configures it, so that any pod is admitted.
    pub(crate) configuration: Option<(RootedPath, PodSecurityConfig)>,
}

impl PodSecurity {
    /// Reads the admission of an API server with these flags (names without dashes, and values).
    ///
    /// # Errors
    /// A file that cannot be read, or on which the API server does not start.
    pub(crate) fn read(node: &NodeConfig<'_>, flags: Vec<(String, String)>) -> Result<Self> {
        let server = ApiServer::with(node, flags);
        let plugins = server.plugins();
        let on = plugins.contains("PodSecurity") && !is_gated(&server);
        let policies = plugins.contains("PodSecurityPolicy");
        let mut configuration = None;
        if let Some(config) = configured(&server)? {
            let refuse =
                |fault: Fault| refusal(&config.path, fault.position, format!("{SAYS}{}", fault.message));
            if let Some(document) = config.document.clone().map_err(refuse)? {
                let read =
                    pod_security::read(&document, node.minor()).map_err(|refusal| refuse(refusal.fault))?;
                configuration = Some((config.path, read));
            }
        }
        Ok(Self { on, policies, configuration })
    }
}

const SAYS: &str = "failed to initialize admission plugin \"PodSecurity\": ";

pub(super) fn check(config: &PluginConfig, minor: KubernetesMinor) -> Vec<Finding> {
    let document = match &config.document {
        Ok(Some(document)) => document,
        Ok(None) => {
            let finding = Finding::hardens_nothing(
                "pod-security-empty",
                "the entry for PodSecurity has no configuration: any pod is admitted",
                "write a PodSecurityConfiguration below configuration:",
            );
            return vec![finding.at(in_file(&config.path, config.position))];
        }
        Err(fault) => {
            let refusal = Refusal { reason: PodSecurityRefusal::Syntax, fault: fault.clone() };
            return vec![refused_config(&config.path, &refusal)];
        }
    };
    match pod_security::read(document, minor) {
        Ok(read) => effect(&config.path, &read),
        Err(refusal) => vec![refused_config(&config.path, &refusal)],
    }
}

fn refused_config(path: &RootedPath, refusal: &Refusal<PodSecurityRefusal>) -> Finding {
    let (code, remedy) = match refusal.reason {
        PodSecurityRefusal::Syntax => ("pod-security-syntax", "fix the YAML"),
        PodSecurityRefusal::Version => (
            "pod-security-version",
            "write the apiVersion that this minor knows, and kind: PodSecurityConfiguration",
        ),
        PodSecurityRefusal::Field => {
            ("pod-security-field", "spell the field exactly as Kubernetes does, and set it once")
        }
        PodSecurityRefusal::Level => {
            ("pod-security-level", "write privileged, baseline or restricted, and latest or v1.x")
        }
        PodSecurityRefusal::Exemption => {
            ("pod-security-exemption", "write each name once, as Kubernetes writes it")
        }
    };
    refused(code, path, &refusal.fault, SAYS, remedy)
}

/// Returns what a configuration that the API server accepts leaves open.
fn effect(path: &RootedPath, config: &PodSecurityConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(position) = config.second_document {
        let remedy = "move everything into the first document";
        findings.push(second_document("pod-security-second-document", path, position, remedy));
    }
    let level = config.enforce.unwrap_or(PodSecurityLevel::Privileged);
    if level == PodSecurityLevel::Privileged {
        let how = match config.enforce {
            None => "no level is enforced",
            Some(_) => "the level enforced is privileged",
        };
        let finding = Finding::hardens_nothing(
            "pod-security-privileged",
            format!("{how}: any pod is admitted"),
            "write enforce: restricted (or baseline) below defaults:",
        );
        findings.push(finding.at(in_file(path, config.enforce_position)));
    } else if !config.namespaces.value.iter().any(|name| name == "kube-system") {
        let finding = Finding::warns(
            "pod-security-kube-system",
            format!(
                "kube-system is not exempt: the API server rejects K3s's own pods there unless they are {}",
                level.name()
            ),
            "write kube-system below exemptions.namespaces",
        );
        findings.push(finding.at(in_file(path, config.exemptions_position)));
    }
    findings
}

/// Tells whether a feature gate keeps PodSecurity from checking pods.
fn is_gated(server: &ApiServer<'_>) -> bool {
    let gate = server.flags.gate("PodSecurity").or_else(|| server.flags.gate("AllBeta"));
    pod_security::can_be_gated(server.node.minor()) && gate == Some(false)
}

/// Finds the first entry for PodSecurity, which counts.
fn configured(server: &ApiServer<'_>) -> Result<Option<PluginConfig>> {
    let Some(text) = server.flags.value(FLAG) else { return Ok(None) };
    let path = server.node.path(text)?;
    let FileAt::File(bytes) = server.look(&path)? else {
        let message = format!("the admission configuration {path} is no file: the API server does not start");
        let flag = Place { file: FLAG.to_owned(), position: None };
        return Err(Error::new(ErrorKind::BadInput, message).at(server.place(FLAG).unwrap_or(flag)));
    };
    let config = match admission_config::read(&bytes, server.node.minor()) {
        Ok(config) => config,
        Err(Refusal { reason: AdmissionRefusal::Legacy(_), .. }) => return Ok(None),
        Err(Refusal { fault, .. }) => return Err(refusal(&path, fault.position, fault.message)),
    };
    let Some(entry) = config.plugins.iter().find(|entry| entry.name == "PodSecurity") else {
        return Ok(None);
    };
    let found = PluginConfig::find(server, &path, entry)?;
    found.map(Some).map_err(|finding| refusal(&path, entry.position, finding.message))
}

fn refusal(path: &RootedPath, position: Position, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadInput, message).at(in_file(path, position))
}
