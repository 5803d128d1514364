// SPDX-License-Identifier: Apache-2.0
//! Findings, and the verdict that follows from all of them.

use serde::Serialize;

use crate::error::{Error, Place};

/// Something on which K3s fails, or that has another effect than it seems to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A stable identifier, such as `audit-level`.
    pub code: &'static str,
    /// Its class.
    pub class: Class,
    /// When it takes effect.
    pub when: When,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// K3s's own message, if it is known.
    pub says: Option<String>,
    /// The remedy.
    pub remedy: String,
    /// Whether it is so in a minor that is newer than this version knows, whatever its code says.
    pub holds_later: bool,
}

/// What a finding means for K3s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// K3s does not start.
    Stops,
    /// K3s starts silently, and the value has no effect.
    HardensNothing,
    /// K3s starts, but behaves in another way than the value suggests.
    Warns,
    /// Whether K3s starts depends on it, and it could not be read or is not judged: the verdict is neither yes nor no.
    Unknown,
    /// The value was not checked, for the reason in the message. The verdict is about the rest.
    NotJudged,
}

/// When a finding takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At the next start of K3s.
    Now,
    /// Only after a reboot.
    AfterReboot,
}

/// The verdict that follows from all findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartVerdict {
    /// Every finding, in order.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// Creates a finding on which K3s does not start.
    #[must_use]
    pub fn stops(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Stops, code, message, remedy)
    }

    /// Creates a finding for a value that K3s accepts silently and that has no effect.
    #[must_use]
    pub fn hardens_nothing(
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Class::HardensNothing, code, message, remedy)
    }

    /// Creates a warning.
    #[must_use]
    pub fn warns(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Warns, code, message, remedy)
    }

    /// Creates a finding for something that decides whether K3s starts, and that is not known.
    #[must_use]
    pub fn unknown(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Unknown, code, message, remedy)
    }

    /// Creates a finding for something that was not checked, and without which the verdict stands.
    #[must_use]
    pub fn not_judged(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::NotJudged, code, message, remedy)
    }

    fn new(class: Class, code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (message, remedy) = (message.into(), remedy.into());
        Self { code, class, when: When::Now, message, place: None, says: None, remedy, holds_later: false }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds K3s's own message.
    #[must_use]
    pub fn says(mut self, text: impl Into<String>) -> Self {
        self.says = Some(text.into());
        self
    }

    /// Marks it as something that a minor that is newer than this version knows does, too.
    #[must_use]
    pub fn in_newer_minors_too(mut self) -> Self {
        self.holds_later = true;
        self
    }

    /// Marks it as taking effect only once another node joins: until then K3s runs.
    #[must_use]
    pub fn once_a_node_joins(mut self) -> Self {
        if self.class == Class::Stops {
            self.class = Class::Warns;
            self.message += ": K3s starts, and exits when the first node joins";
        }
        self
    }

    /// Marks it as taking effect only after a reboot.
    #[must_use]
    pub fn after_reboot(mut self) -> Self {
        self.when = When::AfterReboot;
        self
    }
}

impl StartVerdict {
    /// Returns the verdict on a node that cannot be read.
    #[must_use]
    pub fn unreadable(error: &Error) -> Self {
        let mut verdict = Self::default();
        verdict.add_unreadable(error);
        verdict
    }

    /// Tells whether K3s starts, now and after a reboot; none if that is unknown.
    #[must_use]
    pub fn starts(&self) -> Option<bool> {
        if self.stopping().next().is_some() {
            return Some(false);
        }
        self.of_class(Class::Unknown).next().is_none().then_some(true)
    }

    /// Returns the findings on which K3s does not start.
    pub fn stopping(&self) -> impl Iterator<Item = &Finding> {
        self.of_class(Class::Stops)
    }

    /// Returns the findings of a class.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.class == class)
    }

    pub(super) fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// Adds something that could not be read.
    pub(super) fn add_unreadable(&mut self, error: &Error) {
        let finding =
            Finding::unknown("unknown", error.message(), "make it readable, and run preflight again");
        self.add(vec![match error.place() {
            Some(place) => finding.at(place.clone()),
            None => finding,
        }]);
    }
}
