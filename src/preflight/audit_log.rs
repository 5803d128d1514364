// SPDX-License-Identifier: Apache-2.0
//! The file of `audit-log-path`: whether the API server can make it.
//!
//! Source: ensureLogFile in pkg/server/options/audit.go of k8s.io/apiserver: `os.MkdirAll(filepath.Dir(path), 0700)` from some
//! releases on, then `os.OpenFile(path, O_CREATE|O_APPEND|O_RDWR, 0600)`.

use super::Finding;
use super::apiserver::ApiServer;
use super::made_folder::{FolderObstacle, NO_DIRECTORY, NO_ENTRY};
use crate::error::Result;
use crate::k3s::data_directory;
use crate::kubernetes::audit_log;
use crate::node::{PathKind, RootedPath};
use crate::version::Availability;

/// Longest name of a file or folder, in bytes: the kernel's NAME_MAX.
const MAX_NAME: usize = 255;

const LOOP: &str = "too many levels of symbolic links";

/// Why the API server cannot make the log.
struct LogObstacle {
    message: String,
    /// The call that fails, and Go's reason.
    says: String,
    remedy: String,
    /// It is a folder that is missing.
    missing: bool,
}

impl LogObstacle {
    fn new(message: String, says: String, remedy: &str) -> Self {
        Self { message, says, remedy: remedy.to_owned(), missing: false }
    }

    fn finding(&self) -> Finding {
        let code = if self.missing { "audit-log-directory" } else { "audit-log-path" };
        Finding::stops(code, self.message.clone(), self.remedy.clone())
            .says(format!("ensureLogFile: {}", self.says))
    }
}

/// Judges the value of `audit-log-path`, which is neither empty nor `-`.
///
/// # Errors
/// If something on the way cannot be looked at.
pub(super) fn check(server: &ApiServer<'_>, text: &str) -> Result<Option<Finding>> {
    let log = AuditLogFile::new(server, text)?;
    if let Some(finding) = log.own_output() {
        return Ok(Some(server.at("audit-log-path", finding)));
    }
    let finding = match audit_log::makes_folder(server.node.release) {
        Availability::Present => log.obstacle(true)?.map(|found| found.finding()),
        Availability::Absent => log.obstacle(false)?.map(|found| found.finding()),
        Availability::Differs { since } => match (log.obstacle(false)?, log.obstacle(true)?) {
            (Some(_), Some(found)) => Some(found.finding()),
            (None, None) => None,
            (Some(found), None) | (None, Some(found)) => {
                let which = match found.missing {
                    true => format!("before {since} the API server does not create it, and stops"),
                    false => format!("either the releases before {since} stop, or those since {since}"),
                };
                let minor = server.node.minor();
                let message =
                    format!("{}: {which}; the installed release of {minor} is unknown", found.message);
                let remedy = format!("{}, or name the release in full (--k3s-version)", found.remedy);
                Some(Finding::unknown("audit-log-directory", message, remedy))
            }
        },
    };
    Ok(finding.map(|finding| server.at("audit-log-path", finding)))
}

/// The log that a text names.
struct AuditLogFile<'a> {
    server: &'a ApiServer<'a>,
    text: &'a str,
    /// The text from the root on, cleaned as Go cleans it.
    path: RootedPath,
    /// Where a relative text starts: the folder in which K3s runs, without symlinks.
    base: RootedPath,
}

impl<'a> AuditLogFile<'a> {
    fn new(server: &'a ApiServer<'a>, text: &'a str) -> Result<Self> {
        let base = match text.starts_with('/') {
            true => RootedPath::fixed("/"),
            false => server.node.root.real_path(&server.node.path(".")?)?,
        };
        Ok(Self { server, text, path: base.resolve(text)?, base })
    }

    /// Returns the finding for K3s's own output where systemd starts K3s: to its journal goes a socket, which nobody opens.
    fn own_output(&self) -> Option<Finding> {
        let path = self.path.as_str();
        let is_output =
            ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/proc/self/fd/2", "/dev/fd/1", "/dev/fd/2"];
        let service = self.server.node.service.path.as_ref()?;
        (is_output.contains(&path) && service.as_str().ends_with(".service")).then(|| {
            let message = format!(
                "the audit log would be {path}: if systemd sends the output of K3s to its journal, this path is a socket, which cannot be opened, and K3s does not start"
            );
            Finding::unknown("audit-log-path", message, "write audit-log-path=-, which needs no file")
                .says(format!("ensureLogFile: {}", self.failed("no such device or address")))
        })
    }

    /// Returns what is in the way of a release that makes the log's folder, or of one that does not.
    fn obstacle(&self, makes_folder: bool) -> Result<Option<LogObstacle>> {
        if self.text.split('/').any(|part| part.len() > MAX_NAME) {
            let says = format!("open {}: file name too long", self.text);
            let message = format!("the audit log {:?} has a name of more than {MAX_NAME} bytes", self.text);
            return Ok(Some(LogObstacle::new(message, says, "name a shorter path")));
        }
        if is_of_kernel(&self.path) {
            return Ok(Some(self.of_kernel(&self.path)));
        }
        // A descriptor of a process: what it is in K3s's process is not known here.
        if self.path.is_within(&RootedPath::fixed("/proc")) {
            return Ok(None);
        }
        let folder = match self.text.rsplit_once('/') {
            Some((folder, _)) => self.base.resolve(if folder.is_empty() { "/" } else { folder })?,
            None => self.base.clone(),
        };
        if !makes_folder {
            return self.open(None);
        }
        match self.make(&folder)? {
            Some(found) => Ok(Some(found)),
            None => self.open(Some(&self.server.node.root.real_path(&folder)?)),
        }
    }

