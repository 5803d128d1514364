// SPDX-License-Identifier: Apache-2.0
//! Scanners: predicts the results of kube-bench and of security-scan, which is kube-bench with its own benchmarks. The
//! predictions include the known defects of the scanners. Section 5, whose checks query the cluster, is left out.
//!
//! The checks are data (data/*.yaml). run.rs runs their audits, and test_item.rs tests the output, as check/check.go and
//! check/test.go of kube-bench do. The room may import profile, k3s, node, kubernetes and the ground files; it never
//! imports verify.

mod audit;
mod benchmark;
mod check;
mod check_row;
mod path;
mod predict;
mod run;
mod scanned_node;
mod test_item;
mod view;

pub use self::benchmark::{Scanner, benchmark_name, benchmarks, cis_benchmark, default_benchmark};
pub use self::check::{CheckKind, ScannerCheck, check};
pub use self::predict::{CheckState, Prediction, Scan, predict};
pub use self::scanned_node::ScannedNode;
