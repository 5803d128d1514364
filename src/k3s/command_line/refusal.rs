// SPDX-License-Identifier: Apache-2.0
//! What K3s's command line refuses: K3s exits.

use crate::error::Place;
use crate::k3s::origin::ValueOrigin;
use crate::k3s::secrets;

/// Something on which K3s ends before it starts: a flag, a value, or a word of its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct K3sRefusal {
    /// What is wrong.
    pub kind: RefusalKind,
    /// The flag, as it is written, without its dashes; empty if it is no flag.
    pub flag: String,
    /// K3s's own message.
    pub message: String,
    /// Where it is written.
    pub origin: ValueOrigin,
    /// Which releases do so, if it is not known whether the one that runs does: then K3s may start.
    pub doubt: Option<String>,
}

/// The kinds of what K3s refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The role of the release has no such flag.
    Unknown,
    /// The value is not of the flag's type.
    Value,
    /// The flag has no value.
    Missing,
    /// A flag is given by two of its names.
    Forms,
    /// A word with dashes is no flag.
    Syntax,
    /// The command is no server and no agent.
    Command,
    /// K3s prints its help or its version, and ends.
    Help,
}

impl K3sRefusal {
    /// Creates a refusal that is certain. A secret in the message is masked.
    pub(super) fn new(kind: RefusalKind, flag: &str, message: String, origin: &ValueOrigin) -> Self {
        Self { kind, flag: flag.to_owned(), message, origin: origin.clone(), doubt: None }
    }

    /// Creates the refusal of a word that is no flag.
    pub(super) fn syntax(word: &str, origin: &ValueOrigin) -> Self {
        let mut shown = [word.to_owned()];
        secrets::mask_command_line(&mut shown);
        Self::new(RefusalKind::Syntax, "", format!("bad flag syntax: {}", shown[0]), origin)
    }

    /// Says which releases refuse it.
    pub(super) fn only_if(mut self, doubt: Option<String>) -> Self {
        self.doubt = self.doubt.or(doubt);
        self
    }

    /// Tells whether K3s ends on it, whichever release of the minor runs.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.doubt.is_none()
    }

    /// Returns the place to report.
    #[must_use]
    pub fn place(&self) -> Place {
        self.origin.place()
    }
}
