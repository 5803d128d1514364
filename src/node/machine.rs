// SPDX-License-Identifier: Apache-2.0
//! What tells a node from another one: its name, and its machine id.

use super::sha256::sha256;
use super::{Root, RootedPath};

/// The name of the running kernel.
const RUNNING_NAME: &str = "/proc/sys/kernel/hostname";
/// The name that the node takes at boot (hostname(5)).
const NAME_FILE: &str = "/etc/hostname";
/// The machine id (machine-id(5)).
const MACHINE_ID_FILE: &str = "/etc/machine-id";
/// What an image has there whose nodes get their machine ids at the first boot.
const UNINITIALIZED: &str = "uninitialized";

/// A node's name and machine id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its name, if it is known: the kernel's on the running system, that of /etc/hostname in an image.
    pub hostname: Option<String>,
    /// The SHA-256 of its machine id; none if it has no machine id yet. machine-id(5) asks not to show the id itself.
    pub machine_id_sha256: Option<String>,
}

impl Machine {
    /// Reads both under a root. What cannot be read is not known.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let name = if root.is_live() { RUNNING_NAME } else { NAME_FILE };
        Self {
            hostname: first_line(root, name),
            machine_id_sha256: first_line(root, MACHINE_ID_FILE)
                .filter(|id| id != UNINITIALIZED)
                .map(|id| sha256(id.as_bytes())),
        }
    }
}

/// Returns the first line of a file that is neither empty nor a comment.
fn first_line(root: &Root, path: &str) -> Option<String> {
    let bytes = root.read(&RootedPath::fixed(path)).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files by hand")]
mod tests {
    use super::*;

    fn machine(hostname: &str, id: &str) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/hostname"), hostname).unwrap();
        std::fs::write(folder.path().join("etc/machine-id"), id).unwrap();
        Machine::read(&Root::open(folder.path()).unwrap())
    }

    #[test]
    fn a_line_break_and_comments_change_nothing() {
        let hash = Some("84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882".to_owned());
        let expected = Machine { hostname: Some("node-1".to_owned()), machine_id_sha256: hash };
        assert_eq!(machine("node-1", "0123456789"), expected);
        assert_eq!(machine("# ours\n\n node-1 \n", "0123456789\n"), expected);
    }

    #[test]
    fn an_image_has_neither() {
        let image = Machine::default();
        assert_eq!(machine("", ""), image);
        assert_eq!(machine("\n", "uninitialized\n"), image);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Machine::read(&Root::open(folder.path()).unwrap()), image);
    }
}
