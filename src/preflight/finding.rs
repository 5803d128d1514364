//! What a judge has found, and what all of them together mean.

use serde::Serialize;

use crate::error::{Error, Place};

/// Something that K3s will stumble over, or that does not do what it looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A word that stays the same from version to version, such as `audit-level`.
    pub code: &'static str,
    /// What it means for K3s.
    pub class: Class,
    /// When it hits.
    pub when: When,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What K3s says to it, where that is known.
    pub says: Option<String>,
    /// What to do about it.
    pub remedy: String,
}

/// What a finding means for K3s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It does not start.
    Stops,
    /// It starts without a word, and what is written there has no effect.
    HardensNothing,
    /// It starts and runs, but not as one would think.
    Warns,
    /// It was not judged, and why.
    NotJudged,
}

/// When a finding hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The next time that K3s starts.
    Now,
    /// Only after the machine was started again.
    AfterReboot,
}

/// What all findings together mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartVerdict {
    /// Every finding, in the order in which they were made.
    pub findings: Vec<Finding>,
    /// What could not be read, and would be needed for a yes.
    pub unknown: Vec<String>,
}

impl Finding {
    /// Something on which K3s does not start.
    #[must_use]
    pub fn stops(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Stops, code, message, remedy)
    }

    /// Something that K3s takes without a word and that has no effect.
    #[must_use]
    pub fn hardens_nothing(
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Class::HardensNothing, code, message, remedy)
    }

    /// Something that one should know.
    #[must_use]
    pub fn warns(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Warns, code, message, remedy)
    }

    /// Something that was not judged.
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

    /// Adds what K3s says.
    #[must_use]
    pub fn says(mut self, text: impl Into<String>) -> Self {
        self.says = Some(text.into());
        self
    }

    /// Says that it hits only after a reboot.
    #[must_use]
    pub fn after_reboot(mut self) -> Self {
        self.when = When::AfterReboot;
        self
    }
}

impl StartVerdict {
    /// Tells whether K3s starts, now and after a reboot; none where that cannot be told.
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
