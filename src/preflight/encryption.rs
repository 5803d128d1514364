// SPDX-License-Identifier: Apache-2.0
//! The encryption configuration that `encryption-provider-config` names in the user's own arguments. K3s writes the
//! one of `secrets-encryption` itself.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, NoFile, dropped_field, in_file, refused, second_document};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::encryption_config::{self, EncryptionConfig, EncryptionRefusal};
use crate::kubernetes::object::{Fault, Refusal};
use crate::node::RootedPath;

const FLAG: &str = "encryption-provider-config";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let Some(text) = server.flags.value(FLAG) else { return Ok(Vec::new()) };
    let Some(place) = server.place(FLAG) else { return of_k3s(&server, text) };
    let path = node.path(text)?;
    let found = server.look(&path)?;
    if matches!(found, FileAt::Nothing) && node.creates(&path) {
        return Ok(Vec::new());
    }
    let bytes = match found.into_bytes(&path) {
        Ok(bytes) => bytes,
        Err(NoFile { what, error }) => {
            let message = format!("the encryption configuration {path} {what}");
            let finding =
                Finding::stops("encryption-file-missing", message, "write it, or use secrets-encryption");
            let says = format!("error reading encryption provider configuration file \"{path}\": {error}");
            return Ok(vec![finding.at(place).says(says)]);
        }
    };
    Ok(match read(&server, &bytes) {
        Ok(config) => effect(&path, &config),
        Err(refusal) => vec![refused_config(&path, &refusal)],
    })
}

/// Returns what the API server refuses in the file that K3s itself has written. An empty one is written again.
fn of_k3s(server: &ApiServer<'_>, text: &str) -> Result<Vec<Finding>> {
    let path = server.node.path(text)?;
    let FileAt::File(bytes) = server.look(&path)? else { return Ok(Vec::new()) };
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(read(server, &bytes).err().map(|refusal| refused_config(&path, &refusal)).into_iter().collect())
}

fn read(
    server: &ApiServer<'_>,
    bytes: &[u8],
) -> std::result::Result<EncryptionConfig, Refusal<EncryptionRefusal>> {
    encryption_config::read(bytes, server.node.minor(), server.flags.gate("KMSv1") == Some(true))
}

/// Reads a configuration as an API server with these flags (names without dashes, and values) does.
///
/// # Errors
/// The fault on which the API server does not start.
pub(crate) fn read_with(
    node: &NodeConfig<'_>,
    flags: Vec<(String, String)>,
    bytes: &[u8],
) -> std::result::Result<EncryptionConfig, Fault> {
    read(&ApiServer::with(node, flags), bytes).map_err(|refusal| refusal.fault)
}

fn refused_config(path: &RootedPath, refusal: &Refusal<EncryptionRefusal>) -> Finding {
    let as_it_says = "fix the value as described in the message, or use secrets-encryption";
    let (code, remedy) = match refusal.reason {
        EncryptionRefusal::Syntax => ("encryption-syntax", "fix the YAML"),
        EncryptionRefusal::Version => (
            "encryption-version",
            "write apiVersion: apiserver.config.k8s.io/v1 and kind: EncryptionConfiguration",
        ),
        EncryptionRefusal::Field => {
            ("encryption-field", "spell the field exactly as Kubernetes does, and set it once")
        }
        EncryptionRefusal::Empty => ("encryption-empty", as_it_says),
        EncryptionRefusal::Resource => ("encryption-resource", as_it_says),
        EncryptionRefusal::Provider => ("encryption-provider", as_it_says),
        EncryptionRefusal::Key => {
            ("encryption-key", "write a name, and a base64 key of the length that the provider needs")
        }
        EncryptionRefusal::Kms => ("encryption-kms", as_it_says),
    };
    refused(code, path, &refusal.fault, "error while parsing file: ", remedy)
}

/// Returns what a configuration that the API server accepts leaves open.
fn effect(path: &RootedPath, config: &EncryptionConfig) -> Vec<Finding> {
    let dropped = config.dropped.iter().map(|fault| dropped_field("encryption-field", path, fault));
    let mut findings: Vec<Finding> = dropped.collect();
    if let Some(position) = config.second_document {
        let remedy = "put all resources into the first";
        findings.push(second_document("encryption-second-document", path, position, remedy));
    }
    for group in &config.resources {
        if let Some(first) = group.providers.first().filter(|provider| provider.name == "identity") {
            let finding = Finding::hardens_nothing(
                "encryption-identity-first",
                "the first provider is used for writing, and it is identity: nothing is encrypted",
                "put a provider with keys before it",
            );
            findings.push(finding.at(in_file(path, first.content_position)));
        }
    }
    findings
}
