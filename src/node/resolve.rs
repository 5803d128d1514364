// SPDX-License-Identifier: Apache-2.0
//! Resolves a path below the node's root: in the kernel (openat2, RESOLVE_IN_ROOT), or part by part with the same result.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat};

/// How directories are opened.
pub(super) const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY);
/// How files are opened: without waiting for the other end of a FIFO, and without getting a terminal.
pub(super) const READING: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);
/// How many symlinks are followed on the way to one file, as in the kernel.
const MAX_SYMLINKS: usize = 40;
/// How often openat2 is tried: it gives up if something is renamed while it resolves `..`.
const MAX_TRIES: usize = 64;

/// Whether symlinks on the way are followed. Where they are not, one is an error (ELOOP); only flags that open a symlink itself
/// may find one at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symlinks {
    Followed,
    Refused,
}

/// Resolves a relative `path` in the kernel.
pub(super) fn in_root(
    root: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlag,
    symlinks: Symlinks,
) -> nix::Result<OwnedFd> {
    let mut resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    resolve.set(ResolveFlag::RESOLVE_NO_SYMLINKS, symlinks == Symlinks::Refused);
    let how = OpenHow::new().flags(flags).resolve(resolve);
    let opened = || openat2(root, path, how);
    let again = |result: &nix::Result<OwnedFd>| matches!(result, Err(Errno::EINTR | Errno::EAGAIN));
    (1..MAX_TRIES).map(|_| opened()).find(|result| !again(result)).unwrap_or_else(opened)
}

/// Resolves a relative `path` part by part, as openat2 does with RESOLVE_IN_ROOT: symlinks start again at the root or at
/// the directory they are in, and `..` goes back along the way that was come, so nothing leads out.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    path: &OsStr,
    mut flags: OFlag,
    symlinks: Symlinks,
) -> nix::Result<OwnedFd> {
    let step = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let follows = !flags.contains(OFlag::O_NOFOLLOW);
    let split = |text: &[u8]| {
        let parts = text.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        parts.rev().map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    // The next part comes last.
    let mut left = split(path.as_bytes());
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut seen = 0;
    while let Some(part) = left.pop() {
        if part == b".." {
            way.pop();
            continue;
        }
        let dir = way.last().map_or(root, AsFd::as_fd);
        let name = OsStr::from_bytes(&part);
        let found = openat(dir, name, step, Mode::empty())?;
        let kind = SFlag::from_bits_truncate(fstat(&found)?.st_mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFLNK && (follows || !left.is_empty()) {
            seen += 1;
            if seen > MAX_SYMLINKS || symlinks == Symlinks::Refused {
                return Err(Errno::ELOOP);
            }
            let target = readlinkat(dir, name)?;
            let target = target.as_bytes();
            if target.starts_with(b"/") {
                way.clear();
            }
            if left.is_empty() && (target.ends_with(b"/") || target.ends_with(b"/.")) {
                flags |= OFlag::O_DIRECTORY;
            }
            left.extend(split(target));
        } else if left.is_empty() {
            // Opened by its name once more, for good: should it be a symlink by now, that is an error.
            return openat(dir, name, flags | OFlag::O_NOFOLLOW, Mode::empty());
        } else if kind == SFlag::S_IFDIR {
            way.push(found);
        } else {
            return Err(Errno::ENOTDIR);
        }
    }
    // The root itself, or a directory that was gone back to.
    openat(way.last().map_or(root, AsFd::as_fd), ".", flags, Mode::empty())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests build their roots by hand")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use nix::fcntl::open;

    use super::*;

    /// Numbers that are the same in every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((self.0 >> 33) % limit as u64).unwrap()
        }

        fn path(&mut self, parts: &[&str]) -> String {
            let parts: Vec<&str> = (0..1 + self.below(4)).map(|_| parts[self.below(parts.len())]).collect();
            parts.join("/")
        }
    }

    /// Random trees of directories, files and symlinks: both ways end at the same file or the same error.
    #[test]
    fn the_walk_goes_where_openat2_goes() {
        let outside = tempfile::tempdir().unwrap();
        let open_root = |path: &Path| open(path, DIRECTORY, Mode::empty()).unwrap();
        if matches!(
            in_root(open_root(outside.path()).as_fd(), OsStr::new("."), OFlag::O_PATH, Symlinks::Followed),
            Err(Errno::ENOSYS | Errno::EPERM)
        ) {
            println!("skipped: this kernel has no openat2");
            return;
        }
        let (mut numbers, mut found, mut refused) = (Numbers(5), 0, 0);
        for _ in 0..60 {
            let base = outside.path().join("root");
            fs::remove_dir_all(&base).unwrap_or_default();
            fs::create_dir(&base).unwrap();
            let root = open_root(&base);
            for _ in 0..14 {
                let place = base.join(numbers.path(&["a", "b", "c"]));
                // What is in the way, or not there, makes a tree of another shape.
                match numbers.below(4) {
                    0 => fs::create_dir_all(place).unwrap_or_default(),
                    1 => fs::write(place, "").unwrap_or_default(),
                    _ => {
                        let start = ["", "", "/", "../", "../../"][numbers.below(5)];
                        let end = ["", "", "/", "/."][numbers.below(4)];
                        let target = format!("{start}{}{end}", numbers.path(&["a", "b", "c", "..", "."]));
                        symlink(target, place).unwrap_or_default();
                    }
                }
            }
            for _ in 0..60 {
                let path = numbers.path(&["a", "b", "c"]);
                let symlinks = [Symlinks::Followed, Symlinks::Followed, Symlinks::Refused][numbers.below(3)];
                let flags = [OFlag::O_PATH, READING, DIRECTORY, DIRECTORY | OFlag::O_NOFOLLOW];
                let flags = flags[numbers.below(4)];
                let which = |result: nix::Result<OwnedFd>| result.map(|fd| fstat(fd).unwrap().st_ino);
                // While others rename, wherever that is, the kernel may not know; the caller then walks.
                let asked = || which(in_root(root.as_fd(), OsStr::new(&path), flags, symlinks));
                let knows = |answer: &nix::Result<_>| *answer != Err(Errno::EAGAIN);
                let kernel = std::iter::repeat_with(asked).find(knows).unwrap();
                let ours = which(walk(root.as_fd(), OsStr::new(&path), flags, symlinks));
                assert_eq!(
                    ours,
                    kernel,
                    "{path} with {flags:?}, symlinks {symlinks:?}, in {}",
                    base.display()
                );
                if kernel.is_ok() { found += 1 } else { refused += 1 }
            }
        }
        assert!(found > 500 && refused > 500, "{found} found, {refused} refused");
    }
}
