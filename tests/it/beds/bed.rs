//! A node of another distribution: an overlay of its root in namespaces of its own, without a network, and with plain
//! files in the place of the kernel parameters, which belong to the whole machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

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

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the node and stays in it until its standard input ends: `$1` an empty directory, `$2` its root, `$3` the
/// binary, and then the kernel parameters. It begins in the PID namespace, but still with the machine's /proc, which
/// says what its number is out there.
const MAKE: &str = r#"
set -eu
umask 022
read -r outside rest < /proc/self/stat
base=$1 root=$2 binary=$3
mount -t tmpfs -o mode=0755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/node"
mkdir -p "$base/sys/kernel/keys" "$base/sys/kernel/random" "$base/sys/vm"
: > "$base/sys/not-the-kernel"
cat /proc/sys/kernel/random/boot_id > "$base/sys/kernel/random/boot_id"
shift 3
while [ $# -gt 0 ]; do echo "$2" > "$base/sys/$1"; shift 2; done
mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" overlay "$base/node"
cd "$base/node"
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
test -e proc/sys/not-the-kernel || { echo "/proc/sys is the machine's own" >&2; exit 1; }
ip link set lo up
hostname node
exec chroot . sh -c 'echo "$1" && exec cat' sh "$outside"
"#;

/// Runs in front of every command inside the node.
const GUARD: &str = r#"test -e /proc/sys/not-the-kernel || exit 99; umask 022; exec "$@""#;

/// A node. Its namespaces, with every process and every mount in them, end when this is dropped.
#[derive(Debug)]
pub(crate) struct Bed {
    namespace: Child,
    inside: String,
    base: PathBuf,
    machine: Vec<String>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Mode, owner and, of a file, content of everything of ours.
pub(crate) type Tree = BTreeMap<String, (String, Option<String>)>;

impl Release {
    /// Returns its root, which is made where there is none.
    pub(crate) fn root(self) -> &'static Path {
        static ROOTS: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
        let name = self.name();
        ROOTS[self as usize].get_or_init(|| {
            // Beside cargo's own folder for what tests make, because it is to stay.
            let root = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("beds").join(name);
            let made =
                Command::new("tests/it/beds/root.sh").arg(name).arg(&root).args(PACKAGES).output().unwrap();
            assert!(
                made.status.success(),
                "no root of {name} could be made (Debian package mmdebstrap): {}",
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

impl Bed {
    pub(crate) fn of(release: Release) -> Self {
        let root = release.root();
        let base = tempfile::Builder::new().disable_cleanup(true).tempdir().unwrap().path().to_owned();
        let namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"];
        let mut namespace = Command::new("unshare")
            .args(namespaces)
            .args(["--propagation", "private", "sh", "-c", MAKE, "sh"])
            .args([&base, root, Path::new(env!("CARGO_BIN_EXE_k3s-harden"))])
            .args(PARAMETERS.iter().flat_map(|(file, wrong, _)| [file, wrong]))
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is needed: Debian package util-linux");
        let (stdout, stderr) = (namespace.stdout.take().unwrap(), namespace.stderr.take().unwrap());
        let mut bed =
            Self { namespace, inside: String::new(), base, machine: sysctls(Path::new("/proc/sys")) };
        BufReader::new(stdout).read_line(&mut bed.inside).unwrap();
        bed.inside = bed.inside.trim().to_owned();
        if bed.inside.is_empty() {
            let mut why = String::new();
            BufReader::new(stderr).read_to_string(&mut why).unwrap();
            panic!("no node could be made: {why}");
        }
        bed
    }

    /// Returns a path of the node as one of this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.inside)).join(path.trim_start_matches('/'))
    }

    /// Writes a file of the node, and the directories that it needs.
    pub(crate) fn write(&self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Runs a command inside the node, as root without an environment.
    pub(crate) fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        let output = self.command(command).output().unwrap();
        assert_ne!(output.status.code(), Some(99), "/proc/sys is the machine's own");
        Run::of(output)
    }

    /// Returns such a command before it is run.
    pub(crate) fn command<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Command {
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", &self.inside, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"])
            .args(["sh", "-c", GUARD, "sh"])
            .args(command)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null());
        enter
    }

    /// Returns a command that is run on this machine, but with the node's network.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", &self.inside, "--net", program])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null());
        enter
    }

    /// Runs a script inside the node, which must end well.
    pub(crate) fn prepare(&self, script: &str) {
        self.run(["sh", "-euc", script]).expect(0, "it is only made ready");
    }

    /// Returns everything of ours.
    pub(crate) fn tree(&self) -> Tree {
        tree(&self.path("/"))
    }

    /// Checks that the kernel was told what it has to be.
    #[track_caller]
    pub(crate) fn has_parameters(&self, when: &str) {
        assert_eq!(sysctls(&self.path("proc/sys")), PARAMETERS.map(|(_, _, right)| right), "{when}");
    }

    /// Checks that nobody has told the kernel anything.
    #[track_caller]
    pub(crate) fn has_old_parameters(&self, when: &str) {
        assert_eq!(sysctls(&self.path("proc/sys")), PARAMETERS.map(|(_, wrong, _)| wrong), "{when}");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // The end of its standard input is the end of the first process there, and so of all of them.
        drop(self.namespace.stdin.take());
        let ended = self.namespace.wait();
        // Never with what is in it: a mount that had left its namespace would be one of this machine.
        let removed = fs::remove_dir(&self.base);
        if !std::thread::panicking() {
            ended.unwrap();
            removed.expect("a mount has left its namespace");
            assert_eq!(sysctls(Path::new("/proc/sys")), self.machine, "the machine's own parameters");
        }
    }
}

impl Run {
    pub(crate) fn of(output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, when: &str) -> Self {
        assert_eq!(self.code, Some(code), "{when}: {}{}", self.stdout, self.stderr);
        self
    }
}

/// Returns what `apply` makes of a node of that release.
pub(crate) fn applied(release: Release, words: &[&str]) -> Tree {
    let bed = Bed::of(release);
    bed.run(
        ["/opt/k3s-harden", "apply", "-q", "--no-history", "--no-preflight"].iter().chain(words).copied(),
    )
    .expect(0, "apply");
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
    Run::of(output).expect(0, format).stdout
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

fn sysctls(folder: &Path) -> Vec<String> {
    let value = |file| fs::read_to_string(folder.join(file)).unwrap().trim().to_owned();
    PARAMETERS.iter().map(|(file, ..)| value(file)).collect()
}
