// SPDX-License-Identifier: Apache-2.0
//! Checks of K3s's own values that are addresses, blocks of addresses and ports.

use std::net::IpAddr;

use super::reader::{Answer, OwnReader};
use super::rules::OwnRule;
use crate::error::Result;
use crate::kubernetes::flag_values;
use crate::node::{Root, RootedPath};

/// The last port.
const LAST_PORT: i128 = 65_535;
/// The offset of the address of cluster DNS in the block of Services.
const DNS_INDEX: u128 = 10;
/// The fewest addresses in the block of Services.
const FEWEST_ADDRESSES: u128 = 8;
/// The most bits that the block of Services leaves to its addresses.
const MOST_SERVICE_BITS: u8 = 20;

/// A block of addresses.
pub(super) type Block = (IpAddr, u8);

/// Reads a block as Go's `net.ParseCIDR` does.
pub(super) fn block(text: &str) -> Option<Block> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = if is_number { prefix.parse::<u8>().ok()? } else { return None };
    (prefix <= bits(address)).then_some((address, prefix))
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Returns how many addresses a block has; none if that is more than can be counted.
fn size((address, prefix): Block) -> Option<u128> {
    1_u128.checked_shl(u32::from(bits(address) - prefix))
}

/// The blocks of a flag that parse; none if one does not.
fn blocks(reader: &OwnReader<'_>, key: &str) -> Option<Vec<Block>> {
    reader.parts(key).into_iter().map(block).collect()
}

/// Addresses with commas between them.
pub(super) fn addresses(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts = reader.parts(rule.key());
    let wrong = parts.into_iter().find(|part| part.parse::<IpAddr>().is_err());
    wrong.map_or(Answer::Fine, Answer::wrong)
}

/// An address as a flag of a component takes it.
pub(super) fn flag_address(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.given(rule.key()) {
        Some(text) => Answer::unless(text, flag_values::address(text).is_some()),
        None => Answer::Fine,
    }
}

/// An address of the machine, or a name that it resolves.
pub(super) fn listen_address(reader: &OwnReader<'_>, rule: &OwnRule) -> Result<Answer> {
    let Some(text) = reader.given(rule.key()) else { return Ok(Answer::Fine) };
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => Ok(Answer::Fine),
        Ok(_) => Ok(Answer::Unknown("not checked: whether this machine has the address".to_owned())),
        Err(_) if is_in_hosts(reader.node.root, text)? => Ok(Answer::Fine),
        Err(_) if may_be_found(text) => {
            Ok(Answer::Unknown("not checked: whether this machine resolves the name".to_owned()))
        }
        Err(_) => Ok(Answer::because(text, format!("lookup {text}"))),
    }
}

/// Tells whether a name may be one of DNS, or a number that the C library reads as an address: one with a dot. No domain
/// at the top is a number.
fn may_be_found(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !text.contains('.') || !text.bytes().all(is_of_name) {
        return false;
    }
    let parts: Vec<&str> = text.trim_end_matches('.').split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.split_last() {
        Some((last, before)) if is_number(last) => {
            let room = 32 - 8 * u32::try_from(before.len()).unwrap_or(4).min(4);
            let fits = last.parse::<u64>().is_ok_and(|number| number < 1_u64 << room);
            before.len() < 4
                && fits
                && before.iter().all(|part| is_number(part) && part.parse::<u8>().is_ok())
        }
        _ => parts.iter().all(|part| !part.is_empty()),
    }
}

/// Tells whether the node's own hosts file has a name.
fn is_in_hosts(root: &Root, name: &str) -> Result<bool> {
    let bytes = root.read(&RootedPath::fixed("/etc/hosts"))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut names = lines.flat_map(|line| line.split_whitespace().skip(1));
    Ok(name == "localhost" || names.any(|known| known == name))
}

/// An interface of the machine. Without a `node-ip`, K3s takes its address.
pub(super) fn interface(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.given(rule.key()) else { return Answer::Fine };
    let folder = RootedPath::fixed("/sys/class/net");
    let is_name = !text.contains('/') && text != "." && text != ".." && !text.contains('\n');
    if !is_name || text.len() > 15 {
        return Answer::because(text, "route ip+net: no such network interface");
    }
    if reader.node.root.exists(&folder) && reader.node.elsewhere.is_none() {
        let detail = "route ip+net: no such network interface";
        return if reader.node.root.exists(&folder.join(text)) {
            Answer::Fine
        } else {
            Answer::because(text, detail)
        };
    }
    Answer::Unknown("not checked: whether this machine has the interface".to_owned())
}

