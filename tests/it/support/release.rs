// SPDX-License-Identifier: Apache-2.0
//! Roots of Debian releases, which are made once, below the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::tools;

/// A Debian release whose root a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// With cloud-init 22.4 and systemd 252.
    Bookworm,
    /// With cloud-init 25.1 and systemd 257.
    Trixie,
}

/// What is in every root: cloud-init with what it needs, an init, a server for Packer to log in to, another shell.
const PACKAGES: [&str; 9] = [
    "cloud-init",
    "procps",
    "systemd-sysv",
    "dbus",
    "iproute2",
    "netbase",
    "udev",
    "openssh-server",
    "busybox",
];

impl Release {
    /// Returns its root, which is made where there is none.
    pub(crate) fn root(self) -> &'static Path {
        static ROOTS: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
        let name = self.name();
        ROOTS[self as usize].get_or_init(|| {
            tools::need_root();
            tools::need(&["mmdebstrap"]);
            // Beside cargo's own folder for what tests make, because it is to stay.
            let root = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("beds").join(name);
            let made =
                Command::new("tests/it/beds/root.sh").arg(name).arg(&root).args(PACKAGES).output().unwrap();
            assert!(
                made.status.success(),
                "no root of {name} could be made: {}",
                String::from_utf8_lossy(&made.stderr)
            );
            root
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}
