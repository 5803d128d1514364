//! The sections of a benchmark, and how many controls have which status.

use std::fmt::{self, Write as _};

use crate::verify::{ControlVerdict, Status, VerifyReport, Waiver};

/// Our own short names of the sections. The general policies were 5.7 until 1.10.
const NAMES: [(&str, &str); 16] = [
    ("1.1", "Control plane files"),
    ("1.2", "API server"),
    ("1.3", "Controller manager"),
    ("1.4", "Scheduler"),
    ("2", "etcd"),
    ("3.1", "Authentication"),
    ("3.2", "Logging"),
    ("4.1", "Worker files"),
    ("4.2", "Kubelet"),
    ("4.3", "kube-proxy"),
    ("5.1", "RBAC and service accounts"),
    ("5.2", "Pod security"),
    ("5.3", "Network policies"),
    ("5.4", "Secrets"),
    ("5.5", "Admission of images"),
    ("5.6", "General policies"),
];

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
            let number = number(verdict);
            match sections.last_mut() {
                Some(section) if section.number == number => section.verdicts.push(verdict),
                _ => sections.push(Self { number, verdicts: vec![verdict] }),
            }
        }
        sections
    }

    /// Returns our own short name.
    pub(super) fn name(&self) -> &'static str {
        let number = if self.number == "5.7" { "5.6" } else { &self.number };
        NAMES.iter().find(|(known, _)| *known == number).map_or("Other controls", |(_, name)| name)
    }
}

/// The number of the section that a control is in: its own without the last part.
fn number(verdict: &ControlVerdict) -> String {
    let id = verdict.id.to_string();
    id.rsplit_once('.').map_or_else(|| id.clone(), |(section, _)| section.to_owned())
}

/// How many controls have which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    by_status: [usize; Status::ALL.len()],
    /// How many of them somebody has accepted.
    pub(super) waived: usize,
}

impl Counts {
    /// Counts verdicts.
    pub(super) fn of<'a>(verdicts: impl IntoIterator<Item = &'a ControlVerdict>) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            counts.by_status[index(verdict.status)] += 1;
            counts.waived += usize::from(verdict.waiver.is_some());
        }
        counts
    }

    /// Returns how many have a status.
    pub(super) fn get(&self, status: Status) -> usize {
        self.by_status[index(status)]
    }

    /// Returns how many there are.
    pub(super) fn total(&self) -> usize {
        self.by_status.iter().sum()
    }

    /// Returns the share of what is met in what can be told to be met or not; none where nothing can.
    pub(super) fn score(&self) -> Option<Score> {
        let pass = self.get(Status::Pass);
        let of = pass + self.get(Status::Fail) + self.get(Status::Warn);
        (of > 0).then(|| Score { permille: pass * 1000 / of })
    }
}

fn index(status: Status) -> usize {
    Status::ALL.iter().position(|known| *known == status).unwrap_or_default()
}

/// A share, rounded down: 100 % is for those who have it all.
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

/// Returns who has accepted it, until when, where, and why.
pub(super) fn accepted(waiver: &Waiver) -> String {
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
    fn all_is_all_only_where_it_is() {
        let score =
            |pass: usize, fail: usize| Counts { by_status: [pass, fail, 0, 9, 9, 9], waived: 0 }.score();
        assert_eq!(score(0, 0), None);
        assert_eq!(score(5, 0).unwrap().to_string(), "100 %");
        assert_eq!(score(9999, 1).unwrap().to_string(), "99.9 %");
        assert_eq!(score(0, 3).unwrap().to_string(), "0 %");
    }
}
