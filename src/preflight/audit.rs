// SPDX-License-Identifier: Apache-2.0
//! The flags of auditing, and the audit policy that `audit-policy-file` names.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, NoFile, in_file, refused, second_document};
use super::audit_log;
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::audit_policy::{self, AuditPolicy, AuditRefusal, VERBS};
use crate::kubernetes::object::{MAX_FAULTS, Refusal};
use crate::node::RootedPath;
use crate::version::KubernetesMinor;

const SAYS: &str = "loading audit policy file: ";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let mut findings = switched_on(&server);
    if let Some(policy) = server.flags.value("audit-policy-file") {
        check_policy(&server, policy, &mut findings)?;
    }
    if let Some(log) = server.flags.value("audit-log-path").filter(|path| *path != "-") {
        findings.extend(audit_log::check(&server, log)?);
    }
    Ok(findings)
}

/// A policy without a log or webhook, or a log or webhook without a policy: nothing is recorded.
fn switched_on(server: &ApiServer<'_>) -> Vec<Finding> {
    let backend = ["audit-log-path", "audit-webhook-config-file"]
        .into_iter()
        .find(|name| server.flags.value(name).is_some());
    let finding = match (server.flags.value("audit-policy-file"), backend) {
        (Some(_), None) => server.at(
            "audit-policy-file",
            Finding::hardens_nothing(
                "audit-no-log",
                "there is an audit policy, but no audit-log-path: nothing is recorded",
                "set audit-log-path",
            ),
        ),
        (None, Some(name)) => server.at(
            name,
            Finding::hardens_nothing(
                "audit-no-policy",
                format!("{name} is set, but no audit-policy-file: nothing is recorded"),
                "set audit-policy-file",
            )
            .says("No audit policy file provided, no events will be recorded"),
        ),
        _ => return Vec::new(),
    };
    vec![finding]
}

fn check_policy(server: &ApiServer<'_>, text: &str, findings: &mut Vec<Finding>) -> Result<()> {
    let path = server.node.path(text)?;
    let found = server.look(&path)?;
    let (code, remedy) = match found {
        FileAt::Directory => ("audit-policy-unreadable", "name the file"),
        _ => ("audit-policy-missing", "write it, or remove audit-policy-file"),
    };
    let bytes = match found.into_bytes(&path) {
        Ok(bytes) => bytes,
        Err(NoFile { what, error }) => {
            let finding = Finding::stops(code, format!("the audit policy {path} {what}"), remedy);
            let says = format!("{SAYS}failed to read file path {:?}: {error}", path.as_str());
            findings.push(server.at("audit-policy-file", finding.says(says)));
            return Ok(());
        }
    };
    match audit_policy::read(&bytes, server.node.minor()) {
        Ok(policy) => findings.extend(effect(&path, &policy, server.node.minor())),
        Err(refusal) => findings.push(refused_policy(&path, &refusal)),
    }
    Ok(())
}

/// Returns the finding for a policy that the API server refuses.
fn refused_policy(path: &RootedPath, refusal: &Refusal<AuditRefusal>) -> Finding {
    let as_it_says = "fix the value as described in the message";
    let (code, prefix, remedy) = match refusal.reason {
        AuditRefusal::Syntax => ("audit-policy-syntax", "failed decoding: ", "fix the YAML"),
        AuditRefusal::Decoding => ("audit-policy-decoding", "failed decoding: ", as_it_says),
        AuditRefusal::Version => {
            ("audit-policy-version", "", "write apiVersion: audit.k8s.io/v1 and kind: Policy")
        }
        AuditRefusal::Level => ("audit-level", "", as_it_says),
        AuditRefusal::Url => ("audit-url", "", as_it_says),
        AuditRefusal::Group => ("audit-group", "", as_it_says),
        AuditRefusal::Stage => ("audit-stage", "", as_it_says),
        AuditRefusal::NoRules => ("audit-no-rules", "", as_it_says),
    };
    refused(code, path, &refusal.fault, &format!("{SAYS}{prefix}"), remedy)
}

/// Returns what in a policy that the API server accepts has no effect.
fn effect(path: &RootedPath, policy: &AuditPolicy, minor: KubernetesMinor) -> Vec<Finding> {
    let mut findings = Vec::new();
    for fault in &policy.dropped {
        let finding = Finding::hardens_nothing(
            "audit-policy-field",
            format!("{}: the API server drops it", fault.message),
            "spell the field exactly as Kubernetes does, and set it once",
        );
        let finding = finding.at(in_file(path, fault.position));
        findings.push(match audit_policy::dropped_warning(fault, minor) {
            Some(warning) => finding.says(warning),
            None => finding,
        });
    }
    if let Some(position) = policy.second_document {
        let remedy = "put all rules into the first";
        findings.push(second_document("audit-second-document", path, position, remedy));
    }
    if !policy.records() {
        let finding = Finding::hardens_nothing(
            "audit-level-none",
            "the policy records nothing: no rule before the catch-all has a level above None and a stage",
            "write level: Metadata for what is to be recorded",
        );
        findings.push(finding.at(in_file(path, policy.rules_position)));
    }
    let verbs = policy.rules.iter().flat_map(|rule| &rule.verbs);
    let unknown = verbs.filter(|verb| !VERBS.contains(&verb.value.as_str()));
    findings.extend(unknown.take(MAX_FAULTS).map(|verb| {
        let finding = Finding::hardens_nothing(
            "audit-verb",
            format!("no request has the verb {:?}", verb.value),
            "write verbs in small letters, such as get or create; no verbs are all of them",
        );
        finding.at(in_file(path, verb.position))
    }));
    findings
}
