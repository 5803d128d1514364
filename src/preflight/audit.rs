// SPDX-License-Identifier: Apache-2.0
//! The flags of auditing, the audit policy that `audit-policy-file` names, and the audit log.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, NoFile, in_file, refused, second_document};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::audit_policy::{self, AuditPolicy, AuditRefusal, VERBS};
use crate::kubernetes::object::{MAX_FAULTS, Refusal};
use crate::node::{PathState, RootedPath};
use crate::version::KubernetesMinor;

const SAYS: &str = "loading audit policy file: ";
/// Where nobody makes files and folders: file systems of the kernel, and devices.
const PSEUDO: [&str; 3] = ["/proc", "/sys", "/dev/null"];

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::configured(node) else { return Ok(Vec::new()) };
    let mut findings = switched_on(&server);
    if let Some(policy) = server.flags.value("audit-policy-file") {
        check_policy(&server, policy, &mut findings)?;
    }
    if let Some(log) = server.flags.value("audit-log-path").filter(|path| *path != "-") {
        check_log(&server, log, &mut findings)?;
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
    let as_it_says = "write it as the message says";
    let (code, prefix, remedy) = match refusal.reason {
        AuditRefusal::Syntax => ("audit-policy-syntax", "failed decoding: ", "mend the YAML"),
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
            "write the field as Kubernetes does, once",
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
            "the policy records nothing: no rule before one for everything has a level above None and a stage",
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

/// Tells whether a path is in a file system that the kernel fills, where no file can be made. A descriptor of a process is
/// there already, and can be written.
fn is_of_kernel(path: &RootedPath) -> bool {
    let parts: Vec<&str> = path.as_str().split('/').skip(1).collect();
    match parts.as_slice() {
        ["proc", process, "fd", _] => {
            !["self", "thread-self"].contains(process) && process.parse::<u32>().is_err()
        }
        [first, _, ..] => ["proc", "sys"].contains(first),
        _ => false,
    }
}

/// The API server creates the log and its directories, but replaces nothing that is in the way.
fn check_log(server: &ApiServer<'_>, text: &str, findings: &mut Vec<Finding>) -> Result<()> {
    let path = server.node.path(text)?;
    let mut above = Vec::new();
    let mut next = path.parent();
    while let Some(parent) = next {
        next = parent.parent();
        above.push(parent);
    }
    let refuse = |says: String, message: String, remedy: &str| {
        let finding = Finding::stops("audit-log-path", message, remedy);
        server.at("audit-log-path", finding.says(format!("ensureLogFile: {says}")))
    };
    if is_of_kernel(&path) {
        findings.push(refuse(
            format!("open {path}: no such file or directory"),
            format!("the audit log would be {path}, and nobody can make a file there"),
            "name a path on a disk",
        ));
        return Ok(());
    }
    for folder in above.iter().rev().filter(|folder| folder.parent().is_some()) {
        if PSEUDO.contains(&folder.as_str()) {
            findings.push(refuse(
                format!(
                    "mkdir {}: no such file or directory",
                    path.parent().unwrap_or_else(|| folder.clone())
                ),
                format!("the audit log would be {path}, and nobody makes files in {folder}"),
                "name a path in a file system of a disk",
            ));
            return Ok(());
        }
        match server.node.root.look(folder)? {
            PathState::Absent => return Ok(()),
            PathState::Directory { .. } => {}
            PathState::Symlink { .. } if matches!(server.look(folder)?, FileAt::Directory) => {}
            _ => {
                findings.push(refuse(
                    format!("mkdir {folder}: not a directory"),
                    format!("the audit log would be below {folder}, which is no directory"),
                    "name another path, or remove what is there",
                ));
                return Ok(());
            }
        }
    }
    if matches!(server.look(&path)?, FileAt::Directory) {
        findings.push(refuse(
            format!("open {path}: is a directory"),
            format!("the audit log {path} is a directory"),
            "name a file in it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_file_systems_hold_no_log() {
        let of_kernel = |path: &str| is_of_kernel(&path.parse().unwrap());
        for path in
            ["/proc/none/audit.log", "/proc/audit.log", "/sys/kernel/x", "/proc/x/fd/1", "/proc/self/fd/1/x"]
        {
            assert!(of_kernel(path), "{path}");
        }
        for path in ["/proc/1/fd/1", "/proc/self/fd/2", "/process/x", "/var/proc/x", "/system/a", "/srv"] {
            assert!(!of_kernel(path), "{path}");
        }
    }
}
