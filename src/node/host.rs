// SPDX-License-Identifier: Apache-2.0
//! Files of the machine that the tool runs on: profiles, settings and policies that the user names, and what
//! `render` writes. [`super::Root`] opens the node's own files.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::mode::FileMode;

/// Reads a file that the user named, at most `limit` bytes of it and one more.
///
/// # Errors
/// [`ErrorKind::BadInput`] if there is no such file, or where it is no regular file.
pub fn read_file(path: &str, limit: usize) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let errno = errno(&error);
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                Error::new(ErrorKind::BadInput, format!("cannot read {path}: {}", errno.desc()))
            }
            _ => Error::system("read", path, errno),
        }
    };
    // A FIFO without a writer would keep us here for ever.
    let file =
        OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::new(ErrorKind::BadInput, format!("{path} is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Returns the time in UTC, such as `2026-11-25T09:00:00Z`.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// The variable that gives the time of what is made, in seconds (reproducible-builds.org/specs/source-date-epoch).
const REPORT_TIME: &str = "SOURCE_DATE_EPOCH";

/// Returns the time that a report states, in UTC: that of `SOURCE_DATE_EPOCH`, so that a build makes the same report again,
/// or else [`now`].
#[must_use]
pub fn report_time() -> String {
    named_time().unwrap_or_else(now)
}

/// Returns the day that `SOURCE_DATE_EPOCH` names, such as `2026-11-25`.
#[must_use]
pub fn named_date() -> Option<String> {
    named_time()?.split_once('T').map(|(day, _)| day.to_owned())
}

/// Returns the time that `SOURCE_DATE_EPOCH` names, in UTC.
fn named_time() -> Option<String> {
    /// The last second that RFC 3339 has: the end of the year 9999.
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = std::env::var(REPORT_TIME).ok()?.parse::<u64>().ok().filter(|time| *time <= LAST_SECOND)?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

/// Writes a file that the user asked for, replacing an older one in one step. Through a symlink, and into a
/// device or pipe such as /dev/stdout, it is written as any program would.
///
/// # Errors
/// If it cannot be written.
#[allow(clippy::disallowed_methods, reason = "this is the room that opens files")]
pub fn write_file(path: &Path, bytes: &[u8], mode: FileMode) -> Result<()> {
    let failed = |error: std::io::Error| match errno(&error) {
        // A directory that is not there.
        Errno::ENOENT => Error::new(
            ErrorKind::CannotWrite,
            format!("cannot write {}: {}", path.display(), Errno::ENOENT.desc()),
        ),
        other => Error::system("write", path.display(), other),
    };
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let opened = OpenOptions::new().write(true).open(path);
        return opened.and_then(|mut file| file.write_all(bytes)).map_err(failed);
    }
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".k3s-harden.").tempfile_in(folder).map_err(failed)?;
    let write = |file: &mut File| {
        nix::sys::stat::fchmod(&*file, mode.to_nix())?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write(file.as_file_mut()).map_err(failed)?;
    file.persist(&target).map(drop).map_err(|error| failed(error.error))
}

/// Returns the number of an error; some libraries keep only its kind.
fn errno(error: &std::io::Error) -> Errno {
    match (error.raw_os_error(), error.kind()) {
        (Some(code), _) => Errno::from_raw(code),
        (None, std::io::ErrorKind::NotFound) => Errno::ENOENT,
        (None, std::io::ErrorKind::PermissionDenied) => Errno::EACCES,
        (None, std::io::ErrorKind::ReadOnlyFilesystem) => Errno::EROFS,
        (None, _) => Errno::EIO,
    }
}

/// Tells whether there is anything at a path that the user named.
#[must_use]
pub fn exists(path: &str) -> bool {
    Path::new(path).symlink_metadata().is_ok()
}

/// Tells whether there is something else than a directory at a path that the user named.
#[must_use]
pub fn is_no_directory(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// Tells whether there is a symlink at a path.
#[must_use]
pub fn is_symlink(path: &Path) -> bool {
    path.is_symlink()
}

/// Returns a path that the user named from the root on, so that it means the same to a later run.
#[must_use]
pub fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// Returns the path of the running program, with symlinks resolved; none if it is no longer there, or `/proc` is missing.
#[must_use]
pub fn running_program() -> Option<PathBuf> {
    std::env::current_exe().ok().filter(|path| path.is_file())
}

/// Makes a directory with a mode whatever the umask is, in one that is there; an older one gets that mode.
///
/// # Errors
/// If it cannot be made.
#[allow(clippy::disallowed_methods, reason = "this is the room that makes directories")]
pub fn make_directory(path: &Path, mode: FileMode) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    make_directories(path.parent().unwrap_or(Path::new("/")))?;
    let made = std::fs::DirBuilder::new().mode(mode.bits()).create(path);
    let result = match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    };
    let permissions = std::fs::Permissions::from_mode(mode.bits());
    result.and_then(|()| std::fs::set_permissions(path, permissions)).map_err(|error| not_made(path, &error))
}

/// Returns the error for a directory that cannot be made: the output cannot be written, whatever the reason.
fn not_made(path: &Path, error: &std::io::Error) -> Error {
    let error = Error::system("make the directory", path.display(), errno(error));
    if error.kind() == ErrorKind::Failed { error.of_kind(ErrorKind::CannotWrite) } else { error }
}

/// Makes a directory that the user asked for, with those above it, each with the mode 0755.
///
/// # Errors
/// If it cannot be made.
#[allow(clippy::disallowed_methods, reason = "this is the room that makes directories")]
pub fn make_directories(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    // There is no umask (see `cli`): without a mode of its own everybody could write into it.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|error| not_made(path, &error))
}
