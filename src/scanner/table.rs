//! The scanners' checks as data (data/scanner/*.yaml), and how a row reads.
//!
//! ```yaml
//! - ask: {line: kube-apiserver, grep: secure-port}            # what it looks at first
//!   or-ask: {cat: kubelet-config}                             # … and where a flag is not in there
//!   any: [{flag: --secure-port, gt: "0"}, {flag: --secure-port, set: false}]   # what it wants; or all
//!   ids: {1.2.16: kube-bench 1.7; security-scan 1.7}          # under which number, in which benchmarks
//!   unscored: security-scan 1.7                               # where it warns and never fails
//! ```
//!
//! A row with `answer: skip` or `answer: manual` looks at nothing. Benchmarks are written as `all`, or per scanner:
//! `kube-bench` for all of its, `kube-bench 1.23 1.7-1.9` for some, in the order in which CIS brought them out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::ValueEnum as _;
use serde::Deserialize;

use super::Scanner;
use super::audit::Audit;
use super::item::TestItem;
use crate::embedded;
use crate::error::{Error, ErrorKind, Result};

/// The data directory that the scanners have written into their checks, wherever K3s' own is.
pub(super) const DATA_DIR: &str = "/var/lib/rancher/k3s";

/// kube-bench's benchmarks, oldest first: CIS took up its own numbering after Kubernetes 1.24.
const KUBE_BENCH: &[&str] = &["1.23", "1.24", "1.7", "1.8", "1.9"];
/// security-scan's; of the first four those that are called hardened.
const SECURITY_SCAN: &[&str] = &["1.23", "1.24", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12"];

/// The benchmarks of a scanner, oldest first.
pub(super) fn names(scanner: Scanner) -> &'static [&'static str] {
    match scanner {
        Scanner::KubeBench => KUBE_BENCH,
        Scanner::SecurityScan => SECURITY_SCAN,
    }
}

/// A benchmark of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScannerBenchmark {
    /// Whose.
    pub(super) scanner: Scanner,
    /// Its place among them.
    index: usize,
}

impl ScannerBenchmark {
    /// Finds a benchmark by its name.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] with those that there are.
    pub(super) fn find(scanner: Scanner, name: &str) -> Result<Self> {
        let names = names(scanner);
        let index = names.iter().position(|known| *known == name);
        index.map(|index| Self { scanner, index }).ok_or_else(|| {
            Error::new(ErrorKind::BadInput, format!("{scanner} has no benchmark {name:?} for K3s"))
                .hint(format!("it has {}", names.join(", ")))
        })
    }
}

/// Some benchmarks, as written in a row.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Benchmarks(Vec<ScannerBenchmark>);

impl Benchmarks {
    /// Tells whether `benchmark` is among them.
    pub(super) fn contains(&self, benchmark: ScannerBenchmark) -> bool {
        self.0.contains(&benchmark)
    }
}

impl TryFrom<String> for Benchmarks {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let text = if text == "all" { "kube-bench; security-scan".to_owned() } else { text };
        let mut found = Vec::new();
        for part in text.split("; ") {
            let mut words = part.split(' ');
            let scanner = Scanner::from_str(words.next().unwrap_or_default(), false)
                .map_err(|message| Error::new(ErrorKind::BadInput, message))?;
            let named: Vec<&str> = words.collect();
            let all = (0..names(scanner).len()).map(|index| ScannerBenchmark { scanner, index });
            found.extend(all.clone().filter(|_| named.is_empty()));
            for range in named {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) =
                    (ScannerBenchmark::find(scanner, first)?, ScannerBenchmark::find(scanner, last)?);
                found.extend(all.clone().filter(|one| (first.index..=last.index).contains(&one.index)));
            }
        }
        Ok(Self(found))
    }
}

/// What a check answers without a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FixedAnswer {
    /// It does not apply.
    Skip,
    /// A person has to look.
    Manual,
}

