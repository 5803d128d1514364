// SPDX-License-Identifier: Apache-2.0
//! Services as systemd reads them: unit files and their drop-ins, environment files, and the command line that results.
//!
//! The rules are those of systemd v252; where a later version differs, the file says so. This folder knows nothing of K3s'
//! configuration: [`service`](super::node_service) says which unit starts K3s.

mod command;
pub(super) mod environment;
mod environment_file;
mod exec_start;
pub(super) mod folders;
mod lines;
pub(super) mod specifiers;
pub(super) mod unit;
mod words;

use self::command::UnitCommand;
use self::environment::UnitEnvironment;
use self::folders::{UnitFile, UnitFolders};
use self::specifiers::{MachineFacts, UnitName};
use self::unit::ServiceUnit;
use super::notes::NotUnderstood;
use crate::error::{ErrorKind, Result};
use crate::node::{Root, RootedPath};

/// A unit that systemd finds.
#[derive(Debug, Clone)]
pub(super) enum FoundUnit {
    /// A service.
    Service(Box<ServiceUnit>),
    /// A masked one.
    Masked(UnitName, RootedPath),
}

/// Reads the unit `name` with its drop-ins; none if there is none.
///
/// # Errors
/// If a file of it cannot be read.
pub(super) fn load(root: &Root, folders: &UnitFolders<'_>, name: &UnitName) -> Result<Option<FoundUnit>> {
    let (name, file) = folders.find(name)?;
    let (path, bytes) = match file {
        UnitFile::Loaded(path, bytes) => (path, bytes),
        UnitFile::Masked(path) => return Ok(Some(FoundUnit::Masked(name, path))),
        UnitFile::Alias(_) | UnitFile::Missing => return Ok(None),
    };
    let mut names = vec![name.clone()];
    names.extend(folders.aliases(&name)?);
    let mut drop_ins = Vec::new();
    for path in folders.drop_ins(&names)? {
        let bytes = match root.read(&path) {
            // A link to /dev/null takes the drop-in of this name away.
            Err(error) if error.kind() == ErrorKind::BadInput => None,
            other => other?,
        };
        drop_ins.push((path, bytes.unwrap_or_default()));
    }
    // Read only where a specifier may need them.
    let fact = |specifiers: &[&[u8]], path: &str| -> Result<Option<String>> {
        let has = |bytes: &[u8]| bytes.windows(2).any(|two| specifiers.contains(&two));
        if !has(&bytes) && !drop_ins.iter().any(|(_, bytes)| has(bytes)) {
            return Ok(None);
        }
        let bytes = root.read(&RootedPath::fixed(path))?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(text.filter(|text| !text.is_empty() && !text.starts_with('#')))
    };
    let machine = MachineFacts {
        hostname: fact(&[b"%H", b"%l"], "/etc/hostname")?,
        machine_id: fact(&[b"%m"], "/etc/machine-id")?,
    };
    let mut unit = ServiceUnit::read(name, &path, &lines::read(&bytes), machine);
    for (path, bytes) in &drop_ins {
        unit.add_drop_in(&lines::read(bytes), path);
    }
    unit.verify();
    Ok(Some(FoundUnit::Service(Box::new(unit))))
}

/// Returns the words of a command once its variables are expanded, and what of them is not known.
pub(super) fn words_of(
    command: &UnitCommand,
    environment: &UnitEnvironment,
) -> (Vec<String>, Vec<NotUnderstood>) {
    if !command.expands {
        return (command.words.clone(), Vec::new());
    }
    let mut not_understood: Vec<NotUnderstood> = Vec::new();
    let words = words::expand(&command.words, &mut |name| {
        if let Some((value, _)) = environment.values.get(name) {
            return Some(value.clone());
        }
        let why = environment.unknown.get(name).cloned().or_else(|| {
            let reason = format!("systemd itself sets {name}");
            UnitEnvironment::is_of_systemd(name).then(|| NotUnderstood::new(command.place.clone(), reason))
        });
        not_understood.extend(why.filter(|why| !not_understood.contains(why)));
        None
    });
    (words, not_understood)
}
