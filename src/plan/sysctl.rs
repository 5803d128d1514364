//! A kernel parameter of the running system. Its file under /etc/sysctl.d sets it again at the next boot.

use super::resource::Change;
use crate::node::{SysctlKey, sysctl};
use crate::profile::ControlId;

/// The desired value of a kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Which.
    pub key: SysctlKey,
    /// Its value.
    pub value: String,
    /// The controls that it serves.
    pub controls: Vec<ControlId>,
}

impl Sysctl {
    /// Reads the value that the kernel has.
    ///
    /// # Errors
    /// Why it cannot be read, or why it cannot be set where it has to be.
    pub fn observe(&self) -> std::result::Result<String, String> {
        let value = sysctl::read(&self.key)?;
        if value != self.value {
            sysctl::check_writable(&self.key)?;
        }
        Ok(value)
    }

    /// Compares it with what the kernel has.
    #[must_use]
    pub fn diff(&self, current: &std::result::Result<String, String>) -> (Change, String) {
        match current {
            Ok(value) if *value == self.value => (Change::None, String::new()),
            Ok(value) => {
                (Change::Update, format!("-{key} = {value}\n+{key} = {}\n", self.value, key = self.key))
            }
            // Nothing that we could do; see `complaint`.
            Err(_) => (Change::None, String::new()),
        }
    }

    /// Sets it. A kernel that refuses is a warning: the file is there for the next boot.
    #[must_use]
    pub fn apply(&self) -> Option<String> {
        sysctl::write(&self.key, &self.value).err().map(|reason| self.complaint(&reason))
    }

    /// Returns what to say where it cannot be set.
    #[must_use]
    pub fn complaint(&self, reason: &str) -> String {
        format!("the running kernel keeps {}: {reason}; it should be {}", self.key, self.value)
    }
}
