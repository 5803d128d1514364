// SPDX-License-Identifier: Apache-2.0
//! The programs that the second tier of tests needs. A program that is missing fails the test, which names the Debian
//! package to install.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Each program, and where it is from.
const PROGRAMS: [(&str, &str); 40] = [
    ("bash", "bash"),
    ("bindfs", "bindfs (with fuse3)"),
    ("buildah", "buildah"),
    ("bwrap", "bubblewrap"),
    ("chattr", "e2fsprogs"),
    ("chromium", "chromium"),
    ("chromium-browser", "chromium"),
    ("fish", "fish"),
    ("gcc", "gcc"),
    ("getfattr", "attr"),
    ("go", "golang-go (at least the version in tests/oracle/judges)"),
    ("google-chrome", "chromium"),
    ("groff", "groff"),
    ("gzip", "gzip"),
    ("ip", "iproute2"),
    ("jq", "jq"),
    ("ldd", "libc-bin"),
    ("lexgrog", "man-db"),
    ("man", "man-db"),
    ("mandoc", "mandoc"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mmdebstrap", "mmdebstrap"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("packer", "packer"),
    ("pdftotext", "poppler-utils"),
    ("python3", "python3"),
    ("setfattr", "attr"),
    ("setpriv", "util-linux"),
    ("shellcheck", "shellcheck"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("strace", "strace"),
    ("strip", "binutils"),
    ("systemd-nspawn", "systemd-container"),
    ("unshare", "util-linux"),
    ("zsh", "zsh"),
];

/// Fails unless the tests are run by root.
pub(crate) fn need_root() {
    assert!(nix::unistd::geteuid().is_root(), "this test has to be run by root");
}

/// Fails unless every one of these programs is installed.
pub(crate) fn need(names: &[&str]) {
    for name in names {
        find(&[name]);
    }
}

/// Returns a command that runs a program.
pub(crate) fn command(name: &str) -> Command {
    Command::new(find(&[name]))
}

/// Returns the first of these programs that is installed, or fails with the package of the first one.
pub(crate) fn find(names: &[&str]) -> PathBuf {
    // Where root's programs are, whoever's PATH this is.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    let found = names.iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    });
    found.unwrap_or_else(|| {
        let package = PROGRAMS.iter().find(|(name, _)| *name == names[0]);
        let (name, package) = package.unwrap_or_else(|| panic!("no package is known for {}", names[0]));
        panic!("{name} is missing: install the Debian package {package}")
    })
}

/// Writes a program that can be run at once. Another process writes it: a thread that starts something else meanwhile
/// would hand the open file on, and Linux runs no file that is open for writing.
pub(crate) fn write_program(path: &Path, mode: u32, bytes: &[u8]) {
    let mut child = Command::new("sh")
        .args(["-euc", "cat > \"$1\"; chmod \"$2\" \"$1\"", "sh"])
        .arg(path)
        .arg(format!("{mode:o}"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(child.wait().unwrap().success(), "{} cannot be written", path.display());
}

/// Says something on the standard error itself, where it is seen although the test passes.
pub(crate) fn report(text: &str) {
    let line = format!("{text}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
