//! What will the real scanners print? kube-bench and security-scan, which is kube-bench with benchmarks of its own, put
//! their rules to this node, with the defects that they are known for, each of which follows from a rule.
//!
//! What a check looks at and wants is data ([`table`]). Looking is [`audit`]'s business and judging [`item`]'s; both do
//! what check/check.go and check/test.go of kube-bench do. Left out are the checks that ask the cluster (section 5).

mod audit;
mod check;
mod first_start;
mod item;
mod table;
mod world;

use std::fmt;

use serde::Serialize;

pub use self::check::{CheckKind, ScannerCheck, check};
pub use self::first_start::forecast_journal;

use self::audit::{Audit, AuditContext, Output};
use self::item::{AuditSource, TestItem, TestResult};
use self::table::{CheckRow, FixedAnswer, ScannerBenchmark, TARGETS};
use self::world::ScannerView;
use crate::Role;
use crate::error::Result;
use crate::mode::Owner;
use crate::node::{Root, RootedPath};
use crate::profile::ControlId;
use crate::version::KubernetesMinor;

/// Which scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
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

/// What a scanner prints of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckState {
    /// It is met.
    Pass,
    /// It is not.
    Fail,
    /// It is not, and does not count, or a person has to look.
    Warn,
    /// It was left out.
    Info,
}

impl CheckState {
    /// Every state, in the order in which a scanner counts them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Warn, Self::Info];
}

impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Info => "INFO",
        })
    }
}

/// What a scanner will print of a check, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Its number in the benchmark.
    pub id: ControlId,
    /// What it prints.
    pub state: CheckState,
    /// Whether it can fail.
    pub scored: bool,
    /// What it saw, and which of its defects acts, if one does, as a sentence.
    pub why: String,
}

/// Everything that a scanner will print of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Which scanner.
    pub scanner: Scanner,
    /// The benchmark that it takes, such as `1.9`.
    pub benchmark: String,
    /// What it prints, by number.
    pub predictions: Vec<Prediction>,
}

impl Scan {
    /// Counts the checks of which it prints a state.
    #[must_use]
    pub fn count(&self, state: CheckState) -> usize {
        self.predictions.iter().filter(|prediction| prediction.state == state).count()
    }
}

/// The node that the scanner sees.
#[derive(Debug, Clone, Copy)]
pub struct ScannedNode<'a> {
    /// Its root.
    pub root: &'a Root,
    /// K3s' data directory; the scanners look into `/var/lib/rancher/k3s`, wherever it is.
    pub data_dir: &'a RootedPath,
    /// The role that K3s has on it.
    pub role: Role,
    /// Its Kubernetes minor.
    pub minor: KubernetesMinor,
    /// Who stands for root: 0:0, or the owner of an image that is built without root's rights.
    pub owner: Owner,
    /// What `journalctl -m -u k3s -u k3s-agent` would print, every line of it.
    pub journal: &'a str,
    /// Whether K3s has started; where it has not, the files that it will make are forecast.
    pub started: bool,
    /// Whether the datastore is embedded etcd.
    pub etcd: bool,
}

/// Returns the benchmarks for K3s that a scanner has, oldest first, such as `1.9`.
#[must_use]
pub fn benchmarks(scanner: Scanner) -> Vec<String> {
    table::names(scanner).iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the benchmark that a scanner takes by itself (kube-bench: `k3sBenchmark` in cmd/util.go), or that its chart
/// has for a minor (security-scan: templates/configmap.yaml of compliance-operator, config.yaml for older ones).
#[must_use]
pub fn default_benchmark(scanner: Scanner, minor: KubernetesMinor) -> &'static str {
    /// The last minor of each.
    const KUBE_BENCH: [(&str, &str); 4] =
        [("1.23", "1.23"), ("1.24", "1.24"), ("1.25", "1.7"), ("1.26", "1.8")];
    const SECURITY_SCAN: [(&str, &str); 7] = [
        ("1.23", "1.23"),
        ("1.24", "1.24"),
        ("1.25", "1.7"),
        ("1.26", "1.8"),
        ("1.27", "1.9"),
        ("1.28", "1.10"),
        ("1.31", "1.11"),
    ];
    let (known, newest) = match scanner {
        Scanner::KubeBench => (KUBE_BENCH.as_slice(), "1.9"),
        Scanner::SecurityScan => (SECURITY_SCAN.as_slice(), "1.12"),
    };
    let fitting =
        known.iter().find(|(last, _)| last.parse().is_ok_and(|last: KubernetesMinor| minor <= last));
    fitting.map_or(newest, |(_, benchmark)| benchmark)
}

/// Predicts what a scanner prints of a node, check by check in the order of their numbers: sections 1 to 4 of a server,
/// section 4 of an agent.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for a benchmark that the scanner does not have; where a file is there and cannot be looked at.
pub fn predict(scanner: Scanner, benchmark: &str, seen: &ScannedNode<'_>) -> Result<Vec<Prediction>> {
    let benchmark = ScannerBenchmark::find(scanner, benchmark)?;
    let world = ScannerView::of(seen);
    let targets: &[&str] = match seen.role {
        Role::Server => &TARGETS,
        Role::Agent => &["node"],
    };
    let mut predictions = Vec::new();
    for row in targets.iter().flat_map(|target| table::rows(target)) {
        let ids = row.ids.iter().filter(|(_, some)| some.contains(benchmark));
        for (id, _) in ids {
            let (state, why) = answer(row, benchmark, &world)?;
            predictions.push(Prediction { id: id.parse()?, state, scored: row.is_scored(benchmark), why });
        }
    }
    predictions.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(predictions)
}

