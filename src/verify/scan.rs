// SPDX-License-Identifier: Apache-2.0
//! Predicts the results of a scanner from the facts about a node.

use super::facts::NodeFacts;
use crate::error::{Error, Result};
use crate::k3s::forecast_journal;
use crate::scanner::{Scan, ScannedNode, Scanner, benchmark_name, default_benchmark, predict};

impl NodeFacts<'_> {
    /// Predicts the results of a scanner on this node. Without `benchmark`, the scanner's default for the minor is used.
    /// If K3s has not started yet, the prediction is for the node after the first start.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] if the scanner does not have the benchmark or K3s could not read its configuration; any
    /// error of a file that exists and cannot be read.
    pub fn scan(&self, scanner: Scanner, benchmark: Option<&str>) -> Result<Scan> {
        let node = &self.node;
        let journal = if self.started {
            self.log.of_journalctl().to_owned()
        } else {
            let unread = |error: &Error| error.clone().context("K3s could not read its configuration");
            forecast_journal(node.effective.as_ref().map_err(unread)?)
        };
        let running = node.running();
        let scanned = ScannedNode {
            root: node.root,
            data_dir: &node.data_dir,
            role: node.role,
            minor: node.minor(),
            owner: self.owner,
            journal: &journal,
            started: self.started,
            running: &running,
            provider: node.encryption_provider().0,
        };
        let benchmark = benchmark.unwrap_or_else(|| default_benchmark(scanner, node.minor()));
        let predictions = predict(scanner, benchmark, &scanned)?;
        Ok(Scan { scanner, benchmark: benchmark_name(scanner, benchmark)?.to_owned(), predictions })
    }
}

#[cfg(test)]
mod tests {
    use crate::scanner::{CheckKind, Scanner, check};
    use crate::verify::control::controls;

    /// The number of checks in section 5 of each benchmark, counted in the scanners' own files.
    #[test]
    fn every_control_of_a_scanners_benchmark_is_found() {
        for (scanner, name, in_policies) in [
            (Scanner::KubeBench, "1.23", 0),
            (Scanner::KubeBench, "1.24", 0),
            (Scanner::KubeBench, "1.7", 0),
            (Scanner::KubeBench, "1.8", 0),
            (Scanner::KubeBench, "1.9", 4),
            (Scanner::SecurityScan, "1.23", 0),
            (Scanner::SecurityScan, "1.24", 0),
            (Scanner::SecurityScan, "1.7", 1),
            (Scanner::SecurityScan, "1.8", 1),
            (Scanner::SecurityScan, "1.9", 4),
            (Scanner::SecurityScan, "1.10", 10),
            (Scanner::SecurityScan, "1.11", 12),
            (Scanner::SecurityScan, "1.12", 11),
        ] {
            let mut checked = 0;
            for control in controls(name).unwrap() {
                let Some(check) = check(scanner, name, &control.id) else {
                    assert_eq!((name, control.name.as_str()), ("1.11", "kubelet-ip-address-deny"));
                    continue;
                };
                let is_policy = control.id.to_string().starts_with("5.");
                checked += usize::from(is_policy && check.does == CheckKind::Checks);
                assert!(check.does == CheckKind::Checks || !check.can_fail, "{check:?}");
            }
            assert_eq!(checked, in_policies, "{scanner} {name}");
        }
    }
}
