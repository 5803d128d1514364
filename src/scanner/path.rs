// SPDX-License-Identifier: Apache-2.0
//! The paths that the scanners read (data/paths.yaml), and the patterns of file names.

use std::sync::LazyLock;

use serde::Deserialize;

use super::benchmark::{BenchmarkSet, ScannerBenchmark};
use crate::embedded;

/// The data directory that the scanners read, whatever K3s's own data directory is.
pub(super) const DATA_DIR: &str = "/var/lib/rancher/k3s";

/// A file that the scanners search in several places.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathList {
    /// The name of the variable, without the `$`.
    pub(super) variable: String,
    target: String,
    benchmarks: BenchmarkSet,
    /// The paths, of which the first that exists counts.
    #[serde(default)]
    pub(super) paths: Vec<String>,
    /// What takes the place of the variable if no path exists: a path, or the name of the component.
    pub(super) otherwise: String,
}

/// Returns the lists that a benchmark has for a target.
pub(super) fn lists(target: &str, benchmark: ScannerBenchmark) -> impl Iterator<Item = &'static PathList> {
    static LISTS: LazyLock<Vec<PathList>> = LazyLock::new(|| embedded::table("paths"));
    LISTS.iter().filter(move |list| list.target == target && list.benchmarks.contains(benchmark))
}

/// Returns the absolute path for a path in a row, which may be below K3s's data directory.
pub(super) fn absolute(path: &str) -> String {
    if path.starts_with(['/', '%']) { path.to_owned() } else { format!("{DATA_DIR}/{path}") }
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
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::benchmark::{Scanner, benchmarks};
    use super::super::check_row::{TARGETS, rows};
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        assert!(matches("*.crt", "a.crt"));
        assert!(!matches("*.crt", "a.crt.old"));
        assert!(!matches("a*a", "a"));
        assert!(matches("lock", "lock") && !matches("lock", "locks"));
    }

    /// The lists by scanner, benchmark, target and variable: the paths, and what takes the variable's place.
    type Lists = BTreeMap<(Scanner, String, String, String), (Vec<String>, String)>;

    /// Reads what tests/oracle/scanner_paths printed.
    fn printed() -> Lists {
        let text = include_str!("../../tests/scanner/paths.txt");
        let (mut lists, mut keys, mut paths) = (Lists::new(), Vec::new(), Vec::new());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(otherwise) = line.strip_prefix("  = ") {
                let list = (std::mem::take(&mut paths), otherwise.to_owned());
                lists.extend(std::mem::take(&mut keys).into_iter().map(|key| (key, list.clone())));
            } else if let Some(path) = line.strip_prefix("  ") {
                paths.push(path.to_owned());
            } else {
                let (head, names) = line.split_once(": ").unwrap();
                let words: Vec<&str> = head.split(' ').collect();
                let scanner = match words[0] {
                    "kube-bench" => Scanner::KubeBench,
                    _ => Scanner::SecurityScan,
                };
                let name = |name| ScannerBenchmark::find(scanner, name).unwrap().name().to_owned();
                let key = |benchmark| (scanner, name(benchmark), words[1].to_owned(), words[2].to_owned());
                keys = names.split(' ').map(key).collect();
            }
        }
        lists
    }

    #[test]
    fn the_lists_are_the_scanners_own() {
        let mut own = Lists::new();
        for scanner in [Scanner::KubeBench, Scanner::SecurityScan] {
            for name in benchmarks(scanner) {
                let benchmark = ScannerBenchmark::find(scanner, name).unwrap();
                for (target, list) in
                    TARGETS.iter().flat_map(|target| lists(target, benchmark).map(move |list| (target, list)))
                {
                    let key = (scanner, name.to_owned(), (*target).to_owned(), list.variable.clone());
                    let twice = own.insert(key.clone(), (list.paths.clone(), list.otherwise.clone()));
                    assert!(twice.is_none(), "{key:?} is there twice");
                }
            }
        }
        let printed = printed();
        assert_eq!(own.keys().collect::<BTreeSet<_>>(), printed.keys().collect::<BTreeSet<_>>());
        for (key, list) in &own {
            assert_eq!(list, &printed[key], "{key:?}");
        }
        assert_eq!(own.len(), 295);
        assert_eq!(own.values().map(|(paths, _)| paths.len()).sum::<usize>(), 1245);
    }

    /// A path of a list stands in a row only where the audit of the scanner has it.
    #[test]
    fn every_variable_of_a_row_has_a_list() {
        for scanner in [Scanner::KubeBench, Scanner::SecurityScan] {
            for name in benchmarks(scanner) {
                let benchmark = ScannerBenchmark::find(scanner, name).unwrap();
                for target in TARGETS {
                    for row in rows(target) {
                        let of_row = row.ids.values().any(|some| some.contains(benchmark));
                        let text = format!("{:?} {:?}", row.audit, row.audit_config);
                        let variables = text.split('"').filter_map(|word| word.strip_prefix('$'));
                        for variable in variables.filter(|_| of_row) {
                            let found = lists(target, benchmark).any(|list| list.variable == variable);
                            assert!(found, "{scanner} {name} {target}: ${variable}");
                        }
                    }
                }
            }
        }
    }
}
