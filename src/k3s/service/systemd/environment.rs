// SPDX-License-Identifier: Apache-2.0
//! The environment that systemd gives a service (systemd v252, exec_child and exec_context_load_environment of
//! src/core/execute.c): `Environment=`, then the files of `EnvironmentFile=`, without what `UnsetEnvironment=` names.

use std::collections::BTreeMap;

use super::environment_file;
use super::unit::{ServiceUnit, UnitEnvironmentFile};
use crate::error::{ErrorKind, Result};
use crate::k3s::origin::VariableSource;
use crate::k3s::service::notes::{NotUnderstood, ServiceFault, line_of};
use crate::node::{Root, RootedPath};

/// Variables that systemd sets itself, or takes from its own environment.
const OF_SYSTEMD: [&str; 23] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "USER",
    "LOGNAME",
    "HOME",
    "SHELL",
    "TERM",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "MAINPID",
    "MANAGERPID",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "LISTEN_FDS",
];

/// The environment of a service.
#[derive(Debug, Clone, Default)]
pub(in crate::k3s) struct UnitEnvironment {
    /// Values by name, with what sets each.
    pub(in crate::k3s) values: BTreeMap<String, (String, VariableSource)>,
    /// Variables whose values are not known.
    pub(in crate::k3s) unknown: BTreeMap<String, NotUnderstood>,
    /// Why the service does not start.
    pub(in crate::k3s) faults: Vec<ServiceFault>,
}

impl UnitEnvironment {
    /// Reads the environment of a service.
    ///
    /// # Errors
    /// If a file exists and cannot be read.
    pub(in crate::k3s) fn of(root: &Root, unit: &ServiceUnit) -> Result<Self> {
        let own = unit.environment.iter().cloned();
        let mut environment = Self {
            values: own.map(|(name, value)| (name, (value, VariableSource::Service))).collect(),
            unknown: unit.unknown.clone(),
            faults: Vec::new(),
        };
        for file in &unit.environment_files {
            environment.add_files(root, file)?;
        }
        for unset in &unit.unset {
            match unset.split_once('=') {
                None => {
                    environment.values.remove(unset);
                    environment.unknown.remove(unset);
                }
                Some((name, value)) => environment.values.retain(|own, (of, _)| own != name || of != value),
            }
        }
        Ok(environment)
    }

    fn add_files(&mut self, root: &Root, file: &UnitEnvironmentFile) -> Result<()> {
        let fault = |message: String| {
            let remedy = "write the file, or a dash in front of its path";
            (!file.optional).then(|| ServiceFault::new(file.place.clone(), message, remedy))
        };
        let paths = matching(root, &file.path)?;
        if paths.is_empty() {
            self.faults
                .extend(fault(format!("{} does not exist: systemd does not start the service", file.path)));
        }
        for path in paths {
            let bytes = match root.read(&path) {
                // A directory or a device.
                Err(error) if error.kind() == ErrorKind::BadInput => None,
                other => other?,
            };
            let Some(bytes) = bytes else {
                self.faults
                    .extend(fault(format!("{path} cannot be read: systemd does not start the service")));
                continue;
            };
            let read = environment_file::read(&bytes);
            if let Some((line, why)) = read.broken {
                let place = line_of(&path, line);
                self.faults.extend(fault(format!(
                    "systemd cannot read {place} ({why}), and does not start the service"
                )));
                continue;
            }
            for (name, value) in read.variables {
                self.unknown.remove(&name);
                self.values.insert(name, (value, VariableSource::File(path.to_string())));
            }
            if let Some(line) = read.differs {
                self.differs(&path, line, &bytes);
            }
        }
        Ok(())
    }

    /// The variable behind a comment that ends in a backslash is set by some versions of systemd only.
    fn differs(&mut self, path: &RootedPath, line: usize, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let name = text.lines().nth(line - 1).and_then(|line| line.split_once('='));
        if let Some((name, _)) = name {
            let reason = "the line follows a comment that ends in a backslash: systemd before v254 takes it for a part of the comment";
            self.values.remove(name.trim());
            self.unknown.insert(name.trim().to_owned(), NotUnderstood::new(line_of(path, line), reason));
        }
    }

    /// Tells whether systemd itself may set a variable.
    pub(in crate::k3s) fn is_of_systemd(name: &str) -> bool {
        OF_SYSTEMD.contains(&name) || name.starts_with("LC_")
    }
}

/// Returns the paths that match a pattern, sorted; the path itself if it is none (glob(3)).
fn matching(root: &Root, pattern: &str) -> Result<Vec<RootedPath>> {
    let mut found = vec![RootedPath::fixed("/")];
    for part in pattern.split('/').filter(|part| !matches!(*part, "" | ".")) {
        let mut next = Vec::new();
        for folder in found {
            if part.contains(['*', '?', '[']) {
                let names = root.names(&folder)?.into_iter();
                let names = names.filter(|name| !name.starts_with('.') || part.starts_with('.'));
                let names = names.filter(|name| matches_pattern(part, name));
                next.extend(names.map(|name| folder.join(&name)));
            } else {
                next.push(folder.resolve(part)?);
            }
        }
        found = next;
    }
    found.retain(|path| root.exists(path));
    Ok(found)
}

/// Tells whether a name matches a pattern of glob(7).
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => {
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| matches_pattern(rest, &name[at..]))
        }
        _ => {
            let Some(letter) = name.chars().next() else { return false };
            let behind = &name[letter.len_utf8()..];
            match first {
                '?' => matches_pattern(rest, behind),
                '[' => match class(rest, letter) {
                    Some((fits, rest)) => fits && matches_pattern(rest, behind),
                    None => letter == '[' && matches_pattern(rest, behind),
                },
                _ => letter == first && matches_pattern(rest, behind),
            }
        }
    }
}

/// Reads a class of characters behind its bracket; returns whether `letter` is in it, and the rest of the pattern.
fn class(text: &str, letter: char) -> Option<(bool, &str)> {
    let (negated, text) = match text.strip_prefix(['!', '^']) {
        Some(text) => (true, text),
        None => (false, text),
    };
    // A bracket at the beginning is a member.
    let end = text.char_indices().skip(1).find(|(_, letter)| *letter == ']')?.0;
    let members: Vec<char> = text[..end].chars().collect();
    let mut fits = false;
    let mut at = 0;
    while let Some(&from) = members.get(at) {
        let to = if members.get(at + 1) == Some(&'-') { members.get(at + 2).copied() } else { None };
        fits |= (from..=to.unwrap_or(from)).contains(&letter);
        at += if to.is_some() { 3 } else { 1 };
    }
    Some((fits != negated, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_glob() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a"),
            ("a*c", "abbc"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a]", "b"),
            ("[]]", "]"),
        ] {
            assert!(matches_pattern(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*c", "ab"), ("?", ""), ("[a-c]", "d"), ("[^a]", "a"), ("a", "ab")] {
            assert!(!matches_pattern(pattern, name), "{pattern} {name}");
        }
    }
}
