// SPDX-License-Identifier: Apache-2.0
//! The scanners and their benchmarks (data/scanner-benchmarks.yaml).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use clap::ValueEnum as _;
use serde::Deserialize;

use crate::embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::version::KubernetesMinor;

/// A scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scanner {
    /// kube-bench of Aqua Security.
    KubeBench,
    /// security-scan of Rancher: kube-bench with its own benchmarks.
    SecurityScan,
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KubeBench => "kube-bench",
            Self::SecurityScan => "security-scan",
        })
    }
}

/// A row of data/scanner-benchmarks.yaml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BenchmarkRow {
    benchmark: String,
    /// The last minor for which the scanner selects it by default; none for the newest benchmark.
    last_minor: Option<KubernetesMinor>,
    /// The name of the benchmark that leaves more checks out.
    permissive: Option<String>,
}

/// Returns the benchmarks of a scanner, oldest first.
fn rows(scanner: Scanner) -> &'static [BenchmarkRow] {
    static ROWS: LazyLock<BTreeMap<Scanner, Vec<BenchmarkRow>>> =
        LazyLock::new(|| embedded::table("scanner-benchmarks"));
    ROWS.get(&scanner).map_or(&[], Vec::as_slice)
}

/// Returns the benchmarks for K3s that a scanner has, oldest first, such as `1.9` and `1.8-permissive`.
#[must_use]
pub fn benchmarks(scanner: Scanner) -> Vec<&'static str> {
    let names = |row: &'static BenchmarkRow| [Some(row.benchmark.as_str()), row.permissive.as_deref()];
    rows(scanner).iter().flat_map(names).flatten().collect()
}

/// Returns the name in [`benchmarks`] for a name of a benchmark: `1.8` for `1.8-hardened`.
///
/// # Errors
/// [`ErrorKind::BadInput`] with the benchmarks of the scanner.
pub fn benchmark_name(scanner: Scanner, name: &str) -> Result<&'static str> {
    ScannerBenchmark::find(scanner, name).map(ScannerBenchmark::name)
}

/// Returns the benchmark of CIS behind a benchmark of a scanner: `1.8` for `1.8-permissive`.
#[must_use]
pub fn cis_benchmark(name: &str) -> &str {
    name.split_once('-').map_or(name, |(benchmark, _)| benchmark)
}

/// Returns the benchmark that a scanner selects for a minor by default.
#[must_use]
pub fn default_benchmark(scanner: Scanner, minor: KubernetesMinor) -> &'static str {
    let mut rows = rows(scanner).iter();
    let row = rows.find(|row| minor.is_within(None, row.last_minor));
    row.map_or("", |row| row.benchmark.as_str())
}

/// A benchmark of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScannerBenchmark {
    /// The scanner.
    pub(super) scanner: Scanner,
    /// The index among the rows of the scanner.
    index: usize,
    /// Whether it is the permissive benchmark of the row.
    permissive: bool,
}

impl ScannerBenchmark {
    /// Finds a benchmark by its name. The benchmark of a row that has a permissive one is also called `-hardened`.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the benchmarks of the scanner.
    pub(super) fn find(scanner: Scanner, name: &str) -> Result<Self> {
        let plain = name.strip_suffix(HARDENED);
        let found = rows(scanner).iter().enumerate().find_map(|(index, row)| {
            let hardened = row.benchmark == name || row.permissive.is_some() && plain == Some(&row.benchmark);
            let permissive = row.permissive.as_deref() == Some(name);
            (hardened || permissive).then_some(Self { scanner, index, permissive })
        });
        found.ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{scanner} has no benchmark {name:?} for K3s"))
                .hint(format!("it has {}", benchmarks(scanner).join(", ")))
        })
    }

    /// Returns the name by which the benchmark is known here.
    pub(super) fn name(self) -> &'static str {
        rows(self.scanner).get(self.index).map_or("", |row| match &row.permissive {
            Some(name) if self.permissive => name,
            _ => &row.benchmark,
        })
    }
}

/// The ends of the names of security-scan's older benchmarks, which come in two.
const HARDENED: &str = "-hardened";
const PERMISSIVE: &str = "-permissive";

/// A set of benchmarks: `all`, or per scanner all of its benchmarks (`kube-bench`) or some (`kube-bench 1.23 1.7-1.9`).
/// A permissive benchmark belongs to what names its row, unless `-hardened` stands behind it (`1.23-1.8-hardened`);
/// `-permissive` stands for the permissive ones alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct BenchmarkSet(Vec<ScannerBenchmark>);

