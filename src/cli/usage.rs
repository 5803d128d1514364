// SPDX-License-Identifier: Apache-2.0
//! Errors of the command line.

use crate::error::{Error, ErrorKind};

/// Returns a usage error.
pub(super) fn usage_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// Returns the error of a verb that is asked for a report.
pub(super) fn no_report() -> Error {
    usage_error("only verify and report merge write reports").hint("use --format text or --format json")
}
