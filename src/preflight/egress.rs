// SPDX-License-Identifier: Apache-2.0
//! The egress selector configuration that `egress-selector-config-file` names in the user's own arguments. K3s writes
//! one itself, and this argument replaces it.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, dropped_field, in_file, refused, second_document};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::certificates;
use crate::kubernetes::egress_config::{self, EgressConfig, EgressRefusal};
use crate::kubernetes::object::Refusal;
use crate::node::RootedPath;

const FLAG: &str = "egress-selector-config-file";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let (path, bytes) = match server.file_of(FLAG)? {
        None => return Ok(Vec::new()),
        Some(Err(finding)) => return Ok(vec![*finding]),
        Some(Ok(file)) => file,
    };
    // K3s writes its own file anew before each start.
    if node.creates(&path) {
        return Ok(Vec::new());
    }
    match egress_config::read(&bytes, node.minor()) {
        Ok(config) => effect(&server, &path, &config),
        Err(refusal) => Ok(vec![refused_config(&path, &refusal)]),
    }
}

fn effect(server: &ApiServer<'_>, path: &RootedPath, config: &EgressConfig) -> Result<Vec<Finding>> {
    let dropped = config.dropped.iter().map(|fault| dropped_field("egress-field", path, fault));
    let mut findings: Vec<Finding> = dropped.collect();
    if let Some(position) = config.second_document {
        let remedy = "move everything into the first document";
        findings.push(second_document("egress-second-document", path, position, remedy));
    }
    let mut certificate = None;
    for (field, file) in &config.files {
        let named = server.node.path(&file.value)?;
        let found = server.look(&named)?;
        let (message, says) = match (&found, *field) {
            (FileAt::Nothing, _) if server.node.creates(&named) => {
                certificate = None;
                continue;
            }
            (FileAt::Nothing, _) => (
                format!("{named}, which {field} names, does not exist"),
                format!("service.connection.tlsConfig.{field}: Invalid value: {:?}", file.value),
            ),
            (FileAt::Directory, _) => (
                format!("{named}, which {field} names, is a directory"),
                format!("read {named}: is a directory"),
            ),
            (FileAt::File(bytes), "caBundle") => match certificates::has_certificate(bytes) {
                true => continue,
                false => (
                    format!("{named}, which {field} names, has no certificate"),
                    "failed to append CA cert to the cert pool".to_owned(),
                ),
            },
            (FileAt::File(bytes), "clientCert") => {
                certificate = Some(bytes.clone());
                continue;
            }
            (FileAt::File(key), _) => {
                let pair = certificate.take().map(|certificate| certificates::check_pair(&certificate, key));
                let Some(Err(says)) = pair else { continue };
                let message = format!("{named} and the file of clientCert are no certificate and its key");
                (message, format!("failed to read key pair: {says}"))
            }
        };
        let finding = Finding::stops("egress-file-missing", message, "write it, or name another one");
        findings.push(finding.at(in_file(path, file.position)).says(says));
    }
    Ok(findings)
}

fn refused_config(path: &RootedPath, refusal: &Refusal<EgressRefusal>) -> Finding {
    let as_it_says = "fix the value as described in the message";
    let (code, remedy) = match refusal.reason {
        EgressRefusal::Syntax => ("egress-syntax", "write the file as Kubernetes reads it"),
        EgressRefusal::Version => (
            "egress-version",
            "write apiVersion: apiserver.k8s.io/v1beta1 and kind: EgressSelectorConfiguration",
        ),
        EgressRefusal::Field => {
            ("egress-field", "spell the field exactly as Kubernetes does, and set it once")
        }
        EgressRefusal::Name => ("egress-name", "write controlplane, etcd or cluster, each once"),
        EgressRefusal::Connection => ("egress-connection", as_it_says),
    };
    refused(code, path, &refusal.fault, "failed to read egress selector config: ", remedy)
}
