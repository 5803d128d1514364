// SPDX-License-Identifier: Apache-2.0
//! Checks of K3s's own values that a component judges, which K3s hands them to.

use std::net::IpAddr;

use super::network::{Block, block};
use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::kubernetes::flag_values;

const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// The most bits between an IPv6 block and those of the nodes (pkg/controller/nodeipam/ipam/cidrset of Kubernetes).
const MOST_IPV6_BITS: i128 = 16;

/// The port of a component, or its default, is not one of K3s or of the API server.
pub(super) fn component_port(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let [component, usual] = rule.values.as_slice() else { return Answer::Fine };
    let port = reader.node.flag(component, "secure-port");
    let port = flag_values::integer(port.as_deref().unwrap_or(usual)).filter(|port| *port != 0);
    port.and_then(|port| taken(reader, port)).unwrap_or(Answer::Fine)
}

/// A port that something else takes is not one of K3s or of the API server.
pub(super) fn port_free(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let mut ports = rule.values.iter().filter_map(|port| flag_values::integer(port));
    ports.find_map(|port| taken(reader, port)).unwrap_or(Answer::Fine)
}

/// K3s listens on the loopback address besides its own one; the API server only where it is told to listen.
fn taken(reader: &OwnReader<'_>, port: i128) -> Option<Answer> {
    let address = reader.given("apiserver-bind-address").and_then(flag_values::address);
    let is_local = address.is_none_or(|address| address.is_unspecified() || address.is_loopback());
    let by_apiserver =
        reader.apiserver_port() == Some(port) && reader.node.runs("kube-apiserver") && is_local;
    (by_apiserver || reader.supervisor_port() == Some(port)).then(|| Answer::wrong(port.to_string()))
}

/// The controller manager cuts the blocks of the nodes out of those of the cluster.
pub(super) fn node_blocks(reader: &OwnReader<'_>) -> Answer {
    let flag = |name: &str| reader.node.flag(CONTROLLER_MANAGER, name);
    let is_off = flag("allocate-node-cidrs").as_deref().and_then(flag_values::boolean) == Some(false);
    let allocates = flag("cidr-allocator-type").is_none_or(|kind| kind == "RangeAllocator");
    let controllers = flag("controllers").unwrap_or_else(|| "*".to_owned());
    let names = |wanted: &[&str]| controllers.split(',').any(|word| wanted.contains(&word.trim()));
    let runs =
        names(&["*", "nodeipam", "node-ipam-controller"]) && !names(&["-nodeipam", "-node-ipam-controller"]);
    let given =
        reader.node.arguments(CONTROLLER_MANAGER).into_iter().rev().find(|it| it.name == "cluster-cidr");
    let clusters = given.map_or_else(|| own_blocks(reader), |given| given.value);
    let blocks: Option<Vec<Block>> = clusters.split(',').map(block).collect();
    let Some(blocks) = blocks.filter(|_| allocates && runs && !is_off) else { return Answer::Fine };
    let size = |name: &str| flag(name).as_deref().and_then(flag_values::integer).filter(|size| *size != 0);
    let sizes =
        (size("node-cidr-mask-size"), size("node-cidr-mask-size-ipv4"), size("node-cidr-mask-size-ipv6"));
    node_blocks_fault(&blocks, sizes).map_or(Answer::Fine, |reason| Answer::because(clusters, reason))
}

/// The blocks of the cluster that K3s hands over: those of its key, or that of the family of the node.
fn own_blocks(reader: &OwnReader<'_>) -> String {
    let first = reader.parts("node-ip").first().and_then(|part| part.parse::<IpAddr>().ok());
    match reader.parts("cluster-cidr").join(",") {
        own if !own.is_empty() => own,
        _ if first.is_some_and(|address| address.is_ipv6()) => "fd00:42::/56".to_owned(),
        _ => "10.42.0.0/16".to_owned(),
    }
}