/// A check, in every benchmark that has it so.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CheckRow {
    /// What it answers without a look.
    pub(super) answer: Option<FixedAnswer>,
    /// What it looks at.
    pub(super) ask: Option<Audit>,
    /// The configuration file that it looks at for what is not there.
    pub(super) or_ask: Option<Audit>,
    /// Whether every line has to pass by itself.
    #[serde(default)]
    pub(super) each_line: bool,
    /// Tests that all have to pass.
    pub(super) all: Option<Vec<TestItem>>,
    /// Tests of which one has to.
    pub(super) any: Option<Vec<TestItem>>,
    /// What is wrong with it, where nothing else says.
    pub(super) note: Option<String>,
    /// Its numbers.
    pub(super) ids: BTreeMap<String, Benchmarks>,
    /// Where it cannot fail.
    unscored: Option<Benchmarks>,
    /// Where it reads no journal but the one on the disk.
    on_disk: Option<Benchmarks>,
}

impl CheckRow {
    /// Tells whether it can fail.
    pub(super) fn is_scored(&self, benchmark: ScannerBenchmark) -> bool {
        !self.unscored.as_ref().is_some_and(|some| some.contains(benchmark))
    }

    /// Tells whether it reads no journal but the one on the disk.
    pub(super) fn is_on_disk(&self, benchmark: ScannerBenchmark) -> bool {
        self.on_disk.as_ref().is_some_and(|some| some.contains(benchmark))
    }
}

/// The scanners' files, and the roles of the nodes on which they run: a worker is looked at for section 4 only.
pub(super) const TARGETS: [&str; 4] = ["master", "etcd", "controlplane", "node"];

/// Returns the checks of a target.
pub(super) fn rows(target: &str) -> &'static [CheckRow] {
    static ROWS: LazyLock<BTreeMap<&str, Vec<CheckRow>>> =
        LazyLock::new(|| TARGETS.iter().map(|target| (*target, embedded::table(target))).collect());
    ROWS.get(target).map_or(&[], Vec::as_slice)
}

/// A file that the scanners look for in several places.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PathVariable {
    name: String,
    of: Benchmarks,
    places: Vec<String>,
}

/// Returns the places of what a row names: of a bare word those in places.yaml, of a path itself.
pub(super) fn places(name: &str, benchmark: ScannerBenchmark) -> Vec<String> {
    static PLACES: LazyLock<Vec<PathVariable>> = LazyLock::new(|| embedded::table("places"));
    let found = PLACES.iter().find(|place| place.name == name && place.of.contains(benchmark));
    let paths = found.map_or_else(|| vec![name.to_owned()], |place| place.places.clone());
    let rooted = |path: String| if path.starts_with('/') { path } else { format!("{DATA_DIR}/{path}") };
    paths.into_iter().map(rooted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_written_as_ranges() {
        let some = Benchmarks::try_from("kube-bench 1.23 1.7-1.8; security-scan".to_owned()).unwrap();
        let has = |scanner, name| some.contains(ScannerBenchmark::find(scanner, name).unwrap());
        let kube_bench = ["1.23", "1.24", "1.7", "1.8", "1.9"].map(|name| has(Scanner::KubeBench, name));
        assert_eq!(kube_bench, [true, false, true, true, false]);
        assert!(names(Scanner::SecurityScan).iter().all(|name| has(Scanner::SecurityScan, name)));
        for wrong in ["", "nobody", "kube-bench 1.10", "kube-bench 1.7-1.12"] {
            assert!(Benchmarks::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_row_asks_or_answers_and_no_number_is_there_twice() {
        for scanner in [Scanner::KubeBench, Scanner::SecurityScan] {
            for name in names(scanner) {
                let benchmark = ScannerBenchmark::find(scanner, name).unwrap();
                let mut ids = Vec::new();
                for row in TARGETS.iter().flat_map(|target| rows(target)) {
                    assert_eq!(row.answer.is_some(), row.all.is_none() && row.any.is_none(), "{row:?}");
                    assert_eq!(row.answer.is_none(), row.ask.is_some() || row.or_ask.is_some(), "{row:?}");
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
