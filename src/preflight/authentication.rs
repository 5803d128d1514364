// SPDX-License-Identifier: Apache-2.0
//! The authentication configuration that `authentication-config` names in the user's own arguments.

use super::Finding;
use super::apiserver::{ApiServer, NAME, in_file, refused, second_document, unknown_expressions};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::authentication_config::{
    self, ANONYMOUS_GATE, AuthenticationConfig, AuthenticationFlags, AuthenticationRefusal, GATE,
};
use crate::kubernetes::object::{Fault, Refusal};
use crate::node::RootedPath;

const FLAG: &str = "authentication-config";
/// The flag that the field `anonymous` excludes.
const ANONYMOUS_FLAG: &str = "anonymous-auth";
/// What the names of the flags begin with that the file replaces.
const OIDC: &str = "oidc-";
const EVERYBODY: &str = "anonymous requests are allowed (user system:anonymous)";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let mut findings: Vec<Finding> = excluded_flags(&server).into_iter().collect();
    let (path, bytes) = match server.file_of(FLAG)? {
        None => return Ok(findings),
        Some(Err(finding)) => return Ok(vec![*finding]),
        Some(Ok(file)) => file,
    };
    if !server.has_gate(GATE) {
        findings.push(server.without_gate(FLAG, GATE));
        return Ok(findings);
    }
    match read(&server, &bytes) {
        Ok(config) => findings.extend(effect(&server, &path, &config)),
        Err(refusal) => findings.push(refused_config(&path, &refusal)),
    }
    Ok(findings)
}

/// Reads a configuration as an API server with these flags (names without dashes, and values) does.
///
/// # Errors
/// The fault on which the API server does not start.
pub(crate) fn read_with(
    node: &NodeConfig<'_>,
    flags: Vec<(String, String)>,
    bytes: &[u8],
) -> std::result::Result<AuthenticationConfig, Fault> {
    read(&ApiServer::with(node, flags), bytes).map_err(|refusal| refusal.fault)
}

fn read(
    server: &ApiServer<'_>,
    bytes: &[u8],
) -> std::result::Result<AuthenticationConfig, Refusal<AuthenticationRefusal>> {
    let issuers = server.flags.values("service-account-issuer");
    let flags = AuthenticationFlags {
        anonymous_gate: server.has_gate(ANONYMOUS_GATE),
        service_account_issuers: &issuers,
    };
    authentication_config::read(bytes, server.node.minor(), flags)
}

/// Returns the finding for flags of OpenID Connect beside the file.
fn excluded_flags(server: &ApiServer<'_>) -> Option<Finding> {
    server.flags.value(FLAG)?;
    let flag = server.flags.names().find(|name| name.starts_with(OIDC))?.to_owned();
    let finding = Finding::stops(
        "authentication-flags",
        format!("{flag} and {FLAG} exclude each other"),
        format!("write the issuer into the file, and remove {flag}"),
    );
    Some(server.at(&flag, finding.says("authentication-config file and oidc-* flags are mutually exclusive")))
}

fn effect(server: &ApiServer<'_>, path: &RootedPath, config: &AuthenticationConfig) -> Vec<Finding> {
    let mut findings = unknown_expressions("authentication-expression", path, &config.unknown);
    if let Some(position) = config.second_document {
        findings.push(second_document(
            "authentication-second-document",
            path,
            position,
            "move everything into the first document",
        ));
    }
    findings.extend(open_to_all(server, path, config));
    if let Some(anonymous) = &config.anonymous
        && server.flags.has(ANONYMOUS_FLAG)
    {
        let message = "--anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file";
        let remedy = match server.place(ANONYMOUS_FLAG) {
            Some(place) => format!("remove the field, or {ANONYMOUS_FLAG} at {place}"),
            None => format!("remove the field: this release of K3s always passes {ANONYMOUS_FLAG}"),
        };
        let finding = Finding::stops("authentication-anonymous", message, remedy);
        findings.push(
            finding.at(in_file(path, anonymous.position)).says(format!("anonymous: Forbidden: {message}")),
        );
    }
    findings
}

/// Returns the finding for a file with which the API server lets every anonymous request in, although K3s closes it by
/// itself.
fn open_to_all(server: &ApiServer<'_>, path: &RootedPath, config: &AuthenticationConfig) -> Option<Finding> {
    if server.flags.has(ANONYMOUS_FLAG) {
        return None;
    }
    let (message, position) = match &config.anonymous {
        None if server.switches_anonymous_off() => return None,
        None => {
            let differs = server.node.differing_flags(NAME);
            let since = differs.iter().find(|differing| differing.flag == ANONYMOUS_FLAG);
            let since = since.map(|differing| format!(" from {} on", differing.since)).unwrap_or_default();
            let message = format!(
                "the file does not configure anonymous requests, and with this file K3s does not set {ANONYMOUS_FLAG}=false{since}: {EVERYBODY}"
            );
            (message, (1, 1))
        }
        Some(anonymous) if anonymous.enabled && anonymous.paths.is_empty() => {
            let message = format!("the file opens all paths to anonymous requests: {EVERYBODY}");
            (message, anonymous.position)
        }
        Some(_) => return None,
    };
    let remedy = "write anonymous: {enabled: false} into it, or name the open paths in anonymous.conditions";
    let finding = Finding::hardens_nothing("authentication-anonymous-open", message, remedy);
    Some(finding.at(in_file(path, position)))
}

/// Returns the finding for a file that says nothing of anonymous requests and so opens the API server.
///
/// # Errors
/// A path that cannot be read.
pub(super) fn silently_open(node: &NodeConfig<'_>) -> Result<Option<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(None) };
    let Some(Ok((path, bytes))) = server.file_of(FLAG)? else { return Ok(None) };
    let config = read(&server, &bytes).ok().filter(|config| config.anonymous.is_none());
    Ok(config.and_then(|config| open_to_all(&server, &path, &config)))
}

fn refused_config(path: &RootedPath, refusal: &Refusal<AuthenticationRefusal>) -> Finding {
    let as_it_says = "fix the value as described in the message";
    let (code, says, remedy) = match refusal.reason {
        AuthenticationRefusal::Syntax => {
            ("authentication-syntax", LOAD, "write the file as Kubernetes reads it")
        }
        AuthenticationRefusal::Version => (
            "authentication-version",
            LOAD,
            "write an apiVersion that this minor has (apiserver.config.k8s.io/v1 from 1.34, v1beta1 from 1.30), and kind: AuthenticationConfiguration",
        ),
        AuthenticationRefusal::Field => {
            ("authentication-field", LOAD, "spell the field exactly as Kubernetes does, and set it once")
        }
        AuthenticationRefusal::Issuer => ("authentication-issuer", INVALID, as_it_says),
        AuthenticationRefusal::Claims => ("authentication-claims", INVALID, as_it_says),
        AuthenticationRefusal::Anonymous => ("authentication-anonymous", INVALID, as_it_says),
    };
    refused(code, path, &refusal.fault, says, remedy)
}

const LOAD: &str = "failed to load authentication configuration from file: ";
const INVALID: &str = "invalid authentication configuration: ";
