// SPDX-License-Identifier: Apache-2.0
//! The authorization configuration that `authorization-config` names in the user's own arguments.

use super::apiserver::{self, ApiServer, FileAt, in_file, refused, second_document, unknown_expressions};
use super::{Finding, argument_files};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::argument_files::FileContent;
use crate::kubernetes::authorization_config::{
    self, ABAC, ALWAYS_ALLOW, AuthorizationConfig, AuthorizationRefusal, GATE,
};
use crate::kubernetes::object::{Fault, Refusal};
use crate::node::RootedPath;

const FLAG: &str = "authorization-config";
/// The code of what is wrong with the kubeconfig of a webhook.
const KUBECONFIG: &str = "authorization-kubeconfig";
/// The flag with the file that the authorizer ABAC needs.
const POLICY_FLAG: &str = "authorization-policy-file";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let (path, bytes) = match server.file_of(FLAG)? {
        None => return Ok(Vec::new()),
        Some(Err(finding)) => return Ok(vec![*finding]),
        Some(Ok(file)) => file,
    };
    if !server.has_gate(GATE) {
        return Ok(vec![server.without_gate(FLAG, GATE)]);
    }
    match authorization_config::read(&bytes, node.minor()) {
        Ok(config) => effect(&server, &path, &config),
        Err(refusal) => Ok(vec![refused_config(&path, &refusal)]),
    }
}

/// Reads a configuration as an API server of the node does.
///
/// # Errors
/// The fault on which the API server does not start.
pub(crate) fn read(node: &NodeConfig<'_>, bytes: &[u8]) -> std::result::Result<AuthorizationConfig, Fault> {
    authorization_config::read(bytes, node.minor()).map_err(|refusal| refusal.fault)
}

fn effect(server: &ApiServer<'_>, path: &RootedPath, config: &AuthorizationConfig) -> Result<Vec<Finding>> {
    let mut findings = unknown_expressions("authorization-expression", path, &config.unknown);
    if let Some(position) = config.second_document {
        let remedy = "move everything into the first document";
        findings.push(second_document("authorization-second-document", path, position, remedy));
    }
    for kubeconfig in &config.kubeconfigs {
        let file = server.node.path(&kubeconfig.value)?;
        let says = match server.look(&file)? {
            FileAt::File(_) => {
                let named = ("kubeConfigFile", kubeconfig.value.as_str());
                let found =
                    argument_files::content(server.node, apiserver::NAME, named, FileContent::Kubeconfig)?;
                findings.extend(found.map(|finding| {
                    Finding { code: KUBECONFIG, ..finding }.at(in_file(path, kubeconfig.position))
                }));
                continue;
            }
            FileAt::Directory => "must be a regular file".to_owned(),
            FileAt::Nothing if server.node.creates(&file) => continue,
            FileAt::Nothing => format!("error loading file: stat {file}: no such file or directory"),
        };
        let finding = Finding::stops(
            KUBECONFIG,
            format!("{file}, the kubeconfig of a webhook, is no file"),
            "write it, or name another one",
        );
        findings.push(finding.at(in_file(path, kubeconfig.position)).says(says));
    }
    for authorizer in &config.types {
        let place = in_file(path, authorizer.position);
        if authorizer.value == ALWAYS_ALLOW {
            let message = "the authorizer AlwaysAllow allows every request that none before it denies";
            let finding = Finding::hardens_nothing("authorization-always-allow", message, "remove it");
            findings.push(finding.at(place));
        } else if authorizer.value == ABAC && server.flags.value(POLICY_FLAG).is_none_or(str::is_empty) {
            let finding = Finding::stops(
                "authorization-abac",
                format!("the authorizer ABAC has no policy: {POLICY_FLAG} is not set"),
                format!("remove it, or set {POLICY_FLAG}"),
            );
            findings.push(finding.at(place).says("open : no such file or directory"));
        }
    }
    Ok(findings)
}

fn refused_config(path: &RootedPath, refusal: &Refusal<AuthorizationRefusal>) -> Finding {
    let as_it_says = "fix the value as described in the message";
    let (code, says, remedy) = match refusal.reason {
        AuthorizationRefusal::Syntax => {
            ("authorization-syntax", LOAD, "write the file as Kubernetes reads it")
        }
        AuthorizationRefusal::Version => (
            "authorization-version",
            LOAD,
            "write an apiVersion that this minor has (apiserver.config.k8s.io/v1 from 1.32, v1beta1 from 1.30), and kind: AuthorizationConfiguration",
        ),
        AuthorizationRefusal::Field => {
            ("authorization-field", LOAD, "spell the field exactly as Kubernetes does, and set it once")
        }
        AuthorizationRefusal::Authorizer => ("authorization-authorizer", "", as_it_says),
        AuthorizationRefusal::Webhook => ("authorization-webhook", "", as_it_says),
    };
    refused(code, path, &refusal.fault, says, remedy)
}

const LOAD: &str = "failed to load AuthorizationConfiguration from file: ";
