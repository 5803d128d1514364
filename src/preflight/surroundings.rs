// SPDX-License-Identifier: Apache-2.0
//! The surroundings of K3s: disk, clock, control groups, and what only the cluster or the installer knows.

use super::Finding;
use crate::Role;
use crate::error::Result;
use crate::k3s::critical_values;
use crate::k3s::{K3sLog, NodeConfig, PolicyEnforcement, PolicyEnforcer};
use crate::kubernetes::kubelet_config;
use crate::node::{RootedPath, host};

/// No K3s of a supported minor is older: 2021-12-01, in seconds since 1970.
const NO_EARLIER_SECONDS: u64 = 1_638_316_800;
const MEGABYTE: u64 = 1024 * 1024;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(no_network_policy(node)?);
    findings.extend(joins(node));
    match &node.elsewhere {
        None => {
            findings.extend(disk(node)?);
            findings.extend(clock());
            findings.extend(cgroup(node)?);
        }
        Some(reason) => findings.push(Finding::not_judged(
            "machine",
            format!("skipped the checks of disk, clock and cgroups: {reason}"),
            "run preflight again on the node itself",
        )),
    }
    Ok(findings)
}

fn no_network_policy(node: &NodeConfig<'_>) -> Result<Option<Finding>> {
    if !node.runs("deploy-controller") || node.effective.is_err() {
        return Ok(None);
    }
    // What K3s logged is about its last start, and this about the next.
    let found = PolicyEnforcement::of_node(node, &K3sLog::default())?;
    let (code, message, remedy, fact) = match found.by {
        PolicyEnforcer::K3s | PolicyEnforcer::Network(_) => return Ok(None),
        PolicyEnforcer::Nobody => (
            "network-policy-off",
            "disable-network-policy turns off what enforces NetworkPolicies: those of policy.yaml have no effect"
                .to_owned(),
            "remove it, unless another network plugin enforces them",
            found.because.first(),
        ),
        PolicyEnforcer::Unknown => {
            let text = found.because.last().map_or("", |fact| fact.text.as_str());
            (
                "network-policy-unknown",
                format!("unknown what enforces the NetworkPolicies of policy.yaml: {text}"),
                "use a CNI that enforces them; `k3s-harden verify --live` looks for it in the cluster",
                found.because.last(),
            )
        }
    };
    let finding = Finding::hardens_nothing(code, message, remedy);
    Ok(Some(match fact.and_then(|fact| fact.place.clone()) {
        Some(place) => finding.at(place),
        None => finding,
    }))
}

/// A node that joins a cluster depends on the cluster's answers.
fn joins(node: &NodeConfig<'_>) -> Option<Finding> {
    match node.role {
        Role::Agent
            if node.value("server").is_none()
                || (node.value("token").is_none() && node.value("token-file").is_none()) =>
        {
            Some(Finding::not_judged(
                "agent-join",
                "this agent's configuration has no server or token to join with: pass them to the K3s installer",
                "give the installer K3S_URL and K3S_TOKEN",
            ))
        }
        Role::Server if node.value("server").is_some() => Some(Finding::not_judged(
            "critical-settings",
            format!(
                "this server joins another one, and exits if one of these differs there: {}",
                critical_values::keys_of(node.release)
            ),
            "compare them: save the output of `k3s-harden effective-config --format json` on that server, and pass it: --server-config FILE",
        )),
        _ => None,
    }
}

/// Free space for the audit log and its rotated files.
fn disk(node: &NodeConfig<'_>) -> Result<Option<Finding>> {
    let flag = |name| node.flag("kube-apiserver", name);
    let Some(path) = flag("audit-log-path").filter(|path| path != "-") else { return Ok(None) };
    let number = |name| flag(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // The file that is written, and the rotated ones; without a limit on their number there is no bound.
    let (size, backups) = (number("audit-log-maxsize"), number("audit-log-maxbackup"));
    let needed = size.saturating_mul(backups.saturating_add(1));
    let Some(free) = node.root.free_bytes(&node.path(&path)?)?.map(|bytes| bytes / MEGABYTE) else {
        return Ok(None);
    };
    if needed <= free {
        return Ok(None);
    }
    let message = format!(
        "the audit log may need {needed} MB (audit-log-maxsize × (audit-log-maxbackup + 1)), but only {free} MB are free"
    );
    let finding = Finding::warns(
        "audit-log-disk",
        message,
        "make room, or keep fewer of them: --set audit_log_maxbackup=2",
    );
    let place = node.place_of("kube-apiserver", "audit-log-path");
    Ok(Some(match place {
        Some(place) => finding.at(place),
        None => finding,
    }))
}

fn clock() -> Option<Finding> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    clock_at(since.map_or(0, |since| since.as_secs()))
}

fn clock_at(seconds: u64) -> Option<Finding> {
    (seconds < NO_EARLIER_SECONDS).then(|| {
        Finding::warns(
            "clock",
            "the clock is wrong: certificates that K3s creates now will be expired once it is set, and those of other nodes are not valid yet",
            "set the clock before K3s starts",
        )
    })
}

fn cgroup(node: &NodeConfig<'_>) -> Result<Option<Finding>> {
    if !node.runs("kubelet")
        || !kubelet_config::refuses_cgroup_v1(node.minor())
        || !node.root.exists(&RootedPath::fixed("/sys/fs/cgroup"))
    {
        return Ok(None);
    }
    let is_v2 = host::exists("/sys/fs/cgroup/cgroup.controllers");
    let allowed = node.flag("kubelet", "fail-cgroupv1").is_some_and(|text| text == "false");
    Ok((!is_v2 && !allowed).then(|| {
        Finding::stops(
            "cgroup-v1",
            format!("this machine uses cgroup v1, and the kubelet of {} does not start on it", node.minor()),
            "boot with control groups of version 2: systemd.unified_cgroup_hierarchy=1",
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_a_finding() {
        assert_eq!(clock_at(0).map(|finding| finding.code), Some("clock"));
        assert_eq!(clock_at(NO_EARLIER_SECONDS), None);
        assert_eq!(clock(), None);
    }
}
