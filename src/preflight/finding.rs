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
    /// K3s' own message, if it is known.
    pub says: Option<String>,
    /// The remedy.
    pub remedy: String,
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
    /// The value was not checked, for the reason in the message.
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
    /// What could not be read, so that the verdict cannot be "starts".
    pub unknown: Vec<String>,
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

    /// Creates a finding for something that was not checked.
    #[must_use]
    pub fn not_judged(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::NotJudged, code, message, remedy)
    }

    fn new(class: Class, code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (message, remedy) = (message.into(), remedy.into());
        Self { code, class, when: When::Now, message, place: None, says: None, remedy }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds K3s' own message.
    #[must_use]
    pub fn says(mut self, text: impl Into<String>) -> Self {
        self.says = Some(text.into());
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
    /// Tells whether K3s starts, now and after a reboot; none if that is unknown.
    #[must_use]
    pub fn starts(&self) -> Option<bool> {
        if self.findings.iter().any(|finding| finding.class == Class::Stops) {
            return Some(false);
        }
        self.unknown.is_empty().then_some(true)
    }

    /// Returns the findings on which K3s does not start.
    pub fn stopping(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.class == Class::Stops)
    }

    pub(super) fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    pub(super) fn unknown(&mut self, error: &Error) {
        let text = error.to_string();
        if !self.unknown.contains(&text) {
            self.unknown.push(text);
        }
    }
}
