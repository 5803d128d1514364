//! What does a scanner do about a control? Read off the tables, without a node.

use std::sync::LazyLock;

use serde::Serialize;

use super::Scanner;
use super::table::{self, CheckRow, FixedAnswer, ScannerBenchmark, TARGETS};
use crate::embedded;
use crate::profile::ControlId;

/// What a scanner does about a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// It looks.
    Checks,
    /// It says that the control does not apply to K3s.
    LeavesOut,
    /// It says that a person has to look.
    LeavesToAPerson,
}

/// A control in one benchmark of a scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerCheck {
    /// Whose benchmark.
    pub scanner: Scanner,
    /// The benchmark, such as `1.9`.
    pub benchmark: &'static str,
    /// The control's number in it.
    pub id: ControlId,
    /// What it does.
    pub does: CheckKind,
    /// Whether it fails what is not met; where not, it only warns.
    pub can_fail: bool,
    /// What is wrong with the check, if something is.
    pub note: Option<&'static str>,
}

/// Returns what a scanner does about the control that has the number `id` in its benchmark; none where it has no such
/// benchmark or no such control.
#[must_use]
pub fn check(scanner: Scanner, benchmark: &str, id: &ControlId) -> Option<ScannerCheck> {
    let name = *table::names(scanner).iter().find(|name| **name == benchmark)?;
    let benchmark = ScannerBenchmark::find(scanner, name).ok()?;
    let number = id.to_string();
    let row = |rows: &'static [CheckRow]| {
        rows.iter().find(|row| row.ids.get(&number).is_some_and(|some| some.contains(benchmark)))
    };
    let of = |does, can_fail, note| ScannerCheck {
        scanner,
        benchmark: name,
        id: id.clone(),
        does,
        can_fail,
        note,
    };
    if number.starts_with("5.") {
        let row = row(policies());
        let does = row.map_or(CheckKind::LeavesToAPerson, |_| CheckKind::Checks);
        return Some(of(does, row.is_some_and(|row| row.is_scored(benchmark)), None));
    }
    let row = TARGETS.iter().find_map(|target| row(table::rows(target)))?;
    let does = match row.answer {
        Some(FixedAnswer::Skip) => CheckKind::LeavesOut,
        Some(FixedAnswer::Manual) => CheckKind::LeavesToAPerson,
        None => CheckKind::Checks,
    };
    Some(of(does, does == CheckKind::Checks && row.is_scored(benchmark), row.note.as_deref()))
}

/// The checks that are put to a cluster.
fn policies() -> &'static [CheckRow] {
    static ROWS: LazyLock<Vec<CheckRow>> = LazyLock::new(|| embedded::table("policies"));
    &ROWS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::controls;

    /// How many checks each benchmark has that look, in section 5: counted in the scanners' own files.
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

    #[test]
    fn what_there_is_not_is_not_found() {
        let id = "1.2.1".parse().unwrap();
        assert_eq!(check(Scanner::KubeBench, "1.12", &id), None, "it has no such benchmark for K3s");
        assert_eq!(check(Scanner::SecurityScan, "1.12", &"1.2.99".parse().unwrap()), None);
    }

    #[test]
    fn what_is_wrong_with_a_check_is_told() {
        let found = check(Scanner::KubeBench, "1.9", &"4.2.1".parse().unwrap()).unwrap();
        assert_eq!(found.note, Some("it reads the API server's line, not the kubelet's"));
        assert!(found.can_fail);
    }
}
