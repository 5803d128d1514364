// SPDX-License-Identifier: Apache-2.0
//! The sections of a benchmark, and the counts of statuses.

use std::fmt::{self, Write as _};

use crate::verify::{ControlVerdict, Status, VerifyReport, Waiver, section_name};

/// The controls of a section, such as 1.2.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Its number.
    pub(super) number: String,
    /// Its controls, by number.
    pub(super) verdicts: Vec<&'a ControlVerdict>,
}

impl<'a> Section<'a> {
    /// Returns the sections of a report, in its order.
    pub(super) fn all(report: &'a VerifyReport) -> Vec<Self> {
        let mut sections: Vec<Self> = Vec::new();
        for verdict in &report.verdicts {
            let number = section_number(verdict);
            match sections.last_mut() {
                Some(section) if section.number == number => section.verdicts.push(verdict),
                _ => sections.push(Self { number, verdicts: vec![verdict] }),
            }
        }
        sections
    }

    /// Returns the short name.
    pub(super) fn name(&self) -> &'static str {
        section_name(&self.number)
    }
}

/// Returns the number of a control's section: the number of the control without its last part.
pub(super) fn section_number(verdict: &ControlVerdict) -> String {
    verdict.id.section()
}

/// The number of controls with each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    by_status: [usize; Status::ALL.len()],
    /// The number of waived controls.
    pub(super) waived: usize,
}

impl Counts {
    /// Counts verdicts.
    pub(super) fn count<'a>(verdicts: impl IntoIterator<Item = &'a ControlVerdict>) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            counts.by_status[index(verdict.status)] += 1;
            counts.waived += usize::from(verdict.waiver.is_some());
        }
        counts
    }

    /// Returns the number of controls with a status.
    pub(super) fn get(&self, status: Status) -> usize {
        self.by_status[index(status)]
    }

    /// Returns the number of controls.
    pub(super) fn total(&self) -> usize {
        self.by_status.iter().sum()
    }

    /// Returns the share of controls with pass among those with pass, fail or warn; none if there are none.
    pub(super) fn score(&self) -> Option<Score> {
        let pass = self.get(Status::Pass);
        let counted = pass + self.get(Status::Fail) + self.get(Status::Warn);
        (counted > 0).then(|| Score { permille: pass * 1000 / counted })
    }
}

fn index(status: Status) -> usize {
    Status::ALL.iter().position(|known| *known == status).unwrap_or_default()
}

/// A share, rounded down, so that 100 % means that every control passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) permille: usize,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.permille / 10, self.permille % 10) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, tenth) => write!(f, "{whole}.{tenth} %"),
        }
    }
}

/// Describes a waiver: who accepted it, until when, the ticket and the reason.
pub(super) fn waiver_words(waiver: &Waiver) -> String {
    let mut text = format!("accepted by {}", waiver.who);
    if let Some(until) = &waiver.until {
        let _infallible = write!(text, " until {until}");
    }
    if let Some(ticket) = &waiver.ticket {
        let _infallible = write!(text, " ({ticket})");
    }
    let _infallible = write!(text, ": {}", waiver.reason);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_score_is_100_percent() {
        let score =
            |pass: usize, fail: usize| Counts { by_status: [pass, fail, 0, 9, 9, 9], waived: 0 }.score();
        assert_eq!(score(0, 0), None);
        assert_eq!(score(5, 0).unwrap().to_string(), "100 %");
        assert_eq!(score(9999, 1).unwrap().to_string(), "99.9 %");
        assert_eq!(score(0, 3).unwrap().to_string(), "0 %");
    }
}
