// SPDX-License-Identifier: Apache-2.0
//! What the `spec` of a `PodSecurityPolicy` forbids. These functions read one policy and import no other file.

use serde_json::Value;

use crate::verify::cluster::{items, text};

fn is_on(spec: &Value, field: &str) -> bool {
    spec.get(field) == Some(&Value::Bool(true))
}

/// Tells whether a list of the policy has one of the texts.
fn has(spec: &Value, field: &str, wanted: &[&str]) -> bool {
    let Some(Value::Array(items)) = spec.get(field) else { return false };
    items.iter().filter_map(Value::as_str).any(|item| wanted.contains(&item))
}

fn is_empty(spec: &Value, field: &str) -> bool {
    spec.get(field).and_then(Value::as_array).is_none_or(Vec::is_empty)
}

pub(super) fn is_privileged_forbidden(spec: &Value) -> bool {
    !is_on(spec, "privileged")
}

pub(super) fn is_host_pid_forbidden(spec: &Value) -> bool {
    !is_on(spec, "hostPID")
}

pub(super) fn is_host_ipc_forbidden(spec: &Value) -> bool {
    !is_on(spec, "hostIPC")
}

pub(super) fn is_host_network_forbidden(spec: &Value) -> bool {
    !is_on(spec, "hostNetwork")
}

/// Escalation is permitted unless the policy forbids it.
pub(super) fn is_escalation_forbidden(spec: &Value) -> bool {
    spec.get("allowPrivilegeEscalation") == Some(&Value::Bool(false))
}

pub(super) fn is_root_forbidden(spec: &Value) -> bool {
    match text(spec, "/runAsUser/rule") {
        "MustRunAsNonRoot" => true,
        "MustRunAs" => {
            let ranges = items(spec, "/runAsUser/ranges");
            let above = |range: &Value| range.get("min").and_then(Value::as_i64).is_some_and(|min| min > 0);
            !ranges.is_empty() && ranges.iter().all(above)
        }
        _ => false,
    }
}

pub(super) fn is_net_raw_dropped(spec: &Value) -> bool {
    has(spec, "requiredDropCapabilities", &["NET_RAW", "ALL"])
}

pub(super) fn is_all_dropped(spec: &Value) -> bool {
    has(spec, "requiredDropCapabilities", &["ALL"])
}

pub(super) fn is_adding_forbidden(spec: &Value) -> bool {
    is_empty(spec, "allowedCapabilities") && is_empty(spec, "defaultAddCapabilities")
}

/// Without a list of volumes, a policy permits none.
pub(super) fn is_host_path_forbidden(spec: &Value) -> bool {
    !has(spec, "volumes", &["hostPath", "*"])
}

pub(super) fn is_host_port_forbidden(spec: &Value) -> bool {
    is_empty(spec, "hostPorts")
}

/// Without a list, a policy permits only the default, which is masked.
pub(super) fn is_unmasked_proc_forbidden(spec: &Value) -> bool {
    !has(spec, "allowedProcMountTypes", &["Unmasked", "*"])
}
