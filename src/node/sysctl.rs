// SPDX-License-Identifier: Apache-2.0
//! Kernel parameters of the running system. An image has none: it has files under /etc/sysctl.d.

use std::fmt;
use std::str::FromStr;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use sysctl::Sysctl as _;

use super::host;
use super::mount;
use super::path::RootedPath;
use super::root::Root;
use crate::error::{Error, ErrorKind, Result};

const FOLDER: &str = "/proc/sys/";

/// The key of a kernel parameter, with dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SysctlKey(String);

impl SysctlKey {
    /// Returns the file under /proc/sys that holds the value.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{FOLDER}{}", self.0.replace('.', "/"))
    }

    /// Returns the key of a file under /proc/sys.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] if it is none.
    pub fn of_file(path: &str) -> Result<Self> {
        path.strip_prefix(FOLDER).unwrap_or_default().replace('/', ".").parse()
    }
}

impl fmt::Display for SysctlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SysctlKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        if text.split('.').count() > 1 && text.split('.').all(part) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(ErrorKind::BadInput, format!("{text:?} is not a kernel parameter"))
            .hint("write it as kernel.panic"))
    }
}

/// Reads the value of `key` from the running kernel.
///
/// # Errors
/// What the kernel answers, as text: a parameter that cannot be read is a finding, not the end of a run.
pub fn read(key: &SysctlKey) -> std::result::Result<String, String> {
    let ctl = sysctl::Ctl::new(&key.0).map_err(|error| reason(&error))?;
    // The kernel separates numbers by tabs.
    ctl.value_string()
        .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
        .map_err(|error| reason(&error))
}

/// Returns why the kernel shows no parameters here at all; none if it does.
#[must_use]
pub fn hidden() -> Option<&'static str> {
    match (host::exists(FOLDER), mount::is_proc()) {
        (true, _) => None,
        (false, false) => Some("/proc is not mounted"),
        (false, true) => Some("there is no /proc/sys"),
    }
}

/// Sets `key` in the running kernel.
///
/// # Errors
/// What the kernel answers, as text.
pub fn write(key: &SysctlKey, value: &str) -> std::result::Result<(), String> {
    let ctl = sysctl::Ctl::new(&key.0).map_err(|error| reason(&error))?;
    ctl.set_value_string(value).map(drop).map_err(|error| reason(&error))
}

/// Tells whether `key` can be set; in a container /proc/sys is often read-only.
///
/// # Errors
/// Why it cannot.
pub fn check_writable(key: &SysctlKey) -> std::result::Result<(), String> {
    let path = key.file();
    faccessat(AT_FDCWD, path.as_str(), AccessFlags::W_OK, AtFlags::AT_EACCESS)
        .map_err(|errno| errno.desc().to_owned())
}

fn reason(error: &sysctl::SysctlError) -> String {
    match error {
        sysctl::SysctlError::IoError(error) => error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |code| nix::errno::Errno::from_raw(code).desc().to_owned()),
        // What the crate says of every file that it cannot open.
        sysctl::SysctlError::NotFound(key) => {
            let path = format!("/proc/sys/{}", key.replace('.', "/"));
            let errno = faccessat(AT_FDCWD, path.as_str(), AccessFlags::R_OK, AtFlags::AT_EACCESS).err();
            errno.unwrap_or(nix::errno::Errno::ENOENT).desc().to_owned()
        }
        other => other.to_string(),
    }
}

/// Returns what says that the running system is a container, whose kernel parameters belong to its host.
#[must_use]
pub fn container(root: &Root) -> Option<String> {
    for path in ["/run/systemd/container", "/run/.containerenv", "/.dockerenv", "/run/host/container-manager"]
    {
        if root.exists(&RootedPath::fixed(path)) {
            return Some(path.to_owned());
        }
    }
    // Only root may read it; who is not root sets no kernel parameter either.
    let environment = root.read(&RootedPath::fixed("/proc/1/environ")).ok().flatten().unwrap_or_default();
    let found = environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"container="));
    found.then(|| "/proc/1/environ".to_owned())
}