/// Blocks of addresses with commas between them.
pub(super) fn cidrs(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts = reader.parts(rule.key());
    parts.into_iter().find(|part| block(part).is_none()).map_or(Answer::Fine, Answer::wrong)
}

/// The first block of Services has room for the API server's address.
pub(super) fn service_block_size(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(first) = reader.parts(rule.key()).first().copied() else { return Answer::Fine };
    let fits = block(first).is_none_or(|block| size(block).is_none_or(|size| size >= FEWEST_ADDRESSES));
    Answer::unless(first, fits)
}

/// Each block of Services has room for cluster DNS at its usual place.
pub(super) fn default_dns(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let too_small = |text: &&str| block(text).and_then(size).is_some_and(|size| size <= DNS_INDEX);
    reader.parts(rule.key()).into_iter().find(too_small).map_or(Answer::Fine, Answer::wrong)
}

/// One block of Services, or one of each family.
pub(super) fn service_blocks(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(blocks) = blocks(reader, rule.key()) else { return Answer::Fine };
    match blocks.as_slice() {
        [] | [_] => Answer::Fine,
        [one, other] if one.0.is_ipv4() != other.0.is_ipv4() => Answer::Fine,
        [_, _] => {
            let detail = "[0] and --service-cluster-ip-range[1] must be of different IP family";
            Answer::because(reader.parts(rule.key()).join(","), detail)
        }
        _ => {
            let detail = " must not contain more than two entries";
            Answer::because(reader.parts(rule.key()).join(","), detail)
        }
    }
}

/// The API server keeps a bit for each address of a block.
pub(super) fn service_block_large(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let parts = reader.parts(rule.key());
    let large = parts.into_iter().find_map(|text| {
        let (address, prefix) = block(text)?;
        let (all, least) = (bits(address), bits(address) - MOST_SERVICE_BITS);
        let detail = format!("for {all}-bit addresses, the mask must be >= {least}");
        (prefix < least).then(|| Answer::because(text, detail))
    });
    large.unwrap_or(Answer::Fine)
}

/// The address that the API server publishes has the family of the first block of Services.
pub(super) fn public_family(reader: &OwnReader<'_>, _: &OwnRule) -> Answer {
    if reader.given("vpn-auth").is_some() || reader.given("vpn-auth-file").is_some() {
        return Answer::Fine;
    }
    let first_of = |key: &str| reader.parts(key).into_iter().find_map(|part| part.parse::<IpAddr>().ok());
    let advertised = reader.given("advertise-address").and_then(flag_values::address);
    let (node, external) = (first_of("node-ip"), first_of("node-external-ip"));
    let public = advertised.or(external).or(node);
    let blocks = blocks(reader, "service-cidr").unwrap_or_default();
    // Without a block of its own, K3s takes that of the family of node-ip.
    let usual = if node.is_some_and(|node| node.is_ipv6()) { "fd00:43::/112" } else { "10.43.0.0/16" };
    let first = reader.parts("service-cidr").first().copied().unwrap_or(usual);
    let Some((service, _)) = block(first) else { return Answer::Fine };
    match public {
        Some(public) if public.is_ipv4() == service.is_ipv4() => Answer::Fine,
        // Nothing is published on a loopback address: the API server looks for another one.
        Some(public) if public.is_unspecified() || public.is_loopback() => Answer::Fine,
        Some(public) => Answer::because(first, public.to_string()),
        None if service.is_ipv4() => Answer::Fine,
        // The other block says that the machine has an IPv4 address, which K3s then takes.
        None if blocks.iter().any(|(address, _)| address.is_ipv4()) => {
            Answer::because(first, "the machine's IPv4 address")
        }
        None => Answer::Unknown("not checked: which addresses this machine has".to_owned()),
    }
}

