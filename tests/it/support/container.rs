// SPDX-License-Identifier: Apache-2.0
//! A container of a Debian release, which its own systemd boots once.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::release::Release;
use super::run::Run;
use super::tools;

/// `$1` an empty directory, `$2` the root, `$3` what is laid over the root, `$4` where the container leaves what it has seen,
/// `$5` what makes it ready, run in it. There /proc/sys is read-only.
const BOOT: &str = r#"
set -eu
umask 022
base=$1 root=$2
# Two containers at once would share their control groups, and the systemd of one would end the other's services.
mkdir -p /run/lock
exec 9> /run/lock/k3s-harden-beds
flock 9
mount -t tmpfs -o mode=0755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/node"
mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" overlay "$base/node"
cp -r "$3/." "$base/node"
echo 5f3c1e0a7b2d4c6e8f90a1b2c3d4e5f6 > "$base/node/etc/machine-id"
chroot "$base/node" env -i PATH="$PATH" sh -euc "$5"
exec timeout --kill-after=10 300 systemd-nspawn --quiet --register=no --keep-unit --private-network \
  --console=read-only --bind="$4:/out" --directory="$base/node" --boot
"#;

/// Boots a release with `over` laid over its root, after `prepare` has been run in it. Returns what it left in /out, and how
/// the boot ended.
pub(crate) fn boot(release: Release, over: &Path, prepare: &str) -> (tempfile::TempDir, Run) {
    let base = tempfile::Builder::new().disable_cleanup(true).tempdir().unwrap().path().to_owned();
    let out = tempfile::tempdir().unwrap();
    let output = tools::command("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", BOOT, "sh"])
        .args([&base, release.root(), over, out.path()])
        .arg(prepare)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    fs::remove_dir(&base).expect("a mount has left its namespace");
    (out, Run::of(output))
}
