// SPDX-License-Identifier: Apache-2.0
//! Whether `/` is the running system.
//!
//! In a chroot (a build of an image, an installer) the running kernel belongs to the machine around it. Only positive evidence
//! says so: another root than process 1 has, a table of mounts in which nothing is mounted at `/`, or a mount at `/` that process 1
//! has at another place. A container has a process 1 and a mount of its own, and a private namespace of mounts has both of its
//! parent; they are no chroot.

use nix::errno::Errno;
use nix::sys::stat::{FileStat, stat};

use super::mount::{self, MOUNTS};

/// Another root than ours, if this is a chroot.
const FIRST_PROCESS: &str = "/proc/1/root";
const MOUNTS_OF_FIRST: &str = "/proc/1/mountinfo";

/// Where the root of a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RootPlace {
    /// `/` of the running system.
    Running,
    /// `/` of a chroot, with what says so.
    Chroot(String),
    /// Another directory.
    Image,
}

/// What is known of `/`.
#[derive(Debug)]
struct SlashEvidence {
    /// Whether process 1 has the same root; an error if that cannot be seen.
    same_as_first: Result<bool, Errno>,
    /// Whether something is mounted at `/`; none if that cannot be seen.
    mounted: Option<bool>,
    /// Where process 1 has the mount that is our root, if not at its own.
    elsewhere: Option<String>,
}

impl SlashEvidence {
    fn read() -> Self {
        let identity = |path| stat(path).map(|found: FileStat| (found.st_dev, found.st_ino));
        // An image may hold plain files there.
        let first = if mount::is_proc() { identity(FIRST_PROCESS) } else { Err(Errno::ENOENT) };
        let same_as_first = first.and_then(|first| Ok(first == identity("/")?));
        let mounts = mount::table(MOUNTS);
        let mounted = mounts.as_deref().and_then(mount::is_root_mounted);
        // The root of process 1 says more than its table; even root may not see it everywhere.
        let ours = mounts.filter(|_| same_as_first.is_err() && mounted == Some(true) && mount::is_proc());
        let elsewhere = ours.and_then(|ours| mount::place_of_root(&ours, &mount::table(MOUNTS_OF_FIRST)?));
        Self { same_as_first, mounted, elsewhere }
    }

    /// Returns what says that this is a chroot, or else why it is taken for the running system.
    fn chroot(&self) -> Result<String, String> {
        match (self.same_as_first, self.mounted) {
            (Ok(false), _) => Ok(format!("{FIRST_PROCESS} is another directory")),
            (_, Some(false)) => Ok(format!("nothing is mounted at / in {MOUNTS}")),
            (Ok(true), _) => Err(format!("the running system: {FIRST_PROCESS} is the same directory")),
            (Err(errno), Some(true)) => match &self.elsewhere {
                Some(place) => Ok(format!("what is mounted at / is at {place} in {MOUNTS_OF_FIRST}")),
                None => Err(format!(
                    "taken for the running system: {FIRST_PROCESS} cannot be seen ({}), and a file system is mounted at /",
                    errno.desc()
                )),
            },
            (Err(errno), None) => Err(format!(
                "taken for the running system: neither {FIRST_PROCESS} nor {MOUNTS} can be seen ({}), so nothing says that this is a chroot",
                errno.desc()
            )),
        }
    }
}

impl RootPlace {
    /// Finds out what `/` is.
    pub(super) fn of_slash() -> Self {
        match SlashEvidence::read().chroot() {
            Ok(sign) => Self::Chroot(sign),
            Err(reason) => {
                tracing::info!("/ is {reason}");
                Self::Running
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_evidence_makes_a_chroot() {
        let is_chroot = |same_as_first, mounted| {
            SlashEvidence { same_as_first, mounted, elsewhere: None }.chroot().is_ok()
        };
        for (same, mounted, expected) in [
            (Ok(true), Some(true), false),
            (Ok(true), None, false),
            (Ok(true), Some(false), true),
            (Ok(false), Some(true), true),
            (Ok(false), None, true),
            (Err(Errno::EACCES), Some(true), false),
            (Err(Errno::EACCES), Some(false), true),
            (Err(Errno::ENOENT), None, false),
        ] {
            assert_eq!(is_chroot(same, mounted), expected, "{same:?} {mounted:?}");
        }
        let elsewhere = Some("/mnt".to_owned());
        let evidence = SlashEvidence {
            same_as_first: Err(Errno::EACCES),
            mounted: Some(true),
            elsewhere: elsewhere.clone(),
        };
        assert_eq!(evidence.chroot().unwrap(), "what is mounted at / is at /mnt in /proc/1/mountinfo");
        let evidence = SlashEvidence { same_as_first: Ok(true), mounted: Some(true), elsewhere };
        assert!(evidence.chroot().is_err(), "the directory itself says more");
    }
}
