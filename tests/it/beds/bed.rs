// SPDX-License-Identifier: Apache-2.0
//! A node of another distribution: an overlay of its root in namespaces of its own, without a network, and with plain
//! files in the place of the kernel parameters, which belong to the whole machine.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::support::overlay::{Overlay, Recipe};
pub(crate) use crate::support::release::Release;
pub(crate) use crate::support::run::Run;
use crate::support::tools;

/// The kernel parameters of a node that was just made, and what they have to be: all wrong but those that we leave
/// alone.
pub(crate) const PARAMETERS: [(&str, &str, &str); 6] = [
    ("kernel/keys/root_maxbytes", "25000000", "25000000"),
    ("kernel/keys/root_maxkeys", "1000000", "1000000"),
    ("kernel/panic", "0", "10"),
    ("kernel/panic_on_oops", "0", "1"),
    ("vm/overcommit_memory", "0", "1"),
    ("vm/panic_on_oom", "1", "0"),
];

/// Where everything of ours goes.
const TREES: [&str; 3] = ["etc/rancher", "etc/sysctl.d", "var/lib/rancher"];

/// Makes a node of the overlay.
const SCRIPT: &str = r#"
mkdir "$base/sys/kernel/random"
cat /proc/sys/kernel/random/boot_id > "$base/sys/kernel/random/boot_id"
mkdir -p opt
: > opt/k3s-harden
mount --bind "$binary" opt/k3s-harden
mount -t tmpfs -o mode=0755 tmpfs dev
for device in null zero full random urandom tty; do
  : > dev/$device
  mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=0755 tmpfs run
mount -t sysfs -o ro sysfs sys
mount -t proc proc proc
mount --bind "$base/sys" proc/sys
ip link set lo up
hostname node
"#;

/// A node. Its namespaces, with every process and every mount in them, end when this is dropped.
#[derive(Debug)]
pub(crate) struct Bed(Overlay);

/// Mode, owner and, of a file, content of everything of ours.
pub(crate) type Tree = BTreeMap<String, (String, Option<String>)>;

impl Deref for Bed {
    type Target = Overlay;

    fn deref(&self) -> &Overlay {
        &self.0
    }
}

impl Bed {
    pub(crate) fn of(release: Release) -> Self {
        tools::need(&["ip"]);
        Self(Overlay::make(&Recipe {
            root: release.root(),
            unshare: &["--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"],
            nsenter: &["--uts", "--ipc", "--net", "--pid"],
            script: SCRIPT,
            parameters: PARAMETERS.map(|(name, wrong, _)| (name, wrong)).to_vec(),
        }))
    }

    /// Writes a file of the node, and the directories that it needs.
    pub(crate) fn write(&self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        tools::write_program(&path, mode, bytes.as_ref());
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Returns everything of ours.
    pub(crate) fn tree(&self) -> Tree {
        tree(&self.path("/"))
    }

    /// Checks that the kernel was told what it has to be.
    #[track_caller]
    pub(crate) fn has_parameters(&self, when: &str) {
        assert_eq!(self.sysctls(), PARAMETERS.map(|(_, _, right)| right), "{when}");
    }

    /// Checks that nobody has told the kernel anything.
    #[track_caller]
    pub(crate) fn has_old_parameters(&self, when: &str) {
        assert_eq!(self.sysctls(), PARAMETERS.map(|(_, wrong, _)| wrong), "{when}");
    }
}

/// Returns what `apply` makes of a node of that release.
pub(crate) fn applied(release: Release, words: &[&str]) -> Tree {
    let bed = Bed::of(release);
    bed.run(
        ["/opt/k3s-harden", "apply", "-q", "--no-history", "--no-preflight"].iter().chain(words).copied(),
    )
    .expect_when(0, "apply");
    bed.has_parameters("apply");
    bed.tree()
}

/// Renders for other hands, on a node on which there is nothing.
pub(crate) fn rendered(format: &str, words: &[&str]) -> String {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_k3s-harden"))
        .arg("--root")
        .arg(empty.path())
        .args(["render", "--as", format])
        .args(words)
        .env_clear()
        .output()
        .unwrap();
    Run::of(output).expect_when(0, format).stdout
}

/// Returns everything of ours below a root, and what the directories that hold it are like.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut left: Vec<String> = TREES.iter().map(ToString::to_string).collect();
    for path in ["etc", "var", "var/lib"] {
        found.insert(path.to_owned(), entry(&root.join(path)).unwrap());
    }
    while let Some(path) = left.pop() {
        let Some(entry) = entry(&root.join(&path)) else { continue };
        if let Ok(entries) = fs::read_dir(root.join(&path)) {
            let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
            left.extend(entries.map(|entry| format!("{path}/{}", name(entry.unwrap()))));
        }
        found.insert(path, entry);
    }
    found
}

/// Returns mode and owner, and what is in a file or where a symlink leads.
fn entry(path: &Path) -> Option<(String, Option<String>)> {
    let found = path.symlink_metadata().ok()?;
    let kind = if found.is_dir() { "d" } else { "" };
    let mode = format!("{kind}{:04o} {}:{}", found.mode() & 0o7777, found.uid(), found.gid());
    let text = if found.is_symlink() {
        Some(format!("-> {}", fs::read_link(path).unwrap().display()))
    } else {
        found.is_file().then(|| fs::read_to_string(path).unwrap())
    };
    Some((mode, text))
}

/// Checks that two trees are the same, and says which paths are not.
#[track_caller]
pub(crate) fn assert_same(found: &Tree, expected: &Tree, when: &str) {
    let modes =
        |tree: &Tree| tree.iter().map(|(path, (mode, _))| format!("{mode} {path}")).collect::<Vec<_>>();
    assert_eq!(modes(found), modes(expected), "{when}");
    for (path, (_, text)) in expected {
        assert_eq!(&found[path].1, text, "{when}: {path}");
    }
}
