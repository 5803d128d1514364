// SPDX-License-Identifier: Apache-2.0
//! Mounts, for error messages: the mount point of a read-only directory is what the user has to remount.

use std::os::fd::AsRawFd;

use nix::fcntl::readlink;

use super::host;

/// The table of the mounts that this process sees (proc_pid_mountinfo(5)).
pub(super) const MOUNTS: &str = "/proc/self/mountinfo";
/// Longest table that is read, in bytes.
const MAX_MOUNTS_BYTES: usize = 16 << 20;

/// One line of a table.
#[derive(Debug, Clone, Copy)]
struct Mount<'a> {
    /// The device, and the directory in it, that are mounted.
    what: (&'a str, &'a str),
    /// The mount point, as the table has it.
    point: &'a str,
}

/// Reads a table of mounts; none if it cannot be read.
pub(super) fn table(path: &str) -> Option<String> {
    let bytes = host::read_file(path, MAX_MOUNTS_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn mounts(table: &str) -> impl Iterator<Item = Mount<'_>> {
    table.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(2);
        Some(Mount { what: (words.next()?, words.next()?), point: words.next()? })
    })
}

/// Finds the mount point of an open file or directory, as a path of the machine that the tool runs on.
pub(super) fn point_of(file: &impl AsRawFd) -> Option<String> {
    let path = readlink(format!("/proc/self/fd/{}", file.as_raw_fd()).as_str()).ok()?;
    point_in(&table(MOUNTS)?, path.to_str()?)
}

/// Tells whether /proc is the kernel's.
pub(super) fn is_proc() -> bool {
    rustix::fs::statfs("/proc").is_ok_and(|system| system.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Tells whether a table of mounts has one at the root; none if it is empty, which says nothing.
pub(super) fn is_root_mounted(table: &str) -> Option<bool> {
    let mut mounts = mounts(table).peekable();
    mounts.peek()?;
    Some(mounts.any(|mount| mount.point == "/"))
}

/// Returns where the root of the table `ours` is in the table of process 1, if it is mounted there at another place than `/`, and
/// the root of process 1 is another mount. None is no evidence: a table may be of another namespace, or hidden.
pub(super) fn place_of_root(ours: &str, first: &str) -> Option<String> {
    let mut roots = mounts(ours).filter(|mount| mount.point == "/");
    let (Some(root), None) = (roots.next(), roots.next()) else { return None };
    let mut of_first = mounts(first).filter(|mount| mount.point == "/").peekable();
    of_first.peek()?;
    if of_first.any(|mount| mount.what == root.what) {
        return None;
    }
    mounts(first).find(|mount| mount.what == root.what).map(|mount| mount.point.to_owned())
}

/// Blanks in a mount point are written in octal.
fn point_in(table: &str, path: &str) -> Option<String> {
    let unescape = |text: &str| {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .into_iter()
            .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
    };
    let points = mounts(table).map(|mount| unescape(mount.point));
    let holds = |point: &String| {
        let rest = path.strip_prefix(point.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    points.filter(holds).max_by_key(String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_a_chroot_has_no_root() {
        let whole = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 0:5 / /proc rw - proc proc rw\n";
        assert_eq!(is_root_mounted(whole), Some(true));
        assert_eq!(is_root_mounted("23 22 0:5 / /proc rw - proc proc rw\n"), Some(false));
        assert_eq!(is_root_mounted(""), None);
    }

    #[test]
    fn a_root_that_is_mounted_elsewhere_is_that_of_a_chroot() {
        let host = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 0:5 / /proc rw - proc proc rw\n\
                    24 22 0:40 / /mnt/image rw - tmpfs t rw\n25 22 8:1 /srv/x /srv/x rw - ext4 /dev/a rw\n";
        let root =
            |mount: &str| format!("90 80 {mount} / rw - any any rw\n91 90 0:5 / /proc rw - proc proc rw\n");
        for (ours, expected) in [
            (root("0:40 /"), Some("/mnt/image")),
            (root("8:1 /srv/x"), Some("/srv/x")),
            // The same root in a namespace of its own, and one that the other namespace does not know: a container.
            (root("8:1 /"), None),
            (root("0:41 /"), None),
            (root("8:1 /srv/y"), None),
            // Which one is the root is not known.
            (format!("{}{}", root("0:40 /"), root("8:1 /")), None),
            (String::new(), None),
            ("nonsense\n".to_owned(), None),
        ] {
            assert_eq!(place_of_root(&ours, host).as_deref(), expected, "{ours}");
        }
        let hidden = host.split_once('\n').unwrap().1;
        assert_eq!(place_of_root(&root("0:40 /"), hidden), None, "the root of process 1 is not known");
        let twice = format!("{host}99 22 0:40 / / rw - tmpfs t rw\n");
        assert_eq!(place_of_root(&root("0:40 /"), &twice), None, "it lies over the root of process 1");
    }

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 8:2 / /var\\040x ro - ext4 /dev/b ro\n\
                      24 22 8:2 / /va ro - ext4 /dev/b ro\n";
        assert_eq!(point_in(mounts, "/var x/lib").as_deref(), Some("/var x"));
        assert_eq!(point_in(mounts, "/var x").as_deref(), Some("/var x"));
        assert_eq!(point_in(mounts, "/var").as_deref(), Some("/"));
    }
}
