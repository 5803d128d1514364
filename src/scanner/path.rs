//! The paths that the scanners read, and the patterns of file names.

use std::sync::LazyLock;

use serde::Deserialize;

use super::benchmark::{BenchmarkSet, ScannerBenchmark};
use crate::embedded;

/// The data directory that the scanners read, whatever K3s' own data directory is.
pub(super) const DATA_DIR: &str = "/var/lib/rancher/k3s";

/// A file that the scanners search in several places.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PathVariable {
    name: String,
    benchmarks: BenchmarkSet,
    places: Vec<String>,
}

/// Returns the absolute paths for a name in a row: the places of a variable in places.yaml, or the path itself.
pub(super) fn places(name: &str, benchmark: ScannerBenchmark) -> Vec<String> {
    static VARIABLES: LazyLock<Vec<PathVariable>> = LazyLock::new(|| embedded::table("places"));
    let variable =
        VARIABLES.iter().find(|variable| variable.name == name && variable.benchmarks.contains(benchmark));
    let paths = variable.map_or_else(|| vec![name.to_owned()], |variable| variable.places.clone());
    let absolute = |path: String| if path.starts_with('/') { path } else { format!("{DATA_DIR}/{path}") };
    paths.into_iter().map(absolute).collect()
}

/// Tells whether a name matches a pattern with at most one `*`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        assert!(matches("*.crt", "a.crt"));
        assert!(!matches("*.crt", "a.crt.old"));
        assert!(!matches("a*a", "a"));
        assert!(matches("lock", "lock") && !matches("lock", "locks"));
    }
}
