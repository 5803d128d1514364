// SPDX-License-Identifier: Apache-2.0
//! The expressions of an admission policy, with what each may look at.

use super::cel::CelVerdict;

/// The expressions of a policy: each variable is known to what is compiled behind it.
#[derive(Debug, Default)]
pub(super) struct AdmissionExpressions {}

impl AdmissionExpressions {
    /// Judges the expression of a match condition.
    pub(super) fn condition(&self, _text: &str) -> CelVerdict {
        CelVerdict::Unknown
    }

    /// Judges the expression of a variable, which is known from then on.
    pub(super) fn variable(&mut self, _name: &str, _text: &str) -> CelVerdict {
        CelVerdict::Unknown
    }

    /// Judges the expression of a validation.
    pub(super) fn validation(&self, _text: &str) -> CelVerdict {
        CelVerdict::Unknown
    }

    /// Judges an expression that makes a message.
    pub(super) fn message(&self, _text: &str) -> CelVerdict {
        CelVerdict::Unknown
    }

    /// Judges an expression that makes an annotation of the audit log.
    pub(super) fn audit(&self, _text: &str) -> CelVerdict {
        CelVerdict::Unknown
    }
}
