// SPDX-License-Identifier: Apache-2.0
//! The service that starts K3s: whether it does, and whether its command line is known.

use super::Finding;
use crate::error::Result;
use crate::k3s::NodeConfig;

pub(super) fn check(node: &NodeConfig<'_>) -> Result<Vec<Finding>> {
    // A configuration that cannot be read has a finding of its own.
    if node.effective.is_err() {
        return Ok(Vec::new());
    }
    let faults = node.service.faults.iter().map(|fault| {
        Finding::stops("service-refused", fault.message.clone(), fault.remedy.clone()).at(fault.place.clone())
    });
    let unread = node.service.not_understood.iter().map(|note| {
        let message = format!("unknown which command line and environment this gives K3s: {}", note.reason);
        let remedy = "start K3s as its installer does: put the program, command and flags directly into ExecStart= or command_args";
        Finding::unknown("service-not-understood", message, remedy).at(note.place.clone())
    });
    Ok(faults.chain(unread).collect())
}
