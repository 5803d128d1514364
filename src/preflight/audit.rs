//! The flags of auditing, the audit policy that `audit-policy-file` names, and the audit log.
//!
//! Source: pkg/server/options/audit.go of k8s.io/apiserver.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, in_file, refused};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::kubernetes::audit_policy::{self, AuditPolicy, AuditRefusal, VERBS};
use crate::kubernetes::flag_values;
use crate::kubernetes::object::{MAX_FAULTS, Refusal};
use crate::node::{PathState, RootedPath};
use crate::version::KubernetesMinor;

const MODES: [&str; 3] = ["batch", "blocking", "blocking-strict"];
const FORMATS: [&str; 2] = ["legacy", "json"];
const SAYS: &str = "loading audit policy file: ";

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let Some(server) = ApiServer::of(node) else { return Ok(Vec::new()) };
    let mut findings = switched_on(&server);
    options(&server, &mut findings);
    if let Some(policy) = server.value("audit-policy-file") {
        check_policy(&server, policy, &mut findings)?;
    }
    if let Some(log) = server.value("audit-log-path").filter(|path| *path != "-") {
        check_log(&server, log, &mut findings)?;
    }
    Ok(findings)
}

/// A policy without a log or webhook, or a log or webhook without a policy: nothing is recorded.
fn switched_on(server: &ApiServer<'_>) -> Vec<Finding> {
    let backend =
        ["audit-log-path", "audit-webhook-config-file"].into_iter().find(|name| server.value(name).is_some());
    let finding = match (server.value("audit-policy-file"), backend) {
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

/// Checks the flags of a log or webhook that is on.
fn options(server: &ApiServer<'_>, findings: &mut Vec<Finding>) {
    let mut refuse = |name: &str, says: String, remedy: &str| {
        let message = format!("{name} is {:?}", server.value(name).unwrap_or_default());
        findings.push(server.at(name, Finding::stops("audit-option", message, remedy).says(says)));
    };
    for (plugin, switch) in [("log", "audit-log-path"), ("webhook", "audit-webhook-config-file")] {
        if server.value(switch).is_none() {
            continue;
        }
        let flag = |name: &str| format!("audit-{plugin}-{name}");
        let mode = server.value(&flag("mode"));
        if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
            let says = format!(
                "invalid audit {plugin} mode {mode}, allowed modes are \"batch,blocking,blocking-strict\""
            );
            refuse(&flag("mode"), says, "write batch, blocking or blocking-strict");
        }
        if mode == Some("batch") || (mode.is_none() && plugin == "webhook") {
            let throttled = server
                .value(&flag("batch-throttle-enable"))
                .is_none_or(|text| flag_values::boolean(text) == Some(true));
            let sizes = ["batch-buffer-size", "batch-max-size"].into_iter();
            let throttles = ["batch-throttle-burst", "batch-throttle-qps"].into_iter().filter(|_| throttled);
            for name in sizes.chain(throttles) {
                let value = server.value(&flag(name)).and_then(flag_values::number);
                if value.is_some_and(|value| value <= 0.0) {
                    refuse(
                        &flag(name),
                        format!("invalid audit batch {plugin} {name}, must be a positive number"),
                        "write a positive number",
                    );
                }
            }
        }
        if server.number(&flag("truncate-max-event-size")).is_some_and(|value| value <= 0) {
            let says = format!("invalid audit truncate {plugin} max event size, must be a positive number");
            refuse(&flag("truncate-max-event-size"), says, "write a positive number");
        }
        let batch = server.number(&flag("truncate-max-batch-size")).unwrap_or(10 * 1024 * 1024);
        let event = server.number(&flag("truncate-max-event-size")).unwrap_or(100 * 1024);
        if batch < event {
            let says = format!(
                "invalid audit truncate {plugin} max batch size {batch}, must be greater than max event size ({event})"
            );
            let name = if server.has(&flag("truncate-max-batch-size")) { "batch" } else { "event" };
            refuse(&flag(&format!("truncate-max-{name}-size")), says, "write a batch larger than an event");
        }
        if server
            .value(&flag("version"))
            .is_some_and(|version| !audit_policy::versions(server.node.minor).contains(&version))
        {
            let says = "invalid group version, allowed versions are [\"audit.k8s.io/v1\"]".to_owned();
            refuse(&flag("version"), says, "write audit.k8s.io/v1");
        }
    }
    if server.value("audit-log-path").is_none() {
        return;
    }
    if let Some(format) = server.value("audit-log-format").filter(|format| !FORMATS.contains(format)) {
        let says = format!("invalid audit log format {format}, allowed formats are \"legacy,json\"");
        refuse("audit-log-format", says, "write json");
    }
    for name in ["audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"] {
        if let Some(value) = server.number(name).filter(|value| *value < 0) {
            refuse(name, format!("--{name} {value} can't be a negative number"), "write 0 or more");
        }
    }
}

fn check_policy(server: &ApiServer<'_>, text: &str, findings: &mut Vec<Finding>) -> Result<()> {
    let path = server.node.path(text)?;
    let bytes = match server.look(&path)? {
        FileAt::File(bytes) => bytes,
        FileAt::Directory => {
            let finding = Finding::stops(
                "audit-policy-unreadable",
                format!("the audit policy {path} is a directory"),
                "name the file",
            );
            let says = format!(
                "{SAYS}failed to read file path {path:?}: read {path}: is a directory",
                path = path.as_str()
            );
            findings.push(server.at("audit-policy-file", finding.says(says)));
            return Ok(());
        }
        FileAt::Nothing => {
            let finding = Finding::stops(
                "audit-policy-missing",
                format!("the audit policy {path} does not exist"),
                "write it, or remove audit-policy-file",
            );
            let says = format!(
                "{SAYS}failed to read file path {path:?}: open {path}: no such file or directory",
                path = path.as_str()
            );
            findings.push(server.at("audit-policy-file", finding.says(says)));
            return Ok(());
        }
    };
    match audit_policy::read(&bytes, server.node.minor) {
        Ok(policy) => findings.extend(effect(&path, &policy, server.node.minor)),
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
    if let Some(position) = policy.further {
        let finding = Finding::hardens_nothing(
            "audit-second-document",
            "nobody reads a second document",
            "put all rules into the first",
        );
        findings.push(finding.at(in_file(path, position)));
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
    for folder in above.iter().rev().filter(|folder| folder.parent().is_some()) {
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