/// Pods, Services and the node share their families.
pub(super) fn block_families(reader: &OwnReader<'_>, _: &OwnRule) -> Answer {
    let vpn = reader.given("vpn-auth").is_some() || reader.given("vpn-auth-file").is_some();
    let nodes: Option<Vec<IpAddr>> =
        reader.parts("node-ip").into_iter().map(|part| part.parse().ok()).collect();
    let (Some(nodes), Some(clusters), Some(services)) =
        (nodes, blocks(reader, "cluster-cidr"), blocks(reader, "service-cidr"))
    else {
        return Answer::Fine;
    };
    let nodes = if vpn { Vec::new() } else { nodes };
    let is_dual = |families: &[bool]| families.contains(&true) && families.contains(&false);
    // What nothing sets has the family of the node's first address.
    let usual: Option<bool> = nodes.first().map(IpAddr::is_ipv4);
    let families = |blocks: &[Block]| -> Vec<bool> {
        let own: Vec<bool> = blocks.iter().map(|(address, _)| address.is_ipv4()).collect();
        if own.is_empty() { vec![usual.unwrap_or(true)] } else { own }
    };
    let (cluster, service) = (families(&clusters), families(&services));
    let decided = usual.is_some() || (!clusters.is_empty() && !services.is_empty());
    if cluster[0] != service[0] || is_dual(&cluster) != is_dual(&service) {
        let unset_v6 = !decided && is_dual(&cluster) == is_dual(&service);
        if unset_v6 {
            return Answer::Unknown("not checked: which addresses this machine has".to_owned());
        }
        let shown = |key: &str| format!("[{}]", reader.parts(key).join(" "));
        let detail =
            format!("cluster-cidr: {} and service-cidr: {}", shown("cluster-cidr"), shown("service-cidr"));
        return Answer::because(reader.parts("cluster-cidr").join(","), detail);
    }
    let node: Vec<bool> = nodes.iter().map(IpAddr::is_ipv4).collect();
    let shares = node.is_empty() || is_dual(&node) || (!is_dual(&cluster) && node[0] == cluster[0]);
    if shares {
        return Answer::Fine;
    }
    let (shown, node) = (reader.parts("cluster-cidr").join(" "), reader.parts("node-ip").join(" "));
    Answer::because(node.clone(), format!("cluster-cidr: [{shown}] and node-ip: [{node}]"))
}

/// A port on which something listens.
pub(super) fn port(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    port_number(reader.number(rule.key()), 0)
}

fn port_number(number: Option<i128>, least: i128) -> Answer {
    match number {
        Some(number) if !(least..=LAST_PORT).contains(&number) => Answer::wrong(number.to_string()),
        _ => Answer::Fine,
    }
}

/// The port of K3s itself.
pub(super) fn supervisor_port(reader: &OwnReader<'_>) -> Answer {
    port_number(reader.supervisor_port(), 0)
}

/// K3s's own agent does not find a server whose port the system chooses.
pub(super) fn supervisor_port_zero(reader: &OwnReader<'_>) -> Answer {
    Answer::unless("0", reader.supervisor_port() != Some(0))
}

/// The port of the API server.
pub(super) fn apiserver_port(reader: &OwnReader<'_>) -> Answer {
    port_number(reader.apiserver_port(), 1)
}

/// K3s and the API server listen on different ports.
pub(super) fn ports_differ(reader: &OwnReader<'_>) -> Answer {
    let (own, other) = (reader.supervisor_port(), reader.apiserver_port());
    match other {
        Some(port) if own == other => Answer::wrong(port.to_string()),
        _ => Answer::Fine,
    }
}

/// A range of ports.
pub(super) fn port_range(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    let Some(text) = reader.text(rule.key()) else { return Answer::Fine };
    if flag_values::port_range(text).is_some() {
        return Answer::Fine;
    }
    Answer::because(text, port_range_reason(text))
}

/// Returns what `PortRange.Set` of k8s.io/apimachinery says.
fn port_range_reason(text: &str) -> String {
    let number = |text: &str| text.parse::<i64>().ok();
    let plus = text.contains('+');
    let (low, high) = match text.split_once(['-', '+']) {
        Some((low, high)) => (low, high),
        None => (text, text),
    };
    match (number(low), number(high)) {
        (None, _) => format!("strconv.Atoi: parsing {low:?}: invalid syntax"),
        (_, None) => format!("strconv.Atoi: parsing {high:?}: invalid syntax"),
        (Some(low), Some(high)) if !plus && high < low => {
            format!("end port cannot be less than start port: {text}")
        }
        _ => format!("the port range cannot be greater than 65535: {text}"),
    }
}

/// An agent waits for a server whose range is empty.
pub(super) fn port_range_there(reader: &OwnReader<'_>, rule: &OwnRule) -> Answer {
    match reader.text(rule.key()) {
        Some(text) => Answer::unless(text, !text.trim().is_empty()),
        None => Answer::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_dot_and_no_number_at_its_end() {
        for good in ["k3s.example", "k3s.example.", "10.1.2", "a_b.example"] {
            assert!(may_be_found(good), "{good}");
        }
        for bad in ["bogus", "256.1.1.1", "1.2.3.4.5", "127.0.0.1:6443", "10.1.2.3/24", "a..b", "10.1.70000"]
        {
            assert!(!may_be_found(bad), "{bad}");
        }
    }
}
