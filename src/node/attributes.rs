// SPDX-License-Identifier: Apache-2.0
//! Extended attributes: SELinux labels, access control lists, and other metadata of a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::sys::statvfs::{Statvfs, fstatvfs};
use xattr::FileExt as _;

use super::errno::{errno_of, is_of_the_call};

/// The extended attributes of a file or directory, by name.
pub type Attributes = BTreeMap<String, Vec<u8>>;

/// The labels of security modules, which a file keeps when its content is replaced. The rest of its attributes
/// belong to the old content (`security.ima`, `security.capability`), or would widen its mode (lists of access).
const LABELS: [&str; 2] = ["security.selinux", "security.SMACK64"];

/// Attributes that the kernel computes, and that cannot be restored.
const COMPUTED: [&str; 2] = ["security.evm", "security.ima"];

/// Reads the attributes; a file system that knows none has none.
pub(super) fn read(file: &File) -> io::Result<Attributes> {
    let names = match file.list_xattr() {
        Err(error) if is_refusal(&error) => return Ok(Attributes::new()),
        other => other?,
    };
    let mut found = Attributes::new();
    for name in names {
        let Some(name) = name.to_str().filter(|name| !COMPUTED.contains(name)) else { continue };
        match file.get_xattr(name) {
            Ok(Some(value)) => drop(found.insert(name.to_owned(), value)),
            // Gone in between, or for others only (user.* of a directory that one may only enter), or a name without a value.
            Ok(None) => {}
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Sets the attributes of `file` to exactly `target`.
///
/// # Errors
/// The name of the attribute that cannot be set or removed, with the reason.
pub(super) fn set(file: &File, target: &Attributes) -> Result<(), (String, io::Error)> {
    let now = read(file).map_err(|error| ("(all)".to_owned(), error))?;
    for name in now.keys().filter(|name| !target.contains_key(*name)) {
        match file.remove_xattr(name) {
            // A list of access goes away with the mode that it was for.
            Err(error) if error.raw_os_error() == Some(Errno::ENODATA as i32) => {}
            // The security module gave it, and keeps it.
            Err(_) if LABELS.contains(&name.as_str()) => {}
            other => other.map_err(|error| (name.clone(), error))?,
        }
    }
    for (name, value) in target.iter().filter(|(name, value)| now.get(*name) != Some(value)) {
        file.set_xattr(name, value).map_err(|error| (name.clone(), error))?;
    }
    Ok(())
}

/// Gives `file` the labels among `old`, those of the file whose place it takes, and returns those that the system
/// does not let us give, or has no room for: it is left to label the file itself.
pub(super) fn keep_labels(file: &File, old: &Attributes) -> io::Result<Vec<String>> {
    let old: Vec<_> = old.iter().filter(|(name, _)| LABELS.contains(&name.as_str())).collect();
    let mut refused = Vec::new();
    if old.is_empty() {
        return Ok(refused);
    }
    let now = read(file)?;
    for (name, value) in old.into_iter().filter(|(name, value)| now.get(*name) != Some(value)) {
        match file.set_xattr(name, value) {
            Err(error) if is_refusal(&error) || is_too_much(&error, file) => {
                refused.push(format!("{name}: {error}"));
            }
            other => other?,
        }
    }
    Ok(refused)
}

/// Tells whether two lists of attributes have the same ones but for the labels, which the system gives.
pub(super) fn differ_only_in_labels(one: &Attributes, other: &Attributes) -> bool {
    let is_own = |(name, _): &(&String, &Vec<u8>)| !LABELS.contains(&name.as_str());
    one.iter().filter(is_own).eq(other.iter().filter(is_own))
}

fn is_refusal(error: &io::Error) -> bool {
    is_of_the_call(errno_of(error))
}

/// Attributes have limits of their own, far below those of the disk: one block of an inode on ext4. The kernel says the same of
/// a full disk, which is another thing. Some file systems do not count their inodes.
fn is_too_much(error: &io::Error, file: &File) -> bool {
    let has_room = |system: Statvfs| {
        system.blocks_available() > 0 && (system.files() == 0 || system.files_available() > 0)
    };
    match errno_of(error) {
        Errno::ERANGE => true,
        Errno::ENOSPC => fstatvfs(file).is_ok_and(has_room),
        _ => false,
    }
}
