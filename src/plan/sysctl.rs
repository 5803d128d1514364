// SPDX-License-Identifier: Apache-2.0
//! A kernel parameter of the running system. Its file under /etc/sysctl.d sets it again at the next boot.

use super::change::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{SysctlKey, sysctl};
use crate::profile::ControlId;

/// The desired value of a kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Its name.
    pub key: SysctlKey,
    /// Its value.
    pub value: String,
    /// The controls that it implements.
    pub controls: Vec<ControlId>,
}

impl Sysctl {
    /// Reads its value.
    ///
    /// # Errors
    /// The reason why it cannot be read, or why it cannot be set if it has to be.
    pub fn observe(&self) -> std::result::Result<String, String> {
        let value = sysctl::read(&self.key)?;
        if value != self.value {
            sysctl::check_writable(&self.key)?;
        }
        Ok(value)
    }

    /// Compares it with the kernel's value.
    #[must_use]
    pub fn diff(&self, current: &str) -> (Change, String) {
        if current == self.value {
            return (Change::None, String::new());
        }
        (Change::Update, format!("-{key} = {current}\n+{key} = {}\n", self.value, key = self.key))
    }

    /// Sets it. If the kernel refuses, that is a warning: the file sets it at the next boot.
    ///
    /// # Errors
    /// [`ErrorKind::ChangedMeanwhile`] if the kernel's value is none of `expected` by now.
    pub fn apply(&self, expected: &[&str]) -> Result<Option<String>> {
        // What cannot be read cannot be set either, and the kernel says why.
        if let Ok(now) = sysctl::read(&self.key)
            && !expected.contains(&now.as_str())
        {
            let message = format!("{} was changed by another program while this run lasted", self.key);
            return Err(Error::new(ErrorKind::ChangedMeanwhile, message)
                .hint("its value is kept; run k3s-harden again when that program has ended"));
        }
        Ok(sysctl::write(&self.key, &self.value).err().map(|reason| self.warning(&reason)))
    }

    /// Returns the warning that it cannot be set.
    #[must_use]
    pub fn warning(&self, reason: &str) -> String {
        format!("the running kernel keeps {}: {reason}; it should be {}", self.key, self.value)
    }
}
