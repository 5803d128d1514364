// SPDX-License-Identifier: Apache-2.0
//! The configuration file that kube-proxy's argument `config` names.

use super::Finding;
use super::apiserver::in_file;
use super::component_file::ComponentFile;
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::object::{Fault, MAX_FAULTS};
use crate::kubernetes::proxy_config::{self, ProxyConfig, ProxyRefusal};

const NAME: &str = "kube-proxy";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(file) = ComponentFile::read(node, NAME)? else { return Ok(Vec::new()) };
    let bytes = match &file.bytes {
        Ok(bytes) => bytes,
        Err(finding) => return Ok(vec![finding.clone()]),
    };
    let config = match proxy_config::read(bytes, node.minor(), &file.flags) {
        Ok(config) => config,
        Err(refusal) => {
            let (code, remedy) = match refusal.reason {
                ProxyRefusal::Syntax => ("proxy-syntax", "write the value as the field takes it"),
                ProxyRefusal::Version => (
                    "proxy-version",
                    "write apiVersion: kubeproxy.config.k8s.io/v1alpha1 and kind: KubeProxyConfiguration",
                ),
            };
            let message = format!("failed to decode: {}", refusal.fault.message);
            return Ok(vec![file.stops(code, &Fault::new(refusal.fault.position, message), remedy)]);
        }
    };
    let refused = config.refused.iter().take(MAX_FAULTS);
    let mut findings: Vec<Finding> =
        refused.map(|(one, position)| file.refuses("proxy-value", one, *position)).collect();
    findings.extend(config.dropped.iter().map(|fault| {
        let message = format!("{}: kube-proxy logs it, and decodes the file without it", fault.message);
        let finding = Finding::hardens_nothing(
            "proxy-field",
            message,
            "spell the field exactly as Kubernetes does, and set it once",
        );
        let says = format!("Using lenient decoding as strict decoding failed: {}", fault.message);
        finding.at(in_file(&file.path, fault.position)).says(says)
    }));
    findings.extend(client(node, &file, &config)?);
    if let Some(position) = config.second_document {
        findings.push(file.second_document("proxy-second-document", position));
    }
    Ok(findings)
}

/// Checks how kube-proxy reaches the API server: `createClient` in cmd/kube-proxy/app/server.go of Kubernetes. Its argument
/// `kubeconfig` does not count beside a file, but `master` does.
fn client(node: &NodeConfig<'_>, file: &ComponentFile, config: &ProxyConfig) -> Result<Option<Finding>> {
    if let Some(named) = &config.kubeconfig {
        return file.kubeconfig(node, "proxy-kubeconfig-file", named);
    }
    if file.flags.text("master").is_some_and(|master| !master.is_empty()) {
        return Ok(None);
    }
    let message = "clientConnection.kubeconfig is missing, and kube-proxy ignores the argument kubeconfig if config is set: \
                   it looks for the in-cluster configuration, which only a pod has";
    let kubeconfig = node.data_dir.join("agent/kubeproxy.kubeconfig");
    let remedy = format!("write clientConnection.kubeconfig: {kubeconfig}");
    let finding = Finding::unknown("kube-proxy-kubeconfig", message, remedy);
    let says = "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined";
    Ok(Some(finding.at(in_file(&file.path, (1, 1))).says(says)))
}
