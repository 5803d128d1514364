//! Flags of the API server whose values parse and that it refuses all the same: unknown plugins and modes, numbers out of
//! range, flags that exclude each other.

use super::Finding;
use super::apiserver::{ApiServer, NAME};
use crate::kubernetes::admission_plugins;
use crate::kubernetes::apiserver_flags::{FlagRefusal, RefusedFlag};

pub(super) fn check(server: &ApiServer<'_>) -> Vec<Finding> {
    let refused = server.flags.refused(server.node.minor());
    refused.iter().map(|refused| server.at(&refused.flag, finding(server, refused))).collect()
}

/// Returns the findings for the flags of auditing.
pub(super) fn check_auditing(server: &ApiServer<'_>) -> Vec<Finding> {
    let refused = server.flags.refused_of_auditing(server.node.minor());
    refused.iter().map(|refused| server.at(&refused.flag, finding(server, refused))).collect()
}

fn finding(server: &ApiServer<'_>, refused: &RefusedFlag) -> Finding {
    let RefusedFlag { flag, reason, message: says } = refused;
    let minor = server.node.minor();
    let value = server.flags.value(flag).unwrap_or_default();
    let (code, remedy) = match reason {
        FlagRefusal::UnknownPlugin(name) => {
            let availability = admission_plugins::availability(minor, name);
            let message = format!("{NAME} of {minor} has no admission plugin {name:?}{availability}");
            let remedy = match admission_plugins::nearest(minor, name) {
                Some(meant) => format!("write {meant}"),
                None if name.is_empty() => "remove the comma".to_owned(),
                None => "remove it".to_owned(),
            };
            return Finding::stops("admission-plugin-unknown", message, remedy).says(says);
        }
        FlagRefusal::PluginOverlap(names) => {
            let message = format!("{} is enabled and disabled", names.join(", "));
            let remedy = "remove it from one of the two lists";
            return Finding::stops("admission-plugin-overlap", message, remedy).says(says);
        }
        FlagRefusal::AdmissionControl => {
            let message =
                "admission-control does not go together with enable-admission-plugins, which K3s sets";
            let remedy = "write enable-admission-plugins instead";
            return Finding::stops("admission-control", message, remedy).says(says);
        }
        FlagRefusal::AuthorizationConfig => {
            ("argument-authorization-mode", "remove it: K3s sets authorization-mode")
        }
        FlagRefusal::AuthorizationMode => ("argument-authorization-mode", "write Node,RBAC"),
        FlagRefusal::RepeatedMode => ("argument-authorization-mode", "write each mode once"),
        FlagRefusal::ModeWithoutFile => ("argument-authorization-mode", "name its file, or remove the mode"),
        FlagRefusal::FileWithoutMode => ("argument-authorization-mode", "remove it, or add the mode"),
        FlagRefusal::Negative => ("argument-range", "write 0 or more"),
        FlagRefusal::ZeroTimeout => ("argument-range", "write a duration such as 300s"),
        FlagRefusal::TokenExpiration => ("argument-range", "write 1h or more"),
        FlagRefusal::Chance => ("argument-range", "write a number from 0 to 0.02"),
        FlagRefusal::Port => ("argument-range", "write a port"),
        FlagRefusal::Name => ("argument-name", "remove it"),
        FlagRefusal::ReloadWithoutConfig => ("argument-name", "remove it, or switch secrets-encryption on"),
        FlagRefusal::AuditMode => (AUDIT, "write batch, blocking or blocking-strict"),
        FlagRefusal::AuditNotPositive => (AUDIT, "write a positive number"),
        FlagRefusal::AuditBatch => (AUDIT, "write a batch larger than an event"),
        FlagRefusal::AuditVersion => (AUDIT, "write audit.k8s.io/v1"),
        FlagRefusal::AuditFormat => (AUDIT, "write json"),
        FlagRefusal::AuditNegative => (AUDIT, "write 0 or more"),
    };
    let message = match code {
        AUDIT => format!("{flag} is {value:?}"),
        _ => format!("{NAME} refuses {flag}={value}"),
    };
    Finding::stops(code, message, remedy).says(says)
}

const AUDIT: &str = "audit-option";
