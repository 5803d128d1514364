// SPDX-License-Identifier: Apache-2.0
//! Checks of the labels and taints that K3s hands to the kubelet.

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::kubernetes::{node_labels, taints as kubernetes_taints};

/// Labels as `name=value`.
pub(super) fn labels(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts = reader.parts(rule.key()).into_iter().filter(|part| !part.is_empty());
    let refused = parts.into_iter().find_map(|part| Some(Answer::because(part, node_labels::fault(part)?)));
    refused.unwrap_or(Answer::Fine)
}

/// Taints as `name[=value]:effect`.
pub(super) fn taints(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts: Vec<&str> = reader.parts(rule.key()).into_iter().filter(|part| !part.is_empty()).collect();
    match kubernetes_taints::fault(&parts) {
        Some((taint, why)) => Answer::because(taint, why),
        None => Answer::Fine,
    }
}
