// SPDX-License-Identifier: Apache-2.0
//! The configuration file that kube-scheduler's argument `config` names.

use super::Finding;
use super::component_file::ComponentFile;
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::object::{Fault, MAX_FAULTS};
use crate::kubernetes::scheduler_config;
use crate::kubernetes::scheduler_outcome::{SchedulerConfig, SchedulerRefusal};

const NAME: &str = "kube-scheduler";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(file) = ComponentFile::read(node, NAME)? else { return Ok(Vec::new()) };
    let findings = match &file.bytes {
        Err(finding) => vec![finding.clone()],
        Ok(bytes) => match scheduler_config::read(bytes, node.minor(), &file.flags) {
            Ok(config) => judged(node, &file, &config)?,
            Err(refusal) => {
                let (code, remedy) = match refusal.reason {
                    SchedulerRefusal::Syntax => ("scheduler-syntax", "write the value as the field takes it"),
                    SchedulerRefusal::Version => (
                        "scheduler-version",
                        "write an apiVersion that this minor has (kubescheduler.config.k8s.io/v1 from 1.25), and kind: KubeSchedulerConfiguration",
                    ),
                    SchedulerRefusal::Field => {
                        ("scheduler-field", "spell the field exactly as Kubernetes does, and set it once")
                    }
                };
                vec![file.stops(code, &refusal.fault, remedy)]
            }
        },
    };
    Ok(match node.running().waits_for_node(NAME) {
        true => findings.into_iter().map(Finding::once_a_node_joins).collect(),
        false => findings,
    })
}

/// Returns the findings about a configuration that the scheduler decodes.
fn judged(node: &NodeConfig<'_>, file: &ComponentFile, config: &SchedulerConfig) -> Result<Vec<Finding>> {
    let refused = config.refused.iter().take(MAX_FAULTS);
    let mut findings: Vec<Finding> =
        refused.map(|(one, position)| file.refuses("scheduler-value", one, *position)).collect();
    let faults = config.faults.iter().take(MAX_FAULTS);
    findings
        .extend(faults.map(|fault| {
            file.stops("scheduler-profile", fault, "fix the value as described in the message")
        }));
    for named in &config.files {
        findings.extend(file.missing(node, "scheduler-file", &named.value, named.position)?);
    }
    match &config.kubeconfig {
        Some(named) => {
            findings.extend(file.kubeconfig(node, "scheduler-kubeconfig", named)?);
        }
        None if file.flags.text("master").is_none_or(|master| master.is_empty()) => {
            let message = "clientConnection.kubeconfig is missing, and the scheduler ignores the argument kubeconfig if config is set: \
                           invalid configuration: no configuration has been provided";
            let kubeconfig = node.data_dir.join("server/cred/scheduler.kubeconfig");
            let remedy = format!("write clientConnection.kubeconfig: {kubeconfig}");
            findings.push(file.stops("scheduler-kubeconfig", &Fault::new((1, 1), message), &remedy));
        }
        None => {}
    }
    if let Some(position) = config.second_document {
        findings.push(file.second_document("scheduler-second-document", position));
    }
    Ok(findings)
}
