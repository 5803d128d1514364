// SPDX-License-Identifier: Apache-2.0
//! The table of the fields of Kubernetes' kinds of configuration (src/kubernetes/data/config-fields.yaml) against
//! Kubernetes itself: a small Go program (tests/oracle/config_fields) is linked against a minor's own types and prints
//! every field, and the table must have exactly these for that minor.
//!
//! It is part of the second tier for the newest minor: `cargo test --test it config_fields -- --include-ignored`, with
//! Go. The third tier asks all minors (`tests/full`); `K3S_HARDEN_FIELDS_OF="1.23 1.30"` or `=all` names others. With
//! nothing built, one takes half a minute. What differs is printed.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::support::kubernetes::{build, compare_minors};
use k3s_harden::kubernetes::config_fields::{self, TypedField};
use k3s_harden::version::KubernetesMinor;
use serde_json::Value;

const MINORS: &str = "K3S_HARDEN_FIELDS_OF";

/// The packages with the types, and the first and the last minor that has each.
const PACKAGES: [(&str, Option<u16>, Option<u16>); 26] = [
    ("k8s.io/api/admissionregistration/v1", Some(36), None),
    ("k8s.io/apiserver/pkg/admission/plugin/policy/config/apis/policyconfig/v1", Some(36), None),
    ("k8s.io/apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota/v1", None, None),
    ("k8s.io/apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota/v1alpha1", None, None),
    ("k8s.io/apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota/v1beta1", None, None),
    ("k8s.io/apiserver/pkg/admission/plugin/webhook/config/apis/webhookadmission/v1", None, None),
    ("k8s.io/apiserver/pkg/admission/plugin/webhook/config/apis/webhookadmission/v1alpha1", None, Some(35)),
    ("k8s.io/apiserver/pkg/apis/apiserver/v1", None, None),
    ("k8s.io/apiserver/pkg/apis/apiserver/v1alpha1", None, None),
    ("k8s.io/apiserver/pkg/apis/apiserver/v1beta1", None, None),
    ("k8s.io/apiserver/pkg/apis/audit/v1", None, None),
    ("k8s.io/apiserver/pkg/apis/audit/v1alpha1", None, Some(23)),
    ("k8s.io/apiserver/pkg/apis/audit/v1beta1", None, Some(23)),
    ("k8s.io/apiserver/pkg/apis/config/v1", None, Some(29)),
    ("k8s.io/kube-proxy/config/v1alpha1", None, None),
    ("k8s.io/kube-scheduler/config/v1", Some(25), None),
    ("k8s.io/kube-scheduler/config/v1beta2", None, Some(27)),
    ("k8s.io/kube-scheduler/config/v1beta3", None, Some(28)),
    ("k8s.io/kubelet/config/v1", Some(26), None),
    ("k8s.io/kubelet/config/v1alpha1", None, None),
    ("k8s.io/kubelet/config/v1beta1", None, None),
    ("k8s.io/kubernetes/plugin/pkg/admission/eventratelimit/apis/eventratelimit/v1alpha1", None, None),
    (
        "k8s.io/kubernetes/plugin/pkg/admission/podtolerationrestriction/apis/podtolerationrestriction/v1alpha1",
        None,
        None,
    ),
    ("k8s.io/pod-security-admission/admission/api/v1", Some(25), None),
    ("k8s.io/pod-security-admission/admission/api/v1alpha1", None, None),
    ("k8s.io/pod-security-admission/admission/api/v1beta1", None, None),
];

#[test]
#[ignore = "needs Go"]
fn the_table_has_the_fields_that_kubernetes_has() {
    compare_minors(MINORS, compare);
}

/// Compares the table for one minor, and writes what differs to `wrong`.
fn compare(minor: KubernetesMinor, release: &str, wrong: &mut String) {
    let begin = Instant::now();
    let objects = config_fields::typed_object_fields(minor);
    let ours: BTreeSet<TypedField> = config_fields::typed_fields(minor).into_iter().chain(objects).collect();
    let kinds: BTreeSet<&str> = ours.iter().map(|field| field.kind).collect();
    let printed = print_fields(minor, release);
    let mut theirs = BTreeSet::new();
    for line in printed.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let field = TypedField {
            kind: row["kind"].as_str().unwrap(),
            version: row["version"].as_str().unwrap(),
            go_type: row["type"].as_str().unwrap(),
            field: row["field"].as_str().unwrap(),
            of: row["of"].as_str().unwrap(),
        };
        // Kinds that no component reads from a file stand beside those that one does.
        let is_argument = field.version.starts_with("kubescheduler.") && field.kind.ends_with("Args");
        if kinds.contains(field.kind) || is_argument {
            theirs.insert(own(&field));
        }
    }
    let ours: BTreeSet<[String; 5]> = ours.iter().map(own).collect();
    for row in ours.difference(&theirs) {
        writeln!(wrong, "{minor}: {} is not there", row.join(" ")).unwrap();
    }
    for row in theirs.difference(&ours) {
        writeln!(wrong, "{minor}: {} is missing", row.join(" ")).unwrap();
    }
    assert!(theirs.len() > 300, "{}", theirs.len());
    println!("{release}: {} fields in {:.0} s", theirs.len(), begin.elapsed().as_secs_f64());
}

fn own(field: &TypedField) -> [String; 5] {
    [field.version, field.kind, field.go_type, field.field, field.of].map(str::to_owned)
}

/// Builds the Go program against a release and returns what it prints.
fn print_fields(minor: KubernetesMinor, release: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let sources = directory.path().join("sources");
    fs::create_dir(&sources).unwrap();
    fs::copy("tests/oracle/config_fields/main.go", sources.join("main.go")).unwrap();
    let mut imports = String::new();
    let mut names = String::new();
    for (index, (package, first, last)) in PACKAGES.iter().enumerate() {
        if minor.is_within(first.map(KubernetesMinor::new), last.map(KubernetesMinor::new)) {
            writeln!(imports, "\tp{index} {package:?}").unwrap();
            writeln!(names, "\tp{index}.AddToScheme,").unwrap();
        }
    }
    let text = format!(
        "package main\n\nimport (\n{imports}\t\"k8s.io/apimachinery/pkg/runtime\"\n)\n\nvar packages = []func(*runtime.Scheme) error{{\n{names}}}\n"
    );
    fs::write(sources.join("packages.go"), text).unwrap();
    let program = build(directory.path(), release, &sources);
    let printed = Command::new(program).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap()
}
