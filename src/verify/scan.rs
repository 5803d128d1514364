//! Predicts the results of a scanner from the facts about a node.

use super::facts::NodeFacts;
use crate::error::{Error, ErrorKind, Result};
use crate::k3s::Datastore;
use crate::scanner::{Scan, ScannedNode, Scanner, default_benchmark, forecast_journal, predict};

impl NodeFacts<'_> {
    /// Predicts the results of a scanner on this node. Without `benchmark`, the scanner's default for the minor is used.
    /// If K3s has not started yet, the prediction is for the node after the first start.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if the scanner does not have the benchmark or K3s could not read its configuration; any
    /// error of a file that exists and cannot be read.
    pub fn scan(&self, scanner: Scanner, benchmark: Option<&str>) -> Result<Scan> {
        let node = &self.node;
        let journal = if self.started {
            self.log.of_journalctl().to_owned()
        } else {
            let unread = |error: &Error| {
                Error::new(ErrorKind::BadInput, format!("K3s could not read its configuration: {error}"))
            };
            forecast_journal(node.effective.as_ref().map_err(unread)?)
        };
        let scanned = ScannedNode {
            root: node.root,
            data_dir: &node.data_dir,
            role: node.role,
            minor: node.minor,
            owner: self.owner,
            journal: &journal,
            started: self.started,
            etcd: self.datastore == Datastore::Etcd,
        };
        let benchmark = benchmark.unwrap_or_else(|| default_benchmark(scanner, node.minor));
        let predictions = predict(scanner, benchmark, &scanned)?;
        Ok(Scan { scanner, benchmark: benchmark.to_owned(), predictions })
    }
}
