// SPDX-License-Identifier: Apache-2.0
//! Numbers of errors, and what each blames: the path, or the call itself.

use nix::errno::Errno;

/// Tells whether a call, or one of its flags, is refused by the kernel, the file system or a filter of system calls, and the
/// path is not to blame. Which number is answered differs: NFS, 9p and CephFS say EINVAL, FUSE servers ENOSYS or ENOTSUP, some
/// network file systems EBADF, EACCES or EISDIR where a directory is synced, containers EPERM. Linux' own ENOTSUPP (524) is a
/// number that user space has no name for.
pub(super) fn is_of_the_call(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINVAL
            | Errno::ENOSYS
            | Errno::EOPNOTSUPP
            | Errno::EPERM
            | Errno::EACCES
            | Errno::EBADF
            | Errno::E2BIG
            | Errno::EISDIR
            | Errno::ENOTTY
            | Errno::UnknownErrno
    )
}

/// Returns the number of an error of the standard library.
pub(super) fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
