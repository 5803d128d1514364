// SPDX-License-Identifier: Apache-2.0
//! The configuration of the admission plugin EventRateLimit.

use super::Finding;
use super::apiserver::{ApiServer, dropped_field, refused};
use super::plugin_config::{FLAG, PluginConfig};
use crate::kubernetes::event_rate_limit::{self, NO_LIMITS, RateLimitRefusal};
use crate::kubernetes::object::{Fault, Refusal};
use crate::version::KubernetesMinor;

const SAYS: &str = "couldn't init admission plugin \"EventRateLimit\": ";

pub(super) fn check(config: &PluginConfig, minor: KubernetesMinor) -> Vec<Finding> {
    let result = match &config.document {
        Ok(Some(document)) => event_rate_limit::read(document, minor),
        Ok(None) => Err(Refusal::new(RateLimitRefusal::Limits, config.position, "limits: must not be empty")),
        Err(fault) => Err(Refusal { reason: RateLimitRefusal::Syntax, fault: fault.clone() }),
    };
    match result {
        Ok(dropped) => {
            let finding = |fault: &Fault| dropped_field("event-rate-limit-field", &config.path, fault);
            dropped.iter().map(finding).collect()
        }
        Err(refusal) => {
            let (code, remedy) = match refusal.reason {
                RateLimitRefusal::Syntax => ("event-rate-limit-syntax", "fix the YAML"),
                RateLimitRefusal::Version => (
                    "event-rate-limit-version",
                    "write apiVersion: eventratelimit.admission.k8s.io/v1alpha1 and kind: Configuration",
                ),
                RateLimitRefusal::Limits => (
                    "event-rate-limit-limits",
                    "write limits with type (Server, Namespace, User or SourceAndObject), qps and burst",
                ),
            };
            vec![refused(code, &config.path, &refusal.fault, SAYS, remedy)]
        }
    }
}

/// Returns the finding for the plugin if it is on and nothing configures it.
pub(super) fn without_limits(server: &ApiServer<'_>) -> Finding {
    let remedy = format!(
        "configure its limits in the file that {FLAG} names, or take it out of enable-admission-plugins"
    );
    let finding = Finding::stops("event-rate-limit-limits", "EventRateLimit is on without limits", remedy);
    server.at("enable-admission-plugins", finding.in_newer_minors_too().says(format!("{SAYS}{NO_LIMITS}")))
}
