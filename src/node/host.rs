//! Files of the machine that the tool runs on: profiles, settings and policies that the user names, and what
//! `render` writes for other hands. The node's own files are [`super::Root`]'s.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;

use super::mode::FileMode;
use crate::error::{Error, Kind, Result};

/// Reads a file that the user named, at most `limit` bytes of it and one more.
///
/// # Errors
/// [`Kind::BadInput`] where there is no such file, or where it is no regular file.
pub fn read_file(path: &str, limit: usize) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                Error::new(Kind::BadInput, format!("cannot read {path}: {}", errno.desc()))
            }
            _ => Error::system("read", path, errno),
        }
    };
    // A FIFO without a writer would keep us here for ever.
    let file =
        OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::new(Kind::BadInput, format!("{path} is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Writes a file that the user asked for, replacing an older one in one step.
///
/// # Errors
/// Where it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8], mode: FileMode) -> Result<()> {
    let failed = |error: std::io::Error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Error::system("write", path.display(), errno)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".k3s-harden.").tempfile_in(folder).map_err(failed)?;
    let write = |file: &mut File| {
        nix::sys::stat::fchmod(&*file, mode.to_nix())?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write(file.as_file_mut()).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

/// Makes a directory that the user asked for, with those above it.
///
/// # Errors
/// Where it cannot be made.
#[allow(clippy::disallowed_methods, reason = "this is the room that makes directories")]
pub fn make_directories(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| {
        Error::system(
            "make the directory",
            path.display(),
            error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        )
    })
}
