// SPDX-License-Identifier: Apache-2.0
//! How many controls have which status, and the score that follows.

use std::fmt;

use super::report::{ControlVerdict, Status};

/// The number of controls with each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts {
    by_status: [usize; Status::ALL.len()],
    /// The number of waived controls.
    pub waived: usize,
}

impl StatusCounts {
    /// Counts verdicts.
    #[must_use]
    pub fn count<'a>(verdicts: impl IntoIterator<Item = &'a ControlVerdict>) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            counts.add(verdict.status, verdict.waiver.is_some());
        }
        counts
    }

    /// Counts one verdict more.
    pub fn add(&mut self, status: Status, waived: bool) {
        self.by_status[index(status)] += 1;
        self.waived += usize::from(waived);
    }

    /// Counts the same verdicts once more for each of `times` nodes.
    pub fn add_all(&mut self, other: &Self, times: usize) {
        for (sum, count) in self.by_status.iter_mut().zip(other.by_status) {
            *sum += count * times;
        }
        self.waived += other.waived * times;
    }

    /// Returns the number of controls with a status.
    #[must_use]
    pub fn get(&self, status: Status) -> usize {
        self.by_status[index(status)]
    }

    /// Returns the number of controls.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_status.iter().sum()
    }

    /// Returns the share of controls with pass among those with pass, fail or warn; none if there are none.
    #[must_use]
    pub fn score(&self) -> Option<Score> {
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
pub struct Score {
    permille: usize,
}

impl Score {
    /// Tells whether it is 100 %.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.permille == 1000
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.permille / 10, self.permille % 10) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, tenth) => write!(f, "{whole}.{tenth} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_score_is_100_percent() {
        let score = |pass: usize, fail: usize| {
            StatusCounts { by_status: [pass, fail, 0, 9, 9, 9], waived: 0 }.score()
        };
        assert_eq!(score(0, 0), None);
        assert_eq!(score(5, 0).unwrap().to_string(), "100 %");
        assert_eq!(score(9999, 1).unwrap().to_string(), "99.9 %");
        assert_eq!(score(0, 3).unwrap().to_string(), "0 %");
    }
}
