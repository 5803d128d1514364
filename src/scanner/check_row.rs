// SPDX-License-Identifier: Apache-2.0
//! The scanners' checks (data/*.yaml), and the grammar of a row.
//!
//! ```yaml
//! - audit: {line: kube-apiserver, grep: secure-port}   # the command that the check runs
//!   audit-config: {cat: kubelet-config}                # the configuration file, for flags that the audit does not print
//!   any: [{flag: --secure-port, gt: "0"}, {flag: --secure-port, set: false}]   # the tests; or all
//!   ids: {1.2.16: kube-bench 1.7; security-scan 1.7}   # its numbers, each with the benchmarks
//!   unscored: security-scan 1.7                        # the benchmarks in which it warns and never fails
//! ```
//!
//! A row with `type: skip` or `type: manual` runs no audit. Benchmarks are written as `all`, or per scanner: `kube-bench`
//! for all of its benchmarks, `kube-bench 1.23 1.7-1.9` for some, in the order in which CIS published them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::audit::Audit;
use super::benchmark::{BenchmarkSet, ScannerBenchmark};
use super::test_item::TestItem;
use crate::embedded;

/// The type of a check that runs no audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CheckType {
    /// The check does not apply.
    Skip,
    /// A person has to check.
    Manual,
}

/// A check that is the same in some benchmarks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CheckRow {
    /// The type of a check that runs no audit.
    #[serde(rename = "type")]
    pub(super) check_type: Option<CheckType>,
    /// The audit.
    pub(super) audit: Option<Audit>,
    /// The audit of the configuration file, for flags that the first audit does not print.
    pub(super) audit_config: Option<Audit>,
    /// Whether each line has to pass the tests.
    #[serde(default)]
    pub(super) each_line: bool,
    /// Tests that all have to pass.
    pub(super) all: Option<Vec<TestItem>>,
    /// Tests of which one has to pass.
    pub(super) any: Option<Vec<TestItem>>,
    /// A defect of the check that nothing else in the row shows.
    pub(super) note: Option<String>,
    /// Its numbers, each with the benchmarks.
    pub(super) ids: BTreeMap<String, BenchmarkSet>,
    /// The benchmarks in which it cannot fail.
    unscored: Option<BenchmarkSet>,
    /// The benchmarks in which it reads only a journal on the disk.
    on_disk: Option<BenchmarkSet>,
}

impl CheckRow {
    /// Tells whether it can fail in a benchmark.
    pub(super) fn is_scored(&self, benchmark: ScannerBenchmark) -> bool {
        !self.unscored.as_ref().is_some_and(|some| some.contains(benchmark))
    }

    /// Tells whether it reads only a journal on the disk in a benchmark.
    pub(super) fn is_on_disk(&self, benchmark: ScannerBenchmark) -> bool {
        self.on_disk.as_ref().is_some_and(|some| some.contains(benchmark))
    }
}

/// The targets of the scanners. On an agent they check only `node`, which is section 4.
pub(super) const TARGETS: [&str; 4] = ["master", "etcd", "controlplane", "node"];

/// Returns the checks of a target.
pub(super) fn rows(target: &str) -> &'static [CheckRow] {
    static ROWS: LazyLock<BTreeMap<&str, Vec<CheckRow>>> =
        LazyLock::new(|| TARGETS.iter().map(|target| (*target, embedded::table(target))).collect());
    ROWS.get(target).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::super::benchmark::{Scanner, benchmarks};
    use super::*;

    #[test]
    fn every_row_has_an_audit_or_a_type_and_every_number_is_unique() {
        for scanner in [Scanner::KubeBench, Scanner::SecurityScan] {
            for name in benchmarks(scanner) {
                let benchmark = ScannerBenchmark::find(scanner, name).unwrap();
                let mut ids = Vec::new();
                for row in TARGETS.iter().flat_map(|target| rows(target)) {
                    assert_eq!(row.check_type.is_some(), row.all.is_none() && row.any.is_none(), "{row:?}");
                    assert_eq!(
                        row.check_type.is_none(),
                        row.audit.is_some() || row.audit_config.is_some(),
                        "{row:?}"
                    );
                    assert!(row.all.is_none() || row.any.is_none(), "{row:?}");
                    assert!(
                        row.all.iter().chain(&row.any).flatten().all(TestItem::compares_once_at_most),
                        "{row:?}"
                    );
                    ids.extend(row.ids.iter().filter(|(_, some)| some.contains(benchmark)).map(|(id, _)| id));
                }
                let count = ids.len();
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), count, "{scanner} {name}");
                assert!((95..=97).contains(&count), "{scanner} {name} has {count}");
            }
        }
    }
}
