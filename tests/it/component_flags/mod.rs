// SPDX-License-Identifier: Apache-2.0
//! The table of the components' arguments (src/kubernetes/data/component-flags.yaml) against Kubernetes itself: a small Go
//! program (tests/oracle/component_flags) is linked against a minor and prints every flag, and the table must have
//! exactly these for that minor, each with its type; of the newest minor, also with its default, and of every minor with the
//! defaults that are not the same in all.
//!
//! It is part of the second tier for the newest minor: `cargo test --test it component_flags -- --include-ignored`, with
//! Go. The third tier asks all minors (`tests/full`); `K3S_HARDEN_FLAGS_OF="1.23 1.30"` or `=all` names others. With
//! nothing built, one takes four to six minutes of CPU. What differs is printed as rows of the table.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::kubernetes::compare_minors;
use k3s_harden::kubernetes::component_flags;
use k3s_harden::kubernetes::settings::FlagType;
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const MINORS: &str = "K3S_HARDEN_FLAGS_OF";

#[test]
#[ignore = "needs Go"]
fn the_table_has_what_kubernetes_has() {
    compare_minors(MINORS, compare);
}

/// Compares the table for one minor, and writes what differs to `wrong`.
fn compare(minor: KubernetesMinor, release: &str, wrong: &mut String) {
    let begin = Instant::now();
    let is_newest = KubernetesMinor::supported().last() == Some(&minor);
    let directory = tempfile::tempdir().unwrap();
    let mut theirs: BTreeMap<(String, String), (FlagType, String)> = BTreeMap::new();
    let mut count = 0;
    for line in print_flags(directory.path(), release).lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        count += 1;
        let component = text("component");
        // Only the kubelet takes underscores for dashes; what is shared has the names of other packages.
        let is_written = component == "kube-controller-manager";
        let name = if is_written { text("name") } else { text("name").replace('_', "-") };
        let kind = match name.as_str() {
            "feature-gates" => FlagType::Gates,
            // The maps that do not split their texts at commas, which their types do not tell.
            "cpu-manager-policy-options" | "oidc-required-claim" => FlagType::MapEntry,
            _ => kind(&text("go"), &text("type")),
        };
        if row["shared"] == true {
            let ours = component_flags::all().get(&component).and_then(|flags| flags.get(&name));
            if ours.is_none_or(|flag| !flag.k3s || flag.from.is_some() || flag.until.is_some()) {
                writeln!(wrong, "{minor} {component}: {name}: {{kind: {kind:?}, k3s: true}}").unwrap();
            }
        } else {
            theirs.insert((component, name), (kind, text("default")));
        }
    }
    for (component, flags) in component_flags::all() {
        for (name, flag) in flags.iter().filter(|(_, flag)| flag.is_of(minor)) {
            match theirs.remove(&(component.clone(), name.clone())) {
                Some((kind, default)) if kind == flag.kind => {
                    let ours = flag.default_in(minor).unwrap_or_default();
                    // Go writes a list of texts in brackets.
                    let plain = default.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
                    let is_same = match ours {
                        "" => is_zero(&default),
                        ours => ours == plain.filter(|_| flag.kind.is_list()).unwrap_or(&default),
                    };
                    let is_stated = is_newest || flag.default_differs();
                    if is_stated && flag.kind != FlagType::Gates && !is_same {
                        writeln!(
                            wrong,
                            "{minor} {component}: {name} has the default {default:?}, not {ours:?}"
                        )
                        .unwrap();
                    }
                }
                Some((kind, _)) => {
                    writeln!(wrong, "{minor} {component}: {name} is {kind:?}, not {:?}", flag.kind).unwrap();
                }
                None if flag.k3s => {}
                None => writeln!(wrong, "{minor} {component}: {name} is not there").unwrap(),
            }
        }
    }
    for ((component, name), (kind, _)) in theirs {
        writeln!(wrong, "{minor} {component}: {name}: {{kind: {kind:?}}} is missing").unwrap();
    }
    println!("{release}: {count} flags in {:.0} s", begin.elapsed().as_secs_f64());
}

/// Builds the Go program against a release and returns what it prints.
fn print_flags(directory: &Path, release: &str) -> String {
    let program =
        crate::support::kubernetes::build(directory, release, Path::new("tests/oracle/component_flags"));
    let printed = Command::new(program).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap()
}

/// Returns the type of a flag by Go's type of its value, and by what pflag calls it.
fn kind(go: &str, name: &str) -> FlagType {
    match (go, name) {
        (_, "bool") => FlagType::Bool,
        (_, "duration") => FlagType::Duration,
        (_, "int" | "int64") => FlagType::Int,
        (_, "int32") => FlagType::Int32,
        (_, "uint" | "uint32" | "uint64") => FlagType::Uint,
        (_, "float32") => FlagType::Float32,
        (_, "float64") => FlagType::Float64,
        (_, "Level") => FlagType::Verbosity,
        (_, "moduleSpec" | "pattern=N,...") => FlagType::Modules,
        (_, "severity") => FlagType::Severity,
        (_, "traceLocation") => FlagType::TraceLocation,
        (_, "version") => FlagType::Version,
        (_, "quantity") => FlagType::Quantity,
        (_, "portRange" | "port-range") => FlagType::PortRange,
        (_, "ipport") => FlagType::AddressPort,
        ("*flag.IPVar", _) => FlagType::AddressText,
        (_, "ip") => FlagType::Address,
        (_, "stringSlice") => FlagType::List,
        (_, "stringArray") => FlagType::Texts,
        (_, "int32Slice") => FlagType::Int32List,
        (_, "namedCertKey") => FlagType::CertificateKeys,
        (_, "[]v1.Taint") => FlagType::Taints,
        (_, "reserved-memory") => FlagType::ReservedMemory,
        (_, "stringToString") => FlagType::Pairs,
        ("*flag.ConfigurationMap", _) => FlagType::Configuration,
        ("*flag.LangleSeparatedMapStringString", _) => FlagType::Thresholds,
        ("*flag.MapStringBool" | "*featuregate.featureGate", _) => FlagType::MapBool,
        (_, "mapStringString") => FlagType::Map,
        (_, "colonSeparatedMultimapStringString") => FlagType::Multimap,
        (_, "string" | "LocalMode" | "ProxyMode") => FlagType::Text,
        _ => panic!("the type {go} ({name}) is new: FlagType lacks it"),
    }
}

/// Tells whether Go writes a default for nothing, 0 or false.
fn is_zero(default: &str) -> bool {
    ["", "0", "0s", "false", "[]", "<nil>", ":0"].contains(&default)
}
