// SPDX-License-Identifier: Apache-2.0
//! Errors of the command line.

use crate::error::{Error, ErrorKind};

/// Returns a usage error.
pub(super) fn usage_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}
