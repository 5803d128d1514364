// SPDX-License-Identifier: Apache-2.0
//! What the API server refuses in its flags and no row of a table says: admission plugins, `runtime-config`, and addresses of
//! two IP families.

use super::Finding;
use super::apiserver::{ApiServer, NAME};
use crate::kubernetes::apiserver_flags::{PluginRefusal, RefusedPlugins};
use crate::kubernetes::{admission_plugins, flag_values, next_minor, runtime_config};
use crate::version::KubernetesMinor;

pub(super) fn check(server: &ApiServer<'_>) -> Vec<Finding> {
    let refused = server.flags.refused_plugins(server.node.minor());
    let mut findings: Vec<Finding> =
        refused.iter().map(|refused| server.at(refused.flag, finding(server, refused))).collect();
    findings.extend(groups(server));
    findings.extend(families(server));
    findings
}

/// Checks the API groups that `runtime-config` switches on and off.
fn groups(server: &ApiServer<'_>) -> Option<Finding> {
    let settings = server.settings();
    let says = runtime_config::check(&settings, server.node.minor()).err()?;
    let value = settings.text(runtime_config::FLAG).unwrap_or_default();
    let finding = Finding::stops(
        "argument-refused",
        format!("{NAME} refuses it: {} is {value:?}", runtime_config::FLAG),
        "write group/version=true or group/version=false",
    );
    Some(server.at(runtime_config::FLAG, finding.says(says)))
}

/// Checks that the services' addresses are of the family of the address that the API server advertises, where the user
/// sets one of the two (`validatePublicIPServiceClusterIPRangeIPFamilies`).
fn families(server: &ApiServer<'_>) -> Option<Finding> {
    const FROM: KubernetesMinor = KubernetesMinor::new(28);
    const FLAGS: [&str; 2] = ["advertise-address", "service-cluster-ip-range"];
    const RECONCILER: &str = "endpoint-reconciler-type";
    let settings = server.settings();
    let place = FLAGS.iter().find(|flag| server.place(flag).is_some())?;
    let text = |name: &str| settings.text(name).unwrap_or_default();
    // To Go, an address of IPv4 within IPv6 is one of IPv4 (`net.IP.To4`).
    let (range, _) = flag_values::cidr(text(FLAGS[1]).split(',').next()?)?;
    let range = range.to_canonical();
    let address = flag_values::sloppy_address(&text(FLAGS[0])).map(|address| address.to_canonical());
    let address = address.filter(|address| !address.is_unspecified());
    let Some(address) = address else {
        // Then it is one of the node's, of which most have one of IPv4.
        let is_open = range.is_ipv6() && server.node.minor() >= FROM && text(RECONCILER) != "none";
        let message = format!(
            "not checked: whether the address that {NAME} advertises is in the IP family of {}. If not, it stops",
            text(FLAGS[1])
        );
        let remedy = "write service-cidr and node-ip, or advertise-address";
        return is_open.then(|| server.at(place, Finding::unknown("service-addresses", message, remedy)));
    };
    let differ = address.is_ipv4() != range.is_ipv4();
    if server.node.minor() < FROM || !differ || text(RECONCILER) == "none" {
        return None;
    }
    let finding = Finding::stops(
        "argument-refused",
        format!("{NAME} refuses it: the services' addresses and {address} are of two IP families"),
        "write an address of the same family",
    );
    let says = format!(
        "service IP family {:?} must match public address family {:?}",
        text(FLAGS[1]),
        address.to_string()
    );
    Some(server.at(place, finding.says(says)))
}

fn finding(server: &ApiServer<'_>, refused: &RefusedPlugins) -> Finding {
    let (named, minor) = (server.node.minor(), server.node.minor().judged());
    let mut has_gone = false;
    let (code, message, remedy) = match &refused.reason {
        PluginRefusal::Unknown(name) => {
            if next_minor::has_new_plugin(name, named) {
                let message = format!(
                    "{NAME} of {minor} has no admission plugin {name:?}; the beta of {} has it, and its effect is not \
                     checked",
                    minor.next()
                );
                let remedy = format!("remove it, or try it on a test node of {named}");
                return Finding::unknown("next-minor-plugin", message, remedy).says(&refused.message);
            }
            let availability = admission_plugins::availability(minor, name);
            // A plugin that has gone does not come again.
            has_gone = !availability.is_empty();
            let message = format!("{NAME} of {minor} has no admission plugin {name:?}{availability}");
            let remedy = match admission_plugins::nearest(minor, name) {
                Some(meant) => format!("write {meant}"),
                None if name.is_empty() => "remove the comma".to_owned(),
                None => "remove it".to_owned(),
            };
            ("admission-plugin-unknown", message, remedy)
        }
        PluginRefusal::Overlap(names) => {
            let message = format!("{} is enabled and disabled", names.join(", "));
            ("admission-plugin-overlap", message, "remove it from one of the two lists".to_owned())
        }
    };
    let finding = Finding::stops(code, message, remedy).says(&refused.message);
    Finding { holds_later: has_gone, ..finding }
}