/// Runs a check as kube-bench does (`run` and `execute` in check/check.go).
fn answer(
    row: &CheckRow,
    benchmark: ScannerBenchmark,
    world: &ScannerView<'_>,
) -> Result<(CheckState, String)> {
    let scanner = benchmark.scanner;
    match row.answer {
        Some(FixedAnswer::Skip) => {
            return Ok((CheckState::Info, format!("{scanner} leaves it out for K3s.")));
        }
        Some(FixedAnswer::Manual) => {
            return Ok((CheckState::Warn, format!("{scanner} leaves it to a person.")));
        }
        None => {}
    }
    let not_met = if row.is_scored(benchmark) { CheckState::Fail } else { CheckState::Warn };
    let on = AuditContext { world, benchmark, on_disk: row.is_on_disk(benchmark) };
    let run = |audit: &Option<Audit>| audit.as_ref().map(|audit| audit.run(on)).transpose();
    let note = row.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();

    let text = run(&row.ask)?;
    let config = match &text {
        Some(Output { failed: Some(_), .. }) => None,
        _ => run(&row.or_ask)?,
    };
    let printed = text.as_ref().is_some_and(|text| !text.text.is_empty());
    let mut failures = [&text, &config].into_iter().flatten().filter_map(|output| output.failed.as_ref());
    // A configuration that is not there is forgiven where the first look printed anything.
    if let Some(failure) = failures.find(|failure| !(failure.no_file && printed)) {
        let even = if row.any.is_some() { ", even where it may be unset" } else { "" };
        return Ok((
            not_met,
            format!("{}, and a look that finds nothing counts as not met{even}{note}.", failure.reason),
        ));
    }

    let items = row.all.iter().chain(&row.any).flatten();
    let tested: Vec<(&TestItem, TestResult)> =
        items.map(|item| (item, test(item, row, &text, &config))).collect();
    let met = match row.any {
        Some(_) => tested.iter().any(|(_, found)| found.met),
        None => tested.iter().all(|(_, found)| found.met),
    };
    let deciding = tested.iter().find(|(_, found)| found.met == met).or(tested.first());
    let output = |source| match source {
        AuditSource::Text => text.as_ref(),
        AuditSource::Config => config.as_ref(),
    };
    let why = deciding.map(|(item, found)| why(item, found, output(found.source))).unwrap_or_default();
    Ok((if met { CheckState::Pass } else { not_met }, format!("{why}{note}.")))
}

/// Puts a test to what was printed, and to the configuration where the flag is not in there.
fn test(item: &TestItem, row: &CheckRow, text: &Option<Output>, config: &Option<Output>) -> TestResult {
    let printed = text.as_ref().map_or("", |output| output.text.as_str());
    let found = item.of(AuditSource::Text, printed, row.each_line);
    match config {
        Some(config) if found.value.is_none() && !config.text.is_empty() => {
            item.of(AuditSource::Config, &config.text, row.each_line)
        }
        _ => found,
    }
}

/// Says what was seen, and which defect acts.
fn why(item: &TestItem, found: &TestResult, output: Option<&Output>) -> String {
    let name = item.name(found.source);
    let at = output.map_or("nothing", |output| output.at.as_str());
    let logged = at.starts_with("the journal");
    let is_any_file =
        found.source == AuditSource::Config && !item.path.starts_with('.') && found.value.is_some();
    let repeats = |line: &str| line.matches(&format!(" {name}=")).count() > 1;
    let mut why = match &found.value {
        _ if output.is_some_and(|output| output.made_up) => {
            format!("{at}, and the scanner's own {:?} is taken instead", found.text)
        }
        None if logged && found.text.is_empty() => format!("there is no such thing as {at}"),
        None if at.starts_with("the mode") || at.starts_with("the owner") => match found.text.as_str() {
            "" => format!("there is nothing that has {at}"),
            text => format!("{at} is {text}, not {name}"),
        },
        None => format!("{at} has no {name}"),
        Some(_) if is_any_file => format!("{at} can be read"),
        Some(value) if name == "permissions" || value == name => format!("{at} is {value}"),
        Some(value) => format!("{at} has {name} {value}"),
    };
    if let (Some(wanted), Some(_), false) = (item.wanted(), &found.value, found.met) {
        why += &format!(" where it wants {wanted}");
    }
    let defects = [
        (
            found.source == AuditSource::Text && found.value.is_none() && found.met && found.text.is_empty(),
            "what was not looked at passes as not set",
        ),
        (
            logged && found.value.as_ref().is_some_and(|value| value.ends_with('"')),
            "the quote that closes the line counts as part of its last value",
        ),
        (logged && found.text.lines().any(repeats), "of a flag that is there several times the first counts"),
        (item.compares_in_vain() && !found.met && found.value.is_some(), "nothing can pass that comparison"),
        (is_any_file, "it reads no field, so that any file passes"),
    ];
    for (_, defect) in defects.into_iter().filter(|(acts, _)| *acts) {
        why += &format!("; {defect}");
    }
    why
}