impl BenchmarkSet {
    /// Tells whether the set has a benchmark.
    pub(super) fn contains(&self, benchmark: ScannerBenchmark) -> bool {
        self.0.contains(&benchmark)
    }
}

impl TryFrom<String> for BenchmarkSet {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let text = if text == "all" { "kube-bench; security-scan".to_owned() } else { text };
        let mut set = Vec::new();
        for part in text.split("; ") {
            let mut words = part.split(' ');
            let scanner = Scanner::from_str(words.next().unwrap_or_default(), false)
                .map_err(|message| Error::new(ErrorKind::BadInput, message))?;
            let ranges: Vec<&str> = words.collect();
            set.extend(every(scanner).filter(|_| ranges.is_empty()));
            for range in ranges {
                set.extend(within(scanner, range)?);
            }
        }
        Ok(Self(set))
    }
}

/// Returns every benchmark of a scanner.
fn every(scanner: Scanner) -> impl Iterator<Item = ScannerBenchmark> {
    rows(scanner).iter().enumerate().flat_map(move |(index, row)| {
        let permissive = row.permissive.is_some().then_some(true);
        [Some(false), permissive].into_iter().flatten().map(move |permissive| ScannerBenchmark {
            scanner,
            index,
            permissive,
        })
    })
}

/// Returns the benchmarks in a range, such as `1.9`, `1.7-1.9` or `1.7-1.8-permissive`.
fn within(scanner: Scanner, range: &str) -> Result<Vec<ScannerBenchmark>> {
    let (bounds, permissive) = match (range.strip_suffix(HARDENED), range.strip_suffix(PERMISSIVE)) {
        (Some(bounds), _) => (bounds, Some(false)),
        (_, Some(bounds)) => (bounds, Some(true)),
        _ => (range, None),
    };
    let (first, last) = bounds.split_once('-').unwrap_or((bounds, bounds));
    let (first, last) = (ScannerBenchmark::find(scanner, first)?, ScannerBenchmark::find(scanner, last)?);
    let is_within = |one: &ScannerBenchmark| {
        (first.index..=last.index).contains(&one.index)
            && permissive.is_none_or(|permissive| one.permissive == permissive)
    };
    Ok(every(scanner).filter(is_within).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_written_as_ranges() {
        let some = BenchmarkSet::try_from("kube-bench 1.23 1.7-1.8; security-scan".to_owned()).unwrap();
        let has = |scanner, name| some.contains(ScannerBenchmark::find(scanner, name).unwrap());
        let kube_bench = ["1.23", "1.24", "1.7", "1.8", "1.9"].map(|name| has(Scanner::KubeBench, name));
        assert_eq!(kube_bench, [true, false, true, true, false]);
        assert!(benchmarks(Scanner::SecurityScan).iter().all(|name| has(Scanner::SecurityScan, name)));
        let pairs = BenchmarkSet::try_from("security-scan 1.7 1.23-1.24-hardened 1.8-permissive".to_owned());
        let pairs = pairs.unwrap();
        let has = |name: &&str| pairs.contains(ScannerBenchmark::find(Scanner::SecurityScan, name).unwrap());
        let names: Vec<&str> = benchmarks(Scanner::SecurityScan).into_iter().filter(has).collect();
        assert_eq!(names, ["1.23", "1.24", "1.7", "1.7-permissive", "1.8-permissive"]);
        for wrong in ["", "nobody", "kube-bench 1.10", "kube-bench 1.7-1.12"] {
            assert!(BenchmarkSet::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_benchmark_is_found_by_each_of_its_names() {
        let name = |name| ScannerBenchmark::find(Scanner::SecurityScan, name).map(ScannerBenchmark::name);
        assert_eq!(name("1.8-hardened").unwrap(), "1.8");
        assert_eq!(name("1.8-permissive").unwrap(), "1.8-permissive");
        assert!(name("1.9-hardened").is_err() && name("1.9-permissive").is_err());
        assert!(ScannerBenchmark::find(Scanner::KubeBench, "1.8-permissive").is_err());
        assert_eq!(["1.8", "1.8-permissive"].map(cis_benchmark), ["1.8"; 2]);
    }

    #[test]
    fn every_minor_has_a_default_benchmark() {
        for scanner in [Scanner::KubeBench, Scanner::SecurityScan] {
            let (last, older) = rows(scanner).split_last().unwrap();
            assert!(last.last_minor.is_none() && older.iter().all(|row| row.last_minor.is_some()));
            assert!(older.iter().map(|row| row.last_minor).is_sorted());
            for minor in KubernetesMinor::supported() {
                assert!(
                    benchmarks(scanner).contains(&default_benchmark(scanner, minor)),
                    "{scanner} {minor}"
                );
            }
        }
    }
}
