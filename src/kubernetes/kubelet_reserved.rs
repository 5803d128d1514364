// SPDX-License-Identifier: Apache-2.0
//! What the kubelet reserves in all, as settings of their own that rules compare: `reserved.cpu` and `reserved.memory`, in
//! billionths, and what its reserved memory adds up to.
//!
//! Source: cmd/kubelet/app/server.go of Kubernetes, and pkg/kubelet/cm (`GetNodeAllocatableReservation`,
//! `hardEvictionReservation`, memorymanager).

use super::settings::{ComponentSettings, TypedValue};
use super::{kubelet_values, quantity};

/// Billionths of one.
const ONE: i128 = 1_000_000_000;

/// Adds the settings that follow from others.
pub(super) fn derive(settings: &mut ComponentSettings) {
    let cpus = settings.text("reservedSystemCPUs").and_then(|text| kubelet_values::cpu_set(&text));
    let cpus = cpus.filter(|cpus| !cpus.is_empty());
    let cpu = match &cpus {
        // A set of CPUs replaces their amounts.
        Some(cpus) => i128::try_from(cpus.len()).unwrap_or(i128::MAX).saturating_mul(ONE),
        None => amount(settings, "kubeReserved", "cpu") + amount(settings, "systemReserved", "cpu"),
    };
    settings.assume("reserved.cpu", TypedValue::Whole(cpu));
    if cpus.is_some() {
        for map in ["kubeReserved", "systemReserved"] {
            settings.retain(map, &|name| name != "cpu");
        }
    }
    if let Some(last) = cpus.as_ref().and_then(|cpus| cpus.last()) {
        settings.assume("reserved.last-cpu", TypedValue::Whole((*last).into()));
    }
    let ignores = settings.text("experimental-allocatable-ignore-eviction").as_deref() == Some("true");
    let threshold = entry(settings, "evictionHard", "memory.available").filter(|_| !ignores);
    // A percentage is one of the machine's memory.
    let kept = match threshold.as_deref() {
        None | Some("0%" | "100%") => Some(0),
        Some(text) => quantity::parse(text),
    };
    if let Some(kept) = kept {
        let reserved =
            amount(settings, "kubeReserved", "memory") + amount(settings, "systemReserved", "memory");
        settings.assume("reserved.memory", TypedValue::Whole(reserved.saturating_add(kept)));
    }
    // These percentages are no thresholds.
    if let Some(TypedValue::Map(pairs)) = settings.value("evictionSoft") {
        let counted = pairs.iter().filter(|(_, text)| !matches!(text.as_str(), "0%" | "100%")).cloned();
        let counted = TypedValue::Map(counted.collect());
        settings.assume("evictionSoft.counted", counted);
    }
    let Some(TypedValue::List(items)) = settings.value("reservedMemory") else { return };
    let limits: Vec<(String, String, i128)> = items.iter().flat_map(|item| limits(item)).collect();
    let sum = |is_wanted: &dyn Fn(&str) -> bool| {
        let amounts = limits.iter().filter(|(_, kind, _)| is_wanted(kind)).map(|(_, _, amount)| *amount);
        TypedValue::Whole(amounts.fold(0, i128::saturating_add))
    };
    let (memory, pages) = (sum(&|kind| kind == "memory"), sum(&|kind| kind != "memory"));
    let kinds = limits.iter().map(|(node, kind, _)| format!("{node}:{kind}")).collect();
    let nodes = items.iter().filter_map(|item| Some(item.split_once(':')?.0.to_owned())).collect();
    let empty = limits.iter().filter(|(_, _, amount)| *amount == 0);
    let empty = empty.map(|(node, kind, _)| format!("{node}:{kind}")).collect();
    settings.assume("reservedMemory.memory", memory);
    settings.assume("reservedMemory.hugepages", pages);
    settings.assume("reservedMemory.types", TypedValue::List(kinds));
    settings.assume("reservedMemory.empty", TypedValue::List(empty));
    settings.assume("reservedMemory.nodes", TypedValue::List(nodes));
}

/// Returns the limits of an item of the reserved memory: the node, the type and the amount.
fn limits(item: &str) -> Vec<(String, String, i128)> {
    let Some((node, limits)) = item.split_once(':') else { return Vec::new() };
    let node: i64 = node.parse().unwrap_or_default();
    let limits = limits.split(',').filter_map(|limit| limit.split_once('='));
    limits
        .map(|(kind, amount)| {
            (node.to_string(), kind.to_owned(), quantity::parse(amount).unwrap_or_default())
        })
        .collect()
}

/// Returns an amount of a map of resources; 0 if it has none that reads.
fn amount(settings: &ComponentSettings, map: &str, name: &str) -> i128 {
    entry(settings, map, name).and_then(|text| quantity::parse(&text)).unwrap_or_default()
}

fn entry(settings: &ComponentSettings, map: &str, name: &str) -> Option<String> {
    match settings.value(map)? {
        TypedValue::Map(pairs) => {
            pairs.iter().rev().find(|(known, _)| known == name).map(|pair| pair.1.clone())
        }
        _ => None,
    }
}
