// SPDX-License-Identifier: Apache-2.0
//! The tracing configuration that `tracing-config-file` names in the user's own arguments.

use super::Finding;
use super::apiserver::{ApiServer, dropped_field, refused, second_document};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::object::Refusal;
use crate::kubernetes::tracing_config::{self, GATE, TracingRefusal};
use crate::node::RootedPath;

const FLAG: &str = "tracing-config-file";

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
    match tracing_config::read(&bytes, node.minor()) {
        Ok(config) => {
            let mut findings: Vec<Finding> =
                config.dropped.iter().map(|fault| dropped_field("tracing-field", &path, fault)).collect();
            let second = config.second_document.map(|position| {
                second_document(
                    "tracing-second-document",
                    &path,
                    position,
                    "move everything into the first document",
                )
            });
            findings.extend(second);
            Ok(findings)
        }
        Err(refusal) => Ok(vec![refused_config(&path, &refusal)]),
    }
}

fn refused_config(path: &RootedPath, refusal: &Refusal<TracingRefusal>) -> Finding {
    let read = "failed to read tracing config: unable to decode tracing configuration data: ";
    let (code, says, remedy) = match refusal.reason {
        TracingRefusal::Syntax => ("tracing-syntax", read, "write the file as Kubernetes reads it"),
        TracingRefusal::Version => (
            "tracing-version",
            read,
            "write an apiVersion that this minor has (apiserver.config.k8s.io/v1 from 1.34, v1beta1 from 1.27), and kind: TracingConfiguration",
        ),
        TracingRefusal::Field => {
            ("tracing-field", read, "spell the field exactly as Kubernetes does, and set it once")
        }
        TracingRefusal::Value => (
            "tracing-value",
            "failed to validate tracing configuration: ",
            "fix the value as described in the message",
        ),
    };
    refused(code, path, &refusal.fault, says, remedy)
}