/// Returns what the controller manager says of the blocks of the cluster and of the sizes for nodes: for all, for IPv4
/// and for IPv6.
fn node_blocks_fault(
    blocks: &[Block],
    (all, of_ipv4, of_ipv6): (Option<i128>, Option<i128>, Option<i128>),
) -> Option<String> {
    let families: Vec<bool> = blocks.iter().map(|(address, _)| address.is_ipv4()).collect();
    let is_dual = families.contains(&true) && families.contains(&false);
    if blocks.len() > 1 && !is_dual {
        let count = blocks.len();
        return Some(format!(
            "len of ClusterCIDRs=={count} and they are not configured as dual stack (at least one from each IPFamily"
        ));
    }
    if blocks.len() > 2 {
        return Some(format!("length of clusterCIDRs is:{} more than max allowed of 2", blocks.len()));
    }
    if is_dual && all.is_some() {
        return Some("usage of --node-cidr-mask-size is not allowed with dual-stack clusters".to_owned());
    }
    if !is_dual && all.is_some() && (of_ipv4.is_some() || of_ipv6.is_some()) {
        let flags = "--node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6";
        return Some(format!("usage of {flags} is not allowed if --node-cidr-mask-size is set"));
    }
    let single = if is_dual { None } else { families.first().copied() };
    if single == Some(false) && of_ipv4.is_some() {
        return Some(
            "usage of --node-cidr-mask-size-ipv4 is not allowed for a single-stack IPv6 cluster".to_owned(),
        );
    }
    if single == Some(true) && of_ipv6.is_some() {
        return Some(
            "usage of --node-cidr-mask-size-ipv6 is not allowed for a single-stack IPv4 cluster".to_owned(),
        );
    }
    blocks.iter().find_map(|(address, prefix)| {
        let (of_family, usual) = if address.is_ipv4() { (of_ipv4, 24) } else { (of_ipv6, 64) };
        size_fault(*address, i128::from(*prefix), all.or(of_family).unwrap_or(usual))
    })
}

fn size_fault(address: IpAddr, prefix: i128, size: i128) -> Option<String> {
    if prefix > size {
        return Some(
            "Controller: Invalid --cluster-cidr, mask size of cluster CIDR must be less than or equal to --node-cidr-mask-size configured for CIDR family"
                .to_owned(),
        );
    }
    (address.is_ipv6() && size - prefix > MOST_IPV6_BITS)
        .then(|| "New CIDR set failed; the node CIDR size is too big".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: (Option<i128>, Option<i128>, Option<i128>) = (None, None, None);

    fn fault(text: &str, sizes: (Option<i128>, Option<i128>, Option<i128>)) -> bool {
        let blocks: Vec<Block> = text.split(',').map(|part| block(part).unwrap()).collect();
        node_blocks_fault(&blocks, sizes).is_some()
    }

    #[test]
    fn nodes_get_blocks_out_of_those_of_the_cluster() {
        for good in
            ["10.42.0.0/16", "10.42.0.0/24", "10.0.0.0/8", "fd00:42::/56", "fd00:42::/48", "fd00::/64"]
        {
            assert!(!fault(good, NONE), "{good}");
        }
        assert!(!fault("10.42.0.0/16,fd00:42::/56", NONE));
        assert!(!fault("10.42.0.0/25", (Some(26), None, None)));
        assert!(!fault("10.42.0.0/25", (None, Some(25), None)));
        for bad in ["10.42.0.0/25", "fd00:42::/65", "fd00:42::/47", "10.42.0.0/16,10.44.0.0/16"] {
            assert!(fault(bad, NONE), "{bad}");
        }
        assert!(fault("10.42.0.0/16,fd00:42::/56,fd01::/56", NONE));
        assert!(fault("10.42.0.0/16", (Some(8), None, None)));
        assert!(fault("10.42.0.0/16,fd00:42::/56", (Some(24), None, None)));
        assert!(fault("10.42.0.0/16", (None, None, Some(64))));
        assert!(fault("fd00:42::/56", (None, Some(24), None)));
        assert!(fault("10.42.0.0/16", (Some(24), Some(24), None)));
    }
}
