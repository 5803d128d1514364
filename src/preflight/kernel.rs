// SPDX-License-Identifier: Apache-2.0
//! The kubelet's kernel parameters. With `protect-kernel-defaults` the kubelet exits on any other value. Without it the
//! kubelet sets them itself, and exits if it cannot (pkg/kubelet/cm, `setupKernelTunables`).

use super::{Finding, kubelet};
use crate::error::{Place, Result};
use crate::k3s::ComponentArgument;
use crate::k3s::NodeConfig;
use crate::k3s::arguments;
use crate::kubernetes::flag_values::boolean;
use crate::kubernetes::kernel_parameters::{self, KernelParameter};
use crate::node::{BootSysctls, SysctlKey, sysctl};

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    if !node.runs("kubelet") {
        return Ok(Vec::new());
    }
    let protected = protects(node);
    let boot = BootSysctls::read(node.root)?;
    let mut findings = Vec::new();
    // Whoever starts K3s has a /proc; who asks may have none.
    let hidden = sysctl::hidden();
    if let (None, Some(reason)) = (&node.elsewhere, hidden) {
        let message = format!("the parameters of the running kernel cannot be read: {reason}");
        findings.push(Finding::unknown(
            "kernel-unreadable",
            message,
            "run preflight again where /proc is mounted",
        ));
    }
    for row in kernel_parameters::all() {
        let key: SysctlKey = row.key.parse()?;
        if node.elsewhere.is_none() && hidden.is_none() {
            findings.extend(now(&key, row, protected).filter(|finding| !is_left_alone(node, finding)));
        }
        if protected {
            findings.extend(after_boot(&key, row, &boot));
        }
    }
    findings.extend(node.elsewhere.as_ref().map(|reason| {
        Finding::not_judged(
            "kernel-running",
            format!("the parameters of the running kernel were not looked at: {reason}"),
            "run preflight again on the node itself",
        )
    }));
    Ok(findings)
}

/// Tells whether a kubelet without root's rights starts all the same: it goes on where it may not set a parameter
/// (`KubeletInUserNamespace`, which K3s turns on with its key rootless).
fn is_left_alone(node: &NodeConfig<'_>, finding: &Finding) -> bool {
    finding.code == "kernel-read-only" && node.is_on("rootless")
}

/// Tells whether the kubelet only checks the parameters. K3s's key becomes a flag of the kubelet, before the user's own, or
/// a field of its first drop-in; a later file may say otherwise, and an argument counts more than any file.
fn protects(node: &NodeConfig<'_>) -> bool {
    let own = node.arguments("kubelet");
    let named =
        |argument: &&ComponentArgument| arguments::name_of(&argument.text) == "protect-kernel-defaults";
    match own.iter().rev().find(named) {
        Some(argument) => boolean(&argument.value) == Some(true),
        None => {
            kubelet::protects_kernel_defaults(node).unwrap_or_else(|| node.is_on("protect-kernel-defaults"))
        }
    }
}

fn now(key: &SysctlKey, row: &KernelParameter, protected: bool) -> Option<Finding> {
    let wanted = row.value.to_string();
    let set = format!("set it: `sysctl -w {key}={wanted}`");
    let value = match sysctl::read(key) {
        Err(reason) => {
            let message = format!("{key} cannot be read: {reason}");
            return Some(
                Finding::stops("kernel-unreadable", message, "give the kubelet a /proc/sys that it can read")
                    .at(place(key)),
            );
        }
        Ok(value) if value == wanted => return None,
        Ok(value) => value,
    };
    let message = format!("{key} is {value}, and the kubelet wants {wanted}");
    if protected {
        return Some(
            Finding::stops("kernel-now", message, format!("{set}; `k3s-harden apply` does"))
                .at(place(key))
                .says(kubelet_says(key, &wanted, &value)),
        );
    }
    let reason = sysctl::check_writable(key).err()?;
    let message = format!("{message}, which it cannot set: {reason}");
    Some(
        Finding::stops("kernel-read-only", message, format!("{set}, in a container on its host"))
            .at(place(key)),
    )
}

fn after_boot(key: &SysctlKey, row: &KernelParameter, boot: &BootSysctls) -> Option<Finding> {
    let wanted = row.value.to_string();
    let (value, place) = match boot.value(key) {
        Some((value, place)) => (value.to_owned(), Some(place.clone())),
        None => (row.default.to_string(), None),
    };
    if integer(&value) == Some(row.value) {
        return None;
    }
    let finding = match place {
        Some(place) => Finding::stops(
            "kernel-after-reboot",
            format!("at boot, this line sets {key} to {value}, but the kubelet requires {wanted}"),
            format!("remove the line, or let a file that sorts after {} set {key} = {wanted}", place.file),
        )
        .at(place),
        None => Finding::stops(
            "kernel-after-reboot",
            format!(
                "at boot, nothing sets {key}: the kernel default is {value}, but the kubelet requires {wanted}"
            ),
            format!("write {key} = {wanted} into /etc/sysctl.d/90-kubelet.conf; `k3s-harden apply` does"),
        ),
    };
    Some(finding.says(kubelet_says(key, &wanted, &value)).after_reboot())
}

fn kubelet_says(key: &SysctlKey, wanted: &str, value: &str) -> String {
    let flag = key.to_string().replace('.', "/");
    format!("invalid kernel flag: {flag}, expected value: {wanted}, actual value: {value}")
}

fn place(key: &SysctlKey) -> Place {
    Place { file: key.file(), position: None }
}

/// Reads a number as the kernel does: the prefix says the base (kstrtoul).
fn integer(text: &str) -> Option<u64> {
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => u64::from_str_radix(&text[2..], 16).ok(),
        [b'0', _, ..] => u64::from_str_radix(&text[1..], 8).ok(),
        _ => text.parse().ok(),
    }
}
