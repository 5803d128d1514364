//! Mounts, for error messages: the mount point of a read-only directory is what the user has to remount.

use std::os::fd::AsRawFd;

use nix::fcntl::readlink;

use super::host;

/// Longest /proc/self/mountinfo that is read, in bytes.
pub(super) const MAX_MOUNTS_BYTES: usize = 16 << 20;

/// Finds the mount point of an open file or directory, as a path of the machine that the tool runs on.
pub(super) fn point_of(file: &impl AsRawFd) -> Option<String> {
    let path = readlink(format!("/proc/self/fd/{}", file.as_raw_fd()).as_str()).ok()?;
    let mounts = host::read_file("/proc/self/mountinfo", MAX_MOUNTS_BYTES).ok()?;
    point_in(&String::from_utf8_lossy(&mounts), path.to_str()?)
}

/// Tells whether /proc is the kernel's.
pub(super) fn is_proc() -> bool {
    rustix::fs::statfs("/proc").is_ok_and(|system| system.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Tells whether a table of mounts (proc_pid_mountinfo(5)) has one at the root; none if it is empty, which says nothing.
pub(super) fn is_root_mounted(mounts: &str) -> Option<bool> {
    let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).peekable();
    points.peek()?;
    Some(points.any(|point| point == "/"))
}

/// The fifth word of each line is a mount point; blanks in it are written in octal (proc_pid_mountinfo(5)).
fn point_in(mounts: &str, path: &str) -> Option<String> {
    let unescape = |text: &str| {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .into_iter()
            .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
    };
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
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
    fn the_innermost_mount_counts() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 8:2 / /var\\040x ro - ext4 /dev/b ro\n\
                      24 22 8:2 / /va ro - ext4 /dev/b ro\n";
        assert_eq!(point_in(mounts, "/var x/lib").as_deref(), Some("/var x"));
        assert_eq!(point_in(mounts, "/var x").as_deref(), Some("/var x"));
        assert_eq!(point_in(mounts, "/var").as_deref(), Some("/"));
    }
}