    fn of_kernel(&self, path: &RootedPath) -> LogObstacle {
        let message = format!("the audit log {path} cannot be created there");
        LogObstacle::new(message, format!("open {}: {NO_ENTRY}", self.text), "name a path on a disk")
    }

    /// Makes the folder.
    fn make(&self, folder: &RootedPath) -> Result<Option<LogObstacle>> {
        let Some(FolderObstacle { part, reason }) = FolderObstacle::find(self.server.node.root, folder)?
        else {
            return Ok(None);
        };
        Ok(Some(match reason {
            NO_ENTRY => LogObstacle::new(
                format!("the audit log would be {}, but no file can be created in {part}", self.path),
                format!("mkdir {}: {reason}", self.shown(folder)),
                "name a path in a file system of a disk",
            ),
            _ => self.no_directory(&part, format!("mkdir {}: {reason}", self.shown(&part))),
        }))
    }

    fn no_directory(&self, path: &RootedPath, says: String) -> LogObstacle {
        let message = format!("the audit log would be below {path}, which is no directory");
        LogObstacle::new(message, says, "name another path, or remove what is there")
    }

    /// Opens the log as the kernel does, part by part. `made` is the folder that was made for it.
    fn open(&self, made: Option<&RootedPath>) -> Result<Option<LogObstacle>> {
        let root = self.server.node.root;
        let is_made = |path: &RootedPath| made.is_some_and(|made| made.is_within(path));
        let mut at = self.base.clone();
        let mut parts = self.text.split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            if [".", ".."].contains(&part) {
                at = at.parent().filter(|_| part == "..").unwrap_or(at);
                continue;
            }
            // The kernel makes no folder, and does not look for one here.
            if is_last && self.text.ends_with('/') {
                return Ok(Some(self.is_directory()));
            }
            let next = at.join(part);
            // Where symlinks lead, whether something is there or not.
            at = root.real_path(&next)?;
            if is_of_kernel(&at) {
                return Ok(Some(self.of_kernel(&at)));
            }
            // A descriptor of a process, such as /dev/stdout: what it is in K3s's process is not known here.
            if is_last && at.is_within(&RootedPath::fixed("/proc")) {
                return Ok(None);
            }
            match root.kind(&next)? {
                PathKind::Directory => {}
                PathKind::File | PathKind::Other if is_last => return Ok(None),
                PathKind::Loop => return Ok(Some(self.no_directory(&next, self.failed(LOOP)))),
                PathKind::File | PathKind::Other | PathKind::BelowFile => {
                    return Ok(Some(self.no_directory(&next, self.failed(NO_DIRECTORY))));
                }
                PathKind::Absent if is_made(&at) || self.comes_before(&at)? => {}
                PathKind::Absent => {
                    // The kernel makes the file, where a symlink leads too, and no folder.
                    let folder = if is_last { at.parent().unwrap_or_else(|| at.clone()) } else { at.clone() };
                    let is_there = is_last
                        && (root.kind(&folder)? == PathKind::Directory
                            || is_made(&folder)
                            || self.comes_before(&folder)?);
                    return Ok(if is_there { None } else { Some(self.missing(&folder)) });
                }
            }
        }
        Ok(Some(self.is_directory()))
    }

    fn failed(&self, reason: &str) -> String {
        format!("open {}: {reason}", self.text)
    }

    fn is_directory(&self) -> LogObstacle {
        let message = format!("the audit log {} is a directory", self.path);
        LogObstacle::new(message, self.failed("is a directory"), "name a file in it")
    }

    fn missing(&self, folder: &RootedPath) -> LogObstacle {
        // Without symlinks on the way, all that is missing can be made at once.
        let whole = self.path.parent().filter(|whole| whole.is_within(folder));
        let folder = whole.unwrap_or_else(|| folder.clone());
        let message = format!("the audit log {} would be in {folder}, which does not exist", self.path);
        let remedy = format!("make the folder: `mkdir -p -m 700 {folder}`");
        LogObstacle { message, says: self.failed(NO_ENTRY), remedy, missing: true }
    }

    /// Tells whether K3s makes a folder before the API server looks for it.
    fn comes_before(&self, folder: &RootedPath) -> Result<bool> {
        let node = self.server.node;
        let Ok(config) = &node.effective else { return Ok(false) };
        data_directory::makes_before_apiserver(node, config, folder)
    }

    /// Returns a path as Go writes it: from the working directory on, if the text is relative.
    fn shown<'p>(&self, path: &'p RootedPath) -> &'p str {
        let below = path.as_str().strip_prefix(self.base.as_str()).map(|rest| rest.trim_start_matches('/'));
        match below {
            Some(rest) if !self.text.starts_with('/') && !rest.is_empty() => rest,
            _ => path.as_str(),
        }
    }
}

/// Tells whether a path is in a file system that the kernel fills, where no file can be made. A descriptor of a process is
/// there already, and can be written.
fn is_of_kernel(path: &RootedPath) -> bool {
    let parts: Vec<&str> = path.as_str().split('/').skip(1).collect();
    match parts.as_slice() {
        ["proc", process, "fd", _] => {
            !["self", "thread-self"].contains(process) && process.parse::<u32>().is_err()
        }
        [first, _, ..] => ["proc", "sys"].contains(first),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_file_systems_hold_no_log() {
        let of_kernel = |path: &str| is_of_kernel(&path.parse().unwrap());
        for path in
            ["/proc/none/audit.log", "/proc/audit.log", "/sys/kernel/x", "/proc/x/fd/1", "/proc/self/fd/1/x"]
        {
            assert!(of_kernel(path), "{path}");
        }
        for path in ["/proc/1/fd/1", "/proc/self/fd/2", "/process/x", "/var/proc/x", "/system/a", "/srv"] {
            assert!(!of_kernel(path), "{path}");
        }
    }
}
