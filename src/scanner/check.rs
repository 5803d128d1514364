// SPDX-License-Identifier: Apache-2.0
//! How a scanner treats a control. The answer comes from the tables and needs no node.

use std::sync::LazyLock;

use serde::Serialize;

use super::benchmark::{Scanner, ScannerBenchmark, benchmarks};
use super::check_row::{self, CheckRow, CheckType, TARGETS};
use crate::embedded;
use crate::profile::ControlId;

/// How a scanner treats a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// It checks the control.
    Checks,
    /// It skips the control as not applicable to K3s.
    LeavesOut,
    /// It leaves the control to a person.
    LeavesToAPerson,
}

/// A control in one benchmark of a scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerCheck {
    /// The scanner.
    pub scanner: Scanner,
    /// The benchmark, such as `1.9`.
    pub benchmark: &'static str,
    /// The control's number in it.
    pub id: ControlId,
    /// How the scanner treats the control.
    pub does: CheckKind,
    /// Whether the check can fail; if not, it only warns.
    pub can_fail: bool,
    /// The defect of the check, if it has one.
    pub note: Option<&'static str>,
}

/// Returns how a scanner treats the control with the number `id` in its benchmark; none if it has no such benchmark or no
/// such control.
#[must_use]
pub fn check(scanner: Scanner, benchmark: &str, id: &ControlId) -> Option<ScannerCheck> {
    let name = benchmarks(scanner).into_iter().find(|name| *name == benchmark)?;
    let benchmark = ScannerBenchmark::find(scanner, name).ok()?;
    let number = id.to_string();
    let row = |rows: &'static [CheckRow]| {
        rows.iter().find(|row| row.ids.get(&number).is_some_and(|some| some.contains(benchmark)))
    };
    let treated = |does, can_fail, note| ScannerCheck {
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
        return Some(treated(does, row.is_some_and(|row| row.is_scored(benchmark)), None));
    }
    let row = TARGETS.iter().find_map(|target| row(check_row::rows(target)))?;
    let does = match row.check_type {
        Some(CheckType::Skip) => CheckKind::LeavesOut,
        Some(CheckType::Manual) => CheckKind::LeavesToAPerson,
        None => CheckKind::Checks,
    };
    Some(treated(does, does == CheckKind::Checks && row.is_scored(benchmark), row.note.as_deref()))
}

/// Returns the checks that query a cluster.
fn policies() -> &'static [CheckRow] {
    static ROWS: LazyLock<Vec<CheckRow>> = LazyLock::new(|| embedded::table("policies"));
    &ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_benchmark_or_control_is_not_found() {
        let id = "1.2.1".parse().unwrap();
        assert_eq!(check(Scanner::KubeBench, "1.12", &id), None, "it has no such benchmark for K3s");
        assert_eq!(check(Scanner::SecurityScan, "1.12", &"1.2.99".parse().unwrap()), None);
    }

    #[test]
    fn a_check_has_the_note_about_its_defect() {
        let found = check(Scanner::KubeBench, "1.9", &"4.2.1".parse().unwrap()).unwrap();
        assert_eq!(found.note, Some("it reads the API server's line, not the kubelet's"));
        assert!(found.can_fail);
    }
}
