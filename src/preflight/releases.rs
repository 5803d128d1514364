// SPDX-License-Identifier: Apache-2.0
//! What stops K3s in some patch releases of a minor and not in others.

use super::Finding;
use super::apiserver::{ApiServer, FileAt, NAME};
use crate::error::Result;
use crate::k3s::NodeConfig;
use crate::k3s::release_flags::emulated_minor;
use crate::kubernetes::gate_flag::{self, GateFault};
use crate::kubernetes::yaml::{self, YamlValue};

const AUTHENTICATION: &str = "authentication-config";
const AUTHORIZATION: &str = "authorization-config";
const ANONYMOUS: &str = "anonymous-auth";
const REMEDY: &str = "name the release in full (--k3s-version), or write what all of them take";

/// Checks the files that take the place of flags: before some releases K3s gives the API server the flags too.
pub(super) fn check(server: &ApiServer<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let has_anonymous = has_field(server, AUTHENTICATION, "anonymous")?;
    if has_anonymous && server.flags.has(ANONYMOUS) {
        let message = format!(
            "{NAME} gets {ANONYMOUS}, and the file of {AUTHENTICATION} has the field anonymous: one excludes the other"
        );
        let remedy = match server.place(ANONYMOUS) {
            Some(_) => format!("remove {ANONYMOUS}, or the field anonymous"),
            None => {
                "remove the field anonymous, or take a release in which K3s does not set the flag".to_owned()
            }
        };
        // Older releases misspell the flag in this message.
        let says =
            "flag cannot be set when anonymous field is configured in authentication configuration file";
        let finding = Finding::stops("argument-anonymous-auth", message, remedy).says(says);
        findings.push(server.at(AUTHENTICATION, finding));
    }
    for flag in server.node.differing_flags(NAME) {
        let Some(file) = flag.left_to else { continue };
        let stops_older_ones = file == AUTHORIZATION || has_anonymous;
        if stops_older_ones {
            let message = format!("{}; {NAME} refuses both", flag.message(NAME, server.node.release));
            findings.push(server.at(file, Finding::unknown("release-unknown", message, REMEDY)));
        }
    }
    Ok(findings)
}

/// Tells whether the file that an argument names has a field at its top. What is no YAML has none.
fn has_field(server: &ApiServer<'_>, argument: &str, field: &str) -> Result<bool> {
    let Some(text) = server.flags.value(argument) else { return Ok(false) };
    let FileAt::File(bytes) = server.look(&server.node.path(text)?)? else { return Ok(false) };
    let root = yaml::read_merged(&bytes).ok().and_then(|(root, _)| root);
    let Some(YamlValue::Map(fields)) = root.map(|root| root.value) else { return Ok(false) };
    Ok(fields.iter().any(|(key, value)| key.go_text() == field && !value.is_null()))
}

/// Returns the findings for feature gates that are newer than the minor that a component takes itself for.
pub(super) fn emulated_gates(node: &NodeConfig<'_>, component: &str, text: &str) -> Vec<Finding> {
    let Some((emulated, right_since)) = emulated_minor(node.release, node.role) else { return Vec::new() };
    let known = gate_flag::faults(component, node.minor(), &[text]);
    let faults = gate_flag::faults(component, emulated, &[text]).into_iter();
    let names = faults.filter(|fault| !known.contains(fault)).filter_map(|(_, fault)| match fault {
        GateFault::Unknown { name, .. } => Some(name),
        _ => None,
    });
    names
        .map(|name| {
            let is_newer =
                format!("{component} takes itself for {emulated}, which has no feature gate {name}");
            match &right_since {
                None => {
                    let message = format!("{is_newer}: this release of {} has that fault", node.minor());
                    Finding::stops("argument-feature-gate", message, "remove it, or take a newer release")
                        .says(format!("feature is PreAlpha at emulated version {emulated}"))
                }
                Some(since) => {
                    let message = format!(
                        "before {since} {is_newer}: which release of {} runs is not known",
                        node.minor()
                    );
                    Finding::unknown("release-unknown", message, REMEDY)
                }
            }
        })
        .collect()
}
