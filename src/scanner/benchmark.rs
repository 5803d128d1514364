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
    /// Aqua Security's.
    KubeBench,
    /// Rancher's: kube-bench with its own benchmarks.
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
}

/// Returns the benchmarks of a scanner, oldest first.
fn rows(scanner: Scanner) -> &'static [BenchmarkRow] {
    static ROWS: LazyLock<BTreeMap<Scanner, Vec<BenchmarkRow>>> =
        LazyLock::new(|| embedded::table("scanner-benchmarks"));
    ROWS.get(&scanner).map_or(&[], Vec::as_slice)
}

/// Returns the benchmarks for K3s that a scanner has, oldest first, such as `1.9`.
#[must_use]
pub fn benchmarks(scanner: Scanner) -> Vec<&'static str> {
    rows(scanner).iter().map(|row| row.benchmark.as_str()).collect()
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
    /// The index among the scanner's benchmarks.
    index: usize,
}

impl ScannerBenchmark {
    /// Finds a benchmark by its name.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with the benchmarks of the scanner.
    pub(super) fn find(scanner: Scanner, name: &str) -> Result<Self> {
        let names = benchmarks(scanner);
        let index = names.iter().position(|known| *known == name);
        index.map(|index| Self { scanner, index }).ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{scanner} has no benchmark {name:?} for K3s"))
                .hint(format!("it has {}", names.join(", ")))
        })
    }
}

/// A set of benchmarks: `all`, or per scanner all of its benchmarks (`kube-bench`) or some (`kube-bench 1.23 1.7-1.9`).
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
            let all = (0..rows(scanner).len()).map(|index| ScannerBenchmark { scanner, index });
            set.extend(all.clone().filter(|_| ranges.is_empty()));
            for range in ranges {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) =
                    (ScannerBenchmark::find(scanner, first)?, ScannerBenchmark::find(scanner, last)?);
                set.extend(all.clone().filter(|one| (first.index..=last.index).contains(&one.index)));
            }
        }
        Ok(Self(set))
    }
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
        for wrong in ["", "nobody", "kube-bench 1.10", "kube-bench 1.7-1.12"] {
            assert!(BenchmarkSet::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
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
