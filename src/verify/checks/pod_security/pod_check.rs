// SPDX-License-Identifier: Apache-2.0
//! The kinds of pods that section 5.2 of the benchmark is about, and the level of the Pod Security Standards that forbids
//! each.
//!
//! Source: the Pod Security Standards (kubernetes.io/docs/concepts/security/pod-security-standards), and for the version
//! from which on a level has a check, policy/check_*.go of k8s.io/pod-security-admission.

use serde_json::Value;

use crate::kubernetes::pod_security::PodSecurityLevel;

/// The check of pods that run as root.
pub(super) const ROOT: &str = "root";
/// The minor from which on every level admits pods that run as root in a user namespace of their own.
pub(super) const ROOT_IN_USER_NAMESPACES: u16 = 35;

/// A kind of pods that a cluster should not admit.
#[derive(Debug)]
pub(super) struct PodSecurityCheck {
    /// The `about` of the rule.
    pub(super) about: &'static str,
    /// The kind of pods, in words that follow "pods".
    pub(super) words: &'static str,
    /// The lowest level that forbids the pods.
    level: PodSecurityLevel,
    /// The minor from whose version on the level forbids the pods.
    pub(super) since: u16,
    /// The minor from whose version on only restricted forbids the pods, whatever `level` is.
    restricted_since: Option<u16>,
    /// Tells whether the `spec` of a `PodSecurityPolicy` forbids the pods.
    pub(super) forbids: fn(&Value) -> bool,
}

const fn check(
    about: &'static str,
    words: &'static str,
    level: PodSecurityLevel,
    since: u16,
    forbids: fn(&Value) -> bool,
) -> PodSecurityCheck {
    PodSecurityCheck { about, words, level, since, restricted_since: None, forbids }
}

impl PodSecurityCheck {
    const fn restricted_since(self, minor: u16) -> Self {
        Self { restricted_since: Some(minor), ..self }
    }

    /// Returns the lowest level that forbids the pods in a version.
    pub(super) fn level_in(&self, version: u16) -> PodSecurityLevel {
        if self.restricted_since.is_some_and(|since| version >= since) {
            PodSecurityLevel::Restricted
        } else {
            self.level
        }
    }
}

/// The kinds of pods. Baseline forbids added capabilities, which are those beyond the default set of a container runtime;
/// restricted requires that pods drop all capabilities.
static POD_CHECKS: [PodSecurityCheck; 14] = {
    use super::policy_spec as policy;
    use PodSecurityLevel::{Baseline, Restricted};
    [
        check("any", "that ask for more than others", Baseline, 0, policy::is_privileged_forbidden),
        check("privileged", "with privileged containers", Baseline, 0, policy::is_privileged_forbidden),
        check("host-pid", "in the host's process namespace", Baseline, 0, policy::is_host_pid_forbidden),
        check("host-ipc", "in the host's IPC namespace", Baseline, 0, policy::is_host_ipc_forbidden),
        check("host-network", "in the host's network", Baseline, 0, policy::is_host_network_forbidden),
        check(
            "privilege-escalation",
            "that may gain privileges",
            Restricted,
            8,
            policy::is_escalation_forbidden,
        ),
        check(ROOT, "that run as root", Restricted, 0, policy::is_root_forbidden),
        check("net-raw", "with the capability NET_RAW", Restricted, 22, policy::is_net_raw_dropped),
        check("added-capabilities", "with added capabilities", Baseline, 0, policy::is_adding_forbidden),
        check("capabilities", "that do not drop all capabilities", Restricted, 22, policy::is_all_dropped),
        // Such a pod has to use the host's network (ValidatePodSpec of Kubernetes); a policy has no field for HostProcess.
        check(
            "host-process",
            "with Windows HostProcess containers",
            Baseline,
            0,
            policy::is_host_network_forbidden,
        ),
        check("host-path", "with directories of the host", Baseline, 0, policy::is_host_path_forbidden),
        check("host-ports", "with ports of the host", Baseline, 0, policy::is_host_port_forbidden),
        // From that minor on baseline admits it in a user namespace of the pod's own, and it is only allowed there.
        check("unmasked-proc", "with an unmasked /proc", Baseline, 0, policy::is_unmasked_proc_forbidden)
            .restricted_since(35),
    ]
};

/// Returns the check of an `about`.
pub(super) fn find(about: &str) -> Option<&'static PodSecurityCheck> {
    POD_CHECKS.iter().find(|check| check.about == about)
}
