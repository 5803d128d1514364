//! What a scanner will print of the node that verify sees.

use super::NodeFacts;
use crate::error::{Error, Result};
use crate::k3s::Datastore;
use crate::scanner::{Scan, ScannedNode, Scanner, default_benchmark, forecast_journal, predict};

impl NodeFacts<'_> {
    /// Predicts what a scanner prints of this node. Without `benchmark`, the scanner's own default for the minor is
    /// used. If K3s has not started yet, the node is seen as it will be after the first start.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] if the scanner does not have the benchmark or K3s could not read its configuration; any
    /// error of a file that exists and cannot be read.
    pub fn scan(&self, scanner: Scanner, benchmark: Option<&str>) -> Result<Scan> {
        let node = &self.node;
        let journal = if self.started {
            self.journal.of_journalctl().to_owned()
        } else {
            let unread = |error: &Error| error.clone().context("K3s could not read its configuration");
            forecast_journal(node.effective.as_ref().map_err(unread)?)
        };
        let seen = ScannedNode {
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
        let predictions = predict(scanner, benchmark, &seen)?;
        Ok(Scan { scanner, benchmark: benchmark.to_owned(), predictions })
    }
}
