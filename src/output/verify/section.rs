// SPDX-License-Identifier: Apache-2.0
//! The sections of a benchmark.

use std::fmt::Write as _;

use crate::verify::{ControlVerdict, VerifyReport, Waiver, section_name};

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
